//! Taints keep pods away that do not tolerate them; taints that only ask make a node less liked.

use super::{BEST, Look, Plugin, PluginId, PreFilter, Reason, normalise};
use crate::event::{Event, Interests};
use crate::id::NodeId;
use crate::shape::Shape;
use crate::taint::{Effect, Taint, Toleration, untolerated};
use crate::words::Words;

pub(crate) struct TaintToleration;

const REFUSED: Reason = Reason::new(PluginId::TaintToleration, false);

/// How many taints ask a pod to stay away that does not tolerate them.
fn intolerable(taints: &[Taint], tolerations: &[Toleration]) -> i64 {
    let tolerated = |taint: &Taint| tolerations.iter().any(|one| one.may_prefer() && one.covers(taint));
    let asks = taints.iter().filter(|taint| taint.effect == Effect::PreferNoSchedule);
    asks.filter(|taint| !tolerated(taint)).count() as i64
}

impl Plugin for TaintToleration {
    fn name(&self) -> &'static str {
        "TaintToleration"
    }

    fn filters(&self) -> bool {
        true
    }

    fn weight(&self) -> i64 {
        3
    }

    fn pre_filter(&self, look: &Look<'_>) -> PreFilter {
        if look.snapshot.forbidding == 0 {
            PreFilter::Skip
        } else {
            PreFilter::Ask
        }
    }

    fn filter(&self, look: &Look<'_>, node: NodeId) -> Option<Reason> {
        let taints = &look.snapshot.nodes[node.at()].taints;
        let taint = untolerated(taints, &look.shape.tolerations)?;
        Some(Reason {
            words: [taint.key, taint.value],
            ..REFUSED
        })
    }

    fn texts(&self, reason: &Reason, _shape: &Shape, words: &Words) -> Vec<String> {
        let [key, value] = reason.words.map(|word| words.text(word));
        vec![format!("node(s) had untolerated taint {{{key}: {value}}}")]
    }

    fn score(&self, look: &Look<'_>, nodes: &[NodeId], scores: &mut [i64]) -> bool {
        if look.snapshot.asking == 0 {
            scores.fill(BEST);
            return true;
        }
        for (node, score) in nodes.iter().zip(scores.iter_mut()) {
            *score = intolerable(&look.snapshot.nodes[node.at()].taints, &look.shape.tolerations);
        }
        normalise(scores, true);
        true
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
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_toleration_covers_a_taint_by_key_value_and_effect() {
        let mut words = Words::new();
        let mut kept_away = |taint: Value, toleration: Value| {
            let taints: Vec<Taint> = Taint::read(&taint, &mut words).into_iter().collect();
            untolerated(&taints, &[Toleration::read(&toleration, &mut words)]).is_some()
        };
        let gpu = |effect: &str| json!({"key": "accel", "value": "gpu", "effect": effect});
        for (taint, toleration, want) in [
            ("NoSchedule", json!({"key": "accel", "value": "gpu"}), false),
            (
                "NoSchedule",
                json!({"key": "accel", "operator": "Equal", "value": "tpu"}),
                true,
            ),
            ("NoSchedule", json!({"key": "accel", "operator": "Exists"}), false),
            ("NoSchedule", json!({"operator": "Exists"}), false),
            ("NoSchedule", json!({"operator": "Exists", "effect": "NoExecute"}), true),
            ("NoExecute", json!({"operator": "Exists", "effect": "NoExecute"}), false),
            ("NoExecute", json!({"key": "other", "operator": "Exists"}), true),
            ("PreferNoSchedule", json!({"key": "other"}), false),
        ] {
            assert_eq!(kept_away(gpu(taint), toleration.clone()), want, "{taint} {toleration}");
        }
    }

    #[test]
    fn taints_that_ask_are_counted_unless_tolerated() {
        let mut words = Words::new();
        let taint = |key: &str| json!({"key": key, "effect": "PreferNoSchedule"});
        let taints: Vec<Taint> = [taint("a"), taint("b"), json!({"key": "c", "effect": "NoSchedule"})]
            .iter()
            .filter_map(|one| Taint::read(one, &mut words))
            .collect();
        let tolerate = |toleration: Value, words: &mut Words| vec![Toleration::read(&toleration, words)];
        assert_eq!(intolerable(&taints, &[]), 2);
        let a = tolerate(json!({"key": "a", "operator": "Exists"}), &mut words);
        assert_eq!(intolerable(&taints, &a), 1);
        let forced = tolerate(
            json!({"key": "a", "operator": "Exists", "effect": "NoSchedule"}),
            &mut words,
        );
        assert_eq!(intolerable(&taints, &forced), 2);
    }
}
