//! YAML text as a tree in which every key and value knows where it was written.
//!
//! The tree is what matrix values, variables and sabotage are put into before anything is decoded, so that a fault that
//! they cause still has a line and a column. It is made from the events of `granit-parser` (the parser under
//! `serde-saphyr`), because only events tell a quoted scalar from a plain one and let all repeated keys be told at once.

use granit_parser::{Event, Parser, ScalarStyle, StrInput};

use crate::{Position, fault::Fault, lint::YAML_1_1};

/// Deepest nesting of lists and maps that a spec may have.
pub const MAX_DEPTH: usize = 64;

/// Most values that a file may hold after its aliases are written out.
pub const MAX_NODES: usize = 100_000;

/// Largest length of a file, bytes.
pub const MAX_BYTES: usize = 4 << 20;

/// A stretch of one line of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Extent {
    /// Where it begins.
    pub at: Position,
    /// How many characters of that line it covers.
    pub length: u32,
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where.
    pub extent: Extent,
    /// What.
    pub value: Value,
}

/// A value of the YAML 1.2 core schema.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction, or one that is too large for [`Value::Integer`].
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key was written.
    pub extent: Extent,
    /// The value.
    pub node: Node,
}

impl Node {
    /// A value as if it were written at a place.
    pub fn of_json(json: &serde_json::Value, extent: Extent) -> Self {
        let value = match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(yes) => Value::Bool(*yes),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(whole) => Value::Integer(whole),
                None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Value::Text(text.clone()),
            serde_json::Value::Array(list) => Value::List(list.iter().map(|n| Self::of_json(n, extent)).collect()),
            serde_json::Value::Object(map) => Value::Map(
                map.iter()
                    .map(|(key, value)| Entry {
                        key: key.clone(),
                        extent,
                        node: Self::of_json(value, extent),
                    })
                    .collect(),
            ),
        };
        Self { extent, value }
    }

    /// The value under a key, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// The entry with a key, if this is a map that has it.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The entries of a map; none if it is something else.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The elements of a list; none if it is something else.
    pub fn elements(&self) -> &[Self] {
        match &self.value {
            Value::List(elements) => elements,
            _ => &[],
        }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What kind of value it is, for a sentence: `a list`.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Integer(_) | Value::Float(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// The value as JSON, without positions.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Integer(value) => (*value).into(),
            Value::Float(value) => (*value).into(),
            Value::Text(value) => value.as_str().into(),
            Value::List(elements) => elements.iter().map(Self::to_json).collect(),
            Value::Map(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.node.to_json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }

    /// The same value, every part of it at one place: what a reference stands for.
    pub fn placed(&self, extent: Extent) -> Self {
        let value = match &self.value {
            Value::List(elements) => Value::List(elements.iter().map(|node| node.placed(extent)).collect()),
            Value::Map(entries) => Value::Map(
                entries
                    .iter()
                    .map(|entry| Entry {
                        key: entry.key.clone(),
                        extent,
                        node: entry.node.placed(extent),
                    })
                    .collect(),
            ),
            scalar => scalar.clone(),
        };
        Self { extent, value }
    }

    /// How many values it holds, itself included.
    fn size(&self) -> usize {
        match &self.value {
            Value::List(elements) => 1 + elements.iter().map(Self::size).sum::<usize>(),
            Value::Map(entries) => 1 + entries.iter().map(|entry| entry.node.size()).sum::<usize>(),
            _ => 1,
        }
    }
}

/// The documents of a file; what is wrong with the text itself is told in `faults` and `lints`.
#[derive(Debug, Default)]
pub struct Parsed {
    /// The documents that are not empty.
    pub documents: Vec<Node>,
    /// What makes the file unreadable, or ambiguous.
    pub faults: Vec<Fault>,
    /// What other readers would understand differently.
    pub lints: Vec<Fault>,
}

/// Reads a file. Total: any text gives documents or faults.
pub fn parse(text: &str) -> Parsed {
    let mut builder = Builder {
        parsed: Parsed::default(),
        open: Vec::new(),
        anchors: Vec::new(),
        nodes: 0,
    };
    if text.len() > MAX_BYTES {
        let fault = Fault::new(
            Extent::at(1, 1, 1),
            format!("the file is larger than {} MiB", MAX_BYTES >> 20),
        );
        builder.parsed.faults.push(fault.hint("a spec is read by people"));
        return builder.parsed;
    }
    if let Err(fault) = builder.read(text) {
        builder.parsed.documents.clear();
        builder.parsed.faults.push(*fault);
    }
    builder.parsed
}

impl Extent {
    /// The extent at a line and column, both from 1.
    pub fn at(line: u32, column: u32, length: u32) -> Self {
        Self {
            at: Position { line, column },
            length,
        }
    }

    fn of(span: &granit_parser::Span) -> Self {
        let length = if span.start.line() == span.end.line() {
            span.end.col().saturating_sub(span.start.col())
        } else {
            0
        };
        Self::at(small(span.start.line()), small(span.start.col() + 1), small(length))
    }
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A list or map whose end has not come yet.
struct Open {
    extent: Extent,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    /// Entries, and the key that waits for its value; `None` in it if the entry is dropped.
    Map(Vec<Entry>, Option<(Option<String>, Extent)>),
}

struct Builder {
    parsed: Parsed,
    open: Vec<Open>,
    anchors: Vec<(usize, Node, usize)>,
    nodes: usize,
}

impl Builder {
    fn read(&mut self, text: &str) -> Result<(), Box<Fault>> {
        let options = granit_parser::options! { emit_comments: false, flow_nesting_limit: MAX_DEPTH };
        for event in Parser::<StrInput<'_>>::new_from_str_with_options(text, options) {
            let (event, span) = event.map_err(|error| Box::new(unreadable(&error)))?;
            let extent = Extent::of(&span);
            match event {
                Event::Scalar(value, style, anchor, tag) => {
                    let value = self.scalar(&value, style, tag.as_deref(), extent);
                    self.complete(Node { extent, value }, anchor, style == ScalarStyle::Plain)?;
                }
                Event::SequenceStart(_, anchor, tag) => {
                    self.refuse_tag(tag.as_deref(), "seq", extent);
                    self.begin(extent, anchor, Content::List(Vec::new()))?;
                }
                Event::MappingStart(_, anchor, tag) => {
                    self.refuse_tag(tag.as_deref(), "map", extent);
                    self.begin(extent, anchor, Content::Map(Vec::new(), None))?;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    let Some(open) = self.open.pop() else { continue };
                    let mut extent = open.extent;
                    let value = match open.content {
                        Content::List(elements) => Value::List(elements),
                        Content::Map(entries, _) => Value::Map(entries),
                    };
                    if extent.length <= 1 {
                        extent.length = match &value {
                            // A block map is marked by its first key, a flow map or list from bracket to bracket.
                            Value::Map(entries) if entries.first().is_some_and(|e| e.extent.at == extent.at) => {
                                entries.first().map_or(1, |e| e.extent.length)
                            }
                            _ if usize::try_from(extent.at.line) == Ok(span.end.line()) => {
                                small((span.end.col() + 1).saturating_sub(extent.at.column as usize))
                            }
                            _ => 1,
                        };
                    }
                    self.complete(Node { extent, value }, open.anchor, false)?;
                }
                Event::Alias(anchor) => {
                    let Some((_, node, size)) = self.anchors.iter().find(|(id, ..)| *id == anchor) else {
                        let fault = Fault::new(extent, "an alias stands inside what it stands for");
                        return Err(Box::new(fault.hint("write the value out")));
                    };
                    if self.nodes + size > MAX_NODES {
                        return Err(Box::new(too_many(extent)));
                    }
                    self.nodes += size;
                    let node = node.placed(extent);
                    self.complete(node, 0, false)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn begin(&mut self, extent: Extent, anchor: usize, content: Content) -> Result<(), Box<Fault>> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Box::new(too_deep(extent)));
        }
        self.open.push(Open {
            extent,
            anchor,
            content,
        });
        Ok(())
    }

    /// Puts a finished value where it belongs: into the open list or map, or among the documents.
    fn complete(&mut self, node: Node, anchor: usize, plain: bool) -> Result<(), Box<Fault>> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Box::new(too_many(node.extent)));
        }
        if anchor != 0 {
            let size = node.size();
            self.anchors.push((anchor, node.clone(), size));
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => {
                if node.value != Value::Null {
                    self.parsed.documents.push(node);
                }
            }
            Some(Content::List(elements)) => elements.push(node),
            Some(Content::Map(entries, pending)) => match pending.take() {
                Some((None, _)) => {}
                Some((Some(key), extent)) => match entries.iter().find(|entry| entry.key == key) {
                    Some(first) => {
                        let line = first.extent.at.line;
                        let fault = Fault::new(extent, format!("duplicate key `{key}`"));
                        self.parsed
                            .faults
                            .push(fault.hint(format!("it stands on line {line} already")));
                    }
                    None => entries.push(Entry { key, extent, node }),
                },
                None => {
                    let extent = node.extent;
                    let kind = node.kind();
                    let fault = match node.value {
                        Value::Text(text) if text != "<<" || !plain => {
                            *pending = Some((Some(text), extent));
                            return Ok(());
                        }
                        Value::Text(_) => {
                            Fault::new(extent, "merge keys are not part of YAML 1.2").hint("write the fields out")
                        }
                        _ => Fault::new(extent, format!("{kind} cannot be a key")).hint("expected text"),
                    };
                    self.parsed.faults.push(fault);
                    let key = None;
                    *pending = Some((key, extent));
                }
            },
        }
        Ok(())
    }

    fn refuse_tag(&mut self, tag: Option<&granit_parser::Tag>, own: &str, extent: Extent) {
        if let Some(tag) = tag
            && tag.core_suffix() != Some(own)
        {
            let fault = Fault::new(extent, format!("tag `{}` means nothing in a spec", tag.original()));
            self.parsed.faults.push(fault.hint("leave it out"));
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&granit_parser::Tag>, extent: Extent) -> Value {
        if let Some(tag) = tag {
            self.refuse_tag(Some(tag), "str", extent);
            return Value::Text(text.to_string());
        }
        if style != ScalarStyle::Plain {
            return Value::Text(text.to_string());
        }
        let is_key = matches!(self.open.last().map(|open| &open.content), Some(Content::Map(_, None)));
        if is_key {
            return Value::Text(text.to_string());
        }
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
            "true" | "True" | "TRUE" => return Value::Bool(true),
            "false" | "False" | "FALSE" => return Value::Bool(false),
            "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => self.lint_boolean(text, true, extent),
            "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => self.lint_boolean(text, false, extent),
            _ => {}
        }
        if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
            return Value::Text(text.to_string());
        }
        self.number(text, extent)
            .unwrap_or_else(|| Value::Text(text.to_string()))
    }

    fn number(&mut self, text: &str, extent: Extent) -> Option<Value> {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        let radix = |prefix: &str, radix| {
            let digits = text.strip_prefix(prefix)?;
            i64::from_str_radix(digits, radix)
                .ok()
                .filter(|_| !digits.starts_with(['+', '-']))
        };
        if let Some(number) = radix("0x", 16).or_else(|| radix("0o", 8)) {
            return Some(Value::Integer(number));
        }
        if matches!(digits.to_ascii_lowercase().as_str(), ".inf" | ".nan") {
            let fault = Fault::new(extent, format!("`{text}` is not a number that can be compared"));
            self.parsed.faults.push(fault.hint("expected a finite number"));
            return Some(Value::Null);
        }
        if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return None;
        }
        if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            if digits.len() > 1 && digits.starts_with('0') {
                let fault = Fault::new(extent, format!("`{text}` is octal to YAML 1.1 and decimal to YAML 1.2"));
                let fault = fault.help(format!("write \"{text}\" for text, or 0o{digits} for octal"));
                self.parsed.faults.push(fault);
            }
            if let Ok(number) = text.parse() {
                return Some(Value::Integer(number));
            }
        } else if digits.len() > 1
            && digits.starts_with(|c: char| c.is_ascii_digit())
            && digits.contains('_')
            && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
        {
            let lint = Fault {
                lint: Some(YAML_1_1.name),
                ..Fault::new(extent, format!("`{text}` is a number to YAML 1.1 and text here"))
            };
            self.parsed
                .lints
                .push(lint.help(format!("write {}", text.replace('_', ""))));
            return None;
        }
        // Only the characters of a number: Rust also reads `inf` and `nan`.
        let number = digits
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
        let number = number.then(|| text.parse::<f64>().ok())??;
        if number.is_finite() {
            Some(Value::Float(number))
        } else {
            let fault = Fault::new(extent, format!("`{text}` is too large for a number"));
            self.parsed.faults.push(fault.hint("expected a finite number"));
            Some(Value::Null)
        }
    }

    fn lint_boolean(&mut self, text: &str, value: bool, extent: Extent) {
        let message = format!("`{text}` is text here, and {value} to YAML 1.1 readers such as kubectl");
        let lint = Fault {
            lint: Some(YAML_1_1.name),
            ..Fault::new(extent, message)
        };
        self.parsed
            .lints
            .push(lint.help(format!("write {value} or \"{text}\"")));
    }
}

fn too_deep(extent: Extent) -> Fault {
    Fault::new(extent, format!("nested more than {MAX_DEPTH} deep")).hint("no spec needs that")
}

fn too_many(extent: Extent) -> Fault {
    Fault::new(
        extent,
        format!("more than {MAX_NODES} values once aliases are written out"),
    )
    .hint("no spec needs that")
}

fn unreadable(error: &granit_parser::ScanError) -> Fault {
    let mark = error.marker();
    let extent = Extent::at(small(mark.line().max(1)), small(mark.col() + 1), 1);
    if *error.kind() == granit_parser::ErrorKind::RecursionLimitExceeded {
        return too_deep(extent);
    }
    Fault::new(extent, "this is not YAML").hint(error.info())
}
