//! A node that is real, and what can happen to it.

mod impair;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use apiserver::{Api, DeleteOptions, Link, User};
use netfilter::Family;
use policy::Enforcer;
use proxy::Proxy;
use serde_json::json;
use tokio::sync::Mutex;

use crate::agent::{Agent, unmount_below};
use crate::cgroup::{CgroupError, Limits, Tree};
use crate::config::{NodeConfig, Surroundings};
use crate::context::{Context, served};
use crate::engine::Engine;
use crate::fault::Faults;
use crate::namespace::Namespace;
use crate::network::{NetworkError, NodeNetwork};
use crate::resolv::NAME_SERVER;
use crate::security::named;
use crate::streams::Served;
use crate::{process, resource};

/// How long a node that is stopped gives its pods.
const SHUTDOWN: Duration = Duration::from_secs(30);
/// How long what a node leaves is looked for.
const CLEAN_UP: Duration = Duration::from_secs(10);
/// `CAP_SYS_RESOURCE`, without which an `oom_score_adj` cannot be lowered.
const SYS_RESOURCE: &str = "CAP_SYS_RESOURCE";

/// Why a node is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A name that could be a path.
    #[error("`{0}` cannot be the name of a node")]
    Name(String),
    /// Its files.
    #[error("failed to make the directory of node `{node}`")]
    Directory {
        /// Of which node.
        node: String,
        /// Cause.
        source: std::io::Error,
    },
    /// Its groups.
    #[error("failed to make the control groups of node `{node}`")]
    Cgroup {
        /// Of which node.
        node: String,
        /// Cause.
        source: CgroupError,
    },
    /// Its network.
    #[error("failed to connect node `{node}`")]
    Network {
        /// Of which node.
        node: String,
        /// Cause.
        source: NetworkError,
    },
    /// Nothing that starts containers.
    #[error("`{0}` is no OCI runtime: it does not tell its version")]
    Runtime(String),
    /// The ends of its containers could not be seen.
    #[error("failed to become the parent of orphans")]
    Orphans {
        /// Cause.
        source: std::io::Error,
    },
}

/// A node: a network namespace, a cgroup subtree, a directory, and an agent that runs pods.
#[derive(Debug)]
pub struct Node {
    context: Arc<Context>,
    link: Link,
    agent: Mutex<Option<Agent>>,
    rules: Mutex<Option<Rules>>,
    /// What was chosen of every part of the node.
    faults: BTreeSet<String>,
    partitioned: RwLock<bool>,
}

/// Those who write the node's packet filter rules, which stay when they go.
#[derive(Debug)]
struct Rules {
    _services: Proxy,
    _policies: Enforcer,
}

impl Node {
    /// Makes a node. Returns when it is registered and says that it is Ready.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn start(config: NodeConfig, api: Api, around: &Surroundings) -> Result<Arc<Self>, NodeError> {
        let name = config.name.clone();
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            return Err(NodeError::Name(name));
        }
        process::adopt_orphans().map_err(|source| NodeError::Orphans { source })?;
        let directory = around.directory.join("nodes").join(&name);
        for part in ["pods", "logs", "root", "runtime"] {
            std::fs::create_dir_all(directory.join(part)).map_err(|source| NodeError::Directory {
                node: name.clone(),
                source,
            })?;
        }
        let faults = Faults::new(&around.faults);
        let cgroup = |source| NodeError::Cgroup {
            node: name.clone(),
            source,
        };
        let tree = Tree::at(&around.cgroup.join(&name)).map_err(cgroup)?;
        make_groups(&tree, &config, &faults).map_err(cgroup)?;
        let network = NodeNetwork::create(&around.underlay)
            .await
            .map_err(|source| NodeError::Network {
                node: name.clone(),
                source,
            })?;
        let engine = Engine::new(&around.runtime, &directory.join("runtime"));
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
                .unwrap_or(0)
        };
        let own_score = std::fs::read_to_string("/proc/self/oom_score_adj").ok();
        let own_score = own_score.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        let free = named(mask("CapEff:")).contains(SYS_RESOURCE);
        let link = Link::new();
        let version = engine.version().unwrap_or_default();
        let mut words = version.split_whitespace();
        let Some(runtime) = words.next() else {
            return Err(NodeError::Runtime(around.runtime.join(" ")));
        };
        let runtime_version = format!("{runtime}://{}", words.last().unwrap_or("unknown"));
        let context = Arc::new(Context {
            api: api.acting_as(User::node(&name)).behind(link.clone()),
            config,
            engine,
            network,
            images: around.images.clone(),
            tree,
            directory,
            faults,
            runtime_version,
            bounding: named(mask("CapBnd:")),
            lowest_oom_score: (!free).then_some(own_score),
            gate: tokio::sync::watch::Sender::new(true),
            seen: RwLock::default(),
            under_way: Arc::default(),
            tokens: std::sync::Mutex::default(),
        });
        let served = Arc::new(Served::new(context.clone(), link.clone()));
        api.streams().register(&name, served);
        let node = Arc::new(Self {
            context,
            link,
            agent: Mutex::new(None),
            rules: Mutex::new(None),
            faults: around.faults.clone(),
            partitioned: RwLock::new(false),
        });
        node.begin_rules().await;
        node.boot().await;
        Ok(node)
    }

    /// Has the addresses of Services lead to their backends, and policies hold. A node without a packet filter goes on without.
    async fn begin_rules(&self) {
        let network = &self.context.network;
        let mut rules = self.rules.lock().await;
        let tables = async {
            let (mut services, mut policies) = (Vec::new(), Vec::new());
            for family in network.families().all() {
                let config = network.proxied(*family, &self.context.config, &self.faults);
                services.push(proxy::Tables::new(config, network.netfilter(*family).await?));
                let config = policy::Config {
                    node: self.name().to_owned(),
                    family: *family,
                    // It has no other address.
                    name_server: (*family == Family::Ipv4).then_some(NAME_SERVER.into()),
                    faults: self.faults.clone(),
                };
                policies.push(policy::Tables::new(&config, network.netfilter(*family).await?));
            }
            Ok::<_, NetworkError>((services, policies))
        };
        match tables.await {
            Ok((services, policies)) => {
                let api = |name| self.context.api.acting_as(User::system(name));
                let node = self.name();
                *rules = Some(Rules {
                    _services: Proxy::start(api("kube-proxy"), node, services),
                    _policies: Enforcer::start(api("network-policy"), node, policies),
                });
            }
            Err(error) => {
                let about = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.name()}});
                let why = format!("Services are not served, and NetworkPolicies do not hold: {error}");
                self.context
                    .api
                    .record(&about, "Warning", "ProxyFailed", &why, "kube-proxy");
            }
        }
    }

    async fn boot(&self) {
        // What an earlier agent asked the runtime for is done by then, and can be found.
        let _done = self.context.under_way.write().await;
        let (agent, mut ready) = Agent::begin(self.context.clone());
        *self.agent.lock().await = Some(agent);
        if !self.link.is_cut() {
            let said = ready.wait_for(|ready| *ready);
            // A node that cannot tell it is told of by others.
            let _late = tokio::time::timeout(Duration::from_secs(10), said).await.is_err();
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.context.config.name
    }

    /// Its address on the wire.
    pub fn address(&self) -> std::net::Ipv4Addr {
        self.context.network.address()
    }

    /// Sockets of a server that every node has for itself, on an address that means the node itself to all that is on it.
    ///
    /// # Errors
    /// [`NetworkError`], where the port is taken as a rule.
    pub async fn listen(
        &self,
        address: std::net::Ipv4Addr,
        port: u16,
    ) -> Result<(std::net::UdpSocket, std::net::TcpListener), NetworkError> {
        self.context.network.listen(address, port).await
    }

    /// A path that leads any process to the node's network namespace, as long as this process has it.
    pub fn network(&self) -> std::path::PathBuf {
        self.context.network.namespace().path()
    }

    /// The same for the wire between the nodes, which is outside of all of them.
    pub fn outside(&self) -> std::path::PathBuf {
        self.context.network.outside().path()
    }

    /// Its network, to whoever follows packets.
    pub(crate) fn connected(&self) -> &NodeNetwork {
        &self.context.network
    }

    /// The network namespace of a pod by its uid, while one of its containers runs.
    pub(crate) fn network_of(&self, uid: &str) -> Option<Namespace> {
        let seen = self.context.seen.read().unwrap_or_else(PoisonError::into_inner);
        let mut running = seen.get(uid)?.values().filter_map(|one| one.running.as_ref());
        running.find_map(|container| Namespace::of(container.process.pid, "net").ok())
    }

    /// Its number, from which address and pod range come.
    pub fn number(&self) -> u16 {
        self.context.network.number()
    }

    /// What this node was asked to be.
    pub fn config(&self) -> &NodeConfig {
        &self.context.config
    }

    /// Whether its agent runs.
    pub async fn is_running(&self) -> bool {
        self.agent.lock().await.is_some()
    }

    /// Shuts it down as a machine is: the agent ends, then every container, with a SIGTERM first. The Node object stays
    /// and goes stale; [`Node::boot_again`] brings it back.
    pub async fn stop(&self) {
        drop(self.agent.lock().await.take());
        self.context.gate.send_replace(true);
        let _thawed = self.context.tree.freeze(Path::new("kubepods"), false).is_err();
        let running = self.running();
        let ends = running.iter().map(|container| async {
            let _gone = self.context.engine.kill(container, "SIGTERM").await.is_err();
            let _late = tokio::time::timeout(SHUTDOWN, container.process.wait()).await.is_err();
        });
        let all = async {
            for end in ends.collect::<Vec<_>>() {
                end.await;
            }
        };
        let _late = tokio::time::timeout(SHUTDOWN, all).await.is_err();
        self.power_off().await;
    }

    /// As if its power went: the agent and every process are gone at once.
    pub async fn kill(&self) {
        drop(self.agent.lock().await.take());
        self.power_off().await;
    }

    async fn power_off(&self) {
        drop(self.rules.lock().await.take());
        let _thawed = self.context.tree.freeze(Path::new("kubepods"), false).is_err();
        self.context.tree.kill(Path::new("kubepods"));
        let ended = async {
            for container in self.running() {
                let _ended = container.process.wait().await;
            }
        };
        let _late = tokio::time::timeout(CLEAN_UP, ended).await.is_err();
        self.link.cut();
        let _down = self.context.network.partition().await.is_err();
    }

    fn running(&self) -> Vec<crate::engine::Container> {
        let seen = self.context.seen.read().unwrap_or_else(PoisonError::into_inner);
        seen.values()
            .flat_map(|pod| pod.values())
            .filter_map(|one| one.running.clone())
            .collect()
    }

    /// Begins its agent (again). Pods that were lost with the power are begun anew, as their restart policy has it.
    pub async fn boot_again(&self) {
        if self.is_running().await {
            return;
        }
        self.context.gate.send_replace(true);
        if !*self.partitioned.read().unwrap_or_else(PoisonError::into_inner) {
            let _up = self.context.network.heal().await.is_err();
            self.link.heal();
        }
        self.begin_rules().await;
        self.boot().await;
    }

    /// Stops the clock of everything on it: its pods are frozen, its agent does nothing.
    ///
    /// # Errors
    /// What the control groups say.
    pub async fn freeze(&self) -> Result<(), CgroupError> {
        self.context.gate.send_replace(false);
        drop(self.rules.lock().await.take());
        self.context.tree.freeze(Path::new("kubepods"), true)
    }

    /// Lets everything on it go on.
    ///
    /// # Errors
    /// What the control groups say.
    pub async fn thaw(&self) -> Result<(), CgroupError> {
        let thawed = self.context.tree.freeze(Path::new("kubepods"), false);
        self.context.gate.send_replace(true);
        if self.is_running().await {
            self.begin_rules().await;
        }
        thawed
    }

    /// Cuts it off: no way to the API, none to other nodes. What runs on it goes on.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub async fn partition(&self) -> Result<(), NetworkError> {
        self.link.cut();
        *self.partitioned.write().unwrap_or_else(PoisonError::into_inner) = true;
        self.context.network.partition().await
    }

    /// Takes a cut back, and all else that was done to its network.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub async fn heal(&self) -> Result<(), NetworkError> {
        *self.partitioned.write().unwrap_or_else(PoisonError::into_inner) = false;
        self.context.network.unimpair().await?;
        self.context.network.heal().await?;
        self.link.heal();
        Ok(())
    }

    /// Its agent dies, and another takes over what runs. No container notices.
    pub async fn restart(&self) {
        drop(self.agent.lock().await.take());
        self.boot().await;
    }

    /// Takes the node away for good: its pods, its groups, its files, its network, and its object.
    pub async fn remove(&self) {
        drop(self.agent.lock().await.take());
        self.power_off().await;
        self.link.heal();
        self.context.api.streams().unregister(self.name());
        if let Some(kind) = served("nodes") {
            let _gone = self
                .context
                .api
                .delete(kind, "", self.name(), &DeleteOptions::default())
                .is_err();
        }
        self.context.network.leave().await;
        let (tree, directory) = (self.context.tree.clone(), self.context.directory.clone());
        let taken = tokio::task::spawn_blocking(move || {
            let left = tree.remove(Path::new(""), CLEAN_UP);
            unmount_below(&directory);
            let _busy = std::fs::remove_dir_all(&directory).is_err();
            left
        });
        let _left = taken.await.is_err();
    }

    /// How many pods are on it, by what its agent has seen.
    pub fn pods(&self) -> usize {
        self.context.seen.read().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// The node's own group with what it claims, and one for each class of pods.
fn make_groups(tree: &Tree, config: &NodeConfig, faults: &Faults) -> Result<(), CgroupError> {
    let amount = |resource: &str| config.amount(resource).and_then(|amount| u64::try_from(amount).ok());
    let capacity = if faults.has("capacity-ignored") {
        Limits::default()
    } else {
        Limits {
            cpu: amount("cpu"),
            shares: config.amount("cpu").map(resource::shares),
            memory: amount("memory"),
            pids: amount("pids"),
        }
    };
    if !tree.is_there() {
        return Ok(());
    }
    tree.make(Path::new("kubepods"), Limits::default(), true)?;
    tree.make(Path::new(""), capacity, true)?;
    tree.make(Path::new("kubepods/burstable"), Limits::default(), true)?;
    let least = Limits {
        shares: Some(2),
        ..Limits::default()
    };
    tree.make(Path::new("kubepods/besteffort"), least, true)
}
