//! The static binary that runs inside containers and tells what only the workload can know.
//!
//! `probe VERB ARGUMENTS`, or a link named after the verb. With `PLIMSOLL_NONCE` in the environment it first writes one
//! line of JSON about itself (`PLIMSOLL_REPORT=min` for a short one, `last` for one at the end, `off` for none; to `PLIMSOLL_REPORT_FD` or standard
//! output). `probe --help` lists the verbs, `probe --verbs` only their names; both come from the table in `verbs.rs`.
#![cfg_attr(not(feature = "hosted"), no_std, no_main)]

extern crate alloc;

mod call;
mod connection;
mod dns;
mod errno;
mod facts;
mod file;
mod init;
mod json;
mod quantity;
mod report;
mod resolver;
mod signal_name;
mod trial;
mod verbs;

use alloc::{string::String, vec::Vec};

use sys::freestanding::{descriptor, start::Program};

use crate::call::{Call, Failure};

sys::program!(run);

/// Finds the verb, reports, and does what the verb says.
fn run(program: Program) -> u8 {
    let text = |index: usize| {
        program
            .args
            .get(index)
            .map(|arg| String::from_utf8_lossy(arg.to_bytes()))
    };
    let own = text(0).unwrap_or_default();
    let own = own.rsplit('/').next().unwrap_or_default();
    let (verb, skip) = match verbs::find(own) {
        Some(verb) => (Some(verb), 1),
        None => (text(1).and_then(|name| verbs::find(&name)), 2),
    };
    let Some(verb) = verb else {
        return without_verb(text(1).as_deref());
    };
    let args: Vec<String> = program
        .args
        .iter()
        .skip(skip)
        .map(|arg| String::from_utf8_lossy(arg.to_bytes()).into_owned())
        .collect();
    let nonce = call::variable(&program.env, "PLIMSOLL_NONCE");
    let call = Call {
        verb: verb.name,
        args,
        argv: program.args,
        env: program.env,
        nonce,
    };
    let ended = report::first(&call, program.started)
        .and_then(|()| (verb.run)(&call))
        .and_then(|code| report::last(&call, program.started).map(|()| code));
    ended.unwrap_or_else(|failure| {
        failure.tell(call.verb);
        failure.code
    })
}

/// `--help`, `--verbs`, or a complaint.
fn without_verb(word: Option<&str>) -> u8 {
    let (number, text, code) = match word {
        Some("--help" | "-h") => (1, verbs::help(), 0),
        Some("--verbs") => (1, verbs::ALL.iter().flat_map(|verb| [verb.name, "\n"]).collect(), 0),
        Some(unknown) => {
            Failure::usage("unknown verb; `probe --help` lists them").tell(unknown);
            return 2;
        }
        None => (2, verbs::help(), 2),
    };
    let written = descriptor::inherited(number).and_then(|fd| call::write_all(fd, text.as_bytes()));
    if written.is_err() { 1 } else { code }
}
