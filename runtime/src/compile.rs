//! Turning a configuration into the program that the container's first process runs between clone and exec.
//!
//! Everything that needs memory, a decision or a look at the host happens here, in the parent. What is left for the
//! child is a flat list of operations, each with the field of the configuration that asked for it.

mod devices;
mod mounts;
mod namespaces;
pub(crate) mod process;

use std::borrow::Cow;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use oci_spec::runtime::{Hook, Linux, LinuxNamespaceType, Spec};
use sys::launch::{Failure, Missing, MountAttr, Op, Place, Program, Target};

use crate::bundle::Bundle;
use crate::cgroup::{Cgroup, Layout};
use crate::error::{Error, Result};

pub(crate) use namespaces::Maps;

/// The field that an operation stands for, and what it does.
#[derive(Clone, Debug)]
pub(crate) struct Tag {
    pub(crate) field: Cow<'static, str>,
    pub(crate) act: Cow<'static, str>,
}

/// Why the child stops and asks the parent to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SyncPoint {
    /// The user namespace is there, its id maps are not.
    Maps,
    /// The environment is there, the root is not changed yet: time for prestart and createRuntime hooks.
    Hooks,
}

/// What the one who starts the container wants.
pub(crate) struct Wishes<'a> {
    /// The container's name.
    pub(crate) id: &'a str,
    /// A socket that `start` will connect to; without it the program runs at once.
    pub(crate) listener: Option<OwnedFd>,
    /// A descriptor that is closed when the program executes and not before: the mark of a created container.
    pub(crate) mark: Option<OwnedFd>,
    /// A connected socket for the console's master.
    pub(crate) console: Option<OwnedFd>,
    pub(crate) no_pivot: bool,
    pub(crate) no_new_keyring: bool,
    pub(crate) preserve_fds: u32,
    /// The compiled profile, with its flags.
    pub(crate) seccomp: Option<crate::seccomp::Program>,
    /// Files with the container's state for hooks that run in the container: while creating, and created.
    pub(crate) state: Option<(OwnedFd, OwnedFd)>,
    /// Whether the caller is root of the initial user namespace, or at least may do as if.
    pub(crate) privileged: bool,
    pub(crate) layout: &'a Layout,
    pub(crate) cgroup: &'a Cgroup,
}

/// The program and what the parent has to do for it.
pub(crate) struct Compiled {
    pub(crate) program: Program,
    pub(crate) tags: Vec<Tag>,
    /// `CLONE_NEW*` for the clone itself.
    pub(crate) namespaces: u32,
    /// How many operations run before the process that stays is cloned.
    pub(crate) outer: usize,
    /// Whether memory may be shared with the parent.
    pub(crate) vfork: bool,
    pub(crate) syncs: Vec<SyncPoint>,
    pub(crate) maps: Option<Maps>,
    /// A pid namespace that the parent has to enter for its children before the clone.
    pub(crate) pid_namespace: Option<OwnedFd>,
    /// The first operation that `start` answers for.
    pub(crate) late: usize,
}

/// A program under construction.
pub(crate) struct Compiler {
    pub(crate) program: Program,
    pub(crate) tags: Vec<Tag>,
}

impl Compiler {
    pub(crate) fn new() -> Compiler {
        Compiler {
            program: Program::new(),
            tags: Vec::with_capacity(128),
        }
    }

    pub(crate) fn op(&mut self, field: impl Into<Cow<'static, str>>, act: impl Into<Cow<'static, str>>, op: Op) {
        self.program.push(op);
        self.tags.push(Tag {
            field: field.into(),
            act: act.into(),
        });
    }
}

/// A string of the configuration for the kernel.
pub(crate) fn c_string(field: &str, text: impl AsRef<[u8]>) -> Result<CString> {
    CString::new(text.as_ref()).map_err(|_| Error::field(field, "contains a NUL byte"))
}

pub(crate) fn c_path(field: &str, path: &Path) -> Result<CString> {
    c_string(field, path.as_os_str().as_bytes())
}

/// Translates what the child reported.
pub(crate) fn failed(tags: &[Tag], program: &str, failure: Failure) -> Error {
    let source: std::io::Error = failure.errno.into();
    match tags.get(failure.op) {
        None => Error::Died,
        Some(tag) => tag_error(&tag.field, &tag.act, program, source),
    }
}

/// The error of an operation that failed.
pub(crate) fn tag_error(field: &str, act: &str, program: &str, source: std::io::Error) -> Error {
    let missing = source.raw_os_error() == Some(rustix::io::Errno::NOENT.raw_os_error());
    if missing && field.ends_with("args[0]") {
        return Error::NotFound {
            field: field.into(),
            program: program.into(),
            source,
        };
    }
    Error::Apply {
        field: field.into(),
        act: act.into(),
        source,
    }
}

/// Compiles the configuration of a bundle.
pub(crate) fn container(bundle: &Bundle, wishes: Wishes<'_>) -> Result<Compiled> {
    let spec = &bundle.spec;
    let linux = spec.linux().clone().unwrap_or_default();
    let process = spec
        .process()
        .as_ref()
        .ok_or_else(|| Error::field("process", "required to start a container"))?;
    let mut c = Compiler::new();
    let mut syncs = Vec::new();
    let mut names = namespaces::plan(spec)?;
    let userns = names.new_user();
    let listener = wishes.listener.map(|fd| c.program.hold(fd));
    if let Some(mark) = wishes.mark {
        c.program.hold(mark);
    }
    let console = wishes.console.map(|fd| c.program.hold(fd));
    let state = wishes
        .state
        .map(|(creating, created)| (c.program.hold(creating), c.program.hold(created)));
    let hooks = spec.hooks().clone().unwrap_or_default();
    let early = [
        hooks.create_container(),
        hooks.create_runtime(),
        hooks.start_container(),
    ];
    let prestart = hooks.prestart().is_some();
    let sync_for_hooks = prestart || early.iter().any(|h| h.as_ref().is_some_and(|h| !h.is_empty()));

    let outer = names.outer(&mut c);
    let mut vfork = listener.is_none() && !userns && outer == 0 && !sync_for_hooks && !names.time();
    vfork &= console.is_none();
    if vfork {
        c.op("process", "tie the process to its parent", Op::DeathSignal(9));
    }
    if !userns {
        c.op("process", "protect the process", Op::Undumpable);
    }
    if userns {
        syncs.push(SyncPoint::Maps);
        c.op("linux.uidMappings", "map user ids", Op::Sync);
        c.op("process", "protect the process", Op::Undumpable);
        if wishes.privileged {
            c.op("linux.gidMappings", "drop the host's groups", Op::Groups(Box::new([])));
        }
        c.op("linux.uidMappings", "become root of the user namespace", Op::Ids(0, 0));
    }
    for tasks in wishes.cgroup.v1_tasks()? {
        let place = c.program.hold(tasks);
        c.op(
            "linux.cgroupsPath",
            "join the cgroup",
            Op::Write(place, Box::new(*b"0")),
        );
    }
    names.join(&mut c, &linux)?;
    if names.is_new(LinuxNamespaceType::Network) {
        c.op("linux.namespaces", "set `lo` up", Op::LoopbackUp);
    }
    c.op("process", "make a session", Op::SetSid);
    if let Some(hostname) = spec.hostname() {
        c.op(
            "hostname",
            format!("set `{hostname}`"),
            Op::Hostname(hostname.as_bytes().into()),
        );
    }
    if let Some(domainname) = spec.domainname() {
        c.op(
            "domainname",
            format!("set `{domainname}`"),
            Op::Domainname(domainname.as_bytes().into()),
        );
    }
    if let Some(score) = process.oom_score_adj() {
        let op = Op::WriteFile(
            c"/proc/self/oom_score_adj".into(),
            score.to_string().into_bytes().into(),
        );
        c.op("process.oomScoreAdj", format!("set {score}"), op);
    }
    let label = process::label(&mut c, process)?;
    let mut mounting = mounts::Mounting::new(&mut c, bundle, &names, wishes.layout, wishes.cgroup, userns)?;
    mounting.all(spec)?;
    let root = mounting.root;
    let read_only_dev = mounting.read_only_dev.take();
    sysctls(&mut c, bundle, &linux, names.new_mount())?;
    working_directory(&mut c, process.cwd(), root)?;
    let terminal = process.terminal().unwrap_or(false);
    let bind_devices = userns || names.user_joined() || !wishes.privileged;
    devices::all(&mut c, spec, &linux, root, bind_devices, terminal)?;
    let tty = c.program.place();
    if terminal && let Some(socket) = console {
        let size = process
            .console_size()
            .map(|size| (size.width() as u16, size.height() as u16));
        let owner = process.user().uid();
        let console = sys::launch::Console {
            root: Some(root),
            socket,
            size,
            owner,
            bind: true,
            into: tty,
        };
        c.op("process.terminal", "make the terminal", Op::Console(console));
    }
    if sync_for_hooks {
        syncs.push(SyncPoint::Hooks);
        c.op("hooks", "wait for the runtime's hooks", Op::Sync);
    }
    let hook_ops = |c: &mut Compiler, name: &str, hooks: &Option<Vec<Hook>>, stdin: Place| -> Result<()> {
        for (i, hook) in hooks.iter().flatten().enumerate() {
            let field = format!("hooks.{name}[{i}]");
            let act = format!("run hook `{}`", hook.path().display());
            let hook = crate::hooks::compile(&field, hook, stdin)?;
            c.op(field, act, Op::Hook(hook));
        }
        Ok(())
    };
    if let Some((creating, _)) = state {
        hook_ops(&mut c, "createContainer", hooks.create_container(), creating)?;
    }
    if let Some(dev) = read_only_dev {
        let attr = MountAttr {
            set: mounts::RDONLY,
            ..MountAttr::default()
        };
        c.op(
            "mounts",
            "make /dev read-only",
            Op::MountAttr {
                mount: dev,
                attr,
                recursive: false,
            },
        );
    }
    mounts::hidden(&mut c, &linux, root)?;
    if spec.root().as_ref().and_then(|r| r.readonly()).unwrap_or(false) {
        let attr = MountAttr {
            set: mounts::RDONLY,
            ..MountAttr::default()
        };
        c.op(
            "root.readonly",
            "make the root read-only",
            Op::MountAttr {
                mount: root,
                attr,
                recursive: false,
            },
        );
    }
    match (names.new_mount(), wishes.no_pivot) {
        (true, false) => c.op("root.path", "pivot the root", Op::PivotRoot(root)),
        (true, true) => c.op("root.path", "move the root", Op::MoveRoot(root)),
        (false, _) => c.op("root.path", "change the root", Op::Chroot(root)),
    }
    if names.new_mount() {
        mounts::final_propagation(&mut c, &linux);
    }
    if terminal && console.is_some() {
        c.op(
            "process.terminal",
            "put the terminal on standard input and output",
            Op::Stdio(tty),
        );
        c.op(
            "process.terminal",
            "take the terminal as controlling one",
            Op::ControllingTerminal,
        );
    }
    if !wishes.no_new_keyring {
        let name = c_string("process", format!("_ses.{}", wishes.id))?;
        c.op("process", "make a session keyring", Op::SessionKeyring(name));
    }
    if let Some(personality) = linux.personality() {
        process::personality(&mut c, personality)?;
    }
    if let Some(policy) = linux.memory_policy() {
        process::memory_policy(&mut c, policy)?;
    }
    let home = process::home_in(&bundle.rootfs, process.user().uid());
    let groups_denied = (userns && !wishes.privileged) || namespaces::groups_denied();
    let late = process::all(
        &mut c,
        process,
        process::Surroundings {
            field: "process",
            home,
            seccomp: wishes.seccomp,
            groups_denied,
            listener,
            label,
            preserve_fds: wishes.preserve_fds,
            tied: vfork,
        },
        |c| match state {
            Some((_, created)) => hook_ops(c, "startContainer", hooks.start_container(), created),
            None => Ok(()),
        },
    )?;
    let namespaces = names.clone_flags();
    let maps = userns.then(|| Maps::of(&linux, wishes.privileged));
    let pid_namespace = names.take_pid();
    Ok(Compiled {
        program: c.program,
        tags: c.tags,
        namespaces,
        outer,
        vfork,
        syncs,
        maps,
        pid_namespace,
        late,
    })
}

/// Whether the configuration makes or joins a namespace of this kind.
pub(crate) fn has_namespace(spec: &Spec, kind: LinuxNamespaceType) -> bool {
    let namespaces = spec.linux().as_ref().and_then(|l| l.namespaces().as_ref());
    namespaces.is_some_and(|n| n.iter().any(|n| n.typ() == kind))
}

/// What `exec` wants beside the process itself.
pub(crate) struct Joining<'a> {
    /// The container's first process.
    pub(crate) pidfd: OwnedFd,
    /// `CLONE_NEW*` of the namespaces that it is in and the caller is not.
    pub(crate) namespaces: u32,
    /// Its root, where it has no mount namespace of its own.
    pub(crate) root: Option<OwnedFd>,
    pub(crate) console: Option<OwnedFd>,
    pub(crate) preserve_fds: u32,
    pub(crate) seccomp: Option<crate::seccomp::Program>,
    pub(crate) cgroup: &'a Cgroup,
    pub(crate) id: &'a str,
    pub(crate) home: String,
    pub(crate) groups_denied: bool,
}

/// Compiles another process of a container.
pub(crate) fn exec(process: &oci_spec::runtime::Process, joining: Joining<'_>) -> Result<Compiled> {
    const USER: u32 = LinuxNamespaceType::User as u32;
    const PID: u32 = LinuxNamespaceType::Pid as u32;
    const TIME: u32 = LinuxNamespaceType::Time as u32;
    let mut c = Compiler::new();
    let namespaces = joining.namespaces;
    let parent_joins_pid = namespaces & PID != 0 && namespaces & USER == 0;
    let pid_namespace = if parent_joins_pid {
        let copy = joining.pidfd.try_clone();
        Some(copy.map_err(|source| Error::Act {
            act: "duplicate a descriptor".into(),
            source,
        })?)
    } else {
        None
    };
    let pidfd = c.program.hold(joining.pidfd);
    let console = joining.console.map(|fd| c.program.hold(fd));
    let own_memory = namespaces & (USER | TIME) != 0 || console.is_some();
    let mut outer = 0;
    let affinity = process.exec_cpu_affinity().as_ref();
    if let Some(list) = affinity.and_then(|a| a.initial().as_deref()) {
        process::affinity(&mut c, "process.execCPUAffinity.initial", list)?;
    }
    if let Some(score) = process.oom_score_adj() {
        let op = Op::WriteFile(
            c"/proc/self/oom_score_adj".into(),
            score.to_string().into_bytes().into(),
        );
        c.op("process.oomScoreAdj", format!("set {score}"), op);
    }
    if namespaces & USER != 0 {
        for tasks in joining.cgroup.v1_tasks()? {
            let place = c.program.hold(tasks);
            c.op(
                "linux.cgroupsPath",
                "join the cgroup",
                Op::Write(place, Box::new(*b"0")),
            );
        }
        let early = namespaces & (USER | PID);
        c.op(
            "linux.namespaces",
            "join the user and pid namespaces",
            Op::Setns(pidfd, early),
        );
        outer = c.program.len();
        c.op("linux.namespaces", "become root of the user namespace", Op::Ids(0, 0));
    }
    if !own_memory {
        c.op("process", "tie the process to its parent", Op::DeathSignal(9));
    }
    c.op("process", "protect the process", Op::Undumpable);
    if namespaces & USER == 0 {
        for tasks in joining.cgroup.v1_tasks()? {
            let place = c.program.hold(tasks);
            c.op(
                "linux.cgroupsPath",
                "join the cgroup",
                Op::Write(place, Box::new(*b"0")),
            );
        }
    }
    let label = process::label(&mut c, process)?;
    c.op("process", "make a session", Op::SetSid);
    let rest = namespaces & !(USER | PID);
    if rest != 0 {
        c.op("linux.namespaces", "join the namespaces", Op::Setns(pidfd, rest));
    }
    if let Some(root) = joining.root {
        let root = c.program.hold(root);
        c.op("root.path", "change the root", Op::Chroot(root));
    }
    if let Some(socket) = console {
        let tty = c.program.place();
        let size = process
            .console_size()
            .map(|size| (size.width() as u16, size.height() as u16));
        let owner = process.user().uid();
        let console = sys::launch::Console {
            root: None,
            socket,
            size,
            owner,
            bind: false,
            into: tty,
        };
        c.op("process.terminal", "make the terminal", Op::Console(console));
        c.op(
            "process.terminal",
            "put the terminal on standard input and output",
            Op::Stdio(tty),
        );
        c.op(
            "process.terminal",
            "take the terminal as controlling one",
            Op::ControllingTerminal,
        );
    }
    let name = c_string("process", format!("_ses.{}", joining.id))?;
    c.op("process", "join the session keyring", Op::SessionKeyring(name));
    let late = process::all(
        &mut c,
        process,
        process::Surroundings {
            field: "process",
            home: joining.home,
            seccomp: joining.seccomp,
            groups_denied: joining.groups_denied,
            listener: None,
            label,
            preserve_fds: joining.preserve_fds,
            tied: !own_memory,
        },
        |c| match affinity.and_then(|a| a.cpu_affinity_final().as_deref()) {
            Some(list) => process::affinity(c, "process.execCPUAffinity.final", list),
            None => Ok(()),
        },
    )?;
    Ok(Compiled {
        program: c.program,
        tags: c.tags,
        namespaces: 0,
        outer,
        vfork: !own_memory,
        syncs: Vec::new(),
        maps: None,
        pid_namespace,
        late,
    })
}

/// Kernel parameters are written through the container's own proc, before it is made read-only: the host's may be.
fn sysctls(c: &mut Compiler, bundle: &Bundle, linux: &Linux, new_mount: bool) -> Result<()> {
    let own = bundle.spec.mounts().iter().flatten();
    let own = own
        .filter(|mount| mount.destination() == Path::new("/proc") && mount.typ().as_deref() == Some("proc"))
        .any(|_| new_mount);
    for (key, value) in linux.sysctl().iter().flatten() {
        let field = format!("linux.sysctl[\"{key}\"]");
        let name = if key.contains('/') {
            key.clone()
        } else {
            key.replace('.', "/")
        };
        let root = if own { bundle.rootfs.as_path() } else { Path::new("/") };
        let path = c_path(&field, &root.join("proc/sys").join(name))?;
        c.op(
            field,
            format!("write `{value}`"),
            Op::WriteFile(path, value.as_bytes().into()),
        );
    }
    Ok(())
}

/// The working directory is made if it is not there.
fn working_directory(c: &mut Compiler, cwd: &Path, root: Place) -> Result<()> {
    if cwd == Path::new("/") {
        return Ok(());
    }
    let into = c.program.place();
    let target = Target {
        root,
        path: c_path("process.cwd", cwd)?,
        no_symlinks: false,
        not_proc: false,
    };
    c.op(
        "process.cwd",
        format!("make `{}`", cwd.display()),
        Op::Resolve {
            target,
            missing: Missing::Directory,
            into,
        },
    );
    Ok(())
}
