//! A number that may be a share: `2` or `25%`.

use serde_json::Value;

/// Which way a share of a few is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    Up,
    Down,
}

/// Whether it is a share.
pub(crate) fn is_share(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.ends_with('%'))
}

/// How many of `total` are meant; nothing if it cannot be read.
pub(crate) fn of(value: &Value, total: i64, round: Round) -> Option<i64> {
    if let Some(number) = value.as_i64() {
        return Some(number);
    }
    let percent: i64 = value.as_str()?.strip_suffix('%')?.parse().ok()?;
    let hundredfold = percent.checked_mul(total)?;
    Some(match round {
        Round::Up => hundredfold.div_euclid(100) + i64::from(hundredfold.rem_euclid(100) != 0),
        Round::Down => hundredfold.div_euclid(100),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn shares_are_rounded_and_numbers_are_not() {
        assert_eq!(of(&json!("25%"), 3, Round::Up), Some(1));
        assert_eq!(of(&json!("25%"), 3, Round::Down), Some(0));
        assert_eq!(of(&json!("50%"), 4, Round::Up), Some(2));
        assert_eq!(of(&json!(7), 3, Round::Down), Some(7));
        assert_eq!(of(&json!("7"), 3, Round::Down), None);
    }
}
