//! Signals as they are asked for on the command line.

use sys::signal_name;

use crate::error::{Error, Result};

pub(crate) const TERM: i32 = 15;
pub(crate) const KILL: i32 = 9;

/// `SIGTERM`, `term` or `15`; `0` only asks whether the process is there (kill(2)).
pub(crate) fn parse(text: &str) -> Result<i32> {
    let unknown = || Error::usage(format!("`{text}` is not a signal"));
    if let Ok(number) = text.parse::<i32>() {
        return if (0..=64).contains(&number) {
            Ok(number)
        } else {
            Err(unknown())
        };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(number) = signal_name::number(text).and_then(|number| i32::try_from(number).ok()) {
        return Ok(number);
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
    real_time.ok_or_else(unknown)
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
        assert_eq!(parse("0").unwrap(), 0);
    }

    #[test]
    fn what_is_no_signal_is_refused() {
        for text in ["", "65", "-1", "SIGFOO", "RTMIN-1", "SIG", "RTMAX+1"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
