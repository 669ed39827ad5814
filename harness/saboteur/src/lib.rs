//! The saboteur: a runtime that disobeys, made of one that obeys.
//!
//! It stands where a runtime stands, on the command line, and hands every call on to a real one, but for the one fault
//! that it was told: it edits the request on its way in, or the answer on its way out. The bundle that the caller wrote
//! is never touched. A check that passes around such a runtime compares the request with itself, not with reality.
//!
//! A fault is one entry in a table below `faults`; nothing is registered twice.

mod arguments;
mod bundle;
mod call;
mod catalogue;
mod command_line;
mod edit;
mod error;
mod faults;

use std::ffi::OsString;

pub use catalogue::{Fault, Kind, catalogue, find, touches};

/// Runs `[--fault NAME] [--log FILE] -- RUNTIME ARGUMENTS…`, or prints the catalogue for `--list`. The exit status is the
/// runtime's where the fault does not say otherwise, and 2 if the saboteur's own arguments are wrong.
pub fn main(args: impl Iterator<Item = OsString>) -> i32 {
    match command_line::run(args) {
        Ok(code) => code,
        Err(error) => {
            use std::io::Write;
            let code = error.exit_code();
            let mut text = format!("plimsoll saboteur: {error}");
            let mut cause = std::error::Error::source(&error);
            while let Some(error) = cause {
                text.push_str(&format!(": {error}"));
                cause = error.source();
            }
            // There is nobody left to tell that it cannot be told.
            let _told = writeln!(std::io::stderr(), "{text}");
            code
        }
    }
}
