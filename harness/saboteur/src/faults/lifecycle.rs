//! Create, start, pause, resume, delete: said and not done, done at the wrong time, or accepted when it must not be.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::call::Call;
use crate::catalogue::{Fault, dangerous, verb};
use crate::error::{Error, Result};

pub(crate) const ALL: &[Fault] = &[
    verb(
        "create-always-exits-0",
        &["create", "errors", "hooks", "escape", "sysctl", "user", "process"],
        "says 0 for a container that could not be created",
        |call| always_0(call, "create"),
    ),
    verb(
        "create-exits-1",
        &["create", "state"],
        "creates the container and says 1",
        |call| {
            if call.verb() != "create" {
                return Ok(None);
            }
            call.relay(&call.line.argv())?;
            call.changed("said 1")?;
            Ok(Some(1))
        },
    ),
    verb(
        "create-crashes-where-it-refuses",
        &["create", "escape"],
        "ends with 139, as by a crash, where it refuses to create",
        |call| {
            if call.verb() != "create" {
                return Ok(None);
            }
            let code = call.relay(&call.line.argv())?;
            if code == 0 {
                return Ok(Some(code));
            }
            call.changed("said 139")?;
            Ok(Some(139))
        },
    ),
    verb(
        "create-starts-at-once",
        &["create", "state", "kill", "hooks", "errors"],
        "runs the program before it is told to start",
        |call| {
            if call.verb() == "start" {
                call.changed("did nothing: the program runs already")?;
                return Ok(Some(0));
            }
            if call.verb() != "create" {
                return Ok(None);
            }
            let code = call.relay(&call.line.argv())?;
            if code == 0 {
                call.ask("start", &[], &[call.line.id().unwrap_or_default()])?;
                call.changed("started the container")?;
            }
            Ok(Some(code))
        },
    ),
    verb(
        "create-replaces-the-first",
        &["create", "errors"],
        "deletes a container of the same name and creates the second",
        |call| {
            if call.verb() == "create" && call.state().is_some() {
                call.ask("delete", &["--force"], &[call.line.id().unwrap_or_default()])?;
                call.changed("deleted the container of that name")?;
            }
            Ok(None)
        },
    ),
    verb(
        "create-second-accepted",
        &["create", "errors"],
        "says 0 for a second container of the same name and keeps the first",
        |call| {
            if call.verb() != "create" || call.state().is_none() {
                return Ok(None);
            }
            call.changed("said 0")?;
            Ok(Some(0))
        },
    ),
    verb(
        "create-leaves-a-failed-container",
        &["create", "errors", "hooks"],
        "leaves a container of which creation failed",
        failed_container,
    ),
    verb(
        "pid-file-not-written",
        &["create", "exec"],
        "writes no pid file",
        |call| pid_file(call, |path, _| fs::remove_file(path)),
    ),
    verb(
        "pid-file-wrong",
        &["create", "exec"],
        "writes its own pid into the pid file",
        |call| pid_file(call, |path, _| fs::write(path, std::process::id().to_string())),
    ),
    verb(
        "pid-file-of-init",
        &["create"],
        "writes the pid that the process has inside, 1",
        |call| pid_file(call, |path, _| fs::write(path, "1")),
    ),
    verb(
        "pid-file-of-parent",
        &["create", "process"],
        "writes the pid of the process that started the runtime",
        |call| {
            let parent = rustix::process::getppid().map_or(1, |pid| pid.as_raw_nonzero().get());
            pid_file(call, |path, _| fs::write(path, parent.to_string()))
        },
    ),
    verb(
        "pid-file-with-newline",
        &["create"],
        "ends the pid file with an empty line",
        |call| pid_file(call, |path, pid| fs::write(path, format!("{}\n\n", pid.trim()))),
    ),
    verb(
        "start-does-nothing",
        &["state", "create", "process"],
        "says 0 and does not start the program",
        |call| super::exec::skipped(call, "start"),
    ),
    verb(
        "start-always-exits-0",
        &["errors", "create", "kill", "hooks", "process"],
        "says 0 for a container that could not be started",
        |call| always_0(call, "start"),
    ),
    verb(
        "start-of-stopped-accepted",
        &["errors", "kill", "state"],
        "says 0 for the start of a stopped container",
        |call| accepted(call, "start", &["stopped"]),
    ),
    verb(
        "start-of-running-accepted",
        &["errors", "create", "state"],
        "says 0 for the start of a running container",
        |call| accepted(call, "start", &["running"]),
    ),
    verb(
        "start-of-missing-accepted",
        &["errors"],
        "says 0 for the start of a container that is not there",
        |call| missing_accepted(call, "start"),
    ),
    verb(
        "pause-does-nothing",
        &["pause", "freezer"],
        "says 0 and pauses nothing",
        |call| super::exec::skipped(call, "pause"),
    ),
    verb(
        "resume-does-nothing",
        &["pause", "freezer"],
        "says 0 and resumes nothing",
        |call| super::exec::skipped(call, "resume"),
    ),
    verb(
        "pause-stops-only-init",
        &["pause", "freezer"],
        "stops the first process by a signal in place of freezing all",
        |call| signalled(call, "pause", "STOP"),
    ),
    verb(
        "pause-kills",
        &["pause", "freezer"],
        "kills the container when it is to pause",
        |call| signalled(call, "pause", "KILL"),
    ),
    verb(
        "pause-of-stopped-accepted",
        &["pause", "errors"],
        "says 0 for pausing a stopped container",
        |call| accepted(call, "pause", &["stopped", "created"]),
    ),
    verb(
        "resume-of-running-accepted",
        &["pause", "errors"],
        "says 0 for resuming a container that is not paused",
        |call| accepted(call, "resume", &["running"]),
    ),
    verb(
        "delete-does-nothing",
        &["delete", "state", "lifecycle", "mount"],
        "says 0 and deletes nothing",
        |call| super::exec::skipped(call, "delete"),
    ),
    verb(
        "delete-refuses",
        &["delete", "state", "lifecycle", "hooks"],
        "refuses to delete a stopped container",
        |call| {
            if call.verb() != "delete" {
                return Ok(None);
            }
            call.changed("refused")?;
            Ok(Some(1))
        },
    ),
    verb(
        "delete-says-1",
        &["delete", "state", "lifecycle", "hooks"],
        "deletes the container and says 1",
        |call| {
            if call.verb() != "delete" {
                return Ok(None);
            }
            call.plain_child()?;
            call.changed("said 1")?;
            Ok(Some(1))
        },
    ),
    verb(
        "delete-force-ignored",
        &["delete", "hooks"],
        "deletes no running container even when it is forced to",
        |call| {
            if call.verb() != "delete" || !call.line.has("force") {
                return Ok(None);
            }
            let mut line = call.line.clone();
            line.drop("force");
            call.changed("left out --force")?;
            call.relay(&line.argv()).map(Some)
        },
    ),
    verb(
        "delete-force-kills-only-init",
        &["delete", "kill"],
        "says 0 when it is forced to delete, kills the first process and forgets nothing",
        |call| {
            if call.verb() != "delete" || !call.line.has("force") || call.state().is_none() {
                return Ok(None);
            }
            call.ask("kill", &[], &[call.line.id().unwrap_or_default(), "KILL"])?;
            call.changed("killed and did not delete")?;
            Ok(Some(0))
        },
    ),
    verb(
        "delete-always-forced",
        &["delete", "pause", "errors", "state"],
        "deletes a running container though it is not forced to",
        |call| {
            if call.verb() != "delete" || call.line.has("force") {
                return Ok(None);
            }
            if call.state().is_some_and(|state| state["status"] != "stopped") {
                call.changed("forced the deletion")?;
                call.ask("kill", &[], &[call.line.id().unwrap_or_default(), "KILL"])?;
                let output = call.ask("delete", &["--force"], &[call.line.id().unwrap_or_default()])?;
                return call.answer(&output, &output.stdout).map(Some);
            }
            Ok(None)
        },
    ),
    verb(
        "delete-of-running-says-0",
        &["delete", "errors", "state", "pause"],
        "says 0 for a running container and deletes nothing",
        |call| accepted(call, "delete", &["running", "paused", "created"]),
    ),
    verb(
        "delete-of-missing-accepted",
        &["delete", "errors"],
        "says 0 for deleting a container that is not there",
        |call| missing_accepted(call, "delete"),
    ),
    dangerous(verb(
        "delete-keeps-the-cgroup",
        &["delete", "lifecycle", "membership"],
        "leaves the container's control groups behind",
        keeps_the_cgroup,
    )),
];

/// Says 0 in place of a refusal.
pub(super) fn always_0(call: &Call, verb: &str) -> Result<Option<i32>> {
    if call.verb() != verb {
        return Ok(None);
    }
    let code = call.relay(&call.line.argv())?;
    if code != 0 {
        call.changed(&format!("said 0 in place of {code}"))?;
    }
    Ok(Some(0))
}

fn accepted(call: &Call, verb: &str, when: &[&str]) -> Result<Option<i32>> {
    if call.verb() != verb || call.line.has("force") {
        return Ok(None);
    }
    let status = call
        .state()
        .and_then(|state| Some(state.get("status")?.as_str()?.to_owned()));
    if !status.is_some_and(|status| when.contains(&status.as_str())) {
        return Ok(None);
    }
    call.changed("said 0")?;
    Ok(Some(0))
}

fn missing_accepted(call: &Call, verb: &str) -> Result<Option<i32>> {
    if call.verb() != verb || call.state().is_some() {
        return Ok(None);
    }
    call.changed("said 0")?;
    Ok(Some(0))
}

fn signalled(call: &Call, verb: &str, signal: &str) -> Result<Option<i32>> {
    if call.verb() != verb {
        return Ok(None);
    }
    let output = call.ask("kill", &[], &[call.line.id().unwrap_or_default(), signal])?;
    call.changed(&format!("sent {signal}"))?;
    call.answer(&output, &output.stdout).map(Some)
}

fn pid_file(call: &Call, apply: impl FnOnce(&PathBuf, &str) -> std::io::Result<()>) -> Result<Option<i32>> {
    let Some(path) = call.line.value("pid-file").map(PathBuf::from) else {
        return Ok(None);
    };
    let code = call.relay(&call.line.argv())?;
    if let (0, Ok(pid)) = (code, fs::read_to_string(&path)) {
        apply(&path, &pid).map_err(Error::file("change", &path))?;
        call.changed("changed the pid file")?;
    }
    Ok(Some(code))
}

fn failed_container(call: &Call) -> Result<Option<i32>> {
    let id = call.line.id().unwrap_or_default();
    match call.verb() {
        "create" if call.state().is_none() => {
            let code = call.relay(&call.line.argv())?;
            if code != 0 {
                call.remember("failed", "")?;
                call.changed("left the container behind")?;
            }
            Ok(Some(code))
        }
        "state" if call.remembered("failed").is_some() && call.state().is_none() => {
            let state = json!({"ociVersion": "1.0.2", "id": id, "status": "stopped", "bundle": "/"});
            call.print(&format!("{state}\n"))?;
            Ok(Some(0))
        }
        _ => Ok(None),
    }
}

/// Makes the directories of the container's groups anew after the runtime has removed them.
fn keeps_the_cgroup(call: &Call) -> Result<Option<i32>> {
    match call.verb() {
        "create" => {
            let code = call.relay(&call.line.argv())?;
            if let (0, Some(pid)) = (code, call.pid()) {
                let groups = super::membership::groups(&pid.to_string());
                let paths: Vec<_> = groups.iter().map(|g| g.directory.to_string_lossy()).collect();
                call.remember("groups", &paths.join("\n"))?;
            }
            Ok(Some(code))
        }
        "delete" => {
            let groups = call.remembered("groups").unwrap_or_default();
            let code = call.plain_child()?;
            let made = groups
                .lines()
                .filter(|group| code == 0 && fs::create_dir(group).is_ok())
                .count();
            if made > 0 {
                call.changed("left the control groups behind")?;
            }
            Ok(Some(code))
        }
        _ => Ok(None),
    }
}
