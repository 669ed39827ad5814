//! The saboteur's own arguments.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use serde_json::json;

use crate::arguments::Line;
use crate::call::Call;
use crate::catalogue::{Fault, Kind, catalogue, find, nearest};
use crate::error::{Error, Result};
use crate::faults::cost;

const HELP: &str = "\
Puts one fault into an OCI runtime: a command line around that of the runtime

Usage: plimsoll saboteur --fault NAME [--log FILE] -- RUNTIME ARGUMENTS…
       plimsoll saboteur --list [--format json]

Options:
      --fault NAME         which fault; `none` hands every call on as it is
      --log FILE           append one line of JSON for each time that the fault changed something
      --outside-the-guard  allow faults that could harm this machine where nothing holds them
      --list               print the faults
      --format FORMAT      of the list: `table` (default) or `json`
  -h, --help               print help

The faults of the mini-cluster are listed by plimsoll cluster faults.

As a subject: plimsoll run specs/ --subject 'oci:plimsoll saboteur --fault pid-namespace-dropped -- runc'
";

/// Verbs that change nothing, wherever they run.
const HARMLESS: [&str; 6] = ["state", "list", "ps", "events", "features", "spec"];

pub(crate) fn run(args: impl Iterator<Item = OsString>) -> Result<i32> {
    let mut args = args.peekable();
    let (mut fault, mut log, mut format) = (None, None, None);
    let (mut listing, mut unguarded) = (false, false);
    let argv: Vec<OsString> = loop {
        let Some(word) = args.next() else { break Vec::new() };
        let text = word.to_string_lossy().into_owned();
        let (name, given) = match text.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(OsString::from(value))),
            _ => (text.as_str(), None),
        };
        let mut value = || {
            given
                .clone()
                .or_else(|| args.next())
                .ok_or_else(|| usage(format!("option `{name}` needs a value")))
        };
        match name {
            "--fault" => fault = Some(value()?),
            "--log" => log = Some(PathBuf::from(value()?)),
            "--format" => format = Some(value()?),
            "--list" => listing = true,
            // By which it calls itself.
            cost::BESIDE => return cost::beside(&value()?.to_string_lossy()),
            "--outside-the-guard" => unguarded = true,
            "-h" | "--help" => return print(HELP),
            "--" => break args.collect(),
            other if other.starts_with('-') => return Err(usage(format!("unknown option `{other}`"))),
            _ => break std::iter::once(word).chain(args).collect(),
        }
    };
    if listing {
        return list(format.as_ref().map(|f| f.to_string_lossy()).as_deref());
    }
    let name = fault.ok_or_else(|| usage("--fault is missing; --list prints the faults".into()))?;
    let fault = named(&name.to_string_lossy())?;
    if argv.is_empty() {
        return Err(usage("no runtime is named: expected `-- RUNTIME ARGUMENTS…`".into()));
    }
    let Some(line) = Line::read(&argv) else {
        // `--version`, `--help` and what only the runtime knows.
        return crate::call::pass(&argv);
    };
    if fault.danger && !unguarded && !HARMLESS.contains(&line.verb.as_str()) && !guarded() {
        return Err(Error::Unguarded { fault: fault.name });
    }
    Call::new(argv, line, fault, log).go()
}

fn named(name: &str) -> Result<&'static Fault> {
    find(name).ok_or_else(|| {
        let hint = nearest(name).map_or_else(
            || "--list prints them all".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        usage(format!("unknown fault `{name}`: {hint}"))
    })
}

/// Whether PID 1 is that of a guard: then all that is here ends with it.
fn guarded() -> bool {
    let line = std::fs::read("/proc/1/cmdline").unwrap_or_default();
    line.split(|byte| *byte == 0).nth(1) == Some(b"__guard")
}

fn list(format: Option<&str>) -> Result<i32> {
    match format {
        Some("json") => {
            let faults: Vec<_> = catalogue()
                .iter()
                .map(|fault| {
                    let percent = match fault.kind {
                        Kind::Knockout => None,
                        Kind::NearMiss { percent } => Some(percent),
                    };
                    json!({
                        "name": fault.name,
                        "dimensions": fault.dimensions,
                        "what": fault.what,
                        "percent": percent,
                        "danger": fault.danger,
                    })
                })
                .collect();
            print(&format!("{:#}\n", json!(faults)))
        }
        None | Some("table") => {
            let width = catalogue().iter().map(|fault| fault.name.len()).max().unwrap_or(0);
            let lines = catalogue().iter().map(|fault| {
                let danger = if fault.danger { "!" } else { " " };
                format!("{danger} {:width$}  {}\n", fault.name, fault.what)
            });
            let mut text: String = lines.collect();
            text.push_str("\n! could harm the machine: only in a guard, as `plimsoll run` makes one\n");
            print(&text)
        }
        Some(other) => Err(usage(format!("--format: `{other}` is neither `table` nor `json`"))),
    }
}

fn print(text: &str) -> Result<i32> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(0),
        other => other.map(|()| 0).map_err(|source| Error::Print { source }),
    }
}

fn usage(problem: String) -> Error {
    Error::Usage { problem }
}
