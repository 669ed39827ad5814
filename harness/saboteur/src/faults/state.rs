//! What the runtime says of its containers.

use serde_json::{Value, json};

use crate::call::Call;
use crate::catalogue::{Fault, verb};
use crate::error::Result;

const AREA: &[&str] = &["state"];

pub(crate) const ALL: &[Fault] = &[
    verb(
        "state-pid-wrong",
        &["state", "create"],
        "tells the runtime's own pid for the container's",
        |call| lie(call, |state| state["pid"] = json!(std::process::id())),
    ),
    verb("state-pid-zero", AREA, "tells pid 0", |call| {
        lie(call, |state| state["pid"] = json!(0))
    }),
    verb("state-pid-missing", AREA, "tells no pid", |call| {
        lie(call, |state| lost(state, "pid"))
    }),
    verb(
        "state-pid-parent",
        AREA,
        "tells PID 1 of the host for the container's process",
        |call| lie(call, |state| state["pid"] = json!(1)),
    ),
    verb("state-bundle-missing", AREA, "tells no bundle", |call| {
        lie(call, |state| lost(state, "bundle"))
    }),
    verb("state-bundle-wrong", AREA, "tells another bundle", |call| {
        lie(call, |state| state["bundle"] = json!("/"))
    }),
    verb(
        "state-version-missing",
        AREA,
        "tells no version of the specification",
        |call| lie(call, |state| lost(state, "ociVersion")),
    ),
    verb(
        "state-version-wrong",
        AREA,
        "tells a version of the specification that there never was",
        |call| lie(call, |state| state["ociVersion"] = json!("0.0.0")),
    ),
    verb("state-annotations-missing", AREA, "tells no annotations", |call| {
        lie(call, |state| lost(state, "annotations"))
    }),
    verb(
        "state-annotations-trimmed",
        AREA,
        "leaves out annotations without a value",
        |call| {
            lie(call, |state| {
                if let Some(annotations) = state.get_mut("annotations").and_then(Value::as_object_mut) {
                    annotations.retain(|_, value| value != "");
                }
            })
        },
    ),
    verb("state-id-wrong", AREA, "tells another id", |call| {
        lie(call, |state| state["id"] = json!("container"))
    }),
    verb("state-id-missing", AREA, "tells no id", |call| {
        lie(call, |state| lost(state, "id"))
    }),
    verb(
        "state-status-missing",
        &["state", "create"],
        "tells no status",
        |call| lie(call, |state| lost(state, "status")),
    ),
    verb(
        "state-created-as-running",
        &["state", "create", "kill"],
        "tells `running` of a created container",
        |call| lie(call, |state| other(state, "created", "running")),
    ),
    verb(
        "state-running-as-created",
        &["state", "create"],
        "tells `created` of a running container",
        |call| lie(call, |state| other(state, "running", "created")),
    ),
    verb(
        "state-running-as-stopped",
        AREA,
        "tells `stopped` of a running container",
        |call| lie(call, |state| other(state, "running", "stopped")),
    ),
    verb(
        "state-stopped-as-running",
        &["state", "kill", "exit"],
        "tells `running` of a stopped container",
        |call| lie(call, |state| other(state, "stopped", "running")),
    ),
    verb(
        "state-paused-as-running",
        &["pause", "freezer"],
        "tells `running` of a paused container",
        |call| lie(call, |state| other(state, "paused", "running")),
    ),
    verb(
        "state-of-missing-invented",
        &["errors", "delete", "state"],
        "tells `stopped` of a container that is not there",
        |call| {
            if call.verb() != "state" {
                return Ok(None);
            }
            let output = call.captured(&call.line.argv())?;
            if output.status.success() {
                return call.answer(&output, &output.stdout).map(Some);
            }
            call.changed("invented a state")?;
            let id = call.line.id().unwrap_or_default();
            let state = json!({"ociVersion": "1.0.2", "id": id, "status": "stopped", "bundle": "/"});
            call.print(&format!("{state}\n"))?;
            Ok(Some(0))
        },
    ),
    verb("state-no-json", AREA, "tells the state in words", |call| {
        if call.verb() != "state" {
            return Ok(None);
        }
        let output = call.captured(&call.line.argv())?;
        if output.status.success() {
            call.changed("answered in words")?;
            return call.answer(&output, b"the container is fine\n").map(Some);
        }
        call.answer(&output, &output.stdout).map(Some)
    }),
    verb("list-empty", &["list", "state"], "lists no containers", |call| {
        if call.verb() != "list" {
            return Ok(None);
        }
        let output = call.captured(&call.line.argv())?;
        let empty: &[u8] = if output.stdout.trim_ascii_start().starts_with(b"[") {
            b"[]\n"
        } else {
            b""
        };
        if output.stdout.trim_ascii() != empty.trim_ascii() {
            call.changed("listed no containers")?;
        }
        call.answer(&output, empty).map(Some)
    }),
    verb(
        "ps-only-init",
        &["ps", "exec", "state"],
        "lists only the container's first process",
        |call| {
            edited(call, "ps", |list| {
                if let Some(pids) = list.as_array_mut() {
                    pids.truncate(1);
                }
            })
        },
    ),
    verb(
        "ps-empty",
        &["ps", "exec", "state"],
        "lists no processes of a container",
        |call| {
            edited(call, "ps", |list| {
                if let Some(pids) = list.as_array_mut() {
                    pids.clear();
                }
            })
        },
    ),
    verb(
        "events-stats-zero",
        &["stats"],
        "tells zero for all that a container used",
        |call| edited(call, "events", |event| every_number(event, &|_| 0)),
    ),
    verb(
        "events-stats-doubled",
        &["stats"],
        "tells twice of what a container used",
        |call| {
            edited(call, "events", |event| {
                every_number(event, &|number| number.saturating_mul(2))
            })
        },
    ),
    verb(
        "features-empty",
        &["features", "kernel"],
        "tells that it has no features",
        |call| edited(call, "features", |features| *features = json!({})),
    ),
];

/// Prints another state than the runtime's.
fn lie(call: &Call, apply: impl FnOnce(&mut Value)) -> Result<Option<i32>> {
    edited(call, "state", apply)
}

/// Prints the JSON of a verb's answer, edited; anything else as it is.
fn edited(call: &Call, verb: &str, apply: impl FnOnce(&mut Value)) -> Result<Option<i32>> {
    if call.verb() != verb {
        return Ok(None);
    }
    let output = call.captured(&call.line.argv())?;
    let Ok(told) = serde_json::from_slice::<Value>(&output.stdout) else {
        return call.answer(&output, &output.stdout).map(Some);
    };
    let mut document = told.clone();
    apply(&mut document);
    if document == told {
        return call.answer(&output, &output.stdout).map(Some);
    }
    call.changed(&format!("told {document}"))?;
    call.answer(&output, format!("{document}\n").as_bytes()).map(Some)
}

fn lost(state: &mut Value, key: &str) {
    if let Some(state) = state.as_object_mut() {
        state.shift_remove(key);
    }
}

fn other(state: &mut Value, from: &str, to: &str) {
    if state["status"] == from {
        state["status"] = json!(to);
    }
}

fn every_number(value: &mut Value, apply: &impl Fn(u64) -> u64) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(|value| every_number(value, apply)),
        Value::Object(map) => map.values_mut().for_each(|value| every_number(value, apply)),
        Value::Number(number) => {
            if let Some(number) = number.as_u64() {
                *value = json!(apply(number));
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}
