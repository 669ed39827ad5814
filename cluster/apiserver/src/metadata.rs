//! The metadata that the API itself gives and takes.

use std::time::SystemTime;

use objects::{Kind, Reason, Status, meta, time};
use serde_json::Value;
use uuid::Uuid;

pub(crate) fn now() -> String {
    time::seconds(SystemTime::now())
}

/// A random number, of which nothing hangs that must be secret.
pub(crate) fn random() -> u64 {
    Uuid::new_v4().as_u64_pair().1
}

pub(crate) fn set(object: &mut Value, field: &str, value: impl Into<Value>) {
    meta::set(object, &["metadata", field], value);
}

pub(crate) fn clear(object: &mut Value, field: &str) {
    meta::remove(object, &["metadata", field]);
}

/// Gives `object` what `from` has in this field of the metadata, also where that is nothing.
pub(crate) fn keep(object: &mut Value, from: &Value, field: &str) {
    match from["metadata"].get(field) {
        Some(value) => set(object, field, value.clone()),
        None => clear(object, field),
    }
}

/// Gives `object` what `from` has at its top, also where that is nothing.
pub(crate) fn keep_part(object: &mut Value, from: &Value, part: &str) {
    match from.get(part) {
        Some(value) => meta::set(object, &[part], value.clone()),
        None => {
            meta::remove(object, &[part]);
        }
    }
}

pub(crate) fn finalizers(object: &Value) -> Vec<String> {
    meta::finalizers(object).map(str::to_owned).collect()
}

pub(crate) fn set_finalizers(object: &mut Value, finalizers: Vec<String>) {
    if finalizers.is_empty() {
        clear(object, "finalizers");
    } else {
        set(object, "finalizers", finalizers);
    }
}

/// Brings an object that was sent to the kind and the namespace it was sent to. Clients may leave out both.
///
/// # Errors
/// `BadRequest` where it says something else.
pub(crate) fn address(kind: &Kind, namespace: &str, object: &mut Value) -> Result<(), Status> {
    address_as(&kind.api_version(), kind.kind, object)?;
    if !kind.namespaced {
        clear(object, "namespace");
        return Ok(());
    }
    match meta::namespace(object) {
        "" => set(object, "namespace", namespace),
        said if said == namespace => {}
        _ => {
            return Err(bad(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
    }
    Ok(())
}

/// The same for its version and kind only.
pub(crate) fn address_as(version: &str, kind: &str, object: &mut Value) -> Result<(), Status> {
    if !object.is_object() {
        return Err(bad("the body is not an object"));
    }
    if object["metadata"].as_object().is_none() && !object["metadata"].is_null() {
        return Err(bad("metadata: not an object"));
    }
    for (field, wanted, what) in [("apiVersion", version, "API version"), ("kind", kind, "kind")] {
        match object[field].as_str() {
            None | Some("") => {}
            Some(said) if said == wanted => continue,
            Some(said) => {
                return Err(bad(format!(
                    "the {what} in the data ({said}) does not match the expected {what} ({wanted})"
                )));
            }
        }
        meta::set(object, &[field], wanted);
    }
    front(object);
    Ok(())
}

/// `apiVersion` and `kind` come first, where people expect them.
fn front(object: &mut Value) {
    let Some(map) = object.as_object_mut() else { return };
    for (index, field) in ["apiVersion", "kind"].into_iter().enumerate() {
        if let Some(value) = map.shift_remove(field) {
            map.shift_insert(index, field.into(), value);
        }
    }
}

pub(crate) fn bad(message: impl Into<String>) -> Status {
    Status::new(Reason::BadRequest, message)
}
