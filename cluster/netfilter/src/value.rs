//! Values that fields are compared with and that sets hold.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::family::{self, Family};

/// Bits of [`crate::Field::ConnectionState`], `NF_CT_STATE_*`.
pub mod state {
    /// No connection that it could belong to.
    pub const INVALID: u32 = 1;
    /// Of a connection that was answered.
    pub const ESTABLISHED: u32 = 1 << 1;
    /// Begins a connection that another one asked for, or is an error about one.
    pub const RELATED: u32 = 1 << 2;
    /// Begins a connection.
    pub const NEW: u32 = 1 << 3;
}

/// A protocol above IP, by its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// `IPPROTO_TCP`.
    Tcp,
    /// `IPPROTO_UDP`.
    Udp,
}

impl Protocol {
    /// `IPPROTO_*`.
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }

    fn of(number: u8) -> Option<Self> {
        [Self::Tcp, Self::Udp].into_iter().find(|one| one.number() == number)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// One value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// Four bytes, or sixteen.
    Address(IpAddr),
    /// One byte.
    Protocol(Protocol),
    /// Two bytes.
    Port(u16),
    /// Four bytes in the machine's order: marks, bits, interfaces, random numbers.
    Number(u32),
}

impl Value {
    /// As it is in a register.
    pub(crate) fn bytes(self) -> Vec<u8> {
        match self {
            Self::Address(address) => family::octets(address),
            Self::Protocol(protocol) => vec![protocol.number()],
            Self::Port(port) => port.to_be_bytes().to_vec(),
            Self::Number(number) => number.to_ne_bytes().to_vec(),
        }
    }

    /// The one after it; `None` after the last.
    pub(crate) fn next(self) -> Option<Self> {
        Some(match self {
            Self::Address(IpAddr::V4(address)) => Self::from(Ipv4Addr::from(u32::from(address).checked_add(1)?)),
            Self::Address(IpAddr::V6(address)) => Self::from(Ipv6Addr::from(u128::from(address).checked_add(1)?)),
            Self::Port(port) => Self::Port(port.checked_add(1)?),
            Self::Number(number) => Self::Number(number.checked_add(1)?),
            Self::Protocol(_) => return None,
        })
    }
}

/// Bytes of a key: one value as it is, several each on registers of four bytes.
pub(crate) fn key(values: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 * values.len());
    for value in values {
        bytes.extend(value.bytes());
        if values.len() > 1 {
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
    }
    bytes
}

/// Reads values of these types from a key.
pub(crate) fn read(family: Family, types: &[crate::Type], bytes: &[u8]) -> Option<Vec<Value>> {
    use crate::Type;
    let mut rest = bytes;
    let read = types.iter().map(|kind| {
        let length = usize::try_from(kind.length(family)).ok()?;
        let value = rest.get(..length)?;
        let step = if types.len() > 1 {
            length.next_multiple_of(4)
        } else {
            length
        };
        rest = rest.get(step..)?;
        Some(match kind {
            Type::Address => Value::Address(family::address(value)?),
            Type::Protocol => Value::Protocol(Protocol::of(*value.first()?)?),
            Type::Port => Value::Port(u16::from_be_bytes(value.try_into().ok()?)),
            Type::Mark | Type::Number => Value::Number(u32::from_ne_bytes(value.try_into().ok()?)),
        })
    });
    read.collect()
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Protocol(protocol) => protocol.fmt(f),
            Self::Port(port) => port.fmt(f),
            Self::Number(number) => number.fmt(f),
        }
    }
}

impl From<IpAddr> for Value {
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}

impl From<Ipv4Addr> for Value {
    fn from(address: Ipv4Addr) -> Self {
        Self::Address(address.into())
    }
}

impl From<Ipv6Addr> for Value {
    fn from(address: Ipv6Addr) -> Self {
        Self::Address(address.into())
    }
}

impl From<Protocol> for Value {
    fn from(protocol: Protocol) -> Self {
        Self::Protocol(protocol)
    }
}

impl From<u16> for Value {
    fn from(port: u16) -> Self {
        Self::Port(port)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number)
    }
}
