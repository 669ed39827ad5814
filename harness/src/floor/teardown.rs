//! L9: how long it takes the kernel to take apart what a container was.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use super::{Depth, Error, Starter, act};
use crate::observe::netns_end::NetnsEnd;
use crate::wait;

/// How often it is looked.
const EVERY: Duration = Duration::from_micros(200);

/// After this it is not waited for any longer.
const WITHIN: Duration = Duration::from_secs(10);

/// From the end of a full container's process until its control groups are removed and its network namespace is gone.
pub(super) fn time(starter: &mut Starter) -> Result<Duration, Error> {
    let running = starter.start(Depth::FULL, &["sleep", "60"], None)?;
    let pid = running.started.pid.as_raw_nonzero().get();
    let watched = NetnsEnd::of(pid);
    let pidfd = running.started.pidfd.as_fd();
    pidfd_send_signal(pidfd, Signal::KILL).map_err(|errno| act("end a container")(errno.into()))?;
    wait::readable(&[pidfd], Some(WITHIN));
    let ended = Instant::now();
    waitid(WaitId::PidFd(pidfd), WaitIdOptions::EXITED).map_err(|errno| act("wait")(errno.into()))?;
    starter.groups().remove()?;
    let watched = watched.map_err(Error::Stays)?;
    let gone = || if watched.is_gone() { Ok(()) } else { Err(()) };
    if matches!(wait::until(WITHIN, EVERY, gone), wait::Waited::TimedOut { .. }) {
        return Err(Error::Stays(format!(
            "the network namespace is still there after {WITHIN:?}"
        )));
    }
    let took = ended.elapsed();
    running.clear()?;
    Ok(took)
}
