//! `kill`: a signal for the container's process, or for all of them.

use rustix::process::Signal;

use super::Verb;
use crate::Global;
use crate::arguments::{Arguments, Flag, switch, word};
use crate::container::{Container, Status};
use crate::error::{Attempt, Error, Result};
use crate::signal;

const FLAGS: [Flag; 1] = [switch("all", Some('a'), "signal every process of the container")];

pub(super) const VERB: Verb = Verb {
    name: "kill",
    words: "ID [SIGNAL]",
    help: "send a signal (default TERM) to a container's process",
    flags: &FLAGS,
    stop_after: None,
    enters: false,
    run,
};

fn run(global: &Global, arguments: Arguments) -> Result<i32> {
    let (id, number) = match arguments.words.as_slice() {
        [] => return Err(Error::usage("the container's name is missing")),
        [id] => (word(id)?, signal::TERM),
        [id, name] => (word(id)?, signal::parse(&word(name)?)?),
        [_, _, extra, ..] => return Err(Error::usage(format!("unexpected argument `{}`", extra.display()))),
    };
    let container = Container::load(&global.root, &id)?;
    let all = arguments.on("all");
    let status = container.status();
    let Some(pidfd) = container.pidfd() else {
        // Without a pid namespace of its own the others may still be there.
        if all && container.saved.cgroup.is_populated()? {
            signal_all(&container, number)?;
            return Ok(0);
        }
        return Err(container.not("kill", "created, running or paused"));
    };
    if all {
        signal_all(&container, number)?;
    } else {
        sys::signal_fd::send(&pidfd, number).attempt(|| format!("send signal {number} to container `{id}`"))?;
    }
    if number == signal::KILL {
        if status == Status::Paused {
            // A frozen process of v1 dies when it is thawed.
            container.saved.cgroup.thaw()?;
        }
        let own = container
            .bundle()
            .is_ok_and(|bundle| Container::own_pid_namespace(&bundle.spec));
        if !own {
            container.saved.cgroup.kill_all(Signal::KILL)?;
        }
    }
    Ok(0)
}

fn signal_all(container: &Container, number: i32) -> Result<()> {
    if number == 0 {
        // That somebody is there is known by now.
        return Ok(());
    }
    match Signal::from_named_raw(number) {
        Some(signal) => Ok(container.saved.cgroup.kill_all(signal)?),
        None => Err(Error::usage(format!("--all cannot send signal {number}"))),
    }
}
