//! What the probe told about itself.

use std::collections::BTreeMap;

use record::{Seen, Verdict};
use spec::Matcher;

use super::{evidence::Evidence, matcher::Unit, path};

pub(super) fn judge(want: &BTreeMap<String, Matcher>, seen: &Seen) -> Option<Verdict> {
    let Seen::Report { values } = seen else {
        return None;
    };
    let mut evidence = Evidence::default();
    match values {
        None => evidence.fault("the workload told nothing about itself that carries the nonce of the run".into()),
        Some(values) => {
            for (place, want) in want {
                evidence.compare(
                    place,
                    want,
                    path::find(values, place),
                    Unit::Plain,
                    "told by the workload",
                );
            }
        }
    }
    Some(evidence.verdict())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn verdict(want: Value, values: Option<Value>) -> Verdict {
        judge(&serde_json::from_value(want).unwrap(), &Seen::Report { values }).unwrap()
    }

    #[test]
    fn a_value_that_was_not_told_fails() {
        let want = json!({"ids.uid": 0, "fds": {"exactly": [0, 1, 2]}});
        let told = json!({"ids": {"uid": 0}, "fds": [2, 1, 0]});
        assert!(matches!(verdict(want.clone(), Some(told)), Verdict::Pass { .. }));
        assert!(matches!(verdict(want, Some(json!({}))), Verdict::Fail { .. }));
    }

    #[test]
    fn without_a_line_there_is_no_observation() {
        assert!(matches!(
            verdict(json!({"a": {"exists": false}}), None),
            Verdict::Error { .. }
        ));
    }
}
