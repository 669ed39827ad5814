//! Nodes.

use serde_json::Value;

use super::{
    address,
    faults::{Faults, Path},
    resources, tolerations,
};
use crate::meta;

const SPEC: Path<'_> = Path::of("spec");
const STATUS: Path<'_> = Path::of("status");

pub(super) fn check(faults: &mut Faults, node: &Value) {
    // Kubernetes names the taints as if they were metadata.
    tolerations::taints(
        faults,
        &Path::of("metadata").child("taints"),
        meta::list(node, &["spec", "taints"]),
    );
    for list in ["capacity", "allocatable"] {
        let path = STATUS.child(list);
        for (resource, amount) in meta::map(node, &["status", list]).into_iter().flatten() {
            resources::quantity(faults, &path.child(resource), resource, amount);
        }
    }
    let path = SPEC.child("podCIDRs");
    let ranges = meta::list(node, &["spec", "podCIDRs"]);
    for (index, range) in ranges.iter().enumerate() {
        address::range(faults, &path.index(index), range.as_str().unwrap_or(""));
        if ranges[..index].contains(range) {
            faults.duplicate(&path.index(index), range);
        }
    }
}

pub(super) fn update(faults: &mut Faults, old: &Value, new: &Value) {
    let path = STATUS.child("addresses");
    let addresses = meta::list(new, &["status", "addresses"]);
    for (index, one) in addresses.iter().enumerate() {
        if addresses[..index].contains(one) {
            faults.duplicate(&path.index(index), one);
        }
    }
    let ranges = meta::list(old, &["spec", "podCIDRs"]);
    if !ranges.is_empty() && ranges != meta::list(new, &["spec", "podCIDRs"]) {
        faults.forbidden(
            &SPEC.child("podCIDRs"),
            "node updates may not change podCIDR except from \"\" to valid",
        );
    }
    let provider = |node| meta::text(node, &["spec", "providerID"]);
    if !provider(old).is_empty() && provider(old) != provider(new) {
        faults.forbidden(
            &SPEC.child("providerID"),
            "node updates may not change providerID except from \"\" to valid",
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{told, updated};

    #[test]
    fn taints_have_an_effect_and_are_unique() {
        let told = |taints| told("", "nodes", json!({"spec": {"taints": taints}}));
        assert_eq!(told(json!([{"key": "a", "effect": "NoSchedule"}])), [""; 0]);
        assert_eq!(
            told(json!([{"key": "a", "effect": "Never"}])),
            [
                "metadata.taints[0].effect: Unsupported value: \"Never\": supported values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\""
            ]
        );
        let twice =
            told(json!([{"key": "a", "effect": "NoExecute"}, {"key": "a", "value": "b", "effect": "NoExecute"}]));
        assert!(
            twice[0].ends_with("taints must be unique by key and effect pair"),
            "{}",
            twice[0]
        );
    }

    #[test]
    fn a_range_of_addresses_is_given_once() {
        let node = |ranges| json!({"spec": {"podCIDRs": ranges}});
        assert_eq!(
            updated("", "nodes", node(json!([])), node(json!(["10.0.0.0/24"]))),
            [""; 0]
        );
        assert_eq!(
            updated("", "nodes", node(json!(["10.0.0.0/24"])), node(json!(["10.0.1.0/24"]))),
            ["spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid"]
        );
        assert_eq!(
            told("", "nodes", json!({"status": {"capacity": {"pods": "1500m"}}}))[0],
            "status.capacity.pods: Invalid value: \"1500m\": must be an integer"
        );
    }
}
