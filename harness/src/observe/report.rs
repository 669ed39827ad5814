//! What the probe told about itself, in lines that carry the run's nonce.

use record::Seen;
use serde_json::{Map, Value};

use super::{Target, output};
use crate::drive::World;

pub(super) fn look(target: Target<'_>, world: &mut World<'_>) -> Seen {
    let path = match target {
        Target::Host => {
            return Seen::Unmeasured {
                why: "the host tells nothing about itself".into(),
            };
        }
        Target::Process(name) => world.host_processes.get(name).map(|p| p.stdout.clone()),
        Target::Workload(name) => world.containers.get(name).map(|c| c.stdout.clone()),
    }
    .unwrap_or_default();
    Seen::Report {
        values: merged(&output::text(&path), &world.job.nonce),
    }
}

pub(super) fn of_action(world: &World<'_>) -> Seen {
    match &world.last {
        Some(outcome) => Seen::Report {
            values: merged(&outcome.stdout, &world.job.nonce),
        },
        None => Seen::Absent {
            what: "the step ran no command".into(),
        },
    }
}

/// The lines with the nonce as one object: the members of `report` beside those of the lines, later ones winning.
fn merged(text: &str, nonce: &str) -> Option<Value> {
    let mut all = Map::new();
    for line in text.lines() {
        let Some(mut line) = parsed(line, nonce) else { continue };
        if let Some(Value::Object(report)) = line.remove("report") {
            all.extend(report);
        }
        for (key, value) in line {
            match (all.get_mut(&key), value) {
                // Several lines may each tell of some attempts.
                (Some(Value::Object(old)), Value::Object(new)) => old.extend(new),
                (_, value) => {
                    all.insert(key, value);
                }
            }
        }
    }
    (!all.is_empty()).then_some(Value::Object(all))
}

/// The text without the probe's lines.
pub(super) fn without(text: &str, nonce: &str) -> String {
    text.split_inclusive('\n')
        .filter(|line| parsed(line.trim_end(), nonce).is_none())
        .collect()
}

fn parsed(line: &str, nonce: &str) -> Option<Map<String, Value>> {
    if !line.starts_with('{') || !line.contains(nonce) {
        return None;
    }
    match serde_json::from_str(line) {
        Ok(Value::Object(map))
            if map.get("nonce").and_then(Value::as_str) == Some(nonce) && map.contains_key("plimsoll") =>
        {
            Some(map)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_lines_with_the_nonce_count() {
        let text = "{\"plimsoll\":1,\"nonce\":\"a\",\"report\":{\"uid\":0}}\nhello\n{\"plimsoll\":1,\"nonce\":\"b\",\"report\":{\"uid\":9}}\n{\"plimsoll\":1,\"nonce\":\"a\",\"attempts\":{\"x\":\"EPERM\"}}\n";
        let seen = merged(text, "a").unwrap();
        assert_eq!((&seen["uid"], &seen["attempts"]), (&json!(0), &json!({"x": "EPERM"})));
        assert_eq!(merged(text, "c"), None);
        assert_eq!(
            without(text, "a"),
            "hello\n{\"plimsoll\":1,\"nonce\":\"b\",\"report\":{\"uid\":9}}\n"
        );
    }
}
