//! Connections that the kernel tracks.

use std::net::IpAddr;

use rustix::io::Errno;

use crate::attribute::{Reader, Writer};
use crate::message::{self, Kind};
use crate::{Error, Family, Netfilter, Protocol, family};

/// Connections that are forgotten by one request.
const AT_ONCE: usize = 1000;

/// One direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// Who sends.
    pub source: (IpAddr, u16),
    /// To whom.
    pub destination: (IpAddr, u16),
}

/// A connection as the kernel remembers it. UDP has such, too, for as long as packets keep coming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// Its protocol.
    pub protocol: Protocol,
    /// As its first packet was before anything changed it.
    pub original: Way,
    /// What comes back: its source is who really answers.
    pub reply: Way,
    id: Option<u32>,
}

impl Netfilter {
    /// All connections of a protocol, of the socket's family.
    ///
    /// # Errors
    /// [`Error`].
    pub fn flows(&mut self, protocol: Protocol) -> Result<Vec<Flow>, Error> {
        let family = self.family();
        self.dump(
            Kind::GET_FLOW,
            |_| {},
            |attributes| {
                let flow = flow(family, protocol, attributes);
                flow.into_iter().collect()
            },
        )
    }

    /// Makes the kernel forget these connections: their next packet begins a new one. Those that are gone are no error.
    ///
    /// # Errors
    /// [`Error`].
    pub fn forget(&mut self, flows: &[Flow]) -> Result<(), Error> {
        for some in flows.chunks(AT_ONCE) {
            let mut messages = Writer::default();
            for flow in some {
                message::write(self.family(), Kind::DELETE_FLOW, 0, 0, &mut messages, |to| {
                    // `enum ctattr_type`.
                    to.nest(1, |to| tuple(flow, to));
                    if let Some(id) = flow.id {
                        to.u32(12, id);
                    }
                });
            }
            self.send(&[messages.bytes()])?;
            let mut refused = Vec::new();
            self.collect(&mut refused)?;
            refused.retain(|(_, refusal)| refusal.errno != Errno::NOENT.raw_os_error());
            let others = refused.len().saturating_sub(1);
            if let Some((_, source)) = refused.into_iter().next() {
                return Err(Error::Refused {
                    act: message::describe(messages.bytes()),
                    others,
                    source,
                });
            }
        }
        Ok(())
    }
}

fn flow(family: Family, protocol: Protocol, attributes: Reader<'_>) -> Option<Flow> {
    let (original, reply) = (attributes.nested(1)?, attributes.nested(2)?);
    if original.nested(2)?.u8(1)? != protocol.number() {
        return None;
    }
    Some(Flow {
        protocol,
        original: way(family, original)?,
        reply: way(family, reply)?,
        id: attributes.u32(12),
    })
}

/// Source and destination in `enum ctattr_ip`.
fn ends(family: Family) -> [u16; 2] {
    match family {
        Family::Ipv4 => [1, 2],
        Family::Ipv6 => [3, 4],
    }
}

/// `enum ctattr_tuple`, `enum ctattr_l4proto`.
fn way(family: Family, tuple: Reader<'_>) -> Option<Way> {
    let (addresses, ports) = (tuple.nested(1)?, tuple.nested(2)?);
    let address = |kind| family::address(addresses.get(kind)?);
    let [source, destination] = ends(family);
    Some(Way {
        source: (address(source)?, ports.u16(2)?),
        destination: (address(destination)?, ports.u16(3)?),
    })
}

fn tuple(flow: &Flow, to: &mut Writer) {
    let Way { source, destination } = flow.original;
    let [from, whom] = ends(Family::of(source.0));
    to.nest(1, |to| {
        to.put(from, &family::octets(source.0));
        to.put(whom, &family::octets(destination.0));
    });
    to.nest(2, |to| {
        to.put(1, &[flow.protocol.number()]);
        to.put(2, &source.1.to_be_bytes());
        to.put(3, &destination.1.to_be_bytes());
    });
}
