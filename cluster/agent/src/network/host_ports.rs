//! Ports of a node that lead to ports of its pods, in the shape that the CNI plugin `portmap` gives them with nftables:
//! <https://www.cni.dev/plugins/current/meta/portmap/>.
//!
//! They are the pod network's and not the service proxy's: a table of its own, which comes with the first pod that asks for
//! a port and goes with the last. It is small, and written anew as one transaction whenever it changes.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netfilter::{
    Batch, Chain, Element, Family, Field, Flow, Hook, Netfilter, Protocol, Rule, Set, Type, Value, Verdict,
};
use objects::{meta, requests};
use serde_json::Value as Json;

use super::{NetworkError, NodeNetwork, PodNetwork, namespace, parameters, towards};
use crate::address::Subnet;
use crate::fault::Faults;

/// Name of the table, the plugin's own.
const TABLE: &str = "cni_hostport";
/// Where an address, a protocol and a port lead, and where a protocol and a port lead on every address of the node.
const OF_ADDRESS: &str = "hostip-hostports";
const OF_NODE: &str = "hostports";
/// Pairs of source and destination that would not meet again under these addresses.
const HAIRPINS: &str = "hairpins";
const FRONT: [Field; 3] = [Field::DestinationAddress, Field::Protocol, Field::DestinationPort];
const NODE_FRONT: [Field; 2] = [Field::Protocol, Field::DestinationPort];
/// A turn later than the service proxy's: a node port of a Service goes before the same port of a pod.
const DNAT: i32 = -99;
const SNAT: i32 = 101;
/// `RTN_LOCAL`: an address of this machine.
const OWN: u32 = 2;

/// A port of the node that a container asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HostPort {
    /// On this address only; `None`: on each that the node has.
    address: Option<IpAddr>,
    protocol: Protocol,
    port: u16,
    /// The container's.
    to: u16,
}

impl HostPort {
    /// All that a pod asks for. Those of other protocols are not served, nor those on an address of which the node has none.
    pub(crate) fn of(pod: &Json, faults: &Faults) -> Vec<Self> {
        if faults.has("host-port-ignored") {
            return Vec::new();
        }
        let sidecars = meta::list(pod, &["spec", "initContainers"]).iter();
        let containers = meta::list(pod, &["spec", "containers"]).iter();
        let containers = containers.chain(sidecars.filter(|one| requests::is_sidecar(one)));
        let ports = containers.flat_map(|container| meta::list(container, &["ports"]));
        let mut all: Vec<Self> = ports.filter_map(Self::read).collect();
        if faults.has("host-ip-ignored") {
            all.iter_mut().for_each(|one| one.address = None);
        }
        all
    }

    fn read(port: &Json) -> Option<Self> {
        let number = |key: &str| u16::try_from(meta::number(port, &[key])?).ok().filter(|port| *port > 0);
        let address = match meta::text(port, &["hostIP"]) {
            "" => None,
            text => Some(text.parse::<IpAddr>().ok()?),
        };
        Some(Self {
            address,
            protocol: match meta::text(port, &["protocol"]) {
                "" | "TCP" => Protocol::Tcp,
                "UDP" => Protocol::Udp,
                _ => return None,
            },
            port: number("hostPort")?,
            to: number("containerPort")?,
        })
    }

    /// What it is for addresses of a family, if anything. Any address of a family is each that the node has of it.
    fn of_family(self, family: Family) -> Option<Self> {
        let is_other = self.address.is_some_and(|address| Family::of(address) != family);
        let address = self.address.filter(|address| !address.is_unspecified());
        (!is_other).then_some(Self { address, ..self })
    }

    fn chain(self) -> String {
        let address = self
            .address
            // `nft` takes no colons in names.
            .map_or_else(|| "node".to_owned(), |address| address.to_string().replace(':', "."));
        format!("{}-{address}-{}", self.protocol, self.port)
    }

    /// Whether a connection was begun to this port.
    fn is_asked(self, flow: &Flow, node: IpAddr) -> bool {
        let (address, port) = flow.original.destination;
        let own = || address == node || address.is_loopback();
        port == self.port && self.address.map_or_else(own, |only| only == address)
    }
}

/// What leads to the pods of a node, by their addresses, the oldest first.
pub(super) type HostPorts = Vec<(IpAddr, Vec<HostPort>)>;

/// Those of a family.
fn of_family(all: &HostPorts, family: Family) -> impl Iterator<Item = &(IpAddr, Vec<HostPort>)> {
    all.iter().filter(move |(pod, _)| Family::of(*pod) == family)
}

/// Where each port leads. The scheduler keeps pods apart that ask for the same; where one did not, the older one has it.
fn targets(all: &HostPorts, family: Family) -> BTreeMap<String, (HostPort, IpAddr)> {
    let mut targets = BTreeMap::new();
    for (pod, ports) in of_family(all, family) {
        for port in ports.iter().filter_map(|port| port.of_family(family)) {
            targets.entry(port.chain()).or_insert((port, *pod));
        }
    }
    targets
}

fn batch(all: &HostPorts, family: Family) -> Batch {
    let mut batch = Batch::of(family, TABLE);
    batch.add_table();
    batch.delete_table();
    if of_family(all, family).next().is_none() {
        return batch;
    }
    batch.add_table();
    batch.add_set(&Set::verdict_map(OF_ADDRESS, &FRONT.map(Field::kind)));
    batch.add_set(&Set::verdict_map(OF_NODE, &NODE_FRONT.map(Field::kind)));
    batch.add_set(&Set::new(HAIRPINS, &[Type::Address; 2]));
    let (mut of_address, mut of_node) = (Vec::new(), Vec::new());
    for (chain, (port, pod)) in targets(all, family) {
        batch.add_chain(&Chain::regular(&chain));
        let rule = Rule::new().is(Field::Protocol, port.protocol);
        batch.add_rule(&chain, &rule.dnat(pod, Some(port.to)));
        let (protocol, number) = (Value::Protocol(port.protocol), Value::Port(port.port));
        match port.address {
            Some(address) => of_address.push(Element::to(&[address.into(), protocol, number], Verdict::Goto(chain))),
            None => of_node.push(Element::to(&[protocol, number], Verdict::Goto(chain))),
        }
    }
    batch.add_elements(OF_ADDRESS, &of_address);
    batch.add_elements(OF_NODE, &of_node);
    // No route leads from the loopback of IPv6 to anywhere else (RFC 4291, 2.5.3).
    let loopback = (family == Family::Ipv4).then_some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let hairpins = of_family(all, family).flat_map(|(pod, _)| {
        // A pod that comes back to itself, and processes of the node that called it by the loopback's address.
        let sources = [*pod].into_iter().chain(loopback);
        sources.map(move |source| Element::new(&[source.into(), (*pod).into()]))
    });
    batch.add_elements(HAIRPINS, &hairpins.collect::<Vec<_>>());

    let loopback = match family {
        Family::Ipv4 => Rule::new().within(Field::DestinationAddress, Ipv4Addr::new(127, 0, 0, 0), 8),
        Family::Ipv6 => Rule::new().is(Field::DestinationAddress, Ipv6Addr::LOCALHOST),
    };
    let services = Subnet::of_services(family);
    let lead = [
        Rule::new().map(&FRONT, OF_ADDRESS),
        // The address of the DNS is one of the node's, too.
        Rule::new()
            .outside(Field::DestinationAddress, services.base, services.prefix)
            .is(Field::DestinationKind, OWN)
            .map(&NODE_FRONT, OF_NODE),
    ];
    // Nobody outside may call the loopback; and that of IPv6 nobody at all, for the pod could not answer.
    let calls_itself = match family {
        Family::Ipv4 => Vec::new(),
        Family::Ipv6 => vec![loopback.clone().back()],
    };
    let entries = [
        ("prerouting", Hook::Prerouting, vec![loopback.back()]),
        ("output", Hook::Output, calls_itself),
    ];
    for (name, hook, mut rules) in entries {
        batch.add_chain(&Chain::nat(name, hook, DNAT));
        rules.extend(lead.clone());
        rules.iter().for_each(|rule| batch.add_rule(name, rule));
    }
    batch.add_chain(&Chain::nat("masquerading", Hook::Postrouting, SNAT));
    let back = Rule::new().in_set(&[Field::SourceAddress, Field::DestinationAddress], HAIRPINS);
    batch.add_rule("masquerading", &back.masquerade());
    batch
}

/// Makes the kernel forget who answered datagrams to these ports, if it is another now: it would go on answering.
fn forget(socket: &mut Netfilter, node: IpAddr, changed: &[HostPort], all: &HostPorts) -> Result<(), netfilter::Error> {
    let changed: Vec<HostPort> = changed
        .iter()
        .filter_map(|port| port.of_family(socket.family()))
        .filter(|port| port.protocol == Protocol::Udp)
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    let targets = targets(all, socket.family());
    let mut flows = socket.flows(Protocol::Udp)?;
    flows.retain(|flow| {
        let mut asked = changed.iter().filter(|port| port.is_asked(flow, node));
        asked.any(|port| {
            let target = targets.get(&port.chain()).map(|(port, pod)| (*pod, port.to));
            target != Some(flow.reply.source)
        })
    });
    socket.forget(&flows)
}

impl NodeNetwork {
    /// Has ports of the node lead to a pod.
    pub(crate) async fn publish(&self, pod: &PodNetwork, ports: Vec<HostPort>) -> Result<(), NetworkError> {
        if ports.is_empty() {
            return Ok(());
        }
        // Without it nothing that the node's own processes send from its loopback could leave it.
        let local = format!("ipv4/conf/{}/route_localnet", towards(pod, self.underlay.mode));
        parameters(&self.room, vec![(local, "1")]).await?;
        let mut all = self.host_ports.lock().await;
        let own = self.addresses(pod.address);
        all.extend(own.iter().map(|address| (*address, ports.clone())));
        let written = self.write_host_ports(&all, &ports).await;
        if written.is_err() {
            all.retain(|(address, _)| !own.contains(address));
        }
        written
    }

    /// Takes back all ports that lead to a pod.
    pub(crate) async fn unpublish(&self, pod: &PodNetwork) -> Result<(), NetworkError> {
        let mut all = self.host_ports.lock().await;
        let own = self.addresses(pod.address);
        let (gone, left): (HostPorts, HostPorts) = all.drain(..).partition(|(address, _)| own.contains(address));
        *all = left;
        if gone.is_empty() {
            return Ok(());
        }
        let ports: Vec<HostPort> = gone.into_iter().flat_map(|(_, ports)| ports).collect();
        self.write_host_ports(&all, &ports).await
    }

    async fn write_host_ports(&self, all: &HostPorts, changed: &[HostPort]) -> Result<(), NetworkError> {
        for family in self.families().all() {
            let mut socket = self.netfilter(*family).await?;
            let (all, changed, node) = (all.clone(), changed.to_vec(), self.address_of(*family));
            // The kernel takes its time to be rid of a chain, which no thread that others need should wait for.
            let written = tokio::task::spawn_blocking(move || {
                socket.commit(&batch(&all, socket.family()))?;
                forget(&mut socket, node, &changed, &all)
            });
            let written = written.await.map_err(std::io::Error::other);
            written.map_err(namespace("write the host ports"))??;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::UdpSocket;
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::namespace::Room;
    use crate::network::lab::{Pod, ask, failure, hear, is_root, reach};
    use crate::network::{NetworkMode, NodeNetwork, PodMode, RouteMode, Underlay};

    fn faults(names: &[&str]) -> Faults {
        Faults::new(&names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>())
    }

    fn spec(ports: Json) -> Json {
        json!({"spec": {"containers": [{"ports": ports}]}})
    }

    #[test]
    fn only_what_asks_for_a_port_of_the_node_gets_one() {
        let pod = json!({"spec": {
            "containers": [{"ports": [
                {"containerPort": 80},
                {"containerPort": 80, "hostPort": 8080},
                {"containerPort": 53, "hostPort": 53, "protocol": "UDP", "hostIP": "127.0.0.1"},
                {"containerPort": 9, "hostPort": 9, "protocol": "SCTP"},
                {"containerPort": 7, "hostPort": 7, "hostIP": "::"},
            ]}],
            "initContainers": [
                {"ports": [{"containerPort": 1, "hostPort": 1}]},
                {"restartPolicy": "Always", "ports": [{"containerPort": 2, "hostPort": 2, "hostIP": "0.0.0.0"}]},
            ],
        }});
        let names = |faults: &Faults, family| {
            let address = crate::address::node_of(family, 1);
            let all = vec![(address, HostPort::of(&pod, faults))];
            targets(&all, family).into_keys().collect::<Vec<_>>()
        };
        let (none, ignored) = (faults(&[]), faults(&["host-ip-ignored"]));
        let wanted = ["tcp-node-2", "tcp-node-8080", "udp-127.0.0.1-53"];
        assert_eq!(names(&none, Family::Ipv4), wanted);
        assert_eq!(names(&none, Family::Ipv6), ["tcp-node-7", "tcp-node-8080"]);
        let wanted = ["tcp-node-2", "tcp-node-7", "tcp-node-8080", "udp-node-53"];
        assert_eq!(names(&ignored, Family::Ipv4), wanted);
        assert!(names(&faults(&["host-port-ignored"]), Family::Ipv4).is_empty());
    }

    /// Whoever may ask: a pod of the node, one of another, the node, what is outside, and the pod itself.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_port_of_the_node_leads_to_its_pod_until_the_pod_is_gone() {
        let bridged = NetworkMode {
            pods: PodMode::Bridge,
            routes: RouteMode::Vxlan,
            ..NetworkMode::default()
        };
        for (mode, seems) in [
            (NetworkMode::default(), Ipv4Addr::new(172, 30, 0, 1)),
            (bridged, Ipv4Addr::new(10, 244, 1, 1)),
        ] {
            if !is_root() {
                return;
            }
            eprintln!("{mode:?}");
            until_the_pod_is_gone(mode, seems).await;
        }
    }

    /// `seems`: who a pod that comes back to itself takes the node for.
    async fn until_the_pod_is_gone(mode: NetworkMode, seems: Ipv4Addr) {
        let underlay = Arc::new(Underlay::create(mode).await.unwrap());
        let node = NodeNetwork::create(&underlay).await.unwrap();
        let other = NodeNetwork::create(&underlay).await.unwrap();
        let pod = Pod::new(&node, "pod").await;
        let (near, far) = (Pod::new(&node, "near").await, Pod::new(&other, "far").await);
        pod.tell_peers(80).await;
        assert!(reach(&far.room, &pod.room, pod.network.address).await.is_some());
        let address = node.address();
        assert_eq!(ask(&near.room, address, 8080).await, None);

        let wanted = json!([
            {"containerPort": 80, "hostPort": 8080},
            {"containerPort": 80, "hostPort": 8081, "hostIP": "127.0.0.1"},
        ]);
        let ports = HostPort::of(&spec(wanted), &faults(&[]));
        node.publish(&pod.network, ports.clone()).await.unwrap();
        let own = |pod: &Pod| Some(pod.network.address.to_string());
        assert_eq!(ask(&near.room, address, 8080).await, own(&near), "from the same node");
        assert_eq!(ask(&far.room, address, 8080).await, own(&far), "from another node");
        assert_eq!(ask(&underlay.room, address, 8080).await, Some("172.30.255.254".into()));
        assert_eq!(ask(&node.room, address, 8080).await, Some(address.to_string()));
        assert_eq!(ask(&other.room, address, 8080).await, Some(other.address().to_string()));
        assert_eq!(
            ask(&pod.room, address, 8080).await,
            Some(seems.to_string()),
            "itself, as somebody else"
        );
        assert_eq!(
            ask(&node.room, Ipv4Addr::LOCALHOST, 8080).await,
            Some(seems.to_string())
        );

        assert!(ask(&node.room, Ipv4Addr::LOCALHOST, 8081).await.is_some());
        for from in [&node.room, &near.room, &underlay.room] {
            assert_eq!(
                failure(from, address, 8081).await,
                std::io::ErrorKind::ConnectionRefused,
                "of another address"
            );
        }

        // Who comes later does not take it away, and has it when the first is gone.
        near.tell("near", 80).await;
        node.publish(&near.network, ports).await.unwrap();
        assert_eq!(ask(&far.room, address, 8080).await, own(&far));
        node.unpublish(&pod.network).await.unwrap();
        assert_eq!(ask(&far.room, address, 8080).await, Some("near".into()));
        node.unpublish(&near.network).await.unwrap();
        assert_eq!(
            failure(&far.room, address, 8080).await,
            std::io::ErrorKind::ConnectionRefused
        );
        assert!(
            node.netfilter(Family::Ipv4)
                .await
                .unwrap()
                .table(TABLE)
                .unwrap()
                .is_none(),
            "nothing is left"
        );
    }

    async fn answer(room: &Room, name: &'static str) {
        let socket = room
            .run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 53)).unwrap())
            .await
            .unwrap();
        std::thread::spawn(move || {
            while let Ok((_, from)) = socket.recv_from(&mut [0; 8]) {
                socket.send_to(name.as_bytes(), from).unwrap();
            }
        });
    }

    fn exchange(socket: &UdpSocket, to: Ipv4Addr) -> Option<String> {
        let mut answer = [0; 8];
        socket.send_to(b"?", (to, 5353)).ok()?;
        let (length, _) = hear(socket, &mut answer).ok()?;
        Some(String::from_utf8_lossy(&answer[..length]).into_owned())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn datagrams_of_one_socket_go_to_the_pod_that_has_the_port_now() {
        if !is_root() {
            return;
        }
        let underlay = Arc::new(Underlay::create(NetworkMode::default()).await.unwrap());
        let node = NodeNetwork::create(&underlay).await.unwrap();
        let (first, second) = (Pod::new(&node, "first").await, Pod::new(&node, "second").await);
        answer(&first.room, "first").await;
        answer(&second.room, "second").await;
        let client = underlay
            .room
            .run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap())
            .await
            .unwrap();
        client.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let ports = HostPort::of(
            &spec(json!([{"containerPort": 53, "hostPort": 5353, "protocol": "UDP"}])),
            &faults(&[]),
        );
        node.publish(&first.network, ports.clone()).await.unwrap();
        // The kernel may take a second to notice that a new wire is whole.
        let answers = (0..20).find_map(|_| exchange(&client, node.address()));
        assert_eq!(answers, Some("first".into()));
        node.unpublish(&first.network).await.unwrap();
        assert_eq!(exchange(&client, node.address()), None);
        node.publish(&second.network, ports).await.unwrap();
        let answers = (0..20).find_map(|_| exchange(&client, node.address()));
        assert_eq!(answers, Some("second".into()), "over the same socket");
    }
}
