//! Signals as a spec writes them and a report shows them.

use sys::signal_name;

/// `9` is `SIGKILL`; a real-time signal is its number.
pub fn name(number: i32) -> String {
    let named = u32::try_from(number).ok().and_then(signal_name::of);
    named.map_or_else(|| number.to_string(), str::to_owned)
}

/// `SIGKILL`, `KILL` or `9` is 9.
pub fn number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse() {
        return (1..=64).contains(&number).then_some(number);
    }
    i32::try_from(signal_name::number(text)?).ok()
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
