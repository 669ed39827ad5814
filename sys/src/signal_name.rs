//! Signals by name and number (`signal(7)`, numbers of x86_64 and aarch64).

/// The names in the order of their numbers, from 1 on.
pub const NAMES: [&str; 31] = [
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

/// The largest number, that of the last real-time signal.
pub const LAST: u32 = 64;

/// `SIGKILL` for 9; real-time signals have no name here.
pub fn of(number: u32) -> Option<&'static str> {
    NAMES.get(usize::try_from(number.checked_sub(1)?).ok()?).copied()
}

/// 9 for `SIGKILL`, `KILL` and `kill`, 29 for the other name of `SIGIO`; no numbers and no real-time signals.
pub fn number(name: &str) -> Option<u32> {
    let prefixed = name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("SIG"));
    let short = if prefixed { &name[3..] } else { name };
    let other = [("IOT", "ABRT"), ("CLD", "CHLD"), ("POLL", "IO")];
    let short = other
        .iter()
        .find(|(other, _)| short.eq_ignore_ascii_case(other))
        .map_or(short, |(_, known)| known);
    let index = NAMES.iter().position(|known| known[3..].eq_ignore_ascii_case(short))?;
    u32::try_from(index + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_those_of_the_c_library() {
        for (name, number_of) in [
            ("SIGHUP", libc::SIGHUP),
            ("SIGKILL", libc::SIGKILL),
            ("SIGSTKFLT", libc::SIGSTKFLT),
            ("SIGCHLD", libc::SIGCHLD),
            ("SIGXFSZ", libc::SIGXFSZ),
            ("SIGIO", libc::SIGIO),
            ("SIGSYS", libc::SIGSYS),
        ] {
            let known = u32::try_from(number_of).ok();
            assert_eq!(number(name), known, "{name}");
            assert_eq!(known.and_then(of), Some(name));
        }
        assert_eq!((of(0), of(32), of(u32::MAX)), (None, None, None));
    }

    #[test]
    fn a_name_is_known_with_and_without_its_prefix_in_either_case_and_by_its_other_name() {
        for (text, expected) in [
            ("TERM", Some(15)),
            ("sigterm", Some(15)),
            ("Term", Some(15)),
            ("POLL", Some(29)),
            ("SIGIOT", Some(6)),
            ("cld", Some(17)),
            ("SIG", None),
            ("", None),
            ("15", None),
            ("RTMIN", None),
            ("SIGSIGTERM", None),
            ("äöü", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }
}
