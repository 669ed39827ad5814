//! What is said of a node, and what follows from it.

use std::time::SystemTime;

use objects::{meta, time};
use serde_json::{Value, json};

use crate::taint::{NO_EXECUTE, NO_SCHEDULE, NOT_READY, UNREACHABLE};

const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Conditions that nobody can know of a silent node.
const REPORTED: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// Conditions that keep new pods away while they are true.
const TROUBLES: [(&str, &str); 4] = [
    ("MemoryPressure", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "node.kubernetes.io/pid-pressure"),
    ("NetworkUnavailable", "node.kubernetes.io/network-unavailable"),
];

/// Whether the node itself has said something, rather than somebody about it.
pub(super) fn speaks(old: Option<&Value>, new: Option<&Value>) -> bool {
    let beat = |node: Option<&Value>| {
        let ready = meta::condition(node?, "Ready")?;
        Some(meta::text(ready, &["lastHeartbeatTime"]).to_owned())
    };
    let is_known = |node: Option<&Value>| {
        let ready = node.and_then(|node| meta::condition(node, "Ready"));
        ready.is_some_and(|one| one["status"] != "Unknown")
    };
    new.is_some() && (old.is_none() || beat(old) != beat(new) || (!is_known(old) && is_known(new)))
}

/// The conditions of a node that is silent, if it is one and they do not say so yet.
pub(super) fn conditions(node: &Value, lost: bool, now: SystemTime) -> Option<Vec<Value>> {
    if !lost {
        return None;
    }
    let now = time::seconds(now);
    let mut all = meta::conditions(node).to_vec();
    for name in REPORTED {
        match all.iter_mut().find(|one| one["type"] == name) {
            Some(one) if one["status"] == "Unknown" => {}
            Some(one) => {
                meta::set(one, &["status"], "Unknown");
                meta::set(one, &["reason"], "NodeStatusUnknown");
                meta::set(one, &["message"], "Kubelet stopped posting node status.");
                meta::set(one, &["lastTransitionTime"], now.as_str());
            }
            None => all.push(json!({
                "type": name, "status": "Unknown", "reason": "NodeStatusNeverUpdated",
                "message": "Kubelet never posted node status.",
                "lastHeartbeatTime": meta::creation_timestamp(node), "lastTransitionTime": now,
            })),
        }
    }
    (all != meta::conditions(node)).then_some(all)
}

/// The taints that a node is to have, if they are others than it has.
///
/// `none_ready`: no node of the cluster is ready, and then pods are driven off no node.
pub(super) fn taints(node: &Value, none_ready: bool, now: SystemTime) -> Option<Vec<Value>> {
    let status = |name| meta::condition(node, name).map_or("", |one| meta::text(one, &["status"]));
    let mut wanted = Vec::new();
    let away = match status("Ready") {
        "True" => None,
        "Unknown" => Some(UNREACHABLE),
        _ => Some(NOT_READY),
    };
    if let Some(key) = away {
        wanted.push((key, NO_SCHEDULE));
        // A node that never said anything has no pods to drive off.
        if !none_ready && !status("Ready").is_empty() {
            wanted.push((key, NO_EXECUTE));
        }
    }
    let troubles = TROUBLES.iter().filter(|(condition, _)| status(condition) == "True");
    wanted.extend(troubles.map(|(_, key)| (*key, NO_SCHEDULE)));
    if meta::flag(node, &["spec", "unschedulable"]) {
        wanted.push((UNSCHEDULABLE, NO_SCHEDULE));
    }
    let old = meta::list(node, &["spec", "taints"]);
    let of = |taint: &Value| {
        (
            meta::text(taint, &["key"]).to_owned(),
            meta::text(taint, &["effect"]).to_owned(),
        )
    };
    let is_wanted = |taint: &Value| {
        wanted
            .iter()
            .any(|(key, effect)| of(taint) == ((*key).into(), (*effect).into()))
    };
    let mut new: Vec<Value> = old
        .iter()
        .filter(|taint| !is_ours(taint) || is_wanted(taint))
        .cloned()
        .collect();
    for (key, effect) in wanted {
        if !new.iter().any(|taint| of(taint) == (key.into(), effect.into())) {
            new.push(json!({"key": key, "effect": effect, "timeAdded": time::seconds(now)}));
        }
    }
    (new != old).then_some(new)
}

fn is_ours(taint: &Value) -> bool {
    let (key, effect) = (meta::text(taint, &["key"]), meta::text(taint, &["effect"]));
    match effect {
        NO_EXECUTE => matches!(key, NOT_READY | UNREACHABLE),
        NO_SCHEDULE => {
            matches!(key, NOT_READY | UNREACHABLE | UNSCHEDULABLE)
                || TROUBLES.iter().any(|(_, trouble)| *trouble == key)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(ready: &str) -> Value {
        json!({
            "metadata": {"name": "n"},
            "spec": {"taints": [{"key": "own", "effect": "NoExecute"}]},
            "status": {"conditions": [{"type": "Ready", "status": ready, "lastHeartbeatTime": "2026-01-01T00:00:00Z"}]},
        })
    }

    fn keys(node: &Value, none_ready: bool) -> Vec<String> {
        let taints = taints(node, none_ready, SystemTime::now());
        let taints = taints.unwrap_or_else(|| meta::list(node, &["spec", "taints"]).to_vec());
        let text = |taint: &Value| {
            format!(
                "{}:{}",
                taint["key"].as_str().unwrap(),
                taint["effect"].as_str().unwrap()
            )
        };
        taints.iter().map(text).collect()
    }

    #[test]
    fn a_silent_node_is_unknown_in_every_respect() {
        let now = SystemTime::now();
        assert_eq!(conditions(&node("True"), false, now), None);
        let conditions = conditions(&node("True"), true, now).expect("it changes");
        let said: Vec<_> = conditions.iter().map(|one| (&one["type"], &one["status"])).collect();
        assert_eq!(said.len(), 4);
        assert!(said.iter().all(|(_, status)| *status == "Unknown"), "{said:?}");
        assert_eq!(conditions[0]["reason"], "NodeStatusUnknown");
        let mut silent = node("True");
        meta::set(&mut silent, &["status", "conditions"], conditions);
        assert_eq!(super::conditions(&silent, true, now), None);
    }

    #[test]
    fn taints_follow_the_conditions_and_leave_those_of_others() {
        assert_eq!(keys(&node("True"), false), ["own:NoExecute"]);
        let unknown = [
            "own:NoExecute",
            "node.kubernetes.io/unreachable:NoSchedule",
            "node.kubernetes.io/unreachable:NoExecute",
        ];
        assert_eq!(keys(&node("Unknown"), false), unknown);
        let mut back = node("True");
        let taints = taints(&node("Unknown"), false, SystemTime::now()).expect("it changes");
        meta::set(&mut back, &["spec", "taints"], taints);
        meta::set(&mut back, &["spec", "unschedulable"], true);
        assert_eq!(
            keys(&back, false),
            ["own:NoExecute", "node.kubernetes.io/unschedulable:NoSchedule"]
        );
    }

    #[test]
    fn pods_are_driven_off_no_node_when_all_are_lost() {
        assert_eq!(
            keys(&node("False"), true),
            ["own:NoExecute", "node.kubernetes.io/not-ready:NoSchedule"]
        );
    }

    #[test]
    fn what_the_controller_writes_is_no_sign_of_life() {
        let mut unknown = node("Unknown");
        assert!(!speaks(Some(&node("True")), Some(&unknown)));
        meta::set(
            &mut unknown["status"]["conditions"][0],
            &["lastHeartbeatTime"],
            "2026-01-01T00:00:09Z",
        );
        assert!(speaks(Some(&node("True")), Some(&unknown)));
        assert!(speaks(Some(&node("Unknown")), Some(&node("True"))));
    }
}
