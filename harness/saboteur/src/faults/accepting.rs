//! Requests that make no sense, and are made sense of in place of being refused.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::call::Call;
use crate::catalogue::{Act, Fault, config, dangerous, knockout, verb};
use crate::edit::{list, map, objects, remove, replace};
use crate::error::{Error, Result};

const AREA: &[&str] = &["errors"];

const KINDS: [&str; 8] = ["pid", "mount", "ipc", "uts", "network", "user", "cgroup", "time"];

/// `getrlimit(2)`.
const LIMITS: [&str; 16] = [
    "AS",
    "CORE",
    "CPU",
    "DATA",
    "FSIZE",
    "LOCKS",
    "MEMLOCK",
    "MSGQUEUE",
    "NICE",
    "NOFILE",
    "NPROC",
    "RSS",
    "RTPRIO",
    "RTTIME",
    "SIGPENDING",
    "STACK",
];

pub(crate) const ALL: &[Fault] = &[
    config(
        "invalid-version-accepted",
        AREA,
        "accepts a configuration of a version that there never was",
        |config| {
            let valid = |text: &str| {
                let parts: Vec<_> = text.split(['-', '+']).next().unwrap_or_default().split('.').collect();
                parts.len() == 3 && parts[0] == "1" && parts.iter().all(|part| part.parse::<u32>().is_ok())
            };
            if config.is_object() && !config["ociVersion"].as_str().is_some_and(valid) {
                config["ociVersion"] = json!("1.0.2");
            }
        },
    ),
    config(
        "invalid-namespace-accepted",
        AREA,
        "skips kinds of namespaces that there are none of",
        |config| {
            if let Some(namespaces) = list(config, "/linux/namespaces") {
                namespaces.retain(|n| n["type"].as_str().is_none_or(|kind| KINDS.contains(&kind)));
            }
        },
    ),
    config(
        "duplicate-namespace-accepted",
        AREA,
        "takes the first of two namespaces of one kind",
        |config| {
            if let Some(namespaces) = list(config, "/linux/namespaces") {
                let mut seen = Vec::new();
                namespaces.retain(|namespace| {
                    let new = !seen.contains(&namespace["type"]);
                    seen.push(namespace["type"].clone());
                    new
                });
            }
        },
    ),
    config(
        "namespace-of-another-kind-accepted",
        &["errors", "network", "uts", "ipc"],
        "makes a new namespace where the path is that of another kind",
        |config| {
            for namespace in objects(config, "/linux/namespaces") {
                let kind = match namespace["type"].as_str() {
                    Some("mount") => "mnt",
                    Some("network") => "net",
                    Some(other) => other,
                    None => continue,
                };
                let other = namespace["path"].as_str().is_some_and(|path| {
                    path.contains("/ns/")
                        && !path.ends_with(&format!("/{kind}"))
                        && !path.contains(&format!("/{kind}_"))
                });
                if let (true, Some(namespace)) = (other, namespace.as_object_mut()) {
                    namespace.shift_remove("path");
                }
            }
        },
    ),
    config(
        "hostname-without-namespace-accepted",
        &["errors", "uts"],
        "skips a host name that there is no namespace for",
        |config| {
            let own = list(config, "/linux/namespaces").is_some_and(|list| list.iter().any(|n| n["type"] == "uts"));
            if !own {
                remove(config, "/hostname");
                remove(config, "/domainname");
            }
        },
    ),
    config(
        "relative-directory-accepted",
        &["errors", "process"],
        "takes a relative working directory for one below `/`",
        |config| {
            if let Some(path) = config
                .pointer("/process/cwd")
                .and_then(Value::as_str)
                .filter(|path| !path.starts_with('/'))
            {
                let absolute = format!("/{path}");
                replace(config, "/process/cwd", json!(absolute));
            }
        },
    ),
    config(
        "directory-through-descriptor-accepted",
        &["errors", "escape"],
        "starts in `/` where the working directory was a descriptor",
        |config| {
            let through = config
                .pointer("/process/cwd")
                .and_then(Value::as_str)
                .is_some_and(|path| path.starts_with("/proc/self/fd"));
            if through {
                replace(config, "/process/cwd", json!("/"));
            }
        },
    ),
    knockout(
        "missing-directory-accepted",
        &["errors", "process"],
        "starts in `/` where the working directory is not there",
        Act::Bundle(|config, bundle| {
            let root = config.pointer("/root/path").and_then(Value::as_str).unwrap_or("rootfs");
            let directory = config.pointer("/process/cwd").and_then(Value::as_str).unwrap_or("/");
            let mounted = config["mounts"].as_array().is_some_and(|mounts| {
                mounts.iter().any(|m| {
                    m["destination"]
                        .as_str()
                        .is_some_and(|d| d != "/" && directory.starts_with(d))
                })
            });
            if !mounted && !bundle.join(root).join(directory.trim_start_matches('/')).exists() {
                replace(config, "/process/cwd", json!("/"));
            }
        }),
    ),
    config(
        "empty-arguments-accepted",
        AREA,
        "runs a program of its own where none is named",
        |config| {
            let named = config
                .pointer("/process/args")
                .and_then(Value::as_array)
                .is_some_and(|list| !list.is_empty());
            if let (false, Some(process)) = (named, map(config, "/process")) {
                process.insert("args".into(), json!(["/bin/probe", "sleep", "60"]));
            }
        },
    ),
    config(
        "missing-process-accepted",
        AREA,
        "runs a program of its own where there is no process",
        |config| {
            if let Some(config) = config
                .as_object_mut()
                .filter(|config| config.contains_key("root") && !config.contains_key("process"))
            {
                config.insert(
                    "process".into(),
                    json!({"user": {"uid": 0, "gid": 0}, "args": ["/bin/probe", "sleep", "60"], "cwd": "/"}),
                );
            }
        },
    ),
    knockout(
        "missing-program-accepted",
        &["errors", "process"],
        "runs a program of its own where the one named is not there",
        Act::Bundle(|config, bundle| {
            let root = config.pointer("/root/path").and_then(Value::as_str).unwrap_or("rootfs");
            let bin = bundle.join(root).join("bin");
            let there = config
                .pointer("/process/args/0")
                .and_then(Value::as_str)
                .is_none_or(|program| program.contains('/') || bin.join(program).symlink_metadata().is_ok());
            if !there && bin.join("probe").exists() {
                replace(config, "/process/args", json!(["/bin/probe", "sleep", "60"]));
            }
        }),
    ),
    config(
        "unknown-limit-accepted",
        &["errors", "rlimits"],
        "skips resource limits that there are none of",
        |config| {
            if let Some(limits) = list(config, "/process/rlimits") {
                limits.retain(|limit| {
                    let name = limit["type"].as_str().and_then(|name| name.strip_prefix("RLIMIT_"));
                    name.is_some_and(|name| LIMITS.contains(&name))
                });
            }
        },
    ),
    config(
        "soft-limit-above-hard-accepted",
        &["errors", "rlimits"],
        "lowers a soft limit that is higher than its hard one",
        |config| {
            for limit in objects(config, "/process/rlimits") {
                if let (Some(soft), Some(hard)) = (limit["soft"].as_u64(), limit["hard"].as_u64())
                    && soft > hard
                {
                    limit["soft"] = json!(hard);
                }
            }
        },
    ),
    config(
        "oom-score-out-of-range-accepted",
        AREA,
        "takes the highest OOM score adjustment for a higher one",
        |config| {
            if let Some(score) = config.pointer_mut("/process/oomScoreAdj")
                && let Some(number) = score.as_i64().filter(|number| !(-1000..=1000).contains(number))
            {
                *score = json!(number.clamp(-1000, 1000));
            }
        },
    ),
    config(
        "missing-source-accepted",
        &["errors", "mount"],
        "skips binds of which the source is not there",
        |config| {
            if let Some(mounts) = list(config, "/mounts") {
                mounts.retain(|mount| {
                    let bind = list(&mut mount.clone(), "/options")
                        .is_some_and(|o| o.iter().any(|o| o == "bind" || o == "rbind"));
                    let source = mount["source"].as_str().filter(|source| source.starts_with('/'));
                    !bind || source.is_none_or(|source| Path::new(source).exists())
                });
            }
        },
    ),
    config(
        "unknown-file-system-accepted",
        &["errors", "mount"],
        "skips mounts of a type that there is none of",
        |config| {
            let known = [
                "proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2", "bind", "overlay", "none", "ext4",
            ];
            if let Some(mounts) = list(config, "/mounts") {
                mounts.retain(|mount| {
                    mount
                        .get("type")
                        .and_then(Value::as_str)
                        .is_none_or(|kind| known.contains(&kind))
                });
            }
        },
    ),
    config(
        "unknown-parameter-accepted",
        &["errors", "sysctl"],
        "skips kernel parameters that there are none of",
        |config| {
            super::sysctl::retain(config, |name| {
                Path::new("/proc/sys").join(name.replace('.', "/")).exists()
                    || name.starts_with("net.")
                    || super::sysctl::of_ipc(name)
            });
        },
    ),
    knockout(
        "linked-proc-followed",
        &["errors", "escape"],
        "mounts nothing at `/proc` where that is a link, in place of refusing",
        Act::Bundle(|config, bundle| {
            let root = bundle.join(config.pointer("/root/path").and_then(Value::as_str).unwrap_or("rootfs"));
            if let Some(mounts) = list(config, "/mounts") {
                mounts.retain(|mount| {
                    let destination = mount["destination"]
                        .as_str()
                        .unwrap_or_default()
                        .trim_start_matches('/');
                    !(matches!(destination, "proc" | "sys") && root.join(destination).is_symlink())
                });
            }
        }),
    ),
    dangerous(verb(
        "linked-dev-followed",
        &["errors", "escape", "devices"],
        "makes device nodes outside where `/dev` of the root is a link",
        linked_dev,
    )),
];

/// What a runtime does that resolves the link on the host: the nodes are made where it points to.
fn linked_dev(call: &Call) -> Result<Option<i32>> {
    if call.verb() != "create" {
        return Ok(None);
    }
    let bundle = PathBuf::from(call.line.value("bundle").unwrap_or(".".as_ref()));
    let text = fs::read(bundle.join("config.json")).unwrap_or_default();
    let config: Value = serde_json::from_slice(&text).unwrap_or_default();
    let root = bundle.join(config.pointer("/root/path").and_then(Value::as_str).unwrap_or("rootfs"));
    let Ok(target) = fs::read_link(root.join("dev")) else {
        return Ok(None);
    };
    let outside = Path::new("/").join(target);
    if outside.is_dir() {
        let path = outside.join("null");
        fs::write(&path, "").map_err(Error::file("make", &path))?;
        call.changed(&format!("made `{}`", path.display()))?;
    }
    Ok(None)
}
