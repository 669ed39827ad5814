//! The cluster as the scheduler knows it, brought up to date change by change.

mod classes;
mod nodes;
mod pods;
mod workloads;

use std::collections::HashMap;
use std::sync::Arc;

use crate::id::{ClassId, MatcherId, NodeId, PodId, TallyId, TopologyId};
use crate::node::{Node, Room};
use crate::pod::Pod;
use crate::selector::{Labels, Selector};
use crate::shape::Shape;
use crate::tally::Tallies;
use crate::words::{Word, Words};

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
    /// The nodes of the last changes; of those after `touched_from`.
    touched: Vec<NodeId>,
    touched_from: u64,
    /// Grows when classes get other names.
    pub(crate) rebuilds: u64,
    free_nodes: Vec<NodeId>,
    node_by_name: HashMap<Word, NodeId>,
    /// Nodes in the order they are looked at: zones take turns.
    order: Vec<NodeId>,
    order_is_stale: bool,
    /// Grows with each new order.
    order_generation: u64,
    /// Of each node, its place in the order.
    places: Vec<usize>,
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
            touched: Vec::new(),
            touched_from: 0,
            rebuilds: 0,
            free_nodes: Vec::new(),
            node_by_name: HashMap::new(),
            order: Vec::new(),
            order_is_stale: false,
            order_generation: 0,
            places: Vec::new(),
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
}
