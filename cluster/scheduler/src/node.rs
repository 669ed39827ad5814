//! A node, as the scheduler sees it.

use serde_json::Value;

use crate::id::PodId;
use crate::resources::Amounts;
use crate::selector::Labels;
use crate::shape::{Port, normal_image};
use crate::taint::Taint;
use crate::words::{Word, Words};

/// What changes seldom, or is looked at by few.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    /// Whether there is such a node; else it is a free place.
    pub(crate) here: bool,
    pub(crate) name: Word,
    pub(crate) labels: Labels,
    pub(crate) taints: Vec<Taint>,
    /// `spec.unschedulable`.
    pub(crate) cordoned: bool,
    /// Bytes of each image that is present.
    pub(crate) images: Vec<(Word, i64)>,
    /// Extended resources that there are.
    pub(crate) others: Vec<(Word, i64)>,
    /// Extended resources that are taken.
    pub(crate) used_others: Vec<(Word, i64)>,
    pub(crate) ports: Vec<Port>,
    pub(crate) pods: Vec<PodId>,
    /// Pods that wait for their victims here to go.
    pub(crate) nominated: Vec<PodId>,
}

/// What a node has and what is taken of it: what filters look at most, kept close together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Room {
    pub(crate) cpu: i64,
    pub(crate) memory: i64,
    pub(crate) storage: i64,
    pub(crate) pods: i64,
    pub(crate) used_cpu: i64,
    pub(crate) used_memory: i64,
    pub(crate) used_storage: i64,
    pub(crate) used_pods: i64,
    pub(crate) score_cpu: i64,
    pub(crate) score_memory: i64,
    pub(crate) nominated: u32,
}

/// What an object says about a node.
#[derive(Debug)]
pub(crate) struct NodeFacts {
    pub(crate) name: Word,
    pub(crate) labels: Labels,
    pub(crate) taints: Vec<Taint>,
    pub(crate) cordoned: bool,
    pub(crate) images: Vec<(Word, i64)>,
    pub(crate) allocatable: Amounts,
    pub(crate) pods: i64,
}

impl NodeFacts {
    pub(crate) fn read(node: &Value, words: &mut Words) -> Self {
        let (meta, spec, status) = (&node["metadata"], &node["spec"], &node["status"]);
        let allocatable = if status["allocatable"].is_object() {
            &status["allocatable"]
        } else {
            &status["capacity"]
        };
        let mut images = Vec::new();
        for image in status["images"].as_array().into_iter().flatten() {
            let size = image["sizeBytes"].as_i64().unwrap_or(0);
            let names = image["names"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str);
            images.extend(names.map(|name| (words.word(&normal_image(name)), size)));
        }
        images.sort_unstable();
        images.dedup_by_key(|(name, _)| *name);
        Self {
            name: words.word(meta["name"].as_str().unwrap_or_default()),
            labels: Labels::read(&meta["labels"], words),
            taints: spec["taints"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|taint| Taint::read(taint, words))
                .collect(),
            cordoned: spec["unschedulable"] == true,
            images,
            allocatable: Amounts::read(allocatable, words),
            pods: objects::quantity::Quantity::of(&allocatable["pods"]).map_or(0, |pods| pods.value()),
        }
    }
}
