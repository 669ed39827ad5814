//! Kernel parameters.

use serde_json::{Value, json};

use crate::catalogue::{Fault, config, config_at};
use crate::edit::{map, remove};

pub(crate) const ALL: &[Fault] = &[
    config_at(
        "sysctl-dropped",
        &["sysctl"],
        "sets no kernel parameters",
        remove_at,
        "/linux/sysctl",
    ),
    config(
        "sysctl-last-lost",
        &["sysctl"],
        "leaves out the last kernel parameter",
        last_lost,
    ),
    config(
        "sysctl-another-value",
        &["sysctl"],
        "sets each numeric kernel parameter one higher, or from one to zero",
        another_value,
    ),
    config(
        "sysctl-of-the-host-skipped",
        &["sysctl", "errors"],
        "accepts kernel parameters of the host and does not set them",
        of_the_host_skipped,
    ),
];

fn remove_at(config: &mut Value, at: &'static str) {
    remove(config, at);
}

fn last_lost(config: &mut Value) {
    if let Some(parameters) = map(config, "/linux/sysctl")
        && let Some(last) = parameters.keys().next_back().cloned()
    {
        parameters.shift_remove(&last);
    }
}

fn another_value(config: &mut Value) {
    for (_, value) in map(config, "/linux/sysctl").into_iter().flatten() {
        if let Some(number) = value.as_str().and_then(|text| text.parse::<i64>().ok()) {
            let other = if number == 1 { 0 } else { number + 1 };
            *value = json!(other.to_string());
        }
    }
}

fn of_the_host_skipped(config: &mut Value) {
    let own = |config: &Value, kind: &str| {
        let namespaces = config.pointer("/linux/namespaces").and_then(Value::as_array);
        namespaces.is_some_and(|list| list.iter().any(|n| n["type"] == kind))
    };
    let (network, ipc, uts) = (own(config, "network"), own(config, "ipc"), own(config, "uts"));
    retain(config, |name| {
        (name.starts_with("net.") && network)
            || (of_ipc(name) && ipc)
            || ((name == "kernel.hostname" || name == "kernel.domainname") && uts)
    });
}

/// Keeps the parameters of these names.
pub(super) fn retain(config: &mut Value, keep: impl Fn(&str) -> bool) {
    if let Some(parameters) = map(config, "/linux/sysctl") {
        parameters.retain(|name, _| keep(name));
    }
}

/// Whether a parameter belongs to an IPC namespace (`ipc_namespaces(7)`).
pub(super) fn of_ipc(name: &str) -> bool {
    let name = name.replace('/', ".");
    name.starts_with("fs.mqueue.")
        || name.starts_with("kernel.msg")
        || name.starts_with("kernel.shm")
        || name == "kernel.sem"
}
