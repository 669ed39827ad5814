//! Which addresses nodes and pods have.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;

/// Of the wire itself; the nodes' gateway to everything else.
pub(crate) const WIRE: Ipv4Addr = Ipv4Addr::new(172, 30, 255, 254);
/// The longest packet on it.
pub(crate) const WIRE_MTU: u32 = 1500;
/// Bits of the nodes' network.
pub(crate) const WIRE_PREFIX: u8 = 16;
/// What pods take for their gateway. It is nobody's.
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

/// The address of a node by its number, from 1 on.
pub(crate) fn node(number: u16) -> Ipv4Addr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(172, 30, high, low)
}

/// The address and pod range of a simulated node by its number, from 0 on.
pub(crate) fn simulated(number: u16) -> (Ipv4Addr, Subnet) {
    let [high, low] = number.to_be_bytes();
    let base = Ipv4Addr::from(u32::from(Ipv4Addr::new(100, 64, 0, 0)) + (u32::from(number & 0x3fff) << 8));
    (Ipv4Addr::new(172, 31, high, low), Subnet { base, prefix: 24 })
}

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subnet {
    pub(crate) base: Ipv4Addr,
    pub(crate) prefix: u8,
}

impl Subnet {
    pub(crate) const EVERYTHING: Self = Self {
        base: Ipv4Addr::UNSPECIFIED,
        prefix: 0,
    };

    pub(crate) fn host(address: Ipv4Addr) -> Self {
        Self {
            base: address,
            prefix: 32,
        }
    }

    /// Addresses of Services.
    pub(crate) const OF_SERVICES: Self = Self {
        base: Ipv4Addr::new(10, 96, 0, 0),
        prefix: 16,
    };

    /// Where pods and nodes are: everything that knows the way back to a pod.
    pub(crate) const OF_CLUSTER: [Self; 3] = [
        Self {
            base: Ipv4Addr::new(10, 244, 0, 0),
            prefix: 14,
        },
        Self {
            base: Ipv4Addr::new(10, 128, 0, 0),
            prefix: 10,
        },
        Self {
            base: Ipv4Addr::new(172, 30, 0, 0),
            prefix: WIRE_PREFIX,
        },
    ];

    /// Where the pods of a node are: 10.244.N.0/24, and from 10.0.0.0 on for nodes that this is too small for.
    pub(crate) fn of_pods(number: u16) -> Self {
        let [high, low] = number.to_be_bytes();
        Self {
            base: Ipv4Addr::new(10, 244u8.wrapping_add(high), low, 0),
            prefix: 24,
        }
    }
}

impl Subnet {
    /// Whether an address is one of it.
    pub(crate) fn has(self, address: Ipv4Addr) -> bool {
        let bits = |address: Ipv4Addr| u32::from(address).checked_shr(32 - u32::from(self.prefix)).unwrap_or(0);
        bits(address) == bits(self.base)
    }

    /// Where those are for which that is too small: 4096 addresses of 10.128.0.0/10.
    pub(crate) fn of_more_pods(number: u16) -> Self {
        let base = u32::from(Ipv4Addr::new(10, 128, 0, 0)) + (u32::from(number & 0x3ff) << 12);
        Self {
            base: Ipv4Addr::from(base),
            prefix: 20,
        }
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

/// Addresses of pods, each given out again as late as can be. A node with more pods than a /24 holds has a second range.
#[derive(Debug)]
pub(crate) struct Pool {
    first: Subnet,
    second: Subnet,
    taken: BTreeSet<u16>,
    last: [u16; 2],
}

/// Places of the first range, and of the second.
const PLACES: [std::ops::RangeInclusive<u16>; 2] = [2..=254, 256..=4349];

impl Pool {
    /// Of a node by its number.
    pub(crate) fn new(number: u16) -> Self {
        Self {
            first: Subnet::of_pods(number),
            second: Subnet::of_more_pods(number),
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
        let place = self.place(address);
        self.taken.insert(place);
        place
    }

    pub(crate) fn give_back(&mut self, address: Ipv4Addr) {
        let place = self.place(address);
        self.taken.remove(&place);
    }

    fn address(&self, place: u16) -> Ipv4Addr {
        let (base, host) = if place < 256 {
            (self.first.base, place)
        } else {
            (self.second.base, place - 255)
        };
        Ipv4Addr::from(u32::from(base) + u32::from(host))
    }

    fn place(&self, address: Ipv4Addr) -> u16 {
        let from = |base: Ipv4Addr| u32::from(address).checked_sub(u32::from(base));
        let place = match from(self.first.base) {
            Some(host @ 0..256) => Some(host),
            _ => from(self.second.base).map(|host| host + 255),
        };
        place.and_then(|place| u16::try_from(place).ok()).unwrap_or(0)
    }
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
    fn every_simulated_node_has_a_range_of_its_own() {
        let ranges: BTreeSet<String> = (0..10_000).map(|n| simulated(n).1.to_string()).collect();
        assert_eq!(ranges.len(), 10_000);
        assert_eq!(simulated(1).1.to_string(), "100.64.1.0/24");
    }
}
