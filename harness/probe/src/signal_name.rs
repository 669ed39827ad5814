//! Signals as arguments of verbs and in reports.

use alloc::{
    format,
    string::{String, ToString as _},
};

use sys::signal_name;

pub(crate) use sys::signal_name::LAST;

/// `SIGTERM` for 15; from 32 on `SIGRTMIN+N`, counted as the kernel counts.
pub(crate) fn name(signal: u32) -> String {
    match signal_name::of(signal) {
        Some(name) => name.to_string(),
        None if signal >= 32 => format!("SIGRTMIN+{}", signal - 32),
        None => format!("{signal}"),
    }
}

/// The number of `TERM`, `SIGTERM`, `15` or `RTMIN+2`.
pub(crate) fn number(text: &str) -> Option<u32> {
    let short = text.strip_prefix("SIG").unwrap_or(text);
    if let Some(above) = short.strip_prefix("RTMIN") {
        let above = if above.is_empty() {
            0
        } else {
            above.strip_prefix('+')?.parse().ok()?
        };
        return (above <= LAST - 32).then_some(32 + above);
    }
    if let Ok(number) = short.parse() {
        return (number <= LAST).then_some(number);
    }
    signal_name::number(short)
}
