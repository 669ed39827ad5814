//! Where the pods of a workload are, and why.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Matcher, Spanned};

/// Where the pods of a workload are. What is said of a node holds for every pod of the workload, and there must be one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlacementCheck {
    /// Name of the node; `{exists: false}` of pods that are on none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Matcher>,
    /// One of these nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_in: Option<Vec<Spanned<String>>>,
    /// On a node, and on none of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_on: Option<Vec<Spanned<String>>>,
    /// No two pods on nodes with the same value of this label; `node` means the node itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distinct_by: Option<String>,
    /// How many of its pods are on a node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<Matcher>,
    /// On nodes where pods of this workload are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_node_as: Option<Spanned<String>>,
    /// On nodes where no pods of this workload are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apart_from: Option<Spanned<String>>,
    /// How evenly they are spread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skew: Option<Skew>,
    /// On no node, and the scheduler says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unschedulable: Option<Unschedulable>,
    /// By node, the plugin that filters it out (needs `scheduler: explain`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rejected_by: BTreeMap<String, Matcher>,
    /// The node that is being made free for it by preemption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nominated: Option<Matcher>,
    /// The workloads of which pods had to go for it, and no others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preempted: Option<Vec<Spanned<String>>>,
}

/// How evenly pods are spread over the values of a label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Skew {
    /// The label of nodes.
    pub topology_key: String,
    /// Most pods by which one value may be ahead of another.
    pub max: u32,
    /// The values that count; those of every node that has the label, unless told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub among: Vec<String>,
}

/// What the scheduler says of pods that it cannot place.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Unschedulable {
    /// `Unschedulable` (unless told), `SchedulingGated` or `SchedulerError`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Matcher>,
    /// Its message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Matcher>,
}
