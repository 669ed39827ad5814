//! Defaults of a pod, and of the spec that a pod template has too.

use serde_json::{Value, json};

use super::{amounts, as_map, container, each, fill, inner, volume};
use crate::{meta, qos};

const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

pub(super) fn apply(pod: &mut Value) {
    if let Some(spec) = inner(pod, "spec") {
        apply_spec(spec);
        fill(as_map(spec), "enableServiceLinks", true);
        let is_on_host = meta::flag(spec, &["hostNetwork"]);
        for key in &CONTAINERS[..2] {
            for container in each(spec, key) {
                limits_are_requests(container);
                if is_on_host {
                    each(container, "ports").for_each(port_of_host);
                }
            }
        }
    }
    for list in ["initContainerStatuses", "containerStatuses"] {
        let statuses = inner(pod, "status").into_iter().flat_map(|status| each(status, list));
        for status in statuses {
            for path in [
                &["allocatedResources"][..],
                &["resources", "limits"],
                &["resources", "requests"],
            ] {
                amounts::at(status, path);
            }
        }
    }
}

/// What pods and templates have in common.
pub(super) fn apply_spec(spec: &mut Value) {
    for key in CONTAINERS {
        each(spec, key).for_each(container::apply);
    }
    each(spec, "volumes").for_each(volume::apply);
    amounts::at(spec, &["overhead"]);
    let map = as_map(spec);
    fill(map, "restartPolicy", "Always");
    fill(map, "dnsPolicy", "ClusterFirst");
    fill(map, "securityContext", json!({}));
    fill(map, "terminationGracePeriodSeconds", 30);
    fill(map, "schedulerName", "default-scheduler");
    // The old name and the new one say the same; the new one wins.
    for (from, to) in [
        ("serviceAccount", "serviceAccountName"),
        ("serviceAccountName", "serviceAccount"),
    ] {
        let account = map.get(from).and_then(Value::as_str).unwrap_or("").to_owned();
        if from == "serviceAccountName" && !account.is_empty() {
            map.insert(to.into(), account.into());
        } else if !account.is_empty() {
            fill(map, to, account);
        }
    }
}

/// A new pod waits, and says why if something holds it back.
pub(super) fn begin(pod: &mut Value) {
    let class = qos::of(pod).to_string();
    let mut status = json!({"phase": "Pending", "qosClass": class});
    if !meta::list(pod, &["spec", "schedulingGates"]).is_empty() {
        status["conditions"] = json!([{
            "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
        }]);
    }
    meta::set(pod, &["status"], status);
    let labels = meta::labels(pod).cloned().unwrap_or_default();
    for kind in ["podAffinity", "podAntiAffinity"] {
        let affinity = inner(pod, "spec")
            .and_then(|spec| inner(spec, "affinity"))
            .and_then(|affinity| inner(affinity, kind));
        let Some(affinity) = affinity else { continue };
        for term in each(affinity, "requiredDuringSchedulingIgnoredDuringExecution") {
            label_keys(term, &labels);
        }
        for weighted in each(affinity, "preferredDuringSchedulingIgnoredDuringExecution") {
            if let Some(term) = inner(weighted, "podAffinityTerm") {
                label_keys(term, &labels);
            }
        }
    }
}

/// `matchLabelKeys` mean the pod's own labels; they are written into the selector once.
fn label_keys(term: &mut Value, labels: &serde_json::Map<String, Value>) {
    for (list, operator) in [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")] {
        let keys: Vec<String> = meta::list(term, &[list])
            .iter()
            .filter_map(|key| key.as_str().map(String::from))
            .collect();
        for key in keys {
            let (Some(value), Some(selector)) = (labels.get(&key), inner(term, "labelSelector")) else {
                continue;
            };
            let expressions = as_map(selector).entry("matchExpressions").or_insert_with(|| json!([]));
            if let Some(expressions) = expressions.as_array_mut() {
                expressions.push(json!({"key": key, "operator": operator, "values": [value]}));
            }
        }
    }
}

fn limits_are_requests(container: &mut Value) {
    let Some(limits) = meta::map(container, &["resources", "limits"]).cloned() else {
        return;
    };
    let requests = meta::map_mut(container, &["resources", "requests"]);
    for (name, limit) in limits {
        requests.entry(name).or_insert(limit);
    }
}

fn port_of_host(port: &mut Value) {
    if let Some(number) = meta::number(port, &["containerPort"]) {
        super::fill_nought(as_map(port), "hostPort", number);
    }
}
