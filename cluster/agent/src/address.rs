//! Which addresses nodes and pods have.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netfilter::Family;
use serde_json::{Value, json};

/// Of the wire itself; the nodes' gateway to everything else.
pub(crate) const WIRE: Ipv4Addr = Ipv4Addr::new(172, 30, 255, 254);
/// The longest packet on it.
pub(crate) const WIRE_MTU: u32 = 1500;
/// Bits of the nodes' network.
pub(crate) const WIRE_PREFIX: u8 = 16;
/// What pods take for their gateway. It is nobody's.
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

/// The same of IPv6: numbers are those of IPv4, in hexadecimal.
pub(crate) const WIRE_6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x172, 0x30, 0, 0, 0, 0, 0xfffe);
pub(crate) const WIRE_PREFIX_6: u8 = 64;
pub(crate) const GATEWAY_6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

/// The address of the wire itself.
pub(crate) fn wire(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => WIRE.into(),
        Family::Ipv6 => WIRE_6.into(),
    }
}

/// The address of a node by its number, from 1 on.
pub(crate) fn node(number: u16) -> Ipv4Addr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(172, 30, high, low)
}

/// The same of IPv6.
pub(crate) fn node_6(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0x172, 0x30, 0, 0, 0, 0, number)
}

/// The address of a node in a family.
pub(crate) fn node_of(family: Family, number: u16) -> IpAddr {
    match family {
        Family::Ipv4 => node(number).into(),
        Family::Ipv6 => node_6(number).into(),
    }
}

/// The address of IPv6 beside that of IPv4 of a pod of a node: in the last group its place there.
pub(crate) fn pod_6(number: u16, address: Ipv4Addr) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0x10, 0x244, number, 0, 0, 0, place(number, address))
}

/// The address and pod range of a simulated node by its number, from 0 on.
pub(crate) fn simulated(number: u16) -> (Ipv4Addr, Subnet) {
    let [high, low] = number.to_be_bytes();
    let base = Ipv4Addr::from(u32::from(Ipv4Addr::new(100, 64, 0, 0)) + (u32::from(number & 0x3fff) << 8));
    (Ipv4Addr::new(172, 31, high, low), Subnet::v4(base, 24))
}

/// The same of IPv6.
pub(crate) fn simulated_6(number: u16) -> (Ipv6Addr, Subnet) {
    let base = Ipv6Addr::new(0xfd00, 0x10, 0x64, number, 0, 0, 0, 0);
    let address = Ipv6Addr::new(0xfd00, 0x172, 0x31, 0, 0, 0, 0, number);
    (address, Subnet::v6(base, 64))
}

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subnet {
    pub(crate) base: IpAddr,
    pub(crate) prefix: u8,
}

impl Subnet {
    const fn v4(base: Ipv4Addr, prefix: u8) -> Self {
        Self {
            base: IpAddr::V4(base),
            prefix,
        }
    }

    const fn v6(base: Ipv6Addr, prefix: u8) -> Self {
        Self {
            base: IpAddr::V6(base),
            prefix,
        }
    }

    /// All of a family.
    pub(crate) fn everything(family: Family) -> Self {
        match family {
            Family::Ipv4 => Self::v4(Ipv4Addr::UNSPECIFIED, 0),
            Family::Ipv6 => Self::v6(Ipv6Addr::UNSPECIFIED, 0),
        }
    }

    pub(crate) fn host(address: impl Into<IpAddr>) -> Self {
        let base = address.into();
        let prefix = if base.is_ipv4() { 32 } else { 128 };
        Self { base, prefix }
    }

    /// Addresses of Services.
    pub(crate) fn of_services(family: Family) -> Self {
        match family {
            Family::Ipv4 => Self::v4(Ipv4Addr::new(10, 96, 0, 0), 16),
            Family::Ipv6 => Self::v6(Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 0, 0), 112),
        }
    }

    /// Where pods and nodes are: everything that knows the way back to a pod.
    pub(crate) fn of_cluster(family: Family) -> &'static [Self] {
        const V4: [Subnet; 3] = [
            Subnet::v4(Ipv4Addr::new(10, 244, 0, 0), 14),
            Subnet::v4(Ipv4Addr::new(10, 128, 0, 0), 10),
            Subnet::v4(Ipv4Addr::new(172, 30, 0, 0), WIRE_PREFIX),
        ];
        const V6: [Subnet; 2] = [
            Subnet::v6(Ipv6Addr::new(0xfd00, 0x10, 0x244, 0, 0, 0, 0, 0), 48),
            Subnet::v6(Ipv6Addr::new(0xfd00, 0x172, 0x30, 0, 0, 0, 0, 0), WIRE_PREFIX_6),
        ];
        match family {
            Family::Ipv4 => &V4,
            Family::Ipv6 => &V6,
        }
    }

    /// Where the pods of a node are: 10.244.N.0/24, and from 10.0.0.0 on for nodes that this is too small for; of IPv6
    /// fd00:10:244:N::/64, which is large enough.
    pub(crate) fn of_pods(family: Family, number: u16) -> Vec<Self> {
        match family {
            Family::Ipv4 => vec![Self::v4(first_pods(number), 24), Self::v4(more_pods(number), 20)],
            Family::Ipv6 => vec![Self::v6(pods_6(number), 64)],
        }
    }

    /// Whether an address is one of it.
    pub(crate) fn has(self, address: impl Into<IpAddr>) -> bool {
        match (self.base, address.into()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let bits = |address: Ipv4Addr| u32::from(address).checked_shr(32 - u32::from(self.prefix)).unwrap_or(0);
                bits(address) == bits(base)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let bits = |address: Ipv6Addr| {
                    u128::from(address)
                        .checked_shr(128 - u32::from(self.prefix))
                        .unwrap_or(0)
                };
                bits(address) == bits(base)
            }
            _ => false,
        }
    }
}

/// The first address of a node's pods' range of IPv6.
pub(crate) fn pods_6(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0x10, 0x244, number, 0, 0, 0, 0)
}

fn first_pods(number: u16) -> Ipv4Addr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(10, 244u8.wrapping_add(high), low, 0)
}

/// Where those are for which that is too small: 4096 addresses of 10.128.0.0/10.
fn more_pods(number: u16) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 128, 0, 0)) + (u32::from(number & 0x3ff) << 12))
}

/// Addresses as a pod's status lists them.
pub(crate) fn listed(addresses: &[IpAddr]) -> Value {
    addresses
        .iter()
        .map(|address| json!({"ip": address.to_string()}))
        .collect()
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

/// Addresses of pods, each given out again as late as can be. A node with more pods than a /24 holds has a second range.
#[derive(Debug)]
pub(crate) struct Pool {
    number: u16,
    taken: BTreeSet<u16>,
    last: [u16; 2],
}

/// Places of the first range, and of the second.
const PLACES: [std::ops::RangeInclusive<u16>; 2] = [2..=254, 256..=4349];

impl Pool {
    /// Of a node by its number.
    pub(crate) fn new(number: u16) -> Self {
        Self {
            number,
            taken: BTreeSet::new(),
            last: [1, 255],
        }
    }

    /// A place that is free, and its address.
    pub(crate) fn take(&mut self) -> Option<(u16, Ipv4Addr)> {
        for (places, last) in PLACES.into_iter().zip(&mut self.last) {
            let order = (*last + 1..=*places.end()).chain(*places.start()..=*last);
            let free = order
                .into_iter()
                .find(|place| places.contains(place) && !self.taken.contains(place));
            if let Some(place) = free {
                self.taken.insert(place);
                *last = place;
                return Some((place, self.address(place)));
            }
        }
        None
    }

    /// Takes an address that a pod has already. Answers its place.
    pub(crate) fn take_this(&mut self, address: Ipv4Addr) -> u16 {
        let place = place(self.number, address);
        self.taken.insert(place);
        place
    }

    pub(crate) fn give_back(&mut self, address: Ipv4Addr) {
        let place = place(self.number, address);
        self.taken.remove(&place);
    }

    fn address(&self, place: u16) -> Ipv4Addr {
        let (base, host) = if place < 256 {
            (first_pods(self.number), place)
        } else {
            (more_pods(self.number), place - 255)
        };
        Ipv4Addr::from(u32::from(base) + u32::from(host))
    }
}

/// The place of an address among those of the pods of a node; 0 if it is none of them.
fn place(number: u16, address: Ipv4Addr) -> u16 {
    let from = |base: Ipv4Addr| u32::from(address).checked_sub(u32::from(base));
    let place = match from(first_pods(number)) {
        Some(host @ 0..256) => Some(host),
        _ => from(more_pods(number)).map(|host| host + 255),
    };
    place.and_then(|place| u16::try_from(place).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_came_back_is_the_last_to_be_given_out_again() {
        let mut pool = Pool::new(3);
        let (_, first) = pool.take().unwrap();
        assert_eq!(first, Ipv4Addr::new(10, 244, 3, 2));
        pool.give_back(first);
        let rest: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
        assert_eq!(rest[252].1, first);
        assert_eq!(
            rest[253].1,
            Ipv4Addr::new(10, 128, 48, 1),
            "and then from the second range"
        );
        assert_eq!(rest.len(), 253 + 4094);
        let all: BTreeSet<Ipv4Addr> = rest.iter().map(|(_, address)| *address).collect();
        assert_eq!(all.len(), rest.len());
        for (place, address) in rest {
            assert_eq!(pool.take_this(address), place);
        }
    }

    #[test]
    fn addresses_of_ipv6_have_the_numbers_of_those_of_ipv4() {
        let told = |number, last| pod_6(number, last).to_string();
        assert_eq!(told(3, Ipv4Addr::new(10, 244, 3, 2)), "fd00:10:244:3::2");
        assert_eq!(told(26, Ipv4Addr::new(10, 244, 26, 254)), "fd00:10:244:1a::fe");
        assert_eq!(
            told(3, Ipv4Addr::new(10, 128, 48, 1)),
            "fd00:10:244:3::100",
            "of the second range"
        );
        assert_eq!(node_6(1).to_string(), "fd00:172:30::1");
        let [pods] = Subnet::of_pods(Family::Ipv6, 3)[..] else {
            unreachable!()
        };
        assert_eq!(pods.to_string(), "fd00:10:244:3::/64");
        assert!(pods.has(pod_6(3, Ipv4Addr::new(10, 244, 3, 2))) && !pods.has(pod_6(4, Ipv4Addr::new(10, 244, 4, 2))));
        assert!(!pods.has(Ipv4Addr::new(10, 244, 3, 2)), "another family");
        let cluster = Subnet::of_cluster(Family::Ipv6);
        assert!(cluster.iter().any(|range| range.has(node_6(7))));
        assert!(Subnet::of_services(Family::Ipv6).has("fd00:10:96::a".parse::<IpAddr>().unwrap()));
    }

    #[test]
    fn every_simulated_node_has_a_range_of_its_own() {
        let ranges: BTreeSet<String> = (0..10_000).map(|n| simulated(n).1.to_string()).collect();
        assert_eq!(ranges.len(), 10_000);
        assert_eq!(simulated(1).1.to_string(), "100.64.1.0/24");
    }
}
