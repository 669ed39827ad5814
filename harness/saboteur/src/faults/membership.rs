//! Which control groups the container's process is in.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::call::Call;
use crate::catalogue::{Fault, config, config_at, verb};
use crate::edit::remove;
use crate::error::Result;

const MEMBERS: &[&str] = &[
    "membership",
    "memory",
    "cpu",
    "pids",
    "kill",
    "stats",
    "create",
    "state",
    "freezer",
];

pub(crate) const ALL: &[Fault] = &[
    config_at(
        "cgroup-path-dropped",
        &["membership", "cgroup", "create", "state", "lifecycle", "delete"],
        "puts the container into a group of the runtime's choice",
        remove,
        "/linux/cgroupsPath",
    ),
    config(
        "cgroup-path-elsewhere",
        &["membership", "cgroup", "create", "state", "lifecycle", "delete"],
        "puts the container into a group of another name",
        |config| {
            if let Some(path) = config.pointer_mut("/linux/cgroupsPath") {
                *path = json!(format!("{}-elsewhere", path.as_str().unwrap_or_default()));
            }
        },
    ),
    verb(
        "cgroup-not-joined",
        MEMBERS,
        "makes the group and leaves the process out of it",
        |call| left_out(call, |_| true),
    ),
    verb(
        "cgroup-memory-not-joined",
        &["membership", "memory", "state"],
        "leaves the process out of its memory group",
        |call| left_out(call, |controller| controller == "memory"),
    ),
    verb(
        "cgroup-pids-not-joined",
        &["membership", "pids", "state"],
        "leaves the process out of its pids group",
        |call| left_out(call, |controller| controller == "pids"),
    ),
    verb(
        "cgroup-cpu-not-joined",
        &["membership", "cpu", "state"],
        "leaves the process out of its cpu group",
        |call| left_out(call, |controller| controller == "cpu"),
    ),
    verb(
        "cgroup-devices-not-joined",
        &["membership", "devices", "state"],
        "leaves the process out of its devices group",
        |call| left_out(call, |controller| controller == "devices"),
    ),
    verb(
        "cgroup-freezer-not-joined",
        &["membership", "freezer", "pause"],
        "leaves the process out of its freezer group",
        |call| left_out(call, |controller| controller == "freezer"),
    ),
    verb(
        "cgroup-not-joined-by-exec",
        &["membership", "exec", "pids", "memory"],
        "leaves what exec starts out of the container's groups",
        exec_left_out,
    ),
];

/// A group directory, and the controllers that it has; none is version 2.
pub(super) struct Group {
    controllers: Vec<String>,
    pub(super) directory: PathBuf,
}

/// The groups that a process is in.
pub(super) fn groups(process: &str) -> Vec<Group> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let groups = fs::read_to_string(format!("/proc/{process}/cgroup")).unwrap_or_default();
    let mut all = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(names), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let controllers: Vec<String> = names.split(',').filter(|n| !n.is_empty()).map(str::to_owned).collect();
        let mount = mounts.lines().find_map(|mount| {
            let (front, back) = mount.split_once(" - ")?;
            let mut back = back.split(' ');
            let (kind, options) = (back.next()?, back.nth(1)?);
            let fits = if controllers.is_empty() {
                kind == "cgroup2"
            } else {
                kind == "cgroup" && controllers.iter().all(|c| options.split(',').any(|o| o == c))
            };
            let mut front = front.split(' ').skip(3);
            let (root, target) = (front.next()?, front.next()?);
            fits.then(|| (root.to_owned(), target.to_owned()))
        });
        if let Some((root, target)) = mount {
            let below = path.strip_prefix(root.trim_end_matches('/')).unwrap_or(path);
            all.push(Group {
                controllers,
                directory: Path::new(&target).join(below.trim_start_matches('/')),
            });
        }
    }
    all
}

/// Moves a process into the groups that the runtime itself is in. Of version 2 there is one group for all controllers.
fn moved_out(pid: i32, which: impl Fn(&str) -> bool) -> bool {
    let mut moved = false;
    for group in groups("self") {
        let all = group.controllers.is_empty() && which("memory") && which("pids");
        if all || group.controllers.iter().any(|c| which(c)) {
            // A process that is gone, or a group that may not hold one, stays as it is.
            moved |= fs::write(group.directory.join("cgroup.procs"), pid.to_string()).is_ok();
        }
    }
    moved
}

fn left_out(call: &Call, which: impl Fn(&str) -> bool) -> Result<Option<i32>> {
    if call.verb() != "create" {
        return Ok(None);
    }
    let code = call.relay(&call.line.argv())?;
    if let (0, Some(pid)) = (code, call.pid())
        && moved_out(pid, which)
    {
        call.changed(&format!("moved process {pid} back to the runtime's own group"))?;
    }
    Ok(Some(code))
}

fn exec_left_out(call: &Call) -> Result<Option<i32>> {
    if call.verb() != "exec" || !call.line.has("detach") {
        return Ok(None);
    }
    let Some(file) = call.line.value("pid-file").map(PathBuf::from) else {
        return Ok(None);
    };
    let code = call.relay(&call.line.argv())?;
    let pid = fs::read_to_string(file).unwrap_or_default().trim().parse();
    if let (0, Ok(pid)) = (code, pid)
        && moved_out(pid, |_| true)
    {
        call.changed(&format!("moved process {pid} to the runtime's own group"))?;
    }
    Ok(Some(code))
}
