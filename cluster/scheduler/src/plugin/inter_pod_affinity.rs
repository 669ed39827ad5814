//! Pods that want to be near others, or far from them; and pods that others want near or far.

use super::{BEST, Look, Plugin, PluginId, PreFilter, Reason};
use crate::event::{Event, Interests};
use crate::id::{ClassId, NodeId, TallyId};
use crate::shape::Shape;
use crate::tally::{Counted, NOWHERE, Role};
use crate::words::Words;

pub(crate) struct InterPodAffinity;

const AFFINITY: u32 = 0;
const ANTI_AFFINITY: u32 = 1;
const AFFINITY_UNMET: Reason = Reason::new(PluginId::InterPodAffinity, false).coded(AFFINITY);
const OWN_ANTI_AFFINITY: Reason = Reason::new(PluginId::InterPodAffinity, true).coded(ANTI_AFFINITY);
const ANTI_AFFINITY_OF_OTHERS: Reason = Reason::new(PluginId::InterPodAffinity, true).coded(2);

/// How many are counted in the node's domain; nothing if it is in none.
fn count(look: &Look<'_>, tally: TallyId, node: NodeId) -> Option<u32> {
    let tallies = &look.snapshot.tallies;
    match tallies.domain(tally, node) {
        NOWHERE => None,
        domain => Some(tallies.tally(tally).count(domain)),
    }
}

/// Whether every term finds a pod in the node's domain. The first pod of its kind would wait for itself for ever:
/// it may go anywhere as long as the node has the labels.
fn meets_affinity(look: &Look<'_>, node: NodeId) -> bool {
    let mut near = true;
    for tally in &look.class.affinity {
        match count(look, *tally, node) {
            None => return false,
            Some(count) => near &= count > 0,
        }
    }
    let nobody = || {
        let mut tallies = look.class.affinity.iter();
        tallies.all(|tally| look.snapshot.tallies.tally(*tally).total == 0)
    };
    near || (look.class.meets_itself && nobody())
}

impl Plugin for InterPodAffinity {
    fn name(&self) -> &'static str {
        "InterPodAffinity"
    }

    fn filters(&self) -> bool {
        true
    }

    fn looks_at_nodes_alone(&self) -> bool {
        false
    }

    fn weight(&self) -> i64 {
        2
    }

    fn pre_filter(&self, look: &Look<'_>) -> PreFilter {
        if look.class.affinity.is_empty() && look.class.anti_affinity.is_empty() && look.repelled.is_empty() {
            PreFilter::Skip
        } else {
            PreFilter::Ask
        }
    }

    fn filter(&self, look: &Look<'_>, node: NodeId) -> Option<Reason> {
        let crowded = |tally: &TallyId| count(look, *tally, node).is_some_and(|count| count > 0);
        if !look.class.affinity.is_empty() && !meets_affinity(look, node) {
            return Some(AFFINITY_UNMET);
        }
        if look.class.anti_affinity.iter().any(crowded) {
            return Some(OWN_ANTI_AFFINITY);
        }
        look.repelled.iter().any(crowded).then_some(ANTI_AFFINITY_OF_OTHERS)
    }

    fn texts(&self, reason: &Reason, _shape: &Shape, _words: &Words) -> Vec<String> {
        let text = match reason.code {
            AFFINITY => "node(s) didn't match pod affinity rules",
            ANTI_AFFINITY => "node(s) didn't match pod anti-affinity rules",
            _ => "node(s) didn't satisfy existing pods anti-affinity rules",
        };
        vec![text.to_owned()]
    }

    fn score(&self, look: &Look<'_>, nodes: &[NodeId], scores: &mut [i64]) -> bool {
        let tallies = &look.snapshot.tallies;
        let mut weighed: Vec<(i64, TallyId)> = look.class.preferred_pods.clone();
        for matcher in &look.class.matchers {
            for holder in &tallies.matchers[matcher.at()].holders {
                match tallies.tally(*holder).key.counted {
                    Counted::Holders(Role::Requires) => weighed.push((1, *holder)),
                    Counted::Holders(Role::Prefers(weight)) => weighed.push((weight, *holder)),
                    Counted::Holders(Role::Repels) | Counted::Meant => {}
                }
            }
        }
        weighed.retain(|(_, tally)| tallies.tally(*tally).total > 0);
        if weighed.is_empty() {
            return false;
        }
        scores.fill(0);
        for (weight, tally) in weighed {
            let tally = tallies.tally(tally);
            let topology = &tallies.topologies[tally.key.topology.at()];
            for (node, score) in nodes.iter().zip(scores.iter_mut()) {
                let domain = topology.of[node.at()];
                if domain != NOWHERE {
                    *score += weight * i64::from(tally.count(domain));
                }
            }
        }
        let least = scores.iter().copied().min().unwrap_or(0);
        let most = scores.iter().copied().max().unwrap_or(0);
        for score in scores {
            *score = match most - least {
                0 => 0,
                range => (BEST as f64 * ((*score - least) as f64 / range as f64)) as i64,
            };
        }
        true
    }

    fn wakes(&self) -> Interests {
        Interests::NODE_ADDED
            .and(Interests::NODE_LABELS)
            .and(Interests::POD_PLACED)
            .and(Interests::POD_GONE)
            .and(Interests::POD_CHANGED)
            .and(Interests::NAMESPACE)
    }

    fn hint(&self, look: &Look<'_>, event: &Event) -> bool {
        let tallies = &look.snapshot.tallies;
        let means = |pod: ClassId, tally: &TallyId| {
            let matcher = tallies.tally(*tally).key.matcher;
            look.snapshot.classes[pod.at()].matchers.contains(&matcher)
        };
        let wanted = |pod: ClassId| look.class.affinity.iter().any(|tally| means(pod, tally));
        let unwanted = |pod: ClassId| look.class.anti_affinity.iter().any(|tally| means(pod, tally));
        // A pod that kept others away is gone or changed: whom it kept away is not looked up.
        let kept_away = |pod: ClassId| !look.snapshot.classes[pod.at()].shape.anti_affinity.is_empty();
        if event.pod.is_none() {
            return true;
        }
        if event.what == Interests::POD_PLACED {
            return event.pods().any(wanted);
        }
        event.pods().any(|pod| wanted(pod) || unwanted(pod) || kept_away(pod))
    }
}
