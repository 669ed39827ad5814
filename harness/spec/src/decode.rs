//! Decoding a [`Node`] tree into the types of this crate, with the position of every fault and all faults of a tree.
//!
//! serde gives up at the first fault. To find the others, a faulty list element, map entry or field is noted as unusable
//! and the tree is decoded again without it, until nothing faulty is left. A fault that is only there because something
//! was left out is not told.

use std::{cell::RefCell, collections::HashSet, fmt};

use serde::{
    Deserialize,
    de::{self, DeserializeSeed, IntoDeserializer, Unexpected, Visitor},
};

use crate::{
    fault::Fault,
    node::{Entry, Extent, Node, Value},
    span::SPANNED,
};

/// Faults of one tree after which no more are looked for.
const MOST_FAULTS: usize = 100;

/// What decoding a tree gave.
#[derive(Debug)]
pub struct Decoded<T> {
    /// The value; of a faulty tree, what is left without the faulty parts, if anything can be.
    pub value: Option<T>,
    /// Every fault.
    pub faults: Vec<Fault>,
    /// The tree without the parts that were left out, if any were.
    pub pruned: Option<Node>,
}

/// Decodes a tree.
pub fn decode<T: for<'de> Deserialize<'de>>(node: &Node) -> Decoded<T> {
    let sink = RefCell::new(Sink::default());
    let value = loop {
        let result = T::deserialize(Decoder { node, sink: &sink });
        let mut state = sink.borrow_mut();
        match result {
            Ok(value) => break Some(value),
            Err(error) if error.told == Told::Again && state.faults.len() < MOST_FAULTS => {}
            Err(error) => {
                if error.told == Told::Not {
                    let error = error.located(node, &state);
                    if error.told == Told::Not {
                        state.faults.push(error.into_fault(node.extent));
                    }
                }
                break None;
            }
        }
    };
    let state = sink.into_inner();
    let pruned = (!state.unusable.is_empty()).then(|| prune(node, &state.unusable));
    Decoded {
        value,
        faults: state.faults,
        pruned,
    }
}

fn prune(node: &Node, unusable: &HashSet<*const Node>) -> Node {
    let usable = |node: &&Node| !unusable.contains(&std::ptr::from_ref(*node));
    let value = match &node.value {
        Value::List(elements) => Value::List(elements.iter().filter(usable).map(|n| prune(n, unusable)).collect()),
        Value::Map(entries) => Value::Map(
            entries
                .iter()
                .filter(|entry| usable(&&entry.node))
                .map(|entry| Entry {
                    key: entry.key.clone(),
                    extent: entry.extent,
                    node: prune(&entry.node, unusable),
                })
                .collect(),
        ),
        scalar => scalar.clone(),
    };
    Node {
        extent: node.extent,
        value,
    }
}

#[derive(Default)]
struct Sink {
    faults: Vec<Fault>,
    unusable: HashSet<*const Node>,
}

impl Sink {
    fn is_usable(&self, node: &Node) -> bool {
        self.unusable.is_empty() || !self.unusable.contains(&std::ptr::from_ref(node))
    }

    fn leave_out(&mut self, node: &Node) {
        self.unusable.insert(std::ptr::from_ref(node));
    }

    /// Whether something in a list or map, or in what is directly in it, was left out.
    fn lacks_part(&self, node: &Node) -> bool {
        self.lacks_child(node) || node.entries().iter().any(|entry| self.lacks_child(&entry.node))
    }

    fn lacks_child(&self, node: &Node) -> bool {
        !self.unusable.is_empty()
            && (node.elements().iter().any(|n| !self.is_usable(n))
                || node.entries().iter().any(|entry| !self.is_usable(&entry.node)))
    }
}

/// Whether a fault was put into the sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Not,
    /// It was, or it need not be, and the culprit is noted as unusable.
    Again,
    /// It need not be: something that it needs was left out.
    Needless,
}

/// A fault on its way to the next thing that can be left out.
#[derive(Debug)]
struct DecodeError(Box<Fields>);

#[derive(Debug)]
struct Fields {
    extent: Option<Extent>,
    message: String,
    hint: Option<String>,
    help: Option<String>,
    /// What was written and what is known, of an unknown name.
    unknown: Option<(String, &'static [&'static str])>,
    told: Told,
}

impl std::ops::Deref for DecodeError {
    type Target = Fields;
    fn deref(&self) -> &Fields {
        &self.0
    }
}

impl DecodeError {
    fn new(message: impl Into<String>) -> Self {
        Self(Box::new(Fields {
            extent: None,
            message: message.into(),
            hint: None,
            help: None,
            unknown: None,
            told: Told::Not,
        }))
    }

    fn at(mut self, extent: Extent) -> Self {
        self.0.extent.get_or_insert(extent);
        self
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// An error without a place is about this node. It is needless if a part of the node was left out.
    fn located(mut self, node: &Node, sink: &Sink) -> Self {
        if self.told == Told::Not && self.extent.is_none() {
            if sink.lacks_part(node) {
                self.0.told = Told::Needless;
            }
            // A sentence about a key of this map is shown at that key.
            let named = self
                .message
                .split('`')
                .skip(1)
                .step_by(2)
                .find_map(|name| node.entry(name));
            self.0.extent = Some(named.map_or(node.extent, |entry| entry.extent));
        }
        self
    }

    fn into_fault(self, fallback: Extent) -> Fault {
        let extent = self.extent.unwrap_or(fallback);
        let Fields {
            message, hint, help, ..
        } = *self.0;
        let mut fault = Fault::new(extent, message);
        (fault.hint, fault.help) = (hint, help);
        fault
    }

    /// Notes the fault and what it makes unusable, and asks for another pass.
    fn tell(self, culprit: &Node, sink: &RefCell<Sink>) -> Self {
        if self.told == Told::Again {
            return self;
        }
        let mut sink = sink.borrow_mut();
        let mut error = self.located(culprit, &sink);
        sink.leave_out(culprit);
        if error.told == Told::Not {
            let told = DecodeError::new("");
            sink.faults
                .push(std::mem::replace(&mut error, told).into_fault(culprit.extent));
        }
        error.0.told = Told::Again;
        error
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!(
            "expected {}, found {}",
            wanted(&expected.to_string()),
            words(found)
        ))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn invalid_length(length: usize, expected: &dyn de::Expected) -> Self {
        Self::new(format!("expected {}, found {length}", wanted(&expected.to_string())))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::unknown("value", variant, expected)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::unknown("key", field, expected)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!("missing field `{field}`")).hint(format!("`{field}` belongs here"))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(format!("duplicate field `{field}`"))
    }
}

impl DecodeError {
    fn unknown(what: &str, written: &str, known: &'static [&'static str]) -> Self {
        let fault = Fault::new(Extent::default(), format!("unknown {what} `{written}`"))
            .suggest(written, known.iter().copied());
        let mut error = Self::new(fault.message);
        if !known.is_empty() {
            error = error.hint(format!("expected one of {}", known.join(", ")));
        }
        error.0.help = fault.help;
        error.0.unknown = Some((written.to_owned(), known));
        error
    }
}

/// serde's words for what it wants, in those of a person who writes YAML.
fn wanted(expected: &str) -> String {
    match expected {
        "a string" => "text".into(),
        "a sequence" => "a list".into(),
        "u8" => "a whole number from 0 to 255".into(),
        "u16" => "a whole number from 0 to 65535".into(),
        "u32" => "a whole number from 0 to 4294967295".into(),
        "u64" => "a whole number from 0".into(),
        "i32" => "a whole number from -2147483648 to 2147483647".into(),
        "i64" => "a whole number".into(),
        "f64" | "f32" => "a number".into(),
        "a boolean" => "true or false".into(),
        "an array of length 2" => "a list of two".into(),
        other if other.starts_with("struct ") => "a map".into(),
        other => other.into(),
    }
}

fn words(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(value) => format!("`{value}`"),
        Unexpected::Signed(value) => format!("`{value}`"),
        Unexpected::Float(value) => format!("`{value}`"),
        Unexpected::Str(value) => format!("`{value}`"),
        Unexpected::Unit | Unexpected::Option => "nothing".into(),
        Unexpected::Seq => "a list".into(),
        Unexpected::Map => "a map".into(),
        other => other.to_string(),
    }
}

/// What an enum of this crate is a choice of, for `unknown X`.
fn choice(name: &str) -> &'static str {
    match name {
        "NamespaceKind" => "namespace",
        "Requirement" => "requirement",
        "OciVerb" => "verb",
        "PatchVerb" => "patch operation",
        "Metric" => "metric",
        "Target" => "target",
        "Workload" | "Load" => "kind of workload",
        "Point" => "point",
        "Command" => "command of a runtime",
        "Counted" => "rate",
        "Likeness" => "likeness",
        "RootfsKind" => "kind of root file system",
        "NodeEvent" => "event of a node",
        "TaintEffect" => "effect of a taint",
        "Inject" => "fault of a subject",
        "SchedulerFeature" => "feature of a scheduler",
        "Propagation" => "propagation",
        "Protocol" => "protocol",
        "Family" => "family of addresses",
        "PodNetwork" => "network of pods",
        "Routes" => "kind of routes",
        "RecordType" => "type of record",
        "ForEach" => "thing to do it for",
        "Cell" => "outcome",
        _ => "value",
    }
}

#[derive(Clone, Copy)]
struct Decoder<'a> {
    node: &'a Node,
    sink: &'a RefCell<Sink>,
}

impl Decoder<'_> {
    fn located<T>(&self, result: Result<T, DecodeError>) -> Result<T, DecodeError> {
        result.map_err(|error| error.located(self.node, &self.sink.borrow()))
    }

    fn mismatch(&self, expected: &str) -> DecodeError {
        let error = match &self.node.value {
            Value::Null => DecodeError::new(format!("expected {expected}, found nothing"))
                .help("leave the key out, or write what it is"),
            Value::Bool(value) => DecodeError::new(format!("expected {expected}, found `{value}`")),
            Value::Integer(value) => DecodeError::new(format!("expected {expected}, found `{value}`")),
            Value::Float(value) => DecodeError::new(format!("expected {expected}, found `{value}`")),
            Value::Text(value) => DecodeError::new(format!("expected {expected}, found `{value}`")),
            Value::List(_) | Value::Map(_) => {
                DecodeError::new(format!("expected {expected}, found {}", self.node.kind()))
            }
        };
        error.hint(format!("this is {}", self.node.kind())).at(self.node.extent)
    }
}

impl<'de> de::Deserializer<'de> for Decoder<'_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let result = match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Integer(value) => match u64::try_from(*value) {
                Ok(value) => visitor.visit_u64(value),
                Err(_) => visitor.visit_i64(*value),
            },
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(text) => visitor.visit_str(text),
            Value::List(elements) => visitor.visit_seq(Elements {
                rest: elements.iter(),
                sink: self.sink,
            }),
            Value::Map(entries) => visitor.visit_map(Entries {
                rest: entries.iter(),
                known: None,
                value: None,
                sink: self.sink,
            }),
        };
        self.located(result)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.node.value {
            Value::Text(text) => self.located(visitor.visit_str(text)),
            Value::Bool(value) => Err(self.mismatch("text").help(format!("write \"{value}\""))),
            Value::Integer(value) => Err(self.mismatch("text").help(format!("write \"{value}\""))),
            Value::Float(value) => Err(self.mismatch("text").help(format!("write \"{value}\""))),
            _ => Err(self.mismatch("text")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        // `null` is not "left out": where anything may stand, it is a value; elsewhere it is a fault.
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        if name == SPANNED {
            visitor.visit_newtype_struct(Positioned(self))
        } else {
            visitor.visit_newtype_struct(self)
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.node.value {
            Value::List(_) => self.deserialize_any(visitor),
            _ => Err(self.mismatch("a list")),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.node.value {
            Value::List(elements) if elements.len() == length => self.deserialize_any(visitor),
            _ => Err(self.mismatch(&format!("a list of {length}"))),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.node.value {
            Value::Map(_) => self.deserialize_any(visitor),
            _ => Err(self.mismatch("a map")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let Value::Map(entries) = &self.node.value else {
            return Err(self.mismatch("a map").hint(format!("with {}", fields.join(", "))));
        };
        let result = visitor.visit_map(Entries {
            rest: entries.iter(),
            known: Some(fields),
            value: None,
            sink: self.sink,
        });
        self.located(result)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let (key, extent, content) = match &self.node.value {
            Value::Text(text) => (text.as_str(), self.node.extent, None),
            Value::Map(entries) => match entries.as_slice() {
                [entry] => (entry.key.as_str(), entry.extent, Some(&entry.node)),
                _ => {
                    return Err(DecodeError::new(format!("a {} is a map with one key", choice(name)))
                        .hint(format!("expected one of {}", variants.join(", ")))
                        .at(entries.get(1).map_or(self.node.extent, |entry| entry.extent)));
                }
            },
            _ => {
                let expected = format!("one of {}", variants.join(", "));
                return Err(self.mismatch(&expected));
            }
        };
        if !variants.contains(&key) {
            return Err(DecodeError::unknown(choice(name), key, variants).at(extent));
        }
        let result = visitor.visit_enum(Choice {
            key,
            content,
            decoder: self,
        });
        self.located(result)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf
        unit unit_struct tuple_struct identifier ignored_any
    }
}

/// Answers a [`crate::Spanned`] with the map `{at, value}`.
struct Positioned<'a>(Decoder<'a>);

impl<'de> de::Deserializer<'de> for Positioned<'_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_map(PositionedFields {
            decoder: self.0,
            next: 0,
        })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct PositionedFields<'a> {
    decoder: Decoder<'a>,
    next: u8,
}

impl<'de> de::MapAccess<'de> for PositionedFields<'_> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeError> {
        self.next += 1;
        match self.next {
            1 => seed.deserialize("at".into_deserializer()).map(Some),
            2 => seed.deserialize("value".into_deserializer()).map(Some),
            _ => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DecodeError> {
        if self.next == 1 {
            let at = self.decoder.node.extent.at;
            let fields = [("line", at.line), ("column", at.column)];
            seed.deserialize(de::value::MapDeserializer::new(fields.into_iter()))
        } else {
            seed.deserialize(self.decoder)
        }
    }
}

struct Elements<'a> {
    rest: std::slice::Iter<'a, Node>,
    sink: &'a RefCell<Sink>,
}

impl<'de> de::SeqAccess<'de> for Elements<'_> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, DecodeError> {
        let sink = self.sink;
        let Some(node) = self.rest.find(|node| sink.borrow().is_usable(node)) else {
            return Ok(None);
        };
        seed.deserialize(Decoder { node, sink })
            .map(Some)
            .map_err(|error| error.tell(node, sink))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

struct Entries<'a> {
    rest: std::slice::Iter<'a, Entry>,
    /// The keys of a struct; `None` if any key may come.
    known: Option<&'static [&'static str]>,
    value: Option<&'a Entry>,
    sink: &'a RefCell<Sink>,
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeError> {
        loop {
            let sink = self.sink;
            let Some(entry) = self.rest.find(|entry| sink.borrow().is_usable(&entry.node)) else {
                return Ok(None);
            };
            if let Some(known) = self.known
                && !known.contains(&entry.key.as_str())
            {
                let error = DecodeError::unknown("key", &entry.key, known).at(entry.extent);
                let mut sink = sink.borrow_mut();
                sink.leave_out(&entry.node);
                sink.faults.push(error.into_fault(entry.extent));
                continue;
            }
            self.value = Some(entry);
            return match seed.deserialize(Key(entry)) {
                Ok(key) => Ok(Some(key)),
                Err(error) => {
                    if let Some((_, known)) = error.unknown {
                        // The map's type was not known before; now its other unknown keys are told, too.
                        for other in self.rest.by_ref() {
                            if !known.contains(&other.key.as_str()) && sink.borrow().is_usable(&other.node) {
                                let error = DecodeError::unknown("key", &other.key, known).at(other.extent);
                                error.tell(&other.node, sink);
                            }
                        }
                    }
                    Err(error.at(entry.extent).tell(&entry.node, sink))
                }
            };
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DecodeError> {
        let Some(entry) = self.value.take() else {
            return Err(DecodeError::new("a value without a key"));
        };
        seed.deserialize(Decoder {
            node: &entry.node,
            sink: self.sink,
        })
        .map_err(|error| error.tell(&entry.node, self.sink))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

struct Key<'a>(&'a Entry);

impl<'de> de::Deserializer<'de> for Key<'_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor
            .visit_str(&self.0.key)
            .map_err(|error: DecodeError| error.at(self.0.extent))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        if variants.contains(&self.0.key.as_str()) {
            let key: de::value::StrDeserializer<'_, DecodeError> = self.0.key.as_str().into_deserializer();
            visitor.visit_enum(key)
        } else {
            let mut error = DecodeError::unknown(choice(name), &self.0.key, variants);
            error.0.unknown = None;
            Err(error.at(self.0.extent))
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// One of the variants of an enum: a name, or a map with one key.
struct Choice<'a> {
    key: &'a str,
    content: Option<&'a Node>,
    decoder: Decoder<'a>,
}

impl<'a, 'de> de::EnumAccess<'de> for Choice<'a> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), DecodeError> {
        let key: de::value::StrDeserializer<'_, DecodeError> = self.key.into_deserializer();
        Ok((seed.deserialize(key)?, self))
    }
}

impl Choice<'_> {
    fn content(&self) -> Result<Decoder<'_>, DecodeError> {
        let missing = || DecodeError::new(format!("`{}` needs a value", self.key)).at(self.decoder.node.extent);
        Ok(Decoder {
            node: self.content.ok_or_else(missing)?,
            sink: self.decoder.sink,
        })
    }
}

impl<'de> de::VariantAccess<'de> for Choice<'_> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        match self.content {
            None => Ok(()),
            Some(node) => Err(DecodeError::new(format!("`{}` takes no value", self.key)).at(node.extent)),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, DecodeError> {
        let content = self.content()?;
        content.located(seed.deserialize(content))
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, DecodeError> {
        de::Deserializer::deserialize_tuple(self.content()?, length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        de::Deserializer::deserialize_struct(self.content()?, "", fields, visitor)
    }
}
