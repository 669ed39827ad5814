//! `exec` that joins all namespaces of the container but one.
//!
//! No runtime can be told to do so, so that the saboteur joins them itself. As far as it goes it does what a runtime
//! does: groups, limits of the container's process, bounding set, no-new-privileges; a system call filter it has none.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Resource, Rlimit};

use crate::call::{Call, shell_code};
use crate::catalogue::{Fault, dangerous, verb};
use crate::error::{Error, Result};

/// Name in `/proc/PID/ns` and flag of `setns(2)`, in the order in which they are joined: the mounts last, as all paths
/// are those of the host before.
const NAMESPACES: [(&str, u32); 7] = [
    ("cgroup", 0x0200_0000),
    ("ipc", 0x0800_0000),
    ("uts", 0x0400_0000),
    ("net", 0x4000_0000),
    ("pid", 0x2000_0000),
    ("time", 0x0000_0080),
    ("mnt", 0x0002_0000),
];

const LIMITS: [(&str, Resource); 15] = [
    ("Max cpu time", Resource::Cpu),
    ("Max file size", Resource::Fsize),
    ("Max data size", Resource::Data),
    ("Max stack size", Resource::Stack),
    ("Max core file size", Resource::Core),
    ("Max resident set", Resource::Rss),
    ("Max processes", Resource::Nproc),
    ("Max open files", Resource::Nofile),
    ("Max locked memory", Resource::Memlock),
    ("Max address space", Resource::As),
    ("Max file locks", Resource::Locks),
    ("Max pending signals", Resource::Sigpending),
    ("Max msgqueue size", Resource::Msgqueue),
    ("Max nice priority", Resource::Nice),
    ("Max realtime priority", Resource::Rtprio),
];

pub(crate) const ALL: &[Fault] = &[
    verb(
        "exec-outside-pid-namespace",
        &["exec", "pid"],
        "leaves a further process in the host's PID namespace",
        |call| without(call, "pid"),
    ),
    dangerous(verb(
        "exec-outside-mount-namespace",
        &["exec", "mount"],
        "leaves a further process among the host's mounts",
        |call| without(call, "mnt"),
    )),
    verb(
        "exec-outside-ipc-namespace",
        &["exec", "ipc"],
        "leaves a further process in the host's IPC namespace",
        |call| without(call, "ipc"),
    ),
    verb(
        "exec-outside-uts-namespace",
        &["exec", "uts"],
        "leaves a further process in the host's UTS namespace",
        |call| without(call, "uts"),
    ),
    verb(
        "exec-outside-network-namespace",
        &["exec", "network"],
        "leaves a further process in the host's network namespace",
        |call| without(call, "net"),
    ),
    verb(
        "exec-outside-cgroup-namespace",
        &["exec", "cgroup"],
        "leaves a further process in the host's cgroup namespace",
        |call| without(call, "cgroup"),
    ),
    verb(
        "exec-without-seccomp",
        &["seccomp"],
        "applies no system call filter to a further process",
        |call| without(call, ""),
    ),
];

/// Containers in a user namespace are left to the runtime: there it takes more than this.
fn without(call: &Call, kind: &str) -> Result<Option<i32>> {
    if call.verb() != "exec" || call.line.has("process") || call.line.words.len() < 2 {
        return Ok(None);
    }
    let Some(pid) = call.pid() else { return Ok(None) };
    let link = |process: &str, name: &str| fs::read_link(format!("/proc/{process}/ns/{name}")).ok();
    let init = pid.to_string();
    if link(&init, "user") != link("self", "user") {
        return Ok(None);
    }
    let mut namespaces = Vec::new();
    for (name, flag) in NAMESPACES.iter().filter(|(name, _)| *name != kind) {
        if link(&init, name) != link("self", name) {
            let path = format!("/proc/{pid}/ns/{name}");
            namespaces.push((File::open(&path).map_err(Error::file("open", &path))?, *flag));
        }
    }
    let read = |name: &str| {
        let path = format!("/proc/{pid}/{name}");
        fs::read(&path).map_err(Error::file("read", &path))
    };
    let environment = read("environ")?;
    let status = String::from_utf8_lossy(&read("status")?).into_owned();
    let limits = String::from_utf8_lossy(&read("limits")?).into_owned();
    let cwd = match call.line.value("cwd") {
        Some(cwd) => cwd.into(),
        None => fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_else(|_| "/".into()),
    };
    // What a group's file is called is another matter once the mounts are the container's.
    let mut groups = Vec::new();
    for group in super::membership::groups(&init) {
        groups.extend(File::options().append(true).open(group.directory.join("cgroup.procs")));
    }
    let pid_file = match call.line.value("pid-file") {
        Some(path) => Some(File::create(path).map_err(Error::file("make", path))?),
        None => None,
    };
    call.changed(&if kind.is_empty() {
        "joined the namespaces without a filter".to_owned()
    } else {
        format!("joined all namespaces but {kind}")
    })?;
    let command = command(call, &environment, &status);
    limited(&limits);
    for (file, flag) in &namespaces {
        sys::namespace::join(file, *flag).map_err(Error::file("join", format!("/proc/{pid}/ns")))?;
    }
    bounded(&status);
    start(call, command, &cwd, groups, pid_file).map(Some)
}

fn command(call: &Call, environment: &[u8], status: &str) -> Command {
    let mut command = Command::new(&call.line.words[1]);
    command.args(&call.line.words[2..]).env_clear();
    let mut variables: Vec<OsString> = environment
        .split(|byte| *byte == 0)
        .map(|variable| std::os::unix::ffi::OsStringExt::from_vec(variable.to_vec()))
        .collect();
    variables.extend(
        call.line
            .choices
            .iter()
            .filter(|choice| choice.name == "env")
            .filter_map(|choice| choice.value.clone()),
    );
    for variable in variables {
        if let Some((name, value)) = variable.to_str().and_then(|v| v.split_once('=')) {
            command.env(name, value);
        }
    }
    let id = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().nth(1)?.parse::<u32>().ok()
    };
    let (mut uid, mut gid) = (id("Uid:").unwrap_or(0), id("Gid:").unwrap_or(0));
    if let Some(user) = call.line.value("user").and_then(|user| user.to_str()) {
        let (user, group) = user.split_once(':').unwrap_or((user, "0"));
        uid = user.parse().unwrap_or(uid);
        gid = group.parse().unwrap_or(gid);
    }
    command.uid(uid).gid(gid);
    command
}

/// The limits of the container's first process. One that this process may not have stays as it is.
fn limited(limits: &str) {
    for (name, resource) in LIMITS {
        let Some(line) = limits.lines().find_map(|line| line.strip_prefix(name)) else {
            continue;
        };
        let mut values = line.split_whitespace().map(|value| value.parse::<u64>().ok());
        if let (Some(current), Some(maximum)) = (values.next(), values.next()) {
            let _as_it_is = rustix::process::setrlimit(resource, Rlimit { current, maximum });
        }
    }
}

/// The bounding set and no-new-privileges of the container's first process.
fn bounded(status: &str) {
    let field = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let bounding = field("CapBnd:")
        .and_then(|set| u64::from_str_radix(set, 16).ok())
        .unwrap_or(u64::MAX);
    for bit in 0..64 {
        let capability = rustix::thread::CapabilitySet::from_bits_retain(1 << bit);
        if bounding & (1 << bit) == 0 {
            // Numbers beyond the kernel's last are refused, and mean nothing.
            let _unknown = rustix::thread::remove_capability_from_bounding_set(capability);
        }
    }
    if field("NoNewPrivs:") == Some("1") {
        let _always = rustix::thread::set_no_new_privs(true);
    }
}

fn start(
    call: &Call,
    mut command: Command,
    cwd: &std::path::Path,
    mut groups: Vec<File>,
    pid_file: Option<File>,
) -> Result<i32> {
    let failed = |source| Error::Runtime {
        program: call.line.words[1].to_string_lossy().into_owned(),
        source,
    };
    command.current_dir(cwd);
    let mut child = command.spawn().map_err(failed)?;
    for group in &mut groups {
        // A process that has ended already is in no group.
        let _ended = group.write_all(child.id().to_string().as_bytes());
    }
    if let Some(mut file) = pid_file {
        file.write_all(child.id().to_string().as_bytes()).map_err(failed)?;
    }
    if call.line.has("detach") {
        return Ok(0);
    }
    child.wait().map(shell_code).map_err(failed)
}
