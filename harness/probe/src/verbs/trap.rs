//! `trap`.

use alloc::{format, vec::Vec};

use sys::freestanding::signal::{self, Action, Set};

use crate::{
    call::{Call, Failure},
    signal_name,
};

/// Catches or ignores signals, and tells each one that it caught.
pub(super) fn trap(call: &Call) -> Result<u8, Failure> {
    call.only(&[])?;
    let mut caught = Set::default();
    let mut codes: Vec<(u32, u8)> = Vec::new();
    for item in call.words().flat_map(|word| word.split(',')) {
        let (name, what) = item
            .split_once('=')
            .map_or((item, None), |(name, what)| (name, Some(what)));
        let number = signal_name::number(name).ok_or_else(|| Failure::usage(format!("`{name}` is not a signal")))?;
        let set = |action| signal::set(number, action).map_err(Failure::of(format!("handle {name}")));
        match what {
            Some("ignore") => set(Action::Ignore)?,
            Some("default") => set(Action::Default)?,
            other => {
                if let Some(code) = other {
                    let code = code
                        .parse()
                        .map_err(|_| Failure::usage(format!("`{code}` is not an exit code")))?;
                    codes.push((number, code));
                }
                // The handler shows outside as caught; the block makes the signal wait until it is taken.
                set(Action::Interrupt)?;
                caught = caught.with(number);
            }
        }
    }
    let before = signal::blocked().map_err(Failure::of("read the signal mask"))?;
    signal::set_blocked(Set(before.0 | caught.0)).map_err(Failure::of("block signals"))?;
    call.line(|json| {
        json.key("trapping").array(|json| {
            (1..=signal_name::LAST)
                .filter(|number| caught.has(*number))
                .for_each(|number| {
                    json.string(&signal_name::name(number));
                });
        });
    })?;
    loop {
        if crate::init::is_first() {
            crate::init::reap();
        }
        // An interruption by another signal is no end.
        let Ok(Some(taken)) = signal::take(caught, None) else {
            continue;
        };
        call.line(|json| {
            json.key("signal").string(&signal_name::name(taken.signal));
            json.key("from").plain(taken.pid);
            json.key("uid").plain(taken.uid);
        })?;
        if let Some((_, code)) = codes.iter().find(|(number, _)| *number == taken.signal) {
            return Ok(*code);
        }
    }
}
