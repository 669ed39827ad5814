//! The processes that /proc shows.

use alloc::{format, string::String};

use crate::{file, json::Json};

/// The value of `Name:` in a status file.
fn status<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

/// `processes: [{pid, ppid, comm, state, uid, args, nspid}]`, or null without /proc.
pub(crate) fn shown(json: &mut Json) {
    let Ok((names, _)) = file::names("/proc") else {
        json.key("processes").null();
        return;
    };
    let mut pids: alloc::vec::Vec<i32> = names.iter().filter_map(|name| name.parse().ok()).collect();
    pids.sort_unstable();
    json.key("processes").array(|json| {
        for pid in pids {
            // It may end meanwhile; then it is not shown.
            let Ok(text) = file::text(&format!("/proc/{pid}/status")) else {
                continue;
            };
            let line = file::read(&format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = line.strip_suffix(&[0]).unwrap_or(&line);
            let number = |name: &str| -> i64 {
                status(&text, name)
                    .and_then(|value| value.split_whitespace().next())
                    .and_then(|value| value.parse().ok())
                    .unwrap_or(-1)
            };
            json.object(|json| {
                json.key("pid").plain(pid);
                json.key("ppid").plain(number("PPid"));
                json.key("comm").string(status(&text, "Name").unwrap_or(""));
                json.key("state")
                    .string(status(&text, "State").and_then(|state| state.get(..1)).unwrap_or(""));
                json.key("uid").plain(number("Uid"));
                json.key("args").array(|json| {
                    if !line.is_empty() {
                        line.split(|byte| *byte == 0).for_each(|arg| json.bytes(arg));
                    }
                });
                json.key("nspid").array(|json| {
                    status(&text, "NSpid")
                        .unwrap_or("")
                        .split_whitespace()
                        .for_each(|pid| json.plain(pid));
                });
            });
        }
    });
}

/// How many processes /proc shows in the state zombie.
pub(crate) fn zombies() -> Option<u64> {
    let (names, _) = file::names("/proc").ok()?;
    let is_zombie = |name: &String| {
        name.parse::<i32>().is_ok()
            && file::text(&format!("/proc/{name}/status"))
                .is_ok_and(|text| status(&text, "State").is_some_and(|state| state.starts_with('Z')))
    };
    Some(names.iter().filter(|name| is_zombie(name)).count() as u64)
}
