//! Names and numbers of signals.

use crate::error::{Error, Result};

const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];

pub(crate) const TERM: i32 = 15;
pub(crate) const KILL: i32 = 9;

/// `SIGTERM`, `term` or `15`.
pub(crate) fn parse(text: &str) -> Result<i32> {
    let unknown = || Error::usage(format!("`{text}` is not a signal"));
    if let Ok(number) = text.parse::<i32>() {
        return if (1..=64).contains(&number) {
            Ok(number)
        } else {
            Err(unknown())
        };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(at) = NAMES.iter().position(|known| *known == name) {
        return Ok(at as i32 + 1);
    }
    let offset = |text: &str, sign: i32, base: i32| {
        let distance = if text.is_empty() {
            0
        } else {
            text.get(1..)?.parse::<i32>().ok()?
        };
        let number = base + sign * distance;
        (34..=64).contains(&number).then_some(number)
    };
    let real_time = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) if rest.is_empty() || rest.starts_with('+') => offset(rest, 1, 34),
        (_, Some(rest)) if rest.is_empty() || rest.starts_with('-') => offset(rest, -1, 64),
        _ => None,
    };
    match name {
        "POLL" => Ok(29),
        "IOT" => Ok(6),
        "CLD" => Ok(17),
        _ => real_time.ok_or_else(unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_signal_has_a_name_with_and_without_prefix_and_a_number() {
        for text in ["SIGTERM", "TERM", "term", "15"] {
            assert_eq!(parse(text).unwrap(), 15, "{text}");
        }
        assert_eq!(parse("SIGRTMIN+3").unwrap(), 37);
        assert_eq!(parse("RTMAX").unwrap(), 64);
        assert_eq!(parse("SYS").unwrap(), 31);
    }

    #[test]
    fn what_is_no_signal_is_refused() {
        for text in ["", "0", "65", "-1", "SIGFOO", "RTMIN-1", "SIG", "RTMAX+1"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
