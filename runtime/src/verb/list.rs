//! `list`: the containers that are written down.

use std::fmt::Write;

use super::{Verb, print};
use crate::Global;
use crate::arguments::{Arguments, Flag, switch, value};
use crate::container::{Container, Status};
use crate::error::{Error, Result};
use crate::log::rfc3339;

const FLAGS: [Flag; 2] = [
    value("format", Some('f'), "FORMAT", "`table` (default) or `json`"),
    switch("quiet", Some('q'), "names only"),
];

pub(super) const VERB: Verb = Verb {
    name: "list",
    words: "",
    help: "list containers",
    flags: &FLAGS,
    stop_after: None,
    enters: false,
    run,
};

fn run(global: &Global, arguments: Arguments) -> Result<i32> {
    if let Some(extra) = arguments.words.first() {
        return Err(Error::usage(format!("unexpected argument `{}`", extra.display())));
    }
    let all = Container::all(&global.root)?;
    if arguments.on("quiet") {
        return print(&all.iter().map(|c| format!("{}\n", c.saved.id)).collect::<String>());
    }
    match arguments.text("format")?.unwrap_or("table") {
        "table" => print(&table(&all)),
        "json" => {
            let entry = |container: &Container| {
                let status = container.status();
                let mut entry = container.saved.state(status);
                entry["rootfs"] = container.saved.rootfs.display().to_string().into();
                entry["created"] = rfc3339(container.saved.created).into();
                entry["owner"] = container.saved.owner.to_string().into();
                entry
            };
            print(&format!(
                "{}\n",
                serde_json::Value::from(all.iter().map(entry).collect::<Vec<_>>())
            ))
        }
        other => Err(Error::usage(format!(
            "--format: `{other}` is neither `table` nor `json`"
        ))),
    }
}

fn table(all: &[Container]) -> String {
    let width = all.iter().map(|c| c.saved.id.len()).max().unwrap_or(0).max(10);
    let mut text = format!(
        "{:<width$}  {:<8}  {:<9}  {:<20}  BUNDLE\n",
        "ID", "PID", "STATUS", "CREATED"
    );
    for container in all {
        let (saved, status) = (&container.saved, container.status());
        let pid = if status == Status::Stopped { 0 } else { saved.pid };
        let created = rfc3339(saved.created);
        let bundle = saved.bundle.display();
        let _ = writeln!(
            text,
            "{:<width$}  {pid:<8}  {:<9}  {created:<20}  {bundle}",
            saved.id,
            status.word()
        );
    }
    text
}
