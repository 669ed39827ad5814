//! A process beside the subject, in the host namespaces of the case: a canary, or a peer.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};

use super::container::Ended;
use crate::wait;

/// A running verb of the probe.
#[derive(Debug)]
pub struct HostProcess {
    /// Id in the guard's PID namespace.
    pub pid: i32,
    pidfd: OwnedFd,
    ended: Option<Ended>,
    /// What it wrote.
    pub stdout: PathBuf,
    /// What it complained.
    pub stderr: PathBuf,
}

impl HostProcess {
    /// Starts a verb of the probe that lies unpacked in `image`.
    ///
    /// # Errors
    /// A sentence.
    pub fn start(id: &str, args: &[String], image: &Path, home: &Path, nonce: &str) -> Result<Self, String> {
        let (verb, rest) = args.split_first().ok_or("a host process needs a verb")?;
        let (stdout, stderr) = (home.join(format!("{id}.stdout")), home.join(format!("{id}.stderr")));
        let make = |path: &Path| File::create(path).map_err(|e| format!("failed to make `{}`: {e}", path.display()));
        let child = Command::new(image.join("bin/probe"))
            .arg0(verb)
            .args(rest)
            .env_clear()
            .env("PATH", "/bin")
            .env("PLIMSOLL_NONCE", nonce)
            .stdin(Stdio::null())
            .stdout(make(&stdout)?)
            .stderr(make(&stderr)?)
            .spawn()
            .map_err(|e| format!("failed to start the host process `{id}`: {e}"))?;
        let pid = Pid::from_child(&child);
        let pidfd =
            pidfd_open(pid, PidfdFlags::empty()).map_err(|e| format!("failed to hold the host process `{id}`: {e}"))?;
        Ok(Self {
            pid: pid.as_raw_nonzero().get(),
            pidfd,
            ended: None,
            stdout,
            stderr,
        })
    }

    /// Whether it lives.
    pub fn alive(&mut self) -> bool {
        self.ended().is_none() && !wait::readable(&[self.pidfd.as_fd()], Some(Duration::ZERO))[0]
    }

    /// How it ended, once it has.
    pub fn ended(&mut self) -> Option<Ended> {
        if self.ended.is_none()
            && let Ok(Some(status)) = waitid(
                WaitId::PidFd(self.pidfd.as_fd()),
                WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
            )
        {
            self.ended = Some(Ended {
                code: status.exit_status(),
                signal: status.terminating_signal(),
            });
        }
        self.ended
    }

    /// Keeps how it ended, when somebody else waited for it.
    pub(super) fn set_ended(&mut self, ended: Ended) {
        self.ended.get_or_insert(ended);
    }

    /// The descriptor that stands for it.
    pub fn pidfd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}
