//! From recorded events to final verdicts: how a step's looks come to one verdict for each of its checks.
//!
//! The rules are those of the design's "Evaluation: how a step runs". Nothing latches; what was never looked at is an
//! error and never a pass; what comes after a failed step is skipped.

use record::{Event, Seen, Verdict};
use spec::step::Metric;
use spec::{Check, Spanned, Step, Subject, Test, Window};

use super::check as judge_check;

/// What became of one check of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Id of the check; `step-PHASE-INDEX` for a step that failed where no check of it looks.
    pub check: String,
    /// The verdict.
    pub verdict: Verdict,
    /// How many looks it rests on.
    pub looks: u64,
    /// It failed because what it is about was not there or its step could not be done: no value was compared.
    pub absent: bool,
}

/// Names of the phases in the order in which they run.
pub const PHASES: [&str; 4] = ["setup", "steps", "teardown", "onFailure"];

/// The final verdicts of a case, from the events that carry its id. Events of other cases may be among them. With
/// `go_on` a failed check does not keep later steps from being judged, only a step that broke does.
pub fn test(case: &str, test: &Test, events: &[Event], go_on: bool) -> Vec<Judged> {
    let record = CaseRecord::of(case, events);
    let steps_of = |phase: &str| -> &[Spanned<Step>] {
        match phase {
            "setup" => &test.setup,
            "steps" => &test.steps,
            "teardown" => &test.teardown,
            _ => &test.on_failure,
        }
    };
    if let Some(unmet) = record.unmet.iter().find(|u| u.step.is_none() && u.check.is_none()) {
        return PHASES[..3]
            .iter()
            .flat_map(|phase| steps_of(phase))
            .flat_map(|step| &step.expect)
            .map(|check| unmet.judged(check))
            .collect();
    }
    let mut all = Vec::new();
    let mut after: Option<String> = None;
    for phase in PHASES {
        let steps = steps_of(phase);
        // Something broke before or beside the steps that the spec names, such as the guard itself.
        for broken in record
            .broken
            .iter()
            .filter(|b| b.phase == phase && b.index >= steps.len())
        {
            all.push(Judged {
                check: synthetic(phase, broken.index),
                verdict: broken.verdict(),
                looks: 0,
                absent: true,
            });
            after.get_or_insert_with(|| format!("{phase}[{}]", broken.index));
        }
        for (index, step) in steps.iter().enumerate() {
            let begun = record.step(phase, index);
            // Collectors of evidence run only for a failure.
            if phase == "onFailure" && !begun.begun {
                continue;
            }
            let judged = judge_step(step, phase, index, &begun, after.as_deref());
            let failed = judged.iter().any(|judged| match judged.verdict {
                Verdict::Fail { .. } | Verdict::Error { .. } | Verdict::Inconclusive { .. } => true,
                Verdict::Pass { .. } | Verdict::Skip { .. } => false,
            });
            let ends = failed && (!go_on || begun.broken.is_some());
            if ends && after.is_none() && (phase == "setup" || phase == "steps") {
                after = Some(begun.name.unwrap_or_else(|| label(step, phase, index)));
            }
            all.extend(judged);
        }
        // Teardown does not wait for anybody.
        if phase == "steps" {
            after = None;
        }
    }
    all
}

fn synthetic(phase: &str, index: usize) -> String {
    format!("step-{phase}-{index}")
}

fn label(step: &Step, phase: &str, index: usize) -> String {
    step.name.clone().unwrap_or_else(|| format!("{phase}[{index}]"))
}

/// The events of one case, sorted by what the fold asks for.
#[derive(Default)]
struct CaseRecord<'a> {
    begun: Vec<(&'a str, usize, &'a str)>,
    looks: Vec<Look<'a>>,
    broken: Vec<Broken<'a>>,
    unmet: Vec<Unmet<'a>>,
}

#[derive(Clone, Copy)]
struct Look<'a> {
    phase: &'a str,
    index: usize,
    at: f64,
    seen: &'a std::collections::BTreeMap<String, Seen>,
}

#[derive(Clone, Copy)]
struct Broken<'a> {
    phase: &'a str,
    index: usize,
    subject: bool,
    message: &'a str,
}

impl Broken<'_> {
    fn verdict(&self) -> Verdict {
        if self.subject {
            Verdict::Fail {
                want: "the step to go through".into(),
                got: self.message.to_owned(),
                because: None,
            }
        } else {
            Verdict::Error {
                message: self.message.to_owned(),
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Unmet<'a> {
    step: Option<(&'a str, usize)>,
    check: Option<&'a str>,
    requirement: &'a str,
    seen: &'a str,
    fault: bool,
}

impl Unmet<'_> {
    fn judged(&self, check: &Check) -> Judged {
        Judged {
            check: check.id.value.clone(),
            verdict: self.verdict(),
            looks: 0,
            absent: true,
        }
    }

    fn verdict(&self) -> Verdict {
        if self.fault {
            Verdict::Error {
                message: format!("cannot tell whether `{}` is met: {}", self.requirement, self.seen),
            }
        } else {
            Verdict::Skip {
                requirement: self.requirement.to_owned(),
                seen: self.seen.to_owned(),
                after_step: false,
            }
        }
    }
}

/// What is recorded of one step.
struct StepRecord<'a> {
    begun: bool,
    name: Option<String>,
    looks: Vec<Look<'a>>,
    broken: Option<Broken<'a>>,
    unmet: Vec<Unmet<'a>>,
}

impl<'a> CaseRecord<'a> {
    fn of(id: &str, events: &'a [Event]) -> Self {
        let mut record = Self::default();
        for event in events {
            match event {
                Event::Step {
                    case,
                    phase,
                    index,
                    name,
                    t: _,
                } if case == id => record.begun.push((phase, *index, name)),
                Event::Look {
                    case,
                    phase,
                    index,
                    n: _,
                    t,
                    seen,
                } if case == id => record.looks.push(Look {
                    phase,
                    index: *index,
                    at: *t,
                    seen,
                }),
                Event::Broken {
                    case,
                    phase,
                    index,
                    subject,
                    message,
                } if case == id => record.broken.push(Broken {
                    phase,
                    index: *index,
                    subject: *subject,
                    message,
                }),
                Event::Unmet {
                    case,
                    step,
                    check,
                    requirement,
                    seen,
                    fault,
                } if case == id => record.unmet.push(Unmet {
                    step: step.as_ref().map(|(phase, index)| (phase.as_str(), *index)),
                    check: check.as_deref(),
                    requirement,
                    seen,
                    fault: *fault,
                }),
                Event::Run { .. }
                | Event::Spec { .. }
                | Event::Case(_)
                | Event::Step { .. }
                | Event::Act { .. }
                | Event::Look { .. }
                | Event::Broken { .. }
                | Event::Unmet { .. }
                | Event::Evidence { .. }
                | Event::Verdict { .. }
                | Event::Proof(_)
                | Event::ProofScore(_)
                | Event::CaseEnd { .. }
                | Event::Drift(_)
                | Event::Vanished(_)
                | Event::Setting(_)
                | Event::Baseline(_)
                | Event::Sample(_)
                | Event::Floor(_)
                | Event::Figures(_)
                | Event::RunEnd { .. } => {}
            }
        }
        record
    }

    fn step(&self, phase: &str, index: usize) -> StepRecord<'a> {
        let name = self
            .begun
            .iter()
            .find(|(p, i, _)| *p == phase && *i == index)
            .map(|(_, _, name)| (*name).to_owned());
        let looks: Vec<_> = self
            .looks
            .iter()
            .filter(|look| look.phase == phase && look.index == index)
            .copied()
            .collect();
        let broken = self
            .broken
            .iter()
            .find(|broken| broken.phase == phase && broken.index == index)
            .copied();
        let unmet = self
            .unmet
            .iter()
            .filter(|unmet| unmet.step.is_none_or(|step| step == (phase, index)))
            .copied()
            .collect();
        StepRecord {
            begun: name.is_some() || !looks.is_empty() || broken.is_some(),
            name: name.filter(|name| !name.is_empty()),
            looks,
            broken,
            unmet,
        }
    }
}

fn judge_step(step: &Step, phase: &str, index: usize, record: &StepRecord<'_>, after: Option<&str>) -> Vec<Judged> {
    let unmet_of = |check: &Check| {
        record
            .unmet
            .iter()
            .find(|unmet| match (unmet.step, unmet.check) {
                (_, Some(id)) => id == check.id.value,
                (Some(_), None) => true,
                (None, None) => false,
            })
            .map(|unmet| unmet.judged(check))
    };
    // Checks whose own requirement is unmet take no part in what the step waits for.
    let open: Vec<&Check> = step
        .expect
        .iter()
        .map(|check| &check.value)
        .filter(|check| unmet_of(check).is_none())
        .collect();
    let mut judged: Vec<Judged> = step
        .expect
        .iter()
        .map(|check| {
            unmet_of(check).unwrap_or_else(|| Judged {
                check: check.id.value.clone(),
                verdict: judge_looks(step.window, check, &open, record, after),
                looks: record
                    .looks
                    .iter()
                    .filter(|look| look.seen.contains_key(&check.id.value))
                    .count() as u64,
                absent: !record.looks.iter().any(|look| compared(check, look)),
            })
        })
        .collect();
    // A requirement that nobody could probe must be felt too, and a step without checks has no other place for it.
    if let Some(unmet) = record.unmet.iter().find(|u| u.fault && u.check.is_none())
        && step.expect.is_empty()
    {
        judged.push(Judged {
            check: synthetic(phase, index),
            verdict: unmet.verdict(),
            looks: 0,
            absent: true,
        });
    }
    leave_throttling_open(step, &mut judged);
    // A step that broke must be felt, even if every look that was taken holds.
    if let Some(broken) = record.broken {
        let felt = judged.iter().any(|judged| match judged.verdict {
            Verdict::Fail { .. } | Verdict::Error { .. } => true,
            Verdict::Pass { .. } | Verdict::Skip { .. } | Verdict::Inconclusive { .. } => false,
        });
        if !felt {
            judged.push(Judged {
                check: synthetic(phase, index),
                verdict: broken.verdict(),
                looks: 0,
                absent: true,
            });
        }
    }
    judged
}

/// Who never comes to a quota, because others hold the CPUs, is not throttled: where the usage of a workload is left open
/// for that, a count of its throttled periods that is too low says nothing either.
fn leave_throttling_open(step: &Step, judged: &mut [Judged]) {
    let Some(sample) = step.sample.as_ref().filter(|sample| sample.metric == Metric::CpuUsage) else {
        return;
    };
    let of_sample = step.expect.iter().zip(judged.iter());
    let open = of_sample
        .filter(|(check, _)| {
            check
                .value
                .sample
                .as_ref()
                .is_some_and(|of| of.value == sample.id.value)
        })
        .find_map(|(_, judged)| Some(&judged.verdict).filter(|verdict| matches!(verdict, Verdict::Inconclusive { .. })))
        .cloned();
    let Some(open) = open else { return };
    for (check, judged) in step.expect.iter().zip(judged) {
        let counts_throttling = match &check.value.subject {
            Subject::Cgroup(wanted) => wanted.keys().all(|key| key.starts_with("cpu.throttled")),
            _ => false,
        };
        let same = check.value.on.as_ref().is_some_and(|on| on.value == sample.on.value);
        if counts_throttling && same && matches!(judged.verdict, Verdict::Fail { .. }) {
            judged.verdict = open.clone();
        }
    }
}

fn judge_looks(
    window: Window,
    check: &Check,
    open: &[&Check],
    record: &StepRecord<'_>,
    after: Option<&str>,
) -> Verdict {
    let looks = &record.looks;
    let Some(last) = looks.last() else {
        return match (record.broken, record.begun, after) {
            (Some(broken), _, _) => broken.verdict(),
            (None, false, Some(after)) => Verdict::Skip {
                requirement: format!("after step {after}"),
                seen: "that step did not pass".into(),
                after_step: true,
            },
            (None, false, None) => Verdict::Error {
                message: "its step was never begun: the case was cut short".into(),
            },
            (None, true, _) => Verdict::Error {
                message: "it was never looked at".into(),
            },
        };
    };
    match window {
        // More than one look without a window is a sample growing: the last has all of it.
        Window::Once => in_look(check, last),
        Window::Eventually { within, .. } => {
            let all_hold = |look: &&Look<'_>| {
                open.iter()
                    .all(|check| matches!(in_look(check, look), Verdict::Pass { .. }))
            };
            match looks.iter().position(|look| all_hold(&look)) {
                Some(nth) => noted(
                    in_look(check, &looks[nth]),
                    &format!("look {} of {}, within {within}", nth + 1, looks.len()),
                ),
                None => {
                    let held = looks
                        .iter()
                        .filter(|look| matches!(in_look(check, look), Verdict::Pass { .. }))
                        .count();
                    let together = if open.len() > 1 && held > 0 {
                        ", never together with all others of the step"
                    } else {
                        ""
                    };
                    noted(
                        in_look(check, last),
                        &format!("held in {held} of {} looks within {within}{together}", looks.len()),
                    )
                }
            }
        }
        Window::Consistently { lasting, .. } => {
            for (nth, look) in looks.iter().enumerate() {
                let verdict = in_look(check, look);
                if !matches!(verdict, Verdict::Pass { .. }) {
                    return noted(
                        verdict,
                        &format!("look {}, held in {nth} before, window of {lasting}", nth + 1),
                    );
                }
            }
            if let Some(broken) = record.broken {
                return broken.verdict();
            }
            // Unless a look of another check ended it.
            let ended_early = open
                .iter()
                .any(|check| !matches!(in_look(check, last), Verdict::Pass { .. }));
            let covered = last.at - looks[0].at;
            if !ended_early && !covers(covered, lasting) {
                return Verdict::Error {
                    message: format!(
                        "{} looks cover only {covered:.0}ms of the window of {lasting}",
                        looks.len()
                    ),
                };
            }
            noted(
                in_look(check, last),
                &format!("{n}/{n} looks in {lasting}", n = looks.len()),
            )
        }
    }
}

/// Whether looks that lie `covered` milliseconds apart, the first and the last, looked through a window: less than half
/// of it is not through it.
pub(crate) fn covers(covered: f64, window: spec::Span) -> bool {
    covered >= window.0.as_secs_f64() * 1000.0 / 2.0
}

/// Whether the look saw something of a check that can be compared with what is wanted.
fn compared(check: &Check, look: &Look<'_>) -> bool {
    match look.seen.get(&check.id.value) {
        Some(Seen::Absent { .. } | Seen::Unmeasured { .. } | Seen::Report { values: None }) | None => false,
        Some(_) => true,
    }
}

fn in_look(check: &Check, look: &Look<'_>) -> Verdict {
    look.seen.get(&check.id.value).map_or_else(
        || Verdict::Error {
            message: "the look left it out".into(),
        },
        |seen| judge_check(check, seen),
    )
}

/// The verdict with a note of the looks it rests on, behind its evidence.
fn noted(verdict: Verdict, note: &str) -> Verdict {
    match verdict {
        Verdict::Pass { seen } => Verdict::Pass {
            seen: format!("{seen}, {note}"),
        },
        Verdict::Fail { want, got, because } => Verdict::Fail {
            want,
            got: format!("{got}, {note}"),
            because,
        },
        Verdict::Error { message } => Verdict::Error {
            message: format!("{message}, {note}"),
        },
        untouched @ (Verdict::Skip { .. } | Verdict::Inconclusive { .. }) => untouched,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use record::seen::CgroupValue;
    use serde_json::{Value, json};

    use super::*;

    const CASE: &str = "t@bundled";

    fn at(value: Value) -> Value {
        json!({"at": {"line": 1, "column": 1}, "value": value})
    }

    /// A check on the exit code of the step's own action: easy to make hold (0) and fail (anything else).
    fn wants_zero(id: &str) -> Value {
        at(json!({"id": at(json!(id)), "exit": {"code": 0}}))
    }

    fn step(window: Value, checks: &[&str]) -> Value {
        let mut step = window;
        if !checks.is_empty() {
            step["expect"] = checks.iter().map(|id| wants_zero(id)).collect();
        } else {
            step["script"] = json!({"run": "true"});
        }
        at(step)
    }

    fn once(checks: &[&str]) -> Value {
        step(json!({}), checks)
    }

    fn eventually(checks: &[&str]) -> Value {
        step(json!({"eventually": {"within": "1s"}}), checks)
    }

    fn consistently(checks: &[&str]) -> Value {
        step(json!({"consistently": {"for": "200ms"}}), checks)
    }

    fn spec(setup: &[Value], steps: &[Value], teardown: &[Value]) -> Test {
        serde_json::from_value(json!({
            "description": "d",
            "targets": [at(json!("runtime"))],
            "setup": setup,
            "steps": steps,
            "teardown": teardown,
        }))
        .unwrap()
    }

    fn begin(phase: &str, index: usize) -> Event {
        Event::Step {
            case: CASE.into(),
            phase: phase.into(),
            index,
            name: format!("{phase} number {index}"),
            t: 0.0,
        }
    }

    fn look(phase: &str, index: usize, n: u64, codes: &[(&str, i64)]) -> Event {
        let seen: BTreeMap<String, Seen> = codes
            .iter()
            .map(|(id, code)| {
                let exit = Seen::Exit {
                    running: false,
                    code: Some(*code),
                    signal: None,
                    reason: None,
                    source: "waitid".into(),
                };
                ((*id).to_owned(), exit)
            })
            .collect();
        Event::Look {
            case: CASE.into(),
            phase: phase.into(),
            index,
            n,
            t: n as f64 * 100.0,
            seen,
        }
    }

    fn broken(phase: &str, index: usize, subject: bool) -> Event {
        Event::Broken {
            case: CASE.into(),
            phase: phase.into(),
            index,
            subject,
            message: "create exits 1".into(),
        }
    }

    fn words(test_spec: &Test, events: &[Event]) -> Vec<(String, &'static str)> {
        test(CASE, test_spec, events, false)
            .into_iter()
            .map(|judged| (judged.check, judged.verdict.word()))
            .collect()
    }

    fn expect(test_spec: &Test, events: &[Event], expected: &[(&str, &str)]) {
        let got = words(test_spec, events);
        let got: Vec<(&str, &str)> = got.iter().map(|(id, word)| (id.as_str(), *word)).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn without_a_window_one_look_decides() {
        let test = spec(&[], &[once(&["a", "b"])], &[]);
        expect(
            &test,
            &[begin("steps", 0), look("steps", 0, 0, &[("a", 0), ("b", 1)])],
            &[("a", "pass"), ("b", "fail")],
        );
    }

    #[test]
    fn throttling_is_as_open_as_the_usage_that_it_bounds() {
        let throttled = |on: &str| {
            let wanted = json!({"cpu.throttledPeriods": {"gte": 3}});
            at(json!({"id": at(json!(format!("throttled-{on}"))), "on": at(json!(on)), "cgroup": wanted}))
        };
        let held =
            json!({"id": at(json!("held")), "sample": at(json!("usage")), "mean": {"approx": 0.2, "rel": "10%"}});
        let step = at(json!({
            "sample": {
                "id": at(json!("usage")), "on": at(json!("burner")), "metric": "cpu.usage", "window": "500ms", "count": 4,
            },
            "expect": [at(held), throttled("burner"), throttled("other")],
        }));
        let spec = spec(&[], &[step], &[]);
        let verdicts = |values: &[f64]| {
            let samples = Seen::Samples {
                values: values.to_vec(),
                unit: "ratio".into(),
                complete: true,
                plan: None,
                conditions: vec![],
            };
            let none = Seen::Cgroup {
                values: BTreeMap::from([(
                    "cpu.throttledPeriods".into(),
                    CgroupValue {
                        file: "cpu.stat".into(),
                        value: Some(json!(0)),
                    },
                )]),
            };
            let seen = [
                ("held", samples),
                ("throttled-burner", none.clone()),
                ("throttled-other", none),
            ];
            let look = Event::Look {
                case: CASE.into(),
                phase: "steps".into(),
                index: 0,
                n: 0,
                t: 0.0,
                seen: seen.into_iter().map(|(id, seen)| (id.into(), seen)).collect(),
            };
            let words: Vec<&str> = test(CASE, &spec, &[begin("steps", 0), look], false)
                .iter()
                .map(|judged| judged.verdict.word())
                .collect();
            words.join(" ")
        };
        assert_eq!(verdicts(&[0.2]), "inconclusive inconclusive fail");
        assert_eq!(verdicts(&[0.4, 0.4, 0.4, 0.4]), "fail fail fail");
    }

    #[test]
    fn eventually_passes_on_the_first_look_in_which_all_hold() {
        let spec = spec(&[], &[eventually(&["a", "b"])], &[]);
        let events = [
            begin("steps", 0),
            look("steps", 0, 0, &[("a", 1), ("b", 1)]),
            look("steps", 0, 1, &[("a", 0), ("b", 0)]),
        ];
        expect(&spec, &events, &[("a", "pass"), ("b", "pass")]);
        assert_eq!(test(CASE, &spec, &events, false)[0].looks, 2);
    }

    #[test]
    fn nothing_latches_in_eventually() {
        let test = spec(&[], &[eventually(&["a", "b"])], &[]);
        // Each held once, never both: the last look speaks.
        expect(
            &test,
            &[
                begin("steps", 0),
                look("steps", 0, 0, &[("a", 0), ("b", 1)]),
                look("steps", 0, 1, &[("a", 1), ("b", 0)]),
            ],
            &[("a", "fail"), ("b", "pass")],
        );
    }

    #[test]
    fn consistently_fails_on_the_first_violating_look() {
        let spec = spec(&[], &[consistently(&["a", "b"])], &[]);
        let events = [
            begin("steps", 0),
            look("steps", 0, 0, &[("a", 0), ("b", 0)]),
            look("steps", 0, 1, &[("a", 7), ("b", 0)]),
            look("steps", 0, 2, &[("a", 0), ("b", 0)]),
        ];
        expect(&spec, &events, &[("a", "fail"), ("b", "pass")]);
        let Verdict::Fail { got, .. } = &test(CASE, &spec, &events, false)[0].verdict else {
            panic!("must fail");
        };
        assert!(
            got.contains("exit code 7") && got.contains("look 2, held in 1 before"),
            "{got}"
        );
    }

    #[test]
    fn consistently_tells_how_many_looks_held() {
        let spec = spec(&[], &[consistently(&["a"])], &[]);
        let events = [
            begin("steps", 0),
            look("steps", 0, 0, &[("a", 0)]),
            look("steps", 0, 1, &[("a", 0)]),
        ];
        let Verdict::Pass { seen } = &test(CASE, &spec, &events, false)[0].verdict else {
            panic!("must pass");
        };
        assert!(seen.ends_with("2/2 looks in 200ms"), "{seen}");
    }

    #[test]
    fn consistently_does_not_pass_on_a_window_cut_short() {
        let test = spec(&[], &[consistently(&["a"])], &[]);
        expect(
            &test,
            &[begin("steps", 0), look("steps", 0, 0, &[("a", 0)])],
            &[("a", "error")],
        );
        expect(
            &test,
            &[
                begin("steps", 0),
                look("steps", 0, 0, &[("a", 0)]),
                look("steps", 0, 1, &[("a", 0)]),
                broken("steps", 0, true),
            ],
            &[("a", "fail")],
        );
    }

    #[test]
    fn a_check_that_was_never_looked_at_is_an_error() {
        let test = spec(&[], &[once(&["a"])], &[]);
        expect(&test, &[begin("steps", 0)], &[("a", "error")]);
        expect(&test, &[], &[("a", "error")]);
        expect(
            &test,
            &[begin("steps", 0), look("steps", 0, 0, &[("other", 0)])],
            &[("a", "error")],
        );
    }

    #[test]
    fn what_comes_after_a_failed_step_is_skipped() {
        let spec = spec(&[], &[once(&["a"]), once(&["b"]), once(&["c"])], &[]);
        let events = [begin("steps", 0), look("steps", 0, 0, &[("a", 1)])];
        expect(&spec, &events, &[("a", "fail"), ("b", "skip"), ("c", "skip")]);
        let Verdict::Skip {
            requirement,
            after_step: true,
            ..
        } = &test(CASE, &spec, &events, false)[2].verdict
        else {
            panic!("must be skipped");
        };
        assert_eq!(requirement, "after step steps number 0");
    }

    #[test]
    fn a_failed_setup_skips_the_steps() {
        let test = spec(&[once(&[])], &[once(&["a"])], &[]);
        expect(
            &test,
            &[begin("setup", 0), broken("setup", 0, true)],
            &[("step-setup-0", "fail"), ("a", "skip")],
        );
    }

    #[test]
    fn teardown_always_runs_and_is_judged() {
        let test = spec(&[], &[once(&["a"])], &[once(&["t"]), once(&["u"])]);
        expect(
            &test,
            &[
                begin("steps", 0),
                look("steps", 0, 0, &[("a", 1)]),
                begin("teardown", 0),
                look("teardown", 0, 0, &[("t", 1)]),
                begin("teardown", 1),
                look("teardown", 1, 0, &[("u", 0)]),
            ],
            &[("a", "fail"), ("t", "fail"), ("u", "pass")],
        );
        expect(
            &test,
            &[begin("steps", 0), look("steps", 0, 0, &[("a", 0)])],
            &[("a", "pass"), ("t", "error"), ("u", "error")],
        );
    }

    #[test]
    fn a_refused_action_fails_the_checks_that_had_no_look() {
        let test = spec(&[], &[once(&["a", "b"])], &[]);
        expect(
            &test,
            &[begin("steps", 0), broken("steps", 0, true)],
            &[("a", "fail"), ("b", "fail")],
        );
    }

    #[test]
    fn a_broken_step_fails_even_if_all_its_looks_hold() {
        let test = spec(&[], &[once(&["a"]), once(&["b"])], &[]);
        expect(
            &test,
            &[
                begin("steps", 0),
                look("steps", 0, 0, &[("a", 0)]),
                broken("steps", 0, true),
            ],
            &[("a", "pass"), ("step-steps-0", "fail"), ("b", "skip")],
        );
    }

    #[test]
    fn a_harness_that_broke_is_an_error_and_no_failure() {
        let test = spec(&[], &[once(&["a"]), once(&["b"])], &[]);
        expect(
            &test,
            &[begin("steps", 0), broken("steps", 0, false)],
            &[("a", "error"), ("b", "skip")],
        );
    }

    #[test]
    fn a_guard_that_broke_before_any_step_is_an_error() {
        let test = spec(&[], &[once(&["a"])], &[]);
        expect(
            &test,
            &[broken("setup", 0, false)],
            &[("step-setup-0", "error"), ("a", "skip")],
        );
    }

    fn unmet(step: Option<(&str, usize)>, check: Option<&str>, fault: bool) -> Event {
        Event::Unmet {
            case: CASE.into(),
            step: step.map(|(phase, index)| (phase.to_owned(), index)),
            check: check.map(str::to_owned),
            requirement: "cpus: >= 64".into(),
            seen: "2 CPUs".into(),
            fault,
        }
    }

    #[test]
    fn an_unmet_requirement_skips_the_case_the_step_or_the_check() {
        let test = spec(&[], &[once(&["a", "b"]), once(&["c"])], &[]);
        expect(
            &test,
            &[unmet(None, None, false)],
            &[("a", "skip"), ("b", "skip"), ("c", "skip")],
        );
        expect(
            &test,
            &[
                begin("steps", 0),
                look("steps", 0, 0, &[("a", 0), ("b", 0)]),
                unmet(Some(("steps", 1)), None, false),
            ],
            &[("a", "pass"), ("b", "pass"), ("c", "skip")],
        );
        expect(
            &test,
            &[
                begin("steps", 0),
                unmet(Some(("steps", 0)), Some("a"), false),
                look("steps", 0, 0, &[("b", 0)]),
                begin("steps", 1),
                look("steps", 1, 0, &[("c", 0)]),
            ],
            &[("a", "skip"), ("b", "pass"), ("c", "pass")],
        );
    }

    #[test]
    fn a_requirement_that_cannot_be_probed_is_an_error_and_no_skip() {
        let test = spec(&[], &[once(&["a"])], &[]);
        expect(&test, &[unmet(None, None, true)], &[("a", "error")]);
        let test = spec(&[once(&[])], &[once(&["a"])], &[]);
        expect(
            &test,
            &[begin("setup", 0), unmet(Some(("setup", 0)), None, true)],
            &[("step-setup-0", "error"), ("a", "skip")],
        );
    }

    #[test]
    fn events_of_other_cases_do_not_count() {
        let test = spec(&[], &[once(&["a"])], &[]);
        let mut stray = look("steps", 0, 0, &[("a", 0)]);
        if let Event::Look { case, .. } = &mut stray {
            *case = "other@bundled".into();
        }
        expect(&test, &[begin("steps", 0), stray], &[("a", "error")]);
    }

    #[test]
    fn collectors_that_did_not_run_leave_no_verdict() {
        let mut test = spec(&[], &[once(&["a"])], &[]);
        test.on_failure = spec(&[], &[once(&["f"])], &[]).steps;
        expect(
            &test,
            &[begin("steps", 0), look("steps", 0, 0, &[("a", 0)])],
            &[("a", "pass")],
        );
    }
}
