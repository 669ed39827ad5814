//! Defaults of a network policy.

use serde_json::{Value, json};

use super::{as_map, each, fill};
use crate::meta;

/// Unless it says so itself, it is about ingress, and about egress if it has a rule for it.
pub(super) fn apply(policy: &mut Value) {
    let spec = meta::map_mut(policy, &["spec"]);
    spec.entry("podSelector").or_insert_with(|| json!({}));
    let has_egress = spec.get("egress").is_some_and(|rules| *rules != json!([]));
    let types = spec.get("policyTypes").and_then(Value::as_array);
    if types.is_none_or(Vec::is_empty) {
        let types = match has_egress {
            true => json!(["Ingress", "Egress"]),
            false => json!(["Ingress"]),
        };
        spec.insert("policyTypes".into(), types);
    }
    for direction in ["ingress", "egress"] {
        for rule in each(&mut policy["spec"], direction) {
            for port in each(rule, "ports") {
                fill(as_map(port), "protocol", "TCP");
            }
        }
    }
}
