//! From a configuration to a cluster that answers.

use std::collections::BTreeSet;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use agent::simulated::Behaviour;
use agent::{Families, Images, Node, NodeConfig, Surroundings, Underlay};
use apiserver::{AllowAuthenticated, Api, Change, Informer, ListQuery, Server, Settings, User};
use objects::{Status, meta};
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cgroup;
use crate::extension::{Inside, Requests, is_ready, served};
use crate::identity::{self, Identity, write_private};
use crate::naming::Naming;
use crate::nodes::Nodes;
use crate::scheduling::Scheduling;
use crate::{Config, check, kubeconfig, memory};

/// All files of nodes lie below it.
const DIRECTORY: &str = "/run/plimsoll/cluster";

/// How long all nodes may take to be Ready.
const PATIENCE: Duration = Duration::from_secs(50);

/// What a cluster is served with.
#[derive(Debug)]
pub struct Serving {
    /// Its name, for the kubeconfig.
    pub name: String,
    /// What it is made of.
    pub config: Config,
    /// Where the API is.
    pub listener: TcpListener,
    /// Where to write the kubeconfig.
    pub kubeconfig: Option<PathBuf>,
    /// Where objects are kept beyond the end of the process, as it is seen from in here.
    pub keep: Option<PathBuf>,
    /// This program.
    pub own: PathBuf,
    /// Why there are no control groups, if there are none.
    pub no_cgroups: Option<String>,
}

/// Said when the API and all nodes are ready.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ready {
    /// URL of the API.
    pub server: String,
    /// How many nodes are ready.
    pub nodes: usize,
    /// Seconds since the process began to serve.
    pub took: f64,
    /// Bytes of memory that the process has.
    pub memory: u64,
}

/// Why a cluster cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for cannot be.
    #[error("{0}")]
    Config(String),
    /// Something of the operating system.
    #[error("failed to {act}")]
    Act {
        /// What was done.
        act: &'static str,
        /// Cause.
        source: io::Error,
    },
    /// Keys and tokens.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// The API cannot be served.
    #[error(transparent)]
    Server(#[from] apiserver::ServerError),
    /// Control groups of the nodes.
    #[error(transparent)]
    Cgroup(#[from] cgroup::CgroupError),
    /// The wire between nodes.
    #[error("failed to make the network of the nodes")]
    Network(#[source] agent::NetworkError),
    /// A node.
    #[error(transparent)]
    Node(#[from] agent::NodeError),
    /// The names of the cluster.
    #[error("failed to learn the names of the cluster")]
    Names(#[from] dns::FollowError),
    /// The API refuses the cluster itself.
    #[error("the API refuses: {0}")]
    Refused(Status),
    /// Nodes are not Ready.
    #[error("not ready within {} s: {}", PATIENCE.as_secs(), .0.join(", "))]
    NotReady(Vec<String>),
    /// The server ended.
    #[error("the API ended")]
    Ended,
}

fn act(act: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Act { act, source }
}

/// Serves a cluster, and says once when it is ready. Comes back only if it cannot go on. This process must be in a guard.
///
/// # Errors
/// [`Error`].
pub fn serve(serving: Serving, tell: &mut dyn FnMut(&Ready)) -> Result<(), Error> {
    let begun = Instant::now();
    check(&serving.config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(act("start the runtime of tasks"))?;
    runtime.block_on(run(serving, begun, tell))
}

async fn run(serving: Serving, begun: Instant, tell: &mut dyn FnMut(&Ready)) -> Result<(), Error> {
    let config = &serving.config;
    let (simulated, real): (Vec<NodeConfig>, Vec<NodeConfig>) = config
        .nodes
        .iter()
        .flat_map(NodeConfig::expand)
        .partition(|node| node.simulated);
    if let (Some(why), false) = (&serving.no_cgroups, real.is_empty()) {
        return Err(Error::Config(format!(
            "nodes that run pods need control groups, and there are none: {why}; `--nodes 0 --simulated 3` needs none"
        )));
    }
    let identity = match &serving.keep {
        Some(directory) => Identity::kept_in(directory)?,
        None => Identity::make()?,
    };
    let address = serving
        .listener
        .local_addr()
        .map_err(act("find the address of the API"))?;
    let url = format!("https://{address}");
    let requests = Requests::default();
    let controlling = controllers::Options {
        authority: identity.authority.certificate.clone(),
        // From where pods are, it is on the wire.
        server: Some(match real.is_empty() {
            true => address,
            false => agent::API.into(),
        }),
        dns: (!real.is_empty()).then_some(agent::NAME_SERVER),
        dual_stack: config.network.families.is_dual(),
        seed: config.seed,
        faults: chosen(&config.faults),
        ..controllers::Options::default()
    };
    let api = Api::new(Settings {
        admission: controllers::admission(&controlling),
        keep: serving.keep.as_ref().map(|directory| directory.join("objects.db")),
        ..Settings::default()
    });
    let api = api.map_err(Error::Refused)?;
    let server = Server::new(apiserver::Options {
        listener: serving.listener,
        api: api.clone(),
        authority: identity.authority().map_err(identity::Error::from)?,
        tokens: identity.tokens(),
        authorizer: Arc::new(AllowAuthenticated::default()),
        extension: Some(Arc::new(requests.clone())),
    })?;
    let door = server.door();
    let mut serves = tokio::spawn(server.serve());
    let around = match real.is_empty() {
        true => None,
        false => Some(surroundings(config, &serving.own).await?),
    };
    if let Some(around) = &around {
        let listener = around.underlay.listen().await.map_err(Error::Network)?;
        tokio::spawn(door.serve(listener));
    }

    let (stop, stopped) = watch::channel(false);
    for controller in controllers::all(&controlling) {
        let api = api.acting_as(User::system(&format!("controller:{}", controller.name())));
        tokio::spawn(controller.run(api, stopped.clone()));
    }
    let scheduling = Scheduling::start(
        api.acting_as(User::system("kube-scheduler")),
        config.seed,
        &config.faults,
    );
    let count = real.len() + simulated.len();
    let nodes = nodes(real, simulated, config.network.families, &api, around).await?;
    let naming = match nodes.real().next().is_some() {
        true => Some(Naming::start(&api, nodes.real(), &config.faults).await?),
        false => None,
    };
    ready(&api, count).await?;

    let inside = Arc::new(Inside {
        name: serving.name.clone(),
        config: config.clone(),
        begun,
        api: api.clone(),
        nodes,
        naming,
        scheduling,
        first: OnceLock::from(api.snapshot()),
        snapshots: Mutex::default(),
    });
    requests.open(inside);
    if let Some(path) = &serving.kubeconfig {
        let text = kubeconfig::text(&serving.name, &url, &identity);
        write_private(path, text.as_bytes()).map_err(act("write the kubeconfig"))?;
    }
    tell(&Ready {
        server: url,
        nodes: count,
        took: begun.elapsed().as_secs_f64(),
        memory: memory::resident(),
    });
    let _ended = (&mut serves).await;
    drop(stop);
    Err(Error::Ended)
}

/// The faults of controllers among all that were chosen.
fn chosen(names: &BTreeSet<String>) -> controllers::Faults {
    let mut faults = controllers::Faults::default();
    for fault in names.iter().filter_map(|name| controllers::fault::named(name)) {
        faults.choose(fault);
    }
    faults
}

/// Makes every node, all of them at the same time.
async fn nodes(
    real: Vec<NodeConfig>,
    simulated: Vec<NodeConfig>,
    families: Families,
    api: &Api,
    around: Option<Surroundings>,
) -> Result<Nodes, Error> {
    let mut started = Vec::new();
    if let Some(around) = around {
        let mut starting = JoinSet::new();
        for node in real {
            let (api, around) = (api.clone(), around.clone());
            starting.spawn(async move { Node::start(node, api, &around).await });
        }
        for node in starting.join_all().await {
            started.push(node?);
        }
    }
    let names: BTreeSet<String> = simulated.iter().map(|node| node.name.clone()).collect();
    let behaviour = Behaviour {
        families,
        ..Behaviour::default()
    };
    let alive = match simulated.is_empty() {
        true => None,
        false => Some(
            agent::simulated::start_with(simulated, api.clone(), behaviour)
                .await
                .map_err(Error::Refused)?,
        ),
    };
    Ok(Nodes::new(started, names, alive))
}

async fn surroundings(config: &Config, own: &Path) -> Result<Surroundings, Error> {
    let directory = PathBuf::from(DIRECTORY);
    fs_err::create_dir_all(&directory).map_err(act("make the directory of the nodes"))?;
    cgroup::make()?;
    let bundled = || vec![own.display().to_string(), "oci".into()];
    Ok(Surroundings {
        cgroup: PathBuf::from(cgroup::GROUP),
        runtime: config.runtime.clone().unwrap_or_else(bundled),
        underlay: Arc::new(Underlay::create(config.network).await.map_err(Error::Network)?),
        images: Arc::new(Images::new(directory.join("images"))),
        faults: config.faults.clone(),
        directory,
    })
}

/// Returns when so many nodes are Ready.
async fn ready(api: &Api, count: usize) -> Result<(), Error> {
    let nodes = served("", "nodes").map_err(Error::Refused)?;
    let mut informer = Informer::start(api, nodes, ListQuery::default());
    let cache = informer.cache();
    let late = tokio::time::timeout(PATIENCE, async {
        while cache.objects().values().filter(|node| is_ready(node)).count() < count {
            let _seen: Change = informer.recv().await;
        }
    });
    if late.await.is_ok() {
        return Ok(());
    }
    let unready = cache
        .objects()
        .values()
        .filter(|node| !is_ready(node))
        .map(|node| meta::name(node).to_owned())
        .collect();
    Err(Error::NotReady(unready))
}
