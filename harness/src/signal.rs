//! Signals by name and number (`signal(7)`, x86 and ARM numbering).

const NAMES: [&str; 31] = [
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

/// `9` is `SIGKILL`; a real-time signal is its number.
pub fn name(number: i32) -> String {
    let named = usize::try_from(number - 1).ok().and_then(|n| NAMES.get(n));
    named.map_or_else(|| number.to_string(), |n| (*n).to_owned())
}

/// `SIGKILL`, `KILL` or `9` is 9.
pub fn number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse() {
        return (1..=64).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let index = NAMES.iter().position(|n| *n == upper || n[3..] == upper)?;
    i32::try_from(index + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_agree() {
        assert_eq!(
            (name(9).as_str(), number("KILL"), number("sigterm"), number("10")),
            ("SIGKILL", Some(9), Some(15), Some(10))
        );
        assert_eq!((name(34).as_str(), number("SIGNOPE"), number("0")), ("34", None, None));
    }
}
