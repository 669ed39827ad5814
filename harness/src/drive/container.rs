//! One container of the subject: what was asked for, and what the kernel shows of it.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use oci_runtime_client::Streams;
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};

use crate::guard::cgroup::Mounted;
use crate::wait;

/// How a process ended, by the kernel's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Exit status.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

/// A directory of a hierarchy that holds a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// 1 or 2.
    pub version: u8,
    /// Controllers that limit here.
    pub controllers: Vec<String>,
    /// The directory.
    pub directory: PathBuf,
}

/// A container.
#[derive(Debug)]
pub struct Container {
    /// Id on the runtime's command line.
    pub id: String,
    /// Bundle directory.
    pub bundle: PathBuf,
    /// What its process wrote.
    pub stdout: PathBuf,
    /// What its process complained.
    pub stderr: PathBuf,
    /// Its init, once there is one.
    pub init: Option<Init>,
    /// The part of `cgroupsPath` by which its group is recognised.
    pub cgroups_path: Option<String>,
}

/// The first process of a container.
#[derive(Debug)]
pub struct Init {
    /// Id in the guard's PID namespace.
    pub pid: i32,
    pidfd: OwnedFd,
    /// The executable before the payload began: the runtime's own.
    before: Option<(u64, u64)>,
    /// Groups at the time of `create`.
    pub groups: Vec<Group>,
    ended: Option<Ended>,
    ran_payload: bool,
}

impl Init {
    /// Takes hold of a process that a runtime named.
    ///
    /// # Errors
    /// A sentence, if there is no such process.
    pub fn hold(pid: i32, mounted: &[Mounted]) -> Result<Self, String> {
        let valid = Pid::from_raw(pid)
            .filter(|_| pid > 1)
            .ok_or_else(|| format!("the runtime named {pid} as the container's process"))?;
        let pidfd = pidfd_open(valid, PidfdFlags::empty())
            .map_err(|e| format!("the runtime named {pid} as the container's process, and there is none: {e}"))?;
        Ok(Self {
            pid,
            pidfd,
            before: executable(pid),
            groups: groups(pid, mounted),
            ended: None,
            ran_payload: false,
        })
    }

    /// Whether it lives. A zombie does not.
    pub fn alive(&mut self) -> bool {
        self.reap();
        self.ended.is_none() && !wait::readable(&[self.pidfd.as_fd()], Some(Duration::ZERO))[0]
    }

    /// How it ended, once it has, if it was a child of the harness.
    pub fn ended(&mut self) -> Option<Ended> {
        self.reap();
        self.ended
    }

    /// Keeps how it ended, when somebody else waited for it.
    pub(super) fn set_ended(&mut self, ended: Ended) {
        self.ended.get_or_insert(ended);
    }

    /// Whether the payload runs, or ran when it was last looked at: the executable is no longer the runtime's.
    pub fn payload(&mut self) -> bool {
        if let (Some(before), Some(now)) = (self.before, executable(self.pid)) {
            self.ran_payload |= before != now;
        }
        self.ran_payload
    }

    /// The descriptor that stands for it.
    pub fn pidfd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    fn reap(&mut self) {
        if self.ended.is_some() {
            return;
        }
        // An error means that it is somebody else's child; then only its end can be seen, not how.
        if let Ok(Some(status)) = waitid(
            WaitId::PidFd(self.pidfd.as_fd()),
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
        ) {
            self.ended = Some(Ended {
                code: status.exit_status(),
                signal: status.terminating_signal(),
            });
        }
    }
}

fn executable(pid: i32) -> Option<(u64, u64)> {
    let data = std::fs::metadata(format!("/proc/{pid}/exe")).ok()?;
    Some((data.dev(), data.ino()))
}

/// The groups of a process, as directories of the guard's hierarchies (`/proc/PID/cgroup`, `cgroups(7)`).
pub fn groups(pid: i32, mounted: &[Mounted]) -> Vec<Group> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let mut groups = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(names), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let here = mounted.iter().find(|m| {
            if names.is_empty() {
                m.version == 2
            } else {
                m.version == 1 && m.controllers == names.split(',').collect::<Vec<_>>()
            }
        });
        if let Some(hierarchy) = here {
            groups.push(Group {
                version: hierarchy.version,
                controllers: hierarchy.controllers.clone(),
                directory: hierarchy.mount.join(path.trim_start_matches('/')),
            });
        }
    }
    groups
}

impl Container {
    /// The files for the standard streams of `create`.
    ///
    /// # Errors
    /// A sentence, if they cannot be made.
    pub fn streams(&self) -> Result<Streams, String> {
        let open = |path: &Path| {
            File::options()
                .append(true)
                .create(true)
                .open(path)
                .map_err(|e| format!("failed to make `{}`: {e}", path.display()))
        };
        let null = File::open("/dev/null").map_err(|e| format!("failed to open `/dev/null`: {e}"))?;
        Ok(Streams {
            stdin: Some(null),
            stdout: Some(open(&self.stdout)?),
            stderr: Some(open(&self.stderr)?),
        })
    }
}
