//! Objects with the table at hand: which fields one sets, how two differ, two made one, and one without some of its fields.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use serde_json::{Map, Value};

use super::managed::fields::{Atom, Element, Set, written};
use crate::schema::{Field, List, Message, Shape, Type};

/// How a value is owned.
#[derive(Clone, Copy)]
pub(crate) enum Node {
    /// As a whole.
    Leaf,
    /// Field by field.
    Object(&'static Message),
    /// Key by key.
    Map,
    /// Item by item, each told by itself.
    Set,
    /// Item by item, each told by these keys.
    Keyed(&'static Field, &'static [&'static str]),
}

impl Node {
    fn of(field: &'static Field) -> Self {
        match (field.shape, &field.list) {
            (Shape::One, _) if field.atomic => Self::Leaf,
            (Shape::One, _) => Self::item(field),
            (Shape::List, List::Atomic) => Self::Leaf,
            (Shape::List, List::Set) => Self::Set,
            (Shape::List, List::Map(keys)) => Self::Keyed(field, keys),
            (Shape::Map, _) if field.atomic => Self::Leaf,
            (Shape::Map, _) => Self::Map,
        }
    }

    fn item(field: &'static Field) -> Self {
        match field.message() {
            Some(message) if !message.atomic => Self::Object(message),
            _ => Self::Leaf,
        }
    }

    fn below(self, element: &Element) -> Self {
        match (self, element) {
            (Self::Object(message), Element::Field(name)) => message.field(name).map_or(Self::Leaf, Self::of),
            (Self::Keyed(field, _), Element::Key(_)) => Self::item(field),
            _ => Self::Leaf,
        }
    }

    /// What is in a value of this node; nothing if it is a leaf, or not of the form that it should have.
    fn parts(self, value: &Value) -> Option<Vec<(Element, &Value)>> {
        match (self, value) {
            (Self::Object(_) | Self::Map, Value::Object(fields)) => Some(
                fields
                    .iter()
                    .map(|(name, value)| (Element::field(name), value))
                    .collect(),
            ),
            (Self::Set, Value::Array(items)) => items
                .iter()
                .map(|item| Some((Element::Value(Atom::of(item)?), item)))
                .collect(),
            (Self::Keyed(field, keys), Value::Array(items)) => items
                .iter()
                .map(|item| Some((key_of(field, keys, item).ok()?, item)))
                .collect(),
            (Self::Object(_) | Self::Map | Self::Set | Self::Keyed(..), Value::Null) => Some(Vec::new()),
            _ => None,
        }
    }

    /// The value with those parts; nothing if there are none.
    fn whole(self, parts: Vec<(Element, Value)>) -> Option<Value> {
        if parts.is_empty() {
            return None;
        }
        Some(match self {
            Self::Object(_) | Self::Map | Self::Leaf => {
                let fields = parts.into_iter().filter_map(|(element, value)| match element {
                    Element::Field(name) => Some((name, value)),
                    _ => None,
                });
                Value::Object(fields.collect())
            }
            Self::Set | Self::Keyed(..) => Value::Array(parts.into_iter().map(|(_, value)| value).collect()),
        })
    }
}

/// By which item of a list an item is known, or why it is not.
fn key_of(field: &'static Field, keys: &[&str], item: &Value) -> Result<Element, String> {
    let Value::Object(fields) = item else {
        return Err("associative list with keys may not have non-map elements".into());
    };
    let of = field.message();
    let mut all = BTreeMap::new();
    for key in keys {
        let found = fields.get(*key).and_then(Atom::of);
        let value = found.or_else(|| meant(of?.field(key)?)).ok_or_else(|| {
            format!("associative list with keys has an element that omits key field {key:?} (and doesn't have default value)")
        })?;
        all.insert((*key).to_owned(), value);
    }
    Ok(Element::Key(all))
}

/// What is meant by the absence of a key.
fn meant(field: &Field) -> Option<Atom> {
    match (field.default, field.ty) {
        (Some(default), Type::String) => Some(Atom::Text(default.into())),
        (None, Type::String) if !field.omit && !field.pointer => Some(Atom::Text(String::new())),
        (None, Type::Int32 | Type::Int64) if !field.omit && !field.pointer => Some(Atom::Int(0)),
        _ => None,
    }
}

/// The fields that an object sets.
pub(crate) fn fields(message: &'static Message, object: &Value) -> Set {
    fields_of(Node::Object(message), object).1
}

/// Whether the value itself is owned, and what in it is.
fn fields_of(node: Node, value: &Value) -> (bool, Set) {
    let Some(parts) = node.parts(value) else {
        return (true, Set::default());
    };
    let empty_map = matches!(value, Value::Object(fields) if fields.is_empty());
    let mut set = Set::default();
    for (element, part) in parts {
        let (own, inner) = fields_of(node.below(&element), part);
        if own || matches!(element, Element::Key(_) | Element::Value(_)) {
            set.members.insert(element.clone());
        }
        if !inner.is_empty() {
            set.children.insert(element, inner);
        }
    }
    (value.is_null() || empty_map, set)
}

/// How an object differs from an earlier one.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub(crate) removed: Set,
    pub(crate) modified: Set,
    pub(crate) added: Set,
}

impl Comparison {
    /// Without a field of the object and all that is in it.
    pub(crate) fn without_field(self, name: &str) -> Self {
        Self {
            removed: self.removed.without_field(name),
            modified: self.modified.without_field(name),
            added: self.added.without_field(name),
        }
    }
}

/// How `new` differs from `old`.
pub(crate) fn compare(message: &'static Message, old: &Value, new: &Value) -> Comparison {
    let mut comparison = Comparison::default();
    compare_at(
        Node::Object(message),
        Some(old),
        Some(new),
        &mut Vec::new(),
        &mut comparison,
    );
    comparison
}

fn compare_at(node: Node, old: Option<&Value>, new: Option<&Value>, at: &mut Vec<Element>, out: &mut Comparison) {
    if old == new {
        return;
    }
    let parts = |value: Option<&Value>| value.map_or(Some(0), |value| node.parts(value).map(|parts| parts.len()));
    let is_leaf = match (parts(old), parts(new)) {
        // Two that are empty differ as a whole: `{}` is not null.
        (Some(0), Some(0)) => true,
        (Some(_), Some(_)) => false,
        _ => true,
    };
    if !is_leaf {
        compare_parts(node, old, new, at, out);
    }
    match (old, new) {
        (None, _) => out.added.insert(at),
        (_, None) => out.removed.insert(at),
        (Some(old), Some(new)) if is_leaf && old != new => out.modified.insert(at),
        _ => {}
    }
}

fn compare_parts(node: Node, old: Option<&Value>, new: Option<&Value>, at: &mut Vec<Element>, out: &mut Comparison) {
    let mut all: BTreeMap<Element, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
    for (element, value) in old.and_then(|value| node.parts(value)).into_iter().flatten() {
        all.entry(element).or_default().0.push(value);
    }
    for (element, value) in new.and_then(|value| node.parts(value)).into_iter().flatten() {
        all.entry(element).or_default().1.push(value);
    }
    for (element, (old, new)) in all {
        let below = node.below(&element);
        at.push(element);
        // Items that share a key are owned together.
        match (old.as_slice(), new.as_slice()) {
            ([], []) => {}
            ([_, _, ..], [_, _, ..]) => {
                if old != new {
                    out.modified.insert(at);
                }
            }
            ([_, _, ..], rest) => {
                if let [new] = rest {
                    compare_at(below, None, Some(new), at, out);
                }
                out.removed.insert(at);
            }
            (rest, [_, _, ..]) => {
                if let [old] = rest {
                    compare_at(below, Some(old), None, at, out);
                }
                out.added.insert(at);
            }
            (old, new) => compare_at(below, old.first().copied(), new.first().copied(), at, out),
        }
        at.pop();
    }
}

/// `old` with all that `new` sets.
pub(crate) fn merge(message: &'static Message, old: &Value, new: &Value) -> Value {
    merge_at(Node::Object(message), Some(old), Some(new)).unwrap_or_else(|| Value::Object(Map::new()))
}

fn merge_at(node: Node, old: Option<&Value>, new: Option<&Value>) -> Option<Value> {
    let (Some(old), Some(new)) = (old, new) else {
        return old.or(new).cloned();
    };
    let (Some(olds), Some(news)) = (node.parts(old), node.parts(new)) else {
        return Some(new.clone());
    };
    if olds.is_empty() && news.is_empty() {
        return Some(new.clone());
    }
    let merged = match node {
        Node::Set | Node::Keyed(..) => merge_items(node, &olds, &news),
        Node::Object(_) | Node::Map | Node::Leaf => {
            let by_name: HashMap<&Element, &Value> = news.iter().map(|(element, value)| (element, *value)).collect();
            let known: HashSet<&Element> = olds.iter().map(|(element, _)| element).collect();
            let mut merged: Vec<_> = olds
                .iter()
                .filter_map(|(element, value)| {
                    let value = merge_at(node.below(element), Some(value), by_name.get(element).copied())?;
                    Some((element.clone(), value))
                })
                .collect();
            let added = news.iter().filter(|(element, _)| !known.contains(element));
            merged.extend(added.map(|(element, value)| (element.clone(), (*value).clone())));
            merged
        }
    };
    node.whole(merged)
}

/// Items in the order of `new`; those that only `old` has stay before the shared one that followed them, where there is one.
fn merge_items(node: Node, old: &[(Element, &Value)], new: &[(Element, &Value)]) -> Vec<(Element, Value)> {
    let mut olds: HashMap<&Element, Option<&Value>> = HashMap::new();
    for (element, value) in old {
        // Items that share a key cannot be merged with one.
        olds.entry(element).and_modify(|one| *one = None).or_insert(Some(value));
    }
    let news: HashSet<&Element> = new.iter().map(|(element, _)| element).collect();
    let mut shared: VecDeque<&Element> = new
        .iter()
        .map(|(element, _)| element)
        .filter(|element| olds.contains_key(element))
        .collect();
    let mut out = Vec::new();
    let mut done: HashSet<&Element> = HashSet::new();
    let (mut rest, mut coming) = (old, new);
    loop {
        if let ([(element, value), tail @ ..], _) = (rest, coming) {
            if !news.contains(element) {
                out.push((element.clone(), (*value).clone()));
                rest = tail;
                continue;
            }
            let waits = shared.front().is_some_and(|next| *next != element);
            if done.contains(element) || (waits && !coming.is_empty()) {
                rest = tail;
                continue;
            }
        }
        let [(element, value), tail @ ..] = coming else { break };
        let merged = merge_at(node.below(element), olds.get(element).copied().flatten(), Some(value));
        out.extend(merged.map(|merged| (element.clone(), merged)));
        done.insert(element);
        if shared.front() == Some(&element) {
            shared.pop_front();
        }
        coming = tail;
    }
    out
}

/// The object without these fields. What has lost all that was in it goes, too.
pub(crate) fn remove(message: &'static Message, object: &Value, gone: &Set) -> Value {
    remove_at(Node::Object(message), object, gone).unwrap_or_else(|| Value::Object(Map::new()))
}

fn remove_at(node: Node, value: &Value, gone: &Set) -> Option<Value> {
    let Some(parts) = node.parts(value) else {
        return Some(value.clone());
    };
    let kept = parts.into_iter().filter(|(element, _)| !gone.members.contains(element));
    let kept = kept.filter_map(|(element, part)| {
        let part = match gone.children.get(&element) {
            Some(inner) => remove_at(node.below(&element), part, inner)?,
            None => part.clone(),
        };
        Some((element, part))
    });
    node.whole(kept.collect())
}

/// The set with every field through which one of its paths leads.
pub(crate) fn with_parents(message: &'static Message, set: &Set) -> Set {
    with_parents_at(Node::Object(message), set)
}

fn with_parents_at(node: Node, set: &Set) -> Set {
    let mut whole = Set {
        members: set.members.clone(),
        children: BTreeMap::new(),
    };
    for (element, child) in &set.children {
        if let (Node::Object(message), Element::Field(name)) = (node, element)
            && message.field(name).is_some()
        {
            whole.members.insert(element.clone());
        }
        whole
            .children
            .insert(element.clone(), with_parents_at(node.below(element), child));
    }
    whole
}

/// Faults of an object that is to be applied: unknown fields, wrong types, items without keys or with the same.
pub(crate) fn faults(message: &'static Message, object: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    match object {
        Value::Object(fields) => faults_of(message, fields, &mut Vec::new(), &mut faults),
        _ => faults.push("expected map".into()),
    }
    faults
}

fn faults_of(message: &'static Message, object: &Map<String, Value>, at: &mut Vec<Element>, out: &mut Vec<String>) {
    for (name, value) in object {
        at.push(Element::field(name));
        match message.field(name) {
            None => out.push(format!("{}: field not declared in schema", written(at))),
            Some(field) => field_faults(field, value, at, out),
        }
        at.pop();
    }
}

fn field_faults(field: &'static Field, value: &Value, at: &mut Vec<Element>, out: &mut Vec<String>) {
    let mut wrong = |wanted: &str| out.push(format!("{}: expected {wanted}, got {value}", written(at)));
    match (field.shape, value) {
        (_, Value::Null) => {}
        (Shape::One, value) => item_faults(field, value, at, out),
        (Shape::Map, Value::Object(items)) => {
            for (key, item) in items {
                at.push(Element::field(key));
                item_faults(field, item, at, out);
                at.pop();
            }
        }
        (Shape::Map, _) => wrong("map"),
        (Shape::List, Value::Array(items)) => {
            let mut seen = HashSet::new();
            for (index, item) in items.iter().enumerate() {
                let element = match &field.list {
                    List::Atomic => Ok(Element::Index(index)),
                    List::Map(keys) => key_of(field, keys, item),
                    List::Set => Atom::of(item)
                        .map(Element::Value)
                        .ok_or_else(|| "associative list without keys has an element that's a map type".into()),
                };
                let element = match element {
                    Ok(element) => element,
                    Err(why) => {
                        out.push(format!("{}: element {index}: {why}", written(at)));
                        return;
                    }
                };
                if !seen.insert(element.to_string()) {
                    out.push(format!("{}: duplicate entries for key {element}", written(at)));
                }
                at.push(element);
                item_faults(field, item, at, out);
                at.pop();
            }
        }
        (Shape::List, _) => wrong("list"),
    }
}

fn item_faults(field: &'static Field, value: &Value, at: &mut Vec<Element>, out: &mut Vec<String>) {
    let (fits, wanted) = match (field.ty, value) {
        (_, Value::Null) => return,
        (Type::Message(id), Value::Object(fields)) => return faults_of(id.message(), fields, at, out),
        (Type::Message(_), _) => (false, "map"),
        (Type::FieldsV1, value) => (value.is_object(), "map"),
        (Type::Bool, value) => (value.is_boolean(), "boolean"),
        (Type::Int32 | Type::Int64, value) => (value.is_number(), "numeric (int or float)"),
        (Type::Quantity | Type::IntOrString, value) => (Atom::of(value).is_some(), "any scalar"),
        (Type::String | Type::Bytes | Type::Time | Type::MicroTime, value) => (value.is_string(), "string"),
    };
    if !fits {
        out.push(format!("{}: expected {wanted}, got {value}", written(at)));
    }
}
