//! To a pod, or from it.

use std::fmt;

use netfilter::Field;

use crate::fault::Faults;

/// To a pod, or from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Connections to it.
    Ingress,
    /// Connections that it begins.
    Egress,
}

impl Direction {
    pub(crate) const BOTH: [Self; 2] = [Self::Egress, Self::Ingress];

    /// Of a policy's rule: the field with those at the other end.
    pub(crate) fn peers(self) -> &'static str {
        match self {
            Self::Ingress => "from",
            Self::Egress => "to",
        }
    }

    /// As `policyTypes` has it.
    pub(crate) fn policy_type(self) -> &'static str {
        match self {
            Self::Ingress => "Ingress",
            Self::Egress => "Egress",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        })
    }
}

/// What a packet is judged by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    source: Field,
    destination: Field,
    /// Protocol and port of who answers.
    pub(crate) protocol: Field,
    pub(crate) port: Field,
}

impl Ends {
    pub(crate) fn new(faults: &Faults) -> Self {
        match faults.has("replies-dropped") {
            true => Self {
                source: Field::SourceAddress,
                destination: Field::DestinationAddress,
                protocol: Field::Protocol,
                port: Field::DestinationPort,
            },
            false => Self {
                source: Field::ConnectionSource,
                destination: Field::ConnectionDestination,
                protocol: Field::ConnectionProtocol,
                port: Field::ConnectionDestinationPort,
            },
        }
    }

    /// The end that is the pod.
    pub(crate) fn pod(self, direction: Direction) -> Field {
        match direction {
            Direction::Ingress => self.destination,
            Direction::Egress => self.source,
        }
    }

    /// The other end.
    pub(crate) fn peer(self, direction: Direction) -> Field {
        match direction {
            Direction::Ingress => self.source,
            Direction::Egress => self.destination,
        }
    }

    /// Who answers, and where.
    pub(crate) fn answering(self) -> [Field; 3] {
        [self.destination, self.protocol, self.port]
    }
}
