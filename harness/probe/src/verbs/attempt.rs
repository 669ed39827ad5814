//! `attempt` and `hold`: tries, and tells what the kernel said.

mod files;
mod inter_process;
mod network;
mod privileges;
mod programs;

use alloc::{
    borrow::ToOwned as _,
    ffi::CString,
    format,
    string::{String, ToString as _},
    vec::Vec,
};

use sys::freestanding::{
    Arg, Outcome, call_in_copy, in_copy,
    rustix::{
        io::{self, Errno},
        pipe::{PipeFlags, pipe_with},
    },
    syscall_names, syscall_number,
};

use crate::{
    call::{self, Call, Failure},
    errno, init,
    json::Json,
    quantity, signal_name,
};

/// The words of an operation behind its name.
struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    /// The word at `index`, or an empty one.
    fn get(&self, index: usize) -> &'a str {
        self.0.get(index).copied().unwrap_or("")
    }

    fn number<T: core::str::FromStr>(&self, index: usize) -> Option<T> {
        self.get(index).parse().ok()
    }

    /// A number that may be written in octal, hexadecimal or decimal.
    fn any_base(&self, index: usize) -> Option<i64> {
        any_base(self.get(index))
    }
}

fn any_base(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let value = if let Some(digits) = digits.strip_prefix("0x") {
        // Also pointers and masks with the highest bit.
        u64::from_str_radix(digits, 16).ok()? as i64
    } else if let Some(digits) = digits.strip_prefix("0o") {
        i64::from_str_radix(digits, 8).ok()?
    } else {
        digits.parse().ok()?
    };
    Some(value * sign)
}

/// How an operation is done.
enum Act<'a> {
    /// In a copy of this process, so that what it changes does not last and what kills it does not kill the probe. May
    /// write one value.
    Copy(&'a dyn Fn(&mut Json) -> Result<(), Errno>),
    /// By this process, because what it makes must stay.
    Here(&'a dyn Fn() -> Result<(), Errno>),
    /// By a copy that becomes another program.
    Program(&'a programs::Program),
    /// One system call.
    Call(u32, Vec<Arg<'a>>),
}

/// What became of one attempt.
struct Attempted {
    name: String,
    result: String,
    value: Option<String>,
}

/// Tries one thing after the other, each in a copy of the process.
pub(super) fn attempt(call: &Call) -> Result<u8, Failure> {
    call.only(&["then-sleep", "here"])?;
    let here = call.has("here");
    let mut all = Vec::new();
    for word in call.words() {
        let (name, operation) = word
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("`{word}` is not NAME=OPERATION")))?;
        all.push(one(call, name, operation, here)?);
    }
    if all.is_empty() {
        return Err(Failure::usage("NAME=OPERATION is missing"));
    }
    tell(call, &all)?;
    if call.has("then-sleep") {
        match call.option("then-sleep") {
            Some(time) => init::idle_for(quantity::nanoseconds(time)?),
            None => init::idle(None),
        }
    }
    Ok(0)
}

/// Makes things that last as long as a process does, tells, and sleeps.
pub(super) fn hold(call: &Call) -> Result<u8, Failure> {
    call.only(&[])?;
    let mut all = Vec::new();
    for word in call.words() {
        all.push(one(call, word, word, true)?);
    }
    tell(call, &all)?;
    init::idle(None);
    Ok(0)
}

fn tell(call: &Call, all: &[Attempted]) -> Result<(), Failure> {
    call.line(|json| {
        json.key("attempts").object(|json| {
            for one in all {
                json.key(&one.name).string(&one.result);
            }
        });
        json.key("values").object(|json| {
            for one in all {
                if let Some(value) = &one.value {
                    json.key(&one.name).plain(value);
                }
            }
        });
    })
}

/// Does one operation.
fn one(call: &Call, name: &str, operation: &str, here: bool) -> Result<Attempted, Failure> {
    let mut words = operation.split(':');
    let verb = words.next().unwrap_or("");
    let words = Words(words.collect());
    let unknown = || Failure::usage(format!("`{operation}` is no operation that the probe knows"));
    let mut outcome = None;
    let mut run = |act: Act<'_>| -> Result<(), Failure> {
        outcome = Some(done(call, act, here).map_err(Failure::of(format!("try `{operation}` in a copy")))?);
        Ok(())
    };
    let known = if verb == "syscall" {
        syscall(&words, operation, &mut run)?;
        true
    } else {
        files::run(verb, &words, &mut run)?
            || privileges::run(verb, &words, &mut run)?
            || network::run(verb, &words, &mut run)?
            || inter_process::run(verb, &words, &mut run)?
            || programs::run(verb, &words, &mut run)?
    };
    let (result, value) = outcome.filter(|_| known).ok_or_else(unknown)?;
    Ok(Attempted {
        name: name.to_owned(),
        result,
        value,
    })
}

/// What an operation's family is given to run its act with.
type Run<'r> = &'r mut dyn FnMut(Act<'_>) -> Result<(), Failure>;

/// `syscall:NAME_OR_NUMBER[:ARGUMENT…]`; an argument that starts with `@` is a string.
fn syscall(words: &Words<'_>, operation: &str, run: Run<'_>) -> Result<(), Failure> {
    let name = words.get(0);
    let number = syscall_number(name).or_else(|| name.parse().ok()).ok_or_else(|| {
        let count = syscall_names().count();
        Failure::usage(format!(
            "`{name}` in `{operation}` is neither a number nor one of {count} names of system calls"
        ))
    })?;
    let mut texts = Vec::new();
    for word in words.0.iter().skip(1) {
        texts.push(match word.strip_prefix('@') {
            Some(text) => Err(CString::new(text).map_err(|_| Failure::usage("a string holds a zero byte"))?),
            None => {
                Ok(any_base(word).ok_or_else(|| Failure::usage(format!("`{word}` is neither a number nor @TEXT")))?)
            }
        });
    }
    let args = texts
        .iter()
        .map(|text| match text {
            Ok(number) => Arg::Number(*number as usize),
            Err(text) => Arg::Text(text),
        })
        .collect();
    run(Act::Call(number, args))
}

/// The result's name, and the value as JSON.
fn done(call: &Call, act: Act<'_>, here: bool) -> Result<(String, Option<String>), Errno> {
    match act {
        Act::Here(work) => Ok((
            named(work().map(|()| Outcome::Value(0)).unwrap_or_else(Outcome::Failed)),
            None,
        )),
        Act::Copy(work) if here => {
            let mut json = Json::default();
            let outcome = work(&mut json)
                .map(|()| Outcome::Value(0))
                .unwrap_or_else(Outcome::Failed);
            let value = json.as_str();
            Ok((named(outcome), (!value.is_empty()).then(|| value.to_string())))
        }
        Act::Copy(work) => {
            let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
            let outcome = in_copy(|| {
                let mut json = Json::default();
                work(&mut json)?;
                // Longer values would wait for a reader who waits for the end.
                let value = json.as_str().as_bytes();
                if value.len() > 60_000 {
                    return Err(Errno::TOOBIG);
                }
                call::write_all(&writer, value)?;
                Ok(0)
            })?;
            drop(writer);
            let value = crate::file::read_all(&reader)?;
            let value = String::from_utf8_lossy(&value).into_owned();
            Ok((named(outcome), (!value.is_empty()).then_some(value)))
        }
        Act::Program(program) => {
            let (outcome, value) = program.run(call)?;
            Ok((named(outcome), value))
        }
        Act::Call(number, mut args) => {
            let outcome = call_in_copy(number, &mut args)?;
            let value = match outcome {
                Outcome::Value(value) => Some(format!("{}", value as i64)),
                _ => None,
            };
            Ok((named(outcome), value))
        }
    }
}

/// `ok`, `EPERM`, `killed:SIGSYS`, `exit:3`.
fn named(outcome: Outcome) -> String {
    match outcome {
        Outcome::Value(_) => "ok".to_string(),
        Outcome::Failed(errno) => errno::name(errno),
        Outcome::Killed(signal) => format!("killed:{}", signal_name::name(signal as u32)),
        Outcome::Exited(code) => format!("exit:{code}"),
    }
}

/// A descriptor's first bytes as text, up to `limit`.
fn first_bytes(fd: impl sys::freestanding::rustix::fd::AsFd, limit: usize) -> Result<Vec<u8>, Errno> {
    let mut buffer = alloc::vec![0; limit];
    let count = io::read(fd, &mut *buffer)?;
    buffer.truncate(count);
    Ok(buffer)
}
