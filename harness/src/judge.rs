//! The pure judge: from what a look saw to a verdict. No files, no clock, no retries.
//!
//! `drive` asks [`check`] after each look whether to go on; [`case`] computes the final verdicts from recorded events,
//! during a run and again years later from `run.jsonl`.

pub(crate) mod benchmark;
mod cgroup;
mod evidence;
mod exit;
mod file;
pub mod fold;
pub mod matcher;
mod mounts;
mod namespace;
mod network;
mod object;
mod output;
pub(crate) mod packets;
pub(crate) mod path;
mod placement;
mod pod;
mod process;
mod report;
mod state;
pub mod statistic;

use std::collections::BTreeMap;

use record::{Event, Seen, Verdict};
use spec::{Check, Step, Subject};

pub use benchmark::samples_of;
pub use fold::Judged;

use crate::plan::Case;
use crate::{explain, reference};

/// Judges one check by what one look saw.
///
/// What is not there fails, what could not be measured is an error, and so is a look that saw another thing than the
/// check is about.
pub fn check(check: &Check, seen: &Seen) -> Verdict {
    match seen {
        Seen::Absent { what } => {
            return Verdict::Fail {
                want: format!("{} to look at", check.subject.key()),
                got: what.clone(),
                because: check.because.clone(),
            };
        }
        Seen::Unmeasured { why } => return Verdict::Error { message: why.clone() },
        Seen::State { .. }
        | Seen::Exit { .. }
        | Seen::Output { .. }
        | Seen::Report { .. }
        | Seen::Processes { .. }
        | Seen::Namespaces { .. }
        | Seen::Mounts { .. }
        | Seen::Cgroup { .. }
        | Seen::Network { .. }
        | Seen::File { .. }
        | Seen::Placement { .. }
        | Seen::Pods { .. }
        | Seen::Object { .. }
        | Seen::Events { .. }
        | Seen::Replicas { .. }
        | Seen::Logs { .. }
        | Seen::Attempts { .. }
        | Seen::Answers { .. }
        | Seen::Endpoints { .. }
        | Seen::Samples { .. } => {}
    }
    let with_values;
    let check = match seen.references() {
        Some(references) if !references.is_empty() => match reference::placed(check, references) {
            Ok(placed) => {
                with_values = placed;
                &with_values
            }
            Err(message) => return Verdict::Error { message },
        },
        _ => check,
    };
    let on = check.on.as_ref().map(|on| on.value.as_str());
    let verdict = match &check.subject {
        Subject::State(want) => state::judge(want, on, seen),
        Subject::Exit(want) => exit::judge(want, seen),
        Subject::Output(want) => output::judge(want, seen),
        Subject::Report(want) => report::judge(want, seen),
        Subject::Process(want) => process::judge(want, seen),
        Subject::Namespace(want) => namespace::judge(want, on, seen),
        Subject::Mounts(want) => mounts::judge(want, seen),
        Subject::Cgroup(want) => cgroup::judge(want, seen),
        Subject::Network(want) => network::judge(want, seen),
        Subject::File(want) => file::judge(want, seen),
        Subject::Statistic(which, want) => statistic::judge(*which, want, seen),
        Subject::Placement(want) => placement::judge(want, on, seen),
        Subject::Pod(want) => pod::judge(want, on, seen),
        Subject::Ready(want) => pod::ready(want, on, seen),
        Subject::Object(want) => object::judge(want, on, seen),
        Subject::Exists(want) => object::exists(*want, on, seen),
        Subject::Events(want) => object::events(want, seen),
        Subject::Replicas(want) => object::replicas(want, on, seen),
        Subject::Logs(want) => object::logs(want, on, seen),
        Subject::Connection(want) => packets::connection::judge(want, seen),
        Subject::Responses(want) => packets::responses::judge(want, seen),
        Subject::Dns(want) => packets::answers::judge(want, seen),
        Subject::Endpoints(want) => packets::endpoints::judge(want, seen),
        Subject::Reachability(want) => packets::reachability::judge(want, seen),
    };
    match verdict {
        Some(Verdict::Fail { want, got, because }) => Verdict::Fail {
            want,
            got,
            because: because.or_else(|| check.because.clone()),
        },
        Some(other) => other,
        None => Verdict::Error {
            message: format!(
                "the look saw {}, the check is about `{}`",
                kind(seen),
                check.subject.key()
            ),
        },
    }
}

/// The final verdicts of a case, from the events that carry its id. Events of other cases may be among them.
pub fn case(case: &Case, events: &[Event]) -> Vec<Judged> {
    if let Some(measured) = &case.measured {
        return benchmark::case(case, measured, events);
    }
    let mut judged = fold::test(&case.header.id, &case.spec, events, case.header.proving);
    // Of a proof it counts that a check failed, and no evidence is kept.
    if !case.header.proving {
        explain::complete(case, events, &mut judged);
    }
    judged
}

/// The events that tell the verdicts of a case, known failures of its subject marked as such, and the figures of a
/// benchmark.
pub fn verdicts(of: &Case, events: &[Event]) -> Vec<Event> {
    let measured = of.measured.as_ref();
    let figures = measured.and_then(|measured| benchmark::figures(of, measured, events));
    let verdicts = case(of, events).into_iter().map(|judged| Event::Verdict {
        case: of.header.id.clone(),
        known: of.known.get(&judged.check).cloned(),
        check: judged.check,
        looks: judged.looks,
        absent: judged.absent && matches!(judged.verdict, Verdict::Fail { .. } | Verdict::Error { .. }),
        verdict: judged.verdict,
    });
    figures.into_iter().chain(verdicts).collect()
}

/// Where the subject's word on a state and the kernel do not agree: both.
pub(crate) fn disagreement(seen: &Seen) -> Option<String> {
    state::disagreement(seen)
}

/// Whether every check of the step holds in this look. A check that the look did not see does not hold.
pub fn step_holds(step: &Step, seen: &BTreeMap<String, Seen>) -> bool {
    step.expect.iter().all(|wanted| {
        seen.get(&wanted.id.value)
            .is_some_and(|seen| matches!(check(wanted, seen), Verdict::Pass { .. }))
    })
}

/// Whether a statistic among the checks is still open while more samples may be drawn.
pub fn wants_more_samples<'a>(checks: impl IntoIterator<Item = &'a Check>, seen: &BTreeMap<String, Seen>) -> bool {
    checks.into_iter().any(|wanted| match seen.get(&wanted.id.value) {
        Some(samples @ Seen::Samples { complete: false, .. }) => {
            matches!(check(wanted, samples), Verdict::Inconclusive { .. })
        }
        _ => false,
    })
}

/// Whether a check of the step looks at the outcome of the step's own action, so that a refusal is an observation and
/// not a failure of the step.
pub fn looks_at_action(step: &Step) -> bool {
    step.expect
        .iter()
        .any(|wanted| wanted.on.is_none() && matches!(wanted.subject, Subject::Exit(_) | Subject::Output(_)))
}

fn kind(seen: &Seen) -> &'static str {
    match seen {
        Seen::State { .. } => "a state",
        Seen::Exit { .. } => "an exit",
        Seen::Output { .. } => "an output",
        Seen::Report { .. } => "a report",
        Seen::Processes { .. } => "processes",
        Seen::Namespaces { .. } => "namespaces",
        Seen::Mounts { .. } => "mounts",
        Seen::Cgroup { .. } => "cgroup values",
        Seen::Network { .. } => "a network",
        Seen::File { .. } => "a file",
        Seen::Samples { .. } => "samples",
        Seen::Placement { .. } => "a placement",
        Seen::Pods { .. } => "pods",
        Seen::Object { .. } => "an object",
        Seen::Events { .. } => "events",
        Seen::Replicas { .. } => "replicas",
        Seen::Logs { .. } => "logs",
        Seen::Attempts { .. } => "attempts",
        Seen::Answers { .. } => "answers of name servers",
        Seen::Endpoints { .. } => "endpoints",
        Seen::Absent { .. } => "nothing",
        Seen::Unmeasured { .. } => "nothing that could be measured",
    }
}

/// A check from JSON as a person writes it: what bears a place in a file gets one.
#[cfg(test)]
fn placed<T: serde::de::DeserializeOwned>(mut json: serde_json::Value) -> T {
    use serde_json::{Value, json};
    let at = |value: &Value| json!({"at": {"line": 0, "column": 0}, "value": value});
    for (key, value) in json.as_object_mut().into_iter().flatten() {
        match (key.as_str(), &mut *value) {
            ("sameNodeAs" | "apartFrom", _) => *value = at(value),
            ("nodeIn" | "notOn" | "preempted", Value::Array(list)) => {
                list.iter_mut().for_each(|element| *element = at(element));
            }
            _ => {}
        }
    }
    serde_json::from_value(json).expect("the test writes a check")
}
