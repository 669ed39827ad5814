//! From a bundle to a container: what `create` and `run` have in common.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use oci_spec::runtime::{Hooks, LinuxNamespaceType};
use rustix::process::{Signal, WaitId, WaitIdOptions};
use sys::launch::{CloneAs, Started, Word};

use crate::bundle::Bundle;
use crate::cgroup::{Cgroup, Layout, Plan};
use crate::compile::{self, Compiled, SyncPoint, Wishes};
use crate::console;
use crate::container::{Container, Draft, EARLY_SOCKET, Late, SOCKET, Saved, Status, start_time, write_whole};
use crate::error::{Attempt, Error, Result, at};
use crate::{Global, hooks, idmap, seccomp};

/// How long a cgroup may take to get empty once everything in it was killed.
pub(crate) const EMPTY_WITHIN: Duration = Duration::from_secs(10);

/// What `create` and `run` are asked for.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(crate) id: String,
    pub(crate) bundle: PathBuf,
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) console_socket: Option<PathBuf>,
    pub(crate) preserve_fds: u32,
    pub(crate) no_pivot: bool,
    pub(crate) no_new_keyring: bool,
    /// Execute the program at once instead of waiting for `start`.
    pub(crate) start: bool,
    /// Do not wait for its end.
    pub(crate) detach: bool,
}

/// A container that is there.
pub(crate) struct Up {
    pub(crate) container: Container,
    pub(crate) pidfd: OwnedFd,
    pub(crate) bundle: Bundle,
    /// The console's master, where nobody else asked for it.
    pub(crate) terminal: Option<OwnedFd>,
}

/// Removes the cgroup again if what comes after it fails.
struct MadeCgroup(Option<Rc<Cgroup>>);

impl MadeCgroup {
    fn get(&self) -> Result<&Rc<Cgroup>> {
        self.0.as_ref().ok_or(Error::Died)
    }
}

impl Drop for MadeCgroup {
    fn drop(&mut self) {
        if let Some(cgroup) = &self.0 {
            let _ = cgroup.kill_all(Signal::KILL);
            let _ = cgroup.destroy(EMPTY_WITHIN);
        }
    }
}

/// The container's first process, killed and reaped if what comes after it fails.
struct Child<'a> {
    started: &'a Started,
    keep: bool,
}

impl Drop for Child<'_> {
    fn drop(&mut self) {
        if !self.keep {
            let _ = rustix::process::pidfd_send_signal(&self.started.pidfd, Signal::KILL);
            let _ = rustix::process::waitid(WaitId::PidFd(self.started.pidfd.as_fd()), WaitIdOptions::EXITED);
        }
    }
}

/// Makes the container.
pub(crate) fn bring_up(global: &Global, request: &Request) -> Result<Up> {
    let mut bundle = Bundle::load(&request.bundle)?;
    bundle.check_root()?;
    for warning in &bundle.warnings {
        global.warn(warning);
    }
    let spec = &bundle.spec;
    let linux = spec.linux().as_ref();
    let process = spec
        .process()
        .as_ref()
        .ok_or_else(|| Error::field("process", "required to start a container"))?;
    check_hooks(spec.hooks().as_ref())?;
    if !rustix::process::geteuid().is_root() && !compile::has_namespace(spec, LinuxNamespaceType::User) {
        return Err(Error::field(
            "linux.namespaces",
            "an ordinary user needs a user namespace",
        ));
    }
    let mut terminal = console::arrange(
        process.terminal().unwrap_or(false),
        request.console_socket.as_deref(),
        request.start && !request.detach,
    )?;
    let draft = Draft::new(&global.root, &request.id)?;
    draft.config(&bundle)?;

    let layout = Layout::detect()?;
    let path = linux
        .and_then(|l| l.cgroups_path().as_ref())
        .map(|path| path.to_string_lossy().into_owned());
    let resources = linux.and_then(|l| l.resources().as_ref());
    let plan = Plan::new(&layout, path.as_deref(), &request.id, resources, !global.privileged)?;
    let mut cgroup = MadeCgroup(Some(Rc::new(plan.create()?)));
    let mut saved = Saved {
        oci_version: spec.version().clone(),
        id: request.id.clone(),
        pid: 0,
        start_time: 0,
        bundle: bundle.path.clone(),
        rootfs: bundle.rootfs.clone(),
        annotations: spec.annotations().clone().unwrap_or_default(),
        cgroup: Rc::clone(cgroup.get()?),
        created: now(),
        owner: rustix::process::geteuid().as_raw(),
        program: process.args().iter().flatten().next().cloned().unwrap_or_default(),
        late: Vec::new(),
    };
    saved.write(&draft.dir)?;

    let seccomp = linux.and_then(|l| l.seccomp().as_ref());
    let seccomp = seccomp
        .map(|profile| seccomp::cached(profile, &global.root.join(".seccomp")))
        .transpose()?;
    let inside = spec.hooks().as_ref().is_some_and(|h| {
        [h.create_container(), h.start_container()]
            .iter()
            .any(|list| list.as_ref().is_some_and(|l| !l.is_empty()))
    });
    let mut files = None;
    let mut state = None;
    if inside {
        let file = |name: &str| -> Result<(OwnedFd, OwnedFd)> {
            let fd = hooks::memory_file(name, b"").attempt(|| "make a file for hooks".into())?;
            let copy = rustix::io::fcntl_dupfd_cloexec(&fd, 3).attempt(|| "duplicate a descriptor".into())?;
            Ok((fd, copy))
        };
        let (creating, created) = (file("creating")?, file("created")?);
        files = Some((creating.0, created.0));
        state = Some((creating.1, created.1));
    }
    let listener = if request.start { None } else { Some(listen(&draft.dir)?) };
    let mark = rustix::io::fcntl_dupfd_cloexec(&draft.mark, 3).attempt(|| "duplicate a descriptor".into())?;
    let wishes = Wishes {
        id: &request.id,
        listener,
        mark: Some(mark),
        console: terminal.for_child.take(),
        no_pivot: request.no_pivot,
        no_new_keyring: request.no_new_keyring,
        preserve_fds: request.preserve_fds,
        seccomp,
        state,
        privileged: global.privileged,
        layout: &layout,
        cgroup: cgroup.get()?,
    };
    let mut compiled = compile::container(&bundle, wishes)?;
    let started = clone(&mut compiled, cgroup.get()?)?;
    let mut child = Child {
        started: &started,
        keep: false,
    };
    saved.pid = started.pid.as_raw_nonzero().get();
    saved.start_time = start_time(saved.pid).unwrap_or(0);
    let last = compiled.late..compiled.tags.len();
    if !request.start {
        saved.late = last
            .map(|op| {
                let tag = &compiled.tags[op];
                Late {
                    op,
                    field: tag.field.clone().into_owned(),
                    act: tag.act.clone().into_owned(),
                }
            })
            .collect();
    }
    let failed = || match started.failure() {
        Some(failure) => compile::failed(&compiled.tags, &saved.program, failure),
        None => Error::Died,
    };
    if compiled.vfork {
        // Back here means executed, or failed.
        if started.failure().is_some() {
            return Err(failed());
        }
        saved.write(&draft.dir)?;
    } else {
        if !request.start || !compiled.syncs.is_empty() {
            saved.write(&draft.dir)?;
        }
        let mut syncs = compiled.syncs.iter();
        loop {
            match started
                .listen()
                .attempt(|| "listen to the container's process".into())?
            {
                Word::Sync => {
                    match syncs.next() {
                        Some(SyncPoint::Maps) => {
                            if let Some(maps) = &compiled.maps {
                                idmap::write(started.pid, maps)?;
                            }
                        }
                        Some(SyncPoint::Hooks) => {
                            run_early_hooks(&bundle, &saved, files.as_ref())?;
                        }
                        None => return Err(Error::Died),
                    }
                    started.go_on().attempt(|| "let the container's process go on".into())?;
                }
                Word::Ready => {
                    // Only now is it created, for everybody who looks.
                    std::fs::rename(draft.dir.join(EARLY_SOCKET), draft.dir.join(SOCKET))
                        .attempt(|| at("rename the socket in", &draft.dir))?;
                    break;
                }
                Word::Gone if started.failure().is_some() || !request.start => return Err(failed()),
                Word::Gone => break,
            }
        }
        if request.start {
            saved.write(&draft.dir)?;
        }
    }
    let master = terminal.receive()?;
    if let Some(path) = &request.pid_file {
        write_whole(path, saved.pid.to_string().as_bytes())?;
    }
    child.keep = true;
    drop(child);
    cgroup.0 = None;
    let pidfd = started.pidfd.try_clone().attempt(|| "duplicate a descriptor".into())?;
    Ok(Up {
        container: draft.keep(saved),
        pidfd,
        bundle,
        terminal: master,
    })
}

/// The container's profile, compiled once for all that use it.
pub(crate) fn seccomp(global: &Global, bundle: &Bundle) -> Result<Option<seccomp::Program>> {
    let profile = bundle.spec.linux().as_ref().and_then(|l| l.seccomp().as_ref());
    // A container cannot have this name.
    let cache = || global.root.join("@seccomp");
    Ok(profile.map(|profile| seccomp::cached(profile, &cache())).transpose()?)
}

/// Clones the child, in the pid namespace that it joins.
pub(crate) fn clone(compiled: &mut Compiled, cgroup: &Cgroup) -> Result<Started> {
    let own = match compiled.pid_namespace.take() {
        None => None,
        Some(namespace) => {
            let own = std::fs::File::open("/proc/self/ns/pid").attempt(|| "open the pid namespace".into())?;
            sys::namespace::join(&namespace, LinuxNamespaceType::Pid as u32).map_err(|source| Error::Apply {
                field: "linux.namespaces".into(),
                act: "join the pid namespace".into(),
                source,
            })?;
            Some(own)
        }
    };
    let how = CloneAs {
        namespaces: compiled.namespaces,
        cgroup: cgroup.v2_dir_fd()?,
        vfork: compiled.vfork,
        outer: compiled.outer,
    };
    let started = sys::launch::start(&compiled.program, &how).map_err(|source| Error::Apply {
        field: "linux.namespaces".into(),
        act: "clone the container's process".into(),
        source,
    });
    if let Some(own) = own {
        let _ = sys::namespace::join(&own, LinuxNamespaceType::Pid as u32);
    }
    started
}

/// A socket that `start` connects to. Bound through the directory's descriptor: the path may be longer than a socket's
/// name.
fn listen(dir: &Path) -> Result<OwnedFd> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
    let act = || at("listen on", &dir.join(EARLY_SOCKET));
    let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .attempt(act)?;
    let (_dir, short) = socket_path(dir, EARLY_SOCKET)?;
    let address = SocketAddrUnix::new(&short).attempt(act)?;
    rustix::net::bind(&fd, &address).attempt(act)?;
    rustix::net::listen(&fd, 4).attempt(act)?;
    Ok(fd)
}

/// A short path of a container's socket, valid as long as the directory is open.
pub(crate) fn socket_path(dir: &Path, name: &str) -> Result<(Option<OwnedFd>, PathBuf)> {
    use rustix::fs::{Mode, OFlags};
    use std::os::fd::AsRawFd;
    let path = dir.join(name);
    if path.as_os_str().len() < 100 {
        return Ok((None, path));
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(dir, flags, Mode::empty()).attempt(|| at("open", dir))?;
    let short = PathBuf::from(format!("/proc/self/fd/{}/{name}", fd.as_raw_fd()));
    Ok((Some(fd), short))
}

fn check_hooks(hooks: Option<&Hooks>) -> Result<()> {
    let Some(hooks) = hooks else { return Ok(()) };
    for (name, list) in kinds(hooks) {
        for (i, hook) in list.iter().flatten().enumerate() {
            hooks::check(&format!("hooks.{name}[{i}]"), hook)?;
        }
    }
    Ok(())
}

type Kind<'a> = (&'static str, &'a Option<Vec<oci_spec::runtime::Hook>>);

fn kinds(hooks: &Hooks) -> [Kind<'_>; 6] {
    [
        ("prestart", hooks.prestart()),
        ("createRuntime", hooks.create_runtime()),
        ("createContainer", hooks.create_container()),
        ("startContainer", hooks.start_container()),
        ("poststart", hooks.poststart()),
        ("poststop", hooks.poststop()),
    ]
}

fn run_early_hooks(bundle: &Bundle, saved: &Saved, files: Option<&(OwnedFd, OwnedFd)>) -> Result<()> {
    let text = |status| saved.state(status).to_string().into_bytes();
    if let Some((creating, created)) = files {
        for (file, status) in [(creating, Status::Creating), (created, Status::Created)] {
            rustix::io::write(file, &text(status)).attempt(|| "write the state for hooks".into())?;
        }
    }
    let Some(hooks) = bundle.spec.hooks() else {
        return Ok(());
    };
    let state = text(Status::Creating);
    for (name, list) in &kinds(hooks)[..2] {
        hooks::run(name, list, &state, &bundle.path)?;
    }
    Ok(())
}

/// Runs the poststart hooks; a failure is reported and changes nothing.
pub(crate) fn run_poststart(global: &Global, container: &Container, bundle: &Bundle) {
    let list = bundle
        .spec
        .hooks()
        .as_ref()
        .map(|hooks| hooks.poststart().clone())
        .unwrap_or_default();
    let state = container.saved.state(Status::Running).to_string().into_bytes();
    for error in hooks::run_all("poststart", &list, &state, &bundle.path) {
        global.warn(&crate::error::chain(&error));
    }
}

/// Ends what is left of a container, and forgets it: what `delete` does, and `run` at its end.
pub(crate) fn tear_down(global: &Global, container: &Container, bundle: Option<&Bundle>) -> Result<()> {
    let own_pids = bundle.is_some_and(|b| Container::own_pid_namespace(&b.spec));
    if !own_pids {
        // Without a pid namespace of its own the other processes outlive the first.
        container.saved.cgroup.kill_all(Signal::KILL)?;
    }
    container.saved.cgroup.destroy(EMPTY_WITHIN)?;
    let hooks = bundle
        .and_then(|b| b.spec.hooks().as_ref())
        .and_then(|hooks| hooks.poststop().clone());
    container.remove()?;
    let state = container.saved.state(Status::Stopped).to_string().into_bytes();
    let dir = if container.saved.bundle.is_dir() {
        container.saved.bundle.as_path()
    } else {
        Path::new("/")
    };
    for error in hooks::run_all("poststop", &hooks, &state, dir) {
        global.warn(&crate::error::chain(&error));
    }
    Ok(())
}

/// The exit status of a process that this one started, as shells count it.
pub(crate) fn exit_code(pidfd: &OwnedFd) -> Result<i32> {
    let status = rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)
        .attempt(|| "wait for the container's process".into())?;
    let code = status.and_then(|status| {
        status
            .exit_status()
            .or_else(|| status.terminating_signal().map(|signal| 128 + signal))
    });
    Ok(code.unwrap_or(255))
}

fn now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| d.as_secs())
}
