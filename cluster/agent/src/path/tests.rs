//! Each hop is broken for real, on two nodes with four pods, and the walk must name it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use netfilter::{Batch, Family};
use rtnetlink::RouteMessageBuilder;
use rtnetlink::packet_route::neighbour::NeighbourState;
use rtnetlink::packet_route::route::{RouteMessage, RouteScope};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::socket_error;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, getsockname, socket_with};
use serde_json::{Value, json};

use super::{Ground, Hop, PodAt, Stage, Transport, Tried, walk};
use crate::config::NodeConfig;
use crate::network::lab::{Pod, is_root};
use crate::network::{Families, NetworkMode, NodeNetwork, Underlay};

const SERVICE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 96, 0, 9));
const SERVICE_6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 0, 9));
const PORT: u16 = 8080;
/// For a connection.
const PATIENCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 400_000_000,
};

/// Pods `client` and `near` on node `one`, `far` and `other` on node `two`. All but the client serve.
struct Lab {
    family: Family,
    nodes: [NodeNetwork; 2],
    pods: Vec<(&'static str, usize, Pod)>,
    /// Pods behind the Service, by its slice.
    backends: Vec<&'static str>,
    proxy: proxy::Tables,
    policies: policy::Tables,
}

impl Lab {
    async fn new(backends: &[&'static str]) -> Option<Self> {
        Self::of(Family::Ipv4, backends).await
    }

    /// Everything by addresses of that family.
    async fn of(family: Family, backends: &[&'static str]) -> Option<Self> {
        if !is_root() {
            return None;
        }
        let mode = NetworkMode {
            families: match family {
                Family::Ipv4 => Families::Ipv4,
                Family::Ipv6 => Families::Dual,
            },
            ..NetworkMode::default()
        };
        let underlay = Arc::new(Underlay::create(mode).await.unwrap());
        let nodes = [
            NodeNetwork::create(&underlay).await.unwrap(),
            NodeNetwork::create(&underlay).await.unwrap(),
        ];
        let mut pods = Vec::new();
        for (name, node) in [("client", 0), ("near", 0), ("far", 1), ("other", 1)] {
            let pod = Pod::new(&nodes[node], name).await;
            if name != "client" {
                pod.tell(name, PORT).await;
            }
            pods.push((name, node, pod));
        }
        let config = NodeConfig {
            name: "one".into(),
            ..NodeConfig::default()
        };
        let proxied = nodes[0].proxied(family, &config, &BTreeSet::new());
        let of_policies = policy::Config {
            node: "two".into(),
            family,
            name_server: None,
            faults: BTreeSet::new(),
        };
        let mut lab = Self {
            proxy: proxy::Tables::new(proxied, nodes[0].netfilter(family).await.unwrap()),
            policies: policy::Tables::new(&of_policies, nodes[1].netfilter(family).await.unwrap()),
            family,
            nodes,
            pods,
            backends: backends.to_vec(),
        };
        lab.serve(backends);
        // The wire may take a second until it carries anything.
        for name in ["far", "near"] {
            let address = lab.at(name);
            while lab.dial(address).await.0.is_err() {}
        }
        Some(lab)
    }

    fn pod(&self, name: &str) -> &Pod {
        let pod = self.pods.iter().find(|(own, ..)| *own == name);
        &pod.unwrap().2
    }

    fn at(&self, name: &str) -> SocketAddr {
        SocketAddr::new(self.address(self.pod(name)), PORT)
    }

    fn address(&self, pod: &Pod) -> IpAddr {
        match self.family {
            Family::Ipv4 => pod.network.address.into(),
            Family::Ipv6 => pod.network.second.unwrap().into(),
        }
    }

    fn service() -> Value {
        json!({"metadata": {"name": "web", "namespace": "x"}, "spec": {
            "clusterIPs": [SERVICE.to_string(), SERVICE_6.to_string()], "ports": [{"port": 80}],
        }})
    }

    fn slice(&self, backends: &[&str]) -> Value {
        let endpoint = |name: &&str| json!({"addresses": [self.at(name).ip().to_string()]});
        json!({
            "metadata": {"name": "web", "namespace": "x", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": self.family.to_string(), "ports": [{"port": PORT}],
            "endpoints": backends.iter().map(endpoint).collect::<Vec<_>>(),
        })
    }

    /// The rules of node `one` lead to these, whatever the API says.
    fn serve(&mut self, backends: &[&str]) {
        self.proxy.put_service(Self::service().into());
        let slice = self.slice(backends);
        self.proxy.put_slice(slice.into(), None);
        self.proxy.sync().unwrap();
    }

    /// Policies of node `two`.
    fn isolate(&mut self, policy: &Value) {
        for (name, node, pod) in &self.pods {
            let node = ["one", "two"][*node];
            let object = json!({
                "metadata": {"name": name, "namespace": "x", "uid": name, "labels": {"app": name}},
                "spec": {"nodeName": node},
                "status": {"phase": "Running", "podIP": self.address(pod).to_string()},
            });
            self.policies.put_pod(&object.into());
        }
        let namespace = json!({"metadata": {"name": "x"}});
        self.policies.put_namespace(&namespace.into());
        let policy = json!({"metadata": {"name": "deny", "namespace": "x"}, "spec": policy});
        self.policies.put_policy(&policy.into());
        self.policies.sync().unwrap();
    }

    /// Dials from the client: whether it came through, and from which end.
    async fn dial(&self, to: SocketAddr) -> (Result<(), Errno>, Option<SocketAddr>) {
        let dialled = self.pod("client").room.run(move || {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let family = if to.is_ipv4() {
                AddressFamily::INET
            } else {
                AddressFamily::INET6
            };
            let socket = socket_with(family, SocketType::STREAM, flags, None).unwrap();
            let result = match connect(&socket, &to) {
                Err(Errno::INPROGRESS) => {
                    let mut polled = [PollFd::new(&socket, PollFlags::OUT)];
                    match poll(&mut polled, Some(&PATIENCE)).unwrap() {
                        0 => Err(Errno::TIMEDOUT),
                        _ => socket_error(&socket).unwrap(),
                    }
                }
                other => other,
            };
            let own = getsockname(&socket).unwrap();
            (result, SocketAddr::try_from(own).ok())
        });
        dialled.await.unwrap()
    }

    /// Dials, which must fail, and follows the path of that.
    async fn lost(&self, to: SocketAddr) -> Hop {
        let (result, source) = self.dial(to).await;
        assert!(result.is_err(), "{to} was reached");
        let mut hops = self.follow(to, source).await;
        let last = hops.pop().unwrap();
        assert!(last.lost, "nothing was found, but {hops:#?} {last:#?}");
        assert!(hops.iter().all(|hop| !hop.lost));
        last
    }

    async fn follow(&self, to: SocketAddr, source: Option<SocketAddr>) -> Vec<Hop> {
        let pods = self.pods.iter().map(|(name, node, pod)| PodAt {
            name: format!("x/{name}"),
            address: self.address(pod),
            node: *node,
            net: Some(pod.room.net().clone()),
        });
        let ground = Ground {
            nodes: ["one", "two"].map(str::to_owned).into_iter().zip(&self.nodes).collect(),
            pods: pods.collect(),
            services: vec![Self::service().into()],
            slices: vec![self.slice(&self.backends).into()],
            nodes_of_pods: Vec::new(),
        };
        let tried = Tried {
            from: "pod/x/client".into(),
            source,
            to,
            protocol: Transport::Tcp,
        };
        walk(&ground, &tried).await
    }
}

const TO_SERVICE: SocketAddr = SocketAddr::new(SERVICE, 80);

fn is(hop: &Hop, stage: Stage, at: &str, words: &str) {
    assert_eq!((hop.stage, hop.at.as_str()), (stage, at), "{}", hop.told);
    assert!(hop.told.contains(words), "{}", hop.told);
}

fn v4(of: SocketAddr) -> Ipv4Addr {
    match of.ip() {
        IpAddr::V4(address) => address,
        IpAddr::V6(address) => panic!("{address}"),
    }
}

fn default_route() -> RouteMessage {
    RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(Ipv4Addr::UNSPECIFIED, 0)
        .build()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_on_which_nothing_is_wrong_is_told_to_its_end() {
    let Some(lab) = Lab::new(&["far"]).await else { return };
    let (result, source) = lab.dial(TO_SERVICE).await;
    result.unwrap();
    let hops = lab.follow(TO_SERVICE, source).await;
    assert!(hops.iter().all(|hop| !hop.lost), "{hops:#?}");
    let stages: Vec<Stage> = hops.iter().map(|hop| hop.stage).collect();
    assert_eq!(
        stages,
        [
            Stage::ClientRoute,
            Stage::ServiceMap,
            Stage::Dnat,
            Stage::Route,
            Stage::Route,
            Stage::Policy,
            Stage::Listening,
            Stage::WayBack
        ],
        "{hops:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_without_a_route_or_without_its_gateway_is_named() {
    let Some(lab) = Lab::new(&["far"]).await else { return };
    let client = lab.pod("client");
    let gateway = IpAddr::V4(crate::address::GATEWAY);
    let mut entry = client.links.neighbours().add(2, gateway);
    let mut message = entry.message_mut().clone();
    message.header.state = NeighbourState::None;
    client.links.neighbours().del(message).execute().await.unwrap();
    is(
        &lab.lost(lab.at("far")).await,
        Stage::Neighbour,
        "pod x/client",
        "169.254.1.1",
    );
    client.links.route().del(default_route()).execute().await.unwrap();
    is(
        &lab.lost(TO_SERVICE).await,
        Stage::ClientRoute,
        "pod x/client",
        "unreachable",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_the_rules_of_a_service_is_named() {
    let Some(mut lab) = Lab::new(&["far"]).await else {
        return;
    };
    let other_port = SocketAddr::new(SERVICE, 81);
    is(
        &lab.lost(other_port).await,
        Stage::ServiceMap,
        "node one",
        "it has 80/tcp",
    );
    let nobodys = SocketAddr::from((Ipv4Addr::new(10, 96, 0, 77), 80));
    is(
        &lab.lost(nobodys).await,
        Stage::ServiceMap,
        "node one",
        "no Service has",
    );

    // The rules know of no backend, and of none that is gone.
    lab.serve(&[]);
    is(
        &lab.lost(TO_SERVICE).await,
        Stage::ServiceMap,
        "node one",
        "as if it had none",
    );
    lab.backends = Vec::new();
    is(
        &lab.lost(TO_SERVICE).await,
        Stage::ChosenEndpoint,
        "node one",
        "no endpoint",
    );

    // They lead to one that is none.
    lab.backends = vec!["far"];
    lab.serve(&["client"]);
    is(
        &lab.lost(TO_SERVICE).await,
        Stage::ChosenEndpoint,
        "node one",
        "no endpoint of Service x/web",
    );

    // The rule of the right one sends elsewhere.
    lab.serve(&["far"]);
    let far = lab.at("far");
    let name = format!("endpoint-x/web/tcp/__{}/{PORT}", far.ip());
    let chain = "service-x/web/tcp/";
    let named = netfilter::Rule::new().is(netfilter::Field::Protocol, netfilter::Protocol::Tcp);
    let named = named.about(&name);
    let mut batch = Batch::new(proxy::TABLE);
    batch.flush_chain(chain);
    let stray = named.clone().dnat(Ipv4Addr::new(10, 244, 2, 99), Some(PORT));
    batch.add_rule(chain, &stray);
    let mut socket = lab.nodes[0].netfilter(Family::Ipv4).await.unwrap();
    socket.commit(&batch).unwrap();
    is(
        &lab.lost(TO_SERVICE).await,
        Stage::Dnat,
        "node one",
        "sent to 10.244.2.99:8080",
    );

    // It does nothing, and the packet goes on to an address that is no one's.
    let mut batch = Batch::new(proxy::TABLE);
    batch.flush_chain(chain);
    batch.add_rule(chain, &named);
    for check in ["cluster-ips-check", "service-endpoints-check"] {
        batch.flush_chain(check);
    }
    socket.commit(&batch).unwrap();
    is(&lab.lost(TO_SERVICE).await, Stage::Dnat, "node one", "");

    let mut batch = Batch::new(proxy::TABLE);
    batch.delete_table();
    socket.commit(&batch).unwrap();
    is(
        &lab.lost(TO_SERVICE).await,
        Stage::ServiceMap,
        "node one",
        "table kube-proxy",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_drops_is_named_by_pod_and_direction() {
    let Some(mut lab) = Lab::new(&["far"]).await else {
        return;
    };
    lab.isolate(&json!({"podSelector": {"matchLabels": {"app": "far"}}, "policyTypes": ["Ingress"]}));
    for to in [lab.at("far"), TO_SERVICE] {
        let hop = lab.lost(to).await;
        is(
            &hop,
            Stage::Policy,
            "node two",
            "ingress of pod x/far is allowed by none of x/deny",
        );
    }
    // Whom it is not about it does not keep away.
    let (result, source) = lab.dial(lab.at("other")).await;
    result.unwrap();
    assert!(lab.follow(lab.at("other"), source).await.iter().all(|hop| !hop.lost));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_that_is_gone_is_named_on_its_node() {
    let Some(lab) = Lab::new(&["far"]).await else { return };
    let to_pods = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(Ipv4Addr::new(10, 244, 2, 0), 24)
        .build();
    let (_, one) = lab.nodes[0].inside();
    one.route().del(to_pods).execute().await.unwrap();
    one.route().del(default_route()).execute().await.unwrap();
    is(
        &lab.lost(lab.at("far")).await,
        Stage::Route,
        "node one",
        "no route leads to 10.244.2.2",
    );

    // To a pod of its own: what is left leads to the wire, and back.
    let near = lab.at("near");
    let to_pod = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(v4(near), 32)
        .scope(RouteScope::Link)
        .build();
    one.route().del(to_pod).execute().await.unwrap();
    is(
        &lab.lost(near).await,
        Stage::Route,
        "node one",
        "no route leads to 10.244.1.3",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_that_leads_elsewhere_is_named_on_its_node() {
    let Some(lab) = Lab::new(&["far"]).await else { return };
    let far = lab.at("far");
    let (_, two) = lab.nodes[1].inside();
    let to_pod = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(v4(far), 32)
        .scope(RouteScope::Link)
        .build();
    two.route().del(to_pod).execute().await.unwrap();
    is(
        &lab.lost(far).await,
        Stage::Route,
        "node two",
        "and not to the pod's own interface",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_does_not_answer_for_itself_is_a_missing_neighbour() {
    let Some(lab) = Lab::new(&["far"]).await else { return };
    // The other node is silent on the wire, and the first one forgets where it was.
    let silent = rtnetlink::LinkUnspec::new_with_index(2).arp(false).build();
    let (_, two) = lab.nodes[1].inside();
    two.link().change(silent).execute().await.unwrap();
    let (_, one) = lab.nodes[0].inside();
    let mut entry = one.neighbours().add(2, IpAddr::V4(lab.nodes[1].address()));
    let message = entry.message_mut().clone();
    one.neighbours().del(message).execute().await.unwrap();
    is(
        &lab.lost(lab.at("far")).await,
        Stage::Neighbour,
        "node one",
        "172.30.0.2",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_on_which_nobody_listens_and_an_answer_without_a_way_are_named() {
    let Some(lab) = Lab::new(&["far"]).await else { return };
    let closed = SocketAddr::new(lab.at("far").ip(), 9999);
    is(
        &lab.lost(closed).await,
        Stage::Listening,
        "pod x/far",
        "there is *:8080",
    );
    let links = &lab.pod("far").links;
    links.route().del(default_route()).execute().await.unwrap();
    is(
        &lab.lost(lab.at("far")).await,
        Stage::WayBack,
        "pod x/far",
        "unreachable",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_done_on_purpose_is_told_as_such() {
    let Some(lab) = Lab::new(&["far"]).await else { return };
    let [one, two] = &lab.nodes;
    two.mute(v4(lab.at("far"))).await.unwrap();
    is(
        &lab.lost(lab.at("far")).await,
        Stage::Impairment,
        "node two",
        "is muted",
    );
    one.separate(two).await.unwrap();
    is(
        &lab.lost(lab.at("far")).await,
        Stage::Impairment,
        "node one",
        "separated from 172.30.0.2",
    );
    one.unimpair().await.unwrap();
    two.unimpair().await.unwrap();
    two.partition().await.unwrap();
    is(
        &lab.lost(lab.at("far")).await,
        Stage::Impairment,
        "node two",
        "its interface is down",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_of_ipv6_is_followed_as_one_of_ipv4() {
    let Some(mut lab) = Lab::of(Family::Ipv6, &["far"]).await else {
        return;
    };
    let to_service = SocketAddr::new(SERVICE_6, 80);
    let (result, source) = lab.dial(to_service).await;
    result.unwrap();
    let hops = lab.follow(to_service, source).await;
    assert!(hops.iter().all(|hop| !hop.lost), "{hops:#?}");
    let told: Vec<(Stage, &str)> = hops.iter().map(|hop| (hop.stage, hop.at.as_str())).collect();
    assert_eq!(told[1], (Stage::ServiceMap, "node one"), "{hops:#?}");
    assert_eq!(told.last().unwrap(), &(Stage::WayBack, "pod x/far"), "{hops:#?}");

    let other_port = SocketAddr::new(SERVICE_6, 81);
    is(
        &lab.lost(other_port).await,
        Stage::ServiceMap,
        "node one",
        "has no port 81/tcp",
    );
    let closed = SocketAddr::new(lab.at("far").ip(), 9999);
    is(
        &lab.lost(closed).await,
        Stage::Listening,
        "pod x/far",
        "there is *:8080",
    );
    lab.isolate(&json!({"podSelector": {"matchLabels": {"app": "far"}}, "policyTypes": ["Ingress"]}));
    let hop = lab.lost(to_service).await;
    is(&hop, Stage::Policy, "node two", "is allowed by none of x/deny");
    let (_, one) = lab.nodes[0].inside();
    let to_pods = RouteMessageBuilder::<Ipv6Addr>::new();
    let to_pods = to_pods.destination_prefix(Ipv6Addr::new(0xfd00, 0x10, 0x244, 2, 0, 0, 0, 0), 64);
    one.route().del(to_pods.build()).execute().await.unwrap();
    let everything = RouteMessageBuilder::<Ipv6Addr>::new().destination_prefix(Ipv6Addr::UNSPECIFIED, 0);
    one.route().del(everything.build()).execute().await.unwrap();
    let hop = lab.lost(lab.at("far")).await;
    is(&hop, Stage::Route, "node one", "no route leads to fd00:10:244:2::2");
}
