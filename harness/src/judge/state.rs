//! The life-cycle state: the runtime's word and the kernel must agree.

use record::{Seen, Verdict, seen::KernelState};
use serde_json::Value;
use spec::Matcher;

use super::{evidence::Evidence, matcher::Unit};

pub(super) fn judge(want: &Matcher, on: Option<&str>, seen: &Seen) -> Option<Verdict> {
    let Seen::State { runtime, told, kernel } = seen else {
        return None;
    };
    let who = on.unwrap_or("container");
    let word = runtime.as_deref();
    let said = match word {
        Some(word) => match other_pid(*told, kernel) {
            Some(pid) => format!("runtime says {word}, pid {pid}"),
            None => format!("runtime says {word}"),
        },
        None => "runtime knows no such container".to_owned(),
    };
    let shown = format!("kernel shows {}", describe(kernel));
    let mut evidence = Evidence::default();
    match agreed(word, *told, kernel) {
        Some(state) => evidence.compare(
            &format!("{who}'s state"),
            want,
            Some(&Value::from(state)),
            Unit::Plain,
            &format!("{said}, {shown}"),
        ),
        // Whatever is asked for: a state on which the two do not agree is none.
        None => {
            evidence.missed(format!("{who}'s state {want}"), format!("disagree: {said}, {shown}"));
            evidence.because("the runtime's word and the kernel do not agree");
        }
    }
    Some(evidence.verdict())
}

/// What the runtime says and what the kernel shows, if they do not agree.
pub(super) fn disagreement(seen: &Seen) -> Option<String> {
    let Seen::State { runtime, told, kernel } = seen else {
        return None;
    };
    if agreed(runtime.as_deref(), *told, kernel).is_some() {
        return None;
    }
    let said = runtime
        .as_deref()
        .map_or_else(|| "knows no such container".to_owned(), |word| format!("says `{word}`"));
    let said = other_pid(*told, kernel).map_or(said.clone(), |pid| format!("{said} and pid {pid}"));
    Some(format!("its `state` {said}, the kernel shows {}", describe(kernel)))
}

/// The pid that was told, if the process has another. A stopped container has none, whatever is told.
fn other_pid(told: Option<i64>, kernel: &KernelState) -> Option<i64> {
    told.filter(|told| kernel.alive && kernel.pid.map(i64::from) != Some(*told))
}

/// The state on which both agree.
fn agreed(word: Option<&str>, told: Option<i64>, kernel: &KernelState) -> Option<&'static str> {
    if other_pid(told, kernel).is_some() {
        return None;
    }
    match word {
        Some("running") => {
            (kernel.alive && kernel.payload && !kernel.frozen && kernel.in_cgroup != Some(false)).then_some("running")
        }
        Some("created") => (kernel.alive && !kernel.payload).then_some("created"),
        Some("stopped") => (!kernel.alive).then_some("stopped"),
        Some("paused") => (kernel.alive && kernel.frozen).then_some("paused"),
        Some(_) => None,
        None => (!kernel.alive).then_some("missing"),
    }
}

fn describe(kernel: &KernelState) -> String {
    let pid = kernel
        .pid
        .map_or_else(|| "no process".to_owned(), |pid| format!("pid {pid}"));
    if kernel.pid.is_none() && !kernel.alive {
        return pid;
    }
    if !kernel.alive {
        return format!("{pid} dead");
    }
    let mut parts = vec![
        "alive",
        if kernel.payload {
            "payload runs"
        } else {
            "payload not yet executed"
        },
    ];
    if kernel.frozen {
        parts.push("frozen");
    }
    if kernel.in_cgroup == Some(false) {
        parts.push("outside its cgroup");
    }
    format!("{pid} {}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(alive: bool, payload: bool, frozen: bool) -> KernelState {
        KernelState {
            pid: Some(4711),
            alive,
            payload,
            frozen,
            in_cgroup: None,
        }
    }

    fn verdict(want: Matcher, runtime: Option<&str>, kernel: KernelState) -> Verdict {
        judge(
            &want,
            Some("app"),
            &Seen::State {
                runtime: runtime.map(str::to_owned),
                told: None,
                kernel,
            },
        )
        .unwrap()
    }

    #[test]
    fn each_state_needs_the_word_and_the_kernel() {
        for (state, word, alive, payload, frozen) in [
            ("running", Some("running"), true, true, false),
            ("created", Some("created"), true, false, false),
            ("stopped", Some("stopped"), false, false, false),
            ("paused", Some("paused"), true, true, true),
            ("missing", None, false, false, false),
        ] {
            let agreed = verdict(Matcher::eq(state), word, kernel(alive, payload, frozen));
            assert!(matches!(agreed, Verdict::Pass { .. }), "{state}: {agreed:?}");
            let only_the_word = verdict(Matcher::eq(state), word, kernel(!alive, payload, !frozen));
            assert!(
                matches!(only_the_word, Verdict::Fail { .. }),
                "{state}: {only_the_word:?}"
            );
            for other in ["running", "created", "stopped", "paused", "missing"] {
                if other != state {
                    let other = verdict(Matcher::eq(other), word, kernel(alive, payload, frozen));
                    assert!(matches!(other, Verdict::Fail { .. }), "{state}: {other:?}");
                }
            }
        }
    }

    #[test]
    fn another_pid_than_that_of_its_process_is_a_disagreement() {
        let judged = |told, alive| {
            let seen = Seen::State {
                runtime: Some(if alive { "running" } else { "stopped" }.into()),
                told: Some(told),
                kernel: kernel(alive, true, false),
            };
            let want = Matcher::eq(if alive { "running" } else { "stopped" });
            judge(&want, Some("app"), &seen).unwrap()
        };
        assert!(matches!(judged(4711, true), Verdict::Pass { .. }));
        let Verdict::Fail { got, .. } = judged(4712, true) else {
            panic!("must fail");
        };
        assert_eq!(
            got,
            "disagree: runtime says running, pid 4712, kernel shows pid 4711 alive, payload runs"
        );
        // What a stopped container's pid is, the specification leaves open.
        assert!(matches!(judged(0, false), Verdict::Pass { .. }));
    }

    #[test]
    fn a_disagreement_says_who_says_what() {
        let Verdict::Fail { got, because, .. } =
            verdict(Matcher::eq("running"), Some("running"), kernel(false, true, false))
        else {
            panic!("must fail");
        };
        assert_eq!(got, "disagree: runtime says running, kernel shows pid 4711 dead");
        assert!(because.is_some());
    }

    #[test]
    fn a_disagreement_fails_even_what_it_is_not() {
        let not_running: Matcher = serde_json::from_str(r#"{"ne":"running"}"#).unwrap();
        assert!(matches!(
            verdict(not_running, Some("running"), kernel(false, true, false)),
            Verdict::Fail { .. }
        ));
    }

    #[test]
    fn a_process_outside_its_cgroup_does_not_run_there() {
        let mut outside = kernel(true, true, false);
        outside.in_cgroup = Some(false);
        assert!(matches!(
            verdict(Matcher::eq("running"), Some("running"), outside),
            Verdict::Fail { .. }
        ));
    }

    #[test]
    fn one_of_several_states_may_be_asked_for() {
        let either: Matcher = serde_json::from_str(r#"{"oneOf":["stopped","missing"]}"#).unwrap();
        assert!(matches!(
            verdict(either, None, kernel(false, false, false)),
            Verdict::Pass { .. }
        ));
    }
}
