//! Points in time as objects hold them (RFC 3339), and spans as kubectl shows them (`5m`, `2d3h`).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: i64 = 86_400;

/// A point in time as `metadata.creationTimestamp` holds it: whole seconds, UTC.
pub fn seconds(time: SystemTime) -> String {
    let (second, _) = since_epoch(time);
    let (year, month, day) = date(second.div_euclid(DAY));
    let (hour, minute, second) = clock(second.rem_euclid(DAY));
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// A point in time as `spec.renewTime` of a lease holds it: microseconds, UTC.
pub fn micros(time: SystemTime) -> String {
    let (_, nanos) = since_epoch(time);
    let whole = seconds(time);
    format!("{}.{:06}Z", whole.trim_end_matches('Z'), nanos / 1000)
}

/// Reads a point in time; `None` if it is none, or before 1970.
pub fn parse(text: &str) -> Option<SystemTime> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let sign = |at: usize, any: &[u8]| text.as_bytes().get(at).is_some_and(|byte| any.contains(byte));
    if !(sign(4, b"-") && sign(7, b"-") && sign(10, b"Tt ") && sign(13, b":") && sign(16, b":")) {
        return None;
    }
    let days = days(number(0, 4)?, number(5, 7)?, number(8, 10)?)?;
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let rest = text.get(19..)?;
    let (nanos, zone) = match rest.strip_prefix('.') {
        None => (0, rest),
        Some(rest) => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let fraction = format!("{:0<9.9}", rest.get(..digits)?);
            (fraction.parse::<u32>().ok()?, rest.get(digits..)?)
        }
    };
    let offset = match zone {
        "Z" | "z" => 0,
        _ => {
            let sign = match zone.as_bytes().first()? {
                b'+' => 1,
                b'-' => -1,
                _ => return None,
            };
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            sign * (hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60)
        }
    };
    let seconds = days * DAY + hour * 3600 + minute * 60 + second - offset;
    UNIX_EPOCH.checked_add(Duration::new(u64::try_from(seconds).ok()?, nanos))
}

/// A span as kubectl's AGE column shows it.
pub fn human(span: Duration) -> String {
    let seconds = span.as_secs();
    let two = |large: u64, unit: &str, small: u64, subunit: &str| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit}{small}{subunit}"),
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        () if hours < 3 => format!("{minutes}m"),
        () if hours < 8 => two(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if hours < 24 * 8 => two(days, "d", hours % 24, "h"),
        () if hours < 24 * 365 * 2 => format!("{days}d"),
        () if hours < 24 * 365 * 8 => two(days / 365, "y", days % 365, "d"),
        () => format!("{}y", days / 365),
    }
}

fn since_epoch(time: SystemTime) -> (i64, u32) {
    let span = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    (i64::try_from(span.as_secs()).unwrap_or(i64::MAX), span.subsec_nanos())
}

fn clock(second: i64) -> (i64, i64, i64) {
    (second / 3600, second / 60 % 60, second % 60)
}

/// The proleptic Gregorian date of a day counted from 1970-01-01; years begin in March within.
fn date(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let year_of_march = if month <= 2 { year - 1 } else { year };
    let era = year_of_march.div_euclid(400);
    let of_era = year_of_march.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    (date(days) == (year, month, day)).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_in_time_survives_its_text() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2024-02-29T23:59:59Z",
            "2026-11-21T14:09:00Z",
            "2100-03-01T00:00:00Z",
        ] {
            assert_eq!(parse(text).map(seconds).as_deref(), Some(text));
        }
        let precise = parse("2026-11-21T16:09:00.1234567+02:00").expect("a time");
        assert_eq!(micros(precise), "2026-11-21T14:09:00.123456Z");
        for text in ["", "2026-02-30T00:00:00Z", "2026-11-21", "2026-11-21T14:09:00", "now"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn spans_lose_detail_as_they_grow() {
        const HOUR: u64 = 3600;
        for (span, text) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (600, "10m"),
            (HOUR * 3 - 1, "179m"),
            (HOUR * 3, "3h"),
            (HOUR * 3 + 60, "3h1m"),
            (HOUR * 9, "9h"),
            (HOUR * 49, "2d1h"),
            (HOUR * 24 * 9, "9d"),
            (HOUR * 24 * 365 * 2 + HOUR * 24, "2y1d"),
        ] {
            assert_eq!(human(Duration::from_secs(span)), text);
        }
    }
}
