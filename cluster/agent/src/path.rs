//! Where packets go missing: the path of a connection that was tried, hop by hop, as the kernel's own state tells it.
//!
//! Nothing is sent and nothing is changed. What the kernel holds is read where it holds it: routes and neighbours by
//! rtnetlink, the maps of the proxy and the counters of policies by netfilter, tracked connections, and sockets from
//! `/proc/net`. The first hop that is not as it has to be is where the packet went missing; what is behind it is not told,
//! for no packet came there.

#[cfg(test)]
mod tests;
mod view;
mod walk;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use netfilter::Family;
use objects::meta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use self::walk::walk;
use crate::namespace::Namespace;
use crate::network::NodeNetwork;
use crate::node::Node;

/// A connection that somebody tried to make.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tried {
    /// Who: `pod/NAMESPACE/NAME`, `node/NAME`, or `outside` for who is on the wire between the nodes.
    pub from: String,
    /// His own end, if it is known; by it the kernel's memory of the connection is found.
    pub source: Option<SocketAddr>,
    /// To whom.
    pub to: SocketAddr,
    /// By which transport.
    #[serde(default)]
    pub protocol: Transport,
}

/// TCP or UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

impl From<Transport> for netfilter::Protocol {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Tcp => Self::Tcp,
            Transport::Udp => Self::Udp,
        }
    }
}

/// What a packet passes, in about this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Whoever sends.
    Client,
    /// His own route.
    ClientRoute,
    /// What is done to packets on purpose.
    Impairment,
    /// The kernel's table of connections, which can be full.
    ConnectionTable,
    /// From a Service's address to its chain.
    ServiceMap,
    /// From the chain to a backend.
    ChosenEndpoint,
    /// From the Service's address to the backend's.
    Dnat,
    /// NetworkPolicies.
    Policy,
    /// A node's route.
    Route,
    /// Hardware address of who is next.
    Neighbour,
    /// Whoever is to answer.
    Listening,
    /// The route by which answers come back.
    WayBack,
}

/// One thing that a packet passed, or did not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hop {
    /// What it is.
    pub stage: Stage,
    /// Whose: `pod NAMESPACE/NAME`, `node NAME`, `outside`.
    pub at: String,
    /// What the kernel shows.
    pub told: String,
    /// The packet went missing here.
    pub lost: bool,
}

/// What the API has, as far as a path depends on it.
#[derive(Debug, Clone, Default)]
pub struct Objects {
    /// Pods of all namespaces.
    pub pods: Vec<Arc<Value>>,
    /// Services of all namespaces.
    pub services: Vec<Arc<Value>>,
    /// EndpointSlices of all namespaces.
    pub slices: Vec<Arc<Value>>,
}

/// Follows the path of a connection that was tried from one of these nodes, their pods or the wire between them. The last
/// hop is the one where it was lost, if one is; else everything is as it has to be now.
pub async fn follow<'n>(nodes: impl Iterator<Item = &'n Node>, objects: &Objects, tried: &Tried) -> Vec<Hop> {
    let nodes: Vec<&Node> = nodes.collect();
    let family = Family::of(tried.to.ip());
    let pods = objects.pods.iter().filter_map(|pod| {
        let address = address_of(pod, family)?;
        let name = meta::text(pod, &["spec", "nodeName"]);
        let node = nodes.iter().position(|node| node.name() == name)?;
        let is_over = ["Succeeded", "Failed"].contains(&meta::text(pod, &["status", "phase"]));
        let is_node = meta::at(pod, &["spec", "hostNetwork"]) == Some(&Value::Bool(true));
        (!is_over && !is_node).then(|| PodAt {
            name: format!("{}/{}", meta::namespace(pod), meta::name(pod)),
            address,
            node,
            net: nodes[node].network_of(meta::uid(pod)),
        })
    });
    let ground = Ground {
        pods: pods.collect(),
        nodes: nodes
            .iter()
            .map(|node| (node.name().to_owned(), node.connected()))
            .collect(),
        services: objects.services.clone(),
        slices: objects.slices.clone(),
        nodes_of_pods: objects
            .pods
            .iter()
            .map(|pod| {
                let name = format!("{}/{}", meta::namespace(pod), meta::name(pod));
                (name, meta::text(pod, &["spec", "nodeName"]).to_owned())
            })
            .collect(),
    };
    walk(&ground, tried).await
}

/// A pod's address of a family.
fn address_of(pod: &Value, family: Family) -> Option<IpAddr> {
    let all = meta::list(pod, &["status", "podIPs"]).iter();
    let all = all.map(|one| meta::text(one, &["ip"]));
    let mut all = all.chain([meta::text(pod, &["status", "podIP"])]);
    all.find_map(|text| text.parse().ok().filter(|address| Family::of(*address) == family))
}

/// Everything that a path may lead over.
pub(crate) struct Ground<'a> {
    pub(crate) nodes: Vec<(String, &'a NodeNetwork)>,
    pub(crate) pods: Vec<PodAt>,
    pub(crate) services: Vec<Arc<Value>>,
    pub(crate) slices: Vec<Arc<Value>>,
    /// Where pods are, those on their node's own network among them.
    pub(crate) nodes_of_pods: Vec<(String, String)>,
}

/// A pod with an address of its own.
pub(crate) struct PodAt {
    /// `NAMESPACE/NAME`.
    pub(crate) name: String,
    /// Of the family that the packet is of.
    pub(crate) address: IpAddr,
    /// Index of its node.
    pub(crate) node: usize,
    /// While it runs.
    pub(crate) net: Option<Namespace>,
}
