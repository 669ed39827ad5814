//! Pods of other nodes by VXLAN: an interface that puts packets into datagrams between the nodes (RFC 7348).
//!
//! Nothing is learned and nobody is asked: every node is told of every other by which address it has on the wire and which on
//! the overlay. The interface has no address of its own, so that a node is the same to a pod whatever the routes are.

use std::net::{IpAddr, Ipv4Addr};

use rtnetlink::packet_route::neighbour::NeighbourFlags;
use rtnetlink::{Handle, LinkVxlan, RouteMessageBuilder};

use super::mode::NetworkMode;
use super::{FIRST, NetworkError, link, ranges};
use crate::address;

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
pub(super) async fn lead(links: &Handle, other: u16) -> Result<(), NetworkError> {
    let (wire, mac) = (address::node(other), mac(other));
    let told = |what: &str| link(format!("tell a node {what} node {other} is"));
    let datagrams = links.neighbours().add_bridge(INDEX, &mac).destination(IpAddr::V4(wire));
    let datagrams = datagrams.flags(NeighbourFlags::Own).replace();
    datagrams.execute().await.map_err(told("where"))?;
    let neighbour = links.neighbours().add(INDEX, IpAddr::V4(wire));
    let neighbour = neighbour.link_layer_address(&mac).replace();
    neighbour.execute().await.map_err(told("who"))?;
    for subnet in ranges(other) {
        let message = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(subnet.base, subnet.prefix)
            .output_interface(INDEX)
            .gateway(wire)
            .onlink();
        let add = links.route().add(message.build()).replace();
        add.execute()
            .await
            .map_err(link(format!("add the route to {subnet}")))?;
    }
    Ok(())
}
