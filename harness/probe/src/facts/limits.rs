//! Resource limits.

use sys::freestanding::rustix::process::{Resource, getrlimit};

use crate::json::Json;

/// Limits by the names that OCI uses.
const ALL: &[(&str, Resource)] = &[
    ("RLIMIT_AS", Resource::As),
    ("RLIMIT_CORE", Resource::Core),
    ("RLIMIT_CPU", Resource::Cpu),
    ("RLIMIT_DATA", Resource::Data),
    ("RLIMIT_FSIZE", Resource::Fsize),
    ("RLIMIT_LOCKS", Resource::Locks),
    ("RLIMIT_MEMLOCK", Resource::Memlock),
    ("RLIMIT_MSGQUEUE", Resource::Msgqueue),
    ("RLIMIT_NICE", Resource::Nice),
    ("RLIMIT_NOFILE", Resource::Nofile),
    ("RLIMIT_NPROC", Resource::Nproc),
    ("RLIMIT_RSS", Resource::Rss),
    ("RLIMIT_RTPRIO", Resource::Rtprio),
    ("RLIMIT_RTTIME", Resource::Rttime),
    ("RLIMIT_SIGPENDING", Resource::Sigpending),
    ("RLIMIT_STACK", Resource::Stack),
];

/// The limit called `name`, with or without `RLIMIT_`.
pub(crate) fn named(name: &str) -> Option<Resource> {
    let short = name.strip_prefix("RLIMIT_").unwrap_or(name);
    ALL.iter()
        .find(|(known, _)| known.strip_prefix("RLIMIT_") == Some(short))
        .map(|(_, resource)| *resource)
}

/// `rlimits: {RLIMIT_NOFILE: {soft, hard}, …}`, each a number or `"unlimited"`.
pub(crate) fn all(json: &mut Json) {
    json.key("rlimits").object(|json| {
        for (name, resource) in ALL {
            let limit = getrlimit(*resource);
            json.key(name).object(|json| {
                for (key, value) in [("soft", limit.current), ("hard", limit.maximum)] {
                    match value {
                        Some(value) => json.key(key).plain(value),
                        None => json.key(key).string("unlimited"),
                    }
                }
            });
        }
    });
}
