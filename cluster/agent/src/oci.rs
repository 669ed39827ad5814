//! The `config.json` of a container and of a sandbox.

use std::path::Path;

use serde_json::{Value, json};

use crate::namespace::Shared;
use crate::security::{Seccomp, Security};

/// What containers may call under `seccompProfile: RuntimeDefault`.
const RUNTIME_DEFAULT: &str = include_str!("../../../runtime/src/seccomp/docker-default.json");

/// The PID namespace of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pids {
    Own,
    Host,
    Of(String),
}

/// Everything that is asked of the runtime.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) args: &'a [String],
    pub(crate) env: &'a [(String, String)],
    pub(crate) cwd: &'a str,
    pub(crate) tty: bool,
    pub(crate) security: &'a Security,
    pub(crate) shared: &'a Shared,
    pub(crate) pids: Pids,
    pub(crate) cgroup: &'a str,
    pub(crate) resources: Value,
    pub(crate) oom_score: Option<i64>,
    pub(crate) mounts: Vec<Value>,
    pub(crate) sysctls: Vec<(String, String)>,
}

fn bind(source: &Path, destination: &str, read_only: bool) -> Value {
    let options = ["rbind", "rprivate", if read_only { "ro" } else { "rw" }];
    json!({"destination": destination, "type": "bind", "source": source, "options": options})
}

/// A file or directory that the agent makes, seen inside.
pub(crate) fn own(source: &Path, destination: &str) -> Value {
    bind(source, destination, false)
}

/// The configuration.
pub(crate) fn config(request: Request<'_>) -> Value {
    let mut config = image::config();
    let security = request.security;
    config["root"]["readonly"] = json!(security.read_only_root);
    let env: Vec<String> = request
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    config["process"] = json!({
        "terminal": request.tty,
        "user": security.user(),
        "args": request.args,
        "env": env,
        "cwd": request.cwd,
        "capabilities": security.sets(),
        "noNewPrivileges": security.no_new_privileges,
    });
    if let Some(score) = request.oom_score {
        config["process"]["oomScoreAdj"] = json!(score);
    }
    if let Some(all) = config.as_object_mut() {
        all.remove("hostname");
    }
    if let Some(mounts) = config["mounts"].as_array_mut() {
        // What the pod mounts takes the place of what everybody has.
        mounts.retain(|mount| {
            !request
                .mounts
                .iter()
                .any(|own| own["destination"] == mount["destination"])
        });
        if security.privileged {
            for mount in mounts
                .iter_mut()
                .filter(|mount| ["sysfs", "cgroup"].iter().any(|kind| mount["type"] == *kind))
            {
                if let Some(options) = mount["options"].as_array_mut() {
                    options.retain(|option| option != "ro");
                }
            }
        }
        let mut more = request.mounts;
        more.sort_by_key(|mount| mount["destination"].as_str().unwrap_or_default().matches('/').count());
        mounts.extend(more);
    }
    let mut namespaces = vec![json!({"type": "mount"}), json!({"type": "cgroup"})];
    match request.pids {
        Pids::Own => namespaces.push(json!({"type": "pid"})),
        Pids::Host => {}
        Pids::Of(path) => namespaces.push(json!({"type": "pid", "path": path})),
    }
    let shared = request.shared;
    for (kind, held) in [("network", &shared.net), ("uts", &shared.uts), ("ipc", &shared.ipc)] {
        if let Some(held) = held {
            namespaces.push(json!({"type": kind, "path": held.path()}));
        }
    }
    let linux = &mut config["linux"];
    linux["namespaces"] = Value::Array(namespaces);
    linux["cgroupsPath"] = json!(request.cgroup);
    let devices = json!([{"allow": security.privileged, "access": "rwm"}]);
    linux["resources"] = request.resources;
    linux["resources"]["devices"] = devices;
    if security.unmasked {
        linux["maskedPaths"] = json!([]);
        linux["readonlyPaths"] = json!([]);
    }
    if security.seccomp == Seccomp::RuntimeDefault {
        // The text is part of this program; a test reads it.
        linux["seccomp"] = serde_json::from_str(RUNTIME_DEFAULT).unwrap_or_default();
    }
    if !request.sysctls.is_empty() {
        linux["sysctl"] = request
            .sysctls
            .into_iter()
            .map(|(name, value)| (name, Value::String(value)))
            .collect();
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::named;

    fn made(container: Value, mounts: Vec<Value>) -> Value {
        let security = Security::of(&json!({}), &container, &named(u64::MAX)).unwrap();
        let shared = Shared {
            net: None,
            uts: None,
            ipc: None,
        };
        config(Request {
            args: &["serve".into()],
            env: &[("A".into(), "1".into())],
            cwd: "/",
            tty: false,
            security: &security,
            shared: &shared,
            pids: Pids::Of("/proc/7/ns/pid".into()),
            cgroup: "/node/x",
            resources: json!({"cpu": {"shares": 2}}),
            oom_score: None,
            mounts,
            sysctls: Vec::new(),
        })
    }

    #[test]
    fn what_the_pod_mounts_takes_the_place_of_the_default_and_parents_come_first() {
        let mounts = vec![
            own(Path::new("/a"), "/data/deep"),
            own(Path::new("/b"), "/data"),
            own(Path::new("/c"), "/dev/shm"),
        ];
        let config = made(json!({}), mounts);
        let all: Vec<&str> = config["mounts"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|m| m["destination"].as_str())
            .collect();
        assert_eq!(all.iter().filter(|path| **path == "/dev/shm").count(), 1);
        let at = |path: &str| all.iter().position(|one| *one == path).unwrap();
        assert!(at("/data") < at("/data/deep"));
        assert_eq!(
            config["linux"]["namespaces"][2],
            json!({"type": "pid", "path": "/proc/7/ns/pid"})
        );
    }

    #[test]
    fn runtime_default_is_a_filter() {
        let config = made(
            json!({"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}),
            Vec::new(),
        );
        assert_eq!(config["linux"]["seccomp"]["defaultAction"], "SCMP_ACT_ERRNO");
        let privileged = made(json!({"securityContext": {"privileged": true}}), Vec::new());
        assert_eq!(
            privileged["linux"]["resources"]["devices"][0],
            json!({"allow": true, "access": "rwm"})
        );
        assert_eq!(privileged["linux"]["maskedPaths"], json!([]));
    }
}
