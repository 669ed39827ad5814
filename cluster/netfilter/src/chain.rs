//! Chains of rules.

/// A place on the way of packets, `enum nf_inet_hooks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// As they come in, before it is known where to.
    Prerouting,
    /// For this machine.
    Input,
    /// Through this machine.
    Forward,
    /// Made on this machine.
    Output,
    /// As they leave.
    Postrouting,
}

impl Hook {
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Prerouting => 0,
            Self::Input => 1,
            Self::Forward => 2,
            Self::Output => 3,
            Self::Postrouting => 4,
        }
    }
}

/// What a base chain may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainKind {
    /// Judge packets.
    Filter,
    /// Change addresses; sees the first packet of each connection only.
    Nat,
}

impl ChainKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Nat => "nat",
        }
    }
}

/// Where packets come into a chain by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base {
    /// What it may do.
    pub kind: ChainKind,
    /// Where.
    pub hook: Hook,
    /// Its turn among the chains of that place: lower is earlier. -100 is where destinations are changed, 0 where packets
    /// are judged, 100 where sources are changed.
    pub priority: i32,
    /// Packets that no rule speaks about are dropped.
    pub drops: bool,
}

/// A chain of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Its name in the table; at most 255 bytes.
    pub name: String,
    /// `None`: packets come from other chains only.
    pub base: Option<Base>,
}

impl Chain {
    /// That others jump to.
    pub fn regular(name: &str) -> Self {
        Self {
            name: name.into(),
            base: None,
        }
    }

    /// That judges packets, and accepts what no rule speaks about.
    pub fn filter(name: &str, hook: Hook, priority: i32) -> Self {
        Self::base(name, ChainKind::Filter, hook, priority)
    }

    /// That changes addresses.
    pub fn nat(name: &str, hook: Hook, priority: i32) -> Self {
        Self::base(name, ChainKind::Nat, hook, priority)
    }

    fn base(name: &str, kind: ChainKind, hook: Hook, priority: i32) -> Self {
        Self {
            name: name.into(),
            base: Some(Base {
                kind,
                hook,
                priority,
                drops: false,
            }),
        }
    }
}
