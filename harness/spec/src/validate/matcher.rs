//! Matchers: operators that fit the field, values that have its unit, expressions that compile.

use serde_json::Value;

use super::{Admits, Checker, Place, admits, step::is_signal};
use crate::{Bytes, Matcher, Op, Span, check::cgroup::Unit, fault::Fault, quantity::percent};

/// What a field holds, and so what can be asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    /// A number with a unit.
    Number(Unit),
    /// Free text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// The name of a signal, or `none`.
    Signal,
    /// A list.
    List,
    /// A kernel object, equal only to itself.
    Object,
    /// What a program wrote: anything.
    Any,
}

impl Checker<'_> {
    pub(super) fn matcher(&mut self, matcher: &Matcher, field: Field, place: &Place<'_>) {
        let before = self.faults.len();
        for op in &matcher.0 {
            self.operator(op, field, place);
        }
        if self.faults.len() == before && admits(matcher, field) == Admits::Nothing {
            let fault = Fault::new(place.extent, format!("nothing can be `{matcher}`"));
            self.fault(fault.hint("this can never hold"));
        }
    }

    fn operator(&mut self, op: &Op, field: Field, place: &Place<'_>) {
        let (key, fits) = match op {
            Op::Eq(_) => ("eq", field != Field::Object && field != Field::List),
            Op::Ne(_) => ("ne", field != Field::Object && field != Field::List),
            Op::Gt(_) => ("gt", ordered(field)),
            Op::Gte(_) => ("gte", ordered(field)),
            Op::Lt(_) => ("lt", ordered(field)),
            Op::Lte(_) => ("lte", ordered(field)),
            Op::Between(..) => ("between", ordered(field)),
            Op::Approx { .. } => ("approx", ordered(field)),
            Op::Matches(_) => ("matches", matches!(field, Field::Text | Field::Any)),
            Op::Contains(_) => ("contains", matches!(field, Field::Text | Field::List | Field::Any)),
            Op::ContainsAll(_) => ("containsAll", matches!(field, Field::Text | Field::List | Field::Any)),
            Op::Exactly(_) => ("exactly", matches!(field, Field::List | Field::Any)),
            Op::OneOf(_) => ("oneOf", field != Field::Object && field != Field::List),
            Op::Exists(_) => ("exists", true),
            Op::Count(_) => ("count", matches!(field, Field::List | Field::Any)),
            Op::DiffersFrom(_) => ("differsFrom", field == Field::Object),
            Op::SameAs(_) => ("sameAs", field == Field::Object),
        };
        let label = place.label(key);
        // A bare scalar has no operator of its own in the tree.
        let written = match place.key(key) {
            at if at.is_written() && place.node.is_some_and(|node| node.entry(key).is_some()) => at,
            _ => *place,
        };
        if !fits {
            let (what, instead) = offered(field);
            let fault = Fault::new(label, format!("`{key}` makes no sense for {what}"));
            self.fault(fault.hint(format!("expected {instead}")));
            return;
        }
        match op {
            Op::Eq(value) | Op::Ne(value) | Op::Gt(value) | Op::Gte(value) | Op::Lt(value) | Op::Lte(value) => {
                self.value(value, field, &written);
            }
            Op::Between(low, high) => {
                self.value(low, field, &written.index(0));
                self.value(high, field, &written.index(1));
                if let (Field::Number(unit), false) = (field, written.extent == place.extent)
                    && let (Some(low), Some(high)) = (number(low, unit), number(high, unit))
                    && low > high
                {
                    let fault = Fault::new(written.extent, "`between` has its bounds the wrong way round");
                    self.fault(fault.hint("expected [low, high]"));
                }
            }
            Op::Approx { value, abs, rel, .. } => {
                self.value(value, field, &written);
                if let Some(abs) = abs {
                    self.value(abs, field, &place.key("abs"));
                }
                if let Some(rel) = rel
                    && number(rel, Unit::Share).is_none()
                {
                    let fault = Fault::new(place.key("rel").extent, format!("`{}` is not a share", plain(rel)));
                    self.fault(fault.hint("expected a percentage such as `5%`"));
                }
            }
            Op::Matches(expression) => {
                if let Err(error) = regex_lite::Regex::new(expression) {
                    let fault = Fault::new(written.extent, format!("`{expression}` is not a regular expression"));
                    self.fault(fault.hint(error.to_string()));
                }
            }
            Op::OneOf(values) => {
                for (n, value) in values.iter().enumerate() {
                    self.value(value, field, &written.index(n));
                }
            }
            Op::Count(count) => self.matcher(count, Field::Number(Unit::Number), &written),
            Op::DiffersFrom(name) | Op::SameAs(name) => {
                if name != "host" && !self.names.host_processes.contains(name) {
                    let known = self.names.workloads.iter().map(String::as_str);
                    if !name.contains("${") && !self.names.workloads.contains(name) {
                        let fault = Fault::new(written.extent, format!("unknown workload `{name}`"))
                            .hint("expected `host` or a workload")
                            .suggest(name, known.chain(["host"]));
                        self.fault(fault);
                    }
                }
            }
            Op::Contains(_) | Op::ContainsAll(_) | Op::Exactly(_) | Op::Exists(_) => {}
        }
    }

    fn value(&mut self, value: &Value, field: Field, place: &Place<'_>) {
        if value.as_str().is_some_and(|text| text.contains("${")) {
            return;
        }
        let wrong = |what: &str| Fault::new(place.extent, format!("`{}` is not {what}", plain(value)));
        match (value, field) {
            (Value::Array(_), _) => {
                let fault = Fault::new(place.extent, "a list never compares by accident");
                self.fault(fault.hint("say `contains`, `containsAll` or `exactly`"));
            }
            (Value::Object(_), _) => {
                let fault = Fault::new(place.extent, "a map does not compare");
                self.fault(fault.hint("expected a scalar"));
            }
            (Value::Null, Field::Any) => {}
            (Value::Null, _) => {
                let fault = Fault::new(place.extent, "nothing does not compare");
                self.fault(fault.hint("expected a value, or the operator `exists`"));
            }
            (value, Field::Number(unit)) => {
                let is_max = value.as_str() == Some("max");
                if !is_max && number(value, unit).is_none() {
                    let (expected, example) = match unit {
                        Unit::Bytes => ("a number of bytes", "64Mi"),
                        Unit::Duration => ("a duration", "300ms"),
                        Unit::Share => ("a percentage", "20%"),
                        Unit::Number | Unit::Text | Unit::List => ("a number", "3"),
                    };
                    self.fault(wrong(expected).hint(format!("expected {expected} such as `{example}`")));
                }
            }
            (value, Field::Word(words)) => {
                let text = plain(value);
                if !words.contains(&text.as_str()) {
                    let fault = Fault::new(place.extent, format!("unknown value `{text}`"))
                        .hint(format!("expected one of {}", words.join(", ")));
                    self.fault(fault.suggest(&text, words.iter().copied()));
                }
            }
            (value, Field::Signal) => {
                let text = plain(value);
                if text != "none" && !is_signal(&text) {
                    let fault = Fault::new(place.extent, format!("unknown signal `{text}`"));
                    self.fault(fault.hint("expected a name such as `SIGKILL`, or `none`"));
                }
            }
            (_, Field::Text | Field::List | Field::Object | Field::Any) => {}
        }
    }
}

fn ordered(field: Field) -> bool {
    matches!(field, Field::Number(_) | Field::Any)
}

/// What a field is, and what may be asked of it.
fn offered(field: Field) -> (&'static str, &'static str) {
    match field {
        Field::Number(_) => (
            "a number",
            "a value, ne, gt, gte, lt, lte, between, approx, oneOf or exists",
        ),
        Field::Text => ("text", "a value, ne, matches, contains, containsAll, oneOf or exists"),
        Field::Word(_) | Field::Signal => ("a word", "a value, ne, oneOf or exists"),
        Field::List => ("a list", "contains, containsAll, exactly, count or exists"),
        Field::Object => ("a namespace", "differsFrom, sameAs or exists"),
        Field::Any => ("this", "another operator"),
    }
}

/// A value in its unit; `None` if it is not of that unit.
pub(crate) fn number(value: &Value, unit: Unit) -> Option<f64> {
    match (value, unit) {
        // A bare number of seconds or of microseconds? It must say.
        (Value::Number(number), Unit::Duration) => number.as_f64().filter(|n| *n == 0.0),
        (Value::Number(number), _) => number.as_f64(),
        (Value::String(text), Unit::Bytes) => text.parse::<Bytes>().ok().map(|bytes| bytes.0 as f64),
        (Value::String(text), Unit::Duration) => text.parse::<Span>().ok().map(|span| span.0.as_secs_f64()),
        (Value::String(text), Unit::Share) => percent(text).or_else(|| text.parse().ok()),
        (Value::String(text), Unit::Number) => text.parse().ok(),
        _ => None,
    }
}

pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
