//! One call of the runtime, and the ways to hand it on.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::{Value, json};
use sys::signal_fd::SignalFd;

use crate::arguments::Line;
use crate::bundle::{self, Workplace};
use crate::catalogue::{Act, Fault};
use crate::edit;
use crate::error::{Error, Result};

/// What was called, and which fault the runtime is to have.
#[derive(Debug)]
pub(crate) struct Call {
    argv: Vec<OsString>,
    /// The same, understood.
    pub(crate) line: Line,
    fault: &'static Fault,
    log: Option<PathBuf>,
}

/// What `exec` is asked for: by options, or by a process in a file.
#[derive(Debug)]
pub(crate) struct Request {
    /// The command line.
    pub(crate) line: Line,
    /// The document behind `--process`.
    pub(crate) process: Option<Value>,
}

impl Call {
    /// A call that names a verb.
    pub(crate) fn new(argv: Vec<OsString>, line: Line, fault: &'static Fault, log: Option<PathBuf>) -> Self {
        Self { argv, line, fault, log }
    }

    /// Does it, with the fault.
    pub(crate) fn go(&self) -> Result<i32> {
        match (&self.fault.act, self.verb()) {
            (Act::Verb(apply), _) => {
                if let Some(code) = apply(self)? {
                    return Ok(code);
                }
            }
            (
                act @ (Act::Nothing | Act::Config(_) | Act::ConfigAt(..) | Act::Scale(..) | Act::Bundle(_)),
                "create" | "run",
            ) => return bundle::create(self, act),
            (Act::Exec(apply), "exec") => return self.exec(*apply),
            (Act::Update(apply), "update") => return self.update(*apply),
            _ => {}
        }
        self.plain()
    }

    /// The verb.
    pub(crate) fn verb(&self) -> &str {
        &self.line.verb
    }

    /// Hands the call on as it is. Where a bundle was edited, the answer names the one that the caller knows.
    pub(crate) fn plain(&self) -> Result<i32> {
        let place = Workplace::of(&self.line);
        match self.verb() {
            "state" | "list" if place.exists() => {
                let output = self.captured(&self.argv)?;
                self.answer(&output, &place.as_the_caller_knows_it(&output.stdout))
            }
            "delete" if place.exists() => {
                let code = self.relay(&self.argv)?;
                if code == 0 {
                    place.remove();
                }
                Ok(code)
            }
            _ => pass(&self.argv),
        }
    }

    /// Hands the call on as it is, and comes back.
    pub(crate) fn plain_child(&self) -> Result<i32> {
        let code = self.relay(&self.argv)?;
        if self.verb() == "delete" && code == 0 {
            Workplace::of(&self.line).remove();
        }
        Ok(code)
    }

    /// Keeps a text about this container for a later call.
    pub(crate) fn remember(&self, what: &str, text: &str) -> Result<()> {
        let path = Workplace::of(&self.line).beside(&self.note(what))?;
        fs::write(&path, text).map_err(Error::file("write", &path))
    }

    /// What an earlier call kept.
    pub(crate) fn remembered(&self, what: &str) -> Option<String> {
        let path = Workplace::of(&self.line).beside(&self.note(what)).ok()?;
        fs::read_to_string(path).ok()
    }

    fn note(&self, what: &str) -> String {
        let id = self.line.id().unwrap_or_default().replace('/', "-");
        format!("{what}-of-{id}")
    }

    /// Prints an answer of the saboteur's own.
    pub(crate) fn print(&self, text: &str) -> Result<()> {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .map_err(|source| Error::Print { source })
    }

    /// Runs the runtime with this process's streams and descriptors, and passes signals on to it.
    pub(crate) fn relay(&self, argv: &[OsString]) -> Result<i32> {
        self.relay_with(argv, |_| {})
    }

    /// As [`Call::relay`], with something changed about the command.
    pub(crate) fn relay_with(&self, argv: &[OsString], change: impl FnOnce(&mut Command)) -> Result<i32> {
        let (program, mut command) = command(argv);
        change(&mut command);
        let failed = |source| Error::Runtime {
            program: program.clone(),
            source,
        };
        // In this order: a child inherits what is blocked, and the container would, too.
        let mut child = command.spawn().map_err(failed)?;
        let signals = SignalFd::all().map_err(failed)?;
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).map_err(|e| failed(e.into()))?;
        loop {
            let mut fds = [PollFd::new(&pidfd, PollFlags::IN), PollFd::new(&signals, PollFlags::IN)];
            match poll(&mut fds, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(failed(e.into())),
            }
            let ended = fds[0].revents().contains(PollFlags::IN);
            while let Some(signal) = signals.next() {
                if signal != rustix::process::Signal::CHILD.as_raw() {
                    // Gone in the meantime is as good.
                    let _gone = sys::signal_fd::send(&pidfd, signal);
                }
            }
            if ended {
                break;
            }
        }
        let status = child.wait().map_err(failed)?;
        Ok(shell_code(status))
    }

    /// Runs the runtime and captures what it prints.
    pub(crate) fn captured(&self, argv: &[OsString]) -> Result<Output> {
        let (program, mut command) = command(argv);
        command
            .stdin(Stdio::inherit())
            .output()
            .map_err(|source| Error::Runtime { program, source })
    }

    /// Asks the runtime something of its own about this container.
    pub(crate) fn ask(&self, verb: &str, options: &[&str], words: &[&str]) -> Result<Output> {
        let mut argv = self.line.before.clone();
        argv.push(verb.into());
        argv.extend(options.iter().chain(words).map(OsString::from));
        let (program, mut command) = command(&argv);
        command
            .stdin(Stdio::null())
            .output()
            .map_err(|source| Error::Runtime { program, source })
    }

    /// What the runtime says of the container's state.
    pub(crate) fn state(&self) -> Option<Value> {
        let output = self.ask("state", &[], &[self.line.id()?]).ok()?;
        serde_json::from_slice(&output.stdout).ok()
    }

    /// The container's process, as the runtime tells it.
    pub(crate) fn pid(&self) -> Option<i32> {
        let pid = self.state()?.get("pid")?.as_i64()?;
        i32::try_from(pid).ok().filter(|pid| *pid > 1)
    }

    /// Prints what the runtime printed, or something else in its place, and answers with its exit code.
    pub(crate) fn answer(&self, output: &Output, stdout: &[u8]) -> Result<i32> {
        let print = |source| Error::Print { source };
        std::io::stderr().write_all(&output.stderr).map_err(print)?;
        let mut out = std::io::stdout().lock();
        out.write_all(stdout).and_then(|()| out.flush()).map_err(print)?;
        Ok(shell_code(output.status))
    }

    /// Writes down that the fault did something.
    pub(crate) fn changed(&self, what: &str) -> Result<()> {
        let Some(path) = &self.log else { return Ok(()) };
        let line = json!({"fault": self.fault.name, "verb": self.verb(), "what": what});
        let file = File::options().append(true).create(true).open(path);
        file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()))
            .map_err(Error::file("write", path))
    }

    fn exec(&self, apply: fn(&mut Request)) -> Result<i32> {
        let process = match self.line.value("process") {
            Some(path) => {
                let text = fs::read(path).map_err(Error::file("read", path))?;
                Some(serde_json::from_slice(&text).map_err(|source| Error::Parse {
                    path: path.into(),
                    source,
                })?)
            }
            None => None,
        };
        let mut request = Request {
            line: self.line.clone(),
            process: process.clone(),
        };
        apply(&mut request);
        if request.process == process {
            if request.line.argv() == self.line.argv() {
                return self.plain();
            }
            self.changed(&difference(&self.line.argv(), &request.line.argv()))?;
            return pass(&request.line.argv());
        }
        self.changed("the process in the file was edited")?;
        self.with_document(&mut request.line, "process", &request.process.unwrap_or_default())
    }

    fn update(&self, apply: fn(&mut Value)) -> Result<i32> {
        let mut line = self.line.clone();
        let asked = match self.line.value("resources") {
            Some(path) => {
                let read = if path == OsStr::new("-") {
                    std::io::read_to_string(std::io::stdin())
                } else {
                    fs::read_to_string(path)
                };
                let text = read.map_err(Error::file("read", path))?;
                serde_json::from_str(&text).map_err(|source| Error::Parse {
                    path: path.into(),
                    source,
                })?
            }
            None => resources_of_options(&mut line),
        };
        let mut edited: Value = asked;
        let before = edited.clone();
        apply(&mut edited);
        if edited != before {
            self.changed(&format!("{before} became {edited}"))?;
        }
        self.with_document(&mut line, "resources", &edited)
    }

    /// Runs the runtime with a document in a file of its own, which is gone afterwards.
    fn with_document(&self, line: &mut Line, option: &str, document: &Value) -> Result<i32> {
        let place = Workplace::of(&self.line);
        let path = place.beside(&format!("{option}-{}.json", std::process::id()))?;
        fs::write(&path, document.to_string()).map_err(Error::file("write", &path))?;
        line.put(option, &path);
        let code = self.relay(&line.argv());
        fs::remove_file(&path).map_err(Error::file("remove", &path))?;
        place.tidy();
        code
    }
}

/// Becomes the runtime.
pub(crate) fn pass(argv: &[OsString]) -> Result<i32> {
    let (program, mut command) = command(argv);
    Err(Error::Runtime {
        program,
        source: command.exec(),
    })
}

/// What the options of `update` mean as a document; those are taken away.
fn resources_of_options(line: &mut Line) -> Value {
    const OPTIONS: [(&str, &str, &str); 9] = [
        ("memory", "memory", "limit"),
        ("memory-reservation", "memory", "reservation"),
        ("memory-swap", "memory", "swap"),
        ("cpu-quota", "cpu", "quota"),
        ("cpu-period", "cpu", "period"),
        ("cpu-share", "cpu", "shares"),
        ("cpuset-cpus", "cpu", "cpus"),
        ("cpuset-mems", "cpu", "mems"),
        ("pids-limit", "pids", "limit"),
    ];
    let mut document = json!({});
    for (option, controller, key) in OPTIONS {
        let Some(text) = line.value(option).and_then(OsStr::to_str).map(str::to_owned) else {
            continue;
        };
        let value = if key == "cpus" || key == "mems" {
            Value::from(text)
        } else {
            let Ok(number) = text.parse::<i64>() else { continue };
            number.into()
        };
        if document.get(controller).is_none() {
            document[controller] = json!({});
        }
        edit::set(&mut document, &format!("/{controller}/{key}"), value);
        line.drop(option);
    }
    document
}

fn difference(before: &[OsString], after: &[OsString]) -> String {
    let text = |argv: &[OsString]| {
        let words: Vec<_> = argv.iter().map(|w| w.to_string_lossy()).collect();
        words.join(" ")
    };
    format!("`{}` became `{}`", text(before), text(after))
}

fn command(argv: &[OsString]) -> (String, Command) {
    let program = argv.first().cloned().unwrap_or_default();
    let mut command = Command::new(&program);
    command.args(argv.iter().skip(1));
    (program.to_string_lossy().into_owned(), command)
}

/// The exit status as a shell gives it: 128+n after signal n.
pub(crate) fn shell_code(status: std::process::ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
