//! Names of signals.

use alloc::{
    format,
    string::{String, ToString as _},
};

/// The names in the order of their numbers, from 1 on; the same on x86_64 and aarch64.
const NAMES: &[&str] = &[
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// The largest signal number.
pub(crate) const LAST: u32 = 64;

/// `SIGTERM` for 15; from 32 on `SIGRTMIN+N`, counted as the kernel counts.
pub(crate) fn name(signal: u32) -> String {
    match signal.checked_sub(1).and_then(|index| NAMES.get(index as usize)) {
        Some(name) => (*name).to_string(),
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
    NAMES
        .iter()
        .position(|name| name.strip_prefix("SIG") == Some(short))
        .map(|index| index as u32 + 1)
}
