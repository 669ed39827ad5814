//! What a proxy has to know of its node.

use std::collections::BTreeSet;
use std::net::IpAddr;

use netfilter::Family;

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    /// The first address.
    pub base: IpAddr,
    /// Bits that all have in common; at most those that an address has.
    pub prefix: u8,
}

impl Subnet {
    /// The last address.
    pub(crate) fn last(self) -> IpAddr {
        let prefix = u32::from(self.prefix);
        match self.base {
            IpAddr::V4(base) => {
                let hosts = u32::MAX.checked_shr(prefix).unwrap_or(0);
                IpAddr::V4((u32::from(base) | hosts).into())
            }
            IpAddr::V6(base) => {
                let hosts = u128::MAX.checked_shr(prefix).unwrap_or(0);
                IpAddr::V6((u128::from(base) | hosts).into())
            }
        }
    }

    fn has(self, address: IpAddr) -> bool {
        (self.base..=self.last()).contains(&address)
    }
}

/// A node, as its proxy sees it.
#[derive(Debug, Clone)]
pub struct Config {
    /// The node's name.
    pub node: String,
    /// Its zone, `topology.kubernetes.io/zone`.
    pub zone: Option<String>,
    /// Which addresses of Services it serves; all others here are of that family.
    pub family: Family,
    /// Addresses on which node ports are served.
    pub addresses: Vec<IpAddr>,
    /// Where its own pods are.
    pub pods: Vec<Subnet>,
    /// Where pods go under their own address: other pods, and nodes. Anywhere else they go under their node's.
    pub direct: Vec<Subnet>,
    /// Where ClusterIPs are.
    pub services: Subnet,
    /// Names of [`crate::FAULTS`]; others are somebody else's.
    pub faults: BTreeSet<String>,
}

impl Config {
    /// Whether it is the address of one of the node's pods.
    pub(crate) fn is_of_pod(&self, address: IpAddr) -> bool {
        self.pods.iter().any(|pods| pods.has(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_where_its_bits_do() {
        let last = |base: &str, prefix| {
            let base = base.parse().unwrap();
            Subnet { base, prefix }.last().to_string()
        };
        assert_eq!(last("10.96.0.0", 16), "10.96.255.255");
        assert_eq!(last("10.0.0.1", 32), "10.0.0.1");
        assert_eq!(last("0.0.0.0", 0), "255.255.255.255");
        assert_eq!(last("fd00:10:96::", 112), "fd00:10:96::ffff");
    }
}
