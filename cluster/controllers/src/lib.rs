//! What keeps a cluster as it was asked to be: the controllers, and admission on the way in.
//!
//! Each controller decides in a pure function of what it sees, which is tested without a server; the loop around it
//! ([`all`]) is the same for all. One cache of all objects serves them all.

mod admission;
mod cluster;
mod condition;
mod deployment;
mod disruption;
mod dns_service;
mod endpoint_slice;
pub mod fault;
mod garbage;
mod key;
mod kinds;
mod kubernetes_service;
mod namespace;
mod node_lifecycle;
mod owner;
mod pod;
mod pod_garbage;
mod portion;
mod priority_class;
mod queue;
mod random;
mod reconcile;
mod replica_set;
mod resource_quota;
mod service_account;
mod standing;
mod taint;
mod taint_eviction;
mod usage;
mod world;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Once};
use std::time::Duration;

use apiserver::{Admission, Api};
use tokio::sync::watch;

pub use fault::{FAULTS, Fault, Faults};
use reconcile::{Loop, Reconcile};
use world::World;

/// What runs until it is told to stop.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// One controller.
pub trait Controller: Send {
    /// As events name it, such as `deployment-controller`.
    fn name(&self) -> &'static str;

    /// Works until `stop` says `true` or is gone. It needs a tokio runtime with time.
    fn run(self: Box<Self>, api: Api, stop: watch::Receiver<bool>) -> BoxFuture<()>;
}

/// How controllers and admission behave.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long a node may be silent before it counts as lost.
    pub node_grace: Duration,
    /// How long pods of a node that is gone stay.
    pub gone_node_grace: Duration,
    /// The certificate authority of the API, in PEM, for `kube-root-ca.crt`.
    pub authority: String,
    /// Where the API is to be had, for the Service `kubernetes`.
    pub server: Option<SocketAddr>,
    /// Where the DNS servers of the nodes are, for the Service `kube-dns`.
    pub dns: Option<Ipv4Addr>,
    /// Whether pods and Services can have IPv6 addresses beside their IPv4 ones.
    pub dual_stack: bool,
    /// Where random choices begin.
    pub seed: u64,
    /// What is broken on purpose.
    pub faults: Faults,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            node_grace: Duration::from_secs(40),
            gone_node_grace: Duration::from_secs(40),
            authority: String::new(),
            server: None,
            dns: None,
            dual_stack: false,
            seed: 1,
            faults: Faults::default(),
        }
    }
}

/// What controllers have in common.
pub(crate) struct Shared {
    world: Arc<World>,
    fed: Once,
}

impl Shared {
    /// Whoever runs first has the cache filled.
    fn feed(&self, api: &Api, stop: &watch::Receiver<bool>) {
        self.fed.call_once(|| world::start(&self.world, api, stop));
    }
}

/// Every controller. They share a cache, and so belong to one API.
pub fn all(options: &Options) -> Vec<Box<dyn Controller>> {
    let shared = Arc::new(Shared {
        world: World::new(),
        fed: Once::new(),
    });
    let faults = || options.faults.clone();
    let authority = options.authority.clone();
    vec![
        boxed(&shared, priority_class::PriorityClasses),
        boxed(&shared, service_account::ServiceAccounts { authority }),
        boxed(
            &shared,
            kubernetes_service::KubernetesService { server: options.server },
        ),
        boxed(&shared, dns_service::DnsService { address: options.dns }),
        boxed(&shared, namespace::Namespaces { faults: faults() }),
        boxed(&shared, garbage::GarbageCollector { faults: faults() }),
        boxed(&shared, deployment::Deployments { faults: faults() }),
        boxed(&shared, replica_set::ReplicaSets { faults: faults() }),
        boxed(&shared, endpoint_slice::EndpointSlices { faults: faults() }),
        boxed(&shared, disruption::DisruptionBudgets { faults: faults() }),
        boxed(&shared, resource_quota::ResourceQuotas { faults: faults() }),
        boxed(
            &shared,
            node_lifecycle::NodeLifecycle::new(options.node_grace, faults()),
        ),
        boxed(&shared, taint_eviction::TaintEviction::new(faults())),
        boxed(&shared, pod_garbage::PodGarbage::new(options.gone_node_grace, faults())),
    ]
}

/// What the API is to ask before a write, in this order.
pub fn admission(options: &Options) -> Vec<Arc<dyn Admission>> {
    admission::all(options)
}

fn boxed<R: Reconcile>(shared: &Arc<Shared>, reconcile: R) -> Box<dyn Controller> {
    Box::new(Loop {
        shared: shared.clone(),
        reconcile,
    })
}
