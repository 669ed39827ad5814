//! Signals.

use serde_json::Value;

use crate::call::Call;
use crate::catalogue::{Fault, verb};
use crate::error::Result;

const AREA: &[&str] = &["kill", "state"];

pub(crate) const ALL: &[Fault] = &[
    verb(
        "kill-ignored",
        &["kill", "state", "pid", "process"],
        "says 0 and sends no signal",
        |call| super::exec::skipped(call, "kill"),
    ),
    verb(
        "kill-term-becomes-kill",
        AREA,
        "sends SIGKILL where SIGTERM was asked for",
        |call| instead(call, &["TERM", "15"], "KILL"),
    ),
    verb(
        "kill-kill-becomes-term",
        &["kill", "state", "process"],
        "sends SIGTERM where SIGKILL was asked for",
        |call| instead(call, &["KILL", "9"], "TERM"),
    ),
    verb(
        "kill-always-kill",
        AREA,
        "sends SIGKILL whatever was asked for",
        |call| any(call, "KILL"),
    ),
    verb(
        "kill-always-term",
        AREA,
        "sends SIGTERM whatever was asked for",
        |call| any(call, "TERM"),
    ),
    verb(
        "kill-numbers-off-by-one",
        AREA,
        "sends the next signal where a number was asked for",
        |call| {
            let Some(number) = asked(call).and_then(|signal| signal.parse::<u32>().ok()) else {
                return Ok(None);
            };
            sent(call, &(number + 1).to_string())
        },
    ),
    verb(
        "kill-all-only-init",
        AREA,
        "sends a signal to the first process where all were meant",
        |call| {
            if call.verb() != "kill" || !call.line.has("all") {
                return Ok(None);
            }
            let mut line = call.line.clone();
            line.drop("all");
            call.changed("left out --all")?;
            call.relay(&line.argv()).map(Some)
        },
    ),
    verb("kill-twice", AREA, "sends every signal twice", |call| {
        if call.verb() != "kill" {
            return Ok(None);
        }
        let first = call.relay(&call.line.argv())?;
        if first == 0 {
            // The second may find nobody.
            let _second = call.ask(
                "kill",
                &[],
                &[call.line.id().unwrap_or_default(), asked(call).unwrap_or("TERM")],
            )?;
            call.changed("sent the signal twice")?;
        }
        Ok(Some(first))
    }),
    verb(
        "kill-of-stopped-accepted",
        &["kill", "errors", "state"],
        "says 0 for a signal to a stopped container",
        |call| accepted(call, |state| state["status"] == "stopped"),
    ),
    verb(
        "kill-of-missing-accepted",
        &["kill", "errors"],
        "says 0 for a signal to a container that is not there",
        |call| {
            if call.verb() != "kill" || call.state().is_some() {
                return Ok(None);
            }
            call.changed("said 0")?;
            Ok(Some(0))
        },
    ),
    verb(
        "kill-of-created-refused",
        AREA,
        "refuses a signal to a created container",
        |call| {
            if call.verb() != "kill" || call.state().is_none_or(|state| state["status"] != "created") {
                return Ok(None);
            }
            call.changed("refused the signal")?;
            Ok(Some(1))
        },
    ),
    verb(
        "kill-unknown-signal-accepted",
        &["kill", "errors"],
        "says 0 for a signal that there is none of",
        |call| {
            if call.verb() != "kill" {
                return Ok(None);
            }
            let code = call.relay(&call.line.argv())?;
            if code != 0 && call.state().is_some_and(|state| state["status"] != "stopped") {
                call.changed(&format!("said 0 in place of {code}"))?;
                return Ok(Some(0));
            }
            Ok(Some(code))
        },
    ),
    verb("kill-says-1", AREA, "sends the signal and says 1", |call| {
        if call.verb() != "kill" {
            return Ok(None);
        }
        call.relay(&call.line.argv())?;
        call.changed("said 1")?;
        Ok(Some(1))
    }),
];

/// The signal asked for, without `SIG`.
fn asked(call: &Call) -> Option<&str> {
    if call.verb() != "kill" {
        return None;
    }
    let signal = call.line.words.get(1)?.to_str()?;
    Some(signal.strip_prefix("SIG").unwrap_or(signal))
}

fn instead(call: &Call, of: &[&str], other: &str) -> Result<Option<i32>> {
    match asked(call) {
        Some(signal) if of.contains(&signal) => sent(call, other),
        _ => Ok(None),
    }
}

fn any(call: &Call, other: &str) -> Result<Option<i32>> {
    match asked(call) {
        Some(signal) if signal != other => sent(call, other),
        _ => Ok(None),
    }
}

fn sent(call: &Call, other: &str) -> Result<Option<i32>> {
    let mut line = call.line.clone();
    if let Some(word) = line.words.get_mut(1) {
        call.changed(&format!("sent {other} in place of {}", word.to_string_lossy()))?;
        *word = other.into();
    }
    call.relay(&line.argv()).map(Some)
}

fn accepted(call: &Call, when: impl Fn(&Value) -> bool) -> Result<Option<i32>> {
    if call.verb() != "kill" || !call.state().is_some_and(|state| when(&state)) {
        return Ok(None);
    }
    call.changed("said 0")?;
    Ok(Some(0))
}
