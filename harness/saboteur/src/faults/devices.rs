//! Device nodes, and the rules about who may use them.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::call::Call;
use crate::catalogue::{Fault, config, config_at, dangerous, verb};
use crate::edit::{list, pop, pop_first, remove};
use crate::error::{Error, Result};

const NODES: &str = "/linux/devices";
const RULES: &str = "/linux/resources/devices";

pub(crate) const ALL: &[Fault] = &[
    config_at(
        "devices-dropped",
        &["devices"],
        "makes none of the device nodes that were asked for",
        remove,
        NODES,
    ),
    config_at(
        "device-last-lost",
        &["devices"],
        "leaves out the last device node",
        pop,
        NODES,
    ),
    config(
        "device-another-number",
        &["devices"],
        "makes each device node with another number",
        |config| {
            each_node(config, |node| {
                if let Some(minor) = node["minor"].as_u64() {
                    node["minor"] = json!(minor + 1);
                }
            });
        },
    ),
    config(
        "device-mode-ignored",
        &["devices"],
        "makes each device node with mode 666",
        |config| {
            each_node(config, |node| node["fileMode"] = json!(0o666));
        },
    ),
    config(
        "device-owner-ignored",
        &["devices"],
        "gives each device node to root",
        |config| {
            each_node(config, |node| {
                node["uid"] = json!(0);
                node["gid"] = json!(0);
            });
        },
    ),
    dangerous(config(
        "device-kernel-log-unasked",
        &["devices", "escape"],
        "makes a node of the kernel's log in every container",
        |config| extra(config, "/dev/kmsg", 1, 11),
    )),
    dangerous(config(
        "device-memory-unasked",
        &["devices", "escape"],
        "makes a node of the machine's memory in every container",
        |config| extra(config, "/dev/mem", 1, 1),
    )),
    dangerous(config(
        "device-rules-dropped",
        &["devices"],
        "applies no device rules",
        |config| remove(config, RULES),
    )),
    dangerous(config(
        "device-rules-allow-all",
        &["devices"],
        "allows every device",
        |config| {
            if let Some(rules) = list(config, RULES) {
                *rules = vec![json!({"allow": true, "access": "rwm"})];
            }
        },
    )),
    config_at(
        "device-rules-last-lost",
        &["devices"],
        "leaves out the last device rule",
        pop,
        RULES,
    ),
    config_at(
        "device-rules-first-lost",
        &["devices"],
        "leaves out the first device rule",
        pop_first,
        RULES,
    ),
    config(
        "device-rules-wider-access",
        &["devices"],
        "lets each rule allow reading, writing and making",
        |config| {
            each_rule(config, true, |rule| rule["access"] = json!("rwm"));
        },
    ),
    config(
        "device-rules-reading-only",
        &["devices"],
        "lets each rule allow reading only",
        |config| {
            each_rule(config, true, |rule| rule["access"] = json!("r"));
        },
    ),
    config(
        "device-rules-wildcard",
        &["devices"],
        "lets each rule allow all minor numbers of its major",
        |config| {
            each_rule(config, true, |rule| {
                if let Some(rule) = rule.as_object_mut() {
                    rule.shift_remove("minor");
                }
            });
        },
    ),
    config(
        "device-rules-allow-skipped",
        &["devices"],
        "skips every rule that allows something",
        |config| {
            if let Some(rules) = list(config, RULES) {
                rules.retain(|rule| rule["allow"] != true);
            }
        },
    ),
    verb("device-default-missing", &["devices"], "makes no /dev/full", |call| {
        after_create(call, "/dev/full", "removed /dev/full", |path| fs::remove_file(path))
    }),
    verb(
        "device-default-mode",
        &["devices"],
        "makes /dev/zero readable for root only",
        |call| {
            after_create(call, "/dev/zero", "changed the mode of /dev/zero to 600", |path| {
                fs::set_permissions(path, fs::Permissions::from_mode(0o600))
            })
        },
    ),
    dangerous(verb(
        "device-default-owner",
        &["devices"],
        "gives /dev/null to another user",
        |call| {
            after_create(call, "/dev/null", "gave /dev/null to user 1000", |path| {
                chown(path, Some(1000), Some(1000))
            })
        },
    )),
    verb("device-link-missing", &["devices"], "makes no /dev/stdin", |call| {
        after_create(call, "/dev/stdin", "removed /dev/stdin", |path| fs::remove_file(path))
    }),
    dangerous(verb(
        "host-descriptor-leaked",
        &["escape", "mount", "exec"],
        "leaves a descriptor of the host's root open in the container",
        |call| leaked(call, "create"),
    )),
    dangerous(verb(
        "host-descriptor-leaked-by-exec",
        &["escape", "mount", "exec"],
        "leaves a descriptor of the host's root open in what exec starts",
        |call| leaked(call, "exec"),
    )),
    dangerous(verb(
        "host-directory-as-standard-input",
        &["escape", "mount", "exec"],
        "gives the program the host's root as its standard input",
        |call| read_from_root(call, "create"),
    )),
    dangerous(verb(
        "host-directory-as-standard-input-by-exec",
        &["escape", "exec", "mount"],
        "gives what exec starts the host's root as its standard input",
        |call| read_from_root(call, "exec"),
    )),
    dangerous(verb(
        "device-of-standard-input-owned",
        &["devices", "ids", "stdio", "user"],
        "gives the device behind standard input to the container's user",
        stdin_owned,
    )),
];

fn read_from_root(call: &Call, verb: &str) -> Result<Option<i32>> {
    if call.verb() != verb {
        return Ok(None);
    }
    let root = fs::File::open("/").map_err(Error::file("open", "/"))?;
    call.changed("gave the program / as its standard input")?;
    let streams = |command: &mut std::process::Command| {
        command.stdin(root);
    };
    call.relay_with(&call.line.argv(), streams).map(Some)
}

fn each_node(config: &mut Value, apply: impl Fn(&mut Value)) {
    for node in list(config, NODES).into_iter().flatten() {
        if node["type"] == "c" || node["type"] == "b" {
            apply(node);
        }
    }
}

/// Rules that say nothing of a number are the harness's own `deny all`, which every runtime begins with.
fn each_rule(config: &mut Value, allow: bool, apply: impl Fn(&mut Value)) {
    for rule in list(config, RULES).into_iter().flatten() {
        if rule["allow"] == allow {
            apply(rule);
        }
    }
}

fn extra(config: &mut Value, path: &str, major: u32, minor: u32) {
    let Some(linux) = config.get_mut("linux").and_then(Value::as_object_mut) else {
        return;
    };
    let nodes = linux.entry("devices").or_insert_with(|| json!([]));
    if let Some(nodes) = nodes.as_array_mut()
        && !nodes.iter().any(|node| node["path"] == path)
    {
        nodes.push(
            json!({"path": path, "type": "c", "major": major, "minor": minor, "fileMode": 0o666, "uid": 0, "gid": 0}),
        );
    }
}

/// Does something to a file of the created container, as its process sees it.
fn after_create(
    call: &Call,
    path: &'static str,
    what: &str,
    apply: impl FnOnce(&PathBuf) -> std::io::Result<()>,
) -> Result<Option<i32>> {
    if call.verb() != "create" {
        return Ok(None);
    }
    let code = call.relay(&call.line.argv())?;
    if let (0, Some(pid)) = (code, call.pid()) {
        let inside = PathBuf::from(format!("/proc/{pid}/root{path}"));
        if fs::symlink_metadata(&inside).is_ok() {
            apply(&inside).map_err(Error::file("change", &inside))?;
            call.changed(what)?;
        }
    }
    Ok(Some(code))
}

fn stdin_owned(call: &Call) -> Result<Option<i32>> {
    if !matches!(call.verb(), "create" | "exec") {
        return Ok(None);
    }
    let link = "/proc/self/fd/0";
    let device = fs::metadata(link).is_ok_and(|data| std::os::unix::fs::FileTypeExt::is_char_device(&data.file_type()));
    if device {
        chown(link, Some(1000), Some(1000)).map_err(Error::file("change the owner of", link))?;
        call.changed("gave the device behind standard input to user 1000")?;
    }
    Ok(None)
}

/// A descriptor that stays open over execve, and the option by which every runtime passes it on.
fn leaked(call: &Call, verb: &str) -> Result<Option<i32>> {
    if call.verb() != verb || call.line.has("preserve-fds") {
        return Ok(None);
    }
    let root = fs::File::open("/").map_err(Error::file("open", "/"))?;
    rustix::io::fcntl_setfd(&root, rustix::io::FdFlags::empty())
        .map_err(|e| Error::file("keep open", "/")(e.into()))?;
    let mut line = call.line.clone();
    line.put("preserve-fds", (root.as_raw_fd() - 2).to_string());
    call.changed("left `/` open")?;
    call.relay(&line.argv()).map(Some)
}
