//! What everything on a node needs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use apiserver::Api;
use objects::{Kind, kind, meta};
use serde_json::Value;
use tokio::sync::watch;

use crate::cgroup::Tree;
use crate::config::NodeConfig;
use crate::engine::{Container, Engine};
use crate::env::Sources;
use crate::fault::Faults;
use crate::field::Facts;
use crate::image_store::Images;
use crate::network::NodeNetwork;
use crate::volume::payload::Asked;

/// A container as others than its worker see it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// It runs.
    pub(crate) running: Option<Container>,
    /// The log of this run and of the one before.
    pub(crate) log: Option<PathBuf>,
    pub(crate) previous: Option<PathBuf>,
    /// Why it does not run.
    pub(crate) waiting: String,
    /// Standard input is closed after the first who was attached.
    pub(crate) stdin_once: bool,
}

/// A node, to everything that runs on it.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) config: NodeConfig,
    /// Acts as the node, and only while its link holds.
    pub(crate) api: Api,
    pub(crate) engine: Engine,
    pub(crate) network: NodeNetwork,
    pub(crate) images: Arc<Images>,
    /// Its groups.
    pub(crate) tree: Tree,
    /// Its files.
    pub(crate) directory: PathBuf,
    pub(crate) faults: Faults,
    /// What the runtime calls itself.
    pub(crate) runtime_version: String,
    /// Capabilities that can be handed on.
    pub(crate) bounding: BTreeSet<String>,
    /// The lowest `oom_score_adj` that can be set; `None` if any can.
    pub(crate) lowest_oom_score: Option<i64>,
    /// Whether the agent goes on. A frozen one does not.
    pub(crate) gate: watch::Sender<bool>,
    /// Containers by the uid of their pod and their name.
    pub(crate) seen: RwLock<HashMap<String, BTreeMap<String, Seen>>>,
    /// Held for reading by whoever is making something that an agent that comes later must find whole.
    pub(crate) under_way: Arc<tokio::sync::RwLock<()>>,
    /// Tokens by the uid of their pod.
    pub(crate) tokens: Mutex<HashMap<String, BTreeMap<Asked, Kept>>>,
}

/// A token, and when another is to be had.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    token: String,
    until: Instant,
}

/// A kind that is served; the name is one of a fixed few.
pub(crate) fn served(plural: &str) -> Option<&'static Kind> {
    kind::KINDS
        .iter()
        .find(|one| one.plural == plural && one.version == "v1")
}

impl Context {
    /// Waits while the agent is frozen.
    pub(crate) async fn go_on(&self) {
        let mut gate = self.gate.subscribe();
        // The sender lives as long as this.
        let _closed = gate.wait_for(|open| *open).await.is_err();
    }

    /// Returns when the agent is frozen.
    pub(crate) async fn frozen(&self) {
        let mut gate = self.gate.subscribe();
        let _closed = gate.wait_for(|open| !*open).await.is_err();
    }

    /// Where the files of a pod are.
    pub(crate) fn pod_directory(&self, uid: &str) -> PathBuf {
        self.directory.join("pods").join(uid)
    }

    /// Where the logs of a pod's containers are.
    pub(crate) fn log_directory(&self, pod: &Value) -> PathBuf {
        let name = format!("{}_{}_{}", meta::namespace(pod), meta::name(pod), meta::uid(pod));
        self.directory.join("logs").join(name)
    }

    /// What the node calls `/` where pods ask for files of it.
    pub(crate) fn view(&self) -> PathBuf {
        self.directory.join("root")
    }

    /// All addresses of the node, or of one of its pods, of which this is the first: as the downward API lists them.
    pub(crate) fn addresses(&self, first: Ipv4Addr) -> String {
        let all: Vec<String> = self.network.addresses(first).iter().map(ToString::to_string).collect();
        all.join(",")
    }

    /// What pods may be told; addresses as [`Context::addresses`] lists them.
    pub(crate) fn facts<'a>(&'a self, host: &'a str, pod: &'a str) -> Facts<'a> {
        Facts {
            node: &self.config.name,
            host_ips: host,
            pod_ips: pod,
            cpu: self.config.amount("cpu").unwrap_or(0),
            memory: self.config.amount("memory").unwrap_or(0),
        }
    }

    /// Tells that something happened to a pod.
    pub(crate) fn tell(&self, pod: &Value, kind: &str, reason: &str, message: &str) {
        self.api.record(pod, kind, reason, message, "kubelet");
    }

    /// Changes what others see of a container.
    pub(crate) fn show(&self, uid: &str, container: &str, change: impl FnOnce(&mut Seen)) {
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        change(
            seen.entry(uid.to_owned())
                .or_default()
                .entry(container.to_owned())
                .or_default(),
        );
    }

    /// A token that is still good.
    pub(crate) fn token(&self, uid: &str, asked: &Asked) -> Option<String> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = tokens.get(uid)?.get(asked)?;
        (kept.until > Instant::now()).then(|| kept.token.clone())
    }

    /// Keeps a token for four fifths of its life.
    pub(crate) fn keep_token(&self, uid: &str, asked: &Asked, token: &str) {
        let life = Duration::from_secs(u64::try_from(asked.seconds).unwrap_or(0));
        let kept = Kept {
            token: token.to_owned(),
            until: Instant::now() + life * 4 / 5,
        };
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.entry(uid.to_owned()).or_default().insert(asked.clone(), kept);
    }

    /// Forgets a pod.
    pub(crate) fn hide(&self, uid: &str) {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
        self.seen.write().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    /// The `oom_score_adj` that can be set instead of the wanted one.
    pub(crate) fn oom_score(&self, wanted: i64) -> Option<i64> {
        match self.lowest_oom_score {
            Some(lowest) if wanted < lowest => None,
            _ => Some(wanted),
        }
    }
}

impl Sources for Context {
    fn config_map(&self, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.api.get(served("configmaps")?, namespace, name).ok()
    }

    fn secret(&self, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.api.get(served("secrets")?, namespace, name).ok()
    }
}
