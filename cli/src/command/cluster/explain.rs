//! `plimsoll cluster explain`: what the scheduler thinks of each node for a pod.

use serde_json::Value;

use super::EXTENSION;
use super::ask::Client;
use crate::arguments::cluster::Form;
use crate::streams::Streams;

pub(super) fn explain(
    client: &Client,
    pod: &str,
    format: Form,
    streams: &mut Streams,
) -> Result<(), crate::error::Error> {
    let (namespace, name) = pod.split_once('/').unwrap_or(("default", pod));
    let explained = client.get(&format!("{EXTENSION}/explain/{namespace}/{name}"))?;
    match format {
        Form::Json => streams.out(&format!("{explained:#}\n")),
        Form::Text => streams.out(&text(&explained)),
    }
}

fn text(explained: &Value) -> String {
    let word = |key: &str| explained.get(key).and_then(Value::as_str);
    let mut text = format!(
        "pod {}/{}: ",
        word("namespace").unwrap_or_default(),
        word("name").unwrap_or_default()
    );
    match (word("node"), word("nominatedNode")) {
        (Some(node), _) => text.push_str(&format!("on {node}")),
        (None, Some(node)) => text.push_str(&format!("waits for room on {node}")),
        (None, None) if explained.get("gated") == Some(&Value::Bool(true)) => text.push_str("held back by its gates"),
        (None, None) => text.push_str("on no node"),
    }
    if let Some(message) = word("message") {
        text.push_str(&format!("\n  {message}"));
    }
    text.push('\n');
    let list = |of: &Value, key: &str| of.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let nodes = list(explained, "nodes");
    let name = |node: &Value| node.get("node").and_then(Value::as_str).unwrap_or_default().to_owned();
    let width = nodes.iter().map(|node| name(node).len()).max().unwrap_or_default();
    for node in &nodes {
        let verdict = match node.get("rejected") {
            Some(rejected) => {
                let reasons = list(rejected, "reasons");
                let reasons: Vec<&str> = reasons.iter().filter_map(Value::as_str).collect();
                let plugin = rejected.get("plugin").and_then(Value::as_str).unwrap_or_default();
                format!("no   {plugin}: {}", reasons.join("; "))
            }
            None => {
                let number = |of: &Value, key: &str| of.get(key).and_then(Value::as_i64).unwrap_or_default();
                let scores = list(node, "scores");
                let each = scores.iter().map(|one| {
                    let plugin = one.get("plugin").and_then(Value::as_str).unwrap_or_default();
                    format!("{plugin} {}×{}", number(one, "score"), number(one, "weight"))
                });
                let each: Vec<String> = each.collect();
                format!("fits {:>4} = {}", number(node, "total"), each.join(" + "))
            }
        };
        text.push_str(&format!("  {:width$}  {verdict}\n", name(node)));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_node_has_its_verdict_with_reasons_or_scores() {
        let told = text(&json!({
            "namespace": "default", "name": "web", "gated": false,
            "message": "0/2 nodes are available: 1 Insufficient cpu.",
            "nodes": [
                {"node": "a", "rejected": {"plugin": "NodeResourcesFit", "reasons": ["Insufficient cpu"]}},
                {"node": "node-b", "total": 390, "scores": [
                    {"plugin": "TaintToleration", "score": 100, "weight": 3},
                    {"plugin": "NodeResourcesFit", "score": 90, "weight": 1}]}]
        }));
        let want = "pod default/web: on no node\n  0/2 nodes are available: 1 Insufficient cpu.\n  \
            a       no   NodeResourcesFit: Insufficient cpu\n  \
            node-b  fits  390 = TaintToleration 100×3 + NodeResourcesFit 90×1\n";
        assert_eq!(told, want);
    }
}
