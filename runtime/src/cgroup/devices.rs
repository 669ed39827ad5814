//! `linux.resources.devices`: an ordered list of rules, and what each version of cgroups makes of it.
//!
//! The meaning of a list: for each kind of access that is asked for (read, write, mknod), the last rule that covers the
//! node and that kind decides; all kinds asked for must be allowed. Before the first rule everything is denied but the
//! devices that every container has. v1 keeps a default and exceptions to it (`Exceptions`), v2 runs a program
//! ([`filter`]).

pub mod filter;

use std::fmt;

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};
use rustix::fs::OFlags;

use super::directory::Directory;
use super::{Error, Reason, refused};

/// A set of block or character devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Block devices.
    Block,
    /// Character devices.
    Char,
}

/// `m`, `r` and `w` as the kernel numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access(u8);

impl Access {
    /// Making the node.
    pub const MKNOD: Self = Self(1);
    /// Opening it for reading.
    pub const READ: Self = Self(2);
    /// Opening it for writing.
    pub const WRITE: Self = Self(4);
    /// All three.
    pub const ALL: Self = Self(7);

    fn parse(text: &str) -> Option<Self> {
        text.bytes().try_fold(Self(0), |access, letter| {
            Some(Self(
                access.0
                    | match letter {
                        b'm' => Self::MKNOD.0,
                        b'r' => Self::READ.0,
                        b'w' => Self::WRITE.0,
                        _ => return None,
                    },
            ))
        })
    }

    fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (letter, access) in [("r", Self::READ), ("w", Self::WRITE), ("m", Self::MKNOD)] {
            if !self.and(access).is_empty() {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

/// Which nodes a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nodes {
    /// Block or character devices.
    pub kind: Kind,
    /// The major number, or all.
    pub major: Option<u32>,
    /// The minor number, or all.
    pub minor: Option<u32>,
}

impl Nodes {
    fn covers(self, other: Self) -> bool {
        let part = |mine: Option<u32>, other: Option<u32>| mine.is_none() || mine == other;
        self.kind == other.kind && part(self.major, other.major) && part(self.minor, other.minor)
    }

    fn meets(self, other: Self) -> bool {
        let part = |mine: Option<u32>, other: Option<u32>| mine.is_none() || other.is_none() || mine == other;
        self.kind == other.kind && part(self.major, other.major) && part(self.minor, other.minor)
    }
}

impl fmt::Display for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Block => 'b',
            Kind::Char => 'c',
        };
        let part = |number: Option<u32>| number.map_or_else(|| "*".to_owned(), |number| number.to_string());
        write!(f, "{kind} {}:{}", part(self.major), part(self.minor))
    }
}

/// One rule for one kind of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Allow or deny.
    pub allow: bool,
    /// Which nodes.
    pub nodes: Nodes,
    /// Which accesses.
    pub access: Access,
    /// The place in `linux.resources.devices`; none for a device that every container has.
    pub index: Option<usize>,
}

/// What a request comes to if no rule decides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Whether the request is allowed then.
    pub allow_by_default: bool,
    /// In the order of the configuration.
    pub rules: Vec<Rule>,
}

/// What a process in any container may use: making every node, and the devices that runtimes must supply.
/// (OCI runtime specification, *Default Devices*; 5:0 is the terminal, 136:* and 5:2 are pseudo-terminals.)
const SUPPLIED: [(Kind, Option<u32>, Option<u32>, Access); 10] = [
    (Kind::Char, None, None, Access::MKNOD),
    (Kind::Block, None, None, Access::MKNOD),
    (Kind::Char, Some(1), Some(3), Access::ALL),
    (Kind::Char, Some(1), Some(5), Access::ALL),
    (Kind::Char, Some(1), Some(7), Access::ALL),
    (Kind::Char, Some(1), Some(8), Access::ALL),
    (Kind::Char, Some(1), Some(9), Access::ALL),
    (Kind::Char, Some(5), Some(0), Access::ALL),
    (Kind::Char, Some(5), Some(2), Access::ALL),
    (Kind::Char, Some(136), None, Access::ALL),
];

impl Rules {
    /// The rules of the configuration.
    ///
    /// A rule for everything makes what is before it void. The supplied devices come right after the last such denial
    /// (or at the start), so that they need no rule, and so that a rule of the configuration can still deny them.
    ///
    /// # Errors
    /// [`Error::Refused`] for a rule that means nothing.
    pub fn new(configured: &[LinuxDeviceCgroup]) -> Result<Self, Error> {
        let mut rules = Vec::with_capacity(SUPPLIED.len() + configured.len());
        let mut allow_by_default = false;
        let supply = |rules: &mut Vec<Rule>| {
            rules.extend(SUPPLIED.map(|(kind, major, minor, access)| Rule {
                allow: true,
                nodes: Nodes { kind, major, minor },
                access,
                index: None,
            }));
        };
        supply(&mut rules);
        for (index, rule) in configured.iter().enumerate() {
            let field = |name: &str| format!("linux.resources.devices[{index}].{name}");
            let kinds: &[Kind] = match rule.typ() {
                None | Some(LinuxDeviceType::A) => &[Kind::Block, Kind::Char],
                Some(LinuxDeviceType::B) => &[Kind::Block],
                Some(LinuxDeviceType::C | LinuxDeviceType::U) => &[Kind::Char],
                Some(LinuxDeviceType::P) => {
                    let reason = Reason::Malformed {
                        value: "p".into(),
                        expected: "one of a, b, c",
                    };
                    return Err(refused(field("type"), reason));
                }
            };
            let access = match rule.access().as_deref() {
                None | Some("") => Access::ALL,
                Some(text) => Access::parse(text).ok_or_else(|| {
                    refused(
                        field("access"),
                        Reason::Malformed {
                            value: text.into(),
                            expected: "made of r, w and m",
                        },
                    )
                })?,
            };
            let number = |number: Option<i64>, name: &str| match number {
                None | Some(-1) => Ok(None),
                Some(number) => match u32::try_from(number) {
                    Ok(number) if number <= i32::MAX.cast_unsigned() => Ok(Some(number)),
                    _ => {
                        let reason = Reason::OutOfRange {
                            value: number.into(),
                            least: -1,
                            greatest: i32::MAX.into(),
                        };
                        Err(refused(field(name), reason))
                    }
                },
            };
            let (major, minor) = (number(rule.major(), "major")?, number(rule.minor(), "minor")?);
            if kinds.len() == 2 && major.is_none() && minor.is_none() && access == Access::ALL {
                rules.clear();
                allow_by_default = rule.allow();
                if !allow_by_default {
                    supply(&mut rules);
                }
                continue;
            }
            rules.extend(kinds.iter().map(|&kind| Rule {
                allow: rule.allow(),
                nodes: Nodes { kind, major, minor },
                access,
                index: Some(index),
            }));
        }
        Ok(Self {
            allow_by_default,
            rules,
        })
    }

    /// Whether `access` to the node is allowed: the meaning that both versions of cgroups are held to.
    #[must_use]
    pub fn allows(&self, kind: Kind, major: u32, minor: u32, access: Access) -> bool {
        let node = Nodes {
            kind,
            major: Some(major),
            minor: Some(minor),
        };
        [Access::MKNOD, Access::READ, Access::WRITE]
            .into_iter()
            .filter(|&bit| !access.and(bit).is_empty())
            .all(|bit| {
                let last = self
                    .rules
                    .iter()
                    .rev()
                    .find(|rule| rule.nodes.covers(node) && !rule.access.and(bit).is_empty());
                last.map_or(self.allow_by_default, |rule| rule.allow)
            })
    }
}

/// The rules as the v1 controller keeps them: a default, and exceptions to it, whose order means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exceptions {
    allow_by_default: bool,
    list: Vec<(Nodes, Access, Option<usize>)>,
}

impl Exceptions {
    pub(super) fn new(rules: &Rules) -> Result<Self, Error> {
        let mut exceptions = Self {
            allow_by_default: rules.allow_by_default,
            list: Vec::new(),
        };
        for rule in &rules.rules {
            exceptions.take_back(rule)?;
            if rule.allow != exceptions.allow_by_default {
                exceptions.add(rule.nodes, rule.access, rule.index);
            }
        }
        Ok(exceptions)
    }

    fn add(&mut self, nodes: Nodes, access: Access, index: Option<usize>) {
        match self.list.iter_mut().find(|(known, ..)| *known == nodes) {
            Some((_, known, _)) => *known = known.or(access),
            None => self.list.push((nodes, access, index)),
        }
    }

    /// A rule that says what the default says narrows earlier exceptions.
    fn take_back(&mut self, rule: &Rule) -> Result<(), Error> {
        if rule.allow != self.allow_by_default {
            return Ok(());
        }
        for (nodes, access, _) in &mut self.list {
            if access.and(rule.access).is_empty() || !nodes.meets(rule.nodes) {
                continue;
            }
            if !rule.nodes.covers(*nodes) {
                let index = rule.index.map_or(0, |index| index);
                return Err(refused(
                    format!("linux.resources.devices[{index}]"),
                    Reason::PartOfWiderRule,
                ));
            }
            *access = access.without(rule.access);
        }
        self.list.retain(|(_, access, _)| !access.is_empty());
        Ok(())
    }

    /// Writes them to a group that has just been made, and therefore has what its parent has.
    pub(super) fn write_new(&self, directory: &Directory) -> Result<(), Error> {
        if !self.allow_by_default {
            self.write_all(directory, "devices.deny", &["a".into()], None)?;
        }
        self.write_exceptions(directory, self.list.iter())
    }

    /// Changes a group with processes in it, which must not be denied what they had and are still to have.
    pub(super) fn write_changes(&self, directory: &Directory) -> Result<(), Error> {
        let current = Self::parse(&directory.read("devices.list")?);
        if current.allow_by_default != self.allow_by_default {
            let file = if self.allow_by_default {
                "devices.allow"
            } else {
                "devices.deny"
            };
            self.write_all(directory, file, &["a".into()], None)?;
            return self.write_exceptions(directory, self.list.iter());
        }
        let had = |nodes: Nodes, list: &[(Nodes, Access, Option<usize>)]| {
            list.iter()
                .filter(|(known, ..)| *known == nodes)
                .fold(Access(0), |all, (_, access, _)| all.or(*access))
        };
        let added: Vec<_> = self
            .list
            .iter()
            .map(|&(nodes, access, index)| (nodes, access.without(had(nodes, &current.list)), index))
            .filter(|(_, access, _)| !access.is_empty())
            .collect();
        self.write_exceptions(directory, added.iter())?;
        let removed: Vec<String> = current
            .list
            .iter()
            .map(|&(nodes, access, _)| (nodes, access.without(had(nodes, &self.list))))
            .filter(|(_, access)| !access.is_empty())
            .map(|(nodes, access)| format!("{nodes} {access}"))
            .collect();
        let file = if self.allow_by_default {
            "devices.allow"
        } else {
            "devices.deny"
        };
        self.write_all(directory, file, &removed, None)
    }

    fn write_exceptions<'a>(
        &self,
        directory: &Directory,
        list: impl Iterator<Item = &'a (Nodes, Access, Option<usize>)>,
    ) -> Result<(), Error> {
        let file = if self.allow_by_default {
            "devices.deny"
        } else {
            "devices.allow"
        };
        let open = directory.open_file(file, OFlags::WRONLY)?;
        for (nodes, access, index) in list {
            let value = format!("{nodes} {access}");
            match rustix::io::write(&open, value.as_bytes()) {
                Ok(_) => {}
                // What the parent is denied, the supplied devices cannot be given, and nobody asked.
                Err(rustix::io::Errno::PERM) if index.is_none() => {}
                Err(errno) => return Err(limit(directory, file, value, *index, errno)),
            }
        }
        Ok(())
    }

    fn write_all(
        &self,
        directory: &Directory,
        file: &str,
        values: &[String],
        index: Option<usize>,
    ) -> Result<(), Error> {
        for value in values {
            directory
                .write_raw(file, value)
                .map_err(|errno| limit(directory, file, value.clone(), index, errno))?;
        }
        Ok(())
    }

    /// `devices.list`.
    fn parse(text: &str) -> Self {
        let mut exceptions = Self {
            allow_by_default: false,
            list: Vec::new(),
        };
        for line in text.lines() {
            let mut words = line.split([' ', ':']);
            let (Some(kind), Some(major), Some(minor), Some(access)) =
                (words.next(), words.next(), words.next(), words.next())
            else {
                continue;
            };
            let kind = match kind {
                "b" => Kind::Block,
                "c" => Kind::Char,
                // The only line, if everything is allowed but what the kernel does not tell.
                _ => {
                    exceptions.allow_by_default = true;
                    continue;
                }
            };
            let nodes = Nodes {
                kind,
                major: major.parse().ok(),
                minor: minor.parse().ok(),
            };
            exceptions.add(nodes, Access::parse(access).unwrap_or(Access(0)), None);
        }
        exceptions
    }
}

fn limit(directory: &Directory, file: &str, value: String, index: Option<usize>, errno: rustix::io::Errno) -> Error {
    let field = index.map_or_else(
        || "linux.resources.devices".into(),
        |index| format!("linux.resources.devices[{index}]"),
    );
    Error::Limit {
        field,
        value,
        path: directory.file(file),
        source: errno.into(),
    }
}
