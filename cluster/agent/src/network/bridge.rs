//! Pods on a bridge of their node, as the CNI plugin `bridge` connects them:
//! <https://www.cni.dev/plugins/current/main/bridge/>.

use std::net::Ipv4Addr;

use rtnetlink::{Handle, LinkBridge, LinkBridgePort, LinkUnspec, RouteMessageBuilder};

use super::mode::NetworkMode;
use super::{FIRST, LOOPBACK, NetworkError, PodNetwork, address, link, pair, parameters, ranges, route, up};
use crate::address::Subnet;
use crate::namespace::{Namespace, Room};

/// Index and name of the bridge.
const INDEX: u32 = 4;
pub(super) const NAME: &str = "cni0";

/// The node's address among its pods, their gateway.
fn gateway(node: u16) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Subnet::of_pods(node).base) + 1)
}

/// Makes a node's bridge.
pub(super) async fn create(links: &Handle, room: &Room, node: u16, mode: NetworkMode) -> Result<(), NetworkError> {
    // Packets from pod to pod pass the packet filter, too: what was sent to a Service would not be known when it comes back.
    let filtered = ("bridge/bridge-nf-call-iptables".to_owned(), "1");
    parameters(room, vec![filtered]).await?;
    // An address that is not said is that of some port, and changes with them.
    let [.., a, b, c, d] = gateway(node).octets();
    let bridge = LinkBridge::new(NAME)
        .index(INDEX)
        .address(vec![0x0a, 0x58, a, b, c, d])
        .mtu(mode.mtu());
    let add = links.link().add(bridge.build());
    add.execute().await.map_err(link("make the node's bridge"))?;
    let [first, more] = ranges(node);
    address(links, INDEX, gateway(node), first.prefix).await?;
    route(links, more, INDEX, None).await
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
    let message = pair(pod.index, &pod.name(), None, "eth0", there, sends);
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
    let own = ranges(node).into_iter().find(|range| range.has(pod.address));
    address(inside, FIRST, pod.address, own.map_or(32, |range| range.prefix)).await?;
    let message = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(Ipv4Addr::UNSPECIFIED, 0)
        .output_interface(FIRST)
        .gateway(gateway(node))
        // The gateway is of the first range, the pod may be of the second.
        .onlink();
    let add = inside.route().add(message.build()).replace();
    add.execute().await.map_err(link("add the pod's default route"))
}
