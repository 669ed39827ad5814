//! What makes Kubernetes refuse an object, in its own words: clients and people know them.
//!
//! Objects are complete here: unknown fields are gone, types are right, defaults are written out.

mod address;
mod affinity;
mod binding;
mod config_map;
mod container;
mod disruption_budget;
mod endpoint_slice;
mod env;
mod event;
mod faults;
mod label_selector;
mod lease;
mod limit_range;
mod metadata;
mod namespace;
mod network_policy;
mod node;
mod pod;
mod pod_spec;
mod pod_update;
mod priority_class;
mod probe;
mod resource_quota;
mod resources;
mod runtime_class;
mod secret;
mod security;
mod service;
mod tolerations;
mod volume;
mod workload;

use serde_json::Value;

use crate::{Cause, Kind};
use faults::Faults;

/// What is wrong with a new object; nothing if it is good.
pub fn create(kind: &Kind, object: &Value) -> Vec<Cause> {
    let mut faults = Faults::default();
    match kind.kind {
        "Binding" => binding::create(&mut faults, object),
        "Pod" => pod::create(&mut faults, kind, object),
        _ => {
            metadata::create(&mut faults, kind, object);
            whole(&mut faults, kind, object);
        }
    }
    faults.causes
}

/// What is wrong with a change of an object, status and all that is below it apart.
pub fn update(kind: &Kind, old: &Value, new: &Value) -> Vec<Cause> {
    let mut faults = Faults::default();
    let all = &mut faults;
    if kind.kind == "Pod" {
        pod_update::check(all, old, new);
        return faults.causes;
    }
    metadata::update(all, old, new);
    match kind.kind {
        "ConfigMap" => config_map::update(all, old, new),
        "Deployment" | "ReplicaSet" => workload::update(all, old, new),
        "EndpointSlice" => endpoint_slice::update(all, old, new),
        "Node" => node::update(all, old, new),
        "PriorityClass" => priority_class::update(all, old, new),
        "ResourceQuota" => resource_quota::update(all, old, new),
        "RuntimeClass" => runtime_class::update(all, old, new),
        "Secret" => secret::update(all, old, new),
        "Service" => service::update(all, old, new),
        _ => {}
    }
    whole(all, kind, new);
    faults.causes
}

/// What is wrong with a change of an object's status.
pub fn status(kind: &Kind, old: &Value, new: &Value) -> Vec<Cause> {
    let mut faults = Faults::default();
    let all = &mut faults;
    match kind.kind {
        "Pod" => pod::status(all, old, new),
        "Node" => {
            metadata::update(all, old, new);
            node::update(all, old, new);
        }
        kind => {
            metadata::update(all, old, new);
            match kind {
                "Deployment" | "ReplicaSet" => workload::status(all, new),
                "Namespace" => namespace::status(all, new),
                "PodDisruptionBudget" => disruption_budget::status(all, new),
                "ResourceQuota" => resource_quota::amounts(all, new, "status"),
                _ => {}
            }
        }
    }
    faults.causes
}

/// What is wrong with what a Service says of its addresses and their families: for who hands them out, and can do so only
/// where they make sense.
pub fn service_addresses(service: &Value) -> Vec<Cause> {
    let mut faults = Faults::default();
    service::addresses(&mut faults, service);
    faults.causes
}

/// What is wrong whether the object is new or not.
fn whole(faults: &mut Faults, kind: &Kind, object: &Value) {
    match kind.kind {
        "ConfigMap" => config_map::check(faults, object),
        "Deployment" | "ReplicaSet" => workload::check(faults, kind, object),
        "EndpointSlice" => endpoint_slice::check(faults, object),
        "Event" => event::check(faults, object),
        "Lease" => lease::check(faults, object),
        "LimitRange" => limit_range::check(faults, object),
        "Namespace" => namespace::check(faults, object),
        "NetworkPolicy" => network_policy::check(faults, object),
        "Node" => node::check(faults, object),
        "PodDisruptionBudget" => disruption_budget::check(faults, object),
        "PriorityClass" => priority_class::check(faults, object),
        "ResourceQuota" => resource_quota::check(faults, object),
        "RuntimeClass" => runtime_class::check(faults, object),
        "Secret" => secret::check(faults, object),
        "Service" => service::check(faults, object),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{default, kind, meta};

    fn complete(group: &str, plural: &str, mut object: Value) -> (&'static Kind, Value) {
        let kind = kind::find(group, "v1", plural).expect("served");
        if meta::name(&object).is_empty() && meta::generate_name(&object).is_empty() {
            meta::set(&mut object, &["metadata", "name"], "x");
        }
        if kind.namespaced && meta::namespace(&object).is_empty() {
            meta::set(&mut object, &["metadata", "namespace"], "n");
        }
        default::apply(kind, &mut object);
        (kind, object)
    }

    fn lines(causes: Vec<Cause>) -> Vec<String> {
        causes
            .into_iter()
            .map(|one| format!("{}: {}", one.field, one.message))
            .collect()
    }

    /// Faults of a new object, which needs to say no more than what it is about.
    pub(super) fn told(group: &str, plural: &str, object: Value) -> Vec<String> {
        let (kind, object) = complete(group, plural, object);
        lines(create(kind, &object))
    }

    /// Faults of a change.
    pub(super) fn updated(group: &str, plural: &str, old: Value, new: Value) -> Vec<String> {
        let ((kind, old), (_, new)) = (complete(group, plural, old), complete(group, plural, new));
        lines(update(kind, &old, &new))
    }

    #[test]
    fn metadata_is_checked_for_every_kind() {
        assert_eq!(
            told("", "configmaps", json!({"metadata": {"name": "A"}}))[0]
                .split(" must")
                .next(),
            Some("metadata.name: Invalid value: \"A\": a lowercase RFC 1123 subdomain")
        );
        assert_eq!(
            told(
                "",
                "configmaps",
                json!({"metadata": {"generateName": "a-", "name": "a-b"}})
            ),
            [""; 0]
        );
        assert_eq!(
            told("", "namespaces", json!({"metadata": {"name": "a.b"}})),
            ["metadata.name: Invalid value: \"a.b\": must not contain dots"]
        );
        assert_eq!(
            told("", "nodes", json!({"metadata": {"name": "a", "namespace": "b"}})),
            ["metadata.namespace: Forbidden: not allowed on this type"]
        );
        let owner = json!({"apiVersion": "v1", "kind": "Pod", "name": "a", "controller": true});
        assert_eq!(
            told("", "configmaps", json!({"metadata": {"ownerReferences": [owner]}})),
            ["metadata.ownerReferences.uid: Invalid value: \"\": uid must not be empty"]
        );
        let large = json!({"metadata": {"annotations": {"a": "x".repeat(256 * 1024)}}});
        assert_eq!(
            told("", "configmaps", large),
            ["metadata.annotations: Too long: may not be more than 262144 bytes"]
        );
    }

    #[test]
    fn what_an_object_is_called_cannot_change() {
        let object = |name: &str, uid: Option<&str>| json!({"metadata": {"name": name, "uid": uid}});
        assert_eq!(
            updated("", "configmaps", object("a", Some("1")), object("a", None)),
            [""; 0]
        );
        assert_eq!(
            updated("", "configmaps", object("a", Some("1")), object("b", Some("2"))),
            [
                "metadata.name: Invalid value: \"b\": field is immutable",
                "metadata.uid: Invalid value: \"2\": field is immutable"
            ]
        );
        let going = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["a/b"]}});
        let held = json!({"metadata": {"finalizers": ["a/b", "a/c"]}});
        assert_eq!(
            updated("", "configmaps", going, held),
            [
                "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"a/c\"}"
            ]
        );
    }
}
