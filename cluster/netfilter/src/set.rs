//! Sets and verdict maps.

use std::time::Duration;

use crate::value::Value;

/// Types of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// An IPv4 address.
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
    pub(crate) fn length(self) -> u32 {
        match self {
            Self::Protocol => 1,
            Self::Port => 2,
            Self::Address | Self::Mark | Self::Number => 4,
        }
    }

    /// `enum datatypes` of `nft`, which the kernel keeps for it.
    fn number(self) -> u32 {
        match self {
            Self::Number => 4,
            Self::Address => 7,
            Self::Protocol => 12,
            Self::Port => 13,
            Self::Mark => 19,
        }
    }
}

/// Bytes of a key of these types.
pub(crate) fn length(types: &[Type]) -> u32 {
    match types {
        [one] => one.length(),
        several => several.iter().map(|one| one.length().next_multiple_of(4)).sum(),
    }
}

/// What `nft` calls a concatenation of these types: six bits for each.
pub(crate) fn number(types: &[Type]) -> u32 {
    types.iter().fold(0, |all, one| (all << 6) | one.number())
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
    pub(crate) fn read(&self, bytes: &[u8]) -> Option<Vec<Value>> {
        crate::value::read(&self.key, bytes)
    }
}
