//! Every event that is written is read back as it was.

use std::collections::BTreeMap;

use record::{
    Allowance, CaseHeader, CheckHeader, CheckProof, Depth, Event, FaultEffect, FaultRow, Host, ProofScore, Resolution,
    Seen, SkipBudget, SkipLimit, Standing, SubjectInfo, Tally, Verdict,
    packets::{AnswerSeen, AttemptSeen, BodySeen, EndpointSeen, RecordSeen},
    pods::{ConditionSeen, ContainerSeen, EventSeen, FilteredSeen, PodSeen},
    samples::{Bandwidth, Conditions, Limited, Open, Pressure, SamplePlan},
    seen::{CgroupValue, KernelState, MountSeen, ProcessSeen},
};
use serde_json::json;

fn every_seen() -> Vec<Seen> {
    let pod = PodSeen {
        name: "web-1".into(),
        node: Some("gen-1".into()),
        conditions: [("Ready".to_owned(), ConditionSeen::default())].into(),
        containers: [("c".to_owned(), ContainerSeen::default())].into(),
        ..PodSeen::default()
    };
    vec![
        Seen::Placement {
            pods: vec![pod.clone()],
            nodes: [("gen-1".to_owned(), [("zone".to_owned(), "a".to_owned())].into())].into(),
            others: [("web".to_owned(), vec!["gen-2".to_owned()])].into(),
            filtered: Some([("gen-2".to_owned(), FilteredSeen::default())].into()),
            preempted: Some(vec!["low".into()]),
            source: "GET /api/v1/namespaces/a/pods".into(),
        },
        Seen::Pods {
            pods: vec![pod],
            source: "GET".into(),
        },
        Seen::Object {
            exists: true,
            values: [("spec.nodeName".to_owned(), json!("a"))].into(),
            source: "GET".into(),
        },
        Seen::Events {
            list: vec![EventSeen::default()],
            source: "GET".into(),
        },
        Seen::Replicas {
            desired: 3,
            current: 3,
            ready: 2,
            updated: 1,
            available: 2,
            observed: true,
            source: "GET".into(),
        },
        Seen::Logs {
            texts: [("web-1".to_owned(), "hello\n".to_owned())].into(),
            source: "GET".into(),
        },
        Seen::Attempts {
            list: vec![
                AttemptSeen {
                    from: "client".into(),
                    to: "http://svc/".into(),
                    node: Some("a".into()),
                    address: Some("10.96.0.1:80".into()),
                    source: Some("10.244.1.2:40000".into()),
                    outcome: "connected".into(),
                    errno: None,
                    micros: 812,
                    status: Some(200),
                    body: Some(BodySeen {
                        hash: "af63dc4c8601ec8c".into(),
                        length: 1,
                        text: "a".into(),
                    }),
                },
                AttemptSeen {
                    outcome: "refused".into(),
                    errno: Some("ECONNREFUSED".into()),
                    ..AttemptSeen::default()
                },
            ],
            wanted: 60,
            references: [("web.podIPs".to_owned(), json!(["10.244.1.2"]))].into(),
        },
        Seen::Answers {
            list: vec![AnswerSeen {
                outcome: "answered".into(),
                rcode: Some("NOERROR".into()),
                records: vec![RecordSeen {
                    kind: "A".into(),
                    value: "10.96.0.1".into(),
                    ttl: 5,
                }],
                ..AnswerSeen::default()
            }],
            references: BTreeMap::new(),
        },
        Seen::Endpoints {
            list: vec![EndpointSeen {
                address: "10.244.1.2".into(),
                ready: true,
                terminating: true,
                node: Some("a".into()),
                ports: vec!["http:80/TCP".into()],
            }],
            references: BTreeMap::new(),
            source: "GET".into(),
        },
        Seen::State {
            runtime: Some("running".into()),
            told: Some(7),
            kernel: KernelState {
                pid: Some(7),
                alive: true,
                payload: true,
                frozen: false,
                in_cgroup: Some(true),
            },
        },
        Seen::State {
            runtime: None,
            told: None,
            kernel: KernelState::default(),
        },
        Seen::Exit {
            running: false,
            code: Some(137),
            signal: Some("SIGKILL".into()),
            reason: Some("OOMKilled".into()),
            source: "waitid".into(),
        },
        Seen::Output {
            stdout: "a\u{0}\n\"".into(),
            stderr: "\u{fffd}".into(),
        },
        Seen::Report {
            values: Some(json!({"a": [1, null, {"b": 0.1}]})),
        },
        Seen::Report { values: None },
        Seen::Processes {
            list: vec![ProcessSeen {
                pid: 1,
                ppid: 0,
                uid: 65534,
                state: "S".into(),
                args: vec!["a b".into()],
                is: Some("app".into()),
            }],
            source: "/proc".into(),
        },
        Seen::Namespaces {
            target: [("pid".to_owned(), 4_026_531_836)].into(),
            others: [("host".to_owned(), [("pid".to_owned(), u64::from(u32::MAX))].into())].into(),
            source: "/proc/1/ns".into(),
        },
        Seen::Mounts {
            list: vec![MountSeen {
                kind: "proc".into(),
                ..MountSeen::default()
            }],
            source: "/proc/1/mountinfo".into(),
        },
        Seen::Cgroup {
            values: [
                (
                    "memory.limit".to_owned(),
                    CgroupValue {
                        file: "f".into(),
                        value: Some(json!("max")),
                    },
                ),
                (
                    "memory.peak".to_owned(),
                    CgroupValue {
                        file: "f".into(),
                        value: None,
                    },
                ),
            ]
            .into(),
        },
        Seen::Network {
            interfaces: vec!["lo".into()],
            up: vec![],
            routes: vec!["0.0.0.0/0".into()],
            listening: vec!["unix:@x".into()],
        },
        Seen::File {
            exists: true,
            kind: Some("file".into()),
            content: Some("x".into()),
            mode: Some("0644".into()),
            uid: Some(0),
            gid: Some(0),
            size: Some(1),
            entries: None,
        },
        Seen::Samples {
            values: vec![0.1 + 0.2, 1e-300, f64::MAX],
            unit: "%".into(),
            complete: false,
            plan: None,
            conditions: vec![],
        },
        Seen::Samples {
            values: vec![0.2],
            unit: "%".into(),
            complete: true,
            plan: Some(SamplePlan {
                count: 4,
                max_count: 24,
                window: 0.5,
                asked: Some(0.2),
            }),
            conditions: vec![
                Conditions {
                    t0: 0.1 + 0.2,
                    t1: 500.4,
                    usage: Some(0.1),
                    aligned: true,
                    bandwidth: Some(Bandwidth {
                        period: 0.1,
                        quota: 0.02,
                        periods: 5,
                        throttled: 4,
                        throttled_time: 0.7,
                        limited: Limited {
                            periods: 3,
                            time: 0.3,
                            usage: 0.06,
                        },
                        open: Open {
                            periods: 1,
                            time: 0.1,
                            pressure: Some(0.05),
                        },
                    }),
                    pressure: Some(Pressure { some: 0.3, full: 0.0 }),
                    steal: Some(0.01),
                    busy: Some(0.9),
                    runnable: Some(5),
                },
                Conditions::default(),
            ],
        },
        Seen::Absent { what: "w".into() },
        Seen::Unmeasured { why: "y".into() },
    ]
}

fn every_verdict() -> Vec<Verdict> {
    vec![
        Verdict::Pass { seen: "s".into() },
        Verdict::Fail {
            want: "w".into(),
            got: "g".into(),
            because: None,
        },
        Verdict::Fail {
            want: "w".into(),
            got: "g".into(),
            because: Some("b".into()),
        },
        Verdict::Skip {
            requirement: "r".into(),
            seen: "s".into(),
            after_step: false,
        },
        Verdict::Skip {
            requirement: "r".into(),
            seen: "s".into(),
            after_step: true,
        },
        Verdict::Inconclusive {
            n: 60,
            interval: [f64::MIN, 0.1 + 0.2],
            more: "m".into(),
        },
        Verdict::Error { message: "e".into() },
    ]
}

fn every_event() -> Vec<Event> {
    let case = || "t[limit=32Mi]@bundled".to_owned();
    let mut events = vec![
        Event::Run {
            version: record::VERSION,
            id: "0001".into(),
            started: "2026-01-02T03:04:05Z".into(),
            plimsoll: "0.1.0".into(),
            argv: vec!["plimsoll".into()],
            host: Host {
                kernel: "6.18".into(),
                memory: u64::MAX,
                ..Host::default()
            },
            subjects: vec![SubjectInfo::default()],
            skip_budget: SkipBudget {
                strict: true,
                limits: vec![
                    SkipLimit {
                        label: Some(("area".into(), "cgroup".into())),
                        most: Allowance::Count(3),
                    },
                    SkipLimit {
                        label: None,
                        most: Allowance::Percent(4.5),
                    },
                ],
            },
        },
        Event::Spec {
            file: "specs/a.yaml".into(),
            sha256: "00".into(),
            text: "a: \"b\"\n---\n".into(),
        },
        Event::Case(Box::new(CaseHeader {
            id: case(),
            test: "t".into(),
            file: "specs/a.yaml".into(),
            description: "d".into(),
            labels: [("area".to_owned(), "cgroup".to_owned())].into(),
            matrix: [("limit".to_owned(), json!("32Mi"))].into(),
            subject: "bundled".into(),
            target: "runtime".into(),
            sabotage: Some("s".into()),
            fault: Some("pid-namespace-dropped".into()),
            proving: true,
            checks: vec![CheckHeader {
                id: "c".into(),
                at: "specs/a.yaml:1:2".into(),
                about: "exit".into(),
            }],
            attempt: 1,
            patience: 10,
            flaky_allowed: true,
            t: 0.125,
        })),
        Event::Case(Box::new(
            CaseHeader {
                id: "t@bundled".into(),
                test: "t".into(),
                file: "specs/a.yaml".into(),
                description: "d".into(),
                labels: BTreeMap::new(),
                matrix: BTreeMap::new(),
                subject: "bundled".into(),
                target: "runtime".into(),
                sabotage: None,
                fault: None,
                proving: false,
                checks: Vec::new(),
                attempt: 1,
                patience: 1,
                flaky_allowed: false,
                t: 0.25,
            }
            .again(2),
        )),
        Event::Step {
            case: case(),
            phase: "steps".into(),
            index: 3,
            name: "n".into(),
            t: 1.5,
        },
        Event::Act {
            case: case(),
            what: "kill c SIGKILL".into(),
            code: Some(-1),
            stdout: String::new(),
            stderr: "no\n".into(),
            t0: 1.0,
            t1: 2.0,
        },
        Event::Broken {
            case: case(),
            phase: "setup".into(),
            index: 0,
            subject: true,
            message: "m".into(),
        },
        Event::Unmet {
            case: case(),
            step: Some(("steps".into(), 1)),
            check: Some("c".into()),
            requirement: "swap: true".into(),
            seen: "no swap".into(),
            fault: false,
        },
        Event::Evidence {
            case: case(),
            name: "config.json".into(),
            text: "{}".into(),
        },
        Event::CaseEnd {
            case: case(),
            took: 1.25,
            overhead: 0.5,
            leftovers: vec!["/sys/fs/cgroup/x".into()],
        },
        Event::Drift(Box::new(record::Drift {
            case: case(),
            check: "c".into(),
            requirement: "swap: true".into(),
            seen: "no swap is configured".into(),
            run: "0001".into(),
            last: "2026-01-02T03:04:05Z".into(),
            verdict: "pass".into(),
            host: vec!["kernel 6.1 → 6.2".into()],
        })),
        Event::Vanished(Box::new(record::Vanished {
            test: "t".into(),
            check: "c".into(),
            file: "specs/a.yaml".into(),
            run: "0001".into(),
            last: "2026-01-02T03:04:05Z".into(),
        })),
        Event::RunEnd {
            exit: 1,
            tally: Tally {
                pass: 1,
                ..Tally::default()
            },
            took: 3.0,
        },
    ];
    events.extend(of_a_benchmark());
    for (n, seen) in every_seen().into_iter().enumerate() {
        events.push(Event::Look {
            case: case(),
            phase: "steps".into(),
            index: 0,
            n: n as u64,
            t: 0.1,
            seen: BTreeMap::from([("c".to_owned(), seen)]),
        });
    }
    for verdict in every_verdict() {
        for known in [None, Some("reason".to_owned())] {
            events.push(Event::Verdict {
                case: case(),
                check: "c".into(),
                verdict: verdict.clone(),
                looks: 7,
                known,
                absent: false,
            });
        }
    }
    for standing in every_standing() {
        events.push(Event::Proof(Box::new(CheckProof {
            case: case(),
            check: "c".into(),
            at: "s.yaml:1:2".into(),
            standing,
            faults: vec![FaultRow {
                fault: "memory-limit-plus-20".into(),
                depth: Depth::Subject,
                effect: FaultEffect::Survived,
                promised: true,
                changed: Some("100 to 120".into()),
                observed: None,
                percent: Some(20),
            }],
            resolution: vec![Resolution {
                of: "memory-limit".into(),
                tells: None,
                tells_what: None,
                misses: Some(20),
                misses_what: Some("100 to 120".into()),
            }],
            stored: true,
        })));
    }
    events.push(Event::ProofScore(ProofScore {
        proven: 1,
        unproven: 2,
        waived: 3,
        skipped: 4,
        unknown: 5,
    }));
    events
}

fn of_a_benchmark() -> [Event; 5] {
    use record::bench::{
        Arm, Baseline, BaselineCase, Figure, Figures, FloorSample, Gate, Isolation, Measured, Ratio, Sample, Setting,
    };
    let case = || "a@b".to_owned();
    [
        Event::Setting(Box::new(Setting {
            case: case(),
            clock: "CLOCK_MONOTONIC".into(),
            seed: 7,
            debug: true,
            warnings: vec!["debug build".into()],
            gate: Some(Gate {
                tolerated: 0.02,
                error: 0.01,
                block: 10,
                bare: true,
            }),
        })),
        Event::Baseline(Box::new(Baseline {
            case: case(),
            source: "b.json".into(),
            found: Some(BaselineCase {
                id: case(),
                samples: [("total".to_owned(), vec![Some(1.5), None])].into(),
                ..BaselineCase::default()
            }),
            missing: String::new(),
        })),
        Event::Sample(Box::new(Sample {
            case: case(),
            round: 3,
            warmup: true,
            arm: Some(Arm::Planted),
            spent: Some(0.5),
            points: [("create".to_owned(), 0.0), ("firstByte".to_owned(), 1.25)].into(),
            rates: [("pods".to_owned(), 6800.5)].into(),
            sizes: [("resident".to_owned(), 512.0)].into(),
            busy: Some(0.25),
            failure: Some("hung".into()),
            isolation: Some(Isolation {
                own: vec!["pid".into()],
                shared: vec!["net".into()],
            }),
            conditions: Conditions::default(),
        })),
        Event::Floor(Box::new(FloorSample {
            test: "a".into(),
            floor: "L4".into(),
            round: 3,
            warmup: true,
            values: [("L4.bind".to_owned(), 0.5)].into(),
            unit: "ms".into(),
            failure: Some("refused".into()),
        })),
        Event::Figures(Box::new(Figures {
            case: case(),
            samples: 2,
            failures: 1,
            rounds: vec![3, 4],
            measures: vec![Measured {
                name: "total".into(),
                unit: "ms".into(),
                figures: vec![Figure {
                    name: "p50".into(),
                    value: Some(1.5),
                    low: Some(1.0),
                    high: None,
                }],
                samples: vec![Some(1.5), None],
                ratio: Some(Ratio {
                    floor: "L5".into(),
                    figures: vec![Figure::default()],
                }),
            }],
            floors: vec![Measured::default()],
            notes: vec!["one start in two failed".into()],
        })),
    ]
}

fn every_standing() -> [Standing; 4] {
    [
        Standing::Proven,
        Standing::Unproven { why: "w".into() },
        Standing::Waived { reason: "r".into() },
        Standing::Unjudged { healthy: "fail".into() },
    ]
}

/// Names every kind of event, so that a new one is felt here.
fn kind(event: &Event) -> &'static str {
    match event {
        Event::Run { .. } => "run",
        Event::Spec { .. } => "spec",
        Event::Case(_) => "case",
        Event::Step { .. } => "step",
        Event::Act { .. } => "act",
        Event::Look { .. } => "look",
        Event::Broken { .. } => "broken",
        Event::Unmet { .. } => "unmet",
        Event::Evidence { .. } => "evidence",
        Event::Verdict { .. } => "verdict",
        Event::Proof(_) => "proof",
        Event::ProofScore(_) => "proofScore",
        Event::CaseEnd { .. } => "caseEnd",
        Event::RunEnd { .. } => "runEnd",
        Event::Drift(_) => "drift",
        Event::Vanished(_) => "vanished",
        Event::Setting(_) => "setting",
        Event::Baseline(_) => "baseline",
        Event::Sample(_) => "sample",
        Event::Floor(_) => "floor",
        Event::Figures(_) => "figures",
    }
}

#[test]
fn every_event_is_read_back_as_it_was_written() {
    let events = every_event();
    let kinds: std::collections::BTreeSet<_> = events.iter().map(kind).collect();
    assert_eq!(kinds.len(), 21);
    let mut text = String::new();
    for event in &events {
        let line = serde_json::to_string(event).unwrap();
        assert!(!line.contains('\n'), "{line}");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["event"], kind(event));
        text.push_str(&line);
        text.push('\n');
    }
    assert_eq!(record::read(text.as_bytes()).unwrap(), events);
}

#[test]
fn a_verdict_lies_flat_in_its_event() {
    let event = Event::Verdict {
        case: "c".into(),
        check: "k".into(),
        verdict: Verdict::Pass { seen: "s".into() },
        looks: 1,
        known: None,
        absent: false,
    };
    assert_eq!(
        serde_json::to_value(&event).unwrap(),
        json!({"event": "verdict", "case": "c", "check": "k", "verdict": "pass", "seen": "s", "looks": 1})
    );
}

#[test]
fn samples_of_a_record_without_conditions_are_still_read() {
    let old = r#"{"seen":"samples","values":[0.2,0.21],"unit":"%","complete":true}"#;
    let samples = Seen::Samples {
        values: vec![0.2, 0.21],
        unit: "%".into(),
        complete: true,
        plan: None,
        conditions: vec![],
    };
    assert_eq!(serde_json::from_str::<Seen>(old).unwrap(), samples);
    assert_eq!(serde_json::to_string(&samples).unwrap(), old);
}
