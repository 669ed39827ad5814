//! Sizes and durations as people write them.

use alloc::format;

use crate::call::Failure;

/// `64Mi`, `1G`, `512k`, `4096`: bytes, as Kubernetes writes quantities.
pub(crate) fn bytes(text: &str) -> Result<u64, Failure> {
    const SUFFIXES: &[(&str, u64)] = &[
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
        ("", 1),
    ];
    scaled(text, SUFFIXES).ok_or_else(|| Failure::usage(format!("`{text}` is not a size such as `64Mi`")))
}

/// `500ms`, `2s`, `1m`, `1h`, or a number of seconds: nanoseconds.
pub(crate) fn nanoseconds(text: &str) -> Result<u64, Failure> {
    const SUFFIXES: &[(&str, u64)] = &[
        ("ns", 1),
        ("us", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
        ("", 1_000_000_000),
    ];
    scaled(text, SUFFIXES).ok_or_else(|| Failure::usage(format!("`{text}` is not a duration such as `500ms`")))
}

/// A number with at most nine places behind the point, times what its suffix stands for.
fn scaled(text: &str, suffixes: &[(&str, u64)]) -> Option<u64> {
    let end = text
        .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (_, scale) = suffixes.iter().find(|(known, _)| *known == suffix)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut value = whole.parse::<u64>().ok()?.checked_mul(*scale)?;
    if fraction.len() > 9 {
        return None;
    }
    if !fraction.is_empty() {
        let places = 10_u128.pow(fraction.len() as u32);
        value = value.checked_add((u128::from(fraction.parse::<u64>().ok()?) * u128::from(*scale) / places) as u64)?;
    }
    Some(value)
}

/// `200%`: hundredths.
pub(crate) fn percent(text: &str) -> Result<u64, Failure> {
    text.strip_suffix('%')
        .unwrap_or(text)
        .parse()
        .map_err(|_| Failure::usage(format!("`{text}` is not a percentage such as `200%`")))
}
