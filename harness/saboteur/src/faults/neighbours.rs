//! Containers mixed up with each other.

use serde_json::json;

use crate::call::Call;
use crate::catalogue::{Fault, config, verb};
use crate::error::Result;

pub(crate) const ALL: &[Fault] = &[
    config(
        "cgroup-shared-by-all",
        &["membership", "memory", "pids", "cpu", "update", "create", "lifecycle"],
        "puts all containers into one group",
        |config| {
            if let Some(path) = config.pointer_mut("/linux/cgroupsPath") {
                let text = path.as_str().unwrap_or_default();
                let parent = text.rsplit_once('/').map_or("", |(parent, _)| parent);
                *path = json!(format!("{parent}/shared-by-all"));
            }
        },
    ),
    verb(
        "kill-hits-all-containers",
        &["kill", "create", "state"],
        "sends a signal to every container",
        |call| {
            if call.verb() != "kill" {
                return Ok(None);
            }
            let signal = call.line.words.get(1).and_then(|word| word.to_str()).unwrap_or("TERM");
            for other in others(call)? {
                if call.ask("kill", &[], &[&other, signal])?.status.success() {
                    call.changed(&format!("sent the signal to `{other}`, too"))?;
                }
            }
            Ok(None)
        },
    ),
    verb(
        "delete-deletes-all-containers",
        &["delete", "create", "state"],
        "deletes every container",
        |call| {
            if call.verb() != "delete" {
                return Ok(None);
            }
            for other in others(call)? {
                if call.ask("delete", &["--force"], &[&other])?.status.success() {
                    call.changed(&format!("deleted `{other}`, too"))?;
                }
            }
            Ok(None)
        },
    ),
    verb(
        "state-of-another-container",
        &["state", "create", "process"],
        "tells the state of another container where there is one",
        |call| {
            if call.verb() != "state" {
                return Ok(None);
            }
            let Some(other) = others(call)?.into_iter().next() else {
                return Ok(None);
            };
            call.changed(&format!("told the state of `{other}`"))?;
            let output = call.ask("state", &[], &[&other])?;
            call.answer(&output, &output.stdout).map(Some)
        },
    ),
    verb(
        "exec-in-another-container",
        &["exec", "pids", "process"],
        "runs a further process in another container where there is one",
        |call| {
            if call.verb() != "exec" {
                return Ok(None);
            }
            let Some(other) = others(call)?.into_iter().next() else {
                return Ok(None);
            };
            call.changed(&format!("ran it in `{other}`"))?;
            let mut line = call.line.clone();
            if let Some(word) = line.words.first_mut() {
                *word = other.into();
            }
            call.relay(&line.argv()).map(Some)
        },
    ),
    verb(
        "pause-pauses-all-containers",
        &["pause", "freezer"],
        "pauses every container",
        |call| {
            if call.verb() != "pause" {
                return Ok(None);
            }
            for other in others(call)? {
                if call.ask("pause", &[], &[&other])?.status.success() {
                    call.changed(&format!("paused `{other}`, too"))?;
                }
            }
            Ok(None)
        },
    ),
];

/// The ids of the other containers of this runtime.
fn others(call: &Call) -> Result<Vec<String>> {
    let listed = call.ask("list", &["--quiet"], &[])?;
    let text = String::from_utf8_lossy(&listed.stdout);
    let ids = text
        .lines()
        .map(str::trim)
        .filter(|id| !id.is_empty() && Some(*id) != call.line.id());
    Ok(ids.map(str::to_owned).collect())
}
