//! Why a pod fits nowhere, in kube-scheduler's words.

use std::collections::{BTreeMap, HashMap};

use crate::plugin::Reason;
use crate::shape::Shape;
use crate::words::Words;

/// When there is no node at all.
pub(crate) const NO_NODES: &str = "no nodes available to schedule pods";

/// How many nodes there are for each reason.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    by_reason: HashMap<Reason, usize>,
    by_text: BTreeMap<String, usize>,
}

impl Tried {
    pub(crate) fn of(by_reason: &HashMap<Reason, usize>) -> Self {
        Self {
            by_reason: by_reason.clone(),
            by_text: BTreeMap::new(),
        }
    }

    /// Nodes that no plugin was asked about.
    pub(crate) fn and(mut self, count: usize, text: &str) -> Self {
        if count > 0 {
            *self.by_text.entry(text.to_owned()).or_default() += count;
        }
        self
    }

    /// `0/3 nodes are available: 1 Insufficient cpu, 2 Too many pods.`
    pub(crate) fn message(&self, nodes: usize, shape: &Shape, words: &Words) -> String {
        let mut texts = self.by_text.clone();
        for (reason, count) in &self.by_reason {
            for text in reason.texts(shape, words) {
                *texts.entry(text).or_default() += count;
            }
        }
        let mut lines: Vec<String> = texts.iter().map(|(text, count)| format!("{count} {text}")).collect();
        lines.sort_unstable();
        if lines.is_empty() {
            return format!("0/{nodes} nodes are available:");
        }
        format!("0/{nodes} nodes are available: {}.", lines.join(", "))
    }
}

/// When a plugin refused the pod before any node was looked at.
pub(crate) fn refused_beforehand(nodes: usize, text: &str) -> String {
    format!("0/{nodes} nodes are available: {text}.")
}
