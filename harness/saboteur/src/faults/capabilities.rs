//! Capability sets and no-new-privileges.

use serde_json::{Value, json};

use crate::catalogue::{Fault, config, config_at, dangerous};
use crate::edit::{list, map, pop, remove};

const SETS: [&str; 5] = ["bounding", "effective", "permitted", "inheritable", "ambient"];

const AREA: &[&str] = &["capabilities", "exec", "tracing", "devices", "user"];

pub(crate) const ALL: &[Fault] = &[
    config_at(
        "capability-bounding-widened",
        AREA,
        "leaves one capability more in the bounding set",
        widened,
        "bounding",
    ),
    config(
        "capability-permitted-widened",
        AREA,
        "leaves one capability more in the bounding and the permitted set",
        |config| widened_together(config, &["bounding", "permitted"]),
    ),
    config(
        "capability-effective-widened",
        AREA,
        "leaves one capability more permitted and in effect",
        |config| {
            widened_together(config, &["bounding", "permitted", "effective"]);
        },
    ),
    config_at(
        "capability-inheritable-widened",
        AREA,
        "makes one capability more inheritable",
        widened,
        "inheritable",
    ),
    config(
        "capability-ambient-widened",
        AREA,
        "makes one capability more ambient",
        |config| {
            widened_together(config, &SETS);
        },
    ),
    config(
        "capabilities-inheritable-as-bounding",
        AREA,
        "makes every capability of the bounding set inheritable (CVE-2022-24769)",
        |config| {
            if let Some(bounding) = config.pointer("/process/capabilities/bounding").cloned() {
                config["process"]["capabilities"]["inheritable"] = bounding;
            }
        },
    ),
    dangerous(config(
        "capabilities-all-granted",
        &["capabilities", "exec", "tracing", "devices", "user", "escape", "kernel"],
        "grants every capability",
        |config| {
            if let Some(sets) = map(config, "/process/capabilities") {
                for set in ["bounding", "effective", "permitted"] {
                    sets.insert(set.into(), every());
                }
            }
        },
    )),
    dangerous(config(
        "capability-sys-admin-granted",
        &["capabilities", "exec", "user", "escape"],
        "grants CAP_SYS_ADMIN",
        |config| {
            for set in ["bounding", "effective", "permitted"] {
                granted(config, set, "CAP_SYS_ADMIN");
            }
        },
    )),
    config("capability-net-raw-granted", AREA, "grants CAP_NET_RAW", |config| {
        for set in ["bounding", "effective", "permitted"] {
            granted(config, set, "CAP_NET_RAW");
        }
    }),
    config_at(
        "capabilities-ambient-lost",
        AREA,
        "makes no capability ambient",
        dropped,
        "ambient",
    ),
    config_at(
        "capabilities-inheritable-lost",
        AREA,
        "makes no capability inheritable",
        |config, set| {
            dropped(config, set);
            dropped(config, "ambient");
        },
        "inheritable",
    ),
    config_at(
        "capabilities-effective-lost",
        AREA,
        "puts no capability in effect",
        dropped,
        "effective",
    ),
    config_at(
        "capabilities-permitted-lost",
        AREA,
        "permits no capability",
        |config, set| {
            for set in [set, "effective", "ambient"] {
                dropped(config, set);
            }
        },
        "permitted",
    ),
    config("capabilities-dropped", AREA, "drops every capability", |config| {
        for set in SETS {
            dropped(config, set);
        }
    }),
    config(
        "capability-one-too-few",
        AREA,
        "drops the last capability of the bounding set from every set",
        |config| {
            let last = list(config, "/process/capabilities/bounding").and_then(Vec::pop);
            if let Some(last) = last {
                for set in SETS {
                    if let Some(names) = list(config, &format!("/process/capabilities/{set}")) {
                        names.retain(|name| *name != last);
                    }
                }
            }
        },
    ),
    config_at(
        "capability-bounding-one-too-few",
        AREA,
        "drops the last capability of the bounding set from that alone",
        |config, set| {
            pop(config, &format!("/process/capabilities/{set}"));
        },
        "bounding",
    ),
    dangerous(config(
        "capabilities-ignored",
        AREA,
        "leaves the capabilities as the runtime has them, ambient ones too",
        |config| {
            if let Some(sets) = map(config, "/process/capabilities") {
                for set in SETS {
                    sets.insert(set.into(), every());
                }
            }
        },
    )),
    config(
        "no-new-privileges-dropped",
        &["no-new-privs", "seccomp", "capabilities"],
        "does not set no_new_privs",
        |config| {
            if config.pointer("/process/noNewPrivileges") == Some(&json!(true)) {
                remove(config, "/process/noNewPrivileges");
            }
        },
    ),
    config(
        "no-new-privileges-forced",
        &["no-new-privs", "capabilities"],
        "sets no_new_privs though it was not to",
        |config| {
            if let Some(process) = map(config, "/process")
                && process.get("noNewPrivileges") != Some(&json!(true))
            {
                process.insert("noNewPrivileges".into(), json!(true));
            }
        },
    ),
];

/// Adds a capability that no set has.
fn widened(config: &mut Value, set: &'static str) {
    widened_together(config, &[set]);
}

fn widened_together(config: &mut Value, sets: &[&'static str]) {
    let has = |name: &str| {
        SETS.iter().any(|set| {
            let names = config.pointer(&format!("/process/capabilities/{set}"));
            names
                .and_then(Value::as_array)
                .is_some_and(|names| names.iter().any(|n| n == name))
        })
    };
    let outsider = ["CAP_SYS_CHROOT", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_LEASE"]
        .into_iter()
        .find(|name| !has(name));
    for set in sets {
        if let Some(name) = outsider {
            granted(config, set, name);
        }
    }
}

/// Those of Linux 5.8 and before, which every kernel and runtime in use knows.
fn every() -> Value {
    json!(sys::capability::NAMES[..37].to_vec())
}

fn granted(config: &mut Value, set: &str, name: &str) {
    if let Some(sets) = map(config, "/process/capabilities") {
        let names = sets.entry(set).or_insert_with(|| json!([]));
        if let Some(names) = names.as_array_mut()
            && !names.iter().any(|n| n == name)
        {
            names.push(json!(name));
        }
    }
}

fn dropped(config: &mut Value, set: &'static str) {
    if let Some(names) = list(config, &format!("/process/capabilities/{set}")) {
        names.clear();
    }
}
