//! Bindings of pods to nodes.

use serde_json::Value;

use super::faults::{Faults, Path};
use crate::meta;

pub(super) fn create(faults: &mut Faults, binding: &Value) {
    let path = Path::of("target");
    let target = |key| meta::text(binding, &["target", key]);
    if !matches!(target("kind"), "" | "Node") {
        faults.unsupported(&path.child("kind"), target("kind"), &["Node", "<empty>"]);
    }
    if target("name").is_empty() {
        faults.required(&path.child("name"), "");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::told;

    #[test]
    fn a_binding_is_to_a_node() {
        assert_eq!(
            told("", "bindings", json!({"target": {"kind": "Node", "name": "n"}})),
            [""; 0]
        );
        assert_eq!(
            told("", "bindings", json!({"target": {"kind": "Pod"}})),
            [
                "target.kind: Unsupported value: \"Pod\": supported values: \"Node\", \"<empty>\"",
                "target.name: Required value"
            ]
        );
    }
}
