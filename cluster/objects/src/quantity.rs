//! Amounts of resources: `100m`, `1.5Gi`, `2e3`.
//!
//! See <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>.

use std::{
    cmp::Ordering,
    fmt,
    ops::{Add, AddAssign, Sub, SubAssign},
    str::FromStr,
};

use serde_json::Value;

const NANO: i128 = 1_000_000_000;
const MILLI: i128 = 1_000_000;
const LARGEST: i128 = i64::MAX as i128 * NANO;

const DECIMAL: [(&str, u32); 10] = [
    ("n", 0),
    ("u", 3),
    ("m", 6),
    ("", 9),
    ("k", 12),
    ("M", 15),
    ("G", 18),
    ("T", 21),
    ("P", 24),
    ("E", 27),
];
const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// An amount, exact to a billionth. Two amounts are equal however they were written.
#[derive(Debug, Clone, Copy)]
pub struct Quantity {
    nanos: i128,
    form: Form,
}

/// How an amount is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Decimal,
    Binary,
    Exponent,
}

/// Text that is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Neither number nor suffix can be made out.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Form,
    /// Two dots, or so.
    #[error("unable to parse numeric part of quantity")]
    Number,
    /// A suffix that does not exist.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self {
        nanos: 0,
        form: Form::Decimal,
    };

    /// Thousandths, such as millicores.
    pub const fn milli_of(thousandths: i64) -> Self {
        Self {
            nanos: thousandths as i128 * MILLI,
            form: Form::Decimal,
        }
    }

    /// Pieces, written decimally.
    pub const fn whole(pieces: i64) -> Self {
        Self {
            nanos: pieces as i128 * NANO,
            form: Form::Decimal,
        }
    }

    /// Bytes, written with `Ki`, `Mi` ….
    pub const fn bytes(bytes: i64) -> Self {
        Self {
            nanos: bytes as i128 * NANO,
            form: Form::Binary,
        }
    }

    /// A field that holds an amount: a string, or a bare number.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.to_string().parse().ok(),
            _ => None,
        }
    }

    /// Whole pieces, rounded away from zero.
    pub fn value(self) -> i64 {
        self.scaled(NANO)
    }

    /// Thousandths, rounded away from zero.
    pub fn milli(self) -> i64 {
        self.scaled(MILLI)
    }

    /// As a floating-point number, for ratios.
    pub fn float(self) -> f64 {
        self.nanos as f64 / NANO as f64
    }

    /// Nothing at all.
    pub const fn is_zero(self) -> bool {
        self.nanos == 0
    }

    /// Below nothing.
    pub const fn is_negative(self) -> bool {
        self.nanos < 0
    }

    /// Whether it is a number of whole pieces.
    pub const fn is_whole(self) -> bool {
        self.nanos % NANO == 0
    }

    /// The same, without parts of a thousandth: what is smaller is rounded away from zero.
    pub fn rounded_to_milli(self) -> Self {
        Self {
            nanos: away_from_zero(self.nanos, MILLI) * MILLI,
            ..self
        }
    }

    fn scaled(self, unit: i128) -> i64 {
        let whole = away_from_zero(self.nanos, unit);
        i64::try_from(whole).unwrap_or(if whole < 0 { i64::MIN } else { i64::MAX })
    }
}

fn away_from_zero(amount: i128, unit: i128) -> i128 {
    amount / unit + (amount % unit).signum()
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let split = unsigned
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(split);
        if number.is_empty() {
            return Err(QuantityError::Form);
        }
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
            return Err(QuantityError::Number);
        }
        let (scale, form) = scale_of(suffix)?;
        let nanos = magnitude(whole, fraction, scale).min(LARGEST);
        let form = match form {
            Form::Binary if nanos < NANO => Form::Decimal,
            form => form,
        };
        let sign = if text.starts_with('-') { -1 } else { 1 };
        Ok(Self {
            nanos: sign * nanos,
            form,
        })
    }
}

/// Of a suffix: the power of ten and the power of two by which the number is multiplied.
#[derive(Clone, Copy)]
struct Scale {
    ten: i32,
    two: u32,
}

fn scale_of(suffix: &str) -> Result<(Scale, Form), QuantityError> {
    if let Some((_, ten)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        let scale = Scale {
            ten: *ten as i32 - 9,
            two: 0,
        };
        return Ok((scale, Form::Decimal));
    }
    if let Some(index) = BINARY.iter().position(|name| *name == suffix) {
        let scale = Scale {
            ten: 0,
            two: 10 * (index as u32 + 1),
        };
        return Ok((scale, Form::Binary));
    }
    if let Some(digits) = suffix.strip_prefix(['e', 'E']) {
        let ten = digits.parse().map_err(|_| QuantityError::Suffix)?;
        return Ok((Scale { ten, two: 0 }, Form::Exponent));
    }
    let known = |c: char| "eEinumkKMGTP+-".contains(c) || c.is_ascii_digit();
    Err(if suffix.chars().all(known) {
        QuantityError::Suffix
    } else {
        QuantityError::Form
    })
}

/// The number in billionths, rounded up; what is too large saturates.
fn magnitude(whole: &str, fraction: &str, scale: Scale) -> i128 {
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    let leading = digits.iter().take_while(|digit| **digit == b'0').count();
    digits.drain(..leading);
    if digits.is_empty() {
        return 0;
    }
    let mut exponent = i64::from(scale.ten) + 9 - fraction.len() as i64;
    if digits.len() as i64 + exponent > 30 {
        return i128::MAX;
    }
    let kept = digits.len().min(30);
    let mut rest = digits[kept..].iter().any(|digit| *digit != b'0');
    exponent += (digits.len() - kept) as i64;
    let number = digits[..kept]
        .iter()
        .fold(0_i128, |sum, digit| sum * 10 + i128::from(digit - b'0'));
    // Of the binary suffixes as much as fits goes first, so that little is rounded.
    let Some(mut number) = number
        .checked_shl(scale.two)
        .filter(|shifted| shifted >> scale.two == number)
    else {
        return if exponent < -30 { 1 } else { i128::MAX };
    };
    while exponent > 0 {
        number = number.saturating_mul(10);
        exponent -= 1;
    }
    while exponent < 0 && number > 0 {
        rest |= number % 10 != 0;
        number /= 10;
        exponent += 1;
    }
    number.saturating_add(i128::from(rest))
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let small = self.nanos.abs() < 1024 * NANO;
        match self.form {
            Form::Binary if !small && self.is_whole() => self.binary(f),
            Form::Binary | Form::Decimal => {
                let (number, power) = self.thousands();
                write!(f, "{number}{}", DECIMAL[power].0)
            }
            Form::Exponent => match self.thousands() {
                (number, 3) => write!(f, "{number}"),
                (number, power) => write!(f, "{number}e{}", power as i32 * 3 - 9),
            },
        }
    }
}

impl Quantity {
    fn binary(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut number = self.nanos / NANO;
        let mut suffix = "";
        for next in BINARY {
            if number % 1024 != 0 {
                break;
            }
            number /= 1024;
            suffix = next;
        }
        write!(f, "{number}{suffix}")
    }

    /// The number without its factors of thousand, and the index of their suffix.
    fn thousands(self) -> (i128, usize) {
        let (mut number, mut power) = (self.nanos, 0);
        if number == 0 {
            return (0, 3);
        }
        while number % 1000 == 0 && power + 1 < DECIMAL.len() {
            number /= 1000;
            power += 1;
        }
        (number, power)
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl Add for Quantity {
    type Output = Self;

    /// Written as the first is, unless that is nothing.
    fn add(self, other: Self) -> Self {
        Self {
            nanos: self.nanos.saturating_add(other.nanos),
            form: if self.is_zero() { other.form } else { self.form },
        }
    }
}

impl Sub for Quantity {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            nanos: self.nanos.saturating_sub(other.nanos),
            form: if self.is_zero() { other.form } else { self.form },
        }
    }
}

impl AddAssign for Quantity {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Quantity {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl std::iter::Sum for Quantity {
    fn sum<I: Iterator<Item = Self>>(each: I) -> Self {
        each.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        text.parse::<Quantity>().expect(text).to_string()
    }

    #[test]
    fn amounts_are_written_in_their_shortest_form() {
        for (text, expected) in [
            ("0", "0"),
            ("0.5", "500m"),
            ("100m", "100m"),
            ("1000m", "1"),
            ("0.0001", "100u"),
            (".00000000001", "1n"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("1023Ki", "1023Ki"),
            ("0.5Ki", "512"),
            ("0.0001Ki", "102400u"),
            ("1000Ki", "1000Ki"),
            ("1000k", "1M"),
            ("1500k", "1500k"),
            ("12e6", "12e6"),
            ("1e-3", "1e-3"),
            ("1E3", "1e3"),
            ("100E2", "10e3"),
            ("2E", "2E"),
            ("-1.5", "-1500m"),
            ("+2", "2"),
            ("9223372036854775807", "9223372036854775807"),
            ("99999999999999999999", "9223372036854775807"),
            ("8Ei", "9223372036854775807"),
            ("0e9", "0"),
        ] {
            assert_eq!(canonical(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_says_which_part_is_wrong() {
        for (text, fault) in [
            ("", QuantityError::Form),
            ("abc", QuantityError::Form),
            ("1.2.3", QuantityError::Number),
            (".", QuantityError::Number),
            ("1KI", QuantityError::Form),
            ("1mm", QuantityError::Suffix),
            ("1e", QuantityError::Suffix),
            ("1 ", QuantityError::Form),
        ] {
            assert_eq!(text.parse::<Quantity>().err(), Some(fault), "{text}");
        }
    }

    #[test]
    fn amounts_compare_and_add_across_suffixes() {
        let amount = |text: &str| text.parse::<Quantity>().expect(text);
        assert_eq!(amount("1Gi"), amount("1073741824"));
        assert!(amount("1G") < amount("1Gi"));
        assert_eq!((amount("1Gi") + amount("512Mi")).to_string(), "1536Mi");
        assert_eq!((Quantity::ZERO + amount("1Ki") + amount("1Ki")).to_string(), "2Ki");
        assert_eq!((amount("1") - amount("1500m")).to_string(), "-500m");
        assert_eq!((amount("1500m").value(), amount("1500m").milli()), (2, 1500));
        assert_eq!(amount("-1500m").value(), -2);
        assert_eq!(Quantity::of(&serde_json::json!(2)), Some(amount("2")));
        assert_eq!(amount("1e30").value(), i64::MAX);
    }
}
