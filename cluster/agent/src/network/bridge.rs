//! Pods on a bridge of their node, as the CNI plugin `bridge` connects them:
//! <https://www.cni.dev/plugins/current/main/bridge/>.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netfilter::Family;
use rtnetlink::{Handle, LinkBridge, LinkBridgePort, LinkUnspec};

use super::mode::NetworkMode;
use super::{
    FIRST, LOOPBACK, NetworkError, PodNetwork, acquaint, address, link, mac_of, pair, parameters, route, route_on_link,
    up,
};
use crate::address::{Subnet, pod_6};
use crate::namespace::{Namespace, Room};

/// Index and name of the bridge.
const INDEX: u32 = 4;
pub(super) const NAME: &str = "cni0";

/// The node's address among its pods, their gateway.
fn gateway(node: u16) -> Ipv4Addr {
    let [high, low] = node.to_be_bytes();
    Ipv4Addr::new(10, 244u8.wrapping_add(high), low, 1)
}

/// The same of IPv6.
fn gateway_6(node: u16) -> Ipv6Addr {
    pod_6(node, gateway(node))
}

/// Makes a node's bridge.
pub(super) async fn create(links: &Handle, room: &Room, node: u16, mode: NetworkMode) -> Result<(), NetworkError> {
    // Packets from pod to pod pass the packet filter, too: what was sent to a Service would not be known when it comes back.
    let mut filtered = vec!["bridge/bridge-nf-call-iptables"];
    if mode.families.is_dual() {
        filtered.push("bridge/bridge-nf-call-ip6tables");
    }
    let filtered = filtered.into_iter().map(|path| (path.to_owned(), "1"));
    parameters(room, filtered.collect()).await?;
    // An address that is not said is that of some port, and changes with them.
    let bridge = LinkBridge::new(NAME)
        .index(INDEX)
        .address(mac_of(gateway(node)).to_vec())
        .mtu(mode.mtu());
    let add = links.link().add(bridge.build());
    add.execute().await.map_err(link("make the node's bridge"))?;
    let ranges = Subnet::of_pods(Family::Ipv4, node);
    let (first, more) = ranges.split_at(1);
    for range in first {
        address(links, INDEX, gateway(node), range.prefix).await?;
    }
    for range in more {
        route(links, *range, INDEX, None).await?;
    }
    match mode.families.is_dual() {
        true => address(links, INDEX, gateway_6(node), 64).await,
        false => Ok(()),
    }
}

/// Puts a pod on it; `inside` is a netlink socket in its namespace.
pub(super) async fn attach(
    links: &Handle,
    pod: &PodNetwork,
    node: u16,
    mode: NetworkMode,
    there: &Namespace,
    inside: &Handle,
) -> Result<(), NetworkError> {
    let sends = (mode.mtu(), mode.segments());
    let message = pair(
        pod.index,
        (&pod.name(), "eth0"),
        [None, pod.second.map(|_| pod.mac())],
        there,
        sends,
    );
    let add = links.link().add(message);
    add.execute().await.map_err(link("make the pod's interface"))?;
    let join = LinkUnspec::new_with_index(pod.index).controller(INDEX).build();
    let join = links.link().change(join).execute().await;
    join.map_err(link("put the pod's interface on the bridge"))?;
    // What a pod sends to itself through a Service goes back by where it came from.
    let hairpin = LinkBridgePort::new(pod.index).hairpin(true).build();
    let hairpin = links.link().change(hairpin).execute().await;
    hairpin.map_err(link("let the pod's interface send back"))?;
    up(inside, LOOPBACK).await?;
    up(inside, FIRST).await?;
    let own = Subnet::of_pods(Family::Ipv4, node)
        .into_iter()
        .find(|range| range.has(pod.address));
    address(inside, FIRST, pod.address, own.map_or(32, |range| range.prefix)).await?;
    // The gateway is of the first range, the pod may be of the second.
    let everything = Subnet::everything(Family::Ipv4);
    route_on_link(inside, everything, FIRST, gateway(node).into()).await?;
    match pod.second {
        Some(second) => attach_second(links, pod, second, node, inside).await,
        None => Ok(()),
    }
}

/// The same for its address of IPv6. The node knows where the pod is: it could only ask by an address of the link, which is
/// there when the link is known to be whole.
async fn attach_second(
    links: &Handle,
    pod: &PodNetwork,
    second: Ipv6Addr,
    node: u16,
    inside: &Handle,
) -> Result<(), NetworkError> {
    let second = IpAddr::V6(second);
    acquaint(links, INDEX, second, pod.mac()).await?;
    address(inside, FIRST, second, 64).await?;
    let by = gateway_6(node).into();
    route(inside, Subnet::everything(Family::Ipv6), FIRST, Some(by)).await
}
