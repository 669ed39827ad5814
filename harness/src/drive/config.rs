//! The `config.json` of a container in short form: what `runc spec` would write, and what the spec changes in it.

use serde_json::{Map, Value, json};
use spec::requirement::NamespaceKind;
use spec::workload::{Capabilities, Container, NamespaceChoice, PatchOperation};

/// What the surroundings contribute.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Environment that makes the probe tell about itself.
    pub environment: Vec<String>,
    /// Path of the container's cgroup below the guard's.
    pub cgroups_path: Option<String>,
    /// A limit on memory and swap together can be set.
    pub swap_accounted: bool,
    /// The harness is an ordinary user: only its own id is mapped.
    pub ordinary: bool,
}

/// The set of `runc spec`.
const CAPABILITIES: [&str; 3] = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];
const MASKED: [&str; 9] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/sys/firmware",
];
const READONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Writes the configuration. `join` gives the namespace file of a running workload.
///
/// # Errors
/// A sentence if a workload whose namespace is to be joined does not run.
pub fn write(
    container: &Container,
    around: &Surroundings,
    join: &dyn Fn(&str, NamespaceKind) -> Option<String>,
) -> Result<Value, String> {
    let user = container.user.clone().unwrap_or_default();
    let mut env: Vec<String> = vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into()];
    env.extend(container.env.iter().map(|(k, v)| format!("{k}={v}")));
    env.extend(around.environment.iter().cloned());

    let mut process = json!({
        "terminal": false,
        "user": {"uid": user.uid, "gid": user.gid},
        "args": container.args,
        "env": env,
        "cwd": container.cwd.as_deref().unwrap_or("/"),
        "capabilities": capabilities(container.capabilities.as_ref()),
        "noNewPrivileges": container.no_new_privileges.unwrap_or(true),
    });
    if !user.additional_gids.is_empty() {
        process["user"]["additionalGids"] = json!(user.additional_gids);
    }
    if let Some(umask) = user.umask {
        process["user"]["umask"] = json!(umask);
    }
    process["rlimits"] = match &container.rlimits {
        Some(limits) => json!(limits),
        None => json!([{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 1024}]),
    };
    if let Some(adjustment) = container.oom_score_adj {
        process["oomScoreAdj"] = json!(adjustment);
    }

    let mut linux = Map::new();
    linux.insert("namespaces".into(), namespaces(container, join)?);
    if container.namespaces.get(&NamespaceKind::User) == Some(&NamespaceChoice::Private) {
        let default = if around.ordinary {
            json!([{"containerID": 0, "hostID": 0, "size": 1}])
        } else {
            json!([{"containerID": 0, "hostID": 100_000, "size": 65536}])
        };
        for (key, given) in [
            ("uidMappings", &container.uid_mappings),
            ("gidMappings", &container.gid_mappings),
        ] {
            linux.insert(
                key.into(),
                if given.is_empty() {
                    default.clone()
                } else {
                    json!(given)
                },
            );
        }
    }
    if let Some(path) = &around.cgroups_path {
        linux.insert("cgroupsPath".into(), json!(path));
    }
    linux.insert("resources".into(), resources(container, around));
    linux.insert(
        "maskedPaths".into(),
        container
            .masked_paths
            .as_ref()
            .map_or_else(|| json!(MASKED), |p| json!(p)),
    );
    linux.insert(
        "readonlyPaths".into(),
        container
            .readonly_paths
            .as_ref()
            .map_or_else(|| json!(READONLY), |p| json!(p)),
    );
    if !container.sysctls.is_empty() {
        linux.insert("sysctl".into(), json!(container.sysctls));
    }
    if let Some(profile) = &container.seccomp {
        linux.insert("seccomp".into(), profile.clone());
    }

    let mut config = json!({
        "ociVersion": "1.0.2",
        "process": process,
        "root": {"path": "rootfs", "readonly": container.read_only_root.unwrap_or(false)},
        "mounts": mounts(container, around),
        "linux": linux,
    });
    for (key, text) in [("hostname", &container.hostname), ("domainname", &container.domainname)] {
        if let Some(text) = text {
            config[key] = json!(text);
        }
    }
    if !container.annotations.is_empty() {
        config["annotations"] = json!(container.annotations);
    }
    Ok(config)
}

/// Applies the JSON Patch of a spec.
///
/// # Errors
/// A sentence, if it is no patch or does not fit.
pub fn patch(config: &mut Value, operations: &[PatchOperation]) -> Result<(), String> {
    if operations.is_empty() {
        return Ok(());
    }
    let patch: json_patch::Patch = serde_json::to_value(operations)
        .and_then(serde_json::from_value)
        .map_err(|e| format!("a patch is no JSON Patch: {e}"))?;
    json_patch::patch(config, &patch).map_err(|e| format!("failed to patch `config.json`: {e}"))
}

fn namespaces(container: &Container, join: &dyn Fn(&str, NamespaceKind) -> Option<String>) -> Result<Value, String> {
    let mut list = Vec::new();
    for kind in NamespaceKind::ALL {
        let default = if matches!(kind, NamespaceKind::User | NamespaceKind::Time) {
            NamespaceChoice::Host
        } else {
            NamespaceChoice::Private
        };
        match container.namespaces.get(&kind).unwrap_or(&default) {
            NamespaceChoice::Host => {}
            NamespaceChoice::Private => list.push(json!({"type": kind.oci_name()})),
            NamespaceChoice::Path(path) => list.push(json!({"type": kind.oci_name(), "path": path})),
            NamespaceChoice::Container(name) => {
                let path = join(name, kind).ok_or_else(|| {
                    format!(
                        "workload `{name}` does not run: its {} namespace cannot be joined",
                        kind.oci_name()
                    )
                })?;
                list.push(json!({"type": kind.oci_name(), "path": path}));
            }
        }
    }
    Ok(Value::Array(list))
}

fn capabilities(wanted: Option<&Capabilities>) -> Value {
    let Some(wanted) = wanted else {
        return json!({"bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES});
    };
    let exact = [
        &wanted.bounding,
        &wanted.effective,
        &wanted.permitted,
        &wanted.inheritable,
        &wanted.ambient,
    ];
    if exact.iter().any(|set| set.is_some()) {
        let set = |set: &Option<Vec<String>>| set.clone().unwrap_or_default();
        return json!({
            "bounding": set(&wanted.bounding), "effective": set(&wanted.effective), "permitted": set(&wanted.permitted),
            "inheritable": set(&wanted.inheritable), "ambient": set(&wanted.ambient),
        });
    }
    let mut set: Vec<String> = CAPABILITIES.iter().map(|c| (*c).to_owned()).collect();
    set.retain(|c| !wanted.drop.iter().any(|d| d == c || d == "ALL"));
    set.extend(
        wanted
            .add
            .iter()
            .filter(|a| !CAPABILITIES.contains(&a.as_str()) || wanted.drop.contains(&"ALL".into()))
            .cloned(),
    );
    json!({"bounding": set, "effective": set, "permitted": set})
}

fn resources(container: &Container, around: &Surroundings) -> Value {
    // What `runc spec` writes: nothing but the devices that every container has.
    let mut all = json!({"devices": [{"allow": false, "access": "rwm"}]});
    let Some(wanted) = &container.resources else { return all };
    let (limits, requests) = (&wanted.limits, &wanted.requests);
    if let Some(cpu) = limits.cpu {
        all["cpu"]["quota"] = json!(cpu.0 * 100);
        all["cpu"]["period"] = json!(100_000);
    }
    if let Some(cpu) = requests.cpu {
        all["cpu"]["shares"] = json!((cpu.0 * 1024 / 1000).max(2));
    }
    if let Some(cpus) = &limits.cpuset {
        all["cpu"]["cpus"] = json!(cpus);
    }
    if let Some(memory) = limits.memory {
        all["memory"]["limit"] = json!(memory.0);
        if around.swap_accounted {
            all["memory"]["swap"] = json!(memory.0);
        }
    }
    if let Some(memory) = requests.memory {
        all["memory"]["reservation"] = json!(memory.0);
    }
    if let Some(pids) = limits.pids {
        all["pids"]["limit"] = json!(pids);
    }
    all
}

fn mounts(container: &Container, around: &Surroundings) -> Value {
    let pts = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"];
    let mut list = vec![
        json!({"destination": "/proc", "type": "proc", "source": "proc"}),
        json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]}),
        json!({"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": pts}),
        json!({"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]}),
        json!({"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]}),
        json!({"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]}),
    ];
    if around.cgroups_path.is_some() {
        list.push(json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]}));
    }
    list.extend(container.mounts.iter().map(|m| {
        let mut mount = json!({"destination": m.destination});
        if let Some(kind) = &m.kind {
            mount["type"] = json!(kind);
        }
        if let Some(source) = &m.source {
            mount["source"] = json!(source);
        }
        if !m.options.is_empty() {
            mount["options"] = json!(m.options);
        }
        mount
    }));
    Value::Array(list)
}

/// Takes out what an ordinary user cannot have, and what `runc spec --rootless` leaves out, too: device rules, the group
/// of terminals and, unless a subtree was `delegated`, control groups.
pub fn unprivileged(config: &mut Value, delegated: bool) {
    let pointers: &[&str] = if delegated {
        &["/linux/resources/devices"]
    } else {
        &["/linux/resources", "/linux/cgroupsPath"]
    };
    for pointer in pointers {
        if let (Some((parent, key)), true) = (pointer.rsplit_once('/'), config.pointer(pointer).is_some())
            && let Some(parent) = config.pointer_mut(parent).and_then(Value::as_object_mut)
        {
            parent.remove(key);
        }
    }
    if let Some(mounts) = config.pointer_mut("/mounts").and_then(Value::as_array_mut) {
        mounts.retain(|mount| delegated || mount["type"] != "cgroup");
        for mount in mounts {
            if let Some(options) = mount.get_mut("options").and_then(Value::as_array_mut) {
                options.retain(|option| option.as_str().is_none_or(|o| !o.starts_with("gid=")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(text: Value) -> Container {
        serde_json::from_value(text).unwrap()
    }

    fn config(text: Value) -> Value {
        let around = Surroundings {
            environment: vec!["NONCE=1".into()],
            cgroups_path: Some("/c".into()),
            swap_accounted: true,
            ordinary: false,
        };
        write(&container(text), &around, &|name, kind| {
            (name == "up").then(|| format!("/proc/7/ns/{}", kind.proc_name()))
        })
        .unwrap()
    }

    #[test]
    fn a_host_namespace_is_one_that_is_not_asked_for() {
        let plain = config(json!({"image": "plimsoll/probe"}));
        assert_eq!(plain["linux"]["namespaces"].as_array().unwrap().len(), 6);
        let shared =
            config(json!({"image": "plimsoll/probe", "namespaces": {"pid": "host", "network": "container:up"}}));
        let list = shared["linux"]["namespaces"].as_array().unwrap();
        assert_eq!(list.len(), 5);
        assert!(list.contains(&json!({"type": "network", "path": "/proc/7/ns/net"})));
    }

    #[test]
    fn limits_become_what_the_runtime_spec_calls_them() {
        let limits = json!({"cpu": "200m", "memory": "32Mi", "pids": 5});
        let all = config(json!({"image": "x", "resources": {"limits": limits, "requests": {"cpu": "500m"}}}));
        let resources = &all["linux"]["resources"];
        assert_eq!(
            resources["cpu"],
            json!({"quota": 20_000, "period": 100_000, "shares": 512})
        );
        assert_eq!(resources["memory"], json!({"limit": 32 << 20, "swap": 32 << 20}));
        assert_eq!(resources["pids"]["limit"], 5);
    }

    #[test]
    fn dropped_capabilities_leave_every_set() {
        let all = config(json!({"image": "x", "capabilities": {"drop": ["ALL"], "add": ["CAP_KILL"]}}));
        assert_eq!(all["process"]["capabilities"]["bounding"], json!(["CAP_KILL"]));
        let exact = config(json!({"image": "x", "capabilities": {"ambient": ["CAP_KILL"]}}));
        assert_eq!(exact["process"]["capabilities"]["bounding"], json!([]));
    }
}
