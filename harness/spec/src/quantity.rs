//! Numbers with units: Kubernetes quantities, Go-style durations, per cent.

use std::{fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time as Go writes it: `300ms`, `2s`, `1m30s`. Monotonic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(pub Duration);

/// A number of bytes as a Kubernetes quantity: `64Mi`, `1G`, `4096`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(pub u64);

/// Thousandths of one CPU as a Kubernetes quantity: `250m`, `1.5`, `2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Millicores(pub u64);

/// So many hundredths: `5%`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Percent(pub f64);

impl Percent {
    /// As a share of one: `20%` is 0.2.
    pub fn share(self) -> f64 {
        self.0 / 100.0
    }
}

/// A bound of a figure, by how it is written: `250ms`, `1%`, `6800`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// A length of time.
    Time(Span),
    /// A share.
    Percent(Percent),
    /// A plain number.
    Number(f64),
}

/// What a text should have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct ParseQuantity {
    text: String,
    expected: &'static str,
}

impl FromStr for Span {
    type Err = ParseQuantity;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = || ParseQuantity {
            text: text.into(),
            expected: "a duration such as `300ms`, `2s` or `1m30s`",
        };
        let mut rest = text;
        let mut nanoseconds = 0f64;
        if rest.is_empty() {
            return Err(fault());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(fault)?;
            let number: f64 = rest[..digits].parse().map_err(|_| fault())?;
            rest = &rest[digits..];
            let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            nanoseconds += number
                * match &rest[..unit] {
                    "ns" => 1.0,
                    "us" | "µs" => 1e3,
                    "ms" => 1e6,
                    "s" => 1e9,
                    "m" => 60e9,
                    "h" => 3600e9,
                    _ => return Err(fault()),
                };
            rest = &rest[unit..];
        }
        // A century is more than any window; past it the sum is a typing error, not a time.
        if !(0.0..=3.2e18).contains(&nanoseconds) {
            return Err(fault());
        }
        Ok(Self(Duration::from_secs_f64(nanoseconds / 1e9)))
    }
}

impl FromStr for Percent {
    type Err = ParseQuantity;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text
            .strip_suffix('%')
            .and_then(|number| number.trim().parse::<f64>().ok());
        let number = number.filter(|number| (0.0..1e9).contains(number));
        number.map(Self).ok_or_else(|| ParseQuantity {
            text: text.into(),
            expected: "a share such as `5%`",
        })
    }
}

impl FromStr for Bound {
    type Err = ParseQuantity;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(share) = text.parse() {
            return Ok(Self::Percent(share));
        }
        if let Some(number) = text.parse::<f64>().ok().filter(|number| (0.0..1e18).contains(number)) {
            return Ok(Self::Number(number));
        }
        text.parse().map(Self::Time).map_err(|_| ParseQuantity {
            text: text.into(),
            expected: "a bound such as `250ms`, `1%` or `6800`",
        })
    }
}

fn quantity(text: &str) -> Option<f64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let number: f64 = text[..digits].parse().ok()?;
    let factor = match &text[digits..] {
        "" => 1.0,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024f64,
        "Mi" => 1024f64.powi(2),
        "Gi" => 1024f64.powi(3),
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        "Ei" => 1024f64.powi(6),
        exponent => 10f64.powi(exponent.strip_prefix(['e', 'E'])?.parse().ok()?),
    };
    Some(number * factor)
}

impl FromStr for Bytes {
    type Err = ParseQuantity;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match quantity(text) {
            // 2^63 and above is not a size that a kernel takes.
            Some(bytes) if bytes.fract() == 0.0 && bytes < 9.2e18 => Ok(Self(bytes as u64)),
            _ => Err(ParseQuantity {
                text: text.into(),
                expected: "a number of bytes such as `64Mi` or `1G`",
            }),
        }
    }
}

impl FromStr for Millicores {
    type Err = ParseQuantity;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match quantity(text) {
            Some(cores) if cores > 0.0 && cores < 1e6 => Ok(Self((cores * 1000.0).round() as u64)),
            _ => Err(ParseQuantity {
                text: text.into(),
                expected: "an amount of CPU such as `250m` or `1.5`",
            }),
        }
    }
}

/// A percentage as a share of one: `20%` is 0.2. `None` if the text does not end in `%`.
pub fn percent(text: &str) -> Option<f64> {
    text.strip_suffix('%')?.trim().parse::<f64>().ok().map(|p| p / 100.0)
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanoseconds = self.0.as_nanos();
        match nanoseconds {
            n if n >= 1_000_000_000 && n.is_multiple_of(1_000_000_000) => write!(f, "{}s", n / 1_000_000_000),
            n if n >= 1_000_000 && n.is_multiple_of(1_000_000) => write!(f, "{}ms", n / 1_000_000),
            n if n >= 1_000 && n.is_multiple_of(1_000) => write!(f, "{}us", n / 1_000),
            n => write!(f, "{n}ns"),
        }
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, shift) in [("Gi", 30), ("Mi", 20), ("Ki", 10)] {
            if self.0 != 0 && self.0.trailing_zeros() >= shift {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
        }
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Millicores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1000) {
            write!(f, "{}", self.0 / 1000)
        } else {
            write!(f, "{}m", self.0)
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => time.fmt(f),
            Self::Percent(share) => share.fmt(f),
            Self::Number(number) => number.fmt(f),
        }
    }
}

macro_rules! text_quantity {
    ($type:ident, $expecting:literal, $schema:expr) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl de::Visitor<'_> for Visitor {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                    fn visit_u64<E: de::Error>(self, number: u64) -> Result<$type, E> {
                        self.visit_str(&number.to_string())
                    }
                    fn visit_i64<E: de::Error>(self, number: i64) -> Result<$type, E> {
                        self.visit_str(&number.to_string())
                    }
                    fn visit_f64<E: de::Error>(self, number: f64) -> Result<$type, E> {
                        self.visit_str(&number.to_string())
                    }
                }
                deserializer.deserialize_any(Visitor)
            }
        }
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

text_quantity!(
    Span,
    "a duration such as `300ms`, `2s` or `1m30s`",
    json_schema!({"type": "string", "description": "A Go-style duration: `300ms`, `2s`, `1m30s`."})
);
text_quantity!(
    Bytes,
    "a number of bytes such as `64Mi` or `1G`",
    json_schema!({"type": ["string", "integer"], "description": "A Kubernetes quantity of bytes: `64Mi`, `1G`, `4096`."})
);
text_quantity!(
    Millicores,
    "an amount of CPU such as `250m` or `1.5`",
    json_schema!({"type": ["string", "number"], "description": "A Kubernetes quantity of CPU: `250m`, `1.5`, `2`."})
);

text_quantity!(
    Percent,
    "a share such as `5%`",
    json_schema!({"type": "string", "description": "A share: `5%`.", "pattern": "^[0-9.]+ ?%$"})
);
text_quantity!(
    Bound,
    "a bound such as `250ms`, `1%` or `6800`",
    json_schema!({"type": ["string", "number"], "description": "A duration (`250ms`), a share (`1%`) or a number, whatever is bounded."})
);

/// How often something happens at most: `50/s`, `300/m`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Rate {
    count: f64,
    per: Duration,
}

impl Rate {
    /// From one to the next.
    pub fn interval(self) -> Duration {
        self.per.div_f64(self.count)
    }
}

impl FromStr for Rate {
    type Err = ParseQuantity;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = || ParseQuantity {
            text: text.into(),
            expected: "a rate such as `50/s`",
        };
        let (count, unit) = text.split_once('/').ok_or_else(fault)?;
        let per = Duration::from_secs(match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return Err(fault()),
        });
        let count = count.parse().ok().filter(|count| (1e-3..=1e6).contains(count));
        Ok(Self {
            count: count.ok_or_else(fault)?,
            per,
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.per.as_secs() {
            1 => "s",
            60 => "m",
            _ => "h",
        };
        write!(f, "{}/{unit}", self.count)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rate".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "description": "How often at most, such as `50/s`.", "pattern": "^[0-9.]+/[smh]$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_go_writes_them() {
        assert_eq!("1m30s".parse::<Span>().unwrap().0, Duration::from_secs(90));
        assert_eq!("1.5s".parse::<Span>().unwrap().0, Duration::from_millis(1500));
        for wrong in ["", "5", "s", "5 s", "5x", "-1s", "1e9999s", "99999999999999h"] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_bound_is_what_it_is_written_as() {
        let read = |text: &str| text.parse::<Bound>();
        assert_eq!(read("5%"), Ok(Bound::Percent(Percent(5.0))));
        assert_eq!(read("6800"), Ok(Bound::Number(6800.0)));
        assert_eq!(read("2ms"), Ok(Bound::Time(Span(Duration::from_millis(2)))));
        for wrong in ["", "%", "-5%", "-1", "5 apples", "inf", "NaN"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn quantities_read_as_kubernetes_writes_them() {
        assert_eq!("64Mi".parse::<Bytes>().unwrap().0, 64 << 20);
        assert_eq!("1G".parse::<Bytes>().unwrap().0, 1_000_000_000);
        assert_eq!("250m".parse::<Millicores>().unwrap().0, 250);
        assert_eq!("1.5".parse::<Millicores>().unwrap().0, 1500);
        for wrong in ["", "Mi", "64MB", "1.5.2", "-1", "0.5"] {
            assert!(wrong.parse::<Bytes>().is_err(), "{wrong}");
        }
    }
}
