//! Pods that come to nodes and leave them, and what is counted of it.

use std::sync::Arc;

use super::{Class, Snapshot};
use crate::id::{ClassId, NodeId, PodId};
use crate::pod::Pod;
use crate::resources::amount;
use crate::shape::Shape;
use crate::tally::Tallies;
use crate::words::Word;

impl Snapshot {
    pub(crate) fn pod(&self, id: PodId) -> Option<&Pod> {
        self.pods.get(id.at())?.as_ref()
    }

    pub(crate) fn pod_mut(&mut self, id: PodId) -> Option<&mut Pod> {
        self.pods.get_mut(id.at())?.as_mut()
    }

    pub(crate) fn class_of(&self, pod: &Pod) -> &Class {
        &self.classes[pod.class.at()]
    }

    pub(crate) fn shape_of(&self, pod: PodId) -> Option<&Arc<Shape>> {
        self.pod(pod).map(|pod| &self.class_of(pod).shape)
    }

    /// A pod that was not known; it is on no node yet.
    pub(crate) fn add_pod(&mut self, pod: Pod) -> PodId {
        self.use_class(pod.class);
        match self.free_pods.pop() {
            Some(id) => {
                self.pods[id.at()] = Some(pod);
                id
            }
            None => {
                self.pods.push(Some(pod));
                PodId::new(self.pods.len() - 1)
            }
        }
    }

    /// A pod that is gone, with what it left.
    pub(crate) fn remove_pod(&mut self, id: PodId) -> Option<Pod> {
        self.lift(id);
        self.nominate(id, None);
        let pod = self.pods.get_mut(id.at())?.take()?;
        if let Some(pods) = pod.node_name.and_then(|name| self.homeless.get_mut(&name)) {
            pods.retain(|other| *other != id);
        }
        self.leave_class(pod.class);
        self.free_pods.push(id);
        Some(pod)
    }

    /// Gives a pod another shape.
    pub(crate) fn reshape(&mut self, id: PodId, class: ClassId) {
        let Some(pod) = self.pod(id) else { return };
        let (old, node) = (pod.class, pod.node);
        self.use_class(class);
        if node.is_some() {
            self.lift(id);
        }
        if let Some(pod) = self.pod_mut(id) {
            pod.class = class;
        }
        if let Some(node) = node {
            self.place(id, node);
        }
        self.leave_class(old);
    }

    /// Changes what is counted about a pod, on its node or off it.
    pub(crate) fn recount(&mut self, id: PodId, change: impl FnOnce(&mut Pod)) {
        let node = self.pod(id).and_then(|pod| pod.node);
        if node.is_some() {
            self.lift(id);
        }
        if let Some(pod) = self.pod_mut(id) {
            change(pod);
        }
        if let Some(node) = node {
            self.place(id, node);
        }
    }

    /// Puts a pod on a node that may be unknown.
    pub(crate) fn settle(&mut self, id: PodId, name: Word) {
        if let Some(pod) = self.pod_mut(id) {
            pod.node_name = Some(name);
        }
        match self.node_named(name) {
            Some(node) => self.place(id, node),
            None => self.homeless.entry(name).or_default().push(id),
        }
    }

    /// Takes a pod off the node it is on, known or not.
    pub(crate) fn unsettle(&mut self, id: PodId) {
        self.lift(id);
        let name = self.pod_mut(id).and_then(|pod| pod.node_name.take());
        if let Some(pods) = name.and_then(|name| self.homeless.get_mut(&name)) {
            pods.retain(|other| *other != id);
        }
    }

    pub(super) fn place(&mut self, id: PodId, node: NodeId) {
        self.touch(node);
        self.occupy(id, node);
        self.nodes[node.at()].pods.push(id);
        if let Some(pod) = self.pod_mut(id) {
            pod.node = Some(node);
        }
    }

    pub(super) fn lift(&mut self, id: PodId) {
        let Some(node) = self.pod_mut(id).and_then(|pod| pod.node.take()) else {
            return;
        };
        self.touch(node);
        self.vacate(id, node);
        let pods = &mut self.nodes[node.at()].pods;
        if let Some(place) = pods.iter().rposition(|other| *other == id) {
            pods.swap_remove(place);
        }
    }

    /// Takes what a pod needs of a node, without listing it there.
    pub(crate) fn occupy(&mut self, id: PodId, node: NodeId) {
        let Some(pod) = self.pods[id.at()].as_ref() else {
            return;
        };
        let class = &self.classes[pod.class.at()];
        let shape = &class.shape;
        let requests = &shape.requests;
        let room = &mut self.rooms[node.at()];
        room.used_cpu += requests.real.cpu;
        room.used_memory += requests.real.memory;
        room.used_storage += requests.real.storage;
        room.used_pods += 1;
        room.score_cpu += requests.score_cpu;
        room.score_memory += requests.score_memory;
        if !requests.real.others.is_empty() || !shape.ports.is_empty() {
            let node = &mut self.nodes[node.at()];
            for (name, add) in &requests.real.others {
                match node.used_others.iter_mut().find(|(have, _)| have == name) {
                    Some((_, used)) => *used += add,
                    None => node.used_others.push((*name, *add)),
                }
            }
            node.ports.extend_from_slice(&shape.ports);
        }
        count(&mut self.tallies, class, pod.terminating, node, true);
    }

    /// Gives back what [`Self::occupy`] took.
    pub(crate) fn vacate(&mut self, id: PodId, node: NodeId) {
        let Some(pod) = self.pods[id.at()].as_ref() else {
            return;
        };
        let class = &self.classes[pod.class.at()];
        let shape = &class.shape;
        let requests = &shape.requests;
        let room = &mut self.rooms[node.at()];
        room.used_cpu -= requests.real.cpu;
        room.used_memory -= requests.real.memory;
        room.used_storage -= requests.real.storage;
        room.used_pods -= 1;
        room.score_cpu -= requests.score_cpu;
        room.score_memory -= requests.score_memory;
        if !requests.real.others.is_empty() || !shape.ports.is_empty() {
            let node = &mut self.nodes[node.at()];
            for (name, less) in &requests.real.others {
                if let Some((_, used)) = node.used_others.iter_mut().find(|(have, _)| have == name) {
                    *used -= less;
                }
            }
            for port in &shape.ports {
                if let Some(place) = node.ports.iter().position(|other| other == port) {
                    node.ports.swap_remove(place);
                }
            }
        }
        count(&mut self.tallies, class, pod.terminating, node, false);
    }

    pub(super) fn count_all_on(&mut self, node: NodeId, comes: bool) {
        for id in &self.nodes[node.at()].pods {
            if let Some(pod) = &self.pods[id.at()] {
                let class = &self.classes[pod.class.at()];
                count(&mut self.tallies, class, pod.terminating, node, comes);
            }
        }
    }

    /// Says which node a pod waits for; none takes the nomination back.
    pub(crate) fn nominate(&mut self, id: PodId, node: Option<NodeId>) {
        let Some(pod) = self.pod_mut(id) else { return };
        let old = std::mem::replace(&mut pod.nominated, node);
        if let Some(old) = old {
            self.touch(old);
            self.nodes[old.at()].nominated.retain(|other| *other != id);
            self.rooms[old.at()].nominated -= 1;
            self.nominations -= 1;
        }
        if let Some(node) = node {
            self.touch(node);
            self.nodes[node.at()].nominated.push(id);
            self.rooms[node.at()].nominated += 1;
            self.nominations += 1;
        }
    }

    pub(crate) fn other_used(&self, node: NodeId, name: Word) -> i64 {
        amount(&self.nodes[node.at()].used_others, name)
    }
}

/// A pod of a class comes to or leaves a node, in all counts.
pub(super) fn count(tallies: &mut Tallies, class: &Class, terminating: bool, node: NodeId, comes: bool) {
    for matcher in &class.matchers {
        tallies.count_meant(*matcher, terminating, node, comes);
    }
    for tally in &class.held {
        tallies.count(*tally, node, comes);
    }
}
