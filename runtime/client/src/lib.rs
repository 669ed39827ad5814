//! Drives any OCI runtime executable (the bundled one, runc, crun, youki …) through its command line.
//!
//! Nothing here believes the runtime: an [`Outcome`] says what the command did and what it printed, and whether that is
//! true is for the caller to look up in the kernel. Every command has a deadline, and what it prints is bounded.

mod command;

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

pub use command::{Error, Outcome, Streams, Watched, run, run_watching};

/// A runtime on its command line, with a state directory of its own.
#[derive(Debug, Clone)]
pub struct Client {
    argv: Vec<OsString>,
    root: PathBuf,
    log: PathBuf,
    deadline: Duration,
}

/// How `exec` runs a process.
#[derive(Debug, Clone, Default)]
pub struct Exec<'a> {
    /// Argument vector.
    pub args: &'a [String],
    /// `KEY=VALUE`, beside the container's environment.
    pub env: Vec<String>,
    /// Working directory.
    pub cwd: Option<&'a str>,
    /// `UID[:GID]`.
    pub user: Option<&'a str>,
    /// Return as soon as the process runs; its pid goes into this file.
    pub detach: Option<&'a Path>,
}

impl Client {
    /// A runtime behind an argument vector; `root` is its state directory, `log` the file for its log, and `deadline`
    /// bounds each command.
    pub fn new(argv: &[String], root: &Path, log: &Path, deadline: Duration) -> Self {
        Self {
            argv: argv.iter().map(OsString::from).collect(),
            root: root.to_path_buf(),
            log: log.to_path_buf(),
            deadline,
        }
    }

    /// The first line of `--version`.
    ///
    /// # Errors
    /// [`Error`] if it cannot be run at all.
    pub fn version(&self) -> Result<String, Error> {
        let mut argv = self.argv.clone();
        argv.push("--version".into());
        let outcome = run(&argv, Streams::captured(), self.deadline)?;
        Ok(outcome.stdout.lines().next().unwrap_or_default().to_owned())
    }

    /// `create`: sets the container up to the wait for `start`. The container's own standard streams are the given
    /// ones, and the runtime's complaints go to the log.
    ///
    /// # Errors
    /// [`Error`] if the command cannot be run or watched; a refusal is an [`Outcome`].
    pub fn create(
        &self,
        id: &str,
        bundle: &Path,
        pid_file: &Path,
        more: &[String],
        streams: Streams,
    ) -> Result<Outcome, Error> {
        let mut argv = self.global(true);
        argv.push("create".into());
        argv.extend([
            OsString::from("--bundle"),
            bundle.into(),
            "--pid-file".into(),
            pid_file.into(),
        ]);
        argv.extend(more.iter().map(OsString::from));
        argv.push(id.into());
        run(&argv, streams, self.deadline)
    }

    /// `start`.
    ///
    /// # Errors
    /// As [`Client::create`].
    pub fn start(&self, id: &str) -> Result<Outcome, Error> {
        self.verb("start", &[], id)
    }

    /// `start`, and notes when descriptors become readable meanwhile.
    ///
    /// # Errors
    /// As [`Client::create`].
    pub fn start_watching(&self, id: &str, watched: &mut [Watched<'_>]) -> Result<Outcome, Error> {
        let mut argv = self.global(false);
        argv.extend([OsString::from("start"), id.into()]);
        run_watching(&argv, Streams::captured(), self.deadline, watched)
    }

    /// `state`, read as JSON; `None` if the runtime refuses or prints something else.
    ///
    /// # Errors
    /// As [`Client::create`].
    pub fn state(&self, id: &str) -> Result<(Outcome, Option<Value>), Error> {
        let outcome = self.verb("state", &[], id)?;
        let state = if outcome.code == Some(0) {
            serde_json::from_str(&outcome.stdout).ok()
        } else {
            None
        };
        Ok((outcome, state))
    }

    /// `kill`.
    ///
    /// # Errors
    /// As [`Client::create`].
    pub fn kill(&self, id: &str, signal: &str, all: bool) -> Result<Outcome, Error> {
        let mut argv = self.global(false);
        argv.push("kill".into());
        if all {
            argv.push("--all".into());
        }
        argv.extend([OsString::from(id), signal.into()]);
        run(&argv, Streams::captured(), self.deadline)
    }

    /// `delete`.
    ///
    /// # Errors
    /// As [`Client::create`].
    pub fn delete(&self, id: &str, force: bool) -> Result<Outcome, Error> {
        self.verb("delete", if force { &["--force"] } else { &[] }, id)
    }

    /// `exec`.
    ///
    /// # Errors
    /// As [`Client::create`].
    pub fn exec(&self, id: &str, exec: &Exec<'_>) -> Result<Outcome, Error> {
        let mut argv = self.global(false);
        argv.push("exec".into());
        for variable in &exec.env {
            argv.extend([OsString::from("--env"), variable.into()]);
        }
        if let Some(cwd) = exec.cwd {
            argv.extend([OsString::from("--cwd"), cwd.into()]);
        }
        if let Some(user) = exec.user {
            argv.extend([OsString::from("--user"), user.into()]);
        }
        if let Some(pid_file) = exec.detach {
            argv.extend([OsString::from("--detach"), "--pid-file".into(), pid_file.into()]);
        }
        argv.push(id.into());
        argv.extend(exec.args.iter().map(OsString::from));
        run(&argv, Streams::captured(), self.deadline)
    }

    /// `update --resources -`, with `linux.resources` on standard input.
    ///
    /// # Errors
    /// As [`Client::create`].
    pub fn update(&self, id: &str, resources: File) -> Result<Outcome, Error> {
        let mut argv = self.global(false);
        argv.extend([OsString::from("update"), "--resources".into(), "-".into(), id.into()]);
        run(
            &argv,
            Streams {
                stdin: Some(resources),
                ..Streams::captured()
            },
            self.deadline,
        )
    }

    /// `features`, which no container is needed for; `None` if the runtime has no such verb.
    ///
    /// # Errors
    /// As [`Client::create`].
    pub fn features(&self) -> Result<Option<Value>, Error> {
        let mut argv = self.argv.clone();
        argv.push("features".into());
        let outcome = run(&argv, Streams::captured(), self.deadline)?;
        Ok(if outcome.code == Some(0) {
            serde_json::from_str(&outcome.stdout).ok()
        } else {
            None
        })
    }

    /// Any verb with its arguments before the container id.
    ///
    /// # Errors
    /// As [`Client::create`].
    pub fn verb(&self, verb: &str, arguments: &[&str], id: &str) -> Result<Outcome, Error> {
        let mut argv = self.global(false);
        argv.push(verb.into());
        argv.extend(arguments.iter().map(OsString::from));
        argv.push(id.into());
        run(&argv, Streams::captured(), self.deadline)
    }

    /// A verb that takes no container id.
    ///
    /// # Errors
    /// As [`Client::create`].
    pub fn bare(&self, verb: &str, arguments: &[&str]) -> Result<Outcome, Error> {
        let mut argv = self.global(false);
        argv.push(verb.into());
        argv.extend(arguments.iter().map(OsString::from));
        run(&argv, Streams::captured(), self.deadline)
    }

    /// Where the runtime's complaints about `create` are.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// `create` hands its standard error on to the container, so only there do complaints need a file.
    fn global(&self, log: bool) -> Vec<OsString> {
        let mut argv = self.argv.clone();
        argv.extend([OsString::from("--root"), self.root.clone().into()]);
        if log {
            argv.extend([
                OsString::from("--log"),
                self.log.clone().into(),
                "--log-format".into(),
                "json".into(),
            ]);
        }
        argv
    }
}
