//! One attempt to place a pod: filter the nodes, score those that are fit, take the best.

use std::sync::Arc;

use crate::id::{ClassId, NodeId, PodId, TallyId};
use crate::memory::Memory;
use crate::message::{NO_NODES, refused_beforehand};
use crate::plugin::{BEST, Look, Plugin, PluginId, PluginSet, PreFilter, Reason, Rules};
use crate::random::Random;
use crate::refused::{Refused, Searched};
use crate::shape::Shape;
use crate::snapshot::Snapshot;
use crate::words::Word;

/// Below so many nodes, all are looked at.
const FEW_NODES: usize = 100;
/// At least this part of the nodes is found fit before the best is taken, in percent.
const LEAST_PERCENT: usize = 5;

/// The pod of an attempt, and who has a say about it.
pub(crate) struct Subject<'a> {
    pub(crate) pod: Option<PodId>,
    pub(crate) class: ClassId,
    pub(crate) shape: &'a Arc<Shape>,
    pub(crate) named: Option<Word>,
    pub(crate) rules: &'a Rules,
    repelled: Vec<TallyId>,
    filters: Vec<&'static dyn Plugin>,
}

/// What filters said before they saw nodes.
pub(crate) enum Scope {
    All,
    /// Only these nodes, by the word of this plugin.
    Only(Vec<NodeId>, PluginId),
    /// None, by the word of this plugin.
    Refused(String, PluginId),
}

/// Why a pod fits nowhere.
#[derive(Debug, Default)]
pub(crate) struct Refusal {
    pub(crate) nodes: Refused,
    /// Plugins that must be content before it is tried again.
    pub(crate) by: PluginSet,
    /// What was said before nodes were looked at.
    beforehand: Option<String>,
    /// Why all other nodes were out of the question.
    elsewhere: Option<String>,
}

impl<'a> Subject<'a> {
    /// Asks all plugins what they say before they see nodes.
    pub(crate) fn new(
        snapshot: &Snapshot,
        rules: &'a Rules,
        class: ClassId,
        shape: &'a Arc<Shape>,
        pod: Option<PodId>,
        named: Option<Word>,
    ) -> (Self, Scope) {
        let repelled = if rules.ignore_symmetry {
            Vec::new()
        } else {
            snapshot.repelling(&snapshot.classes[class.at()])
        };
        let mut subject = Self {
            pod,
            class,
            shape,
            named,
            rules,
            repelled,
            filters: Vec::new(),
        };
        let mut scope = Scope::All;
        for id in PluginId::ALL {
            let plugin = id.plugin();
            if !plugin.filters() || rules.off.has(id) || rules.blind.has(id) {
                continue;
            }
            match plugin.pre_filter(&subject.look(snapshot)) {
                PreFilter::Skip => continue,
                PreFilter::Ask => {}
                PreFilter::Only(nodes) => scope = Scope::Only(nodes, id),
                PreFilter::Refuse(text) => return (subject, Scope::Refused(text, id)),
            }
            subject.filters.push(plugin);
        }
        (subject, scope)
    }

    pub(crate) fn look<'b>(&'b self, snapshot: &'b Snapshot) -> Look<'b> {
        Look {
            snapshot,
            class: &snapshot.classes[self.class.at()],
            shape: self.shape,
            named: self.named,
            repelled: &self.repelled,
            rules: self.rules,
        }
    }

    /// Whether what is found out about a node holds as long as the node does not change.
    pub(crate) fn looks_at_nodes_alone(&self) -> bool {
        self.named.is_none() && self.filters.iter().all(|plugin| plugin.looks_at_nodes_alone())
    }

    /// The node this pod waits for: it does not stand in its own way there.
    pub(crate) fn nominated(&self, snapshot: &Snapshot) -> Option<NodeId> {
        self.pod.and_then(|pod| snapshot.pod(pod)?.nominated)
    }

    fn refused(&self, snapshot: &Snapshot, node: NodeId) -> Option<Reason> {
        let look = self.look(snapshot);
        self.filters.iter().find_map(|plugin| plugin.filter(&look, node))
    }
}

/// Why a pod may not go to a node, if it may not: neither beside the pods that are to come there and matter at least
/// as much, nor, as these may never come, without them.
pub(crate) fn verdict(snapshot: &mut Snapshot, subject: &Subject<'_>, node: NodeId) -> Option<Reason> {
    if snapshot.rooms[node.at()].nominated > 0 {
        let nominated = snapshot.nodes[node.at()].nominated.iter().copied();
        let matters = |pod: &PodId| {
            let shape = snapshot.shape_of(*pod);
            Some(*pod) != subject.pod && shape.is_some_and(|shape| shape.priority >= subject.shape.priority)
        };
        let coming: Vec<PodId> = nominated.filter(matters).collect();
        if !coming.is_empty() {
            for pod in &coming {
                snapshot.occupy(*pod, node);
            }
            let refused = subject.refused(snapshot, node);
            for pod in &coming {
                snapshot.vacate(*pod, node);
            }
            if refused.is_some() {
                return refused;
            }
        }
    }
    subject.refused(snapshot, node)
}

impl Refusal {
    /// `0/3 nodes are available: …`
    pub(crate) fn message(&self, snapshot: &Snapshot, shape: &Shape) -> String {
        let all = snapshot.size();
        if all == 0 {
            return NO_NODES.to_owned();
        }
        if let Some(text) = &self.beforehand {
            return refused_beforehand(all, text);
        }
        let elsewhere = self.elsewhere.as_deref();
        let tried = self.nodes.tried().and(
            elsewhere.map_or(0, |_| all - self.nodes.len()),
            elsewhere.unwrap_or_default(),
        );
        tried.message(all, shape, &snapshot.words)
    }
}

/// How many fit nodes are enough.
fn enough(nodes: usize, percentage: usize) -> usize {
    if nodes < FEW_NODES {
        return nodes;
    }
    let percent = match percentage {
        0 => 50usize.saturating_sub(nodes / 125).max(LEAST_PERCENT),
        given => given.min(100),
    };
    (nodes * percent / 100).max(FEW_NODES)
}

/// What is kept between attempts.
#[derive(Debug, Default)]
pub(crate) struct Cycle {
    /// The node where the next search starts, so that all get their turn.
    start: usize,
    fit: Vec<NodeId>,
    totals: Vec<i64>,
    scores: Vec<i64>,
    pub(crate) memory: Memory,
}

impl Cycle {
    /// The best node for a pod, or why there is none.
    pub(crate) fn place(
        &mut self,
        snapshot: &mut Snapshot,
        subject: &Subject<'_>,
        scope: Scope,
        random: &mut Random,
    ) -> Result<NodeId, Box<Refusal>> {
        let mut refusal = Refusal::default();
        self.fit.clear();
        let nominated = subject.nominated(snapshot);
        if let Some(node) = nominated.filter(|node| verdict(snapshot, subject, *node).is_none()) {
            return Ok(node);
        }
        match scope {
            Scope::Refused(text, plugin) => {
                refusal.beforehand = Some(text);
                refusal.by = refusal.by.with(plugin);
                return Err(Box::new(refusal));
            }
            Scope::Only(nodes, plugin) => {
                let text = format!("node(s) didn't satisfy plugin(s) [{}]", plugin.plugin().name());
                refusal.elsewhere = Some(text);
                refusal.by = refusal.by.with(plugin);
                refusal.nodes = self.search(snapshot, subject, &nodes, None);
            }
            Scope::All => {
                let order = snapshot.take_order();
                let generation = snapshot.order_generation();
                refusal.nodes = self.search(snapshot, subject, &order, Some(generation));
                snapshot.give_order(order);
            }
        }
        for plugin in refusal.nodes.plugins() {
            refusal.by = refusal.by.with(plugin);
        }
        match self.fit.len() {
            0 if snapshot.size() == 0 => {
                refusal.by = PluginSet::ALL;
                Err(Box::new(refusal))
            }
            0 => Err(Box::new(refusal)),
            1 => Ok(self.fit[0]),
            _ => {
                self.score(snapshot, subject);
                Ok(self.best(random))
            }
        }
    }

    /// Finds fit nodes; of the others it tells only if there is none. `order` says which order of all nodes it is.
    fn search(
        &mut self,
        snapshot: &mut Snapshot,
        subject: &Subject<'_>,
        nodes: &[NodeId],
        order: Option<u64>,
    ) -> Refused {
        let wanted = enough(nodes.len(), subject.rules.percentage);
        let start = if nodes.is_empty() { 0 } else { self.start % nodes.len() };
        let around = nodes[start..].iter().chain(&nodes[..start]);
        let own = subject.nominated(snapshot);
        let remembers = self.memory.open(snapshot, subject);
        let searched = order.filter(|_| remembers && own.is_none()).map(|order| Searched {
            order,
            start,
            change: snapshot.last_change(),
        });
        if let Some(searched) = searched
            && let Some(refused) = self.memory.refused(snapshot, subject, searched)
        {
            self.start = start + refused.len();
            return refused;
        }
        let mut refused = Vec::new();
        for node in around {
            let find = |snapshot: &mut Snapshot| verdict(snapshot, subject, *node);
            let verdict = if remembers && Some(*node) != own {
                self.memory.verdict(snapshot, *node, find)
            } else {
                find(snapshot)
            };
            match verdict {
                None => {
                    self.fit.push(*node);
                    if self.fit.len() == wanted {
                        break;
                    }
                }
                Some(reason) => refused.push((*node, reason)),
            }
        }
        self.start = start + self.fit.len() + refused.len();
        if self.fit.is_empty() {
            Refused::new(refused, searched)
        } else {
            Refused::default()
        }
    }

    fn score(&mut self, snapshot: &Snapshot, subject: &Subject<'_>) {
        let look = subject.look(snapshot);
        self.totals.clear();
        self.totals.resize(self.fit.len(), 0);
        self.scores.resize(self.fit.len(), 0);
        for id in PluginId::ALL {
            if score_by(id, &look, &self.fit, &mut self.scores) {
                let weight = id.plugin().weight();
                for (total, score) in self.totals.iter_mut().zip(&self.scores) {
                    *total += weight * score;
                }
            }
        }
    }

    /// One of the nodes with the highest score, by lot.
    fn best(&self, random: &mut Random) -> NodeId {
        let most = self.totals.iter().copied().max().unwrap_or(0);
        let best = || self.totals.iter().zip(&self.fit).filter(|(total, _)| **total == most);
        let lot = random.below(best().count());
        best().nth(lot).map_or(self.fit[0], |(_, node)| *node)
    }
}

/// Scores nodes by one plugin, from 0 to [`BEST`]; says whether it has an opinion.
pub(crate) fn score_by(id: PluginId, look: &Look<'_>, nodes: &[NodeId], scores: &mut [i64]) -> bool {
    let plugin = id.plugin();
    if plugin.weight() == 0 || look.rules.off.has(id) || !plugin.score(look, nodes, scores) {
        return false;
    }
    if look.rules.inverted.has(id) {
        for score in scores {
            *score = BEST - *score;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::enough;

    #[test]
    fn the_larger_the_cluster_the_smaller_the_part_that_is_scored() {
        for (nodes, percentage, want) in [
            (3, 0, 3),
            (99, 0, 99),
            (100, 0, 100),
            (1000, 0, 420),
            (5000, 0, 500),
            (6000, 0, 300),
            (20000, 0, 1000),
            (5000, 100, 5000),
            (5000, 1, 100),
        ] {
            assert_eq!(enough(nodes, percentage), want, "{nodes} at {percentage}");
        }
    }
}
