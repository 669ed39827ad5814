//! What the API does to an object of a kind before it is written: which part belongs to whom, and what counts as a new
//! generation. After the `strategy.go` of each kind in <https://github.com/kubernetes/kubernetes/tree/master/pkg/registry>.

use objects::{Kind, meta};
use serde_json::Value;

use crate::{
    Part,
    metadata::{clear, keep, keep_part, set},
};

fn has_status(kind: &Kind) -> bool {
    kind.subresources.iter().any(|one| one.name == "status")
}

/// Kinds whose `metadata.generation` says how often what is wanted changed.
fn has_generation(kind: &Kind) -> bool {
    matches!(
        kind.kind,
        "Deployment" | "NetworkPolicy" | "PodDisruptionBudget" | "Pod" | "ReplicaSet"
    )
}

/// Kinds that a PUT makes where they are not there.
pub(crate) fn is_made_by_update(kind: &Kind) -> bool {
    matches!(kind.kind, "Event" | "Lease" | "LimitRange" | "Service")
}

/// Kinds of which nobody writes what he has not read.
pub(crate) fn needs_version(kind: &Kind) -> bool {
    matches!(kind.kind, "Lease" | "PodDisruptionBudget" | "RuntimeClass")
}

pub(crate) fn before_create(kind: &Kind, object: &mut Value) {
    if has_status(kind) && kind.kind != "Node" {
        meta::remove(object, &["status"]);
    }
    clear(object, "generation");
    if has_generation(kind) {
        set(object, "generation", 1);
    }
    objects::default::begin(kind, object);
}

/// Takes from `new` what the part may change, and the rest from what is there.
pub(crate) fn before_update(kind: &Kind, part: Part, old: &Value, new: &mut Value) {
    for field in [
        "name",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "generateName",
        "selfLink",
    ] {
        keep(new, old, field);
    }
    match part {
        Part::Main | Part::Scale => {
            if has_status(kind) {
                keep_part(new, old, "status");
            }
            if kind.kind == "Namespace" {
                finalize(new, meta::list(old, &["spec", "finalizers"]).to_vec());
            }
            count(kind, old, new);
        }
        Part::Status => {
            for field in old.as_object().into_iter().flatten().map(|(field, _)| field) {
                if !matches!(field.as_str(), "status" | "metadata") {
                    keep_part(new, old, field);
                }
            }
            keep(new, old, "ownerReferences");
            keep(new, old, "finalizers");
            if !matches!(kind.kind, "Pod" | "Node") {
                keep(new, old, "labels");
            }
            if let Some(class) = meta::at(old, &["status", "qosClass"]) {
                meta::set(new, &["status", "qosClass"], class.clone());
            }
        }
        Part::Finalize => {
            let finalizers = meta::list(new, &["spec", "finalizers"]).to_vec();
            keep_part(new, old, "status");
            keep_part(new, old, "spec");
            finalize(new, finalizers);
        }
    }
}

fn finalize(namespace: &mut Value, finalizers: Vec<Value>) {
    if finalizers.is_empty() {
        meta::remove(namespace, &["spec", "finalizers"]);
    } else {
        meta::set(namespace, &["spec", "finalizers"], finalizers);
    }
}

fn count(kind: &Kind, old: &Value, new: &mut Value) {
    let spec = old.get("spec") != new.get("spec");
    let annotations = kind.kind == "Deployment" && meta::annotations(old) != meta::annotations(new);
    if has_generation(kind) && (spec || annotations) {
        set(new, "generation", meta::generation(old) + 1);
    }
}
