//! Sets and verdict maps.

use std::time::Duration;

use crate::Family;
use crate::value::Value;

/// Types of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// An address, of the table's family.
    Address,
    /// A protocol above IP.
    Protocol,
    /// A port.
    Port,
    /// A packet's mark.
    Mark,
    /// Any number of four bytes in the machine's order.
    Number,
}

impl Type {
    /// Bytes of a value.
    pub(crate) fn length(self, family: Family) -> u32 {
        match self {
            Self::Protocol => 1,
            Self::Port => 2,
            Self::Address => family.length(),
            Self::Mark | Self::Number => 4,
        }
    }

    /// `enum datatypes` of `nft`, which the kernel keeps for it.
    fn number(self, family: Family) -> u32 {
        match self {
            Self::Number => 4,
            Self::Address => match family {
                Family::Ipv4 => 7,
                Family::Ipv6 => 8,
            },
            Self::Protocol => 12,
            Self::Port => 13,
            Self::Mark => 19,
        }
    }
}

/// Bytes of a key of these types.
pub(crate) fn length(family: Family, types: &[Type]) -> u32 {
    match types {
        [one] => one.length(family),
        several => several.iter().map(|one| one.length(family).next_multiple_of(4)).sum(),
    }
}

/// What `nft` calls a concatenation of these types: six bits for each.
pub(crate) fn number(family: Family, types: &[Type]) -> u32 {
    types.iter().fold(0, |all, one| (all << 6) | one.number(family))
}

/// A named set, or a map from keys to verdicts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// Its name in the table; at most 255 bytes.
    pub name: String,
    /// Types of its keys, in order; several are a concatenation.
    pub key: Vec<Type>,
    /// Every element has a [`crate::Verdict`].
    pub verdicts: bool,
    /// Rules add elements to it.
    pub dynamic: bool,
    /// Elements are ranges of keys; for keys of one type.
    pub ranges: bool,
    /// How long elements stay that say nothing else; to the millisecond.
    pub timeout: Option<Duration>,
}

impl Set {
    /// A set of keys.
    pub fn new(name: &str, key: &[Type]) -> Self {
        Self {
            name: name.into(),
            key: key.to_vec(),
            verdicts: false,
            dynamic: false,
            ranges: false,
            timeout: None,
        }
    }

    /// A map from keys to verdicts.
    pub fn verdict_map(name: &str, key: &[Type]) -> Self {
        Self {
            verdicts: true,
            ..Self::new(name, key)
        }
    }

    /// Rules may put elements into it, which stay for so long.
    #[must_use]
    pub fn remembering(self, timeout: Duration) -> Self {
        Self {
            dynamic: true,
            timeout: Some(timeout),
            ..self
        }
    }

    /// Elements are ranges.
    #[must_use]
    pub fn of_ranges(self) -> Self {
        Self { ranges: true, ..self }
    }

    /// Values of one of its keys.
    pub(crate) fn read(&self, family: Family, bytes: &[u8]) -> Option<Vec<Value>> {
        crate::value::read(family, &self.key, bytes)
    }
}
