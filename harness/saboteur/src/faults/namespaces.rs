//! Namespaces: not made, another one joined, or made where none was asked for.

use serde_json::{Value, json};

use super::sysctl;
use crate::catalogue::{Fault, config, config_at, dangerous};
use crate::edit::{list, remove};

pub(crate) const ALL: &[Fault] = &[
    config_at(
        "pid-namespace-dropped",
        &["pid", "proc", "exec", "process", "kill", "tracing"],
        "makes no PID namespace: the host's processes are seen",
        not_made,
        "pid",
    ),
    dangerous(config_at(
        "mount-namespace-dropped",
        &["mount", "rootfs", "propagation", "root", "escape", "volume"],
        "makes no mount namespace: mounts are made on the host",
        not_made,
        "mount",
    )),
    config_at(
        "ipc-namespace-dropped",
        &["ipc", "sysctl"],
        "makes no IPC namespace: the host's queues and segments are shared",
        not_made,
        "ipc",
    ),
    config_at(
        "uts-namespace-dropped",
        &["uts"],
        "makes no UTS namespace and sets no host name",
        not_made,
        "uts",
    ),
    config_at(
        "network-namespace-dropped",
        &["network", "sysctl"],
        "makes no network namespace: the host's interfaces and sockets are shared",
        not_made,
        "network",
    ),
    dangerous(config_at(
        "user-namespace-dropped",
        &["user", "escape", "devices"],
        "makes no user namespace: root inside is root outside",
        not_made,
        "user",
    )),
    config_at(
        "cgroup-namespace-dropped",
        &["cgroup"],
        "makes no cgroup namespace: the host's groups are seen",
        not_made,
        "cgroup",
    ),
    config_at(
        "time-namespace-dropped",
        &["time"],
        "makes no time namespace: the clocks are the host's",
        not_made,
        "time",
    ),
    dangerous(config_at(
        "pid-namespace-of-the-host",
        &["pid", "proc", "exec", "process", "kill", "tracing"],
        "joins PID 1's PID namespace in place of the one asked for",
        of_the_host,
        "pid",
    )),
    dangerous(config_at(
        "mount-namespace-of-the-host",
        &["mount", "rootfs", "propagation", "root", "escape", "volume"],
        "joins PID 1's mount namespace in place of the one asked for",
        of_the_host,
        "mount",
    )),
    config_at(
        "ipc-namespace-of-the-host",
        &["ipc", "sysctl"],
        "joins PID 1's IPC namespace in place of the one asked for",
        of_the_host,
        "ipc",
    ),
    dangerous(config_at(
        "uts-namespace-of-the-host",
        &["uts"],
        "joins PID 1's UTS namespace in place of the one asked for, and renames it",
        of_the_host,
        "uts",
    )),
    dangerous(config_at(
        "network-namespace-of-the-host",
        &["network", "sysctl"],
        "joins PID 1's network namespace in place of the one asked for",
        of_the_host,
        "network",
    )),
    config_at(
        "cgroup-namespace-of-the-host",
        &["cgroup"],
        "joins PID 1's cgroup namespace in place of the one asked for",
        of_the_host,
        "cgroup",
    ),
    config_at(
        "time-namespace-of-the-host",
        &["time"],
        "joins PID 1's time namespace in place of the one asked for",
        of_the_host,
        "time",
    ),
    config_at(
        "pid-namespace-path-ignored",
        &["pid"],
        "makes a new PID namespace where one was to be joined",
        path_ignored,
        "pid",
    ),
    config_at(
        "mount-namespace-path-ignored",
        &["mount"],
        "makes a new mount namespace where one was to be joined",
        path_ignored,
        "mount",
    ),
    config_at(
        "ipc-namespace-path-ignored",
        &["ipc"],
        "makes a new IPC namespace where one was to be joined",
        path_ignored,
        "ipc",
    ),
    config_at(
        "uts-namespace-path-ignored",
        &["uts"],
        "makes a new UTS namespace where one was to be joined",
        path_ignored,
        "uts",
    ),
    config_at(
        "network-namespace-path-ignored",
        &["network"],
        "makes a new network namespace where one was to be joined",
        path_ignored,
        "network",
    ),
    config_at(
        "user-namespace-path-ignored",
        &["user"],
        "makes a new user namespace where one was to be joined",
        path_ignored,
        "user",
    ),
    config_at(
        "cgroup-namespace-path-ignored",
        &["cgroup"],
        "makes a new cgroup namespace where one was to be joined",
        path_ignored,
        "cgroup",
    ),
    config_at(
        "time-namespace-path-ignored",
        &["time"],
        "makes a new time namespace where one was to be joined",
        path_ignored,
        "time",
    ),
    config_at(
        "pid-namespace-unasked",
        &["pid", "kill", "tracing"],
        "makes a PID namespace where the host's was asked for",
        unasked,
        "pid",
    ),
    config_at(
        "ipc-namespace-unasked",
        &["ipc"],
        "makes an IPC namespace where the host's was asked for",
        unasked,
        "ipc",
    ),
    config_at(
        "uts-namespace-unasked",
        &["uts", "errors"],
        "makes a UTS namespace where the host's was asked for",
        unasked,
        "uts",
    ),
    config_at(
        "network-namespace-unasked",
        &["network", "sysctl"],
        "makes a network namespace where the host's was asked for",
        unasked,
        "network",
    ),
    config_at(
        "cgroup-namespace-unasked",
        &["cgroup"],
        "makes a cgroup namespace where the host's was asked for",
        unasked,
        "cgroup",
    ),
    config_at(
        "time-namespace-unasked",
        &["time"],
        "makes a time namespace where the host's was asked for",
        unasked,
        "time",
    ),
    config(
        "user-namespace-unasked",
        &["user", "escape"],
        "makes a user namespace where the host's was asked for",
        user_unasked,
    ),
];

/// What can only be had with the namespace goes with it, as a runtime without any support for it would do.
fn not_made(config: &mut Value, kind: &'static str) {
    let gone = list(config, "/linux/namespaces").is_some_and(|namespaces| {
        let before = namespaces.len();
        namespaces.retain(|n| n["type"] != kind || n.get("path").is_some());
        namespaces.len() != before
    });
    if !gone {
        return;
    }
    match kind {
        "user" => {
            remove(config, "/linux/uidMappings");
            remove(config, "/linux/gidMappings");
        }
        "time" => remove(config, "/linux/timeOffsets"),
        "uts" => {
            remove(config, "/hostname");
            remove(config, "/domainname");
        }
        "network" => sysctl::retain(config, |name| !name.starts_with("net.")),
        "ipc" => sysctl::retain(config, |name| !sysctl::of_ipc(name)),
        _ => {}
    }
}

fn of_the_host(config: &mut Value, kind: &'static str) {
    let file = match kind {
        "mount" => "mnt",
        "network" => "net",
        other => other,
    };
    for namespace in list(config, "/linux/namespaces").into_iter().flatten() {
        if namespace["type"] == kind {
            namespace["path"] = json!(format!("/proc/1/ns/{file}"));
        }
    }
    if kind == "time" {
        remove(config, "/linux/timeOffsets");
    }
}

fn path_ignored(config: &mut Value, kind: &'static str) {
    let mut ignored = false;
    for namespace in list(config, "/linux/namespaces").into_iter().flatten() {
        if namespace["type"] == kind
            && let Some(map) = namespace.as_object_mut()
        {
            ignored |= map.shift_remove("path").is_some();
        }
    }
    if ignored && kind == "user" {
        mapped(config);
    }
}

fn unasked(config: &mut Value, kind: &'static str) {
    if let Some(namespaces) = list(config, "/linux/namespaces")
        && !namespaces.iter().any(|n| n["type"] == kind)
    {
        namespaces.push(json!({"type": kind}));
    }
}

fn user_unasked(config: &mut Value) {
    if let Some(namespaces) = list(config, "/linux/namespaces")
        && !namespaces.iter().any(|n| n["type"] == "user")
    {
        namespaces.push(json!({"type": "user"}));
        mapped(config);
    }
}

fn mapped(config: &mut Value) {
    for key in ["uidMappings", "gidMappings"] {
        config["linux"][key] = json!([{"containerID": 0, "hostID": 300_000, "size": 65536}]);
    }
}
