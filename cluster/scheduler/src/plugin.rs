//! The plugins: one file each, with its name, its reasons and pure functions.
//!
//! A new plugin is a file, a line in the table below, and nothing else.

mod default_preemption;
mod image_locality;
mod inter_pod_affinity;
mod node_affinity;
mod node_name;
mod node_ports;
mod node_resources_balanced_allocation;
mod node_resources_fit;
mod node_unschedulable;
mod pod_topology_spread;
mod priority_sort;
mod scheduling_gates;
mod taint_toleration;

pub(crate) use default_preemption::{Cost, Preemption, displaced, preempt};
pub(crate) use priority_sort::Rank;
pub(crate) use scheduling_gates::SchedulingGates;

use crate::config::{Config, Strategy};
use crate::event::{Event, Interests};
use crate::id::{NodeId, TallyId};
use crate::shape::Shape;
use crate::snapshot::{Class, Snapshot};
use crate::words::{Word, Words};

/// The best score a node can get from a plugin, before its weight.
pub(crate) const BEST: i64 = 100;

macro_rules! plugins {
    ($($id:ident = $plugin:path),* $(,)?) => {
        /// A plugin, in the order in which they are asked.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub(crate) enum PluginId { $($id),* }

        impl PluginId {
            pub(crate) const ALL: [Self; [$(stringify!($id)),*].len()] = [$(Self::$id),*];

            pub(crate) fn plugin(self) -> &'static dyn Plugin {
                match self { $(Self::$id => &$plugin),* }
            }
        }
    };
}

plugins! {
    SchedulingGates = scheduling_gates::SchedulingGates,
    PrioritySort = priority_sort::PrioritySort,
    NodeUnschedulable = node_unschedulable::NodeUnschedulable,
    NodeName = node_name::NodeName,
    TaintToleration = taint_toleration::TaintToleration,
    NodeAffinity = node_affinity::NodeAffinity,
    NodePorts = node_ports::NodePorts,
    NodeResourcesFit = node_resources_fit::NodeResourcesFit,
    PodTopologySpread = pod_topology_spread::PodTopologySpread,
    InterPodAffinity = inter_pod_affinity::InterPodAffinity,
    DefaultPreemption = default_preemption::DefaultPreemption,
    NodeResourcesBalancedAllocation = node_resources_balanced_allocation::NodeResourcesBalancedAllocation,
    ImageLocality = image_locality::ImageLocality,
}

/// Some plugins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PluginSet(u32);

impl PluginSet {
    pub(crate) const ALL: Self = Self(u32::MAX);

    pub(crate) const fn with(self, id: PluginId) -> Self {
        Self(self.0 | 1 << id as u8)
    }

    pub(crate) const fn has(self, id: PluginId) -> bool {
        self.0 & 1 << id as u8 != 0
    }
}

/// Why a plugin refuses a node. Small, so that thousands of nodes can be refused without allocating; the text is made
/// only for those who read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reason {
    pub(crate) plugin: PluginId,
    /// Whether it might help to delete pods there.
    pub(crate) preemptible: bool,
    /// What the plugin means by it.
    pub(crate) code: u32,
    pub(crate) words: [Word; 2],
}

impl Reason {
    pub(crate) const fn new(plugin: PluginId, preemptible: bool) -> Self {
        Self {
            plugin,
            preemptible,
            code: 0,
            words: [Word::EMPTY; 2],
        }
    }

    const fn coded(self, code: u32) -> Self {
        Self { code, ..self }
    }

    /// As kube-scheduler says it; a node may lack several things at once.
    pub(crate) fn texts(&self, shape: &Shape, words: &Words) -> Vec<String> {
        self.plugin.plugin().texts(self, shape, words)
    }
}

/// What a plugin looks at: a pod and the cluster.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) class: &'a Class,
    pub(crate) shape: &'a Shape,
    /// `spec.nodeName`, while the pod is not taken to be there.
    pub(crate) named: Option<Word>,
    /// Anti-affinity of placed pods that means this pod.
    pub(crate) repelled: &'a [TallyId],
    pub(crate) rules: &'a Rules,
}

/// The configuration, prepared.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) strategy: Strategy,
    pub(crate) resources: Vec<(Word, i64)>,
    pub(crate) percentage: usize,
    /// Plugins that do not take part.
    pub(crate) off: PluginSet,
    /// Plugins whose filter always says yes.
    pub(crate) blind: PluginSet,
    /// Plugins whose score is turned around.
    pub(crate) inverted: PluginSet,
    pub(crate) ignore_priority: bool,
    pub(crate) ignore_budgets: bool,
    pub(crate) ignore_symmetry: bool,
    pub(crate) ignore_gates: bool,
}

impl Rules {
    pub(crate) fn new(config: &Config, words: &mut Words) -> Self {
        use crate::config::Fault;
        let resources = config.resources.iter();
        let mut rules = Self {
            strategy: config.strategy.clone(),
            resources: resources.map(|(name, weight)| (words.word(name), *weight)).collect(),
            percentage: config.percentage_of_nodes_to_score,
            off: PluginSet::default(),
            blind: PluginSet::default(),
            inverted: PluginSet::default(),
            ignore_priority: false,
            ignore_budgets: false,
            ignore_symmetry: false,
            ignore_gates: false,
        };
        for fault in &config.faults {
            match fault {
                Fault::AlwaysYes(plugin) => rules.blind = rules.blind.with(plugin.0),
                Fault::Off(plugin) => rules.off = rules.off.with(plugin.0),
                Fault::ScoreInverted(plugin) => rules.inverted = rules.inverted.with(plugin.0),
                Fault::PriorityIgnored => rules.ignore_priority = true,
                Fault::BudgetsIgnored => rules.ignore_budgets = true,
                Fault::SymmetryIgnored => rules.ignore_symmetry = true,
                Fault::GatesIgnored => rules.ignore_gates = true,
            }
        }
        rules
    }
}

/// What a plugin says of a pod before it sees nodes.
pub(crate) enum PreFilter {
    /// It need not be asked about any node.
    Skip,
    /// It is to be asked about each node.
    Ask,
    /// It is to be asked about these nodes; all others are out of the question.
    Only(Vec<NodeId>),
    /// The pod fits nowhere.
    Refuse(String),
}

/// Something that has a say in where a pod goes. All of it is a function of what it looks at.
pub(crate) trait Plugin: Sync {
    /// kube-scheduler's name of it.
    fn name(&self) -> &'static str;

    /// Whether it filters nodes.
    fn filters(&self) -> bool {
        false
    }

    /// Whether its verdict about a node depends on nothing but the node and the pods on it.
    fn looks_at_nodes_alone(&self) -> bool {
        true
    }

    /// What its score is multiplied with; 0 if it does not score.
    fn weight(&self) -> i64 {
        0
    }

    fn pre_filter(&self, _look: &Look<'_>) -> PreFilter {
        PreFilter::Skip
    }

    /// Why the pod may not go to the node, if it may not.
    fn filter(&self, _look: &Look<'_>, _node: NodeId) -> Option<Reason> {
        None
    }

    /// A reason in words.
    fn texts(&self, _reason: &Reason, _shape: &Shape, _words: &Words) -> Vec<String> {
        Vec::new()
    }

    /// Scores nodes from 0 to [`BEST`]; says whether it has an opinion at all.
    fn score(&self, _look: &Look<'_>, _nodes: &[NodeId], _scores: &mut [i64]) -> bool {
        false
    }

    /// Changes in the cluster that can make a pod fit which it refused.
    fn wakes(&self) -> Interests {
        Interests::NONE
    }

    /// Whether a change may have helped a pod that it refused.
    fn hint(&self, _look: &Look<'_>, _event: &Event) -> bool {
        true
    }
}

/// Stretches scores so that the best gets [`BEST`]; `reverse` makes the least the best.
fn normalise(scores: &mut [i64], reverse: bool) {
    let most = scores.iter().copied().max().unwrap_or(0);
    for score in scores {
        if most > 0 {
            *score = BEST * *score / most;
        }
        if reverse {
            *score = BEST - *score;
        }
    }
}
