//! An object of a cluster, events about it, its replicas, and what its pods wrote.

use std::collections::BTreeMap;

use record::{Seen, Verdict, pods::EventSeen};
use serde_json::Value;
use spec::{
    Matcher,
    check::{EventsCheck, LogsCheck, ReplicasCheck},
};

use super::{
    evidence::Evidence,
    matcher::{Finding, Unit, holds},
};

pub(super) fn judge(want: &BTreeMap<String, Matcher>, on: Option<&str>, seen: &Seen) -> Option<Verdict> {
    let Seen::Object { exists, values, source } = seen else {
        return None;
    };
    let mut evidence = Evidence::default();
    if *exists {
        for (path, want) in want {
            evidence.compare(path, want, values.get(path), Unit::Plain, "");
        }
    } else {
        let who = on.unwrap_or("object");
        evidence.missed(format!("{who} to look at"), format!("it is not there ({source})"));
    }
    Some(evidence.verdict())
}

pub(super) fn exists(want: bool, on: Option<&str>, seen: &Seen) -> Option<Verdict> {
    let Seen::Object { exists, source, .. } = seen else {
        return None;
    };
    let who = on.unwrap_or("object");
    let word = |there: bool| if there { "is there" } else { "is not there" };
    let mut evidence = Evidence::default();
    let got = format!("{who} {} ({source})", word(*exists));
    if *exists == want {
        evidence.held(got);
    } else {
        evidence.missed(format!("{who} {}", word(want)), got);
    }
    Some(evidence.verdict())
}

pub(super) fn events(want: &EventsCheck, seen: &Seen) -> Option<Verdict> {
    let Seen::Events { list, source } = seen else {
        return None;
    };
    let mut evidence = Evidence::default();
    let mut found: Vec<&EventSeen> = Vec::new();
    for event in list {
        let mut meant = true;
        for (want, value) in [
            (&want.reason, &event.reason),
            (&want.kind, &event.kind),
            (&want.message, &event.message),
        ] {
            let Some(want) = want else { continue };
            match holds(want, Some(&Value::from(value.as_str())), Unit::Plain) {
                Finding::Holds => {}
                Finding::Misses => meant = false,
                Finding::Unfit(why) => evidence.fault(why),
            }
        }
        if meant {
            found.push(event);
        }
    }
    let times: i64 = found.iter().map(|event| event.count).sum();
    let at_least_one = Matcher(vec![spec::Op::Gte(1.into())]);
    let count = want.count.as_ref().unwrap_or(&at_least_one);
    let listed: Vec<String> = if found.is_empty() { list.iter().collect() } else { found }
        .iter()
        .take(6)
        .map(|event| format!("{} {}: {}", event.about, event.reason, event.message))
        .collect();
    let told = if listed.is_empty() {
        source.clone()
    } else {
        listed.join("; ")
    };
    evidence.compare(&described(want), count, Some(&Value::from(times)), Unit::Plain, &told);
    Some(evidence.verdict())
}

fn described(want: &EventsCheck) -> String {
    let parts: Vec<String> = [
        ("reason", &want.reason),
        ("type", &want.kind),
        ("message", &want.message),
    ]
    .into_iter()
    .filter_map(|(what, matcher)| Some(format!("{what} {}", matcher.as_ref()?)))
    .collect();
    if parts.is_empty() {
        "events:".into()
    } else {
        format!("events with {}:", parts.join(" and "))
    }
}

pub(super) fn replicas(want: &ReplicasCheck, on: Option<&str>, seen: &Seen) -> Option<Verdict> {
    let Seen::Replicas {
        desired,
        current,
        ready,
        updated,
        available,
        observed,
        source: _,
    } = seen
    else {
        return None;
    };
    let who = on.unwrap_or("workload");
    let mut evidence = Evidence::default();
    for (what, want, value) in [
        ("desired", &want.desired, desired),
        ("current", &want.current, current),
        ("ready", &want.ready, ready),
        ("updated", &want.updated, updated),
        ("available", &want.available, available),
    ] {
        if let Some(want) = want {
            let what = format!("{what} replicas of {who}:");
            evidence.compare(&what, want, Some(&Value::from(*value)), Unit::Plain, "");
        }
    }
    if let Some(want) = want.observed {
        let word = |seen: bool| if seen { "has" } else { "has not" };
        let got = format!("the controller {} seen the newest spec of {who}", word(*observed));
        if want == *observed {
            evidence.held(got);
        } else {
            evidence.missed(
                format!("the controller {} seen the newest spec of {who}", word(want)),
                got,
            );
        }
    }
    Some(evidence.verdict())
}

pub(super) fn logs(want: &LogsCheck, on: Option<&str>, seen: &Seen) -> Option<Verdict> {
    let Seen::Logs { texts, source } = seen else {
        return None;
    };
    let mut evidence = Evidence::default();
    if texts.is_empty() {
        let who = on.unwrap_or("workload");
        evidence.missed(format!("a log of {who}"), format!("there is none ({source})"));
    }
    for (pod, text) in texts {
        let text = Value::from(text.as_str());
        evidence.compare(&format!("log of {pod}"), &want.text, Some(&text), Unit::Plain, "");
    }
    Some(evidence.verdict())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn passes(verdict: Option<Verdict>) -> bool {
        matches!(verdict, Some(Verdict::Pass { .. }))
    }

    #[test]
    fn an_object_is_there_with_these_values_or_not_at_all() {
        let seen = |exists| Seen::Object {
            exists,
            values: [("spec.replicas".to_owned(), json!(3))].into(),
            source: "GET".into(),
        };
        let want = |value: Value| super::super::placed(json!({"spec.replicas": value}));
        assert!(passes(judge(&want(json!(3)), Some("web"), &seen(true))));
        assert!(!passes(judge(&want(json!(4)), Some("web"), &seen(true))));
        assert!(!passes(judge(&want(json!(3)), Some("web"), &seen(false))));
        let absent: BTreeMap<String, Matcher> = super::super::placed(json!({"status": {"exists": false}}));
        assert!(passes(judge(&absent, None, &seen(true))));
        assert!(
            !passes(judge(&absent, None, &seen(false))),
            "what is not there has no fields"
        );
        assert!(passes(exists(false, None, &seen(false))) && !passes(exists(true, None, &seen(false))));
    }

    #[test]
    fn events_are_counted_as_often_as_they_happened() {
        let seen = Seen::Events {
            list: vec![EventSeen {
                about: "Pod/a".into(),
                reason: "FailedScheduling".into(),
                kind: "Warning".into(),
                message: "0/1 nodes are available".into(),
                count: 3,
            }],
            source: "GET".into(),
        };
        let verdict = |want: Value| events(&super::super::placed(want), &seen);
        assert!(passes(verdict(json!({"reason": "FailedScheduling"}))));
        assert!(passes(verdict(
            json!({"reason": "FailedScheduling", "type": "Warning", "count": 3})
        )));
        assert!(passes(verdict(json!({"reason": "Scheduled", "count": 0}))));
        assert!(!passes(verdict(json!({"reason": "Scheduled"}))));
        assert!(!passes(verdict(json!({"message": {"contains": "2 nodes"}}))));
    }

    #[test]
    fn replicas_are_compared_one_by_one() {
        let seen = Seen::Replicas {
            desired: 3,
            current: 4,
            ready: 2,
            updated: 2,
            available: 2,
            observed: true,
            source: "GET".into(),
        };
        let verdict = |want: Value| replicas(&super::super::placed(want), Some("web"), &seen);
        assert!(passes(verdict(
            json!({"desired": 3, "current": {"lte": 4}, "observed": true})
        )));
        assert!(!passes(verdict(json!({"available": {"gte": 3}}))));
        assert!(!passes(verdict(json!({"observed": false}))));
    }

    #[test]
    fn every_log_is_looked_through() {
        let seen = |texts: &[(&str, &str)]| Seen::Logs {
            texts: texts.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
            source: "GET".into(),
        };
        let want: LogsCheck = super::super::placed(json!({"text": {"contains": "hello"}}));
        assert!(passes(logs(&want, None, &seen(&[("a", "hello\n")]))));
        assert!(!passes(logs(&want, None, &seen(&[("a", "hello\n"), ("b", "")]))));
        assert!(!passes(logs(&want, None, &seen(&[]))));
    }
}
