//! Processes as the proc file system of the target shows them, read from outside its PID namespace.

use std::os::fd::{AsRawFd, OwnedFd};

use record::Seen;
use record::seen::ProcessSeen;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};

use super::{Target, pid_of};
use crate::drive::World;

/// `PROC_SUPER_MAGIC` of `linux/magic.h`.
const PROC: u32 = 0x9fa0;

pub(super) fn look(target: Target<'_>, world: &mut World<'_>) -> Seen {
    let pid = match pid_of(target, world) {
        Ok(pid) => pid,
        Err(what) => return Seen::Absent { what },
    };
    let proc = match below_root(pid, "proc") {
        Ok(proc) => proc,
        Err(error) => {
            return Seen::Unmeasured {
                why: format!("failed to open `/proc` of pid {pid}: {error}"),
            };
        }
    };
    match rustix::fs::fstatfs(&proc) {
        Ok(stat) if u64::try_from(stat.f_type) == Ok(u64::from(PROC)) => {}
        _ => {
            return Seen::Unmeasured {
                why: format!("`/proc` of pid {pid} is no proc file system"),
            };
        }
    }
    let known = known(pid, target == Target::Host, world);
    let uids = uid_map(pid);
    let base = format!("/proc/self/fd/{}", proc.as_raw_fd());
    let entries = match std::fs::read_dir(&base) {
        Ok(entries) => entries,
        Err(error) => {
            return Seen::Unmeasured {
                why: format!("failed to list `/proc` of pid {pid}: {error}"),
            };
        }
    };
    let mut list: Vec<ProcessSeen> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        // The harness is PID 1 of the guard; it is not what anybody looks for.
        .filter(|number| !(target == Target::Host && *number == 1))
        .filter_map(|number| one(&base, number, &uids, &known))
        .collect();
    list.sort_by_key(|p| p.pid);
    if target != Target::Host {
        // Where the guard's PID namespace is shared, its PID 1 is seen too; that is a finding, but not a process of the case.
        list.retain(|p| {
            p.args
                .first()
                .is_none_or(|a| !a.ends_with("plimsoll") || p.args.get(1).is_none_or(|v| v != "__guard"))
        });
    }
    Seen::Processes {
        list,
        source: format!("/proc/{pid}/root/proc"),
    }
}

/// Opens a path below the root of a process; links and `..` stay below it.
pub(crate) fn below_root(pid: i32, path: &str) -> rustix::io::Result<OwnedFd> {
    let root = openat(
        CWD,
        format!("/proc/{pid}/root"),
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    openat2(
        &root,
        path,
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::IN_ROOT,
    )
}

fn one(base: &str, pid: i32, uids: &[[u32; 3]], known: &[(i32, String)]) -> Option<ProcessSeen> {
    let status = std::fs::read_to_string(format!("{base}/{pid}/status")).ok()?;
    let field = |name: &str| {
        status
            .lines()
            .find_map(|l| l.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
    };
    let cmdline = std::fs::read(format!("{base}/{pid}/cmdline")).unwrap_or_default();
    let mut args: Vec<String> = cmdline
        .split(|b| *b == 0)
        .map(|a| String::from_utf8_lossy(a).into_owned())
        .collect();
    if args.last().is_some_and(String::is_empty) {
        args.pop();
    }
    if args.is_empty() {
        args.push(format!("[{}]", field("Name").unwrap_or("?")));
    }
    let uid: u32 = field("Uid")?.split_whitespace().nth(1)?.parse().ok()?;
    Some(ProcessSeen {
        pid,
        ppid: field("PPid")?.parse().ok()?,
        uid: inside(uid, uids),
        state: field("State")?.chars().next()?.to_string(),
        args,
        is: known.iter().find(|(p, _)| *p == pid).map(|(_, name)| name.clone()),
    })
}

/// The lines of `/proc/PID/uid_map`: first id inside, first id as this process sees it, how many.
fn uid_map(pid: i32) -> Vec<[u32; 3]> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/uid_map")).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let mut numbers = line.split_whitespace().filter_map(|n| n.parse().ok());
            Some([numbers.next()?, numbers.next()?, numbers.next()?])
        })
        .collect()
}

fn inside(uid: u32, map: &[[u32; 3]]) -> u32 {
    // 65534 is what the kernel shows for an id that has no place in the map (overflowuid).
    map.iter()
        .find(|[_, outside, size]| uid.checked_sub(*outside).is_some_and(|n| n < *size))
        .map_or(65534, |[inside, outside, _]| inside + (uid - outside))
}

/// The workloads' inits and the host processes by their ids in the PID namespace whose proc is read.
fn known(pid: i32, host: bool, world: &mut World<'_>) -> Vec<(i32, String)> {
    let mut held: Vec<(i32, String)> = Vec::new();
    for (name, container) in &mut world.containers {
        if let Some(init) = container.init.as_mut()
            && init.alive()
        {
            held.push((init.pid, name.clone()));
        }
    }
    for (name, process) in &mut world.host_processes {
        if process.alive() {
            held.push((process.pid, name.clone()));
        }
    }
    let depth = if host { 1 } else { levels(pid).len() };
    let same = |other: i32| {
        let inode = |p: i32| std::fs::read_link(format!("/proc/{p}/ns/pid")).ok();
        depth == 1 || inode(other) == inode(pid)
    };
    held.into_iter()
        .filter(|(p, _)| same(*p))
        .filter_map(|(p, name)| Some((*levels(p).get(depth.checked_sub(1)?)?, name)))
        .collect()
}

/// The ids of a process from this PID namespace inwards (`NSpid` of `/proc/PID/status`).
fn levels(pid: i32) -> Vec<i32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("NSpid:"))
        .unwrap_or_default();
    line.split_whitespace().filter_map(|n| n.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_as_the_container_sees_them() {
        let map = [[0, 100_000, 1000], [5000, 7, 1]];
        assert_eq!(
            [
                inside(100_000, &map),
                inside(100_999, &map),
                inside(7, &map),
                inside(101_000, &map)
            ],
            [0, 999, 5000, 65534]
        );
    }
}
