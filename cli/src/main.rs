//! A declarative testing and benchmarking harness for container stacks.
//!
//! The thin binary: parse arguments, call one stage, map what it came to to an exit code. It is also the bundled OCI
//! runtime (`plimsoll oci VERB`, or called as `plimsoll-oci`) and the guard in which every case runs.

mod arguments;
mod command;
mod complaint;
mod error;
mod past;
mod progress;
mod report_file;
mod stored_run;
mod streams;

use std::{ffi::OsStr, path::Path, process::ExitCode};

use clap::Parser;

use crate::{arguments::Arguments, streams::Streams};

fn main() -> ExitCode {
    // The runtime starts containers: its way must not lead through the parser of everything else.
    let mut args = std::env::args_os();
    let program = args.next().unwrap_or_default();
    if Path::new(&program).file_name() == Some(OsStr::new("plimsoll-oci")) {
        return status(runtime::main(args));
    }
    let mut rest = args.peekable();
    match rest.peek().map(|word| word.as_os_str()) {
        Some(word) if word == "oci" => {
            rest.next();
            return status(runtime::main(rest));
        }
        // Nor must the runtime that disobeys, which is called as often.
        Some(word) if word == "saboteur" => {
            rest.next();
            return status(saboteur::main(rest));
        }
        Some(word) if word == "__guard" => return status(harness::guard::main()),
        Some(_) | None => {}
    }
    let mut streams = Streams::standard();
    match Arguments::try_parse() {
        Ok(arguments) => ExitCode::from(command::run(arguments, &mut streams)),
        Err(error) => {
            // Help goes to standard output, a complaint to standard error; neither can be told if it cannot be written.
            let _told = error.print();
            status(error.exit_code())
        }
    }
}

fn status(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code & 0xff).unwrap_or(1))
}
