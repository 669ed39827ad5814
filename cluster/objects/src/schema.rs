//! What fields every message has: the one table behind decoding, field validation, patches and the OpenAPI document.
//!
//! The table is text, one line a field; its head says how to read it. It is parsed once, when it is first asked.

use std::{collections::HashMap, sync::LazyLock};

use crate::Kind;

const TEXT: &str = include_str!("schema/table.txt");

static TABLE: LazyLock<Table> = LazyLock::new(|| match Table::parse(TEXT) {
    Ok(table) => table,
    // A fault of the program, which a test finds.
    Err(line) => panic!("schema/table.txt: {line}"),
});

struct Table {
    messages: Vec<Message>,
    by_name: HashMap<&'static str, Id>,
}

/// A message: a kind, or what is nested in one.
#[derive(Debug)]
pub struct Message {
    /// Group, version and name, such as `apps/v1.DeploymentSpec`; the core group is called `core`.
    pub name: &'static str,
    /// Whether it has `apiVersion` and `kind`.
    pub object: bool,
    /// Whether server-side apply takes it as one value.
    pub atomic: bool,
    /// Fields as JSON has them: those of messages inlined into this one stand here.
    pub fields: Vec<Field>,
    /// Positions in `fields`, by name.
    by_name: Vec<usize>,
    /// What a protobuf number holds.
    wire: HashMap<u32, Wire>,
}

/// What a protobuf number holds.
#[derive(Debug, Clone, Copy)]
pub enum Wire {
    /// A field of that position.
    Field(usize),
    /// A message whose fields are fields of this one in JSON.
    Inline(Id),
}

/// A message by its place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id(usize);

/// A field of a message.
#[derive(Debug, Clone)]
pub struct Field {
    /// In protobuf; 0 for `apiVersion` and `kind`, which stand in the envelope.
    pub number: u32,
    /// In JSON.
    pub name: &'static str,
    /// What it holds, once or many times.
    pub ty: Type,
    /// How many times.
    pub shape: Shape,
    /// What Go calls its type, where it is not what follows from the others.
    go: Option<&'static str>,
    /// Whether absent and zero are different.
    pub pointer: bool,
    /// Whether a zero is left out.
    pub omit: bool,
    /// Whether an object is not complete without it.
    pub required: bool,
    /// What a strategic merge patch does with the list.
    pub strategy: Strategy,
    /// Whether a strategic merge patch may say `$retainKeys`.
    pub retain_keys: bool,
    /// What server-side apply does with the list.
    pub list: List,
    /// Whether server-side apply takes the map or message as one value.
    pub atomic: bool,
    /// What is meant by its absence, where it is a key of a list.
    pub default: Option<&'static str>,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Text.
    String,
    /// True or false.
    Bool,
    /// 32 bits.
    Int32,
    /// 64 bits.
    Int64,
    /// Base64 in JSON.
    Bytes,
    /// Seconds, RFC 3339 in JSON.
    Time,
    /// Microseconds, RFC 3339 in JSON.
    MicroTime,
    /// `500m`, `64Mi`.
    Quantity,
    /// A port by number or name, a number or a percentage.
    IntOrString,
    /// A set of fields, JSON within JSON.
    FieldsV1,
    /// Another message.
    Message(Id),
}

/// How often a field may be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Once.
    One,
    /// A list.
    List,
    /// A map whose keys are text.
    Map,
}

/// What a strategic merge patch does with a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// The patch's list is the new one.
    Replace,
    /// Items are merged: by key, or as a set where there is none.
    Merge(Option<&'static str>),
}

/// What server-side apply does with a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum List {
    /// It is one value.
    Atomic,
    /// Each value has an owner.
    Set,
    /// Each item, told by these keys, has owners.
    Map(Vec<&'static str>),
}

/// The message of a kind. Every kind that is served has one.
pub fn message(kind: &Kind) -> &'static Message {
    match find(kind.group, kind.version, kind.kind) {
        Some(message) => message,
        None => panic!("schema/table.txt has no {}", kind.qualified()),
    }
}

/// The message of what an object says it is: a kind, a subresource's body, or options, which go by any version.
pub fn named(api_version: &str, kind: &str) -> Option<&'static Message> {
    const OPTIONS: [&str; 5] = [
        "DeleteOptions",
        "CreateOptions",
        "UpdateOptions",
        "PatchOptions",
        "Status",
    ];
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    match find(group, version, kind) {
        None if OPTIONS.contains(&kind) => find("meta", "v1", kind),
        found => found.filter(|message| message.object),
    }
}

/// A message by group, version and name.
pub fn find(group: &str, version: &str, name: &str) -> Option<&'static Message> {
    let group = if group.is_empty() { "core" } else { group };
    by_name(&format!("{group}/{version}.{name}"))
}

fn by_name(name: &str) -> Option<&'static Message> {
    TABLE.by_name.get(name).map(|id| id.message())
}

/// Every message of the table.
pub fn messages() -> impl Iterator<Item = &'static Message> {
    TABLE.messages.iter()
}

/// A number that is another when the table is another (FNV-1a).
pub fn fingerprint() -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    TEXT.bytes()
        .chain(env!("CARGO_PKG_VERSION").bytes())
        .fold(0xcbf2_9ce4_8422_2325, step)
}

impl Id {
    /// What it stands for.
    pub fn message(self) -> &'static Message {
        &TABLE.messages[self.0]
    }
}

impl Message {
    /// The field of that name in JSON.
    pub fn field(&self, name: &str) -> Option<&Field> {
        let at = self
            .by_name
            .binary_search_by(|at| self.fields[*at].name.cmp(name))
            .ok()?;
        Some(&self.fields[self.by_name[at]])
    }

    /// The name without group and version: `DeploymentSpec`.
    pub fn short(&self) -> &'static str {
        self.name.rsplit_once('.').map_or(self.name, |(_, short)| short)
    }

    /// Group as an `apiVersion` has it, empty for the core group; and the version.
    pub fn group_version(&self) -> (&'static str, &'static str) {
        let (group, rest) = self.name.split_once('/').unwrap_or(("", self.name));
        let version = rest.split_once('.').map_or(rest, |(version, _)| version);
        (if group == "core" { "" } else { group }, version)
    }

    /// What a protobuf number holds.
    pub fn wire(&self, number: u32) -> Option<Wire> {
        self.wire.get(&number).copied()
    }
}

impl Field {
    /// What Go's decoder calls its type: `[]v1.Container`.
    pub fn go(&self) -> String {
        if let Some(go) = self.go {
            return go.into();
        }
        match self.shape {
            Shape::One => self.ty.go(),
            Shape::List => format!("[]{}", self.ty.go()),
            Shape::Map => format!("map[string]{}", self.ty.go()),
        }
    }

    /// What Go's decoder calls the type of one of many.
    pub fn go_item(&self) -> String {
        let item = match (self.shape, self.go) {
            (Shape::One, go) => go,
            (Shape::List, go) => go.and_then(|go| go.strip_prefix("[]")),
            (Shape::Map, go) => go.and_then(|go| go.strip_prefix("map[")?.split_once(']').map(|(_, item)| item)),
        };
        item.map_or_else(|| self.ty.go(), Into::into)
    }

    /// The message that it holds.
    pub fn message(&self) -> Option<&'static Message> {
        match self.ty {
            Type::Message(id) => Some(id.message()),
            _ => None,
        }
    }
}

impl Type {
    fn go(self) -> String {
        let name = match self {
            Self::String => "string",
            Self::Bool => "bool",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Bytes => "[]uint8",
            Self::Time => "v1.Time",
            Self::MicroTime => "v1.MicroTime",
            Self::Quantity => "resource.Quantity",
            Self::IntOrString => "intstr.IntOrString",
            Self::FieldsV1 => "v1.FieldsV1",
            Self::Message(id) => {
                let message = id.message();
                return format!("{}.{}", message.group_version().1, message.short());
            }
        };
        name.into()
    }
}

/// A message as its lines have it, before the messages that it names are known.
struct Draft {
    name: &'static str,
    object: bool,
    atomic: bool,
    fields: Vec<Field>,
    inline: Vec<(u32, Id)>,
}

impl Table {
    /// The table, or the line that is at fault.
    fn parse(text: &'static str) -> Result<Self, &'static str> {
        let lines = || text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let heads = lines().filter(|line| !line.starts_with(' '));
        let by_name = heads.enumerate().map(|(at, line)| (first(line), Id(at))).collect();
        let mut drafts: Vec<Draft> = Vec::new();
        for line in lines() {
            match line.strip_prefix(' ') {
                None => drafts.push(Draft::parse(line)),
                Some(field) => drafts
                    .last_mut()
                    .and_then(|draft| draft.add(field, &by_name))
                    .ok_or(line)?,
            }
        }
        let messages = drafts.iter().map(|draft| draft.finish(&drafts)).collect();
        Ok(Self { messages, by_name })
    }
}

impl Draft {
    fn parse(line: &'static str) -> Self {
        let flags = || line.split(' ').skip(1);
        let object = flags().any(|flag| flag == "object");
        let plain = |name| Field {
            number: 0,
            name,
            ty: Type::String,
            shape: Shape::One,
            go: None,
            pointer: false,
            omit: true,
            required: false,
            strategy: Strategy::Replace,
            retain_keys: false,
            list: List::Atomic,
            atomic: false,
            default: None,
        };
        Self {
            name: first(line),
            object,
            atomic: flags().any(|flag| flag == "atomic"),
            fields: if object {
                vec![plain("apiVersion"), plain("kind")]
            } else {
                Vec::new()
            },
            inline: Vec::new(),
        }
    }

    /// Adds a field; nothing if the line cannot be understood.
    fn add(&mut self, line: &'static str, messages: &HashMap<&'static str, Id>) -> Option<()> {
        let mut words = line.split(' ');
        let number = words.next()?.parse().ok()?;
        let name = words.next()?;
        let (ty, go) = match words.next()?.split_once(':') {
            Some((ty, go)) => (ty, Some(go)),
            None => (line.split(' ').nth(2)?, None),
        };
        let (ty, pointer) = ty.strip_suffix('*').map_or((ty, false), |ty| (ty, true));
        let (ty, shape) = if let Some(item) = ty.strip_prefix('[') {
            (item.strip_suffix(']')?, Shape::List)
        } else if let Some(item) = ty.strip_prefix('{') {
            (item.strip_suffix('}')?, Shape::Map)
        } else {
            (ty, Shape::One)
        };
        let ty = match ty {
            "string" => Type::String,
            "bool" => Type::Bool,
            "int32" => Type::Int32,
            "int64" => Type::Int64,
            "bytes" => Type::Bytes,
            "Time" => Type::Time,
            "MicroTime" => Type::MicroTime,
            "Quantity" => Type::Quantity,
            "IntOrString" => Type::IntOrString,
            "FieldsV1" => Type::FieldsV1,
            message if message.contains('/') => Type::Message(*messages.get(message)?),
            message => {
                let own = self.name.rsplit_once('.')?.0;
                Type::Message(*messages.get(format!("{own}.{message}").as_str())?)
            }
        };
        let mut field = Field {
            number,
            name,
            ty,
            shape,
            go,
            pointer,
            omit: false,
            required: false,
            strategy: Strategy::Replace,
            retain_keys: false,
            list: List::Atomic,
            atomic: false,
            default: None,
        };
        for flag in words {
            match flag
                .split_once('=')
                .map_or((flag, None), |(flag, value)| (flag, Some(value)))
            {
                ("omit", None) => field.omit = true,
                ("required", None) => field.required = true,
                ("merge", key) => field.strategy = Strategy::Merge(key),
                ("retain", None) => field.retain_keys = true,
                ("set", None) => field.list = List::Set,
                ("map", Some(keys)) => field.list = List::Map(keys.split(',').collect()),
                ("atomic", None) => field.atomic = true,
                ("default", default) => field.default = default,
                ("inline", None) => {}
                _ => return None,
            }
        }
        match (name, ty) {
            ("-", Type::Message(id)) => self.inline.push((number, id)),
            _ => self.fields.push(field),
        }
        Some(())
    }

    fn finish(&self, all: &[Self]) -> Message {
        let mut fields = self.fields.clone();
        let mut wire: HashMap<_, _> = fields
            .iter()
            .enumerate()
            .map(|(at, field)| (field.number, Wire::Field(at)))
            .collect();
        wire.remove(&0);
        for (number, id) in &self.inline {
            wire.insert(*number, Wire::Inline(*id));
            all[id.0].flatten(all, &mut fields);
        }
        let mut by_name: Vec<usize> = (0..fields.len()).collect();
        by_name.sort_by_key(|at| fields[*at].name);
        Message {
            name: self.name,
            object: self.object,
            atomic: self.atomic,
            fields,
            by_name,
            wire,
        }
    }

    fn flatten(&self, all: &[Self], into: &mut Vec<Field>) {
        into.extend(self.fields.iter().cloned());
        for (_, id) in &self.inline {
            all[id.0].flatten(all, into);
        }
    }
}

fn first(line: &'static str) -> &'static str {
    line.split_once(' ').map_or(line, |(first, _)| first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::{KINDS, find as kind};

    #[test]
    fn every_kind_and_every_body_of_a_subresource_has_a_message() {
        for kind in KINDS {
            let message = message(kind);
            assert_eq!(message.short(), kind.kind);
            assert!(message.object && message.field("metadata").is_some(), "{}", kind.kind);
            for sub in kind.subresources {
                let (group, version, name) = sub.gvk;
                assert!(find(group, version, name).is_some(), "{name}");
            }
        }
        for body in ["DeleteOptions", "Status"] {
            assert_eq!(
                named("policy/v1", body).map(|message| message.name.starts_with("meta/")),
                Some(true)
            );
        }
        assert!(named("v1", "PodSpec").is_none(), "a nested message is no object");
    }

    #[test]
    fn no_message_has_two_fields_of_a_name_or_of_a_number() {
        for message in messages() {
            let names = message.by_name.windows(2);
            for pair in names {
                assert_ne!(
                    message.fields[pair[0]].name, message.fields[pair[1]].name,
                    "{}",
                    message.name
                );
            }
            let own = message.fields.iter().filter(|field| field.number > 0).count();
            assert!(message.wire.len() <= own + 1, "{}", message.name);
        }
    }

    #[test]
    fn fields_of_an_inlined_message_are_those_of_the_outer_one() {
        let volume = find("", "v1", "Volume").expect("message");
        assert_eq!(
            volume.field("emptyDir").expect("inlined").go(),
            "v1.EmptyDirVolumeSource"
        );
        assert!(matches!(volume.wire(2), Some(Wire::Inline(_))));
    }

    #[test]
    fn lists_know_how_they_are_merged() {
        let spec = find("", "v1", "PodSpec").expect("message");
        let containers = spec.field("containers").expect("field");
        assert_eq!(containers.strategy, Strategy::Merge(Some("name")));
        assert_eq!(containers.list, List::Map(vec!["name"]));
        assert!(spec.field("volumes").expect("field").retain_keys);
        assert_eq!(spec.field("tolerations").expect("field").list, List::Atomic);
        let ports = find("", "v1", "Container")
            .and_then(|message| message.field("ports"))
            .expect("field");
        assert_eq!(ports.list, List::Map(vec!["containerPort", "protocol"]));
        assert_eq!(ports.go(), "[]v1.ContainerPort");
        let meta = message(kind("", "v1", "pods").expect("served"))
            .field("metadata")
            .and_then(Field::message);
        let finalizers = meta.and_then(|meta| meta.field("finalizers")).expect("field");
        assert_eq!(
            (finalizers.strategy, &finalizers.list),
            (Strategy::Merge(None), &List::Set)
        );
    }
}
