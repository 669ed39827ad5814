//! What the engine answers.

use std::sync::Arc;

use serde::Serialize;

/// Which pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct PodKey {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// Its UID: a pod of the same name that is made later is another pod.
    pub uid: Arc<str>,
}

/// What was decided about a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The pod.
    pub pod: PodKey,
    /// Where it goes, or why it does not.
    pub outcome: Outcome,
}

/// Where a pod goes, or why it does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The pod is to be bound. Until [`crate::Engine::put`] shows it bound, or [`crate::Engine::bind_failed`] is
    /// called, the engine takes it that it is there.
    Bind {
        /// The node.
        node: Arc<str>,
    },
    /// No node is fit for it now.
    Unschedulable {
        /// In kube-scheduler's words, for the condition `PodScheduled` and the event `FailedScheduling`.
        message: String,
        /// What becomes of `status.nominatedNodeName`.
        nomination: Nomination,
        /// Pods to be deleted to make room, the most important first.
        victims: Vec<PodKey>,
        /// Pods of less priority that were nominated for the same node and are so no more.
        displaced: Vec<PodKey>,
    },
}

/// What becomes of `status.nominatedNodeName`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nomination {
    /// It stays.
    Keep,
    /// It is emptied.
    Clear,
    /// It names this node: the victims there make room.
    Node(Arc<str>),
}
