//! What each plugin says of each node for a pod.

use serde::Serialize;

use crate::cycle::{Scope, Subject, score_by, verdict};
use crate::id::{NodeId, PodId};
use crate::plugin::{PluginId, Rules};
use crate::snapshot::Snapshot;

/// How a pod stands with each node, as things are now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// Where it is or is decided to go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Where it waits for victims to go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nominated_node: Option<String>,
    /// Whether scheduling gates hold it back.
    pub gated: bool,
    /// What the last failed attempt ended with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Each node, by name.
    pub nodes: Vec<NodeView>,
}

/// How a pod stands with a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeView {
    /// The node.
    pub node: String,
    /// The first plugin that refuses it; absent if the pod fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Rejection>,
    /// Scores of a node that fits, by plugin; plugins without an opinion are left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<PluginScore>,
    /// The sum of score times weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<i64>,
}

/// Who refuses a node, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejection {
    /// The plugin's name.
    pub plugin: &'static str,
    /// In kube-scheduler's words.
    pub reasons: Vec<String>,
}

/// What a plugin thinks of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PluginScore {
    /// The plugin's name.
    pub plugin: &'static str,
    /// From 0 to 100.
    pub score: i64,
    /// What it is multiplied with.
    pub weight: i64,
}

/// Looks at all nodes with the eyes of a pod. A pod that is on a node is looked at as if it were yet to be placed.
pub(crate) fn explain(snapshot: &mut Snapshot, rules: &Rules, id: PodId) -> Option<Explanation> {
    let pod = snapshot.pod(id)?.clone();
    snapshot.prepare_default_spread(pod.class);
    let shape = snapshot.shape_of(id)?.clone();
    if let Some(node) = pod.node {
        snapshot.vacate(id, node);
    }
    let (subject, scope) = Subject::new(snapshot, rules, pod.class, &shape, Some(id), None);
    let mut rows: Vec<(NodeId, Option<Rejection>)> = Vec::new();
    for node in (0..snapshot.nodes.len()).map(NodeId::new) {
        if !snapshot.nodes[node.at()].here {
            continue;
        }
        let rejected = match &scope {
            Scope::Refused(text, plugin) => Some(Rejection {
                plugin: plugin.plugin().name(),
                reasons: vec![text.clone()],
            }),
            Scope::Only(_, _) | Scope::All => verdict(snapshot, &subject, node).map(|reason| Rejection {
                plugin: reason.plugin.plugin().name(),
                reasons: reason.texts(&shape, &snapshot.words),
            }),
        };
        rows.push((node, rejected));
    }
    let fit: Vec<NodeId> = rows
        .iter()
        .filter(|(_, rejected)| rejected.is_none())
        .map(|(node, _)| *node)
        .collect();
    let look = subject.look(snapshot);
    let mut by_plugin: Vec<(PluginId, Vec<i64>)> = Vec::new();
    for id in PluginId::ALL {
        let mut scores = vec![0; fit.len()];
        if score_by(id, &look, &fit, &mut scores) {
            by_plugin.push((id, scores));
        }
    }
    let mut place = 0;
    let mut nodes = Vec::new();
    for (node, rejected) in rows {
        let mut scores = Vec::new();
        if rejected.is_none() {
            scores.extend(by_plugin.iter().map(|(id, scores)| PluginScore {
                plugin: id.plugin().name(),
                score: scores[place],
                weight: id.plugin().weight(),
            }));
            place += 1;
        }
        nodes.push(NodeView {
            node: snapshot.node_name(node).to_string(),
            total: rejected
                .is_none()
                .then(|| scores.iter().map(|score| score.score * score.weight).sum()),
            rejected,
            scores,
        });
    }
    nodes.sort_by(|one, other| one.node.cmp(&other.node));
    if let Some(node) = pod.node {
        snapshot.occupy(id, node);
    }
    Some(Explanation {
        namespace: pod.key.namespace.to_string(),
        name: pod.key.name.to_string(),
        node: pod.node_name.map(|name| snapshot.words.text(name).to_owned()),
        nominated_node: pod.nominated.map(|node| snapshot.node_name(node).to_string()),
        gated: pod.gated,
        message: pod.message.map(|message| message.to_string()),
        nodes,
    })
}
