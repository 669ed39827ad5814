//! How something ended.

use record::{Seen, Verdict};
use serde_json::Value;
use spec::check::ExitCheck;

use super::{evidence::Evidence, matcher::Unit};

pub(super) fn judge(want: &ExitCheck, seen: &Seen) -> Option<Verdict> {
    let Seen::Exit {
        running,
        code,
        signal,
        reason,
        source,
    } = seen
    else {
        return None;
    };
    let parts = [
        ("code", &want.code, code.map(Value::from)),
        ("signal", &want.signal, signal.clone().map(Value::from)),
        ("reason", &want.reason, reason.clone().map(Value::from)),
    ];
    let mut evidence = Evidence::default();
    for (what, want, value) in parts {
        let Some(want) = want else { continue };
        if *running {
            evidence.missed(format!("exit {what} {want}"), format!("still running ({source})"));
        } else {
            evidence.compare(&format!("exit {what}"), want, value.as_ref(), Unit::Plain, source);
        }
    }
    Some(evidence.verdict())
}

#[cfg(test)]
mod tests {
    use spec::Matcher;

    use super::*;

    fn ended(running: bool, code: i64, signal: &str) -> Seen {
        Seen::Exit {
            running,
            code: (!running).then_some(code),
            signal: (!running).then(|| signal.into()),
            reason: (!running).then(|| "OOMKilled".into()),
            source: "waitid".into(),
        }
    }

    fn killed() -> ExitCheck {
        ExitCheck {
            code: Some(Matcher::eq(137)),
            signal: Some(Matcher::eq("SIGKILL")),
            reason: Some(Matcher::eq("OOMKilled")),
        }
    }

    #[test]
    fn code_signal_and_reason_must_all_hold() {
        assert_eq!(
            judge(&killed(), &ended(false, 137, "SIGKILL")),
            Some(Verdict::Pass {
                seen: "exit code 137 (waitid), exit signal SIGKILL (waitid), exit reason OOMKilled (waitid)".into()
            })
        );
        let Some(Verdict::Fail { want, got, .. }) = judge(&killed(), &ended(false, 0, "none")) else {
            panic!("must fail");
        };
        assert_eq!(want, "exit code 137, exit signal SIGKILL");
        assert_eq!(got, "exit code 0 (waitid), exit signal none (waitid)");
    }

    #[test]
    fn what_still_runs_has_not_ended() {
        let not_zero = ExitCheck {
            code: serde_json::from_str(r#"{"ne":0}"#).unwrap(),
            ..ExitCheck::default()
        };
        let Some(Verdict::Fail { got, .. }) = judge(&not_zero, &ended(true, 0, "")) else {
            panic!("must fail");
        };
        assert_eq!(got, "still running (waitid)");
    }
}
