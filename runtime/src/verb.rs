//! The verbs, and how one of them is chosen.

mod create;
mod delete;
mod events;
mod exec;
mod features;
mod kill;
mod list;
mod pause;
mod ps;
mod run;
mod spec;
mod start;
mod state;
mod update;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use crate::arguments::{Arguments, Flag, switch, value};
use crate::error::{Attempt, Error, Result};
use crate::log::{Level, Log};
use crate::{Global, SPECIFICATION, VERSION};

/// One verb.
struct Verb {
    name: &'static str,
    /// What its words are.
    words: &'static str,
    help: &'static str,
    flags: &'static [Flag],
    /// Options end after so many words.
    stop_after: Option<usize>,
    /// Whether it starts processes in containers, which must not reach this program's file.
    enters: bool,
    run: fn(&Global, Arguments) -> Result<i32>,
}

const VERBS: [&Verb; 15] = [
    &create::VERB,
    &start::VERB,
    &state::VERB,
    &kill::VERB,
    &delete::VERB,
    &run::VERB,
    &exec::VERB,
    &list::VERB,
    &ps::VERB,
    &pause::PAUSE,
    &pause::RESUME,
    &update::VERB,
    &events::VERB,
    &features::VERB,
    &spec::VERB,
];

const GLOBAL: [Flag; 9] = [
    value("root", None, "DIR", "directory where containers are written down"),
    value("log", None, "FILE", "append messages to this file"),
    value("log-format", None, "FORMAT", "`text` (default) or `json`"),
    switch("debug", None, "tell more"),
    switch(
        "systemd-cgroup",
        None,
        "not supported: cgroups are made through the file system",
    ),
    value("rootless", None, "BOOL", "`true`, `false` or `auto` (default)"),
    value(
        "criu",
        None,
        "PATH",
        "accepted for compatibility, checkpoints are not supported",
    ),
    switch("help", Some('h'), "print help"),
    switch("version", Some('v'), "print the version"),
];

const HELP: Flag = switch("help", Some('h'), "print help");

/// Runs the verb that the arguments name.
pub(crate) fn dispatch(args: Vec<OsString>, log: &mut Log) -> Result<i32> {
    let (global, at) = Arguments::parse(&GLOBAL, &args, Some(1))?;
    if let Some(format) = global.text("log-format")? {
        log.set_format(format)?;
    }
    if let Some(path) = global.path("log") {
        log.set_file(&path)?;
    }
    log.debug = global.on("debug");
    if global.on("version") {
        return print(&format!("plimsoll-oci {VERSION}\nspec: {SPECIFICATION}\n"));
    }
    let Some(name) = global.words.first().and_then(|w| w.to_str()).filter(|w| *w != "help") else {
        if global.on("help") || !global.words.is_empty() {
            return print(&overview());
        }
        return Err(Error::usage("no verb given; `--help` lists them"));
    };
    let Some(verb) = VERBS.iter().find(|verb| verb.name == name) else {
        return Err(Error::usage(format!("unknown verb `{name}`; `--help` lists all")));
    };
    if global.on("help") {
        return print(&help(verb));
    }
    if global.on("systemd-cgroup") {
        return Err(Error::usage(
            "--systemd-cgroup is not supported: cgroups are made through the file system",
        ));
    }
    let mut flags = verb.flags.to_vec();
    flags.push(HELP);
    let rest = &args[at..];
    let (mut arguments, used) = Arguments::parse(&flags, rest, verb.stop_after)?;
    arguments.words.extend_from_slice(&rest[used..]);
    if arguments.on("help") {
        return print(&help(verb));
    }
    let mut own_mount = None;
    if verb.enters {
        own_mount =
            sys::read_only_exe::ensure().attempt(|| "execute this program from where it cannot be written".into())?;
    }
    let privileged = match global.text("rootless")?.unwrap_or("auto") {
        "true" | "1" => false,
        "false" | "0" => true,
        "auto" => rustix::process::geteuid().is_root() && every_id_is_here(),
        other => {
            return Err(Error::usage(format!(
                "--rootless: `{other}` is none of true, false and auto"
            )));
        }
    };
    let root = match global.path("root") {
        Some(root) => std::path::absolute(&root).attempt(|| crate::error::at("find", &root))?,
        None => default_root(privileged)?,
    };
    let global = Global {
        root,
        log: std::mem::take(log),
        privileged,
        own_mount: own_mount.into(),
    };
    global
        .log
        .write(Level::Debug, &format!("{name} with root `{}`", global.root.display()));
    let result = (verb.run)(&global, arguments);
    *log = global.log;
    result
}

fn default_root(privileged: bool) -> Result<PathBuf> {
    if privileged {
        return Ok("/run/plimsoll-oci".into());
    }
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(dir) => Ok(PathBuf::from(dir).join("plimsoll-oci")),
        None => Err(Error::usage(
            "neither --root nor XDG_RUNTIME_DIR says where containers are to be written down",
        )),
    }
}

/// Writes to standard output.
fn print(text: &str) -> Result<i32> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(0),
        other => other.attempt(|| "write to standard output".into()).map(|()| 0),
    }
}

fn print_json(value: &serde_json::Value) -> Result<i32> {
    print(&format!("{value:#}\n"))
}

fn overview() -> String {
    let mut text = format!(
        "plimsoll-oci {VERSION}: runs containers as the OCI runtime specification {SPECIFICATION} says\n\n\
         Usage: plimsoll-oci [OPTIONS] VERB [ARGUMENTS]\n\nVerbs:\n"
    );
    for verb in VERBS {
        text.push_str(&format!("  {:<10} {}\n", verb.name, verb.help));
    }
    text.push_str("\nOptions:\n");
    text.push_str(&options(&GLOBAL));
    text
}

fn help(verb: &Verb) -> String {
    let mut flags = verb.flags.to_vec();
    flags.push(HELP);
    format!(
        "{}\n\nUsage: plimsoll-oci {} [OPTIONS] {}\n\nOptions:\n{}",
        verb.help,
        verb.name,
        verb.words,
        options(&flags)
    )
}

fn options(flags: &[Flag]) -> String {
    let line = |flag: &Flag| {
        let short = flag.short.map_or("    ".into(), |letter| format!("-{letter}, "));
        let value = flag.value.map(|value| format!(" {value}")).unwrap_or_default();
        format!("  {short}{:<28} {}\n", format!("--{}{value}", flag.name), flag.help)
    };
    flags.iter().map(line).collect()
}

/// Whether this is the first user namespace, or one that maps as many ids: root of a smaller one may make no device nodes,
/// no version 1 cgroups and, without a second id, become nobody else.
fn every_id_is_here() -> bool {
    // A proc that is not mounted says nothing against it.
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let sizes = map
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2)?.parse::<u32>().ok());
    map.is_empty() || sizes.max() == Some(u32::MAX)
}
