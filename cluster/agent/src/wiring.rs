//! Nodes and pods that are wired as those of a cluster are, and run nothing: for whoever measures the network itself.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::sync::Arc;
use std::thread::JoinHandle;

use futures_util::future::try_join_all;
use netfilter::{Family, Netfilter};

use crate::config::NodeConfig;
use crate::namespace::{IPC, NET, Namespace, Shared, UTS};
use crate::network::{self, NetworkError, NetworkMode, NodeNetwork, Underlay};
use crate::path::{self, Ground, Hop, PodAt, Transport, Tried};

/// The wire, nodes on it, and pods on them; all of it is gone when this is dropped.
#[derive(Debug)]
pub struct Wiring {
    nodes: Vec<NodeNetwork>,
    pods: Vec<Place>,
}

/// A network namespace with an address.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its address.
    pub address: Ipv4Addr,
    net: Namespace,
}

impl Place {
    /// Does something on a thread of its own in its network namespace.
    pub fn run<R: Send + 'static>(
        &self,
        act: impl FnOnce() -> io::Result<R> + Send + 'static,
    ) -> JoinHandle<io::Result<R>> {
        let net = self.net.clone();
        std::thread::spawn(move || net.enter().and_then(|()| act()))
    }
}

impl Wiring {
    /// So many nodes with so many pods each, all nodes at the same time, as a cluster makes them.
    ///
    /// # Errors
    /// [`NetworkError`], for want of privilege most of the time.
    pub async fn make(mode: NetworkMode, nodes: usize, pods: usize) -> Result<Self, NetworkError> {
        let underlay = Arc::new(Underlay::create(mode).await?);
        let node = || async {
            let node = NodeNetwork::create(&underlay).await?;
            let mut places = Vec::new();
            for _ in 0..pods {
                places.push(pod(&node).await?);
            }
            Ok::<_, NetworkError>((node, places))
        };
        let made = try_join_all((0..nodes).map(|_| node())).await?;
        let (nodes, pods): (Vec<_>, Vec<_>) = made.into_iter().unzip();
        Ok(Self {
            nodes,
            pods: pods.into_iter().flatten().collect(),
        })
    }

    /// The pods, those of the first node first.
    pub fn pods(&self) -> &[Place] {
        &self.pods
    }

    /// A node itself: where what its pods send passes through.
    pub fn node(&self, number: usize) -> Place {
        let node = &self.nodes[number];
        Place {
            address: node.address(),
            net: node.namespace().clone(),
        }
    }

    /// What the proxy of a node has to know, for Services of IPv4.
    pub fn proxied(&self, node: usize) -> proxy::Config {
        let config = NodeConfig {
            name: format!("node-{node}"),
            ..NodeConfig::default()
        };
        self.nodes[node].proxied(Family::Ipv4, &config, &Default::default())
    }

    /// What the policies of a node have to know, for IPv4.
    pub fn judged(&self, node: usize) -> policy::Config {
        policy::Config {
            node: format!("node-{node}"),
            family: Family::Ipv4,
            name_server: Some(crate::NAME_SERVER.into()),
            faults: Default::default(),
        }
    }

    /// A netfilter socket of a node, for IPv4.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub async fn netfilter(&self, node: usize) -> Result<Netfilter, NetworkError> {
        self.nodes[node].netfilter(Family::Ipv4).await
    }

    /// Follows a connection that a pod tried to make, as [`crate::path::follow`] does in a cluster.
    pub async fn follow(&self, from: &Place, to: SocketAddrV4, protocol: Transport) -> Vec<Hop> {
        let pods = self.pods.iter().enumerate().map(|(number, pod)| PodAt {
            name: format!("x/{number}"),
            address: pod.address.into(),
            node: number * self.nodes.len() / self.pods.len(),
            net: Some(pod.net.clone()),
        });
        let nodes = self.nodes.iter().enumerate();
        let ground = Ground {
            nodes: nodes.map(|(number, node)| (format!("node-{number}"), node)).collect(),
            pods: pods.collect(),
            services: Vec::new(),
            slices: Vec::new(),
            nodes_of_pods: Vec::new(),
        };
        let own = self.pods.iter().position(|pod| pod.address == from.address);
        let tried = Tried {
            from: format!("pod/x/{}", own.unwrap_or(self.pods.len())),
            source: None,
            to: to.into(),
            protocol,
        };
        path::walk(&ground, &tried).await
    }

    /// Sockets of a server of a node's own, as its DNS has them.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub async fn listen(
        &self,
        node: usize,
        address: Ipv4Addr,
        port: u16,
    ) -> Result<(UdpSocket, TcpListener), NetworkError> {
        self.nodes[node].listen(address, port).await
    }
}

async fn pod(node: &NodeNetwork) -> Result<Place, NetworkError> {
    let runtime = tokio::runtime::Handle::current();
    let inside = move || {
        let _entered = runtime.enter();
        network::connect()
    };
    let made = Shared::create(NET | UTS | IPC, "pod".into(), inside).await;
    let act = "make a pod's namespaces";
    let (shared, links) = made.map_err(|source| NetworkError::Namespace { act, source })?;
    let net = shared.net.ok_or_else(|| NetworkError::Namespace {
        act,
        source: io::ErrorKind::NotFound.into(),
    })?;
    let place = node.reserve()?;
    node.attach(&place, &net, &links).await?;
    Ok(Place {
        address: place.address,
        net,
    })
}

/// Two namespaces with nothing between them but a pair of interfaces: the floor of everything else.
///
/// # Errors
/// [`NetworkError`].
pub async fn bare() -> Result<[Place; 2], NetworkError> {
    network::bare_pair()
        .await
        .map(|ends| ends.map(|(address, net)| Place { address, net }))
}
