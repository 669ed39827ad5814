//! A container as it is written down, and what the kernel says about it.

use std::collections::HashMap;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use oci_spec::runtime::{LinuxNamespaceType, Spec};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};
use serde::{Deserialize, Serialize};

use crate::bundle::Bundle;
use crate::cgroup::Cgroup;
use crate::compile::has_namespace;
use crate::error::{Attempt, Error, Result, at};

const STATE: &str = "state.json";
const CONFIG: &str = "config.json";
const MARK: &str = "created";
pub(crate) const SOCKET: &str = "start.sock";
/// Its name until the container waits at it.
pub(crate) const EARLY_SOCKET: &str = "start.sock.new";

/// Where a container is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// `create` is at work.
    Creating,
    /// It waits for `start`.
    Created,
    /// Its program runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// Its process is gone.
    Stopped,
}

impl Status {
    /// The word of the specification.
    pub fn word(self) -> &'static str {
        match self {
            Status::Creating => "creating",
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped => "stopped",
        }
    }
}

/// An operation that `start` may have to report.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Late {
    /// Its number in the program.
    pub op: usize,
    /// The field of the configuration.
    pub field: String,
    /// What it does.
    pub act: String,
}

/// What is kept about a container between two calls.
#[derive(Debug, Serialize, Deserialize)]
pub struct Saved {
    /// Of the configuration.
    pub oci_version: String,
    /// The container's name.
    pub id: String,
    /// Its first process, 0 while there is none.
    pub pid: i32,
    /// When that process began, in clock ticks since boot: a pid alone may be another process' by now.
    pub start_time: u64,
    /// The bundle.
    pub bundle: PathBuf,
    /// The root file system.
    pub rootfs: PathBuf,
    /// Of the configuration, verbatim.
    pub annotations: HashMap<String, String>,
    /// Its control groups.
    pub cgroup: Rc<Cgroup>,
    /// When it was created, in seconds since 1970.
    pub created: u64,
    /// Who created it.
    pub owner: u32,
    /// The program's name, for messages.
    pub program: String,
    /// What `start` may have to report.
    pub late: Vec<Late>,
}

/// A container that is written down below a state root.
#[derive(Debug)]
pub struct Container {
    /// Its own directory.
    pub dir: PathBuf,
    /// What is written there.
    pub saved: Saved,
}

/// The directory of a container that is being created; it is removed again unless it is kept.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) dir: PathBuf,
    pub(crate) mark: OwnedFd,
    keep: bool,
}

/// Whether a name may be a container's.
pub(crate) fn check_id(id: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+-.".contains(c);
    if id.is_empty() {
        return Err(Error::usage("the container's name is empty"));
    }
    if id == "." || id == ".." || id.len() > 1024 || !id.chars().all(allowed) {
        return Err(Error::usage(format!(
            "`{id}` is not a container's name: letters, digits and `_+-.` only"
        )));
    }
    Ok(())
}

impl Draft {
    /// Takes the name: exactly one of several callers gets it.
    pub(crate) fn new(root: &Path, id: &str) -> Result<Draft> {
        check_id(id)?;
        let dir = root.join(id);
        let mode = Mode::from_raw_mode(0o700);
        match rustix::fs::mkdir(&dir, mode) {
            Err(Errno::NOENT) => {
                std::fs::create_dir_all(root).attempt(|| at("create", root))?;
                rustix::fs::chmod(root, mode).attempt(|| at("protect", root))?;
                rustix::fs::mkdir(&dir, mode)
            }
            other => other,
        }
        .map_err(|errno| match errno {
            Errno::EXIST => Error::Exists { id: id.into() },
            errno => Error::Act {
                act: at("create", &dir),
                source: errno.into(),
            },
        })?;
        let made = (|| {
            let path = dir.join(MARK);
            let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let mark = rustix::fs::open(&path, flags, Mode::from_raw_mode(0o600)).attempt(|| at("create", &path))?;
            rustix::fs::flock(&mark, FlockOperation::NonBlockingLockExclusive).attempt(|| at("lock", &path))?;
            Ok(mark)
        })();
        match made {
            Ok(mark) => Ok(Draft { dir, mark, keep: false }),
            Err(error) => {
                let _ = std::fs::remove_dir_all(&dir);
                Err(error)
            }
        }
    }

    /// Writes down the configuration as it was read.
    pub(crate) fn config(&self, bundle: &Bundle) -> Result<()> {
        let path = self.dir.join(CONFIG);
        std::fs::write(&path, &bundle.text).attempt(|| at("write", &path))
    }

    /// The container is there to stay.
    pub(crate) fn keep(mut self, saved: Saved) -> Container {
        self.keep = true;
        Container {
            dir: self.dir.clone(),
            saved,
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.keep {
            let _ = remove(&self.dir);
        }
    }
}

/// Removes a container's directory and what a runtime put there.
fn remove(dir: &Path) -> std::io::Result<()> {
    for name in [STATE, CONFIG, MARK, SOCKET, EARLY_SOCKET] {
        match rustix::fs::unlink(dir.join(name)) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    match rustix::fs::rmdir(dir) {
        Err(Errno::NOTEMPTY) => std::fs::remove_dir_all(dir),
        other => Ok(other?),
    }
}

/// Writes a file so that it is there whole or not at all.
pub(crate) fn write_whole(path: &Path, text: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let new = path.with_file_name(name);
    let write = || {
        let mut file = std::fs::File::create(&new)?;
        file.write_all(text)?;
        std::fs::rename(&new, path)
    };
    write().attempt(|| at("write", path))
}

impl Saved {
    /// Writes it into a container's directory.
    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        let text = serde_json::to_vec(self).map_err(|source| Error::Parse {
            path: dir.join(STATE),
            source,
        })?;
        write_whole(&dir.join(STATE), &text)
    }

    /// The state of the specification, as hooks and callers see it.
    pub(crate) fn state(&self, status: Status) -> serde_json::Value {
        let mut state = serde_json::json!({
            "ociVersion": self.oci_version,
            "id": self.id,
            "status": status.word(),
        });
        // Without a process there is no pid to tell.
        if status != Status::Stopped || self.pid == 0 {
            state["pid"] = self.pid.into();
        } else {
            state["pid"] = 0.into();
        }
        state["bundle"] = self.bundle.display().to_string().into();
        if !self.annotations.is_empty() {
            state["annotations"] = serde_json::json!(self.annotations);
        }
        state
    }

    fn alive(&self) -> Option<OwnedFd> {
        let pid = Pid::from_raw(self.pid)?;
        let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok()?;
        // Read after the pidfd is open, so that it is this process' and no later one's.
        (start_time(self.pid) == Some(self.start_time)).then_some(pidfd)
    }
}

/// When a process began, in clock ticks since boot (`starttime` of proc_pid_stat(5)), which tells it from a later one with its
/// number; none for one that is gone or a zombie.
pub fn start_time(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may contain anything.
    let rest = &stat[stat.rfind(')')? + 2..];
    let mut fields = rest.split(' ');
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

impl Container {
    /// Reads what is written about a container.
    pub(crate) fn load(root: &Path, id: &str) -> Result<Container> {
        check_id(id)?;
        let dir = root.join(id);
        let path = dir.join(STATE);
        match std::fs::read(&path) {
            Ok(text) => {
                let saved = serde_json::from_slice(&text).map_err(|source| Error::Parse { path, source })?;
                Ok(Container { dir, saved })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                // One whose creation has just begun, or was killed there, has a directory only.
                if !dir.join(MARK).exists() {
                    return Err(Error::Missing { id: id.into() });
                }
                Ok(Container {
                    dir,
                    saved: Saved::unknown(id),
                })
            }
            Err(source) => Err(Error::Act {
                act: at("read", &path),
                source,
            }),
        }
    }

    /// All containers below a root, those that cannot be read left out.
    pub(crate) fn all(root: &Path) -> Result<Vec<Container>> {
        let entries = match std::fs::read_dir(root) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.attempt(|| at("read", root))?,
        };
        let mut all: Vec<Container> = entries
            .flatten()
            .filter_map(|entry| Container::load(root, entry.file_name().to_str()?).ok())
            .collect();
        all.sort_by(|a, b| a.saved.id.cmp(&b.saved.id));
        Ok(all)
    }

    /// The configuration as it was when the container was created.
    pub(crate) fn bundle(&self) -> Result<Bundle> {
        let path = self.dir.join(CONFIG);
        let text = std::fs::read(&path).attempt(|| at("read", &path))?;
        Bundle::parse(self.saved.bundle.clone(), text)
    }

    /// Where it is in its life, by the kernel's word: whether its process lives, whether that still holds the mark that
    /// is closed when it executes its program, and whether it is frozen.
    pub(crate) fn status(&self) -> Status {
        let marked = self.marked();
        if self.saved.pid == 0 {
            return if marked { Status::Creating } else { Status::Stopped };
        }
        if self.saved.alive().is_none() {
            return Status::Stopped;
        }
        if marked {
            return if self.dir.join(SOCKET).exists() {
                Status::Created
            } else {
                Status::Creating
            };
        }
        if self.saved.cgroup.is_frozen().unwrap_or(false) {
            Status::Paused
        } else {
            Status::Running
        }
    }

    fn marked(&self) -> bool {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let Ok(mark) = rustix::fs::open(self.dir.join(MARK), flags, Mode::empty()) else {
            return false;
        };
        rustix::fs::flock(&mark, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK)
    }

    /// Waits until its program, which has been executed, no longer holds the mark: the kernel tells of the execution before
    /// it has closed every descriptor, and whoever looks in between would not find it running.
    pub(crate) fn settle(&self) {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        if let Ok(mark) = rustix::fs::open(self.dir.join(MARK), flags, Mode::empty()) {
            while rustix::fs::flock(&mark, FlockOperation::LockShared) == Err(Errno::INTR) {}
        }
    }

    /// Its first process.
    pub(crate) fn pidfd(&self) -> Option<OwnedFd> {
        self.saved.alive()
    }

    /// The error of a verb that needs another status.
    pub(crate) fn not(&self, verb: &'static str, wanted: &'static str) -> Error {
        Error::State {
            verb,
            id: self.saved.id.clone(),
            status: self.status().word(),
            wanted,
        }
    }

    /// Forgets it.
    pub(crate) fn remove(&self) -> Result<()> {
        remove(&self.dir).attempt(|| at("remove", &self.dir))
    }

    /// Whether its processes end with its first one.
    pub(crate) fn own_pid_namespace(spec: &Spec) -> bool {
        let namespaces = spec.linux().as_ref().and_then(|l| l.namespaces().as_ref());
        has_namespace(spec, LinuxNamespaceType::Pid)
            && namespaces.is_some_and(|n| {
                n.iter()
                    .any(|n| n.typ() == LinuxNamespaceType::Pid && n.path().is_none())
            })
    }
}

impl Saved {
    fn unknown(id: &str) -> Saved {
        Saved {
            oci_version: "1.2.0".into(),
            id: id.into(),
            pid: 0,
            start_time: 0,
            bundle: PathBuf::new(),
            rootfs: PathBuf::new(),
            annotations: HashMap::new(),
            cgroup: Rc::default(),
            created: 0,
            owner: 0,
            program: String::new(),
            late: Vec::new(),
        }
    }
}
