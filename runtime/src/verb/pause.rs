//! `pause` and `resume`: the processes of a container stop, and go on.

use super::Verb;
use crate::Global;
use crate::arguments::Arguments;
use crate::container::{Container, Status};
use crate::error::Result;

pub(super) const PAUSE: Verb = Verb {
    name: "pause",
    words: "ID",
    help: "freeze all processes of a container",
    flags: &[],
    stop_after: None,
    enters: false,
    run: pause,
};

pub(super) const RESUME: Verb = Verb {
    name: "resume",
    words: "ID",
    help: "let the processes of a paused container go on",
    flags: &[],
    stop_after: None,
    enters: false,
    run: resume,
};

fn pause(global: &Global, arguments: Arguments) -> Result<i32> {
    let container = Container::load(&global.root, &arguments.id()?)?;
    match container.status() {
        Status::Running | Status::Created => container.saved.cgroup.freeze()?,
        _ => return Err(container.not("pause", "created or running")),
    }
    Ok(0)
}

fn resume(global: &Global, arguments: Arguments) -> Result<i32> {
    let container = Container::load(&global.root, &arguments.id()?)?;
    let frozen = container.saved.cgroup.is_frozen().unwrap_or(false);
    if !frozen || container.status() == Status::Stopped {
        return Err(container.not("resume", "paused"));
    }
    container.saved.cgroup.thaw()?;
    Ok(0)
}
