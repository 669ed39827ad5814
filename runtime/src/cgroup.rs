//! Control groups: where they are, what is asked of them, making, watching and removing them.
//!
//! [`Layout`] says which hierarchies this host has (v1, v2 or both), [`Plan`] is what a container asks for, checked
//! against it without touching anything, and [`Cgroup`] is the container's group in every hierarchy.
//! See cgroups(7) and the kernel's `admin-guide/cgroup-v1` and `admin-guide/cgroup-v2`.

mod controller;
pub mod devices;
mod directory;
mod freezer;
mod layout;
mod oom;
mod plan;
mod processes;
mod removal;
mod setting;
mod stats;

use std::cell::OnceCell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::{fmt, io};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use directory::Directory;
pub use layout::{Hierarchy, Layout};
pub use oom::{OomEvent, OomWatch, oom_watch};
pub use plan::Plan;
pub use stats::{BlkioEntry, BlkioStats, CpuStats, CpuUsage, HugetlbStats, MemoryEntry, MemoryStats, PidsStats};
pub use stats::{Stats, Throttling};

/// A container's cgroup: one directory in every v1 hierarchy, and one in the unified hierarchy where there is one.
///
/// It may be written down and read back; descriptors are opened when they are first asked for.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cgroup {
    v1: Vec<Member>,
    unified: Option<Member>,
}

/// The container's directory in one hierarchy.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    /// `memory`, `cpu`, … of a v1 hierarchy; `name=systemd` of one without controllers; none for the unified one.
    controllers: Vec<String>,
    path: PathBuf,
    /// How many directories from `path` upwards were made for this container.
    made: usize,
    #[serde(skip)]
    directory: OnceCell<Directory>,
}

impl Member {
    fn directory(&self) -> Result<&Directory, Error> {
        if let Some(directory) = self.directory.get() {
            return Ok(directory);
        }
        let opened = Directory::open(&self.path)?;
        Ok(self.directory.get_or_init(|| opened))
    }
}

impl Cgroup {
    /// The directory in the unified hierarchy, for `clone3(CLONE_INTO_CGROUP)`.
    ///
    /// # Errors
    /// [`Error::Open`] if it is gone.
    pub fn v2_dir_fd(&self) -> Result<Option<BorrowedFd<'_>>, Error> {
        self.unified
            .as_ref()
            .map(|member| member.directory().map(AsFd::as_fd))
            .transpose()
    }

    /// The directory in the unified hierarchy.
    #[must_use]
    pub fn v2_path(&self) -> Option<&Path> {
        self.unified.as_ref().map(|member| member.path.as_path())
    }

    /// The `tasks` files of the v1 hierarchies: a single-threaded process joins by writing `0` into each.
    pub fn v1_tasks_paths(&self) -> impl Iterator<Item = PathBuf> {
        self.v1.iter().map(|member| member.path.join("tasks"))
    }

    /// The files of [`Cgroup::v1_tasks_paths`], open for writing.
    ///
    /// # Errors
    /// [`Error::Open`] if one is gone or may not be written.
    pub fn v1_tasks(&self) -> Result<Vec<OwnedFd>, Error> {
        self.v1
            .iter()
            .map(|member| member.directory()?.open_file("tasks", OFlags::WRONLY))
            .collect()
    }

    /// Whether the container has no cgroup of its own.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.v1.is_empty() && self.unified.is_none()
    }

    /// The container's directory for `controller`, or [`None`] if no v1 hierarchy has it.
    fn v1_member(&self, controller: &str) -> Option<&Member> {
        self.v1
            .iter()
            .find(|member| member.controllers.iter().any(|name| name == controller))
    }

    fn members(&self) -> impl Iterator<Item = &Member> {
        self.v1.iter().chain(&self.unified)
    }
}

/// Why a cgroup could not be made, changed, read or removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration asks for what cannot be done here.
    #[error("{field}: {reason}")]
    Refused {
        /// The path in `config.json`.
        field: String,
        /// What stands against it.
        reason: Reason,
    },
    /// The kernel did not take a limit.
    #[error("{field}: failed to write `{value}` to `{path}`")]
    Limit {
        /// The path in `config.json`.
        field: String,
        /// What was written.
        value: String,
        /// The control file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A controller could not be switched on for the children of a cgroup.
    #[error(
        "{field}: failed to enable the `{controller}` controller in `{path}`{}",
        internal_process_note(source)
    )]
    Enable {
        /// The path in `config.json` that needs the controller.
        field: String,
        /// Its name.
        controller: String,
        /// The `cgroup.subtree_control` file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A cgroup could not be made.
    #[error("failed to create the cgroup `{path}`")]
    Create {
        /// Its directory.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The cgroup is there already and is not an empty one.
    #[error("the cgroup `{path}` exists and {state}")]
    Occupied {
        /// Its directory.
        path: PathBuf,
        /// What is in its way.
        state: Occupied,
    },
    /// A directory or file could not be opened.
    #[error("failed to open `{path}`")]
    Open {
        /// The path.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A file could not be read.
    #[error("failed to read `{path}`")]
    Read {
        /// The path.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A control file, which no field of the configuration is about, could not be written.
    #[error("failed to write `{value}` to `{path}`")]
    Write {
        /// What was written.
        value: String,
        /// The path.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The device filter was refused.
    #[error("{field}: failed to {act} the device filter of `{path}`")]
    DeviceFilter {
        /// The path in `config.json`.
        field: String,
        /// Which step.
        act: &'static str,
        /// The cgroup.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A process of the cgroup could not be signalled.
    #[error("failed to signal process {pid}")]
    Signal {
        /// The process.
        pid: i32,
        /// What the kernel said.
        source: io::Error,
    },
    /// The cgroup did not reach a state within the time it was given.
    #[error("the cgroup `{path}` was not {state} within {milliseconds} ms")]
    Late {
        /// Its directory.
        path: PathBuf,
        /// `frozen`, `thawed` or `empty`.
        state: &'static str,
        /// The time it was given.
        milliseconds: u128,
    },
    /// A cgroup could not be removed.
    #[error("failed to remove the cgroup `{path}`")]
    Remove {
        /// Its directory.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Waiting for an event failed.
    #[error("failed to watch `{path}`")]
    Watch {
        /// The file that tells of the event.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The container has no cgroup, and what was asked for needs one.
    #[error("the container has no cgroup {needed}")]
    Absent {
        /// Which one, for what.
        needed: &'static str,
    },
}

fn internal_process_note(source: &io::Error) -> &'static str {
    if source.raw_os_error() == Some(rustix::io::Errno::BUSY.raw_os_error()) {
        ", because a cgroup with processes of its own cannot hand out controllers"
    } else {
        ""
    }
}

/// What stands in the way of taking over a cgroup that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occupied {
    /// There are processes in it or below it.
    Processes,
    /// It is frozen.
    Frozen,
    /// There are cgroups below it.
    Children,
}

impl fmt::Display for Occupied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Processes => "holds processes",
            Self::Frozen => "is frozen",
            Self::Children => "holds cgroups",
        })
    }
}

/// Why a field of the configuration cannot be honoured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Neither a v1 hierarchy nor the unified one has the controller.
    NoController(String),
    /// The kernel offers no such control file.
    NoFile(String),
    /// Cgroup v2 has nothing like it.
    V1Only,
    /// Cgroup v1 has nothing like it.
    V2Only,
    /// The controller of a `unified` key lives in a v1 hierarchy.
    NotUnified(String),
    /// The kernel does not account swap.
    NoSwapAccounting,
    /// The kernel takes the value and ignores it.
    NotEnforced {
        /// What was written.
        asked: String,
        /// What was read back.
        got: String,
    },
    /// A number that is not allowed.
    OutOfRange {
        /// What was asked.
        value: i128,
        /// The least allowed.
        least: i128,
        /// The greatest allowed.
        greatest: i128,
    },
    /// A text that does not mean anything here.
    Malformed {
        /// What was asked.
        value: String,
        /// What is expected.
        expected: &'static str,
    },
    /// Another field must be given too.
    Needs(&'static str),
    /// The field contradicts another one.
    Below {
        /// The other field.
        other: &'static str,
        /// Its value.
        least: i64,
    },
    /// The container uses more than what it is to be limited to.
    InUse {
        /// Bytes used now.
        usage: i64,
    },
    /// The v1 controller keeps exceptions to one default, and cannot take back a part of one.
    PartOfWiderRule,
    /// The user may not make cgroups here.
    NotDelegated(PathBuf),
    /// Only root may load the filter.
    NeedsRoot,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoController(name) => write!(f, "no cgroup hierarchy has the `{name}` controller"),
            Self::NoFile(name) => write!(f, "this kernel has no `{name}`"),
            Self::V1Only => f.write_str("cgroup v2 has nothing like it"),
            Self::V2Only => f.write_str("cgroup v1 has nothing like it"),
            Self::NotUnified(name) => write!(f, "the unified hierarchy does not have the `{name}` controller"),
            Self::NoSwapAccounting => f.write_str("no swap accounting"),
            Self::NotEnforced { asked, got } => write!(f, "the kernel took `{asked}` and keeps `{got}`"),
            Self::OutOfRange { value, least, greatest } => {
                write!(f, "{value} is not between {least} and {greatest}")
            }
            Self::Malformed { value, expected } => write!(f, "`{value}` is not {expected}"),
            Self::Needs(other) => write!(f, "needs `{other}` too"),
            Self::Below { other, least } => write!(f, "is below `{other}`, which is {least}"),
            Self::InUse { usage } => write!(f, "{usage} bytes are in use already"),
            Self::PartOfWiderRule => {
                f.write_str("the v1 devices controller cannot make an exception from an exception")
            }
            Self::NotDelegated(path) => write!(f, "this user may not make cgroups in `{}`", path.display()),
            Self::NeedsRoot => f.write_str("only root may limit devices"),
        }
    }
}

fn refused(field: impl Into<String>, reason: Reason) -> Error {
    Error::Refused {
        field: field.into(),
        reason,
    }
}
