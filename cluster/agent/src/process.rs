//! Processes that runtimes leave to this one: held by pidfd, waited for without polling.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid};
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

/// How a process ended: its exit code, 128 plus the signal that ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) signal: Option<i32>,
}

/// A process that was left to this one.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pidfd: Arc<OwnedFd>,
    ended: watch::Receiver<Option<Ended>>,
}

/// Orphans come to this process, so that their ends can be seen.
pub(crate) fn adopt_orphans() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Pid::from_raw(1))?)
}

/// When a process began, in clock ticks since boot: a number alone may be another process' by now.
pub(crate) fn begun(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}

impl Process {
    /// Takes hold of a process, and begins to wait for it.
    #[expect(
        deprecated,
        reason = "an OwnedFd has one number for as long as it lives, which is all that is asked for"
    )]
    pub(crate) fn hold(pid: i32) -> io::Result<Self> {
        let number = Pid::from_raw(pid)
            .filter(|_| pid > 1)
            .ok_or_else(|| io::Error::other(format!("{pid} is no process of a container")))?;
        let pidfd = Arc::new(pidfd_open(number, PidfdFlags::empty())?);
        let (tell, ended) = watch::channel(None);
        let waited = AsyncFd::new(pidfd.clone())?;
        tokio::spawn(async move {
            loop {
                let Ok(mut ready) = waited.readable().await else { return };
                let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
                let ended = match waitid(WaitId::PidFd(waited.get_ref().as_fd()), options) {
                    Ok(Some(status)) => {
                        let signal = status.terminating_signal();
                        let code = status.exit_status().unwrap_or_else(|| 128 + signal.unwrap_or(0));
                        Ended { code, signal }
                    }
                    Ok(None) | Err(rustix::io::Errno::INTR) => {
                        ready.clear_ready();
                        continue;
                    }
                    // Somebody else's child: that it ended is all that can be known.
                    Err(_) => Ended {
                        code: 255,
                        signal: None,
                    },
                };
                tell.send_replace(Some(ended));
                return;
            }
        });
        Ok(Self { pid, pidfd, ended })
    }

    /// Waits for its end.
    pub(crate) async fn wait(&self) -> Ended {
        let mut ended = self.ended.clone();
        let lost = Ended {
            code: 255,
            signal: None,
        };
        match ended.wait_for(Option::is_some).await {
            Ok(ended) => ended.unwrap_or(lost),
            Err(_) => lost,
        }
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&self) -> Option<Ended> {
        *self.ended.borrow()
    }

    /// Kills it. Gone already is as good.
    pub(crate) fn kill(&self) {
        let _gone = pidfd_send_signal(&*self.pidfd, Signal::KILL).is_err();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_a_child_is_told_with_its_code() {
        let argv: Vec<std::ffi::OsString> = vec!["/bin/sh".into(), "-c".into(), "sleep 5 & echo $!".into()];
        adopt_orphans().unwrap();
        let shell = oci_runtime_client::run(
            &argv,
            oci_runtime_client::Streams::captured(),
            std::time::Duration::from_secs(10),
        );
        let orphan: i32 = shell.unwrap().stdout.trim().parse().unwrap();
        assert!(begun(orphan).is_some());
        let process = Process::hold(orphan).unwrap();
        assert_eq!(process.ended(), None);
        process.kill();
        let ended = process.wait().await;
        assert_eq!(
            ended,
            Ended {
                code: 137,
                signal: Some(9)
            }
        );
    }
}
