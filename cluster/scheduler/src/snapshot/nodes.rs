//! Nodes that come, change and go.

use std::collections::HashMap;
use std::sync::Arc;

use super::Snapshot;
use crate::id::NodeId;
use crate::node::{Node, NodeFacts, Room};
use crate::taint::Effect;
use crate::words::Word;

impl Snapshot {
    pub(crate) fn node_named(&self, name: Word) -> Option<NodeId> {
        self.node_by_name.get(&name).copied()
    }

    pub(crate) fn node_name(&self, node: NodeId) -> Arc<str> {
        self.words.shared(self.nodes[node.at()].name)
    }

    /// Notes that something about a node is different now.
    pub(crate) fn touch(&mut self, node: NodeId) {
        self.last_change += 1;
        self.changes[node.at()] = self.last_change;
        // More than all nodes are looked at anew instead.
        let most = 2 * self.nodes.len();
        if self.touched.len() >= most {
            let forgotten = self.touched.len() - most / 2;
            self.touched.drain(..forgotten);
            self.touched_from += forgotten as u64;
        }
        self.touched.push(node);
    }

    pub(crate) fn last_change(&self) -> u64 {
        self.last_change
    }

    /// The nodes that changed after a change, each as often as it did; none if that is not known any more.
    pub(crate) fn touched_since(&self, change: u64) -> Option<&[NodeId]> {
        let known = change.checked_sub(self.touched_from)?;
        self.touched.get(usize::try_from(known).ok()?..)
    }

    /// How many nodes there are.
    pub(crate) fn size(&self) -> usize {
        self.node_by_name.len()
    }

    /// A node came or changed.
    pub(crate) fn put_node(&mut self, facts: NodeFacts) -> NodeId {
        let id = match self.node_by_name.get(&facts.name) {
            Some(id) => *id,
            None => self.new_node(facts.name),
        };
        self.touch(id);
        let node = &self.nodes[id.at()];
        let known = node.here;
        let moved = !known || node.labels != facts.labels || node.taints != facts.taints;
        if known {
            self.note_node(id, false);
        }
        if moved && known {
            self.count_all_on(id, false);
            self.tallies.take_node(id);
        }
        let node = &mut self.nodes[id.at()];
        if node.labels != facts.labels || !known {
            self.order_is_stale = true;
        }
        node.here = true;
        node.name = facts.name;
        node.labels = facts.labels;
        node.taints = facts.taints;
        node.cordoned = facts.cordoned;
        node.images = facts.images;
        node.others = facts.allocatable.others;
        let room = &mut self.rooms[id.at()];
        room.cpu = facts.allocatable.cpu;
        room.memory = facts.allocatable.memory;
        room.storage = facts.allocatable.storage;
        room.pods = facts.pods;
        self.note_node(id, true);
        if moved {
            self.tallies.put_node(id, &self.nodes[id.at()], &self.words);
            self.count_all_on(id, true);
        }
        if !known {
            for pod in self.homeless.remove(&self.nodes[id.at()].name).unwrap_or_default() {
                self.place(pod, id);
            }
        }
        id
    }

    pub(super) fn new_node(&mut self, name: Word) -> NodeId {
        let id = self.free_nodes.pop().unwrap_or_else(|| {
            self.nodes.push(Node::default());
            self.rooms.push(Room::default());
            self.changes.push(0);
            NodeId::new(self.nodes.len() - 1)
        });
        self.node_by_name.insert(name, id);
        id
    }

    /// A node went. Its pods are still counted on it, should it come back.
    pub(crate) fn remove_node(&mut self, name: Word) -> Option<NodeId> {
        let id = self.node_by_name.get(&name).copied()?;
        self.note_node(id, false);
        let pods = self.nodes[id.at()].pods.clone();
        for pod in &pods {
            self.lift(*pod);
            self.homeless.entry(name).or_default().push(*pod);
        }
        for pod in self.nodes[id.at()].nominated.clone() {
            self.nominate(pod, None);
        }
        self.tallies.take_node(id);
        self.node_by_name.remove(&name);
        self.nodes[id.at()] = Node::default();
        self.rooms[id.at()] = Room::default();
        self.free_nodes.push(id);
        self.order_is_stale = true;
        Some(id)
    }

    /// Counts what the whole cluster has of images, taints and cordons.
    pub(super) fn note_node(&mut self, id: NodeId, comes: bool) {
        let node = &self.nodes[id.at()];
        let count = |total: &mut usize, counts: bool| match (counts, comes) {
            (true, true) => *total += 1,
            (true, false) => *total -= 1,
            (false, _) => {}
        };
        count(&mut self.forbidding, node.taints.iter().any(|taint| taint.forbids()));
        let asks = node.taints.iter().any(|taint| taint.effect == Effect::PreferNoSchedule);
        count(&mut self.asking, asks);
        count(&mut self.cordoned, node.cordoned);
        for (image, _) in &node.images {
            *self.images.entry(*image).or_default() += if comes { 1 } else { -1 };
        }
    }

    /// Nodes in the order they are looked at; to be given back.
    pub(crate) fn take_order(&mut self) -> Vec<NodeId> {
        if self.order_is_stale {
            self.order_is_stale = false;
            let mut zones: Vec<((Word, Word), Vec<NodeId>)> = Vec::new();
            let mut by_zone: HashMap<(Word, Word), usize> = HashMap::new();
            for (index, node) in self.nodes.iter().enumerate().filter(|(_, node)| node.here) {
                let label = |key| node.labels.get(key).unwrap_or(Word::EMPTY);
                let zone = (label(Word::REGION), label(Word::ZONE));
                let place = *by_zone.entry(zone).or_insert_with(|| {
                    zones.push((zone, Vec::new()));
                    zones.len() - 1
                });
                zones[place].1.push(NodeId::new(index));
            }
            self.order.clear();
            let longest = zones.iter().map(|(_, nodes)| nodes.len()).max().unwrap_or(0);
            for turn in 0..longest {
                self.order.extend(zones.iter().filter_map(|(_, nodes)| nodes.get(turn)));
            }
            self.order_generation += 1;
            self.places.resize(self.nodes.len(), 0);
            for (place, node) in self.order.iter().enumerate() {
                self.places[node.at()] = place;
            }
        }
        std::mem::take(&mut self.order)
    }

    /// Which order it is that was last taken.
    pub(crate) fn order_generation(&self) -> u64 {
        self.order_generation
    }

    pub(crate) fn place_in_order(&self, node: NodeId) -> usize {
        self.places[node.at()]
    }

    pub(crate) fn give_order(&mut self, order: Vec<NodeId>) {
        self.order = order;
    }
}
