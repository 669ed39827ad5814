//! The nodes, and what is done to them on purpose.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use agent::{Node, Simulated};
use objects::{Reason, Status};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::extension::served;
use crate::naming::Naming;

/// What can be done to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    Stop,
    Start,
    Kill,
    Freeze,
    Thaw,
    Partition,
    Heal,
    Restart,
    Unplug,
    Separate(Separate),
    Lose(Lose),
    Throttle(Throttle),
    Delay(Delay),
    Flush,
    Outdate,
}

/// From which node.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Separate {
    from: String,
}

/// How many of a hundred packets, and of those with which node; with all unless told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lose {
    percent: u8,
    with: Option<String>,
}

/// How many bytes a second.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Throttle {
    bytes: u64,
}

/// By how much.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delay {
    milliseconds: u64,
}

impl Act {
    /// What a word and a body of JSON ask for.
    pub(crate) fn read(word: &str, body: &[u8]) -> Result<Self, Status> {
        Ok(match word {
            "stop" => Self::Stop,
            "start" => Self::Start,
            "kill" => Self::Kill,
            "freeze" => Self::Freeze,
            "thaw" => Self::Thaw,
            "partition" => Self::Partition,
            "heal" => Self::Heal,
            "restart" => Self::Restart,
            "unplug" => Self::Unplug,
            "separate" => Self::Separate(how(body)?),
            "lose" => Self::Lose(how(body)?),
            "throttle" => Self::Throttle(how(body)?),
            "delay" => Self::Delay(how(body)?),
            "flush" => Self::Flush,
            "outdate" => Self::Outdate,
            _ => {
                let why = format!("nothing called `{word}` can be done to a node");
                return Err(Status::new(Reason::NotFound, why));
            }
        })
    }
}

fn how<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, Status> {
    serde_json::from_slice(body).map_err(|error| Status::new(Reason::BadRequest, error.to_string()))
}

/// What is wrong with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ill {
    Off,
    Frozen,
    CutOff,
    Impaired,
    Outdated,
}

impl Ill {
    const ALL: [Self; 5] = [Self::Off, Self::Frozen, Self::CutOff, Self::Impaired, Self::Outdated];
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
            Ill::Impaired => "with an impaired network",
            Ill::Outdated => "with outdated names",
        });
        Some(words.collect::<Vec<_>>().join(", "))
    }

    fn find(&self, name: &str) -> Result<&Arc<Node>, Status> {
        if let Some(node) = self.real.get(name) {
            return Ok(node);
        }
        Err(if self.simulates(name) {
            let why = format!("node `{name}` is simulated: there is nothing of it that could be broken");
            Status::new(Reason::BadRequest, why)
        } else {
            Status::not_found(served("", "nodes")?, name)
        })
    }

    /// Lets nothing get to a pod of a node or from it, or takes that back, and answers a sentence about it.
    pub(crate) async fn mute(&self, node: &str, pod: Ipv4Addr, muted: bool) -> Result<String, Status> {
        let own = self.find(node)?;
        let _turn = self.turn.lock().await;
        if muted {
            own.mute(pod).await.map_err(failed)?;
            self.note(node, Some(Ill::Impaired), &[]);
            Ok(format!("nothing gets to {pod} on node `{node}`, or from it"))
        } else {
            own.unmute(pod).await.map_err(failed)?;
            Ok(format!("{pod} on node `{node}` is reached again"))
        }
    }

    /// Does it, and answers a sentence about it. `naming` answers for names on the nodes.
    pub(crate) async fn act(&self, name: &str, act: Act, naming: Option<&Naming>) -> Result<String, Status> {
        let node = self.find(name)?;
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
                naming.into_iter().for_each(|naming| naming.release(name));
                let well = &[Ill::CutOff, Ill::Impaired, Ill::Outdated];
                (None, well, "is on the wire as it was")
            }
            Act::Unplug => {
                node.unplug().await.map_err(failed)?;
                (Some(Ill::CutOff), &[], "is off the wire")
            }
            Act::Separate(Separate { from }) => {
                let other = self.find(&from)?;
                // Each drops what it gets from the other, and what it would send there.
                node.separate(other).await.map_err(failed)?;
                other.separate(node).await.map_err(failed)?;
                self.note(&from, Some(Ill::Impaired), &[]);
                (Some(Ill::Impaired), &[], "is separated from another")
            }
            Act::Lose(Lose { percent, with }) => {
                let with = with.map(|other| self.find(&other)).transpose()?;
                if !(1..=100).contains(&percent) {
                    let why = format!("{percent} of a hundred packets cannot be lost");
                    return Err(Status::new(Reason::BadRequest, why));
                }
                node.lose(percent, with.map(Arc::as_ref)).await.map_err(failed)?;
                (Some(Ill::Impaired), &[], "loses packets")
            }
            Act::Throttle(Throttle { bytes }) => {
                if bytes == 0 {
                    return Err(Status::new(Reason::BadRequest, "a rate is more than nothing"));
                }
                node.throttle(bytes).await.map_err(failed)?;
                (Some(Ill::Impaired), &[], "is slow")
            }
            Act::Delay(Delay { milliseconds }) => {
                let by = Duration::from_millis(milliseconds);
                node.delay(by).await.map_err(failed)?;
                (Some(Ill::Impaired), &[], "gets and sends everything later")
            }
            Act::Flush => {
                node.flush().await.map_err(failed)?;
                (None, &[], "has no packet filter rules")
            }
            Act::Outdate => {
                naming.into_iter().for_each(|naming| naming.hold(name));
                (Some(Ill::Outdated), &[], "answers the names that it knows now")
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
    pub(crate) async fn mend(&self, naming: Option<&Naming>) -> Result<(), Status> {
        let _turn = self.turn.lock().await;
        for (name, node) in &self.real {
            let ill = {
                let ill = self.ill.read().unwrap_or_else(PoisonError::into_inner);
                ill.get(name).cloned().unwrap_or_default()
            };
            if ill.contains(&Ill::Frozen) {
                node.thaw().await.map_err(failed)?;
            }
            if ill.contains(&Ill::CutOff) || ill.contains(&Ill::Impaired) {
                node.heal().await.map_err(failed)?;
            }
            if ill.contains(&Ill::Off) {
                node.boot_again().await;
            }
            naming.into_iter().for_each(|naming| naming.release(name));
            self.note(name, None, &Ill::ALL);
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
