//! The daemon that docker needs, with `containerd` as its child.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use harness::wait::{self, Waited};

use super::contender::{Contender, Places};
use crate::start_latency::{Error, act, failed};

/// It may take so long until it answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// `dockerd`, which ends with this.
#[derive(Debug)]
pub(super) struct Daemon(Child);

impl Daemon {
    /// Starts it with everything that it writes below the home of the comparison, and waits until it answers.
    pub(super) fn start(places: &Places) -> Result<Self, Error> {
        let home = |name: &str| places.home.join(name);
        let said = home("dockerd.log");
        let log = File::create(&said).map_err(act("make a log"))?;
        let copy = log.try_clone().map_err(act("share a log"))?;
        let words = places.daemon();
        let child = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(copy)
            .spawn()
            .map_err(act("call `dockerd`"))?;
        let mut daemon = Self(child);
        let mut ask = || {
            let words = places.call(Contender::Docker);
            let mut asked = Command::new(&words[0]);
            asked.args(&words[1..]).arg("version");
            asked.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            match daemon.0.try_wait() {
                Ok(None) if asked.status().is_ok_and(|status| status.success()) => Ok(None),
                Ok(None) => Err(()),
                Ok(Some(status)) => Ok(Some(status)),
                Err(_) => Err(()),
            }
        };
        let answered = wait::until(PATIENCE, Duration::from_millis(100), &mut ask);
        let complaint = || tail(&said);
        match answered {
            Waited::Done(None) => Ok(daemon),
            Waited::Done(Some(status)) => Err(failed("dockerd", status, complaint().as_bytes())),
            Waited::TimedOut { .. } => Err(Error::Start {
                subject: "dockerd",
                complaint: format!("does not answer within {PATIENCE:?}: {}", complaint()),
            }),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let Some(pid) = rustix::process::Pid::from_raw(self.0.id() as i32) else {
            return;
        };
        // It takes its containerd with it. The guard ends what does not.
        let _gone = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ended = self.0.wait();
    }
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let text = fs_err::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("; ")
}
