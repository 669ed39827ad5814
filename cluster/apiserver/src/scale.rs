//! `autoscaling/v1` Scale: the replicas of an object, whatever kind it is.

use objects::{
    Cause, Kind, Reason, Status, meta,
    schema::{self, Message},
    selector::Labels,
};
use serde_json::{Value, json};

use crate::metadata::{address_as, clear, set};

/// What the sub-resource says of an object.
pub(crate) fn of(kind: &Kind, object: &Value) -> Value {
    let mut scale = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {},
        "spec": {},
        "status": {"replicas": meta::number(object, &["status", "replicas"]).unwrap_or(0)},
    });
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object["metadata"].get(field) {
            set(&mut scale, field, value.clone());
        }
    }
    if let Some(replicas) = meta::number(object, &["spec", "replicas"]).filter(|replicas| *replicas != 0) {
        meta::set(&mut scale, &["spec", "replicas"], replicas);
    }
    // Validation refuses selectors that cannot be read for the kinds that have this sub-resource.
    if let Ok(labels) = Labels::of(object["spec"].get("selector")) {
        meta::set(&mut scale, &["status", "selector"], labels.to_string());
    }
    debug_assert!(kind.subresources.iter().any(|one| one.name == "scale"));
    scale
}

/// What a Scale is made of.
pub(crate) fn message() -> Result<&'static Message, Status> {
    schema::named("autoscaling/v1", "Scale").ok_or_else(|| Status::new(Reason::InternalError, "Scale is not known"))
}

/// The object with the replicas, and under the resource version, of a Scale that was sent.
///
/// # Errors
/// `BadRequest` for what is no Scale, `Invalid` for less than no replicas.
pub(crate) fn applied(kind: &Kind, object: &Value, scale: &Value) -> Result<Value, Status> {
    let mut scale = scale.clone();
    address_as("autoscaling/v1", "Scale", &mut scale)?;
    let replicas = meta::number(&scale, &["spec", "replicas"]).unwrap_or(0);
    if replicas < 0 {
        let message = format!(
            "Scale.autoscaling \"{name}\" is invalid: spec.replicas: Invalid value: {replicas}: must be greater than or \
             equal to 0",
            name = meta::name(object)
        );
        let cause = Cause {
            reason: "FieldValueInvalid".into(),
            message: format!("Invalid value: {replicas}: must be greater than or equal to 0"),
            field: "spec.replicas".into(),
        };
        let mut status = Status::invalid(kind, meta::name(object), vec![cause]);
        status.message = message;
        return Err(status);
    }
    let mut new = object.clone();
    meta::set(&mut new, &["spec", "replicas"], replicas);
    match meta::resource_version(&scale) {
        "" => clear(&mut new, "resourceVersion"),
        version => set(&mut new, "resourceVersion", version),
    }
    Ok(new)
}
