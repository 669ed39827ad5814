//! Names, labels, annotations, owners and finalizers: what every kind has.

use serde_json::Value;

use super::faults::{Faults, Path, go_list};
use crate::{Kind, meta, name};

/// Bytes of all annotations together.
const ANNOTATIONS: usize = 256 * 1024;
const MANAGER: usize = 128;
const FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];
const PATH: Path<'_> = Path::of("metadata");

/// Metadata of a new object.
pub(super) fn create(faults: &mut Faults, kind: &Kind, object: &Value) {
    let check = name_check(kind);
    let prefix = meta::generate_name(object);
    if !prefix.is_empty() {
        faults.each(
            &PATH.child("generateName"),
            prefix,
            check(&without_trailing_dash(prefix)),
        );
    }
    let own = meta::name(object);
    if own.is_empty() {
        faults.required(&PATH.child("name"), "name or generateName is required");
    } else {
        faults.each(&PATH.child("name"), own, check(own));
    }
    let namespace = meta::namespace(object);
    let path = PATH.child("namespace");
    match (kind.namespaced, namespace) {
        (true, "") => faults.required(&path, ""),
        (true, namespace) => faults.each(&path, namespace, name::dns1123_label(namespace)),
        (false, "") => {}
        (false, _) => faults.forbidden(&path, "not allowed on this type"),
    }
    faults.not_negative(
        &PATH.child("generation"),
        meta::number(object, &["metadata", "generation"]),
    );
    both(faults, object);
}

/// Metadata of an object that changes.
pub(super) fn update(faults: &mut Faults, old: &Value, new: &Value) {
    if meta::is_deleting(old) {
        let mut added: Vec<Value> = meta::finalizers(new)
            .filter(|one| !meta::finalizers(old).any(|known| known == *one))
            .map(Value::from)
            .collect();
        added.sort_unstable_by(|a, b| a.as_str().cmp(&b.as_str()));
        if !added.is_empty() {
            let added = go_list("[]string", &added).0;
            let detail =
                format!("no new finalizers can be added if the object is being deleted, found new finalizers {added}");
            faults.forbidden(&PATH.child("finalizers"), &detail);
        }
    }
    let generation = meta::generation(new);
    if generation != 0 && generation < meta::generation(old) {
        faults.invalid(&PATH.child("generation"), &generation, "must not be decremented");
    }
    for key in ["name", "namespace"] {
        let (old, new) = (meta::at(old, &["metadata", key]), meta::at(new, &["metadata", key]));
        faults.immutable(&PATH.child(key), old, new);
    }
    // What clients leave out here, the server keeps.
    for key in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        let (old, new) = (meta::at(old, &["metadata", key]), meta::at(new, &["metadata", key]));
        if new.is_some() {
            faults.immutable(&PATH.child(key), old, new);
        }
    }
    both(faults, new);
}

fn both(faults: &mut Faults, object: &Value) {
    labels(faults, &PATH.child("labels"), meta::at(object, &["metadata", "labels"]));
    annotations(
        faults,
        &PATH.child("annotations"),
        meta::at(object, &["metadata", "annotations"]),
    );
    owners(faults, object);
    finalizers(faults, object);
    managers(faults, object);
}

/// Labels, as objects have them, and as selectors want them.
pub(super) fn labels(faults: &mut Faults, path: &Path<'_>, labels: Option<&Value>) {
    for (key, value) in labels.and_then(Value::as_object).into_iter().flatten() {
        faults.each(path, key, name::qualified(key));
        let value = value.as_str().unwrap_or("");
        faults.each(path, value, name::label_value(value));
    }
}

pub(super) fn annotations(faults: &mut Faults, path: &Path<'_>, annotations: Option<&Value>) {
    let mut size = 0;
    for (key, value) in annotations.and_then(Value::as_object).into_iter().flatten() {
        faults.each(path, key, name::qualified(&key.to_lowercase()));
        size += key.len() + value.as_str().map_or(0, str::len);
    }
    if size > ANNOTATIONS {
        faults.too_long(path, ANNOTATIONS);
    }
}

fn owners(faults: &mut Faults, object: &Value) {
    let path = PATH.child("ownerReferences");
    let mut first: Option<String> = None;
    for owner in meta::owners(object) {
        let text = |key| meta::text(owner, &[key]);
        for (key, detail) in [
            ("apiVersion", "version must not be empty"),
            ("kind", "kind must not be empty"),
            ("name", "name must not be empty"),
            ("uid", "uid must not be empty"),
        ] {
            if text(key).is_empty() {
                faults.invalid(&path.child(key), text(key), detail);
            }
        }
        if text("apiVersion") == "v1" && text("kind") == "Event" {
            faults.invalid(&path, owner, "/v1, Kind=Event is disallowed from being an owner");
        }
        if meta::flag(owner, &["controller"]) {
            let this = format!("{}/{}", text("kind"), text("name"));
            match &first {
                None => first = Some(this),
                Some(first) => {
                    let detail = format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"
                    );
                    faults.invalid(&path, &Value::from(meta::owners(object)), &detail);
                }
            }
        }
    }
}

fn finalizers(faults: &mut Faults, object: &Value) {
    let path = PATH.child("finalizers");
    for (index, one) in meta::finalizers(object).enumerate() {
        faults.each(&path, one, name::qualified(one));
        known_finalizer(faults, &path.index(index), one);
    }
    let has = |name: &str| meta::finalizers(object).any(|one| one == name);
    if has("orphan") && has("foregroundDeletion") {
        let all = go_list("[]string", meta::list(object, &["metadata", "finalizers"]));
        faults.invalid(
            &path,
            &all,
            "finalizer orphan and foregroundDeletion cannot be both set",
        );
    }
}

/// A finalizer without a domain must be one of Kubernetes' own.
pub(super) fn known_finalizer(faults: &mut Faults, path: &Path<'_>, finalizer: &str) {
    if !finalizer.contains('/') && !FINALIZERS.contains(&finalizer) {
        faults.invalid(
            path,
            finalizer,
            "name is neither a standard finalizer name nor is it fully qualified",
        );
    }
}

fn managers(faults: &mut Faults, object: &Value) {
    let path = PATH.child("managedFields");
    let entries = meta::list(object, &["metadata", "managedFields"]);
    for (index, entry) in entries.iter().enumerate() {
        let path = path.index(index);
        let operation = meta::text(entry, &["operation"]);
        if !matches!(operation, "Apply" | "Update") {
            faults.invalid(&path.child("operation"), operation, "must be `Apply` or `Update`");
        }
        let format = meta::text(entry, &["fieldsType"]);
        if !matches!(format, "" | "FieldsV1") {
            faults.invalid(&path.child("fieldsType"), format, "must be `FieldsV1`");
        }
        if meta::text(entry, &["manager"]).len() > MANAGER {
            faults.too_long(&path.child("manager"), MANAGER);
        }
    }
}

/// What a name of this kind must be.
fn name_check(kind: &Kind) -> fn(&str) -> Vec<String> {
    match kind.kind {
        "Namespace" => name::dns1123_label,
        "Service" => name::dns1035_label,
        "Event" | "PodDisruptionBudget" | "Binding" => name::path_segment,
        _ => name::dns1123_subdomain,
    }
}

/// A prefix may end in a dash, since something follows.
fn without_trailing_dash(prefix: &str) -> String {
    match prefix.strip_suffix('-') {
        Some(rest) if !rest.is_empty() => {
            let mut name: String = rest.into();
            name.pop();
            name.push('a');
            name
        }
        _ => prefix.into(),
    }
}
