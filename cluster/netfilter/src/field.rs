//! What a rule can know of a packet.

use std::fmt;

use crate::Type;

/// What a rule can know of a packet, its connection, or by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// Who sends it.
    SourceAddress,
    /// Whom it is for.
    DestinationAddress,
    /// Port of who sends it.
    SourcePort,
    /// Port of whom it is for.
    DestinationPort,
    /// The protocol above IP.
    Protocol,
    /// The packet's mark, which lasts while the packet is on this machine.
    Mark,
    /// Index of the interface that it came in by; 0 if it was made here.
    InputInterface,
    /// Index of the interface that it goes out by.
    OutputInterface,
    /// Bits of [`crate::state`].
    ConnectionState,
    /// Bits `IPS_*` of the connection.
    ConnectionStatus,
    /// Who began the connection, by the address that he had when this machine saw him first. A packet without a connection
    /// passes no test of this field, nor of the next three.
    ConnectionSource,
    /// Who answers, by his own address and not the one that was dialled, if that was changed.
    ConnectionDestination,
    /// The protocol of the connection; of an error about one, the one that it is about.
    ConnectionProtocol,
    /// The port of who answers.
    ConnectionDestinationPort,
    /// `RTN_*` of the source address: what the routes say of it. 2 is an address of this machine.
    SourceKind,
    /// `RTN_*` of the destination address.
    DestinationKind,
    /// A random number below this one, another for each packet.
    Random(u32),
}

impl Field {
    /// What values of it are.
    pub fn kind(self) -> Type {
        match self {
            Self::SourceAddress | Self::DestinationAddress | Self::ConnectionSource | Self::ConnectionDestination => {
                Type::Address
            }
            Self::SourcePort | Self::DestinationPort | Self::ConnectionDestinationPort => Type::Port,
            Self::Protocol | Self::ConnectionProtocol => Type::Protocol,
            Self::Mark => Type::Mark,
            Self::InputInterface
            | Self::OutputInterface
            | Self::ConnectionState
            | Self::ConnectionStatus
            | Self::SourceKind
            | Self::DestinationKind
            | Self::Random(_) => Type::Number,
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SourceAddress => "ip saddr",
            Self::DestinationAddress => "ip daddr",
            Self::SourcePort => "th sport",
            Self::DestinationPort => "th dport",
            Self::Protocol => "meta l4proto",
            Self::Mark => "meta mark",
            Self::InputInterface => "iif",
            Self::OutputInterface => "oif",
            Self::ConnectionState => "ct state",
            Self::ConnectionStatus => "ct status",
            Self::ConnectionSource => "ct original ip saddr",
            Self::ConnectionDestination => "ct reply ip saddr",
            Self::ConnectionProtocol => "ct original protocol",
            Self::ConnectionDestinationPort => "ct reply proto-src",
            Self::SourceKind => "fib saddr type",
            Self::DestinationKind => "fib daddr type",
            Self::Random(below) => return write!(f, "numgen random mod {below}"),
        })
    }
}
