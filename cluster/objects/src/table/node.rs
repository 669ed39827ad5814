//! The row of a node.

use serde_json::Value;

use super::{AGE, Column, NAME, text, text_or};
use crate::meta;

const ROLE: &str = "node-role.kubernetes.io/";

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    ("Status", "string", "", 0, "Whether the node is ready and takes pods."),
    ("Roles", "string", "", 0, "What its labels say it is for."),
    AGE,
    ("Version", "string", "", 0, "Version of its agent."),
    ("Internal-IP", "string", "", 1, "Its address inside the cluster."),
    ("External-IP", "string", "", 1, "Its address outside the cluster."),
    ("OS-Image", "string", "", 1, "Its operating system."),
    ("Kernel-Version", "string", "", 1, "Its kernel."),
    ("Container-Runtime", "string", "", 1, "What runs its containers."),
];

pub(super) fn cells(node: &Value, age: Value) -> Vec<Value> {
    let mut status = String::from(match meta::condition(node, "Ready") {
        None => "Unknown",
        Some(_) if meta::is_true(node, "Ready") => "Ready",
        Some(_) => "NotReady",
    });
    if meta::flag(node, &["spec", "unschedulable"]) {
        status.push_str(",SchedulingDisabled");
    }
    let info = |key| text_or(node, &["status", "nodeInfo", key], "<unknown>");
    vec![
        meta::name(node).into(),
        status.into(),
        roles(node).into(),
        age,
        text(node, &["status", "nodeInfo", "kubeletVersion"]),
        address(node, "InternalIP"),
        address(node, "ExternalIP"),
        info("osImage"),
        info("kernelVersion"),
        info("containerRuntimeVersion"),
    ]
}

fn roles(node: &Value) -> String {
    let labels = meta::labels(node).into_iter().flatten();
    let mut roles: Vec<&str> = labels
        .filter_map(|(key, value)| match key.strip_prefix(ROLE) {
            Some(role) => Some(role),
            None if key == "kubernetes.io/role" => value.as_str(),
            None => None,
        })
        .filter(|role| !role.is_empty())
        .collect();
    roles.sort_unstable();
    roles.dedup();
    if roles.is_empty() {
        return "<none>".into();
    }
    roles.join(",")
}

fn address(node: &Value, of: &str) -> Value {
    let all = meta::list(node, &["status", "addresses"]);
    match all.iter().find(|one| meta::text(one, &["type"]) == of) {
        Some(one) => text(one, &["address"]),
        None => "<none>".into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::row;

    #[test]
    fn a_cordoned_node_says_so_beside_its_readiness() {
        let node = json!({
            "metadata": {"labels": {"node-role.kubernetes.io/worker": "", "kubernetes.io/role": "edge"}},
            "spec": {"unschedulable": true},
            "status": {
                "conditions": [{"type": "Ready", "status": "True"}],
                "addresses": [{"type": "InternalIP", "address": "172.30.0.2"}],
                "nodeInfo": {"kubeletVersion": "v1.33.0"},
            },
        });
        assert_eq!(
            row("", "nodes", node),
            [
                "x",
                "Ready,SchedulingDisabled",
                "edge,worker",
                "5m",
                "v1.33.0",
                "172.30.0.2",
                "<none>",
                "<unknown>",
                "<unknown>",
                "<unknown>"
            ]
        );
        assert_eq!(row("", "nodes", json!({}))[1..3], ["Unknown", "<none>"]);
    }
}
