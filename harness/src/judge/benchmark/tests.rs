//! Samples that are written down here, and what thresholds say of them.

use record::bench::{Arm, Baseline, BaselineCase, FloorSample, Gate, Isolation, Sample, Setting};
use record::{Event, Host, SubjectInfo, Verdict};
use spec::Target;

use crate::plan::benchmark::gate::{Against, Budget};
use crate::plan::{self, Breadth, Case, Offer, Sabotaging, Selection, SpecFile};

/// The cases of a benchmark with these thresholds.
fn cases(thresholds: &str, sabotage: Sabotaging) -> Vec<Case> {
    planned(thresholds, sabotage, None)
}

fn planned(thresholds: &str, sabotage: Sabotaging, against: Option<Against>) -> Vec<Case> {
    let text = format!(
        "
apiVersion: plimsoll.dev/v1
kind: Benchmark
metadata: {{name: start}}
spec:
  description: How long a start takes.
  targets: [runtime]
  workload: {{container: {{image: plimsoll/probe, args: [hello]}}}}
  measure: {{total: {{from: create, to: firstByte}}}}
  baseline: {{file: a.json, comparableWhen: [kernel, runtimeBackend]}}
  thresholds:
{thresholds}
  sabotage:
  - {{id: late, inject: {{delay: 25%, at: create}}, mustFail: [slower]}}
"
    );
    let loaded = spec::load(&text, "start.yaml");
    assert_eq!(loaded.faults, [], "{text}");
    let file = SpecFile {
        path: "start.yaml".into(),
        text: text.clone(),
        sha256: String::new(),
        loaded,
    };
    let selection = Selection {
        sabotage,
        against,
        ..Selection::default()
    };
    let plan = plan::benchmarks(
        &[file],
        &selection,
        &["bundled".to_owned()],
        Offer::of(&[Target::Runtime]),
    );
    plan.unwrap().cases.iter().flat_map(Case::all).cloned().collect()
}

const ABSOLUTE: &str = "  - {id: slower, metric: total.p50, max: 20ms}";
const RELATIVE: &str = "  - {id: slower, metric: total.p50, regression: {rel: 5%}}";

fn host(kernel: &str) -> Host {
    Host {
        kernel: kernel.into(),
        ..Host::default()
    }
}

fn subject() -> SubjectInfo {
    SubjectInfo {
        name: "bundled".into(),
        ..SubjectInfo::default()
    }
}

fn begun() -> Event {
    Event::Run {
        version: record::VERSION,
        id: "1".into(),
        started: String::new(),
        plimsoll: String::new(),
        argv: Vec::new(),
        host: host("6.18"),
        subjects: vec![subject()],
        skip_budget: record::SkipBudget::default(),
    }
}

/// 50 samples around so many milliseconds, a tenth up and down.
fn around(milliseconds: f64) -> Vec<f64> {
    (0..50)
        .map(|n| milliseconds * (0.9 + 0.2 * f64::from(n * 7 % 50) / 49.0))
        .collect()
}

fn sample(case: &str, milliseconds: f64) -> Sample {
    Sample {
        case: case.into(),
        points: [("create".to_owned(), 0.0), ("firstByte".to_owned(), milliseconds)].into(),
        isolation: Some(Isolation {
            own: vec!["pid".into()],
            shared: Vec::new(),
        }),
        ..Sample::default()
    }
}

fn event(sample: Sample) -> Event {
    Event::Sample(Box::new(sample))
}

fn samples(case: &str, values: &[f64]) -> Vec<Event> {
    values.iter().map(|value| event(sample(case, *value))).collect()
}

fn baseline(case: &str, kernel: &str, values: &[f64]) -> Event {
    Event::Baseline(Box::new(Baseline {
        case: case.into(),
        source: "a.json".into(),
        found: Some(BaselineCase {
            id: case.into(),
            host: host(kernel),
            subject: subject(),
            samples: [("total".to_owned(), values.iter().map(|value| Some(*value)).collect())].into(),
            ..BaselineCase::default()
        }),
        missing: String::new(),
    }))
}

/// The verdict of the one threshold of a case.
fn verdict(case: &Case, events: &[Event]) -> Verdict {
    let mut judged = crate::judge::case(case, events);
    assert_eq!(judged.len(), 1);
    judged.remove(0).verdict
}

fn word(case: &Case, events: &[Event]) -> &'static str {
    verdict(case, events).word()
}

const ID: &str = "start@bundled";

#[test]
fn a_bound_is_kept_missed_or_within_the_interval() {
    let case = &cases(ABSOLUTE, Sabotaging::None)[0];
    assert_eq!(word(case, &samples(ID, &around(10.0))), "pass");
    assert_eq!(word(case, &samples(ID, &around(30.0))), "fail");
    assert_eq!(word(case, &samples(ID, &around(20.0))), "inconclusive");
    assert_eq!(word(case, &samples(ID, &around(10.0)[..5])), "inconclusive");
    assert_eq!(word(case, &[]), "error");
}

#[test]
fn a_bound_from_below_is_kept_or_missed() {
    let least = "  - {id: slower, metric: total.p50, min: 20ms}";
    let case = &cases(least, Sabotaging::None)[0];
    assert_eq!(word(case, &samples(ID, &around(30.0))), "pass");
    assert_eq!(word(case, &samples(ID, &around(10.0))), "fail");
}

#[test]
fn where_every_sample_failed_only_their_number_was_looked_at() {
    let both = format!("{ABSOLUTE}\n  - {{id: none-fails, metric: failures, max: 0%}}");
    let case = &cases(&both, Sabotaging::None)[0];
    let failed = Sample {
        failure: Some("hung".into()),
        ..sample(ID, 1.0)
    };
    let mut events: Vec<Event> = (0..50).map(|_| event(failed.clone())).collect();
    let said = |events: &[Event]| -> Vec<(String, &'static str, bool)> {
        let judged = crate::judge::case(case, events);
        judged
            .into_iter()
            .map(|judged| (judged.check, judged.verdict.word(), judged.absent))
            .collect()
    };
    let of = |slower| {
        [
            ("slower".to_owned(), "fail", slower),
            ("none-fails".to_owned(), "fail", false),
        ]
    };
    assert_eq!(said(&events), of(true));
    events.extend(samples(ID, &[30.0]));
    assert_eq!(said(&events), of(false));
}

#[test]
fn what_fails_is_the_slowest_of_all() {
    let case = &cases(ABSOLUTE, Sabotaging::None)[0];
    let with = |failed: usize, spoil: &dyn Fn(&mut Sample)| {
        let mut events = samples(ID, &around(10.0)[failed..]);
        for _ in 0..failed {
            let mut bad = sample(ID, 1.0);
            spoil(&mut bad);
            events.push(event(bad));
        }
        events
    };
    let hung = |sample: &mut Sample| sample.failure = Some("hung".into());
    let shared = |sample: &mut Sample| {
        sample.isolation.as_mut().unwrap().shared.push("pid".into());
    };
    assert_eq!(word(case, &with(5, &hung)), "pass");
    assert_eq!(word(case, &with(40, &hung)), "fail");
    assert_eq!(word(case, &with(40, &shared)), "fail");
    let Verdict::Fail { because, .. } = verdict(case, &with(40, &shared)) else {
        panic!("it fails");
    };
    assert!(because.is_some_and(|because| because.contains("pid namespace is the host's")));
}

#[test]
fn failures_are_counted() {
    let of = |bound: &str| {
        cases(
            &format!("  - {{id: slower, metric: failures, max: {bound}}}"),
            Sabotaging::None,
        )
    };
    let mut events = samples(ID, &around(10.0));
    assert_eq!(word(&of("0%")[0], &events), "pass");
    events.push(event(Sample {
        failure: Some("hung".into()),
        ..sample(ID, 1.0)
    }));
    assert_eq!(word(&of("0%")[0], &events), "fail");
    assert_eq!(word(&of("5%")[0], &events), "pass");
}

#[test]
fn samples_of_the_warm_up_do_not_count() {
    let case = &cases(ABSOLUTE, Sabotaging::None)[0];
    let mut events = samples(ID, &around(10.0));
    for _ in 0..50 {
        events.push(event(Sample {
            warmup: true,
            ..sample(ID, 900.0)
        }));
    }
    assert_eq!(word(case, &events), "pass");
}

#[test]
fn a_debug_build_is_held_against_no_absolute_bound() {
    let case = &cases(ABSOLUTE, Sabotaging::None)[0];
    let mut events = samples(ID, &around(30.0));
    events.push(Event::Setting(Box::new(Setting {
        case: ID.into(),
        debug: true,
        ..Setting::default()
    })));
    let Verdict::Skip { seen, .. } = verdict(case, &events) else {
        panic!("it is skipped");
    };
    assert!(seen.contains("debug build"), "{seen}");
}

#[test]
fn a_baseline_is_met_or_not() {
    let case = &cases(RELATIVE, Sabotaging::None)[0];
    let against = |now: f64, then: f64, kernel: &str| {
        let mut events = vec![begun(), baseline(ID, kernel, &around(then))];
        events.extend(samples(ID, &around(now)));
        verdict(case, &events)
    };
    assert_eq!(against(13.0, 10.0, "6.18").word(), "fail");
    assert_eq!(against(8.0, 10.0, "6.18").word(), "pass");
    assert_eq!(against(10.5, 10.0, "6.18").word(), "inconclusive");
}

#[test]
fn what_cannot_be_compared_is_no_pass() {
    let case = &cases(RELATIVE, Sabotaging::None)[0];
    let mut events = vec![begun(), baseline(ID, "6.1", &around(10.0))];
    events.extend(samples(ID, &around(5.0)));
    let Verdict::Inconclusive { more, .. } = verdict(case, &events) else {
        panic!("it is open");
    };
    assert_eq!(more, "incomparable: kernel is `6.18`, of the baseline `6.1`");
    assert_eq!(word(case, &samples(ID, &around(5.0))), "skip");
}

#[test]
fn a_planted_slowdown_is_compared_with_the_healthy_subject() {
    let cases = cases(RELATIVE, Sabotaging::Prove(Breadth::Own));
    let late = &cases[1];
    assert_eq!(late.header.id, "start+late@bundled");
    let with = |slow: f64| {
        let mut events = samples(ID, &around(10.0));
        events.extend(samples(&late.header.id, &around(slow)));
        word(late, &events)
    };
    assert_eq!(with(12.5), "fail");
    assert_eq!(with(9.0), "pass");
}

#[test]
fn a_subject_that_cannot_start_fails_and_a_harness_that_cannot_measure_is_in_error() {
    let case = &cases(ABSOLUTE, Sabotaging::None)[0];
    let broken = |subject| Event::Broken {
        case: ID.into(),
        phase: "setup".into(),
        index: 0,
        subject,
        message: "no".into(),
    };
    assert_eq!(word(case, &[broken(true)]), "fail");
    assert_eq!(word(case, &[broken(false)]), "error");
}

#[test]
fn figures_come_with_their_intervals() {
    let case = &cases(ABSOLUTE, Sabotaging::None)[0];
    let events = crate::judge::verdicts(case, &samples(ID, &around(10.0)));
    let Event::Figures(figures) = &events[0] else {
        panic!("{events:?}");
    };
    assert_eq!((figures.samples, figures.failures), (50, 0));
    let median = &figures.measures[0].figures[0];
    assert_eq!(median.name, "p50");
    assert!(median.low < median.value && median.value < median.high, "{median:?}");
}

const REFERENCE: &str = "start@reference";

/// A subject and its reference, and what they came to in rounds: `times` answers for each what the subject, the reference, its
/// twin and the slow one took, and `spoil` may change the subject's sample.
fn gated(rounds: u64, times: impl Fn(f64) -> [f64; 4], spoil: impl Fn(u64, &mut Sample)) -> (Vec<Case>, Vec<Event>) {
    let against = Against {
        tolerated: 0.02,
        budget: Budget::Rounds(40),
        bare: false,
    };
    let both = format!("{ABSOLUTE}\n  - {{id: open, metric: total.p50, regression: {{rel: 5%}}}}");
    let cases = planned(&both, Sabotaging::None, Some(against));
    let setting = |case: &Case| {
        Event::Setting(Box::new(Setting {
            case: case.header.id.clone(),
            seed: 3,
            gate: Some(Gate {
                tolerated: 0.02,
                error: 0.01,
                block: 2,
                bare: false,
            }),
            ..Setting::default()
        }))
    };
    let mut events: Vec<Event> = cases.iter().map(setting).collect();
    for round in 0..rounds {
        // Whatever the machine does falls on all of a round; what is left differs by a per cent or so.
        let weather = 10.0 + (round % 7) as f64;
        let own = [ID, REFERENCE, REFERENCE, REFERENCE].iter().zip(times(weather));
        let arms = [None, None, Some(Arm::Again), Some(Arm::Planted)];
        for (place, ((case, time), arm)) in own.zip(arms).enumerate() {
            let jitter = ((round * 13 + place as u64 * 5) % 11) as f64 / 1000.0;
            let mut sample = Sample {
                round,
                arm,
                spent: Some((round + 1) as f64 / 40.0),
                ..sample(case, time * (1.0 + jitter))
            };
            if place == 0 {
                spoil(round, &mut sample);
            }
            events.push(event(sample));
        }
    }
    (cases, events)
}

/// The words for the rows of the subject and of the reference.
fn words((cases, events): &(Vec<Case>, Vec<Event>)) -> Vec<(String, &'static str)> {
    let judged = cases.iter().flat_map(|case| crate::judge::case(case, events));
    judged.map(|judged| (judged.check, judged.verdict.word())).collect()
}

fn rows(slower: &str, against: &'static str, quiet: &'static str, caught: &'static str) -> Vec<(String, &'static str)> {
    let rows = [
        (slower, "pass"),
        ("against-total", against),
        ("quiet-total", quiet),
        ("caught-total", caught),
    ];
    rows.map(|(check, word)| (check.to_owned(), word)).to_vec()
}

#[test]
fn a_gate_tells_the_same_from_the_slower_and_tests_itself() {
    let as_is = |_: u64, _: &mut Sample| {};
    let same = gated(40, |time| [time, time, time, time * 1.06], as_is);
    assert_eq!(words(&same), rows("slower", "pass", "pass", "pass"));
    let slower = gated(40, |time| [time * 1.2, time, time, time * 1.06], as_is);
    assert_eq!(words(&slower), rows("slower", "fail", "pass", "pass"));
    let asleep = gated(40, |time| [time, time, time, time], as_is);
    assert_eq!(words(&asleep), rows("slower", "inconclusive", "pass", "inconclusive"));
    let wolf = gated(40, |time| [time * 1.2, time, time * 1.2, time * 1.06], as_is);
    assert_eq!(words(&wolf), rows("slower", "inconclusive", "inconclusive", "pass"));
    let few = gated(9, |time| [time * 1.2, time, time, time * 1.06], as_is);
    assert_eq!(words(&few)[1], ("against-total".to_owned(), "inconclusive"));
}

#[test]
fn a_subject_that_fails_where_the_reference_does_not_is_no_faster_for_it() {
    let times = |time: f64| [time, time, time, time * 1.06];
    let failing = |every: u64| {
        let run = gated(40, times, move |round, sample| {
            if round % every == 0 {
                sample.isolation = Some(Isolation {
                    own: Vec::new(),
                    shared: vec!["pid".into()],
                });
            }
        });
        words(&run)[1].1
    };
    assert_eq!(failing(2), "fail");
    assert_eq!(failing(30), "inconclusive");
}

#[test]
fn a_reference_that_cannot_start_is_no_failure_of_the_subject() {
    let (cases, _) = gated(0, |time| [time; 4], |_, _| {});
    let broken = Event::Broken {
        case: REFERENCE.into(),
        phase: "setup".into(),
        index: 0,
        subject: true,
        message: "no".into(),
    };
    assert_eq!(
        words(&(cases, vec![broken])),
        [
            ("slower", "error"),
            ("against-total", "error"),
            ("quiet-total", "error"),
            ("caught-total", "error")
        ]
        .map(|(check, word)| (check.to_owned(), word))
    );
}

fn floors(name: &str, unit: &str, values: &[f64]) -> Vec<Event> {
    let of = |value: &f64| {
        Event::Floor(Box::new(FloorSample {
            test: "start".into(),
            floor: name.into(),
            unit: unit.into(),
            values: [(name.to_owned(), *value)].into(),
            ..FloorSample::default()
        }))
    };
    values.iter().map(of).collect()
}

#[test]
fn a_multiple_of_a_floor_is_bounded() {
    let case = cases(
        "  - {id: slower, metric: total.p50, ofFloor: {max: 2}}",
        Sabotaging::None,
    )
    .remove(0);
    for (milliseconds, told) in [(15.0, "pass"), (20.0, "inconclusive"), (30.0, "fail")] {
        let mut events = samples(ID, &around(milliseconds));
        events.extend(floors("L5", "ms", &around(10.0)));
        assert_eq!(word(&case, &events), told, "{milliseconds}");
    }
    let mut events = samples(ID, &around(15.0));
    assert_eq!(word(&case, &events), "skip", "there is no floor");
    events.push(Event::Floor(Box::new(FloorSample {
        test: "start".into(),
        floor: "L5".into(),
        failure: Some("no namespaces".into()),
        ..FloorSample::default()
    })));
    let Verdict::Skip { seen, .. } = verdict(&case, &events) else {
        panic!("{:?}", verdict(&case, &events));
    };
    assert!(seen.contains("no namespaces"), "{seen}");
}

/// The figures of a network's measures, with what they are multiples of.
#[test]
fn figures_of_a_network_are_multiples_of_the_wire() {
    let text = "
apiVersion: plimsoll.dev/v1
kind: Benchmark
metadata: {name: start}
spec:
  description: What a network carries.
  targets: [cluster]
  workload: {network: {path: sameNode}}
  measure: {bits: {rate: bits}, made: {rate: connections}, asked: {from: request, to: response}}
  thresholds:
  - {id: carries, metric: bits.p50, ofFloor: {min: 0.4, max: 0.6}}
  - {id: makes, metric: made.p50, ofFloor: {min: 0.4, max: 0.6}}
  - {id: answers, metric: asked.p50, ofFloor: {min: 1.9, max: 2.1}}
";
    let loaded = spec::load(text, "start.yaml");
    assert_eq!(loaded.faults, []);
    let file = SpecFile {
        path: "start.yaml".into(),
        text: text.into(),
        sha256: String::new(),
        loaded,
    };
    let offer = Offer::of(&[Target::Cluster]);
    let plan = plan::benchmarks(&[file], &Selection::default(), &["cluster".to_owned()], offer).unwrap();
    let case = &plan.cases[0];
    let taken = Sample {
        case: case.header.id.clone(),
        rates: [("bits".to_owned(), 5.0), ("connections".to_owned(), 10_000.0)].into(),
        points: [("request".to_owned(), 0.0), ("response".to_owned(), 0.02)].into(),
        ..Sample::default()
    };
    let mut events = vec![event(taken); 20];
    events.extend(floors("L11", "Gbit/s", &[10.0; 20]));
    events.extend(floors("L12.veth", "us", &[10.0; 20]));
    // 20 000 a second.
    events.extend(floors("L12.connect", "us", &[50.0; 20]));
    let judged = crate::judge::case(case, &events);
    let words: Vec<&str> = judged.iter().map(|judged| judged.verdict.word()).collect();
    assert_eq!(words, ["pass"; 3], "{judged:?}");
    // Half of it is missed, and no debug build is an excuse for what the kernel carries.
    events.retain(|event| !matches!(event, Event::Floor(floor) if floor.floor == "L11"));
    events.extend(floors("L11", "Gbit/s", &[20.0; 20]));
    events.push(Event::Setting(Box::new(Setting {
        case: case.header.id.clone(),
        debug: true,
        ..Setting::default()
    })));
    let judged = crate::judge::case(case, &events);
    assert_eq!(judged[0].verdict.word(), "fail", "{judged:?}");
}
