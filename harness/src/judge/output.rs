//! What was written to standard output and error.

use record::{Seen, Verdict};
use serde_json::Value;
use spec::check::OutputCheck;

use super::{evidence::Evidence, matcher::Unit, path};

pub(super) fn judge(want: &OutputCheck, seen: &Seen) -> Option<Verdict> {
    let Seen::Output { stdout, stderr } = seen else {
        return None;
    };
    let mut evidence = Evidence::default();
    for (what, want, text) in [("stdout", &want.stdout, stdout), ("stderr", &want.stderr, stderr)] {
        if let Some(want) = want {
            evidence.compare(what, want, Some(&Value::from(text.as_str())), Unit::Plain, "");
        }
    }
    if !want.json.is_empty() {
        match serde_json::from_str::<Value>(stdout) {
            Ok(document) => {
                for (place, want) in &want.json {
                    evidence.compare(place, want, path::find(&document, place), Unit::Plain, "stdout as JSON");
                }
            }
            Err(error) => evidence.missed(
                "stdout to be one JSON document".into(),
                format!("stdout {} ({error})", Unit::Plain.show(&Value::from(stdout.as_str()))),
            ),
        }
    }
    Some(evidence.verdict())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn verdict(want: Value, stdout: &str) -> Verdict {
        judge(
            &serde_json::from_value(want).unwrap(),
            &Seen::Output {
                stdout: stdout.into(),
                stderr: "no such container\n".into(),
            },
        )
        .unwrap()
    }

    #[test]
    fn both_streams_are_compared() {
        let want = json!({"stdout": "hello", "stderr": {"contains": "no such"}});
        assert!(matches!(verdict(want.clone(), "hello\n"), Verdict::Pass { .. }));
        assert!(matches!(verdict(want, "hallo\n"), Verdict::Fail { .. }));
    }

    #[test]
    fn paths_lead_into_a_json_document() {
        let want = json!({"json": {"status": "running", "pid": {"gt": 0}}});
        assert!(matches!(
            verdict(want.clone(), r#"{"status":"running","pid":7}"#),
            Verdict::Pass { .. }
        ));
        assert!(matches!(
            verdict(want.clone(), r#"{"status":"running"}"#),
            Verdict::Fail { .. }
        ));
        let Verdict::Fail { want, .. } = verdict(want, "garbage") else {
            panic!("must fail");
        };
        assert_eq!(want, "stdout to be one JSON document");
    }
}
