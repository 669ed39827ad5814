//! Seccomp profiles (`linux.seccomp`) as programs for the kernel.
//!
//! The meaning of a profile: the first entry of `syscalls` that names the call and whose conditions all hold decides,
//! else the default action. An entry whose action is the default is no entry, and a name that this architecture does
//! not have is no name, as for every other runtime.
//! See seccomp(2) and the OCI runtime specification, *Seccomp*.

mod architecture;
mod assemble;
mod cache;
mod rules;

use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompFilterFlag};

pub use cache::cached;

/// A filter, ready to be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    flags: u32,
    filter: Vec<u64>,
}

impl Program {
    /// The flags of seccomp(2).
    #[must_use]
    pub fn flags(&self) -> u32 {
        self.flags
    }

    /// The instructions, each a `struct sock_filter` as it lies in memory.
    #[must_use]
    pub fn filter(&self) -> &[u64] {
        &self.filter
    }

    /// The instructions in parts.
    pub fn instructions(&self) -> impl Iterator<Item = sys::seccomp::Filter> {
        self.filter.iter().map(|&word| assemble::unpacked(word))
    }
}

/// Why a profile cannot be honoured.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A listener was asked for.
    #[error("{field}: notifying a listener is not supported")]
    Notify {
        /// The path in `config.json`.
        field: String,
    },
    /// A flag that only means something with a listener.
    #[error("linux.seccomp.flags[{index}]: waiting for a listener is not supported")]
    Flag {
        /// Its place in the list.
        index: usize,
    },
    /// An error number for an action that returns none, or one that is not an error number.
    #[error("{field}: {value} cannot be returned by this action")]
    ErrnoRet {
        /// The path in `config.json`.
        field: String,
        /// What was asked.
        value: u32,
    },
    /// A system call has six arguments.
    #[error("{field}: {index} is not below 6")]
    ArgumentIndex {
        /// The path in `config.json`.
        field: String,
        /// What was asked.
        index: usize,
    },
    /// An entry that is about no system call.
    #[error("{field}: names no system call")]
    NoNames {
        /// The path in `config.json`.
        field: String,
    },
    /// More conditions in one entry than a program can jump over.
    #[error("{field}: {count} conditions are too many for one entry")]
    TooManyConditions {
        /// The path in `config.json`.
        field: String,
        /// How many there are.
        count: usize,
    },
    /// More instructions than the kernel takes.
    #[error("linux.seccomp.syscalls: the profile takes {instructions} instructions, and the kernel takes at most 4096")]
    TooLong {
        /// How many there would be.
        instructions: usize,
    },
}

/// Compiles `profile` for the architecture of this program.
///
/// # Errors
/// [`Error`] names the field that cannot be honoured.
pub fn compile(profile: &LinuxSeccomp) -> Result<Program, Error> {
    let mut flags = 0;
    for (index, flag) in profile.flags().iter().flatten().enumerate() {
        flags |= match flag {
            LinuxSeccompFilterFlag::SeccompFilterFlagTsync => sys::seccomp::TSYNC,
            LinuxSeccompFilterFlag::SeccompFilterFlagLog => sys::seccomp::LOG,
            LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => sys::seccomp::SPEC_ALLOW,
            LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv => return Err(Error::Flag { index }),
        };
    }
    if profile.listener_path().is_some() {
        return Err(Error::Notify {
            field: "linux.seccomp.listenerPath".into(),
        });
    }
    if profile
        .listener_metadata()
        .as_ref()
        .is_some_and(|metadata| !metadata.is_empty())
    {
        return Err(Error::Notify {
            field: "linux.seccomp.listenerMetadata".into(),
        });
    }
    let filter = assemble::filter(&rules::Rules::new(profile)?)?;
    Ok(Program { flags, filter })
}

#[cfg(test)]
mod tests;
