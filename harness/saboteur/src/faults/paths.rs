//! Masked and read-only paths, and the root.

use serde_json::{Value, json};

use crate::catalogue::{Fault, config, config_at};
use crate::edit::{first_only, list, map, pop, pop_first, remove};

const MASKED: &str = "/linux/maskedPaths";
const READ_ONLY: &str = "/linux/readonlyPaths";

pub(crate) const ALL: &[Fault] = &[
    config_at("masked-paths-dropped", &["paths"], "masks no paths", remove_at, MASKED),
    config_at(
        "masked-paths-first-only",
        &["paths"],
        "masks the first path only",
        first_only_at,
        MASKED,
    ),
    config_at(
        "masked-paths-first-lost",
        &["paths"],
        "masks all paths but the first",
        pop_first_at,
        MASKED,
    ),
    config_at(
        "masked-paths-last-lost",
        &["paths"],
        "masks all paths but the last",
        pop_at,
        MASKED,
    ),
    config(
        "masked-paths-read-only",
        &["paths"],
        "makes read-only what was to be masked",
        |config| moved(config, MASKED, READ_ONLY),
    ),
    config_at(
        "read-only-paths-dropped",
        &["paths"],
        "leaves the read-only paths writable",
        remove_at,
        READ_ONLY,
    ),
    config_at(
        "read-only-paths-first-only",
        &["paths"],
        "makes the first path read-only and no other",
        first_only_at,
        READ_ONLY,
    ),
    config_at(
        "read-only-paths-first-lost",
        &["paths"],
        "leaves the first read-only path writable",
        pop_first_at,
        READ_ONLY,
    ),
    config_at(
        "read-only-paths-last-lost",
        &["paths"],
        "leaves the last read-only path writable",
        pop_at,
        READ_ONLY,
    ),
    config(
        "read-only-paths-masked",
        &["paths"],
        "masks what was to be read-only",
        |config| moved(config, READ_ONLY, MASKED),
    ),
    config(
        "root-writable",
        &["root", "rootfs"],
        "mounts the root writable",
        |config| root(config, false),
    ),
    config(
        "root-read-only-forced",
        &["root", "rootfs", "volume"],
        "mounts the root read-only though it was to be writable",
        |config| root(config, true),
    ),
];

fn remove_at(config: &mut Value, at: &'static str) {
    remove(config, at);
}

fn first_only_at(config: &mut Value, at: &'static str) {
    first_only(config, at);
}

fn pop_at(config: &mut Value, at: &'static str) {
    pop(config, at);
}

fn pop_first_at(config: &mut Value, at: &'static str) {
    pop_first(config, at);
}

fn moved(config: &mut Value, from: &'static str, to: &'static str) {
    let Some(paths) = list(config, from).map(std::mem::take).filter(|paths| !paths.is_empty()) else {
        return;
    };
    match list(config, to) {
        Some(others) => others.extend(paths),
        None => crate::edit::set(config, to, Value::Array(paths)),
    }
}

fn root(config: &mut Value, read_only: bool) {
    if let Some(root) = map(config, "/root")
        && root.get("readonly").and_then(Value::as_bool).unwrap_or(false) != read_only
    {
        root.insert("readonly".into(), json!(read_only));
    }
}
