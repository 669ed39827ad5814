//! `delete`: what a stopped container leaves is removed.

use rustix::event::Timespec;

use super::Verb;
use crate::Global;
use crate::arguments::{Arguments, Flag, switch};
use crate::bring_up;
use crate::container::{Container, Status};
use crate::error::{Attempt, Error, Result};
use crate::{hooks, signal};

const FLAGS: [Flag; 1] = [switch(
    "force",
    Some('f'),
    "kill it first; one that is not there is fine",
)];

pub(super) const VERB: Verb = Verb {
    name: "delete",
    words: "ID",
    help: "remove what a stopped container leaves",
    flags: &FLAGS,
    stop_after: None,
    enters: false,
    run,
};

fn run(global: &Global, arguments: Arguments) -> Result<i32> {
    let force = arguments.on("force");
    let container = match Container::load(&global.root, &arguments.id()?) {
        Err(Error::Missing { .. }) if force => return Ok(0),
        other => other?,
    };
    let status = container.status();
    if status != Status::Stopped && !force {
        return Err(container.not("delete", "stopped"));
    }
    if let Some(pidfd) = container.pidfd() {
        let _ = sys::signal_fd::send(&pidfd, signal::KILL);
        if status == Status::Paused {
            container.saved.cgroup.thaw()?;
        }
        if !hooks::ends_within(&pidfd, &Timespec { tv_sec: 10, tv_nsec: 0 }) {
            let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
            return Err(late).attempt(|| format!("kill container `{}`", container.saved.id));
        }
    }
    let bundle = container.bundle().ok();
    bring_up::tear_down(global, &container, bundle.as_ref())?;
    Ok(0)
}
