//! System V objects and POSIX message queues that are visible.

use alloc::{string::String, vec::Vec};

use crate::{file, json::Json};

/// The values of the column `column` of a table in /proc/sysvipc.
fn column(path: &str, column: &str) -> Option<Vec<String>> {
    let text = file::text(path).ok()?;
    let mut lines = text.lines();
    let index = lines.next()?.split_whitespace().position(|name| name == column)?;
    Some(
        lines
            .filter_map(|line| line.split_whitespace().nth(index).map(String::from))
            .collect(),
    )
}

/// `ipc: {shm, msg, sem: [keys], queues: [names], limits: {shmmax, msgmax}}`; null where /proc or the mount is missing.
pub(crate) fn visible(json: &mut Json) {
    json.key("ipc").object(|json| {
        for (key, path) in [
            ("shm", "/proc/sysvipc/shm"),
            ("msg", "/proc/sysvipc/msg"),
            ("sem", "/proc/sysvipc/sem"),
        ] {
            match column(path, "key") {
                Some(keys) => json.key(key).array(|json| keys.iter().for_each(|key| json.plain(key))),
                None => json.key(key).null(),
            }
        }
        match file::names("/dev/mqueue") {
            Ok((names, _)) => json
                .key("queues")
                .array(|json| names.iter().for_each(|name| json.string(name))),
            Err(_) => json.key("queues").null(),
        }
        for (key, path) in [
            ("shmmax", "/proc/sys/kernel/shmmax"),
            ("msgmax", "/proc/sys/kernel/msgmax"),
        ] {
            json.key(key).plain_or_null(super::descriptors::trimmed(path));
        }
    });
}
