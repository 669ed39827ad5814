//! `create`: everything is made, and the program waits for `start`.

use super::Verb;
use crate::Global;
use crate::arguments::{Arguments, Flag, switch, value};
use crate::bring_up::{Request, bring_up};
use crate::error::Result;

pub(super) const FLAGS: [Flag; 6] = [
    value(
        "bundle",
        Some('b'),
        "DIR",
        "the directory with config.json (default: here)",
    ),
    value(
        "console-socket",
        None,
        "PATH",
        "a unix socket that the master of the terminal is sent to",
    ),
    value(
        "pid-file",
        None,
        "FILE",
        "write the pid of the container's process there",
    ),
    switch("no-pivot", None, "move the root instead of pivot_root"),
    switch("no-new-keyring", None, "keep the session keyring of the caller"),
    value(
        "preserve-fds",
        None,
        "N",
        "pass so many descriptors from 3 on to the program",
    ),
];

pub(super) const VERB: Verb = Verb {
    name: "create",
    words: "ID",
    help: "create a container that waits for `start`",
    flags: &FLAGS,
    stop_after: None,
    enters: true,
    run,
};

pub(super) fn request(arguments: &Arguments) -> Result<Request> {
    Ok(Request {
        id: arguments.id()?,
        bundle: arguments.path("bundle").unwrap_or_else(|| ".".into()),
        pid_file: arguments.path("pid-file"),
        console_socket: arguments.path("console-socket"),
        preserve_fds: arguments.number("preserve-fds")?.unwrap_or(0),
        no_pivot: arguments.on("no-pivot"),
        no_new_keyring: arguments.on("no-new-keyring"),
        ..Request::default()
    })
}

fn run(global: &Global, arguments: Arguments) -> Result<i32> {
    bring_up(global, &request(&arguments)?)?;
    Ok(0)
}
