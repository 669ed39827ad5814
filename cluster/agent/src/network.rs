//! The network: a wire between nodes, a namespace for each node, a pair of interfaces for each pod.
//!
//! Unless told otherwise ([`NetworkMode`]) pods are not on a bridge: each has a /32 address and reaches everything through its
//! node, by a gateway address that exists nowhere and whose hardware address it knows. Nodes know by plain routes behind which
//! node which pods are.

mod bandwidth;
mod bridge;
mod families;
mod host_ports;
mod impair;
#[cfg(test)]
pub(crate) mod lab;
mod listen;
mod mode;
mod relay;
mod segments;
mod vxlan;

pub(crate) use bandwidth::Bandwidth;
pub use families::{Families, FamiliesError};
pub(crate) use host_ports::HostPort;
use host_ports::HostPorts;
pub use mode::{NetworkMode, PodMode, RouteMode};

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, PoisonError};

use netfilter::{Family, Netfilter};
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags};
use rtnetlink::packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkMessage};
use rtnetlink::packet_route::route::{RouteFlags, RouteMessage, RouteScope};
use rtnetlink::{Handle, LinkBridge, LinkMessageBuilder, LinkUnspec, RouteMessageBuilder};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use segments::Segments;
use tokio::net::TcpSocket;

use crate::address::{GATEWAY, GATEWAY_6, Pool, Subnet, WIRE, WIRE_MTU, WIRE_PREFIX, WIRE_PREFIX_6};
use crate::config::NodeConfig;
use crate::namespace::{Namespace, Room};

/// Hardware address of the node's end of every pair.
const NODE_END: [u8; 6] = [0xee; 6];
/// Label with the zone of a node.
const ZONE: &str = "topology.kubernetes.io/zone";
const LOOPBACK: u32 = 1;
/// Index of the only interface, beside the loopback, of a node towards the wire and of a pod towards its node.
const FIRST: u32 = 2;

/// Where the API is to be had from nodes and pods: on the wire between the nodes.
pub const API: SocketAddrV4 = SocketAddrV4::new(WIRE, 6443);

/// Why the network is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A namespace, or a socket in it.
    #[error("failed to {act}")]
    Namespace {
        /// What was done.
        act: &'static str,
        /// Cause.
        source: io::Error,
    },
    /// A netlink request.
    #[error("failed to {act}")]
    Link {
        /// What was asked for.
        act: String,
        /// Cause.
        source: rtnetlink::Error,
    },
    /// A kernel parameter.
    #[error("failed to write `{path}`")]
    Parameter {
        /// Its file.
        path: String,
        /// Cause.
        source: io::Error,
    },
    /// No way to the packet filter.
    #[error(transparent)]
    Netfilter {
        /// Cause.
        #[from]
        source: netfilter::Error,
    },
    /// There is no address left.
    #[error("no address is left in {range}")]
    Exhausted {
        /// Of these.
        range: String,
    },
}

fn namespace(act: &'static str) -> impl FnOnce(io::Error) -> NetworkError {
    move |source| NetworkError::Namespace { act, source }
}

fn link(act: impl Into<String>) -> impl FnOnce(rtnetlink::Error) -> NetworkError {
    let act = act.into();
    move |source| NetworkError::Link { act, source }
}

/// A netlink socket in the namespace of this thread. Must be called where a tokio runtime is entered.
pub(crate) fn connect() -> io::Result<Handle> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    tokio::spawn(connection);
    Ok(handle)
}

async fn room_with_links(name: &str) -> Result<(Room, Handle), NetworkError> {
    let room = Room::create(name)
        .await
        .map_err(namespace("make a network namespace"))?;
    let links = open_links(&room).await?;
    Ok((room, links))
}

pub(crate) async fn open_links(room: &Room) -> Result<Handle, NetworkError> {
    let runtime = tokio::runtime::Handle::current();
    room.run(move || {
        let _entered = runtime.enter();
        connect()
    })
    .await
    .and_then(|opened| opened)
    .map_err(namespace("open a netlink socket"))
}

async fn parameters(room: &Room, all: Vec<(String, &'static str)>) -> Result<(), NetworkError> {
    room.run(move || {
        for (path, value) in all {
            let path = format!("/proc/sys/net/{path}");
            std::fs::write(&path, value).map_err(|source| NetworkError::Parameter { path, source })?;
        }
        Ok(())
    })
    .await
    .map_err(namespace("reach a network namespace"))?
}

/// The wire between the nodes: a bridge in a namespace of its own, so that nothing of it is seen on the machine.
#[derive(Debug)]
pub struct Underlay {
    room: Room,
    links: Handle,
    mode: NetworkMode,
    nodes: tokio::sync::Mutex<BTreeMap<u16, Handle>>,
    next: Mutex<u16>,
}

impl Underlay {
    /// Makes the wire, to which nodes and their pods will be connected in that way. It is gone when the last owner is.
    ///
    /// # Errors
    /// [`NetworkError`], for want of privilege most of the time.
    pub async fn create(mode: NetworkMode) -> Result<Self, NetworkError> {
        let (room, links) = room_with_links("wire").await?;
        parameters(&room, forwarding(mode.families)).await?;
        let bridge = LinkBridge::new("wire").index(FIRST).up().build();
        links
            .link()
            .add(bridge)
            .execute()
            .await
            .map_err(link("make the bridge"))?;
        up(&links, LOOPBACK).await?;
        for family in mode.families.all() {
            on_wire(&links, crate::address::wire(*family)).await?;
        }
        Ok(Self {
            room,
            links,
            mode,
            nodes: tokio::sync::Mutex::default(),
            next: Mutex::new(0),
        })
    }

    fn number(&self) -> u16 {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next += 1;
        *next
    }

    /// A socket that listens outside of every node, at [`API`], where nodes and their pods come to.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub async fn listen(&self) -> Result<std::net::TcpListener, NetworkError> {
        let bound = self.room.run(|| std::net::TcpListener::bind(API)).await;
        bound.and_then(|bound| bound).map_err(namespace("listen on the wire"))
    }

    /// A TCP socket outside of every node, as a client on the wire has it.
    ///
    /// # Errors
    /// What the kernel says.
    pub async fn socket(&self) -> io::Result<TcpSocket> {
        socket_in(&self.room).await
    }
}

/// For what is made later, too: new interfaces begin with the defaults. A pod that reaches itself through its node is not told
/// of a shorter way, for there is none.
fn forwarding(families: Families) -> Vec<(String, &'static str)> {
    let mut all = vec![("ipv4/ip_forward".to_owned(), "1")];
    for which in ["all", "default"] {
        for parameter in ["rp_filter", "send_redirects"] {
            all.push((format!("ipv4/conf/{which}/{parameter}"), "0"));
        }
    }
    if families.is_dual() {
        all.push(("ipv6/conf/all/forwarding".to_owned(), "1"));
        // Who else could have an address is known here; to ask for it takes a second.
        all.extend(["all", "default"].map(|which| (format!("ipv6/conf/{which}/accept_dad"), "0")));
    }
    all
}

async fn up(links: &Handle, index: u32) -> Result<(), NetworkError> {
    let message = LinkUnspec::new_with_index(index).up().build();
    links
        .link()
        .change(message)
        .execute()
        .await
        .map_err(link("set an interface up"))
}

async fn address(
    links: &Handle,
    index: u32,
    address: impl Into<IpAddr> + Send,
    prefix: u8,
) -> Result<(), NetworkError> {
    let address = address.into();
    let mut add = links.address().add(index, address, prefix).replace();
    if address.is_ipv6() {
        // It is to be had at once: nobody is asked whether he has it.
        let flags = AddressAttribute::Flags(AddressFlags::Nodad);
        add.message_mut().attributes.push(flags);
    }
    add.execute().await.map_err(link(format!("add address {address}")))
}

/// Gives an address of the wire between nodes to the interface that is on it.
async fn on_wire(links: &Handle, own: IpAddr) -> Result<(), NetworkError> {
    let prefix = if own.is_ipv4() { WIRE_PREFIX } else { WIRE_PREFIX_6 };
    address(links, FIRST, own, prefix).await
}

/// A route by an interface: to what is on it, or by a gateway there.
fn way(to: Subnet, index: u32, by: Option<IpAddr>) -> RouteMessage {
    match (to.base, by) {
        (IpAddr::V4(base), by) => {
            let message = RouteMessageBuilder::<Ipv4Addr>::new();
            let message = message.destination_prefix(base, to.prefix).output_interface(index);
            match by {
                Some(IpAddr::V4(gateway)) => message.gateway(gateway).build(),
                _ => message.scope(RouteScope::Link).build(),
            }
        }
        (IpAddr::V6(base), by) => {
            let message = RouteMessageBuilder::<Ipv6Addr>::new();
            let message = message.destination_prefix(base, to.prefix).output_interface(index);
            match by {
                Some(IpAddr::V6(gateway)) => message.gateway(gateway).build(),
                _ => message.build(),
            }
        }
    }
}

async fn route(links: &Handle, to: Subnet, index: u32, by: Option<IpAddr>) -> Result<(), NetworkError> {
    add_route(links, to, way(to, index, by)).await
}

/// The same by a gateway that is on the interface though no address of the interface says so.
async fn route_on_link(links: &Handle, to: Subnet, index: u32, gateway: IpAddr) -> Result<(), NetworkError> {
    let mut message = way(to, index, Some(gateway));
    message.header.flags |= RouteFlags::Onlink;
    add_route(links, to, message).await
}

async fn add_route(links: &Handle, to: Subnet, message: RouteMessage) -> Result<(), NetworkError> {
    let add = links.route().add(message).replace();
    add.execute().await.map_err(link(format!("add the route to {to}")))
}

/// Has who is at an address on an interface be known for good.
async fn acquaint(links: &Handle, index: u32, who: IpAddr, mac: [u8; 6]) -> Result<(), NetworkError> {
    let neighbour = links.neighbours().add(index, who).link_layer_address(&mac).replace();
    neighbour.execute().await.map_err(link(format!("tell where {who} is")))
}

/// Both ends of a pair in one request: each with its name, the far one in `there` as its interface 2, and with hardware
/// addresses, which are by chance unless told. `mtu` is the longest packet that either sends, `segments` the longest chain of
/// such that it hands on as one.
fn pair(
    index: u32,
    (name, far): (&str, &str),
    [mac, far_mac]: [Option<[u8; 6]>; 2],
    there: &Namespace,
    (mtu, segments): (u32, Segments),
) -> LinkMessage {
    // Not up: while it is made it has no peer yet, and that cannot be up (ENOTCONN).
    let peer = LinkMessageBuilder::<LinkUnspec>::new().name(far).index(FIRST).mtu(mtu);
    let mut peer = segments.limit(peer.setns_by_fd(there.raw()));
    if let Some(mac) = far_mac {
        peer = peer.append_extra_attribute(LinkAttribute::Address(mac.to_vec()));
    }
    let mut near = LinkMessageBuilder::<rtnetlink::LinkVeth>::new_with_info_kind(InfoKind::Veth)
        .name(name)
        .index(index)
        .mtu(mtu)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer.build())))
        .up();
    near = segments.limit(near);
    if let Some(mac) = mac {
        near = near.append_extra_attribute(LinkAttribute::Address(mac.to_vec()));
    }
    near.build()
}

/// Two namespaces, each with its address, and nothing between them but a pair of interfaces.
pub(crate) async fn bare_pair() -> Result<[(Ipv4Addr, Namespace); 2], NetworkError> {
    let ends = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)];
    let (one, of_one) = room_with_links("bare-1").await?;
    let (two, of_two) = room_with_links("bare-2").await?;
    let message = pair(FIRST, ("e0", "e0"), [None; 2], two.net(), (WIRE_MTU, Segments::Usual));
    let add = of_one.link().add(message);
    add.execute().await.map_err(link("make a pair of interfaces"))?;
    for (links, own) in [&of_one, &of_two].into_iter().zip(ends) {
        up(links, FIRST).await?;
        address(links, FIRST, own, 24).await?;
    }
    Ok([(ends[0], one.net().clone()), (ends[1], two.net().clone())])
}

async fn socket_in(room: &Room) -> io::Result<TcpSocket> {
    socket_of(room, Family::Ipv4).await
}

async fn socket_of(room: &Room, family: Family) -> io::Result<TcpSocket> {
    let made = room.run(move || {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let family = match family {
            Family::Ipv4 => AddressFamily::INET,
            Family::Ipv6 => AddressFamily::INET6,
        };
        socket_with(family, SocketType::STREAM, flags, None)
    });
    let socket = made.await??;
    Ok(TcpSocket::from_std_stream(socket.into()))
}

/// The network of a node.
#[derive(Debug)]
pub(crate) struct NodeNetwork {
    underlay: Arc<Underlay>,
    number: u16,
    room: Room,
    links: Handle,
    pool: Mutex<Pool>,
    /// The wire is cut.
    cut: tokio::sync::Mutex<bool>,
    host_ports: tokio::sync::Mutex<HostPorts>,
    impairments: tokio::sync::Mutex<impair::Impairments>,
}

/// The network of a pod, seen from its node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodNetwork {
    pub(crate) address: Ipv4Addr,
    /// Its address of IPv6, if the cluster has such.
    pub(crate) second: Option<Ipv6Addr>,
    pub(crate) index: u32,
}

impl PodNetwork {
    /// Name of its interface on the node.
    fn name(&self) -> String {
        format!("pod{}", self.index)
    }

    /// Its hardware address where it must be known: as CNI plugins make them from the address.
    fn mac(&self) -> [u8; 6] {
        mac_of(self.address)
    }
}

impl NodeNetwork {
    /// A namespace on the wire, with routes to and from every other node.
    pub(crate) async fn create(underlay: &Arc<Underlay>) -> Result<Self, NetworkError> {
        let number = underlay.number();
        let (room, links) = room_with_links(&format!("node-{number}")).await?;
        let network = Self {
            underlay: underlay.clone(),
            number,
            room,
            links,
            pool: Mutex::new(Pool::new(number)),
            cut: tokio::sync::Mutex::new(false),
            host_ports: tokio::sync::Mutex::default(),
            impairments: tokio::sync::Mutex::default(),
        };
        parameters(&network.room, forwarding(underlay.mode.families)).await?;
        let name = format!("node{number}");
        let port = port(number);
        let sends = (WIRE_MTU, Segments::Long);
        let message = pair(port, (&name, "e0"), [None; 2], network.room.net(), sends);
        let add = underlay.links.link().add(message);
        add.execute().await.map_err(link("make the node's interface"))?;
        let join = LinkUnspec::new_with_index(port).controller(FIRST).build();
        let join = underlay.links.link().change(join);
        join.execute()
            .await
            .map_err(link("put the node's interface on the wire"))?;
        up(&network.links, LOOPBACK).await?;
        up(&network.links, FIRST).await?;
        network.settle().await?;
        let mode = underlay.mode;
        if mode.routes == RouteMode::Vxlan {
            vxlan::create(&network.links, number, mode).await?;
        }
        if mode.pods == PodMode::Bridge {
            bridge::create(&network.links, &network.room, number, mode).await?;
        }

        let mut nodes = underlay.nodes.lock().await;
        network.join(nodes.keys().copied()).await?;
        for other in nodes.values() {
            lead(other, number, mode).await.or_else(unreachable)?;
        }
        for family in mode.families.all() {
            for subnet in Subnet::of_pods(*family, number) {
                let by = crate::address::node_of(*family, number);
                route(&underlay.links, subnet, FIRST, Some(by)).await?;
            }
        }
        nodes.insert(number, network.links.clone());
        drop(nodes);
        Ok(network)
    }

    /// Its addresses on the wire.
    async fn settle(&self) -> Result<(), NetworkError> {
        for family in self.families().all() {
            on_wire(&self.links, crate::address::node_of(*family, self.number)).await?;
        }
        Ok(())
    }

    /// The default route and those to other nodes.
    async fn join(&self, others: impl Iterator<Item = u16>) -> Result<(), NetworkError> {
        for family in self.families().all() {
            let by = crate::address::wire(*family);
            route(&self.links, Subnet::everything(*family), FIRST, Some(by)).await?;
        }
        for other in others {
            lead(&self.links, other, self.underlay.mode).await?;
        }
        Ok(())
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    pub(crate) fn address(&self) -> Ipv4Addr {
        crate::address::node(self.number)
    }

    /// Which addresses it and its pods have.
    pub(crate) fn families(&self) -> Families {
        self.underlay.mode.families
    }

    /// Its address of that family.
    pub(crate) fn address_of(&self, family: Family) -> IpAddr {
        crate::address::node_of(family, self.number)
    }

    /// The gateway by which other nodes lead to its pods.
    pub(crate) fn gateway_to_pods(&self, family: Family) -> IpAddr {
        match self.underlay.mode.routes {
            RouteMode::HostGw => self.address_of(family),
            RouteMode::Vxlan => vxlan::gateway(family, self.number),
        }
    }

    /// All addresses of whoever has this one, of IPv4: the node itself, or a pod of it. That one is the first.
    pub(crate) fn addresses(&self, first: Ipv4Addr) -> Vec<IpAddr> {
        let second = || match first == self.address() {
            true => crate::address::node_6(self.number),
            false => crate::address::pod_6(self.number, first),
        };
        let second = self.families().is_dual().then(|| second().into());
        [first.into()].into_iter().chain(second).collect()
    }

    /// The range of its pods' addresses, of each family.
    pub(crate) fn subnets(&self) -> Vec<Subnet> {
        let families = self.families().all().iter();
        families
            .filter_map(|family| Subnet::of_pods(*family, self.number).into_iter().next())
            .collect()
    }

    pub(crate) fn namespace(&self) -> &Namespace {
        self.room.net()
    }

    /// A thread in the node's namespace, and a netlink socket there.
    pub(crate) fn inside(&self) -> (&Room, &Handle) {
        (&self.room, &self.links)
    }

    /// The same of the wire.
    pub(crate) fn on_wire(&self) -> (&Room, &Handle) {
        (&self.underlay.room, &self.underlay.links)
    }

    /// The namespace of the wire, which is outside of every node.
    pub(crate) fn outside(&self) -> &Namespace {
        self.underlay.room.net()
    }

    /// A TCP socket of the node.
    pub(crate) async fn socket(&self) -> io::Result<TcpSocket> {
        socket_in(&self.room).await
    }

    /// A netfilter socket of the node, for a family.
    pub(crate) async fn netfilter(&self, family: Family) -> Result<Netfilter, NetworkError> {
        let opened = self.room.run(move || Netfilter::open_for(family)).await;
        let opened = opened.map_err(namespace("reach a network namespace"))?;
        Ok(opened?)
    }

    /// What its proxy has to know of it, for Services of a family.
    pub(crate) fn proxied(&self, family: Family, config: &NodeConfig, faults: &BTreeSet<String>) -> proxy::Config {
        let subnet = |one: &Subnet| proxy::Subnet {
            base: one.base,
            prefix: one.prefix,
        };
        proxy::Config {
            node: config.name.clone(),
            zone: config.labels.get(ZONE).cloned(),
            family,
            addresses: vec![self.address_of(family)],
            pods: Subnet::of_pods(family, self.number).iter().map(subnet).collect(),
            direct: Subnet::of_cluster(family).iter().map(subnet).collect(),
            services: subnet(&Subnet::of_services(family)),
            faults: faults.clone(),
        }
    }

    /// Takes the node off the wire: its interface goes down, and its routes with it.
    pub(crate) async fn partition(&self) -> Result<(), NetworkError> {
        let mut cut = self.cut.lock().await;
        let message = LinkUnspec::new_with_index(FIRST).down().build();
        let change = self.links.link().change(message);
        change.execute().await.map_err(link("set the node's interface down"))?;
        *cut = true;
        Ok(())
    }

    /// Puts the node back on the wire.
    pub(crate) async fn heal(&self) -> Result<(), NetworkError> {
        let mut cut = self.cut.lock().await;
        if !*cut {
            return Ok(());
        }
        up(&self.links, FIRST).await?;
        // Addresses of IPv6 go when their interface goes down.
        self.settle().await?;
        let nodes = self.underlay.nodes.lock().await;
        self.join(nodes.keys().copied().filter(|other| *other != self.number))
            .await?;
        *cut = false;
        Ok(())
    }

    /// An address for a pod; it comes back by [`NodeNetwork::remove`].
    pub(crate) fn reserve(&self) -> Result<PodNetwork, NetworkError> {
        let taken = self.pool.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (host, address) = taken.ok_or_else(|| NetworkError::Exhausted {
            range: Subnet::of_pods(Family::Ipv4, self.number)
                .first()
                .map(Subnet::to_string)
                .unwrap_or_default(),
        })?;
        Ok(self.placed(host, address))
    }

    /// Takes an address that a pod has already.
    pub(crate) fn adopt(&self, address: Ipv4Addr) -> PodNetwork {
        let host = self
            .pool
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take_this(address);
        self.placed(host, address)
    }

    fn placed(&self, host: u16, address: Ipv4Addr) -> PodNetwork {
        let second = || crate::address::pod_6(self.number, address);
        PodNetwork {
            address,
            second: self.families().is_dual().then(second),
            index: u32::from(host) + 100,
        }
    }

    /// Connects a pod's namespace, in which `inside` is a netlink socket.
    pub(crate) async fn attach(
        &self,
        pod: &PodNetwork,
        there: &Namespace,
        inside: &Handle,
    ) -> Result<(), NetworkError> {
        let mode = self.underlay.mode;
        if mode.pods == PodMode::Bridge {
            return bridge::attach(&self.links, pod, self.number, mode, there, inside).await;
        }
        let sends = (mode.mtu(), mode.segments());
        let macs = [Some(NODE_END), pod.second.map(|_| pod.mac())];
        let message = pair(pod.index, (&pod.name(), "eth0"), macs, there, sends);
        let add = self.links.link().add(message);
        add.execute().await.map_err(link("make the pod's interface"))?;
        route(&self.links, Subnet::host(pod.address), pod.index, None).await?;
        up(inside, LOOPBACK).await?;
        up(inside, FIRST).await?;
        address(inside, FIRST, pod.address, 32).await?;
        route(inside, Subnet::host(GATEWAY), FIRST, None).await?;
        acquaint(inside, FIRST, GATEWAY.into(), NODE_END).await?;
        route(inside, Subnet::everything(Family::Ipv4), FIRST, Some(GATEWAY.into())).await?;
        match pod.second {
            Some(second) => self.attach_second(pod, second, inside).await,
            None => Ok(()),
        }
    }

    /// The same for its address of IPv6. Both ends know each other, so that nobody has to be asked who he is by an address
    /// of the link, which is there only when the link is known to be whole.
    async fn attach_second(&self, pod: &PodNetwork, second: Ipv6Addr, inside: &Handle) -> Result<(), NetworkError> {
        let second = IpAddr::V6(second);
        route(&self.links, Subnet::host(second), pod.index, None).await?;
        acquaint(&self.links, pod.index, second, pod.mac()).await?;
        address(inside, FIRST, second, 128).await?;
        acquaint(inside, FIRST, GATEWAY_6.into(), NODE_END).await?;
        route(inside, Subnet::everything(Family::Ipv6), FIRST, Some(GATEWAY_6.into())).await
    }

    /// Takes a pod's interface and gives its address back.
    pub(crate) async fn remove(&self, pod: &PodNetwork) {
        let _deaf = self.unmute(pod.address).await.is_err();
        // It may have gone with its namespace.
        let _gone = self.links.link().del(pod.index).execute().await.is_err();
        self.pool
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .give_back(pod.address);
    }

    /// Takes the node from the wire for good.
    pub(crate) async fn leave(&self) {
        self.underlay.nodes.lock().await.remove(&self.number);
        let _gone = self.unimpair().await.is_err();
        let _gone = self
            .underlay
            .links
            .link()
            .del(port(self.number))
            .execute()
            .await
            .is_err();
    }
}

/// Index, on the wire, of the interface that leads to a node.
fn port(number: u16) -> u32 {
    u32::from(number) + 16
}

/// As CNI plugins make a hardware address from one of IPv4.
fn mac_of(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [0x0a, 0x58, a, b, c, d]
}

/// Leads a node to the pods of another.
async fn lead(links: &Handle, other: u16, mode: NetworkMode) -> Result<(), NetworkError> {
    if mode.routes == RouteMode::Vxlan {
        return vxlan::lead(links, other, mode.families).await;
    }
    for family in mode.families.all() {
        for subnet in Subnet::of_pods(*family, other) {
            route(links, subnet, FIRST, Some(crate::address::node_of(*family, other))).await?;
        }
    }
    Ok(())
}

/// The interface by which a node reaches a pod.
fn towards(pod: &PodNetwork, mode: NetworkMode) -> String {
    match mode.pods {
        PodMode::Ptp => pod.name(),
        PodMode::Bridge => bridge::NAME.to_owned(),
    }
}

/// A node that is partitioned has no route to anybody, and gets all of them when it is healed.
fn unreachable(error: NetworkError) -> Result<(), NetworkError> {
    match &error {
        NetworkError::Link {
            source: rtnetlink::Error::NetlinkError(message),
            ..
        } if [-101, -100, -113].contains(&message.raw_code()) => Ok(()),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;
    use serde_json::{Value, json};

    use super::lab::{Pod, ask, dial, failure, is_root, reach};
    use super::*;

    const MODES: [NetworkMode; 4] = [
        mode(PodMode::Ptp, RouteMode::HostGw),
        mode(PodMode::Ptp, RouteMode::Vxlan),
        mode(PodMode::Bridge, RouteMode::HostGw),
        mode(PodMode::Bridge, RouteMode::Vxlan),
    ];

    const fn mode(pods: PodMode, routes: RouteMode) -> NetworkMode {
        NetworkMode {
            pods,
            routes,
            families: Families::Ipv4,
        }
    }

    /// The same with both families.
    fn dual() -> impl Iterator<Item = NetworkMode> {
        let with = |mode| NetworkMode {
            families: Families::Dual,
            ..mode
        };
        MODES.into_iter().map(with)
    }

    /// The proxy's rules on a node, for these Services and slices.
    async fn served(node: &NodeNetwork, name: &str, service: &Value, slice: &Value) {
        let config = NodeConfig {
            name: name.into(),
            ..NodeConfig::default()
        };
        for family in node.families().all() {
            let config = node.proxied(*family, &config, &BTreeSet::new());
            let mut tables = proxy::Tables::new(config, node.netfilter(*family).await.unwrap());
            tables.put_service(service.clone().into());
            tables.put_slice(slice.clone().into(), None);
            tables.sync().unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn pods_reach_each_other_across_nodes_until_the_wire_is_cut() {
        for mode in MODES {
            if !is_root() {
                return;
            }
            eprintln!("{mode:?}");
            until_the_wire_is_cut(mode).await;
        }
    }

    async fn until_the_wire_is_cut(mode: NetworkMode) {
        let underlay = Arc::new(Underlay::create(mode).await.unwrap());
        let (one, two) = (
            NodeNetwork::create(&underlay).await.unwrap(),
            NodeNetwork::create(&underlay).await.unwrap(),
        );
        let (a, b, c) = (
            Pod::new(&one, "a").await,
            Pod::new(&two, "b").await,
            Pod::new(&one, "c").await,
        );
        let (first, second, third) = (&a.network, &b.network, &c.network);
        assert_eq!(first.address.to_string(), "10.244.1.2");
        assert_eq!(reach(&a.room, &b.room, second.address).await, Some("10.244.1.2".into()));
        assert_eq!(reach(&b.room, &a.room, first.address).await, Some("10.244.2.2".into()));
        assert_eq!(reach(&a.room, &c.room, third.address).await, Some("10.244.1.2".into()));
        assert_eq!(
            reach(&underlay.room, &c.room, third.address).await,
            Some("172.30.255.254".into())
        );

        two.partition().await.unwrap();
        assert_eq!(dial(&a.room, &b.room, second.address).await, None);
        assert_eq!(
            dial(&a.room, &c.room, third.address).await,
            Some("10.244.1.2".into()),
            "on the same node"
        );
        two.heal().await.unwrap();
        assert_eq!(reach(&b.room, &a.room, first.address).await, Some("10.244.2.2".into()));
        one.remove(first).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_address_of_a_service_leads_to_pods_of_every_node() {
        for mode in MODES {
            if !is_root() {
                return;
            }
            eprintln!("{mode:?}");
            a_service_leads_everywhere(mode).await;
        }
    }

    async fn a_service_leads_everywhere(mode: NetworkMode) {
        let underlay = Arc::new(Underlay::create(mode).await.unwrap());
        let (one, two) = (
            NodeNetwork::create(&underlay).await.unwrap(),
            NodeNetwork::create(&underlay).await.unwrap(),
        );
        let (a, b, c) = (
            Pod::new(&one, "a").await,
            Pod::new(&two, "b").await,
            Pod::new(&one, "c").await,
        );
        let (first, second) = (&a.network, &b.network);
        a.tell("a", 8080).await;
        b.tell("b", 8080).await;
        let service = json!({"metadata": {"name": "web", "namespace": "x"}, "spec": {
            "clusterIP": "10.96.0.9", "ports": [{"port": 80, "nodePort": 30080}],
        }});
        let slice = json!({
            "metadata": {"name": "web", "namespace": "x", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4", "ports": [{"port": 8080}],
            "endpoints": [
                {"addresses": [first.address.to_string()], "nodeName": "one"},
                {"addresses": [second.address.to_string()], "nodeName": "two"},
            ],
        });
        served(&one, "one", &service, &slice).await;
        served(&two, "two", &service, &slice).await;
        let address = Ipv4Addr::new(10, 96, 0, 9);
        let up = async { while ask(&c.room, second.address, 8080).await.is_none() {} };
        let patience = std::time::Duration::from_secs(10);
        tokio::time::timeout(patience, up).await.unwrap();
        for (from, to, port) in [
            (&c.room, address, 80),
            // Itself, and who is beside it.
            (&a.room, address, 80),
            (&one.room, address, 80),
            (&c.room, two.address(), 30080),
            (&underlay.room, one.address(), 30080),
        ] {
            let mut answers = BTreeSet::new();
            // The odds that thirty choices of two are all the same are one in 10^8.
            for _ in 0..30 {
                answers.insert(ask(from, to, port).await);
            }
            let both = BTreeSet::from([Some("a".to_owned()), Some("b".to_owned())]);
            assert_eq!(answers, both, "{to}:{port}");
        }
        assert_eq!(ask(&c.room, address, 81).await, None);
    }

    /// What works by IPv4 works by IPv6, too: to pods of the same node and of another, from nodes and from outside, through a
    /// cut and after it; and at once, for nobody waits until an address is known to be nobody else's.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_wiring_carries_ipv6_beside_ipv4() {
        for mode in dual() {
            if !is_root() {
                return;
            }
            eprintln!("{mode:?}");
            both_families_reach(mode).await;
        }
    }

    async fn both_families_reach(mode: NetworkMode) {
        let underlay = Arc::new(Underlay::create(mode).await.unwrap());
        let (one, two) = (
            NodeNetwork::create(&underlay).await.unwrap(),
            NodeNetwork::create(&underlay).await.unwrap(),
        );
        let (a, b, c) = (
            Pod::new(&one, "a").await,
            Pod::new(&two, "b").await,
            Pod::new(&one, "c").await,
        );
        let [own, far, near] = [&a, &b, &c].map(|pod| pod.network.second.unwrap());
        assert_eq!(own.to_string(), "fd00:10:244:1::2");
        let told = Some(own.to_string());
        assert_eq!(reach(&a.room, &c.room, near).await, told, "on the same node");
        assert_eq!(reach(&a.room, &b.room, far).await, told, "on another node");
        assert_eq!(reach(&b.room, &a.room, own).await, Some(far.to_string()));
        assert!(reach(&two.room, &a.room, own).await.is_some(), "from another node");
        let wire = crate::address::WIRE_6.to_string();
        assert_eq!(reach(&underlay.room, &c.room, near).await, Some(wire));
        assert_eq!(
            reach(&a.room, &b.room, b.network.address).await,
            Some("10.244.1.2".into()),
            "IPv4 as ever"
        );

        two.partition().await.unwrap();
        assert_eq!(dial(&a.room, &b.room, far).await, None);
        two.heal().await.unwrap();
        assert_eq!(reach(&b.room, &a.room, own).await, Some(far.to_string()));
        assert_eq!(reach(&a.room, &b.room, far).await, told);
        two.separate(&one).await.unwrap();
        assert_eq!(dial(&a.room, &b.room, far).await, None);
        two.unimpair().await.unwrap();
        one.mute(c.network.address).await.unwrap();
        assert_eq!(dial(&b.room, &c.room, near).await, None);
        one.unmute(c.network.address).await.unwrap();
        assert!(reach(&b.room, &c.room, near).await.is_some());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn services_have_an_address_of_each_family() {
        for mode in dual() {
            if !is_root() {
                return;
            }
            eprintln!("{mode:?}");
            a_service_leads_by_both_families(mode).await;
        }
    }

    async fn a_service_leads_by_both_families(mode: NetworkMode) {
        let underlay = Arc::new(Underlay::create(mode).await.unwrap());
        let (one, two) = (
            NodeNetwork::create(&underlay).await.unwrap(),
            NodeNetwork::create(&underlay).await.unwrap(),
        );
        let (a, b, c) = (
            Pod::new(&one, "a").await,
            Pod::new(&two, "b").await,
            Pod::new(&one, "c").await,
        );
        let [near, far] = [&a, &b].map(|pod| pod.network.second.unwrap());
        a.tell("a", 8080).await;
        b.tell("b", 8080).await;
        let service = json!({"metadata": {"name": "web", "namespace": "x"}, "spec": {
            "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9", "fd00:10:96::9"],
            "ports": [{"port": 80, "nodePort": 30080}],
        }});
        // Of IPv4 there is no backend: one family leads nobody to those of the other.
        let slice = json!({
            "metadata": {"name": "web", "namespace": "x", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv6", "ports": [{"port": 8080}],
            "endpoints": [
                {"addresses": [near.to_string()], "nodeName": "one"},
                {"addresses": [far.to_string()], "nodeName": "two"},
            ],
        });
        served(&one, "one", &service, &slice).await;
        served(&two, "two", &service, &slice).await;
        let address: IpAddr = "fd00:10:96::9".parse().unwrap();
        let up = async { while ask(&c.room, far, 8080).await.is_none() {} };
        let patience = std::time::Duration::from_secs(10);
        tokio::time::timeout(patience, up).await.unwrap();
        let [first, second] = [&one, &two].map(|node| node.address_of(Family::Ipv6));
        for (from, to, port) in [
            (&c.room, address, 80),
            // Itself, and who is beside it.
            (&a.room, address, 80),
            (&one.room, address, 80),
            (&c.room, second, 30080),
            (&underlay.room, first, 30080),
        ] {
            let mut answers = BTreeSet::new();
            // The odds that thirty choices of two are all the same are one in 10^8.
            for _ in 0..30 {
                answers.insert(ask(from, to, port).await);
            }
            let both = BTreeSet::from([Some("a".to_owned()), Some("b".to_owned())]);
            assert_eq!(answers, both, "{to}:{port}");
        }
        let refused = io::ErrorKind::ConnectionRefused;
        assert_eq!(
            failure(&c.room, address, 81).await,
            refused,
            "a port that it does not have"
        );
        assert_eq!(failure(&c.room, Ipv4Addr::new(10, 96, 0, 9), 80).await, refused);

        let ports = HostPort::of(
            &json!({"spec": {"containers": [{"ports": [{"containerPort": 8080, "hostPort": 8081}]}]}}),
            &crate::fault::Faults::default(),
        );
        one.publish(&a.network, ports).await.unwrap();
        for from in [&b.room, &c.room, &a.room, &underlay.room, &one.room] {
            assert_eq!(ask(from, first, 8081).await, Some("a".into()));
            assert_eq!(ask(from, one.address(), 8081).await, Some("a".into()));
        }
        one.unpublish(&a.network).await.unwrap();
        assert_eq!(failure(&b.room, first, 8081).await, refused);
    }

    async fn mtu(links: &Handle, index: u32) -> Option<u32> {
        let mut found = links.link().get().match_index(index).execute();
        let attributes = found.try_next().await.ok()??.attributes;
        attributes.into_iter().find_map(|one| match one {
            LinkAttribute::Mtu(mtu) => Some(mtu),
            _ => None,
        })
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_goes_in_datagrams_between_nodes_is_short_enough_for_the_wire() {
        for mode in MODES {
            if !is_root() {
                return;
            }
            let underlay = Arc::new(Underlay::create(mode).await.unwrap());
            let node = NodeNetwork::create(&underlay).await.unwrap();
            let pod = Pod::new(&node, "pod").await;
            let longest = if mode.routes == RouteMode::Vxlan { 1450 } else { 1500 };
            assert_eq!(mtu(&node.links, FIRST).await, Some(1500), "the wire, {mode:?}");
            for (links, index) in [(&pod.links, FIRST), (&node.links, pod.network.index)] {
                assert_eq!(mtu(links, index).await, Some(longest), "{mode:?}");
            }
        }
    }

    /// Both have the same addresses, numbers and ports.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn two_clusters_on_one_machine_do_not_meet() {
        if !is_root() {
            return;
        }
        let interfaces = || {
            let table = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
            let names = table.lines().filter_map(|line| line.split_once(':'));
            names.map(|(name, _)| name.trim().to_owned()).collect::<BTreeSet<_>>()
        };
        let before = interfaces();
        for mode in MODES {
            let mut clusters = Vec::new();
            for name in ["first", "second"] {
                let underlay = Arc::new(Underlay::create(mode).await.unwrap());
                let nodes = [
                    NodeNetwork::create(&underlay).await.unwrap(),
                    NodeNetwork::create(&underlay).await.unwrap(),
                ];
                let pods = [Pod::new(&nodes[0], "a").await, Pod::new(&nodes[1], "b").await];
                pods[1].tell(name, 80).await;
                clusters.push((name, nodes, pods));
            }
            let lonely = Pod::new(&clusters[0].1[0], "lonely").await;
            lonely.tell("lonely", 80).await;
            let addresses: BTreeSet<_> = clusters.iter().map(|(_, _, pods)| pods[1].network.address).collect();
            assert_eq!(addresses.len(), 1);
            for (name, _, [a, b]) in &clusters {
                let answered = async {
                    loop {
                        if let Some(answer) = ask(&a.room, b.network.address, 80).await {
                            return answer;
                        }
                    }
                };
                let patience = std::time::Duration::from_secs(10);
                assert_eq!(
                    tokio::time::timeout(patience, answered).await.unwrap(),
                    *name,
                    "{mode:?}"
                );
            }
            let (_, _, [_, stranger]) = &clusters[1];
            assert_eq!(ask(&stranger.room, lonely.network.address, 80).await, None, "{mode:?}");
            assert_eq!(interfaces(), before, "the machine's own");
        }
    }
}
