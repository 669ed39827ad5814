//! `plimsoll cluster status`.

use serde_json::Value;

use super::EXTENSION;
use super::ask::Client;
use crate::arguments::cluster::Form;
use crate::streams::Streams;

pub(super) fn status(client: &Client, format: Form, streams: &mut Streams) -> Result<(), crate::error::Error> {
    let status = client.get(EXTENSION)?;
    match format {
        Form::Json => streams.out(&format!("{status:#}\n")),
        Form::Text => streams.out(&text(&status)),
    }
}

fn text(status: &Value) -> String {
    let word = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or("?").to_owned();
    let number = |key: &str| status.get(key).and_then(Value::as_u64).unwrap_or_default();
    let up = std::time::Duration::from_secs(number("uptimeSeconds"));
    let mut text = format!(
        "cluster `{}`: up {}, revision {}, {} MiB\n",
        word(status, "name"),
        humantime::format_duration(up),
        number("revision"),
        number("memory") >> 20,
    );
    let pods = status.get("pods").and_then(Value::as_object);
    let phases: Vec<String> = pods
        .into_iter()
        .flatten()
        .map(|(phase, count)| format!("{count} {}", phase.to_lowercase()))
        .collect();
    text.push_str(&format!(
        "pods: {}\n",
        if phases.is_empty() {
            "none".into()
        } else {
            phases.join(", ")
        }
    ));
    if let Some(dns) = status.get("dns").filter(|dns| dns.is_object()) {
        let number = |key: &str| dns.get(key).and_then(Value::as_u64).unwrap_or_default();
        text.push_str(&format!(
            "dns {}: {} names below {}, {} queries\n",
            word(dns, "address"),
            number("names"),
            word(dns, "domain"),
            number("queries")
        ));
    }
    let nodes = status.get("nodes").and_then(Value::as_array);
    // Simulated nodes come by the thousand.
    let (simulated, real): (Vec<&Value>, Vec<&Value>) = nodes
        .into_iter()
        .flatten()
        .partition(|node| node.get("simulated") == Some(&Value::Bool(true)));
    for node in real {
        let fault = node.get("fault").and_then(Value::as_str);
        text.push_str(&format!(
            "node {}: {}{}\n",
            word(node, "name"),
            word(node, "ready"),
            fault.map(|fault| format!(", {fault}")).unwrap_or_default()
        ));
    }
    if !simulated.is_empty() {
        let ready = simulated.iter().filter(|node| word(node, "ready") == "ready").count();
        text.push_str(&format!("simulated nodes: {}, {ready} ready\n", simulated.len()));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn simulated_nodes_are_counted_and_the_others_listed_with_their_faults() {
        let told = text(&json!({
            "name": "default", "uptimeSeconds": 61, "revision": 42, "memory": 50 << 20, "pods": {"Running": 2},
            "dns": {"address": "10.96.0.10", "domain": "cluster.local", "names": 7, "queries": 3},
            "nodes": [{"name": "a", "ready": "ready"}, {"name": "b", "ready": "not ready", "fault": "frozen"},
                {"name": "s-0", "ready": "ready", "simulated": true}]
        }));
        let want = "cluster `default`: up 1m 1s, revision 42, 50 MiB\npods: 2 running\n\
            dns 10.96.0.10: 7 names below cluster.local, 3 queries\nnode a: ready\n\
            node b: not ready, frozen\nsimulated nodes: 1, 1 ready\n";
        assert_eq!(told, want);
    }
}
