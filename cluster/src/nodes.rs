//! The nodes, and what is done to them on purpose.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};

use agent::{Node, Simulated};
use objects::{Reason, Status};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::extension::served;

/// What can be done to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Stop,
    Start,
    Kill,
    Freeze,
    Thaw,
    Partition,
    Heal,
    Restart,
}

impl FromStr for Act {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Ok(match word {
            "stop" => Self::Stop,
            "start" => Self::Start,
            "kill" => Self::Kill,
            "freeze" => Self::Freeze,
            "thaw" => Self::Thaw,
            "partition" => Self::Partition,
            "heal" => Self::Heal,
            "restart" => Self::Restart,
            _ => return Err(()),
        })
    }
}

/// What is wrong with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ill {
    Off,
    Frozen,
    CutOff,
}

/// Every node of the cluster.
pub(crate) struct Nodes {
    real: BTreeMap<String, Arc<Node>>,
    simulated: BTreeSet<String>,
    /// They live as long as this.
    _simulated: Option<Simulated>,
    ill: RwLock<BTreeMap<String, BTreeSet<Ill>>>,
    /// One thing is done at a time.
    turn: Mutex<()>,
}

impl Nodes {
    pub(crate) fn new(real: Vec<Arc<Node>>, simulated: BTreeSet<String>, alive: Option<Simulated>) -> Self {
        Self {
            real: real.into_iter().map(|node| (node.name().to_owned(), node)).collect(),
            simulated,
            _simulated: alive,
            ill: RwLock::default(),
            turn: Mutex::default(),
        }
    }

    /// Those that run pods.
    pub(crate) fn real(&self) -> impl Iterator<Item = &Node> {
        self.real.values().map(Arc::as_ref)
    }

    /// Whether the node only says that it runs pods.
    pub(crate) fn simulates(&self, name: &str) -> bool {
        self.simulated.contains(name)
    }

    /// Paths to the network namespaces of the nodes, and of what is outside of them.
    pub(crate) fn networks(&self) -> Value {
        let nodes: BTreeMap<&str, PathBuf> = self
            .real
            .iter()
            .map(|(name, node)| (name.as_str(), node.network()))
            .collect();
        json!({"nodes": nodes, "outside": self.real.values().next().map(|node| node.outside())})
    }

    /// What was done to the node on purpose and lasts.
    pub(crate) fn fault(&self, name: &str) -> Option<String> {
        let ill = self.ill.read().unwrap_or_else(PoisonError::into_inner);
        let all = ill.get(name).filter(|all| !all.is_empty())?;
        let words = all.iter().map(|one| match one {
            Ill::Off => "switched off",
            Ill::Frozen => "frozen",
            Ill::CutOff => "cut off",
        });
        Some(words.collect::<Vec<_>>().join(", "))
    }

    /// Does it, and answers a sentence about it.
    pub(crate) async fn act(&self, name: &str, act: Act) -> Result<String, Status> {
        let Some(node) = self.real.get(name) else {
            return Err(if self.simulates(name) {
                let why = format!("node `{name}` is simulated: there is nothing of it that could be broken");
                Status::new(Reason::BadRequest, why)
            } else {
                Status::not_found(served("", "nodes")?, name)
            });
        };
        let _turn = self.turn.lock().await;
        let (ill, well, sentence): (Option<Ill>, &[Ill], _) = match act {
            Act::Stop => {
                node.stop().await;
                (Some(Ill::Off), &[Ill::Frozen], "is stopped")
            }
            Act::Kill => {
                node.kill().await;
                (Some(Ill::Off), &[Ill::Frozen], "is killed")
            }
            Act::Start => {
                node.boot_again().await;
                (None, &[Ill::Off, Ill::Frozen], "is started")
            }
            Act::Freeze => {
                node.freeze().await.map_err(failed)?;
                (Some(Ill::Frozen), &[], "is frozen")
            }
            Act::Thaw => {
                node.thaw().await.map_err(failed)?;
                (None, &[Ill::Frozen], "goes on")
            }
            Act::Partition => {
                node.partition().await.map_err(failed)?;
                (Some(Ill::CutOff), &[], "is cut off")
            }
            Act::Heal => {
                node.heal().await.map_err(failed)?;
                (None, &[Ill::CutOff], "is no longer cut off")
            }
            Act::Restart => {
                node.restart().await;
                (None, &[], "has a new agent")
            }
        };
        self.note(name, ill, well);
        Ok(format!("node `{name}` {sentence}"))
    }

    /// Brings back every node that something was done to.
    pub(crate) async fn mend(&self) -> Result<(), Status> {
        let _turn = self.turn.lock().await;
        for (name, node) in &self.real {
            let ill = {
                let ill = self.ill.read().unwrap_or_else(PoisonError::into_inner);
                ill.get(name).cloned().unwrap_or_default()
            };
            if ill.contains(&Ill::Frozen) {
                node.thaw().await.map_err(failed)?;
            }
            if ill.contains(&Ill::CutOff) {
                node.heal().await.map_err(failed)?;
            }
            if ill.contains(&Ill::Off) {
                node.boot_again().await;
            }
            self.note(name, None, &[Ill::Off, Ill::Frozen, Ill::CutOff]);
        }
        Ok(())
    }

    fn note(&self, name: &str, ill: Option<Ill>, well: &[Ill]) {
        let mut all = self.ill.write().unwrap_or_else(PoisonError::into_inner);
        let of_node = all.entry(name.to_owned()).or_default();
        of_node.retain(|one| !well.contains(one));
        of_node.extend(ill);
    }
}

fn failed(error: impl std::error::Error) -> Status {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    Status::new(Reason::InternalError, text)
}
