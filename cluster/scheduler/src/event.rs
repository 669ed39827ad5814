//! Changes of the cluster, as far as they can make a waiting pod fit.

use crate::id::{ClassId, NodeId};

/// Kinds of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interests(u16);

impl Interests {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const NODE_ADDED: Self = Self(1);
    pub(crate) const NODE_LABELS: Self = Self(2);
    /// Taints, and whether it is cordoned.
    pub(crate) const NODE_TAINTS: Self = Self(4);
    pub(crate) const NODE_ROOM: Self = Self(8);
    pub(crate) const NODE_GONE: Self = Self(16);
    pub(crate) const POD_PLACED: Self = Self(32);
    pub(crate) const POD_GONE: Self = Self(64);
    /// A placed pod has other labels, or asks for less.
    pub(crate) const POD_CHANGED: Self = Self(128);
    pub(crate) const NAMESPACE: Self = Self(256);

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// A change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) what: Interests,
    /// The node that changed, or where the pod is or was.
    pub(crate) node: Option<NodeId>,
    /// The pod that came, changed or went.
    pub(crate) pod: Option<ClassId>,
    /// What it was like before.
    pub(crate) before: Option<ClassId>,
}

impl Event {
    pub(crate) const fn node(what: Interests, node: Option<NodeId>) -> Self {
        Self {
            what,
            node,
            pod: None,
            before: None,
        }
    }

    pub(crate) const fn pod(what: Interests, pod: ClassId, node: Option<NodeId>) -> Self {
        Self {
            what,
            node,
            pod: Some(pod),
            before: None,
        }
    }

    /// The shapes of the pod that changed, old and new.
    pub(crate) fn pods(&self) -> impl Iterator<Item = ClassId> {
        self.pod.into_iter().chain(self.before)
    }
}
