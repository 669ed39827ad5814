//! What a matcher lets through: everything there can be, nothing, or some of it.

use serde_json::Value;

use super::matcher::{Field, number, plain};
use crate::{Matcher, Op};

/// What a matcher lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admits {
    /// Every value that the field can have.
    Everything,
    /// Some, as far as is known.
    Some,
    /// None: it can never hold.
    Nothing,
}

/// What a matcher of a field lets through; `Some` if it has references that only a run resolves.
pub(crate) fn admits(matcher: &Matcher, field: Field) -> Admits {
    let ops = &matcher.0;
    if ops.contains(&Op::Exists(false)) && ops.len() > 1 {
        return Admits::Nothing;
    }
    match field {
        Field::Number(_) => numbers(ops, field),
        Field::Word(_) if ops.iter().any(is_open_op) => Admits::Some,
        Field::Word(words) => {
            let left = words
                .iter()
                .filter(|word| ops.iter().all(|op| allows(op, word)))
                .count();
            match left {
                0 => Admits::Nothing,
                all if all == words.len() && ops.iter().any(names) => Admits::Everything,
                _ => Admits::Some,
            }
        }
        Field::Signal | Field::Text | Field::Any => listed(ops),
        Field::Object => {
            let both = ops.iter().any(|op| match op {
                Op::DiffersFrom(name) => ops.contains(&Op::SameAs(name.clone())),
                _ => false,
            });
            if both { Admits::Nothing } else { Admits::Some }
        }
        Field::List => {
            let counts = ops.iter().filter_map(|op| match op {
                Op::Count(count) => Some(admits(count, Field::Number(crate::check::cgroup::Unit::Number))),
                _ => None,
            });
            let counts: Vec<_> = counts.collect();
            if counts.contains(&Admits::Nothing) {
                Admits::Nothing
            } else if !counts.is_empty() && counts.len() == ops.len() && !counts.contains(&Admits::Some) {
                Admits::Everything
            } else {
                Admits::Some
            }
        }
    }
}

fn is_open(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.contains("${"))
}

fn is_open_op(op: &Op) -> bool {
    match op {
        Op::Eq(value) | Op::Ne(value) => is_open(value),
        Op::OneOf(values) => values.iter().any(is_open),
        _ => false,
    }
}

/// Whether the operator names values of a closed set.
fn names(op: &Op) -> bool {
    matches!(op, Op::Eq(_) | Op::Ne(_) | Op::OneOf(_))
}

/// Whether a matcher of words lets this one through.
pub(crate) fn admits_word(matcher: &Matcher, word: &str) -> bool {
    matcher.0.iter().all(|op| allows(op, word))
}

fn allows(op: &Op, word: &str) -> bool {
    match op {
        Op::Eq(value) => plain(value) == word,
        Op::Ne(value) => plain(value) != word,
        Op::OneOf(values) => values.iter().any(|value| plain(value) == word),
        _ => true,
    }
}

/// Of values that are named one by one, whether the other operators leave any.
fn listed(ops: &[Op]) -> Admits {
    let named = ops.iter().find_map(|op| match op {
        Op::Eq(value) => Some(std::slice::from_ref(value)),
        Op::OneOf(values) => Some(values.as_slice()),
        _ => None,
    });
    let Some(named) = named else { return Admits::Some };
    let left = named.iter().any(|value| {
        is_open(value)
            || ops.iter().all(|op| match op {
                Op::Matches(expression) => value.as_str().is_none_or(|text| {
                    expression.contains("${")
                        || regex_lite::Regex::new(expression).map_or(true, |regex| regex.is_match(text))
                }),
                Op::Contains(Value::String(part)) => {
                    part.contains("${") || value.as_str().is_none_or(|text| text.contains(part.as_str()))
                }
                // Numbers and texts of them may be equal to each other in a unit.
                Op::Ne(other) => is_open(other) || other != value,
                Op::Eq(other) => is_open(other) || plain(other) == plain(value),
                Op::OneOf(others) => others
                    .iter()
                    .any(|other| is_open(other) || plain(other) == plain(value)),
                _ => true,
            })
    });
    if left { Admits::Some } else { Admits::Nothing }
}

/// Bounds of what is let through; a field counts, measures or names something, so that it is never below 0.
struct Bounds {
    low: f64,
    high: f64,
    low_open: bool,
    high_open: bool,
    except: Vec<f64>,
    only: Option<Vec<f64>>,
}

impl Bounds {
    fn least(&mut self, value: f64, open: bool) {
        if value > self.low {
            (self.low, self.low_open) = (value, open);
        } else if value == self.low {
            self.low_open |= open;
        }
    }

    fn most(&mut self, value: f64, open: bool) {
        if value < self.high {
            (self.high, self.high_open) = (value, open);
        } else if value == self.high {
            self.high_open |= open;
        }
    }

    fn has(&self, value: f64) -> bool {
        let above = value > self.low || (value == self.low && !self.low_open);
        let below = value < self.high || (value == self.high && !self.high_open);
        above && below && !self.except.contains(&value)
    }
}

fn numbers(ops: &[Op], field: Field) -> Admits {
    let Field::Number(unit) = field else {
        return Admits::Some;
    };
    let read = |value: &Value| match value.as_str() {
        Some("max") => Some(f64::INFINITY),
        _ => number(value, unit),
    };
    let mut bounds = Bounds {
        low: 0.0,
        high: f64::INFINITY,
        low_open: false,
        high_open: false,
        except: Vec::new(),
        only: None,
    };
    let mut compares = false;
    for op in ops {
        let done = match op {
            Op::Eq(value) => read(value).map(|value| {
                bounds.least(value, false);
                bounds.most(value, false);
            }),
            Op::Ne(value) => read(value).map(|value| bounds.except.push(value)),
            Op::Gt(value) => read(value).map(|value| bounds.least(value, true)),
            Op::Gte(value) => read(value).map(|value| bounds.least(value, false)),
            Op::Lt(value) => read(value).map(|value| bounds.most(value, true)),
            Op::Lte(value) => read(value).map(|value| bounds.most(value, false)),
            Op::Between(low, high) => read(low).zip(read(high)).map(|(low, high)| {
                bounds.least(low, false);
                bounds.most(high, false);
            }),
            Op::OneOf(values) => values.iter().map(read).collect::<Option<Vec<_>>>().map(|values| {
                let kept = bounds.only.take();
                bounds.only = Some(match kept {
                    None => values,
                    Some(kept) => kept.into_iter().filter(|value| values.contains(value)).collect(),
                });
            }),
            Op::Exists(_) => continue,
            // A tolerance is judged for itself.
            _ => None,
        };
        compares = true;
        if done.is_none() {
            return Admits::Some;
        }
    }
    if let Some(only) = &bounds.only {
        let left = only.iter().any(|value| bounds.has(*value));
        return if left { Admits::Some } else { Admits::Nothing };
    }
    let is_point = bounds.low == bounds.high;
    if bounds.low > bounds.high || (is_point && !bounds.has(bounds.low)) {
        Admits::Nothing
    } else if compares && bounds.has(0.0) && bounds.has(f64::INFINITY) && bounds.except.iter().all(|value| *value < 0.0)
    {
        Admits::Everything
    } else {
        Admits::Some
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::check::cgroup::Unit;

    fn of(matcher: Value, field: Field) -> Admits {
        admits(&serde_json::from_value(matcher).unwrap(), field)
    }

    #[test]
    fn numbers_are_never_below_zero() {
        for (matcher, unit, expected) in [
            (json!({"gte": 0}), Unit::Number, Admits::Everything),
            (json!({"gt": -1}), Unit::Number, Admits::Everything),
            (json!({"ne": -1}), Unit::Number, Admits::Everything),
            (json!({"lte": "max"}), Unit::Bytes, Admits::Everything),
            (json!({"between": [0, "max"]}), Unit::Bytes, Admits::Everything),
            (json!({"exists": true, "gte": 0}), Unit::Number, Admits::Everything),
            (json!({"exists": true}), Unit::Number, Admits::Some),
            (json!({"gt": 0}), Unit::Number, Admits::Some),
            (json!({"gte": "0.5Mi"}), Unit::Bytes, Admits::Some),
            (json!({"lt": "max"}), Unit::Bytes, Admits::Some),
            (json!({"gte": 0, "lte": 5}), Unit::Number, Admits::Some),
            (json!({"gte": "${app.pid}"}), Unit::Number, Admits::Some),
            (json!({"lt": 0}), Unit::Number, Admits::Nothing),
            (json!(-1), Unit::Number, Admits::Nothing),
            (json!({"gt": 5, "lt": 5}), Unit::Number, Admits::Nothing),
            (json!({"gt": "20ms", "lt": "1ms"}), Unit::Duration, Admits::Nothing),
            (json!({"eq": 3, "ne": 3}), Unit::Number, Admits::Nothing),
            (json!({"eq": 3, "oneOf": [4, 5]}), Unit::Number, Admits::Nothing),
            (json!({"oneOf": [4, 5], "gt": 5}), Unit::Number, Admits::Nothing),
            (json!({"eq": 3, "exists": false}), Unit::Number, Admits::Nothing),
            (json!({"oneOf": [4, 5], "gt": 4}), Unit::Number, Admits::Some),
        ] {
            assert_eq!(of(matcher.clone(), Field::Number(unit)), expected, "{matcher}");
        }
    }

    #[test]
    fn words_are_a_closed_set() {
        let field = Field::Word(&["a", "b"]);
        for (matcher, expected) in [
            (json!({"oneOf": ["b", "a"]}), Admits::Everything),
            (json!({"exists": true}), Admits::Some),
            (json!({"ne": "a"}), Admits::Some),
            (json!("a"), Admits::Some),
            (json!({"eq": "a", "ne": "a"}), Admits::Nothing),
            (json!({"eq": "a", "oneOf": ["b"]}), Admits::Nothing),
            (json!({"ne": "${app.pid}"}), Admits::Some),
            (json!({"eq": "${app.pid}", "ne": "a"}), Admits::Some),
        ] {
            assert_eq!(of(matcher.clone(), field), expected, "{matcher}");
        }
    }

    #[test]
    fn texts_lists_and_objects_can_contradict_themselves() {
        for (matcher, field, expected) in [
            (json!({"eq": "a", "ne": "a"}), Field::Any, Admits::Nothing),
            (json!({"eq": "a", "matches": "b"}), Field::Text, Admits::Nothing),
            (
                json!({"oneOf": ["ab", "c"], "contains": "b"}),
                Field::Text,
                Admits::Some,
            ),
            (
                json!({"oneOf": ["a", "c"], "contains": "b"}),
                Field::Text,
                Admits::Nothing,
            ),
            (
                json!({"eq": "SIGKILL", "ne": "SIGKILL"}),
                Field::Signal,
                Admits::Nothing,
            ),
            (json!({"count": {"gte": 0}}), Field::List, Admits::Everything),
            (json!({"count": {"lt": 0}}), Field::List, Admits::Nothing),
            (json!({"count": {"gte": 0}, "contains": "x"}), Field::List, Admits::Some),
            (
                json!({"sameAs": "host", "differsFrom": "host"}),
                Field::Object,
                Admits::Nothing,
            ),
            (
                json!({"sameAs": "a", "differsFrom": "host"}),
                Field::Object,
                Admits::Some,
            ),
        ] {
            assert_eq!(of(matcher.clone(), field), expected, "{matcher}");
        }
    }
}
