//! A pod, beside its shape.

use std::sync::Arc;

use serde_json::Value;

use crate::decision::PodKey;
use crate::id::{ClassId, NodeId};
use crate::words::Word;

/// What makes a pod differ from its twins.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) key: PodKey,
    pub(crate) class: ClassId,
    /// The node in `spec.nodeName`, or the one it was decided to go to.
    pub(crate) node_name: Option<Word>,
    /// That node, once it is known.
    pub(crate) node: Option<NodeId>,
    /// Decided, but not yet seen bound.
    pub(crate) assumed: bool,
    /// The revision by which it was bound, once that is known.
    pub(crate) bound_by: Option<u64>,
    pub(crate) terminating: bool,
    /// Terminating because another took its place.
    pub(crate) preempted: bool,
    pub(crate) gated: bool,
    /// Whether this scheduler is asked to place it.
    pub(crate) ours: bool,
    /// `status.startTime` as a number that grows with time.
    pub(crate) started: Option<i64>,
    pub(crate) nominated: Option<NodeId>,
    /// What the last attempt ended with.
    pub(crate) message: Option<Arc<str>>,
}

/// Whether a pod has ended: it needs no node any more.
pub(crate) fn has_ended(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// Whether the victim of a preemption is told so.
pub(crate) fn is_preempted(pod: &Value) -> bool {
    objects::meta::condition(pod, "DisruptionTarget")
        .is_some_and(|condition| condition["status"] == "True" && condition["reason"] == "PreemptionByScheduler")
}

/// A timestamp such as `2026-11-21T14:08:58Z` as its digits: later is larger.
pub(crate) fn moment(text: &str) -> Option<i64> {
    let mut digits = text.bytes().filter(u8::is_ascii_digit).take(14).peekable();
    digits.peek()?;
    Some(digits.fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
}
