//! What a value must be: a scalar means *equals*, a map means operators, and a list must say how it compares.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

/// One operator of a [`Matcher`].
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// Equal, after both sides are read with the same unit.
    Eq(Value),
    /// Not equal.
    Ne(Value),
    /// Greater than.
    Gt(Value),
    /// Greater than or equal.
    Gte(Value),
    /// Less than.
    Lt(Value),
    /// Less than or equal.
    Lte(Value),
    /// Within two bounds, both included.
    Between(Value, Value),
    /// Equivalent within a tolerance; of a sample, its confidence interval must lie inside the bounds.
    Approx {
        /// The value aimed at.
        value: Value,
        /// Tolerance in the unit of the value (percentage points for `%`).
        abs: Option<Value>,
        /// Tolerance as a share of the value.
        rel: Option<Value>,
        /// Confidence of the interval over all looks together, 0.95 unless told.
        confidence: Option<f64>,
    },
    /// A regular expression that must match somewhere in the text.
    Matches(String),
    /// A text contains this text, or a list contains this element.
    Contains(Value),
    /// A list contains all of these.
    ContainsAll(Vec<Value>),
    /// A list has exactly these elements; order counts only where the field says so.
    Exactly(Vec<Value>),
    /// The value is one of these.
    OneOf(Vec<Value>),
    /// The value is there at all.
    Exists(bool),
    /// The number of elements.
    Count(Box<Matcher>),
    /// Not the same kernel object as that of `host` or of a workload.
    DiffersFrom(String),
    /// The same kernel object as that of `host` or of a workload.
    SameAs(String),
}

/// What a value must be. All operators must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Matcher(pub Vec<Op>);

impl Matcher {
    /// The matcher that a bare scalar stands for.
    pub fn eq(value: impl Into<Value>) -> Self {
        Self(vec![Op::Eq(value.into())])
    }
}

/// The map form, field by field. Also the form in which a matcher travels.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Operators")]
struct Operators {
    /// Equal.
    #[serde(
        default,
        deserialize_with = "crate::workload::given",
        skip_serializing_if = "Option::is_none"
    )]
    eq: Option<Value>,
    /// Not equal.
    #[serde(
        default,
        deserialize_with = "crate::workload::given",
        skip_serializing_if = "Option::is_none"
    )]
    ne: Option<Value>,
    /// Greater than.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gt: Option<Value>,
    /// Greater than or equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gte: Option<Value>,
    /// Less than.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lt: Option<Value>,
    /// Less than or equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lte: Option<Value>,
    /// Within `[low, high]`, both included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    between: Option<[Value; 2]>,
    /// Equivalent within `abs` or `rel`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approx: Option<Value>,
    /// Tolerance of `approx` in the unit of the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    abs: Option<Value>,
    /// Tolerance of `approx` as a share of the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rel: Option<Value>,
    /// Confidence of the interval of `approx`, over all looks at a growing sample together (0.95 unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    confidence: Option<f64>,
    /// A regular expression that matches somewhere in the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    matches: Option<String>,
    /// The text contains this text, or the list this element.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    contains: Option<Value>,
    /// The list contains all of these. A reference to a list stands for its elements.
    #[serde(
        default,
        deserialize_with = "list_or_reference",
        skip_serializing_if = "Option::is_none"
    )]
    contains_all: Option<Vec<Value>>,
    /// The list has exactly these elements. A reference to a list (`${web.podIPs}`) stands for its elements.
    #[serde(
        default,
        deserialize_with = "list_or_reference",
        skip_serializing_if = "Option::is_none"
    )]
    exactly: Option<Vec<Value>>,
    /// The value is one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    one_of: Option<Vec<Value>>,
    /// The value is there at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exists: Option<bool>,
    /// The number of elements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    count: Option<Box<Matcher>>,
    /// Another kernel object than that of `host` or of a workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    differs_from: Option<String>,
    /// The same kernel object as that of `host` or of a workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    same_as: Option<String>,
}

/// A list; or one reference that a run resolves to a list, which is kept as the list of that reference.
fn list_or_reference<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Value>>, D::Error> {
    struct Visitor;
    impl<'de> de::Visitor<'de> for Visitor {
        type Value = Vec<Value>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list, or a reference to one such as `${web.podIPs}`")
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<Value>, E> {
            if text.starts_with("${") && text.ends_with('}') && text.matches("${").count() == 1 {
                Ok(vec![Value::from(text)])
            } else {
                Err(E::invalid_type(de::Unexpected::Str(text), &self))
            }
        }
        fn visit_seq<A: de::SeqAccess<'de>>(self, list: A) -> Result<Vec<Value>, A::Error> {
            Vec::deserialize(de::value::SeqAccessDeserializer::new(list))
        }
    }
    deserializer.deserialize_any(Visitor).map(Some)
}

impl Operators {
    fn matcher(self) -> Result<Matcher, &'static str> {
        let mut ops = Vec::new();
        if self.approx.is_some() && self.abs.is_none() && self.rel.is_none() {
            return Err("`approx` needs a tolerance: `abs` or `rel`");
        }
        if self.approx.is_none() && (self.abs.is_some() || self.rel.is_some() || self.confidence.is_some()) {
            return Err("`abs`, `rel` and `confidence` belong to `approx`");
        }
        if [&self.contains_all, &self.one_of]
            .into_iter()
            .flatten()
            .any(Vec::is_empty)
        {
            return Err("an empty list matches nothing or everything; leave the operator out or name what is expected");
        }
        if self.confidence.is_some_and(|c| !(0.5..1.0).contains(&c)) {
            return Err("`confidence` lies between 0.5 and 1, such as 0.95");
        }
        ops.extend(self.eq.map(Op::Eq));
        ops.extend(self.ne.map(Op::Ne));
        ops.extend(self.gt.map(Op::Gt));
        ops.extend(self.gte.map(Op::Gte));
        ops.extend(self.lt.map(Op::Lt));
        ops.extend(self.lte.map(Op::Lte));
        ops.extend(self.between.map(|[low, high]| Op::Between(low, high)));
        if let Some(value) = self.approx {
            ops.push(Op::Approx {
                value,
                abs: self.abs,
                rel: self.rel,
                confidence: self.confidence,
            });
        }
        ops.extend(self.matches.map(Op::Matches));
        ops.extend(self.contains.map(Op::Contains));
        ops.extend(self.contains_all.map(Op::ContainsAll));
        ops.extend(self.exactly.map(Op::Exactly));
        ops.extend(self.one_of.map(Op::OneOf));
        ops.extend(self.exists.map(Op::Exists));
        ops.extend(self.count.map(Op::Count));
        ops.extend(self.differs_from.map(Op::DiffersFrom));
        ops.extend(self.same_as.map(Op::SameAs));
        if ops.is_empty() {
            Err("an empty expectation holds for everything; name an operator")
        } else {
            Ok(Matcher(ops))
        }
    }

    fn of(matcher: &Matcher) -> Self {
        let mut all = Self::default();
        for op in matcher.0.iter().cloned() {
            match op {
                Op::Eq(v) => all.eq = Some(v),
                Op::Ne(v) => all.ne = Some(v),
                Op::Gt(v) => all.gt = Some(v),
                Op::Gte(v) => all.gte = Some(v),
                Op::Lt(v) => all.lt = Some(v),
                Op::Lte(v) => all.lte = Some(v),
                Op::Between(low, high) => all.between = Some([low, high]),
                Op::Approx {
                    value,
                    abs,
                    rel,
                    confidence,
                } => {
                    (all.approx, all.abs, all.rel, all.confidence) = (Some(value), abs, rel, confidence);
                }
                Op::Matches(v) => all.matches = Some(v),
                Op::Contains(v) => all.contains = Some(v),
                Op::ContainsAll(v) => all.contains_all = Some(v),
                Op::Exactly(v) => all.exactly = Some(v),
                Op::OneOf(v) => all.one_of = Some(v),
                Op::Exists(v) => all.exists = Some(v),
                Op::Count(v) => all.count = Some(v),
                Op::DiffersFrom(v) => all.differs_from = Some(v),
                Op::SameAs(v) => all.same_as = Some(v),
            }
        }
        all
    }
}

impl<'de> Deserialize<'de> for Matcher {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Matcher;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a scalar (equals) or a map of operators")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Matcher, E> {
                Ok(Matcher::eq(Value::Null))
            }
            fn visit_bool<E: de::Error>(self, v: bool) -> Result<Matcher, E> {
                Ok(Matcher::eq(v))
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Matcher, E> {
                Ok(Matcher::eq(v))
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Matcher, E> {
                Ok(Matcher::eq(v))
            }
            fn visit_f64<E: de::Error>(self, v: f64) -> Result<Matcher, E> {
                Ok(Matcher::eq(v))
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Matcher, E> {
                Ok(Matcher::eq(v))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, _: A) -> Result<Matcher, A::Error> {
                Err(de::Error::custom(
                    "a list never compares by accident: say `contains`, `containsAll` or `exactly`",
                ))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Matcher, A::Error> {
                Operators::deserialize(de::value::MapAccessDeserializer::new(map))?
                    .matcher()
                    .map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Serialize for Matcher {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [Op::Eq(value)] if !value.is_array() && !value.is_object() => value.serialize(serializer),
            _ => Operators::of(self).serialize(serializer),
        }
    }
}

impl fmt::Display for Matcher {
    /// As a person reads it in a failure: `>= 1`, `SIGKILL`, `exactly [a, b]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn plain(value: &Value) -> String {
            value.as_str().map_or_else(|| value.to_string(), str::to_owned)
        }
        fn list(values: &[Value]) -> String {
            format!("[{}]", values.iter().map(plain).collect::<Vec<_>>().join(", "))
        }
        for (n, op) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str(" and ")?;
            }
            match op {
                Op::Eq(v) => write!(f, "{}", plain(v))?,
                Op::Ne(v) => write!(f, "not {}", plain(v))?,
                Op::Gt(v) => write!(f, "> {}", plain(v))?,
                Op::Gte(v) => write!(f, ">= {}", plain(v))?,
                Op::Lt(v) => write!(f, "< {}", plain(v))?,
                Op::Lte(v) => write!(f, "<= {}", plain(v))?,
                Op::Between(low, high) => write!(f, "between {} and {}", plain(low), plain(high))?,
                Op::Approx {
                    value,
                    abs,
                    rel,
                    confidence,
                } => {
                    write!(f, "{} ±", plain(value))?;
                    match (abs, rel) {
                        (Some(abs), _) => write!(f, "{}", plain(abs))?,
                        (None, Some(rel)) => write!(f, "{} of it", plain(rel))?,
                        (None, None) => f.write_str("?")?,
                    }
                    write!(f, " at {} % confidence", confidence.unwrap_or(0.95) * 100.0)?;
                }
                Op::Matches(v) => write!(f, "matches /{v}/")?,
                Op::Contains(v) => write!(f, "contains {}", plain(v))?,
                Op::ContainsAll(v) => write!(f, "contains all of {}", list(v))?,
                Op::Exactly(v) => write!(f, "exactly {}", list(v))?,
                Op::OneOf(v) => write!(f, "one of {}", list(v))?,
                Op::Exists(true) => f.write_str("exists")?,
                Op::Exists(false) => f.write_str("does not exist")?,
                Op::Count(m) => write!(f, "count {m}")?,
                Op::DiffersFrom(v) => write!(f, "differs from {v}'s")?,
                Op::SameAs(v) => write!(f, "the same as {v}'s")?,
            }
        }
        Ok(())
    }
}

impl JsonSchema for Matcher {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Matcher".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let operators = generator.subschema_for::<Operators>();
        schemars::json_schema!({
            "description": "A scalar means equals, null that there is none; a map means operators.",
            "anyOf": [{"type": ["string", "number", "boolean", "null"]}, operators],
        })
    }
}
