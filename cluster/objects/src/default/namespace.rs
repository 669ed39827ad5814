//! Defaults of a namespace.

use serde_json::{Value, json};

use super::fill;
use crate::meta;

pub(super) fn apply(namespace: &mut Value) {
    let name = meta::name(namespace).to_owned();
    if !name.is_empty() {
        meta::set_label(namespace, "kubernetes.io/metadata.name", &name);
    }
    fill(meta::map_mut(namespace, &["status"]), "phase", "Active");
}

/// A namespace goes when it is empty, and not before.
pub(super) fn begin(namespace: &mut Value) {
    let finalizers = meta::list(namespace, &["spec", "finalizers"]);
    if !finalizers.contains(&json!("kubernetes")) {
        let all: Vec<Value> = finalizers.iter().cloned().chain([json!("kubernetes")]).collect();
        meta::set(namespace, &["spec", "finalizers"], all);
    }
    meta::set(namespace, &["status"], json!({"phase": "Active"}));
}
