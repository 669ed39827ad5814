//! Control group values by normalised key.

use std::collections::BTreeMap;

use record::{Seen, Verdict};
use spec::{Matcher, Op};

use super::{evidence::Evidence, matcher::Unit};

pub(super) fn judge(want: &BTreeMap<String, Matcher>, seen: &Seen) -> Option<Verdict> {
    let Seen::Cgroup { values } = seen else {
        return None;
    };
    let mut evidence = Evidence::default();
    for (key, want) in want {
        let Some(seen) = values.get(key) else {
            evidence.fault(format!("{key} was not looked at"));
            continue;
        };
        let asks_for_presence = want.0.iter().all(|op| matches!(op, Op::Exists(_)));
        if seen.value.is_none() && !asks_for_presence {
            evidence.fault(format!("{key}: no such file on this host ({})", seen.file));
            continue;
        }
        evidence.compare(key, want, seen.value.as_ref(), unit(key), &seen.file);
    }
    Some(evidence.verdict())
}

/// The unit in which `observe` records a key's value.
fn unit(key: &str) -> Unit {
    match key {
        "memory.peak" | "memory.current" | "memory.max" | "memory.low" | "memory.reservation" | "memory.swapMax"
        | "io.readBytes" | "io.writeBytes" => Unit::Bytes,
        "cpu.usage" | "cpu.throttledTime" | "cpu.quota" | "cpu.period" | "cpu.burst" => Unit::Seconds,
        other if other.starts_with("hugetlb.") => Unit::Bytes,
        _ => Unit::Plain,
    }
}

#[cfg(test)]
mod tests {
    use record::seen::CgroupValue;
    use serde_json::{Value, json};

    use super::*;

    fn verdict(want: Value, key: &str, value: Option<Value>) -> Verdict {
        let seen = Seen::Cgroup {
            values: [(
                key.to_owned(),
                CgroupValue {
                    file: "/sys/fs/cgroup/x/file".into(),
                    value,
                },
            )]
            .into(),
        };
        judge(&serde_json::from_value(want).unwrap(), &seen).unwrap()
    }

    #[test]
    fn evidence_names_the_file_really_read() {
        assert_eq!(
            verdict(
                json!({"memory.peak": {"lte": "32Mi"}}),
                "memory.peak",
                Some(json!(32 << 20))
            ),
            Verdict::Pass {
                seen: "memory.peak 32Mi (33554432 bytes) (/sys/fs/cgroup/x/file)".into()
            }
        );
        assert!(matches!(
            verdict(
                json!({"memory.peak": {"lte": "32Mi"}}),
                "memory.peak",
                Some(json!((32 << 20) + 1))
            ),
            Verdict::Fail { .. }
        ));
    }

    #[test]
    fn a_file_that_this_host_has_not_is_an_error_unless_presence_is_the_question() {
        assert!(matches!(
            verdict(json!({"memory.peak": {"lte": 1}}), "memory.peak", None),
            Verdict::Error { .. }
        ));
        assert!(matches!(
            verdict(json!({"memory.peak": {"exists": false}}), "memory.peak", None),
            Verdict::Pass { .. }
        ));
        assert!(matches!(
            verdict(json!({"memory.peak": {"exists": true}}), "memory.peak", None),
            Verdict::Fail { .. }
        ));
        assert!(matches!(
            verdict(json!({"pids.max": 1}), "memory.peak", None),
            Verdict::Error { .. }
        ));
    }

    #[test]
    fn each_key_has_its_unit() {
        for (key, expected) in [
            ("memory.peak", Unit::Bytes),
            ("memory.oomKills", Unit::Plain),
            ("hugetlb.2MB.max", Unit::Bytes),
            ("pids.max", Unit::Plain),
            ("cpu.throttledPeriods", Unit::Plain),
            ("cpu.throttledTime", Unit::Seconds),
            ("cpu.quota", Unit::Seconds),
            ("cpu.shares", Unit::Plain),
            ("cpuset.cpus", Unit::Plain),
        ] {
            assert_eq!(unit(key), expected, "{key}");
        }
    }
}
