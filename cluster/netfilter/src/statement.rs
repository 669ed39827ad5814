//! What rules are made of.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::{Field, Value, Verdict};

/// A question about one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test {
    /// It is this value.
    Is(Value),
    /// It is not.
    IsNot(Value),
    /// It is an address of this network, with so many bits.
    Within(IpAddr, u8),
    /// It is not.
    Outside(IpAddr, u8),
    /// It is one of these, both ends included.
    Between(Value, Value),
    /// It has one of these bits.
    Has(u32),
    /// It has none of them.
    Lacks(u32),
}

/// Which address is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nat {
    /// The destination.
    Destination,
    /// The source.
    Source,
}

/// How a packet is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reject {
    /// ICMP says that nobody listens: `ECONNREFUSED` for who dials.
    PortUnreachable,
    /// A TCP reset; for rules that see TCP only.
    Reset,
    /// ICMP says that it is forbidden: `EACCES` or `EHOSTUNREACH`.
    Prohibited,
}

/// How often a rule may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Packets in that time.
    pub packets: u64,
    /// The time, in whole seconds.
    pub per: Duration,
    /// Packets beyond that at once.
    pub burst: u32,
}

/// One thing that a rule does. A rule ends at the first that a packet does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// Goes on if the field is so.
    Test(Field, Test),
    /// Goes on if a set has these fields, or (`absent`) has them not.
    Lookup {
        /// The key.
        fields: Vec<Field>,
        /// Name of the set.
        set: String,
        /// The other way around.
        absent: bool,
    },
    /// Does what a verdict map says of these fields; goes on if it says nothing.
    Map {
        /// The key.
        fields: Vec<Field>,
        /// Name of the map.
        map: String,
    },
    /// The same with a map that this rule brings along.
    Choose {
        /// The key.
        field: Field,
        /// The map.
        choices: Vec<(Value, Verdict)>,
    },
    /// Puts these fields into a set, or lets them stay there for longer.
    Remember {
        /// The key.
        fields: Vec<Field>,
        /// Name of the set.
        set: String,
    },
    /// The mark becomes `(mark & keep) ^ flip`.
    Mark {
        /// Bits that stay.
        keep: u32,
        /// Bits that are turned over then.
        flip: u32,
    },
    /// Changes an address, and the port too if one is given, for the whole connection.
    Nat {
        /// Which.
        nat: Nat,
        /// What it becomes.
        address: IpAddr,
        /// What its port becomes.
        port: Option<u16>,
    },
    /// The source becomes the address of the interface that it leaves by, with a random port.
    Masquerade,
    /// Refuses it.
    Reject(Reject),
    /// Counts packets and bytes.
    Count,
    /// Goes on as often as it may.
    Limit(Limit),
    /// Ends the rule.
    Verdict(Verdict),
}

/// Fields with a dot between, as a concatenation is written.
fn concatenation(fields: &[Field]) -> String {
    let all: Vec<String> = fields.iter().map(Field::to_string).collect();
    all.join(" . ")
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(value) => value.fmt(f),
            Self::IsNot(value) => write!(f, "!= {value}"),
            Self::Within(base, prefix) => write!(f, "{base}/{prefix}"),
            Self::Outside(base, prefix) => write!(f, "!= {base}/{prefix}"),
            Self::Between(first, last) => write!(f, "{first}-{last}"),
            Self::Has(bits) => write!(f, "and {bits:#x} != 0"),
            Self::Lacks(bits) => write!(f, "and {bits:#x} == 0"),
        }
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Test(field, test) => write!(f, "{field} {test}"),
            Self::Lookup { fields, set, absent } => {
                let not = if *absent { "!= " } else { "" };
                write!(f, "{} {not}@{set}", concatenation(fields))
            }
            Self::Map { fields, map } => write!(f, "{} vmap @{map}", concatenation(fields)),
            Self::Choose { field, choices } => {
                let all: Vec<String> = choices.iter().map(|(value, to)| format!("{value} : {to}")).collect();
                write!(f, "{field} vmap {{ {} }}", all.join(", "))
            }
            Self::Remember { fields, set } => write!(f, "update @{set} {{ {} }}", concatenation(fields)),
            Self::Mark { keep, flip } => write!(f, "meta mark set mark and {keep:#x} xor {flip:#x}"),
            Self::Nat { nat, address, port } => {
                let word = match nat {
                    Nat::Destination => "dnat",
                    Nat::Source => "snat",
                };
                match (address, port) {
                    (address, None) => write!(f, "{word} to {address}"),
                    // With brackets where the address has colons of its own.
                    (address, Some(port)) => write!(f, "{word} to {}", SocketAddr::new(*address, *port)),
                }
            }
            Self::Masquerade => f.write_str("masquerade fully-random"),
            Self::Reject(Reject::PortUnreachable) => f.write_str("reject"),
            Self::Reject(Reject::Reset) => f.write_str("reject with tcp reset"),
            Self::Reject(Reject::Prohibited) => f.write_str("reject with icmp admin-prohibited"),
            Self::Count => f.write_str("counter"),
            Self::Limit(limit) => write!(
                f,
                "limit rate {} per {} s burst {} packets",
                limit.packets,
                limit.per.as_secs(),
                limit.burst
            ),
            Self::Verdict(verdict) => verdict.fmt(f),
        }
    }
}
