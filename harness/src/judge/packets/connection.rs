//! What came of each attempt to connect or to send.

use record::{Seen, Verdict};
use serde_json::Value;
use spec::Matcher;

use super::super::{
    evidence::Evidence,
    matcher::{Finding, Unit, holds},
};
use super::{all_made, tally, told};

pub(in crate::judge) fn judge(want: &Matcher, seen: &Seen) -> Option<Verdict> {
    let Seen::Attempts { list, wanted, .. } = seen else {
        return None;
    };
    let mut evidence = Evidence::default();
    all_made(list, *wanted, &mut evidence);
    let mut others = Vec::new();
    for attempt in list {
        match holds(want, Some(&Value::from(attempt.outcome.as_str())), Unit::Plain) {
            Finding::Holds => {}
            Finding::Misses => others.push(attempt),
            Finding::Unfit(why) => {
                evidence.fault(format!("connection: {why}"));
                break;
            }
        }
    }
    match (others.first(), list.as_slice()) {
        (Some(first), [_]) => evidence.missed(format!("connection {want}"), told(first)),
        (Some(first), all) => evidence.missed(
            format!("each of {} connections {want}", all.len()),
            format!("{}; first {}", tally(all), told(first)),
        ),
        (None, []) => {}
        (None, [only]) => evidence.held(told(only)),
        (None, [first, ..]) => evidence.held(format!("{} ({} to {})", tally(list), first.from, first.to)),
    }
    Some(evidence.verdict())
}

#[cfg(test)]
mod tests {
    use record::packets::AttemptSeen;
    use serde_json::json;

    use super::*;

    fn seen(outcomes: &[&str], wanted: u64) -> Seen {
        let attempt = |outcome: &&str| AttemptSeen {
            from: "client".into(),
            to: "svc:81".into(),
            address: Some("10.96.0.7:81".into()),
            outcome: (*outcome).into(),
            errno: (*outcome == "refused").then(|| "ECONNREFUSED".into()),
            micros: 90,
            ..AttemptSeen::default()
        };
        Seen::Attempts {
            list: outcomes.iter().map(attempt).collect(),
            wanted,
            references: [].into(),
        }
    }

    fn verdict(want: Value, seen: &Seen) -> Verdict {
        judge(&serde_json::from_value(want).unwrap(), seen).unwrap()
    }

    #[test]
    fn a_refusal_is_told_with_its_address_and_errno() {
        let refused = seen(&["refused"], 1);
        assert_eq!(
            verdict(json!({"oneOf": ["refused", "timeout"]}), &refused),
            Verdict::Pass {
                seen: "client to svc:81 (10.96.0.7:81): refused, ECONNREFUSED after 90 µs".into()
            }
        );
        let Verdict::Fail { want, got, .. } = verdict(json!("connected"), &refused) else {
            panic!("must fail");
        };
        assert_eq!(want, "connection connected");
        assert_eq!(
            got,
            "client to svc:81 (10.96.0.7:81): refused, ECONNREFUSED after 90 µs"
        );
    }

    #[test]
    fn every_attempt_must_be_as_wanted() {
        let mixed = seen(&["connected", "refused", "connected"], 3);
        let Verdict::Fail { want, got, .. } = verdict(json!("connected"), &mixed) else {
            panic!("must fail");
        };
        assert_eq!(want, "each of 3 connections connected");
        assert!(
            got.starts_with("2 connected, 1 refused; first client to svc:81"),
            "{got}"
        );
        assert!(matches!(
            verdict(json!("connected"), &seen(&["connected"; 3], 3)),
            Verdict::Pass { .. }
        ));
    }

    #[test]
    fn attempts_that_were_not_made_are_felt_whatever_is_wanted() {
        for want in ["timeout", "connected"] {
            assert!(matches!(
                verdict(json!(want), &seen(&["timeout"], 5)),
                Verdict::Fail { .. }
            ));
        }
        assert!(matches!(
            verdict(json!("timeout"), &seen(&[], 0)),
            Verdict::Error { .. }
        ));
    }
}
