//! `nodeSelector` and node affinity.

use super::{Look, Plugin, PluginId, PreFilter, Reason, normalise};
use crate::event::{Event, Interests};
use crate::id::NodeId;
use crate::shape::Shape;
use crate::words::Words;

pub(crate) struct NodeAffinity;

const REFUSED: Reason = Reason::new(PluginId::NodeAffinity, false);

impl Plugin for NodeAffinity {
    fn name(&self) -> &'static str {
        "NodeAffinity"
    }

    fn filters(&self) -> bool {
        true
    }

    fn weight(&self) -> i64 {
        2
    }

    fn pre_filter(&self, look: &Look<'_>) -> PreFilter {
        let placement = &look.shape.placement;
        if placement.is_free() {
            return PreFilter::Skip;
        }
        match placement.only() {
            None => PreFilter::Ask,
            Some(names) if names.is_empty() && placement.terms.as_ref().is_some_and(|terms| !terms.is_empty()) => {
                PreFilter::Refuse("pod affinity terms conflict".to_owned())
            }
            Some(names) if names.is_empty() => PreFilter::Ask,
            Some(names) => {
                let known = names.iter().filter_map(|name| look.snapshot.node_named(*name));
                PreFilter::Only(known.collect())
            }
        }
    }

    fn filter(&self, look: &Look<'_>, node: NodeId) -> Option<Reason> {
        let node = &look.snapshot.nodes[node.at()];
        let words = &look.snapshot.words;
        let fits = look.shape.placement.matches(node.name, &node.labels, words);
        (!fits).then_some(REFUSED)
    }

    fn texts(&self, _reason: &Reason, _shape: &Shape, _words: &Words) -> Vec<String> {
        vec!["node(s) didn't match Pod's node affinity/selector".to_owned()]
    }

    fn score(&self, look: &Look<'_>, nodes: &[NodeId], scores: &mut [i64]) -> bool {
        let preferred = &look.shape.preferred_nodes;
        if preferred.is_empty() {
            return false;
        }
        for (node, score) in nodes.iter().zip(scores.iter_mut()) {
            let node = &look.snapshot.nodes[node.at()];
            let words = &look.snapshot.words;
            let liked = preferred
                .iter()
                .filter(|(_, term)| term.matches(node.name, &node.labels, words));
            *score = liked.map(|(weight, _)| *weight).sum();
        }
        normalise(scores, false);
        true
    }

    fn wakes(&self) -> Interests {
        Interests::NODE_ADDED.and(Interests::NODE_LABELS)
    }

    fn hint(&self, look: &Look<'_>, event: &Event) -> bool {
        event.node.is_none_or(|node| self.filter(look, node).is_none())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::selector::{Labels, Placement};

    #[test]
    fn selector_and_terms_must_both_hold_and_one_term_is_enough() {
        let mut words = Words::new();
        let name = words.word("n");
        let mut fits = |selector: serde_json::Value, terms: serde_json::Value| {
            let pod = json!({"spec": {"nodeSelector": selector, "affinity": {"nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": terms}}}});
            let placement: Placement = Shape::read(&pod, 0, false, &mut words).placement;
            let labels = Labels::read(&json!({"zone": "a", "disk": "ssd"}), &mut words);
            placement.matches(name, &labels, &words)
        };
        let zone = |values: &[&str]| json!({"matchExpressions": [{"key": "zone", "operator": "In", "values": values}]});
        assert!(fits(json!(null), json!(null)));
        assert!(fits(json!({"disk": "ssd"}), json!(null)));
        assert!(!fits(json!({"disk": "hdd"}), json!(null)));
        assert!(fits(
            json!(null),
            json!({"nodeSelectorTerms": [zone(&["b"]), zone(&["a"])]})
        ));
        assert!(!fits(
            json!(null),
            json!({"nodeSelectorTerms": [zone(&["b"]), zone(&["c"])]})
        ));
        assert!(!fits(
            json!({"disk": "hdd"}),
            json!({"nodeSelectorTerms": [zone(&["a"])]})
        ));
        assert!(!fits(json!(null), json!({"nodeSelectorTerms": []})));
        assert!(!fits(json!(null), json!({"nodeSelectorTerms": [{}]})));
    }
}
