//! Cordoned nodes take only pods that tolerate it.

use super::{Look, Plugin, PluginId, PreFilter, Reason};
use crate::event::{Event, Interests};
use crate::id::NodeId;
use crate::shape::Shape;
use crate::taint::{Effect, Taint, Toleration};
use crate::words::{Word, Words};

pub(crate) struct NodeUnschedulable;

const REFUSED: Reason = Reason::new(PluginId::NodeUnschedulable, false);

/// The taint that a cordoned node is treated as if it had.
const CORDON: Taint = Taint {
    key: Word::UNSCHEDULABLE,
    value: Word::EMPTY,
    effect: Effect::NoSchedule,
};

fn fits(cordoned: bool, tolerations: &[Toleration]) -> bool {
    !cordoned || tolerations.iter().any(|toleration| toleration.covers(&CORDON))
}

impl Plugin for NodeUnschedulable {
    fn name(&self) -> &'static str {
        "NodeUnschedulable"
    }

    fn filters(&self) -> bool {
        true
    }

    fn pre_filter(&self, look: &Look<'_>) -> PreFilter {
        if look.snapshot.cordoned == 0 || fits(true, &look.shape.tolerations) {
            PreFilter::Skip
        } else {
            PreFilter::Ask
        }
    }

    fn filter(&self, look: &Look<'_>, node: NodeId) -> Option<Reason> {
        let node = &look.snapshot.nodes[node.at()];
        (!fits(node.cordoned, &look.shape.tolerations)).then_some(REFUSED)
    }

    fn texts(&self, _reason: &Reason, _shape: &Shape, _words: &Words) -> Vec<String> {
        vec!["node(s) were unschedulable".to_owned()]
    }

    fn wakes(&self) -> Interests {
        Interests::NODE_ADDED.and(Interests::NODE_TAINTS)
    }

    fn hint(&self, look: &Look<'_>, event: &Event) -> bool {
        event.node.is_none_or(|node| self.filter(look, node).is_none())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cordon_is_a_taint_that_can_be_tolerated() {
        let mut words = Words::new();
        let mut fits = |cordoned, tolerations: serde_json::Value| {
            let read = tolerations.as_array().into_iter().flatten();
            let read: Vec<_> = read.map(|one| Toleration::read(one, &mut words)).collect();
            super::fits(cordoned, &read)
        };
        assert!(fits(false, json!([])));
        assert!(!fits(true, json!([])));
        let key = "node.kubernetes.io/unschedulable";
        assert!(fits(true, json!([{"key": key, "operator": "Exists"}])));
        assert!(fits(true, json!([{"operator": "Exists"}])));
        assert!(!fits(
            true,
            json!([{"key": key, "operator": "Exists", "effect": "NoExecute"}])
        ));
        assert!(!fits(true, json!([{"key": "other", "operator": "Exists"}])));
    }
}
