//! User, group, id maps, host name, clocks.

use serde_json::{Value, json};

use crate::catalogue::{Fault, config, config_at};
use crate::edit::{first_only, list, map, pop, remove, replace, scale_number};

pub(crate) const ALL: &[Fault] = &[
    config(
        "user-id-ignored",
        &["ids", "process", "capabilities", "user"],
        "runs the process as root",
        |config| replace(config, "/process/user/uid", json!(0)),
    ),
    config(
        "group-id-ignored",
        &["ids", "process"],
        "runs the process in group 0",
        |config| replace(config, "/process/user/gid", json!(0)),
    ),
    config_at(
        "additional-groups-dropped",
        &["ids", "process"],
        "gives the process no additional groups",
        remove_at,
        "/process/user/additionalGids",
    ),
    config(
        "additional-groups-last-lost",
        &["ids", "process"],
        "leaves out the last additional group",
        |config| pop(config, "/process/user/additionalGids"),
    ),
    config(
        "additional-group-unasked",
        &["ids", "process", "escape"],
        "gives the process one additional group more",
        group_unasked,
    ),
    config_at(
        "umask-dropped",
        &["ids", "process"],
        "does not set the umask",
        remove_at,
        "/process/user/umask",
    ),
    config("umask-zero", &["ids", "process"], "sets the umask to 0", |config| {
        replace(config, "/process/user/umask", json!(0))
    }),
    config_at(
        "user-ids-shifted",
        &["user"],
        "maps the user ids to ids one higher outside",
        shifted,
        "/linux/uidMappings",
    ),
    config_at(
        "group-ids-shifted",
        &["user"],
        "maps the group ids to ids one higher outside",
        shifted,
        "/linux/gidMappings",
    ),
    config_at(
        "user-ids-halved",
        &["user"],
        "maps half as many user ids as asked for",
        halved,
        "/linux/uidMappings",
    ),
    config_at(
        "group-ids-halved",
        &["user"],
        "maps half as many group ids as asked for",
        halved,
        "/linux/gidMappings",
    ),
    config(
        "user-ids-first-range-only",
        &["user"],
        "maps the first range of user ids only",
        |config| first_only(config, "/linux/uidMappings"),
    ),
    config(
        "group-ids-first-range-only",
        &["user"],
        "maps the first range of group ids only",
        |config| first_only(config, "/linux/gidMappings"),
    ),
    config(
        "user-ids-of-the-host",
        &["user", "escape"],
        "maps root inside to root outside",
        identity,
    ),
    config("hostname-dropped", &["uts"], "does not set the host name", |config| {
        remove(config, "/hostname")
    }),
    config("hostname-another", &["uts"], "sets another host name", |config| {
        replace(config, "/hostname", json!("localhost"))
    }),
    config(
        "domainname-dropped",
        &["uts"],
        "does not set the domain name",
        |config| remove(config, "/domainname"),
    ),
    config_at(
        "time-offsets-dropped",
        &["time"],
        "does not shift the clocks of the time namespace",
        remove_at,
        "/linux/timeOffsets",
    ),
    config_at(
        "time-offset-of-monotonic-lost",
        &["time"],
        "does not shift the monotonic clock",
        remove_at,
        "/linux/timeOffsets/monotonic",
    ),
    config_at(
        "time-offset-of-boottime-lost",
        &["time"],
        "does not shift the boot clock",
        remove_at,
        "/linux/timeOffsets/boottime",
    ),
    config(
        "time-offsets-doubled",
        &["time"],
        "shifts the clocks by twice as much",
        offsets_doubled,
    ),
    config(
        "time-offsets-negated",
        &["time"],
        "shifts the clocks the other way",
        offsets_negated,
    ),
];

fn remove_at(config: &mut Value, at: &'static str) {
    remove(config, at);
}

fn group_unasked(config: &mut Value) {
    if let Some(user) = map(config, "/process/user") {
        let groups = user.entry("additionalGids").or_insert_with(|| json!([]));
        if let Some(groups) = groups.as_array_mut() {
            groups.push(json!(6));
        }
    }
}

fn shifted(config: &mut Value, at: &'static str) {
    for range in list(config, at).into_iter().flatten() {
        if let Some(id) = range["hostID"].as_u64() {
            range["hostID"] = json!(id + 1);
        }
    }
}

fn halved(config: &mut Value, at: &'static str) {
    for range in list(config, at).into_iter().flatten() {
        if let Some(size) = range["size"].as_u64().filter(|size| *size > 1) {
            range["size"] = json!(size / 2);
        }
    }
}

fn identity(config: &mut Value) {
    for at in ["/linux/uidMappings", "/linux/gidMappings"] {
        for range in list(config, at).into_iter().flatten() {
            let inside = range["containerID"].clone();
            range["hostID"] = inside;
        }
    }
}

fn offsets_doubled(config: &mut Value) {
    for (_, clock) in map(config, "/linux/timeOffsets").into_iter().flatten() {
        if let Some(seconds) = clock.get_mut("secs") {
            scale_number(seconds, 100);
        }
    }
}

fn offsets_negated(config: &mut Value) {
    for (_, clock) in map(config, "/linux/timeOffsets").into_iter().flatten() {
        if let Some(seconds) = clock["secs"].as_i64() {
            clock["secs"] = json!(-seconds);
        }
    }
}
