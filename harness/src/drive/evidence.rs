//! What is kept of a failed case before anything is taken down: the texts of the kernel's own files, and what was asked.
//!
//! It judges nothing and changes no verdict. It is bounded in size and time, and what cannot be read is a note.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use record::Event;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use serde_json::Value;

use super::World;
use super::cluster::Cluster;
use super::container::Group;
use crate::observe::{self, namespace};
use crate::signal;

/// Name of the evidence with the paths of packets that went missing.
pub(crate) const PATHS_EVIDENCE: &str = "paths";

/// Most bytes that are kept of one file.
const FILE: u64 = 64 << 10;

/// Most bytes that are kept of one value of a control group.
const VALUE: u64 = 4 << 10;

/// Most bytes that are kept of a case.
const ALL: usize = 1 << 20;

/// Longest time that is spent.
const TIME: Duration = Duration::from_millis(500);

/// Most entries of a container's `/dev` that are looked at.
const DEVICES: usize = 128;

/// Most masked and read-only paths of a container that are looked at.
const PATHS: usize = 64;

/// What tells of a version 1 group, and what is kept of files that tell more than that.
const VERSION_1: [&str; 28] = [
    "memory.limit_in_bytes",
    "memory.memsw.limit_in_bytes",
    "memory.soft_limit_in_bytes",
    "memory.usage_in_bytes",
    "memory.max_usage_in_bytes",
    "memory.failcnt",
    "memory.oom_control",
    "memory.stat",
    "memory.use_hierarchy",
    "cpu.cfs_quota_us",
    "cpu.cfs_period_us",
    "cpu.shares",
    "cpu.stat",
    "cpuset.cpus",
    "cpuset.effective_cpus",
    "cpuset.mems",
    "pids.max",
    "pids.current",
    "pids.events",
    "devices.list",
    "freezer.state",
    "freezer.self_freezing",
    "freezer.parent_freezing",
    "blkio.throttle.read_bps_device",
    "blkio.throttle.write_bps_device",
    "blkio.throttle.read_iops_device",
    "blkio.throttle.write_iops_device",
    "cgroup.procs",
];

/// What tells of a version 2 group.
const VERSION_2: [&str; 26] = [
    "memory.max",
    "memory.high",
    "memory.low",
    "memory.swap.max",
    "memory.current",
    "memory.peak",
    "memory.events",
    "memory.events.local",
    "memory.oom.group",
    "cpu.max",
    "cpu.weight",
    "cpu.stat",
    "cpu.idle",
    "cpuset.cpus",
    "cpuset.cpus.effective",
    "cpuset.mems",
    "pids.max",
    "pids.current",
    "pids.events",
    "io.max",
    "cgroup.freeze",
    "cgroup.events",
    "cgroup.controllers",
    "cgroup.subtree_control",
    "cgroup.type",
    "cgroup.procs",
];

/// Of these files only the lines that begin so.
const LINES: [(&str, &str); 1] = [("memory.stat", "hierarchical_")];

struct Kept {
    texts: Vec<(String, String)>,
    notes: Vec<String>,
    bytes: usize,
    end: Instant,
}

impl Kept {
    fn keep(&mut self, name: String, text: String) {
        if text.is_empty() {
            return;
        }
        if self.bytes + text.len() > ALL {
            self.notes.push(format!(
                "{name}: left out, the case has {} bytes of evidence",
                self.bytes
            ));
            return;
        }
        self.bytes += text.len();
        self.texts.push((name, text));
    }

    /// Whether there is time for one more; what is left out is noted.
    fn may(&mut self, name: &str) -> bool {
        let good = Instant::now() < self.end;
        if !good {
            self.notes.push(format!("{name}: left out, {TIME:?} are over"));
        }
        good
    }

    fn file(&mut self, name: String, path: &str) {
        if !self.may(&name) {
            return;
        }
        match read(Path::new(path), FILE) {
            Ok(text) => self.keep(name, text),
            Err(error) => self.notes.push(format!("{name}: failed to read `{path}`: {error}")),
        }
    }
}

impl World<'_> {
    /// Takes the standard set of evidence, once.
    pub(super) fn evidence(&mut self) {
        if std::mem::replace(&mut self.taken, true) {
            return;
        }
        let mut kept = Kept {
            texts: Vec::new(),
            notes: Vec::new(),
            bytes: 0,
            end: Instant::now() + TIME,
        };
        // The kernel forgets connections: first of all.
        kept.keep(PATHS_EVIDENCE.into(), self.paths().unwrap_or_default());
        self.reap();
        let names: Vec<String> = self.containers.keys().cloned().collect();
        for name in &names {
            self.container_evidence(name, &mut kept);
        }
        let processes: Vec<String> = self.host_processes.keys().cloned().collect();
        for name in &processes {
            let Some(process) = self.host_processes.get_mut(name) else {
                continue;
            };
            let (pid, alive) = (process.pid, process.alive());
            if alive {
                kept.file(format!("{name}.status"), &format!("/proc/{pid}/status"));
                kept.keep(format!("{name}.namespaces"), namespaces(pid));
            } else {
                kept.keep(format!("{name}.end"), end(false, process.ended(), pid));
            }
        }
        if let Some(seen) = &self.packets {
            kept.keep("packets".into(), super::packets::table(seen));
            for name in &names {
                let init = self.containers.get_mut(name).and_then(|c| c.init.as_mut());
                if let Some(init) = init
                    && init.alive()
                {
                    for file in ["tcp", "tcp6", "udp", "udp6", "route"] {
                        kept.file(format!("{name}.net.{file}"), &format!("/proc/{}/net/{file}", init.pid));
                    }
                }
            }
        }
        if !self.containers.is_empty() {
            kept.file("host.status".into(), "/proc/1/status");
            kept.file("host.mountinfo".into(), "/proc/1/mountinfo");
            kept.keep("host.namespaces".into(), namespaces(1));
        }
        for (name, text) in self.cluster.as_mut().map(Cluster::evidence).unwrap_or_default() {
            kept.keep(name, text);
        }
        let log = observe::output::text(self.client.log());
        kept.keep("subject.log".into(), log);
        if !kept.notes.is_empty() {
            kept.texts.push(("notes".into(), kept.notes.join("\n")));
        }
        for (name, text) in kept.texts {
            let event = Event::Evidence {
                case: self.id(),
                name,
                text,
            };
            (self.emit)(event);
        }
    }

    fn container_evidence(&mut self, name: &str, kept: &mut Kept) {
        let Some(container) = self.containers.get_mut(name) else {
            return;
        };
        let config = observe::output::text(&container.bundle.join("config.json"));
        for (what, text) in [
            ("stdout", observe::output::text(&container.stdout)),
            ("stderr", observe::output::text(&container.stderr)),
            ("config.json", config.clone()),
        ] {
            kept.keep(format!("{name}.{what}"), text);
        }
        let Some(init) = container.init.as_mut() else {
            kept.notes.push(format!("{name}: the subject named no process of it"));
            return;
        };
        let (pid, alive) = (init.pid, init.alive());
        let told = if alive && !init.payload() {
            format!("pid {pid} waits for its start")
        } else {
            end(alive, init.ended(), pid)
        };
        kept.keep(format!("{name}.end"), told);
        if alive {
            for file in [
                "status",
                "cgroup",
                "mountinfo",
                "limits",
                "uid_map",
                "gid_map",
                "oom_score_adj",
                "cmdline",
            ] {
                kept.file(format!("{name}.{file}"), &format!("/proc/{pid}/{file}"));
            }
            kept.keep(format!("{name}.namespaces"), namespaces(pid));
            if kept.may(&format!("{name}.paths")) {
                kept.keep(format!("{name}.paths"), paths(pid, &config));
            }
            if kept.may(&format!("{name}.devices")) {
                kept.keep(format!("{name}.devices"), devices(pid, &config));
            }
        }
        let what = format!("{name}.groups");
        if self.home.no_cgroups.is_none() && kept.may(&what) {
            kept.keep(what, groups(&init.groups, &self.home.cgroups));
        }
    }
}

fn read(path: &Path, most: u64) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// `kind:[inode]`, a line each, as the links of `/proc/PID/ns` read.
fn namespaces(pid: i32) -> String {
    namespace::of(pid)
        .iter()
        .fold(String::new(), |mut text, (kind, inode)| {
            let _ = writeln!(text, "{kind}:[{inode}]");
            text
        })
}

/// How a process ended, as `waitid(2)` told.
fn end(alive: bool, ended: Option<super::container::Ended>, pid: i32) -> String {
    match (alive, ended) {
        (true, _) => format!("pid {pid} runs"),
        (
            false,
            Some(super::container::Ended {
                signal: Some(signal), ..
            }),
        ) => {
            format!("pid {pid} was ended by {}", signal::name(signal))
        }
        (false, Some(super::container::Ended { code: Some(code), .. })) => format!("pid {pid} ended with code {code}"),
        (false, _) => format!("pid {pid} has ended, but as the child of another process: how is not known"),
    }
}

/// The paths that were to be masked or read-only, as they are inside: whether they are there, and of which kind.
fn paths(pid: i32, config: &str) -> String {
    let config: Value = serde_json::from_str(config).unwrap_or_default();
    let Ok(root) = File::open(format!("/proc/{pid}/root")) else {
        return String::new();
    };
    let mut text = String::new();
    let lists =
        ["/linux/maskedPaths", "/linux/readonlyPaths"].map(|list| config.pointer(list).and_then(Value::as_array));
    for path in lists
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(Value::as_str)
        .take(PATHS)
    {
        let below = path.trim_start_matches('/');
        // A path is looked at and not opened: that has no effect on whatever it is.
        let kind = match openat2(
            &root,
            below,
            OFlags::PATH | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::IN_ROOT,
        ) {
            Ok(fd) => match File::from(fd).metadata() {
                Ok(data) if data.is_dir() => "directory".to_owned(),
                Ok(data) => format!("mode {:o}", data.mode()),
                Err(error) => error.to_string(),
            },
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => "missing".to_owned(),
            Err(error) => error.to_string(),
        };
        let _ = writeln!(text, "{path}: {kind}");
    }
    text
}

/// What is in the container's `/dev`, and the devices that were asked for elsewhere: `PATH: KIND MAJOR:MINOR MODE UID GID`.
fn devices(pid: i32, config: &str) -> String {
    let config: Value = serde_json::from_str(config).unwrap_or_default();
    let Ok(root) = File::open(format!("/proc/{pid}/root")) else {
        return String::new();
    };
    let mut names: Vec<String> = Vec::new();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if let Ok(directory) = openat2(&root, "dev", flags, Mode::empty(), ResolveFlags::IN_ROOT)
        && let Ok(entries) = rustix::fs::Dir::read_from(&directory)
    {
        let found = entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.extend(
            found
                .filter(|name| name != "." && name != "..")
                .take(DEVICES)
                .map(|name| format!("/dev/{name}")),
        );
    }
    let asked = config.pointer("/linux/devices").and_then(Value::as_array);
    names.extend(
        asked
            .into_iter()
            .flatten()
            .filter_map(|device| device["path"].as_str().map(str::to_owned))
            .take(DEVICES),
    );
    names.sort();
    names.dedup();
    let mut text = String::new();
    for name in names {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = openat2(
            &root,
            name.trim_start_matches('/'),
            flags,
            Mode::empty(),
            ResolveFlags::IN_ROOT,
        );
        let Ok(stat) = found.and_then(rustix::fs::fstat) else {
            let _ = writeln!(text, "{name}: missing");
            continue;
        };
        let kind = match rustix::fs::FileType::from_raw_mode(stat.st_mode) {
            rustix::fs::FileType::CharacterDevice => "char",
            rustix::fs::FileType::BlockDevice => "block",
            rustix::fs::FileType::Fifo => "fifo",
            rustix::fs::FileType::Symlink => "symlink",
            rustix::fs::FileType::Directory => "directory",
            _ => "file",
        };
        let _ = writeln!(
            text,
            "{name}: {kind} {}:{} {:04o} {} {}",
            rustix::fs::major(stat.st_rdev),
            rustix::fs::minor(stat.st_rdev),
            stat.st_mode & 0o7777,
            stat.st_uid,
            stat.st_gid
        );
    }
    text
}

/// The groups of a container and their ancestors as far as the guard sees them: a head line `vVERSION CONTROLLERS
/// DIRECTORY` each, and below it `  FILE VALUE`, the lines of a file joined by `; `.
fn groups(groups: &[Group], mounted: &[crate::guard::cgroup::Mounted]) -> String {
    let mut text = String::new();
    for group in groups {
        let top = mounted
            .iter()
            .filter(|m| group.directory.starts_with(&m.mount))
            .max_by_key(|m| m.mount.as_os_str().len());
        let Some(top) = top else { continue };
        let mut directory = group.directory.as_path();
        loop {
            let _ = writeln!(
                text,
                "v{} {} {}",
                group.version,
                if group.controllers.is_empty() {
                    "-".to_owned()
                } else {
                    group.controllers.join(",")
                },
                directory.display()
            );
            if !directory.exists() {
                let _ = writeln!(text, "  gone");
            }
            let files: &[&str] = if group.version == 1 { &VERSION_1 } else { &VERSION_2 };
            for file in files {
                let Ok(value) = read(&directory.join(file), VALUE) else {
                    continue;
                };
                let only = LINES.iter().find(|(name, _)| name == file).map(|(_, start)| *start);
                let lines: Vec<&str> = value
                    .lines()
                    .filter(|line| only.is_none_or(|start| line.starts_with(start)))
                    .collect();
                let _ = writeln!(text, "  {file} {}", lines.join("; "));
            }
            match directory.parent() {
                Some(parent) if directory != top.mount => directory = parent,
                _ => break,
            }
        }
    }
    text
}
