//! The duties of PID 1, and waiting.

use sys::freestanding::{
    clock, process,
    rustix::process::getpid,
    signal::{self, Action, Disposition, Set},
};

use crate::signal_name;

/// Signals that end an ordinary process, but not PID 1 unless it handles them.
const ENDING: &[&str] = &["HUP", "INT", "QUIT", "USR1", "USR2", "ALRM", "TERM"];

/// Whether this is the first process of its PID namespace.
pub(crate) fn is_first() -> bool {
    getpid().is_init()
}

/// Makes PID 1 end by the signals that end any other process, with 128 plus their number, and notice orphans' ends.
pub(crate) fn begin() {
    if !is_first() {
        return;
    }
    for number in ENDING.iter().filter_map(|name| signal_name::number(name)) {
        if signal::disposition(number) == Ok(Disposition::Default) {
            // A filter that forbids this is told by the report's `signals`.
            let _set = signal::set(number, Action::Exit);
        }
    }
    if let Some(child) = signal_name::number("CHLD") {
        let _set = signal::set(child, Action::Interrupt);
    }
}

/// Takes the exit codes of all children that ended, and tells how many they were.
pub(crate) fn reap() -> u64 {
    let mut count = 0;
    while let Ok(Some(_)) = process::reap() {
        count += 1;
    }
    count
}

/// Waits until `deadline` on the monotonic clock, or for ever, and as PID 1 takes orphans' exit codes meanwhile.
pub(crate) fn idle(deadline: Option<u64>) {
    let child = signal_name::number("CHLD").unwrap_or(17);
    let open = signal::blocked().unwrap_or_default();
    // Blocked until `sleep_with` opens the mask, so that no end slips in between looking and sleeping.
    let _old = signal::set_blocked(open.with(child));
    loop {
        if is_first() {
            reap();
        }
        let left = match deadline {
            None => None,
            Some(deadline) => match deadline.saturating_sub(clock::monotonic()) {
                0 => break,
                left => Some(left),
            },
        };
        signal::sleep_with(Set(open.0 & !Set::default().with(child).0), left);
    }
    let _old = signal::set_blocked(open);
}

/// Waits for `nanoseconds`.
pub(crate) fn idle_for(nanoseconds: u64) {
    idle(Some(clock::monotonic().saturating_add(nanoseconds)));
}
