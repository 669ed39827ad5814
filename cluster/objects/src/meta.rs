//! Looking at objects, and changing what every kind has: names, labels, owners, conditions.

use serde_json::{Map, Value, json};

use crate::Kind;

/// The field at a path, if it is there and not null.
pub fn at<'a>(object: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter()
        .try_fold(object, |value, key| value.get(*key))
        .filter(|value| !value.is_null())
}

/// The text at a path; empty if there is none.
pub fn text<'a>(object: &'a Value, path: &[&str]) -> &'a str {
    at(object, path).and_then(Value::as_str).unwrap_or("")
}

/// The whole number at a path.
pub fn number(object: &Value, path: &[&str]) -> Option<i64> {
    at(object, path).and_then(Value::as_i64)
}

/// Whether the field at a path is `true`.
pub fn flag(object: &Value, path: &[&str]) -> bool {
    at(object, path).and_then(Value::as_bool).unwrap_or(false)
}

/// The list at a path; empty if there is none.
pub fn list<'a>(object: &'a Value, path: &[&str]) -> &'a [Value] {
    at(object, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The map at a path.
pub fn map<'a>(object: &'a Value, path: &[&str]) -> Option<&'a Map<String, Value>> {
    at(object, path).and_then(Value::as_object)
}

/// The map at a path, made if it is not there. What is no map on the way is replaced.
pub fn map_mut<'a>(object: &'a mut Value, path: &[&str]) -> &'a mut Map<String, Value> {
    let mut value = object;
    for key in path {
        value = as_map(value).entry(*key).or_insert(Value::Null);
    }
    as_map(value)
}

fn as_map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("it was just made one"),
    }
}

/// Sets the field at a path; what is missing on the way is made.
pub fn set(object: &mut Value, path: &[&str], value: impl Into<Value>) {
    if let Some((last, parents)) = path.split_last() {
        map_mut(object, parents).insert((*last).into(), value.into());
    }
}

/// Takes away the field at a path.
pub fn remove(object: &mut Value, path: &[&str]) -> Option<Value> {
    let (last, parents) = path.split_last()?;
    parents
        .iter()
        .try_fold(object, |value, key| value.get_mut(*key))?
        .as_object_mut()?
        .shift_remove(*last)
}

/// `apiVersion`.
pub fn api_version(object: &Value) -> &str {
    text(object, &["apiVersion"])
}

/// `kind`.
pub fn kind(object: &Value) -> &str {
    text(object, &["kind"])
}

/// `metadata.name`.
pub fn name(object: &Value) -> &str {
    text(object, &["metadata", "name"])
}

/// `metadata.generateName`.
pub fn generate_name(object: &Value) -> &str {
    text(object, &["metadata", "generateName"])
}

/// `metadata.namespace`; empty for kinds that live in none.
pub fn namespace(object: &Value) -> &str {
    text(object, &["metadata", "namespace"])
}

/// `metadata.uid`.
pub fn uid(object: &Value) -> &str {
    text(object, &["metadata", "uid"])
}

/// `metadata.resourceVersion` as it stands.
pub fn resource_version(object: &Value) -> &str {
    text(object, &["metadata", "resourceVersion"])
}

/// `metadata.resourceVersion` as the number that it is in this store.
pub fn revision(object: &Value) -> Option<u64> {
    resource_version(object).parse().ok()
}

/// `metadata.generation`.
pub fn generation(object: &Value) -> i64 {
    number(object, &["metadata", "generation"]).unwrap_or(0)
}

/// `metadata.creationTimestamp`.
pub fn creation_timestamp(object: &Value) -> Option<&str> {
    at(object, &["metadata", "creationTimestamp"])?.as_str()
}

/// `metadata.deletionTimestamp`.
pub fn deletion_timestamp(object: &Value) -> Option<&str> {
    at(object, &["metadata", "deletionTimestamp"])?.as_str()
}

/// Whether its deletion was asked for.
pub fn is_deleting(object: &Value) -> bool {
    deletion_timestamp(object).is_some()
}

/// `metadata.deletionGracePeriodSeconds`.
pub fn deletion_grace(object: &Value) -> Option<i64> {
    number(object, &["metadata", "deletionGracePeriodSeconds"])
}

/// `metadata.finalizers`.
pub fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    list(object, &["metadata", "finalizers"])
        .iter()
        .filter_map(Value::as_str)
}

/// `metadata.labels`.
pub fn labels(object: &Value) -> Option<&Map<String, Value>> {
    map(object, &["metadata", "labels"])
}

/// One label.
pub fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    labels(object)?.get(key)?.as_str()
}

/// Sets a label.
pub fn set_label(object: &mut Value, key: &str, value: &str) {
    set(object, &["metadata", "labels", key], value);
}

/// `metadata.annotations`.
pub fn annotations(object: &Value) -> Option<&Map<String, Value>> {
    map(object, &["metadata", "annotations"])
}

/// One annotation.
pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    annotations(object)?.get(key)?.as_str()
}

/// Sets an annotation.
pub fn set_annotation(object: &mut Value, key: &str, value: &str) {
    set(object, &["metadata", "annotations", key], value);
}

/// `metadata.ownerReferences`.
pub fn owners(object: &Value) -> &[Value] {
    list(object, &["metadata", "ownerReferences"])
}

/// The owner that manages the object.
pub fn controller(object: &Value) -> Option<&Value> {
    owners(object).iter().find(|owner| flag(owner, &["controller"]))
}

/// Whether this owner manages the object.
pub fn is_controlled_by(object: &Value, owner: &Value) -> bool {
    controller(object).is_some_and(|found| text(found, &["uid"]) == uid(owner))
}

/// A reference with which an object names the owner that manages it.
pub fn controller_reference(kind: &Kind, owner: &Value) -> Value {
    json!({
        "apiVersion": kind.api_version(), "kind": kind.kind, "name": name(owner), "uid": uid(owner),
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// A reference as events name what they are about.
pub fn reference(object: &Value) -> Value {
    let mut reference = json!({
        "apiVersion": api_version(object), "kind": kind(object), "name": name(object),
    });
    for (key, value) in [
        ("namespace", namespace(object)),
        ("uid", uid(object)),
        ("resourceVersion", resource_version(object)),
    ] {
        if !value.is_empty() {
            set(&mut reference, &[key], value);
        }
    }
    reference
}

/// `status.conditions`.
pub fn conditions(object: &Value) -> &[Value] {
    list(object, &["status", "conditions"])
}

/// One condition.
pub fn condition<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    conditions(object).iter().find(|one| text(one, &["type"]) == name)
}

/// Whether a condition is `True`.
pub fn is_true(object: &Value, condition_type: &str) -> bool {
    condition(object, condition_type).is_some_and(|one| text(one, &["status"]) == "True")
}

/// Sets a condition, and its `lastTransitionTime` if the status is another one. Says whether anything is new.
///
/// `now` is a time as [`crate::time::seconds`] writes it.
pub fn set_condition(
    object: &mut Value,
    condition_type: &str,
    status: &str,
    reason: &str,
    message: &str,
    now: &str,
) -> bool {
    let seen = condition(object, condition_type);
    let mut new = match seen {
        Some(seen) => seen.clone(),
        None => json!({"type": condition_type}),
    };
    if text(&new, &["status"]) != status {
        set(&mut new, &["status"], status);
        set(&mut new, &["lastTransitionTime"], now);
    }
    for (key, value) in [("reason", reason), ("message", message)] {
        if value.is_empty() {
            remove(&mut new, &[key]);
        } else {
            set(&mut new, &[key], value);
        }
    }
    if seen == Some(&new) {
        return false;
    }
    let conditions = map_mut(object, &["status"]).entry("conditions").or_insert(Value::Null);
    if !conditions.is_array() {
        *conditions = Value::Array(Vec::new());
    }
    if let Some(all) = conditions.as_array_mut() {
        match all.iter_mut().find(|one| text(one, &["type"]) == condition_type) {
            Some(one) => *one = new,
            None => all.push(new),
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_of_another_type_reads_as_nothing() {
        let object = json!({"metadata": {"name": "a", "labels": null, "finalizers": "x"}, "spec": 3});
        assert_eq!(name(&object), "a");
        assert_eq!(labels(&object), None);
        assert_eq!(finalizers(&object).count(), 0);
        assert_eq!(text(&object, &["spec", "a", "b"]), "");
    }

    #[test]
    fn a_path_is_made_on_the_way_to_what_is_set() {
        let mut object = json!({"metadata": {"labels": null}});
        set_label(&mut object, "a/b", "c");
        set(&mut object, &["status", "phase"], "Running");
        assert_eq!(label(&object, "a/b"), Some("c"));
        assert_eq!(object["status"]["phase"], "Running");
        assert_eq!(remove(&mut object, &["status", "phase"]), Some(json!("Running")));
    }

    #[test]
    fn a_condition_keeps_its_time_while_its_status_stays() {
        let mut object = json!({});
        assert!(set_condition(&mut object, "Ready", "False", "Wait", "", "t1"));
        assert!(set_condition(&mut object, "Ready", "False", "Other", "m", "t2"));
        assert!(!set_condition(&mut object, "Ready", "False", "Other", "m", "t3"));
        assert_eq!(
            condition(&object, "Ready").expect("set")["lastTransitionTime"],
            json!("t1")
        );
        assert!(set_condition(&mut object, "Ready", "True", "", "", "t4"));
        assert_eq!(
            conditions(&object),
            [json!({"type": "Ready", "status": "True", "lastTransitionTime": "t4"})]
        );
        assert!(is_true(&object, "Ready"));
    }
}
