//! The nodes that a search refused, and how often for which reason.

use std::collections::HashMap;

use crate::id::NodeId;
use crate::message::Tried;
use crate::plugin::{PluginId, Reason};

/// In the order they were looked at.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    nodes: Vec<(NodeId, Reason)>,
    reasons: HashMap<Reason, usize>,
    /// Where and when all nodes were looked at, if what was found may be remembered.
    pub(crate) searched: Option<Searched>,
}

/// A search through all nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Searched {
    /// Which order of the nodes it was.
    pub(crate) order: u64,
    /// Its first place in that order.
    pub(crate) start: usize,
    /// The last change that it saw.
    pub(crate) change: u64,
}

impl Refused {
    pub(crate) fn new(nodes: Vec<(NodeId, Reason)>, searched: Option<Searched>) -> Self {
        let mut reasons = HashMap::new();
        // Most nodes have the reason of their neighbour: these are counted without looking the reason up.
        for run in nodes.chunk_by(|(_, one), (_, next)| one == next) {
            *reasons.entry(run[0].1).or_default() += run.len();
        }
        Self {
            nodes,
            reasons,
            searched,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The node at a place is refused for another reason now.
    pub(crate) fn change(&mut self, place: usize, reason: Reason) {
        let old = std::mem::replace(&mut self.nodes[place].1, reason);
        if old == reason {
            return;
        }
        *self.reasons.entry(reason).or_default() += 1;
        if let Some(count) = self.reasons.get_mut(&old) {
            *count -= 1;
            if *count == 0 {
                self.reasons.remove(&old);
            }
        }
    }

    pub(crate) fn plugins(&self) -> impl Iterator<Item = PluginId> + '_ {
        self.reasons.keys().map(|reason| reason.plugin)
    }

    pub(crate) fn reason(&self, node: NodeId) -> Option<Reason> {
        let found = self.nodes.iter().find(|(refused, _)| *refused == node);
        found.map(|(_, reason)| *reason)
    }

    /// How many nodes there are where it might help to delete pods.
    pub(crate) fn preemptible(&self) -> usize {
        let preemptible = self.reasons.iter().filter(|(reason, _)| reason.preemptible);
        preemptible.map(|(_, count)| count).sum()
    }

    /// These nodes, beginning with the one at `offset` among them, once around.
    pub(crate) fn preemptible_from(&self, offset: usize) -> impl Iterator<Item = NodeId> + '_ {
        let all = || self.nodes.iter().filter(|(_, reason)| reason.preemptible);
        all().skip(offset).chain(all().take(offset)).map(|(node, _)| *node)
    }

    pub(crate) fn tried(&self) -> Tried {
        Tried::of(&self.reasons)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::PluginId::{NodeAffinity, NodeResourcesFit, TaintToleration};

    const FULL: Reason = Reason::new(NodeResourcesFit, true);
    const TAINTED: Reason = Reason::new(TaintToleration, false);
    const ELSEWHERE: Reason = Reason::new(NodeAffinity, false);

    #[test]
    fn reasons_are_counted_anew_when_one_changes() {
        let nodes = [FULL, FULL, TAINTED, FULL].into_iter().enumerate();
        let mut refused = Refused::new(nodes.map(|(at, reason)| (NodeId::new(at), reason)).collect(), None);
        assert_eq!(refused.preemptible(), 3);
        let from = |refused: &Refused, offset| refused.preemptible_from(offset).map(NodeId::at).collect::<Vec<_>>();
        assert_eq!(from(&refused, 2), [3, 0, 1]);
        refused.change(2, ELSEWHERE);
        refused.change(0, ELSEWHERE);
        assert_eq!(refused.preemptible(), 2);
        assert_eq!(from(&refused, 0), [1, 3]);
        let mut plugins: Vec<PluginId> = refused.plugins().collect();
        plugins.sort();
        assert_eq!(plugins, [NodeAffinity, NodeResourcesFit]);
        assert_eq!(refused.reason(NodeId::new(0)), Some(ELSEWHERE));
        assert_eq!(refused.reason(NodeId::new(4)), None);
    }
}
