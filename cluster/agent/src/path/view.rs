//! What the kernel holds in one network namespace.

use std::collections::BTreeSet;
use std::fs::read_to_string;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use futures_util::TryStreamExt;
use netfilter::{Family, Flow, Netfilter, Protocol};
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::link::LinkAttribute;
use rtnetlink::packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourState};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteType};
use rtnetlink::{Handle, RouteMessageBuilder};

use crate::namespace::{Namespace, Room};
use crate::network::{NetworkError, NodeNetwork, open_links};

/// One network namespace, seen from inside.
pub(super) struct View {
    /// Whose it is.
    pub(super) name: String,
    room: Room,
    links: Handle,
}

/// Where the kernel would send a packet next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    /// To the machine itself.
    pub(super) local: bool,
    pub(super) gateway: Option<IpAddr>,
    index: u32,
    /// Name of the interface.
    pub(super) interface: String,
}

/// How full the table of connections is.
pub(super) struct Connections {
    pub(super) count: u64,
    pub(super) most: u64,
    /// Packets that were dropped because there was no room for their connection.
    pub(super) dropped: u64,
}

impl View {
    pub(super) fn of_node(name: &str, network: &NodeNetwork) -> Self {
        Self::new(format!("node {name}"), network.inside())
    }

    pub(super) fn outside(network: &NodeNetwork) -> Self {
        Self::new("outside".into(), network.on_wire())
    }

    fn new(name: String, (room, links): (&Room, &Handle)) -> Self {
        Self {
            name,
            room: room.clone(),
            links: links.clone(),
        }
    }

    pub(super) async fn of_pod(name: &str, net: Namespace) -> Result<Self, NetworkError> {
        let room = Room::enter("path", net)
            .await
            .map_err(|source| NetworkError::Namespace {
                act: "enter a pod's network namespace",
                source,
            })?;
        Ok(Self {
            name: format!("pod {name}"),
            links: open_links(&room).await?,
            room,
        })
    }

    /// Where a packet to this address goes; the words of the kernel if nowhere.
    pub(super) async fn route(&self, to: IpAddr) -> Result<Route, String> {
        let question = match to {
            IpAddr::V4(to) => RouteMessageBuilder::<Ipv4Addr>::new()
                .destination_prefix(to, 32)
                .build(),
            IpAddr::V6(to) => RouteMessageBuilder::<Ipv6Addr>::new()
                .destination_prefix(to, 128)
                .build(),
        };
        let mut answers = self.links.route().get(question).execute();
        let found = match answers.try_next().await {
            Ok(Some(found)) => found,
            Ok(None) => return Err("no answer".into()),
            Err(rtnetlink::Error::NetlinkError(message)) => {
                return Err(io::Error::from_raw_os_error(-message.raw_code()).to_string());
            }
            Err(error) => return Err(error.to_string()),
        };
        let (mut gateway, mut index) = (None, 0);
        for attribute in &found.attributes {
            match attribute {
                RouteAttribute::Gateway(RouteAddress::Inet(address)) => gateway = Some(IpAddr::V4(*address)),
                RouteAttribute::Gateway(RouteAddress::Inet6(address)) => gateway = Some(IpAddr::V6(*address)),
                RouteAttribute::Oif(number) => index = *number,
                _ => {}
            }
        }
        Ok(Route {
            local: found.header.kind == RouteType::Local,
            gateway,
            interface: self.interface(index).await,
            index,
        })
    }

    async fn interface(&self, index: u32) -> String {
        let mut found = self.links.link().get().match_index(index).execute();
        let attributes = found.try_next().await.ok().flatten().map(|link| link.attributes);
        let name = attributes.into_iter().flatten().find_map(|one| match one {
            LinkAttribute::IfName(name) => Some(name),
            _ => None,
        });
        name.unwrap_or_else(|| format!("interface {index}"))
    }

    /// What is wrong with the way to the next one on a route, whose hardware address is needed.
    pub(super) async fn neighbour(&self, route: &Route, to: IpAddr) -> Result<IpAddr, String> {
        let next = route.gateway.unwrap_or(to);
        let (family, wanted) = match next {
            IpAddr::V4(next) => (AddressFamily::Inet, NeighbourAddress::Inet(next)),
            IpAddr::V6(next) => (AddressFamily::Inet6, NeighbourAddress::Inet6(next)),
        };
        let all = self.links.neighbours().get().set_address_family(family).execute();
        let all: Vec<_> = all.try_collect().await.unwrap_or_default();
        let own = all.iter().find(|one| {
            let is_next = |attribute: &NeighbourAttribute| matches!(attribute, NeighbourAttribute::Destination(address) if *address == wanted);
            one.header.ifindex == route.index && one.attributes.iter().any(is_next)
        });
        match own.map(|one| one.header.state) {
            Some(state @ (NeighbourState::Failed | NeighbourState::Incomplete)) => Err(format!(
                "nobody on {} answers who {next} is: the entry is {state}",
                route.interface
            )),
            // It was not asked for yet, or is known.
            _ => Ok(next),
        }
    }

    /// How full the table of connections is.
    pub(super) async fn connections(&self) -> Option<Connections> {
        let read = || {
            let number = |name: &str| -> Option<u64> {
                let text = read_to_string(format!("/proc/sys/net/netfilter/nf_conntrack_{name}")).ok()?;
                text.trim().parse().ok()
            };
            let statistics = read_to_string("/proc/thread-self/net/stat/nf_conntrack").unwrap_or_default();
            Some(Connections {
                count: number("count")?,
                most: number("max")?,
                dropped: dropped(&statistics),
            })
        };
        self.room.run(read).await.ok().flatten()
    }

    /// Ports on which somebody listens who can be reached by a family, as address and port.
    pub(super) async fn listening(&self, family: Family, protocol: Protocol) -> BTreeSet<(String, u16)> {
        let read = move || {
            let (name, state) = match protocol {
                Protocol::Tcp => ("tcp", "0A"),
                Protocol::Udp => ("udp", "07"),
            };
            // Sockets of IPv6 are reached by IPv4, too, unless told; those of IPv4 only so.
            let suffixes: &[&str] = match family {
                Family::Ipv4 => &["", "6"],
                Family::Ipv6 => &["6"],
            };
            let table = |suffix| read_to_string(format!("/proc/thread-self/net/{name}{suffix}")).unwrap_or_default();
            suffixes
                .iter()
                .flat_map(|suffix| sockets(&table(suffix), state))
                .collect()
        };
        self.room.run(read).await.unwrap_or_default()
    }

    /// Asks the packet filter of a family.
    pub(super) async fn netfilter<R: Send + 'static>(
        &self,
        family: Family,
        ask: impl FnOnce(&mut Netfilter) -> Result<R, netfilter::Error> + Send + 'static,
    ) -> Result<R, String> {
        let asked = self
            .room
            .run(move || Netfilter::open_for(family).and_then(|mut socket| ask(&mut socket)));
        match asked.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The connection that began so, if the kernel remembers it. A packet that is dropped is not remembered.
    pub(super) async fn flow(&self, family: Family, protocol: Protocol, began: impl Fn(&Flow) -> bool) -> Option<Flow> {
        let all = self
            .netfilter(family, move |socket| socket.flows(protocol))
            .await
            .ok()?;
        all.into_iter().find(|flow| began(flow))
    }
}

/// The columns `drop` of `/proc/net/stat/nf_conntrack`, a line for each CPU, in hexadecimal.
fn dropped(statistics: &str) -> u64 {
    let mut lines = statistics.lines();
    let Some(column) = lines
        .next()
        .and_then(|head| head.split_whitespace().position(|name| name == "drop"))
    else {
        return 0;
    };
    let numbers = lines.filter_map(|line| u64::from_str_radix(line.split_whitespace().nth(column)?, 16).ok());
    numbers.sum()
}

/// Addresses and ports of the sockets in that state, of a table of `/proc/net`; of the addresses only whether they are any.
fn sockets(table: &str, state: &str) -> Vec<(String, u16)> {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (address, port) = fields.get(1)?.split_once(':')?;
        let address = match self::address(address)? {
            any if any.is_unspecified() => "*".to_owned(),
            other => other.to_canonical().to_string(),
        };
        let is_listening = *fields.get(3)? == state;
        is_listening.then_some((address, u16::from_str_radix(port, 16).ok()?))
    };
    table.lines().skip(1).filter_map(line).collect()
}

/// An address as tables of `/proc/net` have it: `%08X` of each four bytes as they lie in memory, in network byte order.
fn address(digits: &str) -> Option<IpAddr> {
    let words = digits.as_bytes().chunks(8).map(|word| {
        let number = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        Some(number.to_ne_bytes())
    });
    let bytes = words.collect::<Option<Vec<_>>>()?.concat();
    match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => Some(four.into()),
        Err(_) => <[u8; 16]>::try_from(bytes.as_slice()).ok().map(IpAddr::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_dropped_for_want_of_room_is_the_sum_over_all_cpus() {
        let statistics = "entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop\n\
                          00000004  00000000 00000000 00000000 00000000 00000000 00000000 00000002 00000000 00000000 0000000a 00000000\n\
                          00000004  00000000 00000000 00000000 00000000 00000000 00000000 00000002 00000000 00000000 00000001 00000000\n";
        assert_eq!(dropped(statistics), 11);
        assert_eq!(dropped(""), 0);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn sockets_that_listen_are_told_by_address_and_port() {
        let table = "  sl  local_address rem_address   st\n   0: 0100007F:1F90 00000000:0000 0A 0\n   1: 00000000:1F91 00000000:0000 0A 0\n   2: 00000000:1F92 00000000:0000 01 0\n";
        assert_eq!(
            sockets(table, "0A"),
            [("127.0.0.1".to_owned(), 8080), ("*".to_owned(), 8081)]
        );
        let table = "  sl  local_address remote_address st\n   0: 0000000000000000FFFF00000100007F:1F90 0 0A 0\n   1: 00000000000000000000000000000000:1F91 0 0A 0\n   2: 100000FD000044020000010002000000:1F92 0 0A 0\n";
        let named = |(address, _): (String, u16)| address;
        let addresses: Vec<String> = sockets(table, "0A").into_iter().map(named).collect();
        assert_eq!(addresses, ["127.0.0.1", "*", "fd00:10:244:0:1::2"]);
    }
}
