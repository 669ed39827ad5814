//! The one place where a value meets a [`Matcher`].

use serde_json::Value;
use spec::{Bytes, Matcher, Op, Span, quantity::percent};

/// In what unit an observed number is, so that `64Mi`, `20%` and `1s` mean the same on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A count, or no number at all. A duration that it is compared with is read as seconds.
    Plain,
    /// A share of one; written and shown as per cent.
    Share,
    /// Bytes, or bytes a second.
    Bytes,
    /// Seconds.
    Seconds,
}

/// What came of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Every operator holds.
    Holds,
    /// An operator does not hold.
    Misses,
    /// The expectation cannot be asked of such a value, and why.
    Unfit(String),
}

impl Unit {
    /// The value as a person reads it.
    pub fn show(self, value: &Value) -> String {
        match (self, value) {
            (Self::Share, Value::Number(n)) => format!("{} %", rounded(n.as_f64().unwrap_or(f64::NAN) * 100.0)),
            (Self::Bytes, Value::Number(n)) => match (n.as_u64(), n.as_f64()) {
                (Some(bytes), _) if bytes < 1024 => format!("{bytes} bytes"),
                (_, Some(bytes)) => binary(bytes),
                (_, None) => format!("{n} bytes"),
            },
            (Self::Seconds, Value::Number(n)) => format!("{n}s"),
            (_, Value::String(text)) => quoted(text),
            (_, Value::Array(list)) => {
                const SHOWN: usize = 24;
                let mut parts: Vec<_> = list.iter().take(SHOWN).map(|v| self.show(v)).collect();
                if list.len() > SHOWN {
                    parts.push(format!("and {} more", list.len() - SHOWN));
                }
                format!("[{}]", parts.join(", "))
            }
            (_, other) => other.to_string(),
        }
    }

    /// The value as a number of this unit, if it is one.
    pub fn number(self, value: &Value) -> Option<f64> {
        match value {
            Value::Number(n) => n.as_f64(),
            Value::String(text) => {
                let text = text.trim();
                if text == "max" {
                    return Some(f64::INFINITY);
                }
                let plain = || text.parse::<f64>().ok().filter(|n| n.is_finite());
                let bytes = || text.parse::<Bytes>().ok().map(|b| b.0 as f64);
                let seconds = || text.parse::<Span>().ok().map(|s| s.0.as_secs_f64());
                match self {
                    Self::Plain | Self::Bytes | Self::Share => {
                        percent(text).or_else(plain).or_else(bytes).or_else(seconds)
                    }
                    Self::Seconds => plain().or_else(seconds),
                }
            }
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

/// A number with at most four digits after the point, without trailing zeros.
pub fn rounded(number: f64) -> String {
    let text = format!("{number:.4}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// Bytes with the greatest unit that leaves a number of at least one, and as they are.
fn binary(bytes: f64) -> String {
    let unit = [("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)]
        .into_iter()
        .find(|(_, shift)| bytes >= (1u64 << shift) as f64);
    match unit {
        Some((unit, shift)) => {
            let number = (bytes / (1u64 << shift) as f64 * 100.0).round() / 100.0;
            format!("{}{unit} ({} bytes)", rounded(number), rounded(bytes))
        }
        None => format!("{} bytes", rounded(bytes)),
    }
}

/// A text as it stands in a report: one line, not endless.
fn quoted(text: &str) -> String {
    const SHOWN: usize = 400;
    let plain = !text.is_empty() && text.len() <= 80 && text.chars().all(|c| !c.is_control() && !c.is_whitespace());
    if plain {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(SHOWN).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    format!("{cut:?}")
}

/// Whether a value is what a matcher asks for. `None` is a value that is not there: only `exists: false` holds for it.
pub fn holds(want: &Matcher, value: Option<&Value>, unit: Unit) -> Finding {
    let mut finding = Finding::Holds;
    for op in &want.0 {
        match one(op, value, unit) {
            Finding::Holds => {}
            Finding::Misses => finding = Finding::Misses,
            unfit @ Finding::Unfit(_) => return unfit,
        }
    }
    if want.0.is_empty() {
        return Finding::Unfit("an expectation without operators holds for everything".into());
    }
    finding
}

/// The bounds that `approx` stands for: the tolerance is in the unit of the value (percentage points for `%`).
pub fn approx_bounds(value: &Value, abs: Option<&Value>, rel: Option<&Value>, unit: Unit) -> Option<(f64, f64)> {
    let middle = unit.number(value)?;
    let in_percent = value.as_str().is_some_and(|text| percent(text).is_some());
    let from_abs = match abs {
        Some(Value::Number(points)) if in_percent => Some(points.as_f64()? / 100.0),
        Some(abs) => Some(unit.number(abs)?),
        None => None,
    };
    let from_rel = match rel {
        Some(rel) => Some(Unit::Share.number(rel)? * middle.abs()),
        None => None,
    };
    // With both tolerances both must be kept.
    let tolerance = match (from_abs, from_rel) {
        (Some(abs), Some(rel)) => abs.min(rel),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => return None,
    };
    Some((middle - tolerance, middle + tolerance))
}

fn truth(holds: bool) -> Finding {
    if holds { Finding::Holds } else { Finding::Misses }
}

/// Equal, after both sides are read with the same unit. One line feed at the end of a seen text is not compared unless
/// the expected text has one.
fn equal(want: &Value, got: &Value, unit: Unit) -> bool {
    match (want, got) {
        (Value::String(want_text), Value::String(text)) => {
            want_text == text
                || text.strip_suffix('\n') == Some(want_text)
                || unit != Unit::Plain
                    && matches!((unit.number(want), unit.number(got)), (Some(a), Some(b)) if close(a, b))
        }
        (Value::String(text), Value::Bool(flag)) => *text == flag.to_string(),
        (Value::Bool(flag), Value::String(text)) => text.trim_end() == flag.to_string(),
        (Value::Number(_) | Value::String(_), Value::Number(_) | Value::String(_)) => {
            matches!((unit.number(want), unit.number(got)), (Some(a), Some(b)) if close(a, b))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b, unit)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b, unit)))
        }
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        _ => false,
    }
}

/// Equal but for the last bits, which decimal notation (`20%`) cannot give.
fn close(a: f64, b: f64) -> bool {
    a == b || (a.is_finite() && b.is_finite() && (a - b).abs() <= 1e-12 * a.abs().max(b.abs()))
}

fn one(op: &Op, value: Option<&Value>, unit: Unit) -> Finding {
    if let Op::Exists(want) = op {
        return truth(*want == value.is_some());
    }
    let Some(got) = value else {
        return Finding::Misses;
    };
    let list = || got.as_array();
    let bound = |want: &Value, compare: fn(f64, f64) -> bool| match (unit.number(want), unit.number(got)) {
        (None, _) => Finding::Unfit(format!("`{}` is not a number to compare with", unit.show(want))),
        (_, None) => Finding::Misses,
        (Some(want), Some(got)) => truth(compare(got, want)),
    };
    match op {
        Op::Eq(want) => truth(equal(want, got, unit)),
        Op::Ne(want) => truth(!equal(want, got, unit)),
        Op::Gt(want) => bound(want, |got, want| got > want && !close(got, want)),
        Op::Gte(want) => bound(want, |got, want| got >= want || close(got, want)),
        Op::Lt(want) => bound(want, |got, want| got < want && !close(got, want)),
        Op::Lte(want) => bound(want, |got, want| got <= want || close(got, want)),
        Op::Between(low, high) => {
            match (
                bound(low, |got, low| got >= low || close(got, low)),
                bound(high, |got, high| got <= high || close(got, high)),
            ) {
                (Finding::Holds, Finding::Holds) => Finding::Holds,
                (unfit @ Finding::Unfit(_), _) | (_, unfit @ Finding::Unfit(_)) => unfit,
                (Finding::Misses, _) | (_, Finding::Misses) => Finding::Misses,
            }
        }
        Op::Approx {
            value,
            abs,
            rel,
            confidence: _,
        } => match approx_bounds(value, abs.as_ref(), rel.as_ref(), unit) {
            None => Finding::Unfit("`approx` needs numbers, and `abs` or `rel`".into()),
            Some((low, high)) => truth(
                unit.number(got)
                    .is_some_and(|got| (low <= got || close(low, got)) && (got <= high || close(got, high))),
            ),
        },
        Op::Matches(pattern) => match regex_lite::Regex::new(pattern) {
            Err(_) => Finding::Unfit(format!("/{pattern}/ is not a regular expression")),
            Ok(regex) => match got {
                Value::String(text) => truth(regex.is_match(text)),
                Value::Number(_) | Value::Bool(_) => truth(regex.is_match(&got.to_string())),
                Value::Null | Value::Array(_) | Value::Object(_) => {
                    Finding::Unfit("`matches` is for texts; a list has `contains`".into())
                }
            },
        },
        Op::Contains(want) => match got {
            Value::String(text) => match want {
                Value::String(part) => truth(text.contains(part.as_str())),
                other => truth(text.contains(&other.to_string())),
            },
            Value::Array(list) => truth(list.iter().any(|got| equal(want, got, unit))),
            Value::Object(map) => truth(want.as_str().is_some_and(|key| map.contains_key(key))),
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                Finding::Unfit("`contains` is for texts and lists".into())
            }
        },
        Op::ContainsAll(wants) => match got {
            Value::String(text) => truth(wants.iter().all(|want| match want {
                Value::String(part) => text.contains(part.as_str()),
                other => text.contains(&other.to_string()),
            })),
            Value::Array(list) => truth(wants.iter().all(|want| list.iter().any(|got| equal(want, got, unit)))),
            Value::Object(map) => truth(
                wants
                    .iter()
                    .all(|want| want.as_str().is_some_and(|key| map.contains_key(key))),
            ),
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                Finding::Unfit("`containsAll` is for texts and lists".into())
            }
        },
        Op::Exactly(wants) => match list() {
            None => Finding::Unfit("`exactly` is for lists".into()),
            Some(list) => truth(same_elements(wants, list, unit)),
        },
        Op::OneOf(wants) => truth(wants.iter().any(|want| equal(want, got, unit))),
        Op::Exists(want) => truth(*want),
        Op::Count(count) => match got {
            Value::Array(list) => holds(count, Some(&Value::from(list.len())), Unit::Plain),
            Value::Object(map) => holds(count, Some(&Value::from(map.len())), Unit::Plain),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                Finding::Unfit("`count` is for lists".into())
            }
        },
        Op::DiffersFrom(_) | Op::SameAs(_) => {
            Finding::Unfit("`differsFrom` and `sameAs` compare kernel objects: they are for `namespace`".into())
        }
    }
}

/// The same elements, each as often, in any order.
fn same_elements(wants: &[Value], list: &[Value], unit: Unit) -> bool {
    let mut left: Vec<&Value> = list.iter().collect();
    wants.len() == list.len()
        && wants.iter().all(|want| {
            left.iter()
                .position(|got| equal(want, got, unit))
                .map(|found| left.swap_remove(found))
                .is_some()
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matcher(json: Value) -> Matcher {
        serde_json::from_value(json).unwrap()
    }

    #[track_caller]
    fn holds_for(want: Value, got: Value, unit: Unit) {
        assert_eq!(
            holds(&matcher(want.clone()), Some(&got), unit),
            Finding::Holds,
            "{want} {got}"
        );
    }

    #[track_caller]
    fn misses(want: Value, got: Value, unit: Unit) {
        assert_eq!(
            holds(&matcher(want.clone()), Some(&got), unit),
            Finding::Misses,
            "{want} {got}"
        );
    }

    #[test]
    fn quantities_are_compared_in_bytes() {
        holds_for(json!({"lte": "64Mi"}), json!(64 << 20), Unit::Bytes);
        misses(json!({"lt": "64Mi"}), json!(64 << 20), Unit::Bytes);
        holds_for(json!("64Mi"), json!(67_108_864), Unit::Bytes);
        misses(json!({"lte": "64Mi"}), json!("max"), Unit::Bytes);
        holds_for(json!("max"), json!("max"), Unit::Bytes);
        misses(json!("64Mi"), json!("max"), Unit::Bytes);
    }

    #[test]
    fn bytes_are_shown_with_a_unit_and_as_they_are() {
        for (bytes, shown) in [
            (json!(512), "512 bytes"),
            (json!(64 << 20), "64Mi (67108864 bytes)"),
            (json!(67_600_384), "64.47Mi (67600384 bytes)"),
            (json!(1.5), "1.5 bytes"),
            (json!("max"), "max"),
        ] {
            assert_eq!(Unit::Bytes.show(&bytes), shown);
        }
    }

    #[test]
    fn percentages_are_shares_of_one_and_their_tolerance_is_in_points() {
        holds_for(json!("20%"), json!(0.2), Unit::Share);
        holds_for(json!({"approx": "20%", "abs": "2%"}), json!(0.22), Unit::Share);
        misses(json!({"approx": "20%", "abs": "2%"}), json!(0.2201), Unit::Share);
        holds_for(json!({"approx": "20%", "abs": 2}), json!(0.181), Unit::Share);
        misses(json!({"approx": "20%", "rel": "2%"}), json!(0.21), Unit::Share);
    }

    #[test]
    fn durations_are_read_in_the_unit_of_the_value() {
        holds_for(json!({"gte": "100ms"}), json!(0.1), Unit::Seconds);
        misses(json!({"gt": "100ms"}), json!(0.1), Unit::Seconds);
        holds_for(json!({"eq": "1m"}), json!(60), Unit::Seconds);
        holds_for(json!({"lt": "1m30s"}), json!(89), Unit::Plain);
    }

    #[test]
    fn a_number_in_a_text_equals_the_number() {
        holds_for(json!(137), json!("137\n"), Unit::Plain);
        misses(json!(137), json!("1370"), Unit::Plain);
        misses(json!("yes"), json!(1), Unit::Plain);
    }

    #[test]
    fn texts_equal_but_for_one_line_feed_at_the_end() {
        holds_for(json!("hello"), json!("hello\n"), Unit::Plain);
        misses(json!("hello"), json!("hello\n\n"), Unit::Plain);
        misses(json!("hello\n"), json!("hello"), Unit::Plain);
    }

    #[test]
    fn lists_compare_only_as_they_are_told() {
        let list = json!(["lo", "eth0", "lo"]);
        holds_for(json!({"contains": "lo"}), list.clone(), Unit::Plain);
        misses(json!({"contains": "l"}), list.clone(), Unit::Plain);
        holds_for(json!({"containsAll": ["eth0", "lo"]}), list.clone(), Unit::Plain);
        misses(json!({"containsAll": ["eth0", "eth1"]}), list.clone(), Unit::Plain);
        holds_for(json!({"exactly": ["lo", "lo", "eth0"]}), list.clone(), Unit::Plain);
        misses(json!({"exactly": ["lo", "eth0", "eth0"]}), list.clone(), Unit::Plain);
        misses(json!({"exactly": []}), list.clone(), Unit::Plain);
        holds_for(json!({"count": {"gte": 3}}), list.clone(), Unit::Plain);
        misses(json!({"count": 2}), list, Unit::Plain);
    }

    #[test]
    fn patterns_match_anywhere_in_a_text() {
        holds_for(json!({"matches": "^v[0-9]+"}), json!("v12 of it"), Unit::Plain);
        misses(json!({"matches": "^[0-9]+$"}), json!("v12"), Unit::Plain);
        assert!(matches!(
            holds(&matcher(json!({"matches": "("})), Some(&json!("x")), Unit::Plain),
            Finding::Unfit(_)
        ));
    }

    #[test]
    fn all_operators_must_hold() {
        holds_for(json!({"gte": 1, "lt": 3}), json!(2), Unit::Plain);
        misses(json!({"gte": 1, "lt": 2}), json!(2), Unit::Plain);
        holds_for(json!({"oneOf": ["a", "b"]}), json!("b"), Unit::Plain);
        misses(json!({"between": [1, 2]}), json!(2.1), Unit::Plain);
    }

    #[test]
    fn for_what_is_not_there_only_exists_false_holds() {
        assert_eq!(
            holds(&matcher(json!({"exists": false})), None, Unit::Plain),
            Finding::Holds
        );
        for want in [
            json!({"exists": true}),
            json!({"ne": 1}),
            json!(1),
            json!({"count": 0}),
            json!({"exactly": []}),
            json!({"differsFrom": "host"}),
        ] {
            assert_eq!(
                holds(&matcher(want.clone()), None, Unit::Plain),
                Finding::Misses,
                "{want}"
            );
        }
    }

    #[test]
    fn what_cannot_be_asked_of_a_value_is_told_and_not_guessed() {
        for (want, got) in [
            (json!({"gt": "tall"}), json!(1)),
            (json!({"exactly": [1]}), json!(1)),
            (json!({"count": 1}), json!("a")),
            (json!({"contains": 1}), json!(1)),
            (json!({"sameAs": "host"}), json!(1)),
        ] {
            assert!(
                matches!(
                    holds(&matcher(want.clone()), Some(&got), Unit::Plain),
                    Finding::Unfit(_)
                ),
                "{want}"
            );
        }
    }
}
