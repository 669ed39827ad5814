//! How long a container takes from the call of its runtime to the runtime's exit, beside the floor of the kernel.
//!
//! [`measure`] calls this executable again in a guard (`unshare` with namespaces of its own, the root read-only), where
//! [`inside()`] starts each subject once a round, in an order drawn anew each round. Every runtime is a copy on a writable
//! tmpfs and gets the same bundle: the probe's `true` in pid, network, mount, uts, ipc and cgroup namespaces, with limits
//! of memory, CPU and pids, and a seccomp profile. Before it is timed, a subject shows from inside that it isolates.

pub mod arms;
pub(crate) mod bundle;
mod floor;
mod guard;
mod inside;
mod table;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub use guard::measure;
pub(crate) use guard::{hierarchies, listen};
pub use inside::inside;
pub(crate) use inside::{HOME, KINDS, chance, installed, prepare};
pub(crate) use table::TARGETS;
pub use table::{Weather, table};

/// The first argument of this executable when it is called again in the guard.
pub const INSIDE: &str = "--inside-the-guard";

/// What is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// Floor L1: `vfork`, `execve` of the static probe, wait.
    Spawn,
    /// Floor L5: L1 with all namespaces, an overlay, `/proc`, `pivot_root`, membership in all control groups and seccomp.
    Floor,
    /// The bundled runtime's `run` as a call of a function, without the program around it.
    Library,
    /// `plimsoll oci run`.
    Bundled,
    /// `crun run`.
    Crun,
    /// `runc run`.
    Runc,
}

impl Subject {
    /// All, the cheapest first.
    pub const ALL: [Subject; 6] = [
        Subject::Spawn,
        Subject::Floor,
        Subject::Library,
        Subject::Bundled,
        Subject::Crun,
        Subject::Runc,
    ];

    /// Its name in tables, and between the guard and the bench.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Subject::Spawn => "L1",
            Subject::Floor => "L5",
            Subject::Library => "library",
            Subject::Bundled => "bundled",
            Subject::Crun => "crun",
            Subject::Runc => "runc",
        }
    }
}

/// How starts follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Regime {
    /// At once.
    BackToBack,
    /// 20 ms from the beginning of one to the beginning of the next, or more where one takes longer: the kernel's
    /// grace periods have ended, and the next waits for its own.
    Spaced,
}

impl Regime {
    /// Both.
    pub const ALL: [Regime; 2] = [Regime::BackToBack, Regime::Spaced];

    /// Its name in tables, and between the guard and the bench.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Regime::BackToBack => "back-to-back",
            Regime::Spaced => "20-ms-apart",
        }
    }
}

/// What was measured.
#[derive(Debug, Default)]
pub struct Measured {
    samples: Vec<(Regime, Subject, Duration)>,
    /// What was not measured, and why.
    pub skipped: Vec<String>,
}

impl Measured {
    /// The durations of a subject, one a round, in the order of the rounds.
    #[must_use]
    pub fn of(&self, regime: Regime, subject: Subject) -> Vec<Duration> {
        let wanted = |sample: &&(Regime, Subject, Duration)| sample.0 == regime && sample.1 == subject;
        self.samples.iter().filter(wanted).map(|sample| sample.2).collect()
    }
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no runtime to measure.
    #[error(
        "failed to find `{}`: build it with `cargo build --release -p plimsoll`, or name it in PLIMSOLL",
        path.display()
    )]
    Plimsoll {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Something was refused.
    #[error("failed to {act}")]
    Act {
        /// What was done to what.
        act: String,
        /// What the system said.
        source: io::Error,
    },
    /// A subject did not do what it is measured at.
    #[error("failed to start a container by {subject}: {complaint}")]
    Start {
        /// Its name.
        subject: &'static str,
        /// How it ended and what it said.
        complaint: String,
    },
    /// A floor cannot be measured.
    #[error("failed to measure floor {name}")]
    Floor {
        /// Its name.
        name: &'static str,
        /// Why.
        source: harness::floor::Error,
    },
    /// A container is not what it should be.
    #[error("refused to time {subject}: its container {complaint}")]
    Attest {
        /// Its name.
        subject: &'static str,
        /// What is missing.
        complaint: String,
    },
    /// The bundle's seccomp profile.
    #[error("failed to compile the seccomp profile")]
    Seccomp(#[from] runtime::seccomp::Error),
    /// The guard ended badly; it said why on standard error.
    #[error("failed to measure: the guard ended with {status}")]
    Guard {
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// The guard said something else than samples.
    #[error("failed to read `{line}` from the guard")]
    Line {
        /// What it said.
        line: String,
    },
}

pub(crate) fn act(act: impl fmt::Display) -> impl FnOnce(io::Error) -> Error {
    let act = act.to_string();
    move |source| Error::Act { act, source }
}

pub(crate) fn refused(what: impl fmt::Display) -> impl FnOnce(rustix::io::Errno) -> Error {
    let act = what.to_string();
    move |errno| Error::Act {
        act,
        source: errno.into(),
    }
}

/// A command that ended badly, with what it said on standard error.
pub(crate) fn failed(subject: &'static str, status: std::process::ExitStatus, said: &[u8]) -> Error {
    Error::Start {
        subject,
        complaint: format!("{status}: {}", String::from_utf8_lossy(said).trim()),
    }
}

/// Lets time pass: nothing is waited for but the deadline.
fn pass(time: Duration) {
    let Ok(time) = rustix::time::Timespec::try_from(time) else {
        return;
    };
    // An interruption ends the pause early, which its callers, loops on a deadline, can bear.
    let _interrupted = rustix::event::poll(&mut [], Some(&time));
}
