//! `exec`: another process in a container.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{Capability, LinuxCapabilities, LinuxNamespaceType as Kind, Process};
use rustix::fs::{Mode, OFlags};
use sys::launch::Word;
use sys::signal_fd::SignalFd;

use super::Verb;
use crate::arguments::{Arguments, Flag, switch, value, word};
use crate::bundle::check_process;
use crate::compile::{self, Joining};
use crate::container::{Container, Status, write_whole};
use crate::error::{Attempt, Error, Result, at};
use crate::{Global, bring_up, console, foreground};

const FLAGS: [Flag; 17] = [
    value(
        "process",
        Some('p'),
        "FILE",
        "the process as JSON, instead of a command",
    ),
    switch("tty", Some('t'), "give it a terminal"),
    value("env", Some('e'), "VAR=VALUE", "add to the environment"),
    value("cwd", None, "DIR", "its directory"),
    value("user", Some('u'), "UID[:GID]", "its user"),
    value("additional-gids", Some('g'), "GID", "another group"),
    value("cap", Some('c'), "CAP", "another capability"),
    switch("no-new-privs", None, "set no_new_privs"),
    value("pid-file", None, "FILE", "write its pid there"),
    switch("detach", Some('d'), "do not wait for its end"),
    value(
        "console-socket",
        None,
        "PATH",
        "a unix socket that the master of the terminal is sent to",
    ),
    value("preserve-fds", None, "N", "pass so many descriptors from 3 on"),
    value("apparmor", None, "PROFILE", "its AppArmor profile"),
    value("process-label", None, "LABEL", "its SELinux label"),
    switch(
        "ignore-paused",
        None,
        "even if the container is paused: it runs when that is resumed",
    ),
    switch("no-subreaper", None, "accepted for compatibility"),
    value("cgroup", None, "PATH", "not supported"),
];

pub(super) const VERB: Verb = Verb {
    name: "exec",
    words: "ID COMMAND [ARGUMENTS]",
    help: "run another process in a container",
    flags: &FLAGS,
    stop_after: Some(1),
    enters: true,
    run,
};

fn run(global: &Global, arguments: Arguments) -> Result<i32> {
    let mut words = arguments.words.iter();
    let id = word(
        words
            .next()
            .ok_or_else(|| Error::usage("the container's name is missing"))?,
    )?;
    if arguments.path("cgroup").is_some() {
        return Err(Error::usage("--cgroup is not supported"));
    }
    let container = Container::load(&global.root, &id)?;
    match container.status() {
        Status::Running | Status::Created => {}
        Status::Paused if arguments.on("ignore-paused") => {}
        _ => return Err(container.not("exec in", "created or running")),
    }
    let bundle = container.bundle()?;
    let command: Vec<String> = words.map(word).collect::<Result<_>>()?;
    let process = match arguments.path("process") {
        Some(file) => from_file(&file, &arguments)?,
        None if command.is_empty() => return Err(Error::usage("neither a command nor --process is given")),
        None => {
            let first = bundle
                .spec
                .process()
                .clone()
                .ok_or_else(|| Error::field("process", "is missing"))?;
            changed(first, command, &arguments)?
        }
    };
    check_process(&process, "process")?;
    let detach = arguments.on("detach");
    let mut terminal = console::arrange(
        process.terminal().unwrap_or(false),
        arguments.path("console-socket").as_deref(),
        !detach,
    )?;
    let pidfd = container
        .pidfd()
        .ok_or_else(|| container.not("exec in", "created or running"))?;
    let pid = container.saved.pid;
    let namespaces = different(pid);
    let root = open_root(pid)?;
    let home = compile::process::home_in(Path::new(&format!("/proc/{pid}/root")), process.user().uid());
    let joining = Joining {
        pidfd,
        namespaces,
        root: (namespaces & Kind::Mount as u32 == 0).then_some(root),
        console: terminal.for_child.take(),
        preserve_fds: arguments.number("preserve-fds")?.unwrap_or(0),
        seccomp: bring_up::seccomp(global, &bundle)?,
        cgroup: &container.saved.cgroup,
        id: &id,
        home,
        groups_denied: setgroups_denied(pid),
    };
    let signals = if detach {
        None
    } else {
        Some(SignalFd::all().attempt(|| "take signals".into())?)
    };
    let mut compiled = compile::exec(&process, joining)?;
    let started = bring_up::clone(&mut compiled, &container.saved.cgroup)?;
    if !compiled.vfork {
        let heard = started.listen().attempt(|| "listen to the process".into())?;
        debug_assert_eq!(heard, Word::Gone);
    }
    if let Some(failure) = started.failure() {
        let _ = bring_up::exit_code(&started.pidfd);
        let program = process.args().iter().flatten().next().cloned().unwrap_or_default();
        return Err(compile::failed(&compiled.tags, &program, failure));
    }
    drop(compiled);
    let master = terminal.receive()?;
    if let Some(path) = arguments.path("pid-file") {
        write_whole(&path, started.pid.as_raw_nonzero().to_string().as_bytes())?;
    }
    match signals {
        Some(signals) => foreground::wait(&signals, &started.pidfd, master),
        None => Ok(0),
    }
}

fn from_file(file: &PathBuf, arguments: &Arguments) -> Result<Process> {
    let text = std::fs::read(file).attempt(|| at("read", file))?;
    let parse = |source| Error::Parse {
        path: file.clone(),
        source,
    };
    let mut process: Process = serde_json::from_slice(&text).map_err(parse)?;
    if arguments.on("tty") {
        process.set_terminal(Some(true));
    }
    Ok(process)
}

/// The container's own process with what the command line says.
fn changed(mut process: Process, command: Vec<String>, arguments: &Arguments) -> Result<Process> {
    process.set_args(Some(command));
    process.set_terminal(Some(arguments.on("tty")));
    if let Some(cwd) = arguments.path("cwd") {
        process.set_cwd(cwd);
    }
    let mut environment = process.env().clone().unwrap_or_default();
    environment.extend(arguments.texts("env")?);
    process.set_env(Some(environment));
    let mut user = process.user().clone();
    if let Some(text) = arguments.text("user")? {
        let wrong = || Error::usage(format!("--user: `{text}` is not UID[:GID]"));
        let (uid, gid) = text.split_once(':').map_or((text, None), |(uid, gid)| (uid, Some(gid)));
        user.set_uid(uid.parse().map_err(|_| wrong())?);
        if let Some(gid) = gid {
            user.set_gid(gid.parse().map_err(|_| wrong())?);
        }
    }
    let groups = arguments.texts("additional-gids")?;
    if !groups.is_empty() {
        let mut all = user.additional_gids().clone().unwrap_or_default();
        for text in groups {
            let wrong = |_| Error::usage(format!("--additional-gids: `{text}` is not a number"));
            all.push(text.parse().map_err(wrong)?);
        }
        user.set_additional_gids(Some(all));
    }
    process.set_user(user);
    let capabilities = arguments.texts("cap")?;
    if !capabilities.is_empty() {
        add_capabilities(&mut process, &capabilities)?;
    }
    if arguments.on("no-new-privs") {
        process.set_no_new_privileges(Some(true));
    }
    if let Some(profile) = arguments.text("apparmor")? {
        process.set_apparmor_profile(Some(profile.into()));
    }
    if let Some(label) = arguments.text("process-label")? {
        process.set_selinux_label(Some(label.into()));
    }
    Ok(process)
}

/// Adds to what the process may do, and to the ambient set of one that had any: inheritable stays as it is.
fn add_capabilities(process: &mut Process, names: &[String]) -> Result<()> {
    let mut added = HashSet::new();
    for name in names {
        let upper = name.to_ascii_uppercase();
        let full = if upper.starts_with("CAP_") {
            upper
        } else {
            format!("CAP_{upper}")
        };
        let parsed = serde_json::from_value::<Capability>(full.into());
        added.insert(parsed.map_err(|_| Error::usage(format!("--cap: `{name}` is not a capability")))?);
    }
    let none = || {
        let empty = Some(HashSet::new());
        let mut sets = LinuxCapabilities::default();
        sets.set_bounding(empty.clone())
            .set_effective(empty.clone())
            .set_permitted(empty.clone());
        sets.set_inheritable(empty.clone()).set_ambient(empty);
        sets
    };
    let mut sets = process.capabilities().clone().unwrap_or_else(none);
    let more = |set: &Option<HashSet<Capability>>| {
        let mut set = set.clone().unwrap_or_default();
        set.extend(added.iter().copied());
        Some(set)
    };
    let (bounding, effective, permitted) = (more(sets.bounding()), more(sets.effective()), more(sets.permitted()));
    sets.set_bounding(bounding)
        .set_effective(effective)
        .set_permitted(permitted);
    if sets.ambient().as_ref().is_some_and(|ambient| !ambient.is_empty()) {
        let (inheritable, ambient) = (more(sets.inheritable()), more(sets.ambient()));
        sets.set_inheritable(inheritable).set_ambient(ambient);
    }
    process.set_capabilities(Some(sets));
    Ok(())
}

/// The namespaces in which a process is and this one is not.
fn different(pid: i32) -> u32 {
    let all = [
        ("mnt", Kind::Mount),
        ("cgroup", Kind::Cgroup),
        ("uts", Kind::Uts),
        ("ipc", Kind::Ipc),
        ("user", Kind::User),
        ("pid", Kind::Pid),
        ("net", Kind::Network),
        ("time", Kind::Time),
    ];
    all.into_iter().fold(0, |flags, (name, kind)| {
        let theirs = std::fs::read_link(format!("/proc/{pid}/ns/{name}")).ok();
        let ours = std::fs::read_link(format!("/proc/self/ns/{name}")).ok();
        if theirs.is_some() && theirs != ours {
            flags | kind as u32
        } else {
            flags
        }
    })
}

fn open_root(pid: i32) -> Result<OwnedFd> {
    let path = PathBuf::from(format!("/proc/{pid}/root"));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(&path, flags, Mode::empty()).attempt(|| at("open", &path))
}

fn setgroups_denied(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/setgroups")).is_ok_and(|word| word.trim() == "deny")
}
