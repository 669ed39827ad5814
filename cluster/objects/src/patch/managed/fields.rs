//! Sets of fields as `managedFields` hold them: `FieldsV1`.
//!
//! See <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/> and
//! <https://github.com/kubernetes-sigs/structured-merge-diff>.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::{Map, Value};

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Element {
    /// Of a map or message.
    Field(String),
    /// Of a list whose items are told by keys.
    Key(BTreeMap<String, Atom>),
    /// Of a list whose items are told by themselves.
    Value(Atom),
    /// Of any other list.
    Index(usize),
}

/// A value that has no parts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Atom {
    Int(i64),
    /// A number with a fraction, as JSON writes it.
    Float(String),
    Text(String),
    Bool(bool),
    Null,
}

impl Atom {
    /// Nothing if the value has parts.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::String(text) => Self::Text(text.clone()),
            Value::Number(number) => match number.as_i64() {
                Some(int) => Self::Int(int),
                None => Self::Float(number.to_string()),
            },
            Value::Array(_) | Value::Object(_) => return None,
        })
    }
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(int) => write!(f, "{int}"),
            Self::Float(text) => f.write_str(text),
            Self::Text(text) => write!(f, "{}", Value::from(text.as_str())),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Null => f.write_str("null"),
        }
    }
}

/// As messages have it: `.spec`, `[name="a"]`, `[="x"]`.
impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(keys) => {
                let each: Vec<_> = keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
                write!(f, "[{}]", each.join(","))
            }
            Self::Value(value) => write!(f, "[={value}]"),
            Self::Index(at) => write!(f, "[{at}]"),
        }
    }
}

impl Element {
    pub(crate) fn field(name: &str) -> Self {
        Self::Field(name.into())
    }

    /// As a key of `FieldsV1`: `f:spec`, `k:{"name":"a"}`, `v:"x"`, `i:0`.
    fn encode(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(keys) => {
                let each: Vec<_> = keys
                    .iter()
                    .map(|(name, value)| format!("{}:{value}", Value::from(name.as_str())))
                    .collect();
                format!("k:{{{}}}", each.join(","))
            }
            Self::Value(value) => format!("v:{value}"),
            Self::Index(at) => format!("i:{at}"),
        }
    }

    fn decode(text: &str) -> Option<Self> {
        let (form, rest) = text.split_once(':')?;
        let json = || serde_json::from_str::<Value>(rest).ok();
        match form {
            "f" => Some(Self::Field(rest.into())),
            "v" => Some(Self::Value(Atom::of(&json()?)?)),
            "i" => Some(Self::Index(rest.parse().ok()?)),
            "k" => {
                let keys = json()?;
                let keys = keys
                    .as_object()?
                    .iter()
                    .map(|(name, value)| Some((name.clone(), Atom::of(value)?)));
                Some(Self::Key(keys.collect::<Option<_>>()?))
            }
            _ => None,
        }
    }
}

/// A set of paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Set {
    pub(crate) members: BTreeSet<Element>,
    pub(crate) children: BTreeMap<Element, Set>,
}

impl Set {
    pub(crate) fn insert(&mut self, path: &[Element]) {
        match path {
            [] => {}
            [last] => {
                self.members.insert(last.clone());
            }
            [first, rest @ ..] => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.values().all(Self::is_empty)
    }

    pub(crate) fn union(mut self, other: &Self) -> Self {
        self.add(other);
        self
    }

    fn add(&mut self, other: &Self) {
        self.members.extend(other.members.iter().cloned());
        for (element, child) in &other.children {
            self.children.entry(element.clone()).or_default().add(child);
        }
    }

    /// Without the paths of another; what is below them stays.
    pub(crate) fn minus(&self, other: &Self) -> Self {
        self.combine(
            other,
            |members, others| members.difference(others).cloned().collect(),
            |child, other| match other {
                Some(other) => child.minus(other),
                None => child.clone(),
            },
        )
    }

    /// Paths that are in both.
    pub(crate) fn common(&self, other: &Self) -> Self {
        self.combine(
            other,
            |members, others| members.intersection(others).cloned().collect(),
            |child, other| other.map(|other| child.common(other)).unwrap_or_default(),
        )
    }

    fn combine(
        &self,
        other: &Self,
        members: fn(&BTreeSet<Element>, &BTreeSet<Element>) -> BTreeSet<Element>,
        child: fn(&Self, Option<&Self>) -> Self,
    ) -> Self {
        let children = self
            .children
            .iter()
            .map(|(element, one)| (element.clone(), child(one, other.children.get(element))));
        Self {
            members: members(&self.members, &other.members),
            children: children.filter(|(_, child)| !child.is_empty()).collect(),
        }
    }

    /// Without a field of the object and all that is in it.
    pub(crate) fn without_field(mut self, name: &str) -> Self {
        let element = Element::field(name);
        self.members.remove(&element);
        self.children.remove(&element);
        self
    }

    /// Every path, in order.
    pub(crate) fn paths(&self) -> Vec<Vec<Element>> {
        let mut all = Vec::new();
        self.collect(&mut Vec::new(), &mut all);
        all
    }

    fn collect(&self, at: &mut Vec<Element>, all: &mut Vec<Vec<Element>>) {
        let steps: BTreeSet<_> = self.members.iter().chain(self.children.keys()).collect();
        for step in steps {
            at.push(step.clone());
            if self.members.contains(step) {
                all.push(at.clone());
            }
            if let Some(child) = self.children.get(step) {
                child.collect(at, all);
            }
            at.pop();
        }
    }

    /// As `fieldsV1`.
    pub(crate) fn encode(&self) -> Value {
        Value::Object(self.encode_with(false))
    }

    fn encode_with(&self, own: bool) -> Map<String, Value> {
        let mut fields = Map::new();
        if own {
            fields.insert(".".into(), Map::new().into());
        }
        let steps: BTreeSet<_> = self.members.iter().chain(self.children.keys()).collect();
        for step in steps {
            let inner = match self.children.get(step) {
                Some(child) => child.encode_with(self.members.contains(step)),
                None => Map::new(),
            };
            fields.insert(step.encode(), inner.into());
        }
        fields
    }

    /// Of `fieldsV1`; steps of a form that is not known are left out.
    pub(crate) fn decode(fields: &Value) -> Self {
        let mut set = Self::default();
        for (key, inner) in fields.as_object().into_iter().flatten() {
            let Some(step) = Element::decode(key) else { continue };
            let child = Self::decode(inner);
            let own = inner.get(".").is_some() || child.is_empty();
            if !child.is_empty() {
                set.children.insert(step.clone(), child);
            }
            if own {
                set.members.insert(step);
            }
        }
        set
    }
}

/// A path as messages have it.
pub(crate) fn written(path: &[Element]) -> String {
    path.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_come_back_as_they_were() {
        let fields = json!({"f:metadata": {"f:finalizers": {".": {}, "v:\"x\"": {}}},
            "f:spec": {"f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}}}, "f:x": {"i:0": {}}}});
        let set = Set::decode(&fields);
        assert_eq!(set.encode(), fields);
        let paths: Vec<_> = set.paths().iter().map(|path| written(path)).collect();
        assert_eq!(
            paths,
            [
                ".metadata.finalizers",
                ".metadata.finalizers[=\"x\"]",
                ".spec.ports[containerPort=80,protocol=\"TCP\"]",
                ".spec.ports[containerPort=80,protocol=\"TCP\"].name",
                ".spec.x[0]",
            ]
        );
        assert_eq!(Set::decode(&json!({"z:?": {}, "f:a": {}})).encode(), json!({"f:a": {}}));
    }

    #[test]
    fn sets_are_sets() {
        let a = Set::decode(&json!({"f:a": {".": {}, "f:b": {}}, "f:c": {}}));
        let b = Set::decode(&json!({"f:a": {}, "f:d": {}}));
        assert_eq!(a.minus(&b).encode(), json!({"f:a": {"f:b": {}}, "f:c": {}}));
        assert_eq!(a.common(&b).encode(), json!({"f:a": {}}));
        assert_eq!(
            a.clone().union(&b).encode(),
            json!({"f:a": {".": {}, "f:b": {}}, "f:c": {}, "f:d": {}})
        );
        assert!(a.minus(&a).is_empty());
    }
}
