//! The row of an event.

use std::time::SystemTime;

use serde_json::Value;

use super::{Column, since, text};
use crate::meta;

pub(super) const COLUMNS: &[Column] = &[
    ("Last Seen", "string", "", 0, "Time since it last happened."),
    ("Type", "string", "", 0, "Normal or Warning."),
    ("Reason", "string", "", 0, "What happened, in one word."),
    ("Object", "string", "", 0, "What it happened to."),
    ("Subobject", "string", "", 1, "Which part of that."),
    ("Source", "string", "", 1, "Who tells."),
    ("Message", "string", "", 0, "What happened, for people."),
    ("First Seen", "string", "", 1, "Time since it first happened."),
    ("Count", "string", "", 1, "How often it happened."),
    ("Name", "string", "name", 1, "Name of the event."),
];

pub(super) fn cells(event: &Value, now: SystemTime) -> Vec<Value> {
    let at = |path: &[&str]| meta::at(event, path).and_then(Value::as_str);
    let first = since(at(&["firstTimestamp"]).or(at(&["eventTime"])), now);
    let mut last = match at(&["lastTimestamp"]) {
        Some(last) => since(Some(last), now),
        None => first.clone(),
    };
    let mut count = meta::number(event, &["count"]).unwrap_or(0);
    if meta::at(event, &["series"]).is_some() {
        last = since(at(&["series", "lastObservedTime"]), now);
        count = meta::number(event, &["series", "count"]).unwrap_or(0);
    } else if count == 0 {
        count = 1;
    }
    let kind = meta::text(event, &["involvedObject", "kind"]).to_lowercase();
    let about = match meta::text(event, &["involvedObject", "name"]) {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    vec![
        last,
        text(event, &["type"]),
        text(event, &["reason"]),
        about.into(),
        text(event, &["involvedObject", "fieldPath"]),
        source(event).into(),
        meta::text(event, &["message"]).trim().into(),
        first,
        count.into(),
        meta::name(event).into(),
    ]
}

fn source(event: &Value) -> String {
    let old = |key| meta::text(event, &["source", key]);
    let (who, place) = match (old("component"), old("host")) {
        ("", "") => (
            meta::text(event, &["reportingComponent"]),
            meta::text(event, &["reportingInstance"]),
        ),
        known => known,
    };
    match place {
        "" => who.into(),
        place => format!("{who}, {place}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::row;

    #[test]
    fn an_event_shows_what_happened_to_what() {
        let event = json!({
            "type": "Warning", "reason": "BackOff", "message": "again\n", "count": 4,
            "involvedObject": {"kind": "Pod", "name": "web", "fieldPath": "spec.containers{a}"},
            "source": {"component": "kubelet", "host": "n1"},
            "firstTimestamp": "2026-01-01T23:00:00Z", "lastTimestamp": "2026-01-01T23:59:00Z",
        });
        assert_eq!(
            row("", "events", event),
            [
                "60s",
                "Warning",
                "BackOff",
                "pod/web",
                "spec.containers{a}",
                "kubelet, n1",
                "again",
                "60m",
                "4",
                "x"
            ]
        );
        let event = json!({"eventTime": "2026-01-01T23:59:59.000000Z", "reportingComponent": "scheduler"});
        let row = row("", "events", event);
        assert_eq!(
            (row[0].as_str(), row[5].as_str(), row[8].as_str()),
            ("1s", "scheduler", "1")
        );
    }
}
