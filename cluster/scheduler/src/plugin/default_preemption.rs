//! A pod that fits nowhere may take the place of pods of less priority.

use std::cmp::Reverse;

use super::{Plugin, PluginId, Reason};
use crate::cycle::{Refusal, Subject, verdict};
use crate::id::{ClassId, NodeId, PodId};
use crate::memory::Memory;
use crate::random::Random;
use crate::refused::Refused;
use crate::shape::Shape;
use crate::snapshot::Snapshot;
use crate::words::Words;

pub(crate) struct DefaultPreemption;

/// At least this part of the nodes in question is tried, in percent.
const LEAST_PERCENT: usize = 10;
/// At least so many nodes are tried.
const LEAST_NODES: usize = 100;

const NO_VICTIMS: Reason = Reason::new(PluginId::DefaultPreemption, false);

impl Plugin for DefaultPreemption {
    fn name(&self) -> &'static str {
        "DefaultPreemption"
    }

    fn texts(&self, _reason: &Reason, _shape: &Shape, _words: &Words) -> Vec<String> {
        vec!["No preemption victims found for incoming pod".to_owned()]
    }
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Preemption {
    /// Not tried: the pod stays nominated where it is. There may be a reason to be told.
    NotTried(Option<&'static str>),
    /// It helps nowhere.
    Futile(String),
    /// These pods, the most important first, are to go.
    Victims { node: NodeId, victims: Vec<PodId> },
}

/// Who would have to go from a node, and what speaks against it.
struct Candidate {
    victims: Vec<PodId>,
    cost: Cost,
}

/// Smaller is better; in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cost {
    broken_budgets: usize,
    highest_priority: i32,
    priorities: i64,
    victims: usize,
    /// When the longest running of the most important victims started: late is better.
    started: Reverse<i64>,
}

/// Finds a node where deleting pods of less priority makes room.
pub(crate) fn preempt(
    snapshot: &mut Snapshot,
    subject: &Subject<'_>,
    refusal: &Refusal,
    memory: &mut Memory,
    random: &mut Random,
) -> Preemption {
    if subject.rules.off.has(PluginId::DefaultPreemption) || snapshot.size() == 0 {
        return Preemption::NotTried(None);
    }
    if subject.shape.never_preempts {
        return Preemption::NotTried(Some("not eligible due to preemptionPolicy=Never."));
    }
    if waits_for_victims(snapshot, subject, refusal) {
        return Preemption::NotTried(Some("not eligible due to a terminating pod on the nominated node."));
    }
    let hopeful = refusal.nodes.preemptible();
    let wanted = (hopeful * LEAST_PERCENT / 100).max(LEAST_NODES).min(hopeful);
    let offset = random.below(hopeful);
    let mut refused: Vec<(NodeId, Reason)> = Vec::new();
    let mut best: Option<(Cost, NodeId)> = None;
    let (mut found, mut harmless) = (0, 0);
    let own = subject.nominated(snapshot);
    let remembers = memory.open(snapshot, subject);
    for node in refusal.nodes.preemptible_from(offset) {
        let find = |snapshot: &mut Snapshot| dry_run(snapshot, subject, node).map(|candidate| candidate.cost);
        let cost = if remembers && Some(node) != own {
            memory.cost(snapshot, node, find)
        } else {
            find(snapshot)
        };
        match cost {
            Ok(cost) => {
                found += 1;
                harmless += usize::from(cost.broken_budgets == 0);
                if best.is_none_or(|(least, _)| cost < least) {
                    best = Some((cost, node));
                }
                if found >= wanted && harmless > 0 {
                    break;
                }
            }
            Err(reason) => refused.push((node, reason)),
        }
    }
    let chosen = best.and_then(|(_, node)| Some((node, dry_run(snapshot, subject, node).ok()?)));
    match chosen {
        Some((node, Candidate { victims, .. })) => Preemption::Victims { node, victims },
        None => {
            let untried = snapshot.size() - refused.len();
            let refused = Refused::new(refused, None);
            let tried = refused.tried().and(untried, "Preemption is not helpful for scheduling");
            Preemption::Futile(tried.message(snapshot.size(), subject.shape, &snapshot.words))
        }
    }
}

/// Whether the pod made room before and its victims are still going.
fn waits_for_victims(snapshot: &Snapshot, subject: &Subject<'_>, refusal: &Refusal) -> bool {
    let nominated = subject.pod.and_then(|pod| snapshot.pod(pod)?.nominated);
    let Some(node) = nominated else { return false };
    if refusal.nodes.reason(node).is_some_and(|reason| !reason.preemptible) {
        return false;
    }
    let mut pods = snapshot.nodes[node.at()]
        .pods
        .iter()
        .filter_map(|pod| snapshot.pod(*pod));
    pods.any(|pod| pod.preempted && pod.terminating && priority(snapshot, pod.class) < subject.shape.priority)
}

fn priority(snapshot: &Snapshot, class: ClassId) -> i32 {
    snapshot.classes[class.at()].shape.priority
}

/// The more important first: higher priority, then longer running. A pod that has not started is the newest.
fn importance(snapshot: &Snapshot, pod: PodId) -> (Reverse<i32>, i64) {
    snapshot.pod(pod).map_or((Reverse(0), 0), |pod| {
        (Reverse(priority(snapshot, pod.class)), pod.started.unwrap_or(i64::MAX))
    })
}

/// Takes all lesser pods off a node, and puts back as many as can stay: first those whose budget would be broken.
fn dry_run(snapshot: &mut Snapshot, subject: &Subject<'_>, node: NodeId) -> Result<Candidate, Reason> {
    let mine = subject.shape.priority;
    let pods = snapshot.nodes[node.at()].pods.iter().copied();
    let lesser = |pod: &PodId| snapshot.shape_of(*pod).is_some_and(|shape| shape.priority < mine);
    let mut lesser: Vec<PodId> = pods.filter(lesser).collect();
    if lesser.is_empty() {
        return Err(NO_VICTIMS);
    }
    for pod in &lesser {
        snapshot.vacate(*pod, node);
    }
    if let Some(reason) = verdict(snapshot, subject, node) {
        for pod in &lesser {
            snapshot.occupy(*pod, node);
        }
        return Err(reason);
    }
    lesser.sort_by_key(|pod| importance(snapshot, *pod));
    let broken = if subject.rules.ignore_budgets {
        vec![false; lesser.len()]
    } else {
        breaks_budget(snapshot, &lesser)
    };
    let mut victims = Vec::new();
    let mut broken_budgets = 0;
    for breaking in [true, false] {
        for (pod, _) in lesser.iter().zip(&broken).filter(|(_, breaks)| **breaks == breaking) {
            snapshot.occupy(*pod, node);
            if verdict(snapshot, subject, node).is_some() {
                snapshot.vacate(*pod, node);
                victims.push(*pod);
                broken_budgets += usize::from(breaking);
            }
        }
    }
    for pod in &victims {
        snapshot.occupy(*pod, node);
    }
    victims.sort_by_key(|pod| importance(snapshot, *pod));
    let Some(first) = victims.first() else {
        // It fits with everybody there: another pod left meanwhile.
        return Err(NO_VICTIMS);
    };
    let (Reverse(highest_priority), _) = importance(snapshot, *first);
    let all = || victims.iter().map(|pod| importance(snapshot, *pod));
    let cost = Cost {
        broken_budgets,
        highest_priority,
        priorities: all()
            .map(|(Reverse(priority), _)| i64::from(priority) + (1 << 31))
            .sum(),
        victims: victims.len(),
        started: Reverse(
            all()
                .filter(|(priority, _)| priority.0 == highest_priority)
                .map(|(_, started)| started)
                .min()
                .unwrap_or(i64::MAX),
        ),
    };
    Ok(Candidate { victims, cost })
}

/// For each pod, whether deleting it after those before it would go beyond what a budget allows.
fn breaks_budget(snapshot: &Snapshot, pods: &[PodId]) -> Vec<bool> {
    if snapshot.budgets.is_empty() {
        return vec![false; pods.len()];
    }
    let mut left: Vec<_> = snapshot
        .budgets
        .values()
        .map(|budget| (budget, budget.allowed))
        .collect();
    let mut breaks = Vec::new();
    for pod in pods {
        let mut breaking = false;
        if let Some(pod) = snapshot.pod(*pod) {
            let shape = &snapshot.classes[pod.class.at()].shape;
            for (budget, allowed) in &mut left {
                let selects = budget
                    .selector
                    .as_ref()
                    .is_some_and(|selector| !selector.0.is_empty() && selector.matches(&shape.labels, &snapshot.words));
                let counted = budget.disrupted.iter().any(|name| **name == *pod.key.name);
                if budget.namespace == shape.namespace && selects && !shape.labels.is_empty() && !counted {
                    *allowed -= 1;
                    breaking |= *allowed < 0;
                }
            }
        }
        breaks.push(breaking);
    }
    breaks
}

/// Pods of less priority that wait for room on a node which another is to take.
pub(crate) fn displaced(snapshot: &Snapshot, priority: i32, node: NodeId) -> Vec<PodId> {
    let nominated = snapshot.nodes[node.at()].nominated.iter().copied();
    let less = |pod: &PodId| snapshot.shape_of(*pod).is_some_and(|shape| shape.priority < priority);
    nominated.filter(less).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_compared_in_kubernetes_order() {
        let base = Cost {
            broken_budgets: 0,
            highest_priority: 5,
            priorities: 10,
            victims: 2,
            started: Reverse(100),
        };
        let worse = [
            Cost {
                broken_budgets: 1,
                highest_priority: 0,
                priorities: 0,
                victims: 1,
                ..base
            },
            Cost {
                highest_priority: 6,
                priorities: 0,
                victims: 1,
                ..base
            },
            Cost {
                priorities: 11,
                victims: 1,
                ..base
            },
            Cost {
                victims: 3,
                started: Reverse(200),
                ..base
            },
            Cost {
                started: Reverse(99),
                ..base
            },
        ];
        for worse in worse {
            assert!(base < worse, "{worse:?}");
        }
    }
}
