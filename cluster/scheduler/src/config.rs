//! How the scheduler is set up, and how it can be broken on purpose.

use std::fmt;
use std::str::FromStr;

use crate::plugin::PluginId;

/// How the scheduler is set up. The default is kube-scheduler's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What random choices between equal nodes are drawn from.
    pub seed: u64,
    /// Pods with this `spec.schedulerName` are placed.
    pub scheduler_name: String,
    /// How nodes are compared by what is left on them.
    pub strategy: Strategy,
    /// Resources that are compared, with their weights.
    pub resources: Vec<(String, i64)>,
    /// How many of the nodes are to be found fit before the best is taken; 0: fewer the larger the cluster is.
    pub percentage_of_nodes_to_score: usize,
    /// What is broken on purpose.
    pub faults: Vec<Fault>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 1,
            scheduler_name: "default-scheduler".to_owned(),
            strategy: Strategy::LeastAllocated,
            resources: vec![("cpu".to_owned(), 1), ("memory".to_owned(), 1)],
            percentage_of_nodes_to_score: 0,
            faults: Vec::new(),
        }
    }
}

/// The scoring strategy of `NodeResourcesFit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Emptier nodes are better.
    LeastAllocated,
    /// Fuller nodes are better.
    MostAllocated,
    /// By points of use in percent and score from 0 to 10, rising in use; straight lines between them.
    RequestedToCapacityRatio(Vec<(i64, i64)>),
}

/// Something that is broken on purpose, so that a check can be seen to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The plugin lets every pod go everywhere.
    AlwaysYes(Plugin),
    /// The plugin does not take part.
    Off(Plugin),
    /// The plugin likes best what it should like least.
    ScoreInverted(Plugin),
    /// Pods are taken in the order they came.
    PriorityIgnored,
    /// Victims are chosen without regard for disruption budgets.
    BudgetsIgnored,
    /// Pods with anti-affinity do not keep others away, only themselves.
    SymmetryIgnored,
    /// Nobody waits: pods with scheduling gates are placed.
    GatesIgnored,
}

/// A plugin, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Plugin(pub(crate) PluginId);

impl Plugin {
    /// kube-scheduler's name of it.
    pub fn name(self) -> &'static str {
        self.0.plugin().name()
    }
}

/// A fault that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no scheduler fault is called `{0}`")]
pub struct NoSuchFault(String);

impl Fault {
    /// Every fault there is.
    pub fn all() -> Vec<Self> {
        let mut all = vec![
            Self::PriorityIgnored,
            Self::BudgetsIgnored,
            Self::SymmetryIgnored,
            Self::GatesIgnored,
        ];
        for id in PluginId::ALL {
            let plugin = id.plugin();
            if plugin.filters() {
                all.push(Self::AlwaysYes(Plugin(id)));
            }
            if plugin.filters() || plugin.weight() > 0 || id == PluginId::DefaultPreemption {
                all.push(Self::Off(Plugin(id)));
            }
            if plugin.weight() > 0 {
                all.push(Self::ScoreInverted(Plugin(id)));
            }
        }
        all
    }

    /// What happens, in a sentence.
    pub fn describe(self) -> String {
        match self {
            Self::AlwaysYes(plugin) => format!("{} lets every pod go everywhere", plugin.name()),
            Self::Off(plugin) => format!("{} does not take part", plugin.name()),
            Self::ScoreInverted(plugin) => format!("{} likes best what it should like least", plugin.name()),
            Self::PriorityIgnored => "pods are taken in the order they came".to_owned(),
            Self::BudgetsIgnored => "victims are chosen without regard for disruption budgets".to_owned(),
            Self::SymmetryIgnored => "pods with anti-affinity do not keep others away".to_owned(),
            Self::GatesIgnored => "pods with scheduling gates are placed".to_owned(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlwaysYes(plugin) => write!(out, "{}:always-yes", plugin.name()),
            Self::Off(plugin) => write!(out, "{}:off", plugin.name()),
            Self::ScoreInverted(plugin) => write!(out, "{}:score-inverted", plugin.name()),
            Self::PriorityIgnored => out.write_str("priority-ignored"),
            Self::BudgetsIgnored => out.write_str("budgets-ignored"),
            Self::SymmetryIgnored => out.write_str("symmetry-ignored"),
            Self::GatesIgnored => out.write_str("gates-ignored"),
        }
    }
}

impl FromStr for Fault {
    type Err = NoSuchFault;

    fn from_str(text: &str) -> Result<Self, NoSuchFault> {
        let named = |fault: &Self| fault.to_string() == text;
        Self::all()
            .into_iter()
            .find(named)
            .ok_or_else(|| NoSuchFault(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_found_by_its_name_and_says_what_it_does() {
        let all = Fault::all();
        assert!(all.len() > 20, "{}", all.len());
        for fault in all {
            assert_eq!(fault.to_string().parse(), Ok(fault));
            assert!(!fault.describe().is_empty());
        }
        assert!("NodeName:score-inverted".parse::<Fault>().is_err());
    }
}
