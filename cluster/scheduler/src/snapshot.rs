//! The cluster as the scheduler knows it, brought up to date change by change.

use std::collections::HashMap;
use std::sync::Arc;

use crate::id::{ClassId, MatcherId, NodeId, PodId, TallyId, TopologyId};
use crate::node::{Node, NodeFacts, Room};
use crate::pod::Pod;
use crate::resources::amount;
use crate::selector::{Labels, Selector, Want};
use crate::shape::{Shape, Spread, Term, Who};
use crate::taint::Effect;
use crate::tally::{Counted, Eligible, Role, Tallies, TallyKey, Whom};
use crate::words::{Word, Words};

/// Classes that no pod has are kept for the next pod of their kind, up to so many beyond those in use.
const SPARE_CLASSES: usize = 256;

/// Pods that look the same to the scheduler.
#[derive(Debug)]
pub(crate) struct Class {
    pub(crate) shape: Arc<Shape>,
    users: usize,
    /// The selectors that mean these pods.
    pub(crate) matchers: Vec<MatcherId>,
    /// Where pods that hold this class' terms are counted.
    held: Vec<TallyId>,
    pub(crate) spread: Vec<SpreadUse>,
    /// For each term of required affinity, the pods that meet all of them.
    pub(crate) affinity: Vec<TallyId>,
    /// Whether such a pod meets its own required affinity.
    pub(crate) meets_itself: bool,
    pub(crate) anti_affinity: Vec<TallyId>,
    pub(crate) preferred_pods: Vec<(i64, TallyId)>,
    /// The constraints for pods that say none, and the state of services and owners they were made from.
    default_spread: Option<(u64, Arc<[SpreadUse]>)>,
}

/// A spread constraint in use.
#[derive(Clone, Debug)]
pub(crate) struct SpreadUse {
    pub(crate) tally: TallyId,
    pub(crate) topology: TopologyId,
    pub(crate) max_skew: i64,
    pub(crate) min_domains: usize,
    pub(crate) hard: bool,
    /// 1 if the pod itself counts.
    pub(crate) own: i64,
}

/// A pod disruption budget.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) namespace: Word,
    pub(crate) selector: Option<Selector>,
    pub(crate) allowed: i64,
    /// Names of pods whose disruption is counted already.
    pub(crate) disrupted: Vec<String>,
}

/// The cluster.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) words: Words,
    pub(crate) nodes: Vec<Node>,
    pub(crate) rooms: Vec<Room>,
    /// Of each node, a number that is another one after each change of it or of the pods on it.
    pub(crate) changes: Vec<u64>,
    last_change: u64,
    /// Grows when classes get other names.
    pub(crate) rebuilds: u64,
    free_nodes: Vec<NodeId>,
    node_by_name: HashMap<Word, NodeId>,
    /// Nodes in the order they are looked at: zones take turns.
    order: Vec<NodeId>,
    order_is_stale: bool,
    pods: Vec<Option<Pod>>,
    free_pods: Vec<PodId>,
    /// Pods on nodes that are not known (yet, or any more).
    homeless: HashMap<Word, Vec<PodId>>,
    pub(crate) classes: Vec<Class>,
    class_by_shape: HashMap<Arc<Shape>, ClassId>,
    used_classes: usize,
    pub(crate) tallies: Tallies,
    namespaces: HashMap<Word, Labels>,
    /// On how many nodes an image is.
    pub(crate) images: HashMap<Word, i64>,
    /// Nodes with a taint that forbids.
    pub(crate) forbidding: usize,
    /// Nodes with a taint that only asks.
    pub(crate) asking: usize,
    pub(crate) cordoned: usize,
    pub(crate) nominations: usize,
    pub(crate) budgets: HashMap<String, Budget>,
    /// Grows with each change of budgets.
    pub(crate) budget_changes: u64,
    services: HashMap<String, (Word, Labels)>,
    owners: HashMap<(Word, Word, Word), Selector>,
    /// Grows with each change of services and owners.
    workloads: u64,
}

impl Snapshot {
    pub(crate) fn new() -> Self {
        Self {
            words: Words::new(),
            nodes: Vec::new(),
            rooms: Vec::new(),
            changes: Vec::new(),
            last_change: 0,
            rebuilds: 0,
            free_nodes: Vec::new(),
            node_by_name: HashMap::new(),
            order: Vec::new(),
            order_is_stale: false,
            pods: Vec::new(),
            free_pods: Vec::new(),
            homeless: HashMap::new(),
            classes: Vec::new(),
            class_by_shape: HashMap::new(),
            used_classes: 0,
            tallies: Tallies::default(),
            namespaces: HashMap::new(),
            images: HashMap::new(),
            forbidding: 0,
            asking: 0,
            cordoned: 0,
            nominations: 0,
            budgets: HashMap::new(),
            budget_changes: 0,
            services: HashMap::new(),
            owners: HashMap::new(),
            workloads: 0,
        }
    }

    // Nodes.

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

    fn new_node(&mut self, name: Word) -> NodeId {
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
    fn note_node(&mut self, id: NodeId, comes: bool) {
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
        }
        std::mem::take(&mut self.order)
    }

    pub(crate) fn give_order(&mut self, order: Vec<NodeId>) {
        self.order = order;
    }

    // Pods.

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

    fn place(&mut self, id: PodId, node: NodeId) {
        self.touch(node);
        self.occupy(id, node);
        self.nodes[node.at()].pods.push(id);
        if let Some(pod) = self.pod_mut(id) {
            pod.node = Some(node);
        }
    }

    fn lift(&mut self, id: PodId) {
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

    fn count_all_on(&mut self, node: NodeId, comes: bool) {
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

    // Classes.

    fn use_class(&mut self, class: ClassId) {
        let class = &mut self.classes[class.at()];
        class.users += 1;
        if class.users == 1 {
            self.used_classes += 1;
        }
    }

    fn leave_class(&mut self, class: ClassId) {
        let class = &mut self.classes[class.at()];
        class.users -= 1;
        if class.users == 0 {
            self.used_classes -= 1;
        }
    }

    /// The class of pods of this shape.
    pub(crate) fn class(&mut self, shape: Shape) -> ClassId {
        if let Some(id) = self.class_by_shape.get(&shape) {
            return *id;
        }
        if self.classes.len() > 2 * self.used_classes + SPARE_CLASSES {
            self.rebuild();
        }
        self.new_class(Arc::new(shape))
    }

    fn new_class(&mut self, shape: Arc<Shape>) -> ClassId {
        let id = ClassId::new(self.classes.len());
        self.class_by_shape.insert(shape.clone(), id);
        let meant = |matcher: &crate::tally::Matcher| {
            matcher
                .whom
                .means(shape.namespace, &shape.labels, &self.namespaces, &self.words)
        };
        let matchers = self
            .tallies
            .matchers
            .iter()
            .enumerate()
            .filter(|(_, matcher)| meant(matcher));
        let matchers = matchers.map(|(index, _)| MatcherId::new(index)).collect();
        self.classes.push(Class {
            shape: shape.clone(),
            users: 0,
            matchers,
            held: Vec::new(),
            spread: Vec::new(),
            affinity: Vec::new(),
            meets_itself: false,
            anti_affinity: Vec::new(),
            preferred_pods: Vec::new(),
            default_spread: None,
        });
        let keys: [Vec<Word>; 2] = [false, true].map(|hard| {
            let same = shape.spread.iter().filter(|constraint| constraint.hard == hard);
            same.map(|constraint| constraint.topology).collect()
        });
        let spread: Vec<SpreadUse> = shape
            .spread
            .iter()
            .map(|one| self.spread_use(one, &shape, keys[usize::from(one.hard)].clone()))
            .collect();
        let everyone = Whom {
            all: shape.affinity.iter().map(|term| term.who.clone()).collect(),
            live: false,
        };
        let meets_itself = everyone.means(shape.namespace, &shape.labels, &self.namespaces, &self.words);
        let affinity: Vec<TallyId> = shape
            .affinity
            .iter()
            .map(|term| self.tally(everyone.clone(), term.topology, Counted::Meant, None))
            .collect();
        let of_term = |snapshot: &mut Self, term: &Term, counted| {
            let whom = Whom {
                all: vec![term.who.clone()],
                live: false,
            };
            snapshot.tally(whom, term.topology, counted, None)
        };
        let mut held = Vec::new();
        let mut anti_affinity = Vec::new();
        for term in &shape.anti_affinity {
            anti_affinity.push(of_term(self, term, Counted::Meant));
            held.push(of_term(self, term, Counted::Holders(Role::Repels)));
        }
        for term in &shape.affinity {
            held.push(of_term(self, term, Counted::Holders(Role::Requires)));
        }
        let mut preferred_pods = Vec::new();
        for (weight, term) in &shape.preferred_pods {
            preferred_pods.push((*weight, of_term(self, term, Counted::Meant)));
            held.push(of_term(self, term, Counted::Holders(Role::Prefers(*weight))));
        }
        let class = &mut self.classes[id.at()];
        class.spread = spread;
        class.meets_itself = meets_itself;
        class.affinity = affinity;
        class.anti_affinity = anti_affinity;
        class.preferred_pods = preferred_pods;
        class.held = held;
        id
    }

    fn spread_use(&mut self, constraint: &Spread, shape: &Shape, keys: Vec<Word>) -> SpreadUse {
        let whom = Whom {
            all: vec![constraint.who.clone()],
            live: true,
        };
        let own = whom.means(shape.namespace, &shape.labels, &self.namespaces, &self.words);
        let rule = Eligible {
            keys,
            placement: (constraint.honor_affinity && !shape.placement.is_free()).then(|| shape.placement.clone()),
            tolerations: constraint.honor_taints.then(|| shape.tolerations.clone()),
        };
        let tally = self.tally(whom, constraint.topology, Counted::Meant, Some(rule));
        SpreadUse {
            tally,
            topology: self.tallies.tally(tally).key.topology,
            max_skew: constraint.max_skew,
            min_domains: constraint.min_domains,
            hard: constraint.hard,
            own: i64::from(own),
        }
    }

    /// A tally, with all pods counted in it.
    fn tally(&mut self, whom: Whom, topology: Word, counted: Counted, rule: Option<Eligible>) -> TallyId {
        let (matcher, is_new) = self.tallies.matcher(whom);
        if is_new {
            let whom = &self.tallies.matchers[matcher.at()].whom;
            for class in &mut self.classes {
                let shape = &class.shape;
                if whom.means(shape.namespace, &shape.labels, &self.namespaces, &self.words) {
                    class.matchers.push(matcher);
                }
            }
        }
        let topology = self.tallies.topology(topology, &self.nodes);
        let eligibility = rule.map(|rule| self.tallies.eligibility(rule, &self.nodes, &self.words));
        let key = TallyKey {
            matcher,
            counted,
            topology,
            eligibility,
        };
        let (tally, is_new) = self.tallies.tally_of(key, &self.nodes);
        if is_new && counted == Counted::Meant {
            let live = self.tallies.matchers[matcher.at()].whom.live;
            for pod in self.pods.iter().flatten() {
                let Some(node) = pod.node else { continue };
                let meant = self.classes[pod.class.at()].matchers.contains(&matcher);
                if meant && !(live && pod.terminating) {
                    self.tallies.count(tally, node, true);
                }
            }
        }
        tally
    }

    /// Forgets classes without pods and counts everything anew.
    fn rebuild(&mut self) {
        self.rebuilds += 1;
        let old = std::mem::take(&mut self.classes);
        self.class_by_shape.clear();
        self.tallies = Tallies::default();
        let mut renamed: Vec<ClassId> = vec![ClassId::new(0); old.len()];
        // No pod may be counted while classes have no counts: they are put back after.
        let homes: Vec<Option<NodeId>> = self
            .pods
            .iter_mut()
            .map(|pod| pod.as_mut().and_then(|pod| pod.node.take()))
            .collect();
        for (index, class) in old.into_iter().enumerate().filter(|(_, class)| class.users > 0) {
            let users = class.users;
            let id = self.new_class(class.shape);
            self.classes[id.at()].users = users;
            renamed[index] = id;
        }
        for (index, home) in homes.into_iter().enumerate() {
            let Some(pod) = self.pods[index].as_mut() else {
                continue;
            };
            pod.class = renamed[pod.class.at()];
            pod.node = home;
            if let Some(node) = home {
                let class = &self.classes[pod.class.at()];
                count(&mut self.tallies, class, pod.terminating, node, true);
            }
        }
    }

    /// The anti-affinity of placed pods that means pods of this class.
    pub(crate) fn repelling(&self, class: &Class) -> Vec<TallyId> {
        if self.tallies.repelling == 0 {
            return Vec::new();
        }
        let holders = class
            .matchers
            .iter()
            .flat_map(|matcher| &self.tallies.matchers[matcher.at()].holders);
        let repels = |tally: &TallyId| {
            let tally = self.tallies.tally(*tally);
            tally.key.counted == Counted::Holders(Role::Repels) && tally.total > 0
        };
        holders.copied().filter(repels).collect()
    }

    // Namespaces, services, owners.

    /// A namespace's labels; whether they changed anything.
    pub(crate) fn put_namespace(&mut self, name: Word, labels: Labels) -> bool {
        if self.namespaces.get(&name) == Some(&labels) {
            return false;
        }
        self.namespaces.insert(name, labels);
        let selects = |who: &Who| who.namespace_selector.is_some();
        if self.tallies.matchers.iter().any(|one| one.whom.all.iter().any(selects)) {
            self.rebuild();
        }
        true
    }

    pub(crate) fn remove_namespace(&mut self, name: Word) {
        self.namespaces.remove(&name);
    }

    pub(crate) fn put_service(&mut self, key: String, namespace: Word, selector: Option<Labels>) {
        self.workloads += 1;
        match selector {
            Some(selector) => self.services.insert(key, (namespace, selector)),
            None => self.services.remove(&key),
        };
    }

    pub(crate) fn put_owner(&mut self, kind: Word, namespace: Word, name: Word, selector: Option<Selector>) {
        self.workloads += 1;
        match selector {
            Some(selector) => self.owners.insert((kind, namespace, name), selector),
            None => self.owners.remove(&(kind, namespace, name)),
        };
    }

    /// Makes the constraints for pods that say none, if services or a controller tell which pods belong together:
    /// hosts within a skew of 3, zones within 5, neither by force.
    pub(crate) fn prepare_default_spread(&mut self, id: ClassId) {
        let class = &self.classes[id.at()];
        if !class.shape.spread.is_empty()
            || class
                .default_spread
                .as_ref()
                .is_some_and(|(at, _)| *at == self.workloads)
        {
            return;
        }
        let shape = class.shape.clone();
        let mut wants: Vec<Want> = Vec::new();
        for (namespace, selector) in self.services.values() {
            let holds = |(key, value): (Word, Word)| shape.labels.get(key) == Some(value);
            if *namespace == shape.namespace && !selector.is_empty() && selector.iter().all(holds) {
                wants.extend(selector.iter().map(|(key, value)| Want::equals(key, value)));
            }
        }
        if let Some((kind, name)) = shape.owner
            && let Some(selector) = self.owners.get(&(kind, shape.namespace, name))
        {
            wants.extend(selector.0.iter().cloned());
        }
        wants.sort_unstable_by_key(|want| (want.key, want.values.first().copied()));
        wants.dedup();
        let mut uses = Vec::new();
        if !wants.is_empty() {
            for (topology, max_skew) in [(Word::HOSTNAME, 3), (Word::ZONE, 5)] {
                let constraint = Spread {
                    topology,
                    max_skew,
                    hard: false,
                    min_domains: 1,
                    who: Who {
                        namespaces: vec![shape.namespace],
                        namespace_selector: None,
                        labels: Some(Selector(wants.clone())),
                    },
                    honor_affinity: true,
                    honor_taints: false,
                };
                uses.push(self.spread_use(&constraint, &shape, Vec::new()));
            }
        }
        self.classes[id.at()].default_spread = Some((self.workloads, uses.into()));
    }
}

impl Class {
    /// The constraints that only ask: those of the pod, or else the default ones.
    pub(crate) fn asked_spread(&self) -> impl Iterator<Item = &SpreadUse> {
        let default = self.default_spread.iter().flat_map(|(_, uses)| uses.iter());
        self.spread.iter().filter(|one| !one.hard).chain(default)
    }
}

/// A pod of a class comes to or leaves a node, in all counts.
fn count(tallies: &mut Tallies, class: &Class, terminating: bool, node: NodeId, comes: bool) {
    for matcher in &class.matchers {
        tallies.count_meant(*matcher, terminating, node, comes);
    }
    for tally in &class.held {
        tallies.count(*tally, node, comes);
    }
}
