//! Texts that stand for something else: each check tells the fault as Go's parser would.

use base64::{DecodeError, Engine as _, engine::general_purpose::STANDARD};

/// Text for bytes.
pub(super) fn base64(text: &str) -> Option<String> {
    let clean: String = text.chars().filter(|one| !matches!(one, '\r' | '\n')).collect();
    let at = match STANDARD.decode(&clean) {
        Ok(_) => return None,
        Err(DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _)) => at,
        Err(DecodeError::InvalidLength(_) | DecodeError::InvalidPadding) => clean.len(),
    };
    Some(format!("illegal base64 data at input byte {at}"))
}

/// A time of RFC 3339; with six digits after the point if it is one of microseconds.
pub(super) fn time(text: &str, micro: bool) -> Option<String> {
    let layout = if micro {
        "2006-01-02T15:04:05.000000Z07:00"
    } else {
        "2006-01-02T15:04:05Z07:00"
    };
    let unlike = |rest: &str, part: &str| {
        Some(format!(
            "parsing time {text:?} as {layout:?}: cannot parse {rest:?} as {part:?}"
        ))
    };
    let mut rest = text;
    let mut numbers = [0_u32; 6];
    let parts = [
        ("2006", "-"),
        ("01", "-"),
        ("02", "T"),
        ("15", ":"),
        ("04", ":"),
        ("05", ""),
    ];
    for (number, (part, after)) in numbers.iter_mut().zip(parts) {
        let Some((digits, tail)) = rest.split_at_checked(part.len()) else {
            return unlike(rest, part);
        };
        if !digits.bytes().all(|one| one.is_ascii_digit()) {
            return unlike(rest, part);
        }
        *number = digits.parse().unwrap_or_default();
        let Some(tail) = tail.strip_prefix(after) else {
            return unlike(tail, after);
        };
        rest = tail;
    }
    let fraction = rest
        .strip_prefix('.')
        .map(|rest| rest.len() - rest.trim_start_matches(|one: char| one.is_ascii_digit()).len());
    match (fraction, micro) {
        (Some(6), true) => rest = &rest[7..],
        (_, true) => return unlike(rest, ".000000"),
        (Some(digits), false) if digits > 0 => rest = &rest[1 + digits..],
        _ => {}
    }
    let zone = rest.as_bytes();
    let extra = match zone {
        [b'Z', ..] => &rest[1..],
        [b'+' | b'-', a, b, b':', c, d, ..] if [a, b, c, d].iter().all(|one| one.is_ascii_digit()) => &rest[6..],
        _ => return unlike(rest, "Z07:00"),
    };
    let [year, month, day, hour, minute, second] = numbers;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let out = [
        ("month", !(1..=12).contains(&month)),
        ("day", !(1..=days).contains(&day)),
        ("hour", hour > 23),
        ("minute", minute > 59),
        ("second", second > 59),
    ];
    if let Some((part, _)) = out.iter().find(|(_, out)| *out) {
        return Some(format!("parsing time {text:?}: {part} out of range"));
    }
    (!extra.is_empty()).then(|| format!("parsing time {text:?}: extra text: {extra:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_rfc_3339() {
        for good in ["2024-02-29T00:00:00Z", "2024-01-01T23:59:59.5+01:00"] {
            assert_eq!(time(good, false), None, "{good}");
        }
        assert_eq!(time("2024-01-01T00:00:00.000001Z", true), None);
        assert!(
            time("2024-01-01T00:00:00Z", true).is_some_and(|told| told.ends_with(r#"cannot parse "Z" as ".000000""#))
        );
        assert!(time("2023-02-29T00:00:00Z", false).is_some_and(|told| told.ends_with("day out of range")));
        for bad in [
            "",
            "2024",
            "2024-01-01",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00:00Zx",
            "２０24-01-01T00:00:00Z",
        ] {
            assert!(time(bad, false).is_some(), "{bad}");
        }
    }

    #[test]
    fn bytes_are_base64() {
        assert_eq!(base64("aGFs\nbG8="), None);
        assert_eq!(base64("a!Fs").as_deref(), Some("illegal base64 data at input byte 1"));
    }
}
