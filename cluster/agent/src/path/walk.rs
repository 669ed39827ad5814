//! The walk itself: from who sends to who is to answer, and what stands at each hop.

use std::net::{IpAddr, SocketAddr};

use netfilter::{Family, Flow, Protocol};
use policy::Direction;
use proxy::{Leads, Meant};

use super::view::{Route, View};
use super::{Ground, Hop, PodAt, Stage, Tried};
use crate::address::Subnet;
use crate::network::NodeNetwork;

/// The packet went missing: nothing is behind.
struct Lost;

/// What was seen so far.
#[derive(Default)]
struct Trail(Vec<Hop>);

impl Trail {
    fn passed(&mut self, stage: Stage, at: &str, told: impl Into<String>) {
        self.0.push(Hop {
            stage,
            at: at.into(),
            told: told.into(),
            lost: false,
        });
    }

    fn lost<T>(&mut self, stage: Stage, at: &str, told: impl Into<String>) -> Result<T, Lost> {
        self.passed(stage, at, told);
        if let Some(hop) = self.0.last_mut() {
            hop.lost = true;
        }
        Err(Lost)
    }
}

/// Who has an address.
#[derive(Clone, Copy)]
enum Holder<'g> {
    Pod(&'g PodAt),
    Node(usize),
    Outside,
}

/// A packet on its way.
struct Packet {
    family: Family,
    protocol: Protocol,
    source: Option<SocketAddr>,
    from: Option<IpAddr>,
    to: SocketAddr,
}

/// A node that a packet passes.
struct Passed<'g> {
    index: usize,
    family: Family,
    network: &'g NodeNetwork,
    view: View,
    /// How the kernel remembers the connection there; what it drops it does not remember.
    flow: Option<Flow>,
}

pub(crate) async fn walk(ground: &Ground<'_>, tried: &Tried) -> Vec<Hop> {
    let mut trail = Trail::default();
    let _lost = walked(ground, tried, &mut trail).await.is_err();
    trail.0
}

async fn walked(ground: &Ground<'_>, tried: &Tried, trail: &mut Trail) -> Result<(), Lost> {
    let family = Family::of(tried.to.ip());
    let packet = Packet {
        family,
        protocol: tried.protocol.into(),
        source: tried.source.filter(|source| !source.ip().is_unspecified()),
        from: ground.address_of(&tried.from, family),
        to: tried.to,
    };
    let Some(first) = ground.sender(tried, trail, &packet).await? else {
        return Ok(());
    };
    let entered = ground.enter(first, &packet, trail).await?;
    for backend in ground.backends(&entered, &packet, trail).await? {
        ground.arrive(&entered, &packet, backend, trail).await?;
    }
    Ok(())
}

impl<'g> Ground<'g> {
    /// Of `pod/NAMESPACE/NAME`, `node/NAME`, `outside`.
    fn address_of(&self, who: &str, family: Family) -> Option<IpAddr> {
        let node = |name: &str| Some(self.nodes.iter().find(|(own, _)| own == name)?.1.address_of(family));
        match who.split_once('/') {
            Some(("pod", name)) => match self.pods.iter().find(|pod| pod.name == name) {
                Some(pod) => Some(pod.address),
                None => node(&self.nodes_of_pods.iter().find(|(pod, _)| pod == name)?.1),
            },
            Some(("node", name)) => node(name),
            _ => Some(crate::address::wire(family)),
        }
    }

    fn holder(&self, address: IpAddr) -> Option<Holder<'_>> {
        if let Some(pod) = self.pods.iter().find(|pod| pod.address == address) {
            return Some(Holder::Pod(pod));
        }
        let family = Family::of(address);
        let node = self
            .nodes
            .iter()
            .position(|(_, node)| node.address_of(family) == address);
        node.map(Holder::Node)
            .or_else(|| (address == crate::address::wire(family)).then_some(Holder::Outside))
    }

    fn view(&self, node: usize) -> View {
        let (name, network) = &self.nodes[node];
        View::of_node(name, network)
    }

    /// From whoever sends to the node that it comes to first.
    async fn sender(&self, tried: &Tried, trail: &mut Trail, packet: &Packet) -> Result<Option<usize>, Lost> {
        let Some(holder) = packet.from.and_then(|from| self.holder(from)) else {
            return trail.lost(
                Stage::Client,
                &tried.from,
                "it has no address, or is on no node that runs pods",
            );
        };
        let to = packet.to.ip();
        let view = match holder {
            Holder::Node(node) => return Ok(Some(node)),
            Holder::Outside => match self.nodes.first() {
                Some((_, network)) => View::outside(network),
                None => return Ok(None),
            },
            Holder::Pod(pod) => pod_view(pod, trail, Stage::Client).await?,
        };
        let route = routed(&view, Stage::ClientRoute, to, trail).await?;
        if route.local {
            listens(&view, packet.protocol, packet.to, trail).await?;
            return Ok(None);
        }
        let next = neighbour(&view, &route, to, trail).await?;
        match holder {
            Holder::Pod(pod) => Ok(Some(pod.node)),
            _ => match self.holder(next) {
                Some(Holder::Node(node)) => Ok(Some(node)),
                _ => trail.lost(Stage::ClientRoute, &view.name, format!("{next} is no node")),
            },
        }
    }

    /// What a node does with every packet before it looks where that goes.
    async fn enter(&self, node: usize, packet: &Packet, trail: &mut Trail) -> Result<Passed<'_>, Lost> {
        let began = |flow: &Flow| {
            packet
                .source
                .is_some_and(|source| flow.original.source == (source.ip(), source.port()))
                && flow.original.destination == (packet.to.ip(), packet.to.port())
        };
        let entered = self.pass(node, packet, began).await;
        // What a Service's address stands for is not known yet.
        let known = |address: &IpAddr| {
            let cluster = Subnet::of_cluster(packet.family);
            cluster.iter().any(|subnet| subnet.has(*address))
        };
        let touched = [packet.from, Some(packet.to.ip())];
        unhindered(&entered, touched.into_iter().flatten().filter(known), trail).await?;
        Ok(entered)
    }

    async fn pass(&self, node: usize, packet: &Packet, began: impl Fn(&Flow) -> bool) -> Passed<'_> {
        let view = self.view(node);
        Passed {
            index: node,
            family: packet.family,
            network: self.nodes[node].1,
            flow: view.flow(packet.family, packet.protocol, began).await,
            view,
        }
    }

    /// Who may get the packet: whom it is for, or the backends of a Service.
    async fn backends(
        &self,
        entered: &Passed<'_>,
        packet: &Packet,
        trail: &mut Trail,
    ) -> Result<Vec<SocketAddr>, Lost> {
        let at = &entered.view.name;
        let nodes: Vec<IpAddr> = self
            .nodes
            .iter()
            .map(|(_, node)| node.address_of(packet.family))
            .collect();
        let meant = proxy::meant(&self.services, &self.slices, packet.to, packet.protocol, &nodes);
        // The DNS is served at its Service's own address on each node.
        let is_own = || async { entered.view.route(packet.to.ip()).await.is_ok_and(|route| route.local) };
        let (service, front, wanted) = match meant {
            Some(Meant::Port {
                service,
                front: front @ proxy::Front::NodePort(..),
                backends,
            }) => (service, front, backends),
            _ if is_own().await => return Ok(vec![packet.to]),
            Some(Meant::Port {
                service,
                front,
                backends,
            }) => (service, front, backends),
            Some(Meant::OtherPorts { service, ports }) => {
                let told = format!(
                    "Service {service} has no port {}/{}: it has {}",
                    packet.to.port(),
                    packet.protocol,
                    listed(&ports)
                );
                return trail.lost(Stage::ServiceMap, at, told);
            }
            None if Subnet::of_services(packet.family).has(packet.to.ip()) => {
                return trail.lost(
                    Stage::ServiceMap,
                    at,
                    format!("no Service has the address {}", packet.to.ip()),
                );
            }
            None => return Ok(vec![packet.to]),
        };
        let leads = entered
            .view
            .netfilter(packet.family, move |socket| proxy::leads(socket, front))
            .await;
        let backends = match leads {
            Err(error) => {
                return trail.lost(
                    Stage::ServiceMap,
                    at,
                    format!("the packet filter does not tell: {error}"),
                );
            }
            Ok(Leads::NoTable) => {
                return trail.lost(
                    Stage::ServiceMap,
                    at,
                    format!("the table {} is not there", proxy::TABLE),
                );
            }
            Ok(Leads::Nowhere) => {
                let told = format!("there is no element {} for Service {service}", front.element());
                return trail.lost(Stage::ServiceMap, at, told);
            }
            Ok(Leads::Refused) if wanted.is_empty() => {
                let told = format!("Service {service} has no endpoint that serves: whoever asks is refused");
                return trail.lost(Stage::ChosenEndpoint, at, told);
            }
            Ok(Leads::Refused) => {
                let told = format!(
                    "Service {service} has {} by its EndpointSlices, and the rules refuse as if it had none here",
                    listed(&wanted)
                );
                return trail.lost(Stage::ServiceMap, at, told);
            }
            Ok(Leads::To(backends)) => backends,
        };
        trail.passed(
            Stage::ServiceMap,
            at,
            format!("{} leads to Service {service}", front.element()),
        );
        self.chosen(entered, packet, &service, &wanted, &backends, trail)
    }

    /// Which backends the packet may have been sent to: the one that the kernel remembers, or else any.
    fn chosen(
        &self,
        entered: &Passed<'_>,
        packet: &Packet,
        service: &str,
        wanted: &[SocketAddr],
        backends: &[proxy::Backend],
        trail: &mut Trail,
    ) -> Result<Vec<SocketAddr>, Lost> {
        let at = &entered.view.name;
        let remembered = entered.flow.map(|flow| {
            let (address, port) = flow.reply.source;
            SocketAddr::new(address, port)
        });
        let targets: Vec<SocketAddr> = backends.iter().filter_map(|backend| backend.target).collect();
        match remembered {
            Some(chosen) if chosen == packet.to => {
                let told =
                    format!("the connection was let through to {chosen} itself: no rule changed its destination");
                trail.lost(Stage::Dnat, at, told)
            }
            Some(chosen) if !wanted.contains(&chosen) => {
                let told = format!(
                    "the connection was sent to {chosen}, which is no endpoint of Service {service}: it has {}",
                    listed(wanted)
                );
                let stage = match targets.contains(&chosen) && named(backends, chosen) {
                    true => Stage::ChosenEndpoint,
                    false => Stage::Dnat,
                };
                trail.lost(stage, at, told)
            }
            Some(chosen) => {
                trail.passed(Stage::Dnat, at, format!("the connection was sent to {chosen}"));
                Ok(vec![chosen])
            }
            None if backends.is_empty() => trail.lost(
                Stage::ChosenEndpoint,
                at,
                format!("the chain of Service {service} leads to no backend"),
            ),
            None => {
                if let Some(blind) = backends.iter().find(|backend| backend.target.is_none()) {
                    let told = format!("the chain {} changes no destination", blind.chain);
                    return trail.lost(Stage::Dnat, at, told);
                }
                if let Some(stray) = targets.iter().find(|target| !wanted.contains(target)) {
                    let told = format!(
                        "rules send to {stray}, which is no endpoint of Service {service}: it has {}",
                        listed(wanted)
                    );
                    let stage = match named(backends, *stray) {
                        true => Stage::ChosenEndpoint,
                        false => Stage::Dnat,
                    };
                    return trail.lost(stage, at, told);
                }
                trail.passed(
                    Stage::ChosenEndpoint,
                    at,
                    format!("any of {}; the kernel remembers no connection", listed(&targets)),
                );
                Ok(targets)
            }
        }
    }

    /// From the first node to who is to answer.
    async fn arrive(
        &self,
        entered: &Passed<'_>,
        packet: &Packet,
        backend: SocketAddr,
        trail: &mut Trail,
    ) -> Result<(), Lost> {
        let at = &entered.view.name;
        let to = backend.ip();
        let holder = self.holder(to);
        let last = match holder {
            Some(Holder::Pod(pod)) => pod.node,
            Some(Holder::Node(node)) => node,
            Some(Holder::Outside) | None => entered.index,
        };
        unhindered(entered, [to].into_iter(), trail).await?;
        if holder.is_none() && Subnet::of_cluster(packet.family).iter().any(|subnet| subnet.has(to)) {
            return trail.lost(Stage::Listening, at, format!("no pod and no node has the address {to}"));
        }
        let far = last != entered.index;
        let by = far.then(|| self.nodes[last].1.gateway_to_pods(packet.family));
        let route = self.lead(&entered.view, to, by, trail).await?;
        if let Some(Holder::Pod(pod)) = packet.from.and_then(|from| self.holder(from))
            && pod.node == entered.index
        {
            judged(entered, pod, Direction::Egress, trail).await?;
        }
        if route.local {
            return listens(&entered.view, packet.protocol, backend, trail).await;
        }
        if !far {
            if let Some(Holder::Pod(pod)) = holder {
                judged(entered, pod, Direction::Ingress, trail).await?;
                neighbour(&entered.view, &route, to, trail).await?;
                return self.answer(pod, packet, backend, trail).await;
            }
            neighbour(&entered.view, &route, to, trail).await?;
            return Ok(());
        }
        neighbour(&entered.view, &route, to, trail).await?;
        // As the first node sent it: under which address and port, to whom.
        let sent = entered.flow.map(|flow| flow.reply.destination);
        let sent = sent.or(packet.source.map(|source| (source.ip(), source.port())));
        let began =
            |flow: &Flow| sent == Some(flow.original.source) && flow.original.destination == (to, backend.port());
        let there = self.pass(last, packet, began).await;
        let touched = [packet.from, Some(entered.network.address_of(packet.family)), Some(to)];
        unhindered(&there, touched.into_iter().flatten(), trail).await?;
        let Some(Holder::Pod(pod)) = holder else {
            return listens(&there.view, packet.protocol, backend, trail).await;
        };
        let route = self.lead(&there.view, to, None, trail).await?;
        judged(&there, pod, Direction::Ingress, trail).await?;
        neighbour(&there.view, &route, to, trail).await?;
        self.answer(pod, packet, backend, trail).await
    }

    /// A node's route to an address. To a pod it is to lead by that gateway.
    async fn lead(&self, view: &View, to: IpAddr, by: Option<IpAddr>, trail: &mut Trail) -> Result<Route, Lost> {
        let route = routed(view, Stage::Route, to, trail).await?;
        let is_pod = matches!(self.holder(to), Some(Holder::Pod(_)));
        if is_pod && route.gateway != by {
            let wanted = match by {
                Some(gateway) => format!("by {gateway}, whose pod it is"),
                None => "to the pod's own interface".to_owned(),
            };
            let told = format!("the route to {to} leads {}, and not {wanted}", way(&route));
            return trail.lost(Stage::Route, &view.name, told);
        }
        Ok(route)
    }

    /// Whether somebody listens in the pod, and whether he can answer.
    async fn answer(&self, pod: &PodAt, packet: &Packet, backend: SocketAddr, trail: &mut Trail) -> Result<(), Lost> {
        let view = pod_view(pod, trail, Stage::Listening).await?;
        listens(&view, packet.protocol, backend, trail).await?;
        if let Some(from) = packet.from.filter(|from| *from != pod.address) {
            let route = routed(&view, Stage::WayBack, from, trail).await?;
            neighbour(&view, &route, from, trail).await?;
        }
        Ok(())
    }
}

async fn pod_view(pod: &PodAt, trail: &mut Trail, stage: Stage) -> Result<View, Lost> {
    let at = format!("pod {}", pod.name);
    let Some(net) = pod.net.clone() else {
        return trail.lost(stage, &at, "none of its containers runs");
    };
    match View::of_pod(&pod.name, net).await {
        Ok(view) => Ok(view),
        Err(error) => trail.lost(stage, &at, error.to_string()),
    }
}

async fn routed(view: &View, stage: Stage, to: IpAddr, trail: &mut Trail) -> Result<Route, Lost> {
    match view.route(to).await {
        Ok(route) => {
            let told = match route.local {
                true => format!("{to} is its own address"),
                false => format!("{to} is reached {}", way(&route)),
            };
            trail.passed(stage, &view.name, told);
            Ok(route)
        }
        Err(why) => trail.lost(stage, &view.name, format!("no route leads to {to}: {why}")),
    }
}

async fn neighbour(view: &View, route: &Route, to: IpAddr, trail: &mut Trail) -> Result<IpAddr, Lost> {
    match view.neighbour(route, to).await {
        Ok(next) => Ok(next),
        Err(why) => trail.lost(Stage::Neighbour, &view.name, why),
    }
}

/// Whether a node lets packets of these addresses alone, and can remember their connection.
async fn unhindered(
    passed: &Passed<'_>,
    addresses: impl Iterator<Item = IpAddr>,
    trail: &mut Trail,
) -> Result<(), Lost> {
    let at = &passed.view.name;
    for address in addresses {
        if let Some(what) = passed.network.impaired(address).await {
            return trail.lost(Stage::Impairment, at, format!("on purpose: {what}"));
        }
    }
    if passed.flow.is_some() {
        return Ok(());
    }
    let Some(connections) = passed.view.connections().await else {
        return Ok(());
    };
    let super::view::Connections { count, most, dropped } = connections;
    let packets = format!("{dropped} packets were dropped for want of room");
    if count >= most {
        let told = format!("the table of connections is full: {count} of {most}, {packets}");
        return trail.lost(Stage::ConnectionTable, at, told);
    }
    if dropped > 0 {
        let told = format!("the table of connections was full: {packets}; now it has {count} of {most}");
        trail.passed(Stage::ConnectionTable, at, told);
    }
    Ok(())
}

/// Whether policies dropped packets of the pod in that direction. A connection that the kernel remembers they let through.
async fn judged(passed: &Passed<'_>, pod: &PodAt, direction: Direction, trail: &mut Trail) -> Result<(), Lost> {
    if passed.flow.is_some() {
        return Ok(());
    }
    let at = &passed.view.name;
    let drops = match passed.view.netfilter(passed.family, policy::drops).await {
        Ok(drops) => drops,
        // There is no table of policies.
        Err(_) => return Ok(()),
    };
    let own = drops
        .into_iter()
        .find(|drops| drops.pod == pod.name && drops.direction == direction);
    match own {
        None => {
            trail.passed(
                Stage::Policy,
                at,
                format!("no policy is about {direction} of pod {}", pod.name),
            );
            Ok(())
        }
        Some(own) if own.packets == 0 => {
            let told = format!("of {direction} of pod {} nothing was dropped", pod.name);
            trail.passed(Stage::Policy, at, told);
            Ok(())
        }
        Some(own) => {
            let told = format!(
                "{direction} of pod {} is allowed by none of {}: {} packets were dropped",
                pod.name,
                listed(&own.policies),
                own.packets
            );
            trail.lost(Stage::Policy, at, told)
        }
    }
}

/// Whether somebody listens on an address.
async fn listens(view: &View, protocol: Protocol, on: SocketAddr, trail: &mut Trail) -> Result<(), Lost> {
    let all = view.listening(Family::of(on.ip()), protocol).await;
    let own = on.ip().to_string();
    let is_there = |(address, port): &(String, u16)| *port == on.port() && (address == "*" || *address == own);
    if all.iter().any(is_there) {
        trail.passed(
            Stage::Listening,
            &view.name,
            format!("somebody listens on {}/{protocol}", on.port()),
        );
        return Ok(());
    }
    let others: Vec<String> = all.iter().map(|(address, port)| format!("{address}:{port}")).collect();
    let told = format!("nobody listens on {on}/{protocol}: there is {}", listed(&others));
    trail.lost(Stage::Listening, &view.name, told)
}

/// Whether the chain of that backend is called so.
fn named(backends: &[proxy::Backend], target: SocketAddr) -> bool {
    backends.iter().any(|backend| backend.is_named(target))
}

fn way(route: &Route) -> String {
    match route.gateway {
        Some(gateway) => format!("by {gateway} on {}", route.interface),
        None => format!("on {}", route.interface),
    }
}

fn listed(list: &[impl ToString]) -> String {
    if list.is_empty() {
        return "nothing".into();
    }
    let all: Vec<String> = list.iter().map(ToString::to_string).collect();
    all.join(", ")
}
