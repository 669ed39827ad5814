//! Pods of other nodes by VXLAN: an interface that puts packets into datagrams between the nodes (RFC 7348).
//!
//! Nothing is learned and nobody is asked: every node is told of every other by which address it has on the wire and which on
//! the overlay. The interface has no address of its own, so that a node is the same to a pod whatever the routes are: a node is
//! known on the overlay by that of the wire, and in IPv6, where a gateway can be on one interface only, by the first of its
//! pods' range, which is no pod's.

use std::net::IpAddr;

use netfilter::Family;
use rtnetlink::packet_route::neighbour::NeighbourFlags;
use rtnetlink::{Handle, LinkVxlan};

use super::families::Families;
use super::mode::NetworkMode;
use super::{FIRST, NetworkError, acquaint, link, route_on_link};
use crate::address::{self, Subnet};

/// Index and name of the interface.
const INDEX: u32 = 3;
const NAME: &str = "vxlan0";
/// The network's number and the port, both by custom and by RFC 7348.
const NUMBER: u32 = 1;
const PORT: u16 = 4789;

/// Hardware address of a node on the overlay.
fn mac(node: u16) -> [u8; 6] {
    let [high, low] = node.to_be_bytes();
    // Locally administered.
    [0x02, 0, 0, 0, high, low]
}

/// What a node is called by those that lead to its pods.
pub(super) fn gateway(family: Family, node: u16) -> IpAddr {
    match family {
        Family::Ipv4 => address::node(node).into(),
        Family::Ipv6 => address::pods_6(node).into(),
    }
}

/// Makes a node's interface.
pub(super) async fn create(links: &Handle, node: u16, mode: NetworkMode) -> Result<(), NetworkError> {
    let message = LinkVxlan::new(NAME, NUMBER)
        .dev(FIRST)
        .local(address::node(node))
        .port(PORT)
        .learning(false)
        .index(INDEX)
        .address(mac(node).to_vec())
        .mtu(mode.mtu())
        .up()
        .build();
    let add = links.link().add(message);
    add.execute().await.map_err(link("make the interface of the overlay"))
}

/// Leads a node to the pods of another.
pub(super) async fn lead(links: &Handle, other: u16, families: Families) -> Result<(), NetworkError> {
    let (wire, mac) = (address::node(other), mac(other));
    let datagrams = links.neighbours().add_bridge(INDEX, &mac).destination(IpAddr::V4(wire));
    let datagrams = datagrams.flags(NeighbourFlags::Own).replace();
    let told = link(format!("tell a node where node {other} is"));
    datagrams.execute().await.map_err(told)?;
    for family in families.all() {
        let by = gateway(*family, other);
        acquaint(links, INDEX, by, mac).await?;
        for subnet in Subnet::of_pods(*family, other) {
            route_on_link(links, subnet, INDEX, by).await?;
        }
    }
    Ok(())
}
