//! `plimsoll cluster down`: its end, and a look at what could be left of it.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use runtime::container::start_time;
use rustix::process::{Signal, pidfd_send_signal};

use super::error::Error;
use super::place::{Holder, Place};
use crate::streams::Streams;

/// How long a cluster may take to end.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn down(place: &Place, streams: &mut Streams) -> Result<u8, crate::error::Error> {
    let start = Instant::now();
    let Some(holder) = place.holder()? else {
        // What one left that ended by itself.
        if place.directory.is_dir() {
            let state = place.directory.ancestors().nth(2).unwrap_or(Path::new("/"));
            harness::gc::collect(state)?;
            let _gone_already = std::fs::remove_dir_all(&place.directory);
        }
        return Err(Error::NotUp {
            name: place.name.clone(),
        }
        .into());
    };
    end(place, &holder)?;
    streams.out(&format!(
        "cluster `{}` is down after {:.2} s; nothing of it is left\n",
        place.name,
        start.elapsed().as_secs_f64()
    ))?;
    Ok(0)
}

/// Ends the process that holds the cluster, and looks for anything of it that is left.
pub(super) fn end(place: &Place, holder: &Holder) -> Result<(), Error> {
    let token = &holder.holding.token;
    let traces = Traces::of(token);
    for (signal, patience) in [(Signal::TERM, PATIENCE), (Signal::KILL, PATIENCE)] {
        let _gone = pidfd_send_signal(&holder.pidfd, signal);
        if harness::wait::readable(&[holder.pidfd.as_fd()], Some(patience))[0] {
            let left = traces.left(token, &place.directory);
            return if left.is_empty() {
                Ok(())
            } else {
                Err(Error::Left(left))
            };
        }
    }
    Err(Error::NoEnd {
        name: place.name.clone(),
        pid: holder.holding.pid,
    })
}

/// What a cluster has in the kernel while it is up.
struct Traces {
    /// The processes in its namespaces, and when they began. Not the namespaces, whose numbers the kernel gives to others
    /// as soon as they are gone.
    processes: BTreeMap<i32, u64>,
}

const NAMESPACES: [&str; 3] = ["pid", "net", "mnt"];

impl Traces {
    fn of(token: &str) -> Self {
        let own: BTreeSet<String> = namespaces("self").into_iter().collect();
        let mut namespaces_of_it = BTreeSet::new();
        for directory in groups(token) {
            let mut stack = vec![directory];
            while let Some(next) = stack.pop() {
                let pids = std::fs::read_to_string(next.join("cgroup.procs")).unwrap_or_default();
                namespaces_of_it.extend(pids.lines().flat_map(namespaces));
                stack.extend(children(&next));
            }
        }
        let of_it = |pid: &i32| {
            let its = namespaces(&pid.to_string());
            its.iter()
                .any(|one| !own.contains(one) && namespaces_of_it.contains(one))
        };
        let all = children(Path::new("/proc"));
        let pids = all.iter().filter_map(|path| path.file_name()?.to_str()?.parse().ok());
        Self {
            processes: pids
                .filter(of_it)
                .filter_map(|pid| Some((pid, start_time(pid)?)))
                .collect(),
        }
    }

    /// Control groups, mounts and processes that are still there. One that it began after this looked is in its groups.
    fn left(&self, token: &str, directory: &Path) -> Vec<String> {
        let mut left: Vec<String> = groups(token)
            .into_iter()
            .map(|path| format!("control group {}", path.display()))
            .collect();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let directory = directory.display().to_string();
        let of_it = mounts
            .lines()
            .filter(|line| line.contains(&directory) || line.contains(token));
        left.extend(of_it.map(|line| format!("mount {line}")));
        let alive = |(pid, began): &(&i32, &u64)| start_time(**pid) == Some(**began);
        left.extend(
            self.processes
                .iter()
                .filter(alive)
                .map(|(pid, _)| format!("process {pid}")),
        );
        left
    }
}

fn namespaces(pid: &str) -> Vec<String> {
    let links = NAMESPACES
        .iter()
        .map(|name| std::fs::read_link(format!("/proc/{pid}/ns/{name}")));
    links.flatten().map(|link| link.display().to_string()).collect()
}

/// The directories of the control groups that bear the token.
fn groups(token: &str) -> Vec<std::path::PathBuf> {
    let prefix = format!("plimsoll-{token}-");
    let mut found = Vec::new();
    for hierarchy in harness::guard::cgroup::host().unwrap_or_default() {
        let mut stack = vec![hierarchy.mount];
        while let Some(next) = stack.pop() {
            for child in children(&next) {
                if child
                    .file_name()
                    .is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
                {
                    found.push(child);
                } else {
                    stack.push(child);
                }
            }
        }
    }
    found
}

fn children(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.map(|entry| entry.path()).collect()
}
