//! How the probe was called, and where its lines go.

use alloc::{
    format,
    string::{String, ToString as _},
    vec::Vec,
};
use core::ffi::CStr;

use sys::freestanding::{
    descriptor,
    rustix::{
        fd::{AsFd, BorrowedFd},
        io::Errno,
    },
};

use crate::{errno, json::Json};

/// One call of one verb.
pub(crate) struct Call {
    /// The verb's name.
    pub(crate) verb: &'static str,
    /// What follows the verb.
    pub(crate) args: Vec<String>,
    /// The whole argument vector.
    pub(crate) argv: Vec<&'static CStr>,
    /// The environment.
    pub(crate) env: Vec<&'static CStr>,
    /// What the harness recognises the run's lines by.
    pub(crate) nonce: Option<String>,
}

/// Why a verb did not do what it was told.
pub(crate) struct Failure {
    act: String,
    cause: Option<Errno>,
    /// The exit code that tells it.
    pub(crate) code: u8,
}

impl Failure {
    /// `act`, as in "failed to `act`", could not be done.
    pub(crate) fn of(act: impl Into<String>) -> impl FnOnce(Errno) -> Failure {
        let act = act.into();
        move |cause| Failure {
            act: format!("failed to {act}"),
            cause: Some(cause),
            code: 1,
        }
    }

    /// The verb was called in a way that it does not understand.
    pub(crate) fn usage(complaint: impl Into<String>) -> Failure {
        Failure {
            act: complaint.into(),
            cause: None,
            code: 2,
        }
    }

    /// Tells it on standard error.
    pub(crate) fn tell(&self, verb: &str) {
        let text = match self.cause {
            Some(cause) => format!("probe: {verb}: {}: {}\n", self.act, errno::name(cause)),
            None => format!("probe: {verb}: {}\n", self.act),
        };
        if let Ok(stderr) = descriptor::inherited(2) {
            // When standard error is closed, the exit code must do.
            let _told = write_all(stderr, text.as_bytes());
        }
    }
}

impl Call {
    /// The value of the environment variable `name`.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        variable(&self.env, name)
    }

    /// The value of `--name=VALUE` among the arguments.
    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        self.args
            .iter()
            .find_map(|arg| arg.strip_prefix("--")?.strip_prefix(name)?.strip_prefix('='))
    }

    /// Whether `--name` or `--name=VALUE` is among the arguments.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.option(name).is_some() || self.args.iter().any(|arg| arg.strip_prefix("--") == Some(name))
    }

    /// The arguments that are no options.
    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        self.args
            .iter()
            .map(String::as_str)
            .filter(|arg| !arg.starts_with("--"))
    }

    /// The word at `index`, or a complaint that names it.
    pub(crate) fn word(&self, index: usize, what: &str) -> Result<&str, Failure> {
        self.words()
            .nth(index)
            .ok_or_else(|| Failure::usage(format!("{what} is missing")))
    }

    /// Complains about options that are not in `known`.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Failure> {
        for arg in &self.args {
            if let Some(option) = arg.strip_prefix("--") {
                let name = option.split('=').next().unwrap_or(option);
                if !known.contains(&name) {
                    return Err(Failure::usage(format!("unknown option `--{name}`")));
                }
            }
        }
        Ok(())
    }

    /// A number given as `--name=N`, or `default`.
    pub(crate) fn number(&self, name: &str, default: u64) -> Result<u64, Failure> {
        match self.option(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .map_err(|_| Failure::usage(format!("`--{name}={text}` is not a number"))),
        }
    }

    /// Writes one line, as one write, to standard output: the envelope and what `fields` adds.
    pub(crate) fn line(&self, fields: impl FnOnce(&mut Json)) -> Result<(), Failure> {
        let stdout = descriptor::inherited(1).map_err(Failure::of("write to standard output"))?;
        self.line_to(stdout, fields)
    }

    /// Writes one line to `fd`.
    pub(crate) fn line_to(&self, fd: BorrowedFd<'_>, fields: impl FnOnce(&mut Json)) -> Result<(), Failure> {
        let mut json = Json::default();
        json.object(|json| {
            json.key("plimsoll").plain(1);
            // Whoever has no environment to give has arguments.
            let nonce = self.option("nonce").or(self.nonce.as_deref());
            json.key("nonce").bytes_or_null(nonce.map(str::as_bytes));
            json.key("verb").string(self.verb);
            fields(json);
        });
        let mut text = json.as_str().to_string();
        text.push('\n');
        write_all(fd, text.as_bytes()).map_err(Failure::of("write a line"))
    }
}

/// The value of `name` in an environment.
pub(crate) fn variable(env: &[&CStr], name: &str) -> Option<String> {
    env.iter().find_map(|line| {
        let value = line.to_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(String::from_utf8_lossy(value).into_owned())
    })
}

/// Writes all of `bytes`, going on after interruptions and short writes.
pub(crate) fn write_all(fd: impl AsFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match sys::freestanding::rustix::io::write(&fd, bytes) {
            Ok(0) => return Err(Errno::IO),
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
