//! Pods that belong together are spread over zones, hosts or whatever a label says.

use super::{BEST, Look, Plugin, PluginId, PreFilter, Reason};
use crate::event::{Event, Interests};
use crate::id::{ClassId, NodeId};
use crate::shape::Shape;
use crate::snapshot::SpreadUse;
use crate::tally::{NOWHERE, Tally};
use crate::words::{Word, Words};

pub(crate) struct PodTopologySpread;

const LABEL_MISSING: u32 = 1;
const UNEVEN: Reason = Reason::new(PluginId::PodTopologySpread, true);
const MISSING: Reason = Reason::new(PluginId::PodTopologySpread, false).coded(LABEL_MISSING);

/// The least that counts as even: nothing, while there are fewer domains than wanted.
fn floor(tally: &Tally, min_domains: usize) -> i64 {
    if tally.domains < min_domains {
        0
    } else {
        i64::from(tally.low())
    }
}

fn too_uneven(count: i64, own: i64, floor: i64, max_skew: i64) -> bool {
    count + own - floor > max_skew
}

/// Domains of a large topology count less: with more of them, each has fewer pods.
fn weight_of(domains: usize) -> f64 {
    ((domains + 2) as f64).ln()
}

impl Plugin for PodTopologySpread {
    fn name(&self) -> &'static str {
        "PodTopologySpread"
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
        if look.class.spread.iter().any(|one| one.hard) {
            PreFilter::Ask
        } else {
            PreFilter::Skip
        }
    }

    fn filter(&self, look: &Look<'_>, node: NodeId) -> Option<Reason> {
        let tallies = &look.snapshot.tallies;
        for constraint in look.class.spread.iter().filter(|one| one.hard) {
            let domain = tallies.topologies[constraint.topology.at()].of[node.at()];
            if domain == NOWHERE {
                return Some(MISSING);
            }
            let tally = tallies.tally(constraint.tally);
            let count = i64::from(tally.count(domain));
            let floor = floor(tally, constraint.min_domains);
            if too_uneven(count, constraint.own, floor, constraint.max_skew) {
                return Some(UNEVEN);
            }
        }
        None
    }

    fn texts(&self, reason: &Reason, _shape: &Shape, _words: &Words) -> Vec<String> {
        let text = "node(s) didn't match pod topology spread constraints";
        vec![match reason.code {
            LABEL_MISSING => format!("{text} (missing required label)"),
            _ => text.to_owned(),
        }]
    }

    fn score(&self, look: &Look<'_>, nodes: &[NodeId], scores: &mut [i64]) -> bool {
        let tallies = &look.snapshot.tallies;
        let constraints: Vec<&SpreadUse> = look.class.asked_spread().collect();
        if constraints.is_empty() {
            return false;
        }
        // Pods that say nothing are spread by host where there are no zones; those that say something mean it.
        let all_needed = !look.shape.spread.is_empty();
        let domain = |one: &SpreadUse, node: &NodeId| tallies.topologies[one.topology.at()].of[node.at()];
        let ignored = |node: &NodeId| all_needed && constraints.iter().any(|one| domain(one, node) == NOWHERE);
        let mut totals = vec![0.0; nodes.len()];
        for constraint in &constraints {
            let tally = tallies.tally(constraint.tally);
            let by_host = tallies.topologies[constraint.topology.at()].key == Word::HOSTNAME;
            let kept = nodes.iter().filter(|node| !ignored(node));
            let domains = if by_host {
                kept.count()
            } else {
                let mut seen: Vec<bool> = Vec::new();
                let (mut domains, mut elsewhere) = (0, 0);
                for node in kept {
                    match domain(constraint, node) {
                        NOWHERE => elsewhere = 1,
                        place => {
                            let place = place as usize;
                            if seen.len() <= place {
                                seen.resize(place + 1, false);
                            }
                            if !std::mem::replace(&mut seen[place], true) {
                                domains += 1;
                            }
                        }
                    }
                }
                domains + elsewhere
            };
            let weight = weight_of(domains);
            for (node, total) in nodes.iter().zip(&mut totals) {
                let domain = domain(constraint, node);
                if domain != NOWHERE {
                    *total += f64::from(tally.count(domain)) * weight + (constraint.max_skew - 1) as f64;
                }
            }
        }
        let (mut least, mut most) = (i64::MAX, 0);
        for ((node, score), total) in nodes.iter().zip(scores.iter_mut()).zip(&totals) {
            *score = if ignored(node) { -1 } else { total.round() as i64 };
            if *score >= 0 {
                least = least.min(*score);
                most = most.max(*score);
            }
        }
        for score in scores {
            *score = match *score {
                -1 => 0,
                _ if most == 0 => BEST,
                score => BEST * (most + least - score) / most,
            };
        }
        true
    }

    fn wakes(&self) -> Interests {
        Interests::NODE_ADDED
            .and(Interests::NODE_LABELS)
            .and(Interests::NODE_TAINTS)
            .and(Interests::NODE_GONE)
            .and(Interests::POD_PLACED)
            .and(Interests::POD_GONE)
            .and(Interests::POD_CHANGED)
    }

    fn hint(&self, look: &Look<'_>, event: &Event) -> bool {
        let counted = |pod: ClassId, one: &SpreadUse| {
            let matcher = look.snapshot.tallies.tally(one.tally).key.matcher;
            look.snapshot.classes[pod.at()].matchers.contains(&matcher)
        };
        let hard = || look.class.spread.iter().filter(|one| one.hard);
        match event.pod {
            None => true,
            Some(_) => event.pods().any(|pod| hard().any(|one| counted(pod, one))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skew_counts_the_pod_itself() {
        for (count, own, floor, max_skew, want) in [
            (0, 1, 0, 1, false),
            (1, 1, 0, 1, true),
            (1, 0, 0, 1, false),
            (1, 1, 1, 1, false),
            (2, 1, 0, 2, true),
            (2, 1, 1, 2, false),
        ] {
            assert_eq!(
                too_uneven(count, own, floor, max_skew),
                want,
                "{count} {own} {floor} {max_skew}"
            );
        }
    }
}
