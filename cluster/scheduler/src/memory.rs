//! What was found out about nodes for pods of one class, as long as the nodes do not change.
//!
//! Many pods of one kind that fit nowhere would else have every node looked at again for each of them. Only verdicts
//! that depend on nothing but the node and the pods on it are kept.

use std::collections::VecDeque;

use crate::cycle::{Subject, verdict};
use crate::id::{ClassId, NodeId};
use crate::plugin::{Cost, Reason};
use crate::refused::{Refused, Searched};
use crate::snapshot::Snapshot;

/// So many classes are remembered.
const CLASSES: usize = 8;
/// In smaller clusters it is not worth the room.
const FEW_NODES: usize = 100;

#[derive(Clone, Copy, Debug)]
struct Known<T> {
    /// The state of the node it was found out in.
    change: u64,
    found: T,
}

#[derive(Debug)]
struct OfClass {
    class: ClassId,
    verdicts: Vec<Option<Known<Option<Reason>>>>,
    costs: Vec<Option<Known<Result<Cost, Reason>>>>,
    /// What the last search through all nodes found, if it found none fit.
    refused: Option<Refused>,
}

/// What is remembered.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The last used is last.
    classes: VecDeque<OfClass>,
    /// Classes have other names after each rebuild.
    rebuilds: u64,
    /// The state of the budgets the costs were found out in.
    budgets: u64,
    /// For tests: nothing is remembered.
    pub(crate) off: bool,
}

impl Memory {
    /// Makes ready for a pod; says whether it may be asked about.
    pub(crate) fn open(&mut self, snapshot: &Snapshot, subject: &Subject<'_>) -> bool {
        if self.off || !subject.looks_at_nodes_alone() || snapshot.size() < FEW_NODES {
            return false;
        }
        if self.rebuilds != snapshot.rebuilds {
            self.rebuilds = snapshot.rebuilds;
            self.classes.clear();
        }
        if self.budgets != snapshot.budget_changes {
            self.budgets = snapshot.budget_changes;
            for class in &mut self.classes {
                class.costs.clear();
            }
        }
        let known = self.classes.iter().position(|class| class.class == subject.class);
        let mut class = match known.and_then(|place| self.classes.remove(place)) {
            Some(class) => class,
            None => {
                if self.classes.len() == CLASSES {
                    self.classes.pop_front();
                }
                OfClass {
                    class: subject.class,
                    verdicts: Vec::new(),
                    costs: Vec::new(),
                    refused: None,
                }
            }
        };
        class.verdicts.resize(snapshot.nodes.len(), None);
        class.costs.resize(snapshot.nodes.len(), None);
        self.classes.push_back(class);
        true
    }

    /// The verdict about a node for the pod that this was opened for, found out if it is not known.
    pub(crate) fn verdict(
        &mut self,
        snapshot: &mut Snapshot,
        node: NodeId,
        find: impl FnOnce(&mut Snapshot) -> Option<Reason>,
    ) -> Option<Reason> {
        match self.classes.back_mut() {
            Some(class) => recall(&mut class.verdicts[node.at()], snapshot, node, find),
            None => find(snapshot),
        }
    }

    /// What a search like the last one would find if it finds none fit: only the nodes that changed since are looked at.
    pub(crate) fn refused(&mut self, snapshot: &mut Snapshot, subject: &Subject<'_>, now: Searched) -> Option<Refused> {
        let class = self.classes.back_mut()?;
        let mut refused = class.refused.take()?;
        let then = refused.searched.replace(now)?;
        if (then.order, then.start) != (now.order, now.start) {
            return None;
        }
        let changed = snapshot.touched_since(then.change)?.to_vec();
        for node in changed {
            let find = |snapshot: &mut Snapshot| verdict(snapshot, subject, node);
            let reason = recall(&mut class.verdicts[node.at()], snapshot, node, find)?;
            let place = snapshot.place_in_order(node) + refused.len() - now.start;
            refused.change(place % refused.len(), reason);
        }
        Some(refused)
    }

    /// Keeps what a search found for the class that this was opened for, if it may be remembered.
    pub(crate) fn keep(&mut self, refused: Refused) {
        if let Some(class) = self.classes.back_mut()
            && refused.searched.is_some()
        {
            class.refused = Some(refused);
        }
    }

    /// What preemption would cost on a node for the pod that this was opened for, found out if it is not known.
    pub(crate) fn cost(
        &mut self,
        snapshot: &mut Snapshot,
        node: NodeId,
        find: impl FnOnce(&mut Snapshot) -> Result<Cost, Reason>,
    ) -> Result<Cost, Reason> {
        match self.classes.back_mut() {
            Some(class) => recall(&mut class.costs[node.at()], snapshot, node, find),
            None => find(snapshot),
        }
    }
}

fn recall<T: Copy>(
    slot: &mut Option<Known<T>>,
    snapshot: &mut Snapshot,
    node: NodeId,
    find: impl FnOnce(&mut Snapshot) -> T,
) -> T {
    let change = snapshot.changes[node.at()];
    match slot {
        Some(known) if known.change == change => known.found,
        _ => {
            let found = find(snapshot);
            *slot = Some(Known { change, found });
            found
        }
    }
}
