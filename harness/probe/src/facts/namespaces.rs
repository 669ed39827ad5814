//! Namespaces and cgroups this process is in.

use alloc::{format, vec::Vec};

use sys::freestanding::rustix::fs;

use super::descriptors;
use crate::json::Json;

/// `ns: {cgroup: "cgroup:[…]", …}`, each null without /proc.
pub(crate) fn links(json: &mut Json) {
    json.key("ns").object(|json| {
        for name in [
            "cgroup",
            "ipc",
            "mnt",
            "net",
            "pid",
            "pid_for_children",
            "time",
            "time_for_children",
            "user",
            "uts",
        ] {
            let link = fs::readlink(format!("/proc/self/ns/{name}").as_str(), Vec::new()).ok();
            json.key(name).bytes_or_null(link.as_ref().map(|link| link.to_bytes()));
        }
    });
}

/// `uidMap, gidMap, setgroups, timeOffsets, cgroup`: lines of the files in /proc/self; null without.
pub(crate) fn maps(json: &mut Json) {
    for (key, path) in [
        ("uidMap", "/proc/self/uid_map"),
        ("gidMap", "/proc/self/gid_map"),
        ("setgroups", "/proc/self/setgroups"),
        ("timeOffsets", "/proc/self/timens_offsets"),
        ("cgroup", "/proc/self/cgroup"),
    ] {
        descriptors::lines(json.key(key), path);
    }
}
