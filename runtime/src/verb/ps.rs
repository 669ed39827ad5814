//! `ps`: the processes of a container.

use std::fmt::Write;

use super::{Verb, print};
use crate::Global;
use crate::arguments::{Arguments, Flag, value, word};
use crate::container::{Container, Status};
use crate::error::{Error, Result};

const FLAGS: [Flag; 1] = [value(
    "format",
    Some('f'),
    "FORMAT",
    "`table` (default) or `json`: the pids",
)];

pub(super) const VERB: Verb = Verb {
    name: "ps",
    words: "ID",
    help: "list the processes of a container",
    flags: &FLAGS,
    stop_after: None,
    enters: false,
    run,
};

fn run(global: &Global, arguments: Arguments) -> Result<i32> {
    let id = word(
        arguments
            .words
            .first()
            .ok_or_else(|| Error::usage("the container's name is missing"))?,
    )?;
    let container = Container::load(&global.root, &id)?;
    if container.status() == Status::Stopped && !container.saved.cgroup.is_populated()? {
        return Err(container.not("list the processes of", "created, running or paused"));
    }
    let mut pids = container.saved.cgroup.pids()?;
    if pids.is_empty() && container.status() != Status::Stopped {
        // Without a cgroup of its own only the first process is known.
        pids.push(container.saved.pid);
    }
    match arguments.text("format")?.unwrap_or("table") {
        "json" => print(&format!("{}\n", serde_json::Value::from(pids))),
        "table" => print(&table(&pids)),
        other => Err(Error::usage(format!(
            "--format: `{other}` is neither `table` nor `json`"
        ))),
    }
}

fn table(pids: &[i32]) -> String {
    let mut text = String::from("UID        PID        PPID       CMD\n");
    for pid in pids {
        let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) else {
            continue;
        };
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.split_whitespace().next()).unwrap_or("?")
        };
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let command = if command.is_empty() {
            format!("[{}]", field("Name:"))
        } else {
            command
        };
        let _ = writeln!(
            text,
            "{:<10} {pid:<10} {:<10} {}",
            field("Uid:"),
            field("PPid:"),
            command.trim_end()
        );
    }
    text
}
