//! `run`: create and start in one, and wait for the end.

use sys::signal_fd::SignalFd;

use super::{Verb, create};
use crate::Global;
use crate::arguments::{Arguments, Flag, switch};
use crate::bring_up::{self, Request, Up};
use crate::error::{Attempt, Result};
use crate::foreground;

const FLAGS: [Flag; 9] = {
    let [a, b, c, d, e, f] = create::FLAGS;
    let detach = switch("detach", Some('d'), "do not wait for the end of the container");
    let keep = switch("keep", None, "keep the container when it has ended");
    let no_subreaper = switch(
        "no-subreaper",
        None,
        "accepted for compatibility: this runtime reaps its child only",
    );
    [a, b, c, d, e, f, detach, keep, no_subreaper]
};

pub(super) const VERB: Verb = Verb {
    name: "run",
    words: "ID",
    help: "create and start a container, and wait for its end",
    flags: &FLAGS,
    stop_after: None,
    enters: true,
    run,
};

fn run(global: &Global, arguments: Arguments) -> Result<i32> {
    let (detach, keep) = (arguments.on("detach"), arguments.on("keep"));
    let request = Request {
        start: true,
        detach,
        ..create::request(&arguments)?
    };
    // Before the first child: a signal that comes early is not lost.
    let signals = if detach {
        None
    } else {
        Some(SignalFd::all().attempt(|| "take signals".into())?)
    };
    let Up {
        container,
        pidfd,
        bundle,
        terminal,
    } = bring_up::bring_up(global, &request)?;
    if detach {
        container.settle();
    }
    bring_up::run_poststart(global, &container, &bundle);
    let Some(signals) = signals else { return Ok(0) };
    // Now that the container runs, nobody waits for this.
    drop(global.own_mount.take());
    let code = foreground::wait(&signals, &pidfd, terminal)?;
    if !keep {
        bring_up::tear_down(global, &container, Some(&bundle))?;
    }
    Ok(code)
}
