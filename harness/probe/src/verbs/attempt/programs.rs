//! Operations that run a program.

use alloc::{ffi::CString, string::String, vec::Vec};
use core::ffi::CStr;

use sys::freestanding::{
    Outcome, in_copy, process,
    rustix::{
        io::Errno,
        pipe::{PipeFlags, pipe_with},
        stdio::dup2_stdout,
    },
};

use super::{Act, Run, Words};
use crate::{
    call::{Call, Failure},
    file,
    json::Json,
};

/// A program that is to be run, and whether its output is wanted.
pub(super) struct Program {
    args: Vec<CString>,
    captured: bool,
}

/// Runs `verb` if it is one of these.
pub(super) fn run(verb: &str, words: &Words<'_>, run: Run<'_>) -> Result<bool, Failure> {
    let more: &[&str] = if verb == "suidexec" { &["ids"] } else { &[] };
    if !matches!(verb, "exec" | "execres" | "suidexec") {
        return Ok(false);
    }
    let args = words
        .0
        .iter()
        .chain(more)
        .map(|word| CString::new(*word).map_err(|_| Failure::usage("an argument holds a zero byte")))
        .collect::<Result<Vec<_>, _>>()?;
    run(Act::Program(&Program {
        args,
        captured: verb != "exec",
    }))?;
    Ok(true)
}

impl Program {
    /// Runs it. The outcome says whether it could be executed; the value is `{exit, signal, stdout, euid}`.
    pub(super) fn run(&self, call: &Call) -> Result<(Outcome, Option<String>), Errno> {
        let Some(path) = self.args.first() else {
            return Err(Errno::INVAL);
        };
        let args: Vec<&CStr> = self.args.iter().map(CString::as_c_str).collect();
        // The program may be the probe again, which shall not report.
        let env: Vec<&CStr> = call
            .env
            .iter()
            .copied()
            .filter(|line| !line.to_bytes().starts_with(b"PLIMSOLL_"))
            .collect();
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        let outcome = in_copy(|| {
            if self.captured {
                dup2_stdout(&writer)?;
            }
            Err(process::exec(path, &args, &env))
        })?;
        drop(writer);
        let output = file::read_all(&reader)?;
        let mut json = Json::default();
        json.object(|json| {
            json.key("exit").plain_or_null(match outcome {
                Outcome::Exited(code) => Some(code),
                _ => None,
            });
            json.key("signal").plain_or_null(match outcome {
                Outcome::Killed(signal) => Some(signal),
                _ => None,
            });
            if self.captured {
                json.key("stdout").bytes(&output);
                let text = String::from_utf8_lossy(&output);
                let euid = text.split_once("\"euid\":").and_then(|(_, rest)| {
                    rest.split(|letter: char| !letter.is_ascii_digit())
                        .next()?
                        .parse::<u32>()
                        .ok()
                });
                json.key("euid").plain_or_null(euid);
            }
        });
        let value = String::from(json.as_str());
        Ok(match outcome {
            // It was executed: how it ended is a value, not a refusal.
            Outcome::Exited(_) | Outcome::Killed(_) => (Outcome::Value(0), Some(value)),
            refused => (refused, None),
        })
    }
}
