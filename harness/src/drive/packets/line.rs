//! The lines that the probe writes about what it tried.

use std::collections::BTreeMap;

use record::packets::{AnswerSeen, AttemptSeen, BodySeen, RecordSeen};
use serde_json::{Map, Value};

/// One of them.
pub(super) type Line = Map<String, Value>;

/// The lines that bear the nonce, up to the one that says that it was the last. The others are of the container's own.
///
/// # Errors
/// How many lines there were, if the last is not among them.
pub(super) fn read(text: &str, nonce: &str) -> Result<Vec<Line>, usize> {
    let parsed = text.lines().filter(|line| line.contains(nonce)).filter_map(|line| {
        let line: Line = serde_json::from_str(line).ok()?;
        let is_own = line.get("nonce").and_then(Value::as_str) == Some(nonce) && line.contains_key("plimsoll");
        // What the probe says of itself before it begins.
        (is_own && !line.contains_key("report")).then_some(line)
    });
    let all: Vec<Line> = parsed.collect();
    if all.iter().any(|line| line.contains_key("done")) {
        Ok(all)
    } else {
        Err(all.len())
    }
}

/// The attempts that they tell of. A body is told once; then its hash stands for it.
pub(super) fn attempts(lines: &[Line]) -> Vec<AttemptSeen> {
    let mut bodies: BTreeMap<String, String> = BTreeMap::new();
    for line in lines {
        if let (Some(hash), Some(body)) = (text(line, "hash"), text(line, "body")) {
            bodies.insert(hash, body);
        }
    }
    lines
        .iter()
        .filter_map(|line| {
            let outcome = text(line, "connection")?;
            let body = text(line, "hash").map(|hash| BodySeen {
                text: bodies.get(&hash).cloned().unwrap_or_default(),
                length: number(line, "length").unwrap_or(0),
                hash,
            });
            Some(AttemptSeen {
                address: text(line, "address"),
                source: text(line, "source"),
                outcome,
                errno: text(line, "errno"),
                micros: micros(line),
                status: number(line, "status").and_then(|status| u16::try_from(status).ok()),
                body,
                ..AttemptSeen::default()
            })
        })
        .collect()
}

/// The answer that a line tells of, if it tells of one.
pub(super) fn answer(line: &Line) -> Option<AnswerSeen> {
    let outcome = text(line, "outcome")?;
    let records = line.get("records").and_then(Value::as_array);
    let records = records.into_iter().flatten().filter_map(Value::as_object);
    let is_answered = outcome == "answered";
    Some(AnswerSeen {
        kind: text(line, "type")?,
        errno: text(line, "errno"),
        server: text(line, "server"),
        rcode: text(line, "rcode").filter(|_| is_answered),
        asked: text(line, "asked"),
        via: text(line, "via"),
        micros: micros(line),
        records: records
            .filter_map(|record| {
                Some(RecordSeen {
                    kind: text(record, "type")?,
                    value: text(record, "value")?,
                    ttl: number(record, "ttl").and_then(|ttl| u32::try_from(ttl).ok())?,
                })
            })
            .collect(),
        outcome,
        ..AnswerSeen::default()
    })
}

fn text(line: &Line, key: &str) -> Option<String> {
    line.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn number(line: &Line, key: &str) -> Option<u64> {
    line.get(key).and_then(Value::as_u64)
}

fn micros(line: &Line) -> u64 {
    number(line, "wall_ns").unwrap_or(0) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = concat!(
        r#"{"plimsoll":1,"nonce":"n.3","verb":"http","report":{"pid":7}}"#,
        "\n",
        r#"{"plimsoll":1,"nonce":"n.2","verb":"http","target":"http://a/","connection":"connected","wall_ns":9000}"#,
        "\n",
        r#"{"plimsoll":1,"nonce":"n.3","verb":"http","target":"http://a/","address":"10.96.0.1:80","source":"10.244.0.2:4","connection":"connected","errno":null,"wall_ns":812345,"status":200,"hash":"00ff","length":5,"body":"web-1"}"#,
        "\n",
        r#"{"plimsoll":1,"nonce":"n.3","verb":"http","target":"http://a/","address":"10.96.0.1:80","source":"10.244.0.2:5","connection":"connected","errno":null,"wall_ns":712345,"status":200,"hash":"00ff","length":5}"#,
        "\n",
        r#"{"plimsoll":1,"nonce":"n.3","verb":"http","target":"http://a/","address":"10.96.0.1:80","source":null,"connection":"refused","errno":"ECONNREFUSED","wall_ns":2000}"#,
        "\nsomething of the container's own\n",
        r#"{"plimsoll":1,"nonce":"n.3","verb":"http","done":3}"#,
        "\n",
    );

    #[test]
    fn only_lines_of_this_look_count_and_bodies_are_told_once() {
        let found = attempts(&read(LINES, "n.3").unwrap());
        assert_eq!(found.len(), 3);
        assert_eq!(found[1].body, found[0].body);
        assert_eq!(found[1].body.as_ref().unwrap().text, "web-1");
        assert_eq!((found[0].micros, found[0].status), (812, Some(200)));
        assert_eq!(
            (found[2].outcome.as_str(), found[2].errno.as_deref()),
            ("refused", Some("ECONNREFUSED"))
        );
    }

    #[test]
    fn what_was_cut_off_is_not_taken_for_all() {
        let cut = LINES.replace("\"done\":3", "\"do");
        assert_eq!(read(&cut, "n.3"), Err(3));
        assert_eq!(read(LINES, "n.4"), Err(0));
    }

    #[test]
    fn an_answer_has_a_code_only_if_somebody_answered() {
        let line = |text: &str| answer(&serde_json::from_str(text).unwrap()).unwrap();
        let silent = line(
            r#"{"name":"a","type":"A","outcome":"timeout","errno":"ETIMEDOUT","rcode":"ETIMEDOUT","server":"10.96.0.10:53","records":[]}"#,
        );
        assert_eq!((silent.rcode, silent.outcome.as_str()), (None, "timeout"));
        let found = line(
            r#"{"name":"a","type":"A","outcome":"answered","errno":null,"rcode":"NOERROR","asked":"a.b","via":"udp","wall_ns":5000,"records":[{"type":"A","value":"10.0.0.1","ttl":5}]}"#,
        );
        assert_eq!(found.rcode.as_deref(), Some("NOERROR"));
        assert_eq!(found.records[0].ttl, 5);
    }
}
