//! The guard's control groups: one directory in each hierarchy, with limits above anything a sabotage does.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{MountFlags, mount};
use serde::{Deserialize, Serialize};
use sys::hierarchy::hierarchies;
pub use sys::hierarchy::{Hierarchy, ROOT, layout};

use crate::wait::{self, Waited};

/// The group of PID 1 below the guard's version 2 directory.
const LEAF: &str = "plimsoll-guard";

/// Limits of a guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: u64,
    /// Tasks.
    pub pids: u64,
    /// How many times the CPU time of a group without a wish it gets where CPUs are wanted by others, too.
    pub cpu_favour: u64,
}

/// Why the guard's control groups cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory.
    #[error("failed to {act} `{path}`", path = path.display())]
    Act {
        /// What was done.
        act: &'static str,
        /// To what.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
}

fn act(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::Act { act, path, source }
}

/// A hierarchy as a guard sees it: rooted at the guard's own group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// Mount point inside.
    pub mount: PathBuf,
    /// 1 or 2.
    pub version: u8,
    /// Controllers.
    pub controllers: Vec<String>,
}

/// The hierarchies of this host.
///
/// # Errors
/// [`Error`] if the mount table cannot be read.
pub fn host() -> Result<Vec<Hierarchy>, Error> {
    let path = Path::new("/proc/self/mountinfo");
    let mut all = hierarchies(&std::fs::read_to_string(path).map_err(act("read", path))?);
    for hierarchy in all.iter_mut().filter(|h| h.version == 2) {
        let path = hierarchy.mount.join("cgroup.controllers");
        let text = std::fs::read_to_string(&path).map_err(act("read", &path))?;
        hierarchy.controllers = text.split_whitespace().map(String::from).collect();
    }
    Ok(all)
}

/// The guard's directories, seen from outside.
#[derive(Debug)]
pub struct Subtree {
    directories: Vec<(Hierarchy, PathBuf)>,
    version_2: Option<OwnedFd>,
    /// Where PID 1 is to be in the version 2 directory, if that was decided before it is made.
    leaf: Option<OwnedFd>,
    unavailable: Option<String>,
    by_root: bool,
}

impl Subtree {
    /// Makes `plimsoll-TOKEN` in each hierarchy of the `host` and sets the limits.
    ///
    /// Where that is not allowed (an ordinary user without a delegated subtree) the result says why and holds nothing.
    ///
    /// # Errors
    /// [`Error`] if it should have been possible.
    pub fn create(host: &[Hierarchy], token: &str, limits: Limits) -> Result<Self, Error> {
        let by_root = rustix::process::geteuid().is_root();
        let mut subtree = Self {
            directories: Vec::new(),
            version_2: None,
            leaf: None,
            unavailable: None,
            by_root,
        };
        if host.is_empty() {
            subtree.unavailable = Some(format!("no control groups are mounted at {ROOT}"));
            return Ok(subtree);
        }
        match subtree.fill(host, token, limits) {
            Ok(()) => Ok(subtree),
            Err(Error::Act { act, path, source }) if refused(&source) => {
                let why = format!("failed to {act} `{}`: {source}", path.display());
                subtree.remove(Duration::from_secs(1));
                subtree.unavailable = Some(why);
                Ok(subtree)
            }
            Err(error) => {
                subtree.remove(Duration::from_secs(1));
                Err(error)
            }
        }
    }

    fn fill(&mut self, all: &[Hierarchy], token: &str, limits: Limits) -> Result<(), Error> {
        for hierarchy in all {
            let mut hierarchy = hierarchy.clone();
            let parent = if self.by_root {
                hierarchy.mount.clone()
            } else {
                delegated(&hierarchy)?
            };
            if hierarchy.version == 2 && !self.by_root {
                hierarchy.controllers = hand_on(&parent)?;
            }
            let directory = parent.join(format!("plimsoll-{token}"));
            if hierarchy.version == 2 && self.by_root {
                enable(&parent, &hierarchy.controllers)?;
            }
            std::fs::create_dir(&directory).map_err(act("make", &directory))?;
            self.directories.push((hierarchy.clone(), directory.clone()));
            let has = |name: &str| hierarchy.controllers.iter().any(|c| c == name);
            if hierarchy.version == 1 && has("cpuset") {
                for file in ["cpuset.cpus", "cpuset.mems"] {
                    let inherited = parent.join(file);
                    let value = std::fs::read_to_string(&inherited).map_err(act("read", &inherited))?;
                    put(&directory.join(file), value.trim())?;
                }
            }
            if has("memory") {
                let file = if hierarchy.version == 1 {
                    "memory.limit_in_bytes"
                } else {
                    "memory.max"
                };
                put(&directory.join(file), &limits.memory.to_string())?;
            }
            if has("cpu") && limits.cpu_favour > 1 {
                let (file, one) = if hierarchy.version == 1 {
                    ("cpu.shares", 1024)
                } else {
                    ("cpu.weight", 100)
                };
                put(&directory.join(file), &(one * limits.cpu_favour).to_string())?;
            }
            if has("pids") {
                put(&directory.join("pids.max"), &limits.pids.to_string())?;
            }
            if hierarchy.version == 2 {
                self.version_2 = Some(open_directory(&directory)?);
            }
        }
        // Where everything is on version 2, PID 1 begins in the leaf that it would have to move to: moving waits 10 ms for
        // an RCU grace period. In a user namespace of the guard's the way there is not open.
        if self.by_root
            && let [(Hierarchy { version: 2, .. }, directory)] = self.directories.as_slice()
        {
            let leaf = directory.join(LEAF);
            std::fs::create_dir(&leaf).map_err(act("make", &leaf))?;
            self.leaf = Some(open_directory(&leaf)?);
        }
        Ok(())
    }

    /// The leaf below [`Subtree::version_2`] in which PID 1 is to begin, its cgroup namespace rooted above.
    pub(super) fn leaf(&self) -> Option<BorrowedFd<'_>> {
        self.leaf.as_ref().map(AsFd::as_fd)
    }

    /// The directory of the version 2 hierarchy, in which PID 1 is to begin.
    pub fn version_2(&self) -> Option<BorrowedFd<'_>> {
        self.version_2.as_ref().map(AsFd::as_fd)
    }

    /// Whether there is any.
    pub fn is_some(&self) -> bool {
        !self.directories.is_empty()
    }

    /// Why there is none.
    pub fn unavailable(&self) -> Option<&str> {
        self.unavailable.as_deref()
    }

    /// Whether root made it, outside of any user namespace of the guard's.
    pub fn by_root(&self) -> bool {
        self.by_root
    }

    /// Moves the calling process, which has one thread, into the version 1 directories.
    ///
    /// # Errors
    /// [`Error`].
    pub fn enter(&self) -> Result<(), Error> {
        for (_, directory) in self.directories.iter().filter(|(h, _)| h.version == 1) {
            // `tasks` and not `cgroup.procs`: one thread moves without waiting for an RCU grace period.
            put(&directory.join("tasks"), "0")?;
        }
        Ok(())
    }

    /// Mounts the hierarchies for the calling process, rooted at the guard's directories by its cgroup namespace.
    pub(super) fn mount(&self, hide_unified: bool) -> Result<Vec<Mounted>, super::Error> {
        use super::{inside, inside_io};
        let plain = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        let mut mounted = Vec::new();
        if self.directories.is_empty() {
            return Ok(mounted);
        }
        let pure = self.directories.iter().all(|(h, _)| h.version == 2);
        // Over the host's, which is still there for an ordinary user, the same file system cannot be mounted (EBUSY).
        if !pure || !self.by_root {
            mount("tmpfs", ROOT, "tmpfs", plain, Some(c"mode=755")).map_err(inside(format!("mount `{ROOT}`")))?;
        }
        for (hierarchy, _) in &self.directories {
            if !pure && hierarchy.version == 2 && hide_unified {
                continue;
            }
            if !pure {
                fs_err::create_dir_all(&hierarchy.mount).map_err(inside_io("make a cgroup mount point"))?;
            }
            let options = match hierarchy.controllers.as_slice() {
                [name] if name.starts_with("name=") => format!("none,{name}"),
                names => names.join(","),
            };
            let what = format!("mount `{}`", hierarchy.mount.display());
            if hierarchy.version == 1 {
                let options = std::ffi::CString::new(options).unwrap_or_default();
                mount("cgroup", &hierarchy.mount, "cgroup", plain, Some(options.as_c_str())).map_err(inside(what))?;
            } else {
                mount("cgroup2", &hierarchy.mount, "cgroup2", plain, None).map_err(inside(what))?;
            }
            mounted.push(Mounted {
                mount: hierarchy.mount.clone(),
                version: hierarchy.version,
                controllers: hierarchy.controllers.clone(),
            });
        }
        // What docker and systemd lay beside comounted hierarchies, and runtimes look for.
        for hierarchy in mounted.iter().filter(|m| m.version == 1 && m.controllers.len() > 1) {
            for name in &hierarchy.controllers {
                let link = Path::new(ROOT).join(name);
                if !link.exists() {
                    fs_err::os::unix::fs::symlink(&hierarchy.mount, &link).map_err(inside_io("link a controller"))?;
                }
            }
        }
        Ok(mounted)
    }

    /// Leaves the version 2 root for a leaf, so that the root may hand controllers on (no internal processes).
    ///
    /// Leaving waits for an RCU grace period, 10 ms. Beside version 1 hierarchies it is done only if `needs` says that
    /// the case asks for one of the few controllers that are left for version 2.
    pub(super) fn settle(&self, mounted: &[Mounted], needs: &dyn Fn(&str) -> bool) -> Result<(), Error> {
        let pure = mounted.iter().all(|m| m.version == 2);
        let asked = |m: &Mounted| m.version == 2 && (pure || m.controllers.iter().any(|c| needs(c)));
        for hierarchy in mounted.iter().filter(|m| asked(m)) {
            if self.leaf.is_none() {
                let leaf = hierarchy.mount.join(LEAF);
                std::fs::create_dir(&leaf).map_err(act("make", &leaf))?;
                put(&leaf.join("cgroup.procs"), "0")?;
            }
            enable(&hierarchy.mount, &hierarchy.controllers)?;
        }
        Ok(())
    }

    /// Thaws every process below the directories.
    pub(super) fn thaw(&self) {
        for (_, directory) in &self.directories {
            thaw(directory);
        }
    }

    /// Removes the directories and all below. Answers what could not be removed within the time.
    pub fn remove(&mut self, within: Duration) -> Vec<String> {
        (self.version_2, self.leaf) = (None, None);
        let mut leftovers = Vec::new();
        for (_, directory) in self.directories.drain(..) {
            leftovers.extend(remove_tree(&directory, within));
        }
        leftovers
    }
}

/// Ends every process of a cgroup directory and those below, and removes them. Answers what is left, and why.
pub fn remove_tree(directory: &Path, within: Duration) -> Option<String> {
    // Nearly always its processes are gone already.
    let mut first = true;
    let waited = wait::until(within, Duration::from_millis(1), || {
        if !std::mem::take(&mut first) {
            kill_all(directory);
        }
        prune(directory)
    });
    match waited {
        Waited::Done(()) => None,
        Waited::TimedOut { last, .. } => Some(format!("{}: {last}", directory.display())),
    }
}

/// Thaws every process of a cgroup directory of version 1 and of those below: frozen, it would not even die. Version 2
/// kills what is frozen (`freezer-subsystem.rst`, `cgroup-v2.rst`).
pub(super) fn thaw(directory: &Path) {
    let mut stack = vec![directory.to_path_buf()];
    while let Some(next) = stack.pop() {
        let state = next.join("freezer.state");
        if state.exists() {
            // A group that is gone meanwhile holds nothing.
            let _gone = std::fs::write(state, "THAWED");
        }
        stack.extend(children(&next));
    }
}

fn kill_all(directory: &Path) {
    // Linux 5.14 on version 2. Elsewhere one by one; what forks meanwhile is met in the next turn.
    let _not_there = std::fs::write(directory.join("cgroup.kill"), "1");
    let mut stack = vec![directory.to_path_buf()];
    while let Some(next) = stack.pop() {
        let pids = std::fs::read_to_string(next.join("cgroup.procs")).unwrap_or_default();
        for pid in pids
            .lines()
            .filter_map(|l| l.parse().ok())
            .filter_map(rustix::process::Pid::from_raw)
        {
            if let Ok(fd) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
                let _gone = rustix::process::pidfd_send_signal(fd, rustix::process::Signal::KILL);
            }
        }
        // A frozen process dies when it is thawed.
        let _not_there = std::fs::write(next.join("freezer.state"), "THAWED");
        stack.extend(children(&next));
    }
}

fn children(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
        .map(|e| e.path())
        .collect()
}

fn prune(directory: &Path) -> io::Result<()> {
    for child in children(directory) {
        prune(&child)?;
    }
    match std::fs::remove_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn open_directory(path: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty()).map_err(|e| act("open", path)(e.into()))
}

fn refused(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::NotFound
    )
}

/// The group below which an ordinary user may make groups, if one was delegated to them: in version 2 the parent of this
/// process' own group, because a group with processes hands on no controllers; in version 1 its own.
fn delegated(hierarchy: &Hierarchy) -> Result<PathBuf, Error> {
    let path = Path::new("/proc/self/cgroup");
    let text = std::fs::read_to_string(path).map_err(act("read", path))?;
    let own = text.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, names, group) = (parts.next()?, parts.next()?, parts.next()?);
        let here = if hierarchy.version == 2 {
            names.is_empty()
        } else {
            names == hierarchy.controllers.join(",")
        };
        here.then(|| hierarchy.mount.join(group.trim_start_matches('/')))
    });
    let mut parent = own.unwrap_or_else(|| hierarchy.mount.clone());
    let mut files = vec!["cgroup.procs"];
    if hierarchy.version == 2 {
        if parent != hierarchy.mount {
            parent.pop();
        }
        files.push("cgroup.subtree_control");
    }
    for file in files {
        let file = parent.join(file);
        rustix::fs::access(&file, rustix::fs::Access::WRITE_OK).map_err(|e| act("write", &file)(e.into()))?;
    }
    Ok(parent)
}

/// Hands controllers on to the children of a version 2 group.
fn enable(directory: &Path, controllers: &[String]) -> Result<(), Error> {
    let file = directory.join("cgroup.subtree_control");
    let has = std::fs::read_to_string(&file).map_err(act("read", &file))?;
    let missing: Vec<String> = controllers
        .iter()
        .filter(|c| !has.split_whitespace().any(|h| h == c.as_str()))
        .map(|c| format!("+{c}"))
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        put(&file, &missing.join(" "))
    }
}

/// Hands on what was delegated with a version 2 group, and answers what that is. One controller that is refused (a process
/// of root's in the group keeps a user from `cpuset`) does not keep back the others.
fn hand_on(directory: &Path) -> Result<Vec<String>, Error> {
    let names = |file: &str| {
        let path = directory.join(file);
        let text = std::fs::read_to_string(&path).map_err(act("read", &path))?;
        Ok(text.split_whitespace().map(String::from).collect::<Vec<_>>())
    };
    let offered = names("cgroup.controllers")?;
    let Err(refused) = enable(directory, &offered) else {
        return Ok(offered);
    };
    for one in offered {
        let _left_out = enable(directory, &[one]);
    }
    let enabled = names("cgroup.subtree_control")?;
    if enabled.is_empty() { Err(refused) } else { Ok(enabled) }
}

fn put(path: &Path, value: &str) -> Result<(), Error> {
    std::fs::write(path, value).map_err(act("write", path))
}
