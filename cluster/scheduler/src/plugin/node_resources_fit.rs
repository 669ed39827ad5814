//! What pods ask for must fit into what a node has left; and how full a node should be.

use super::{BEST, Look, Plugin, PluginId, PreFilter, Reason};
use crate::config::Strategy;
use crate::event::{Event, Interests};
use crate::id::NodeId;
use crate::resources::amount;
use crate::shape::Shape;
use crate::words::{Word, Words};

pub(crate) struct NodeResourcesFit;

const REFUSED: Reason = Reason::new(PluginId::NodeResourcesFit, true);

const PODS: u32 = 1;
const CPU: u32 = 2;
const MEMORY: u32 = 4;
const STORAGE: u32 = 8;
/// The first extended resource of the pod; the next ones follow.
const OTHERS: u32 = 16;

/// What is lacking, as bits.
#[derive(Default)]
struct Lack {
    what: u32,
    /// Even an empty node would not do.
    forever: bool,
}

impl Lack {
    fn check(&mut self, what: u32, asked: i64, has: i64, used: i64) {
        if asked > has - used {
            self.what |= what;
            self.forever |= asked > has;
        }
    }
}

impl Plugin for NodeResourcesFit {
    fn name(&self) -> &'static str {
        "NodeResourcesFit"
    }

    fn filters(&self) -> bool {
        true
    }

    fn weight(&self) -> i64 {
        1
    }

    fn pre_filter(&self, _look: &Look<'_>) -> PreFilter {
        PreFilter::Ask
    }

    fn filter(&self, look: &Look<'_>, node: NodeId) -> Option<Reason> {
        let asked = &look.shape.requests.real;
        let room = &look.snapshot.rooms[node.at()];
        let mut lack = Lack::default();
        if room.used_pods + 1 > room.pods {
            lack.what = PODS;
        }
        // What is not asked for cannot be lacking, though a node may have less than nothing left.
        if asked.cpu > 0 {
            lack.check(CPU, asked.cpu, room.cpu, room.used_cpu);
        }
        if asked.memory > 0 {
            lack.check(MEMORY, asked.memory, room.memory, room.used_memory);
        }
        if asked.storage > 0 {
            lack.check(STORAGE, asked.storage, room.storage, room.used_storage);
        }
        for (place, (name, asked)) in asked.others.iter().enumerate() {
            let has = amount(&look.snapshot.nodes[node.at()].others, *name);
            let used = look.snapshot.other_used(node, *name);
            lack.check(OTHERS << place.min(27), *asked, has, used);
        }
        (lack.what != 0).then_some(Reason {
            preemptible: !lack.forever,
            ..REFUSED.coded(lack.what)
        })
    }

    fn texts(&self, reason: &Reason, shape: &Shape, words: &Words) -> Vec<String> {
        let mut texts = Vec::new();
        for (bit, text) in [
            (PODS, "Too many pods"),
            (CPU, "Insufficient cpu"),
            (MEMORY, "Insufficient memory"),
            (STORAGE, "Insufficient ephemeral-storage"),
        ] {
            if reason.code & bit != 0 {
                texts.push(text.to_owned());
            }
        }
        for (place, (name, _)) in shape.requests.real.others.iter().enumerate() {
            if reason.code & (OTHERS << place.min(27)) != 0 {
                texts.push(format!("Insufficient {}", words.text(*name)));
            }
        }
        texts
    }

    fn score(&self, look: &Look<'_>, nodes: &[NodeId], scores: &mut [i64]) -> bool {
        let words = &look.snapshot.words;
        let resources: Vec<(Measure, i64)> = look
            .rules
            .resources
            .iter()
            .filter_map(|(name, weight)| Some((Measure::of(*name, look.shape, words)?, *weight)))
            .collect();
        for (node, score) in nodes.iter().zip(scores.iter_mut()) {
            let (mut sum, mut weights) = (0, 0);
            for (measure, weight) in &resources {
                let (has, used) = measure.at(look, *node);
                if has == 0 {
                    continue;
                }
                let one = match &look.rules.strategy {
                    Strategy::LeastAllocated => least(used, has),
                    Strategy::MostAllocated => most(used, has),
                    Strategy::RequestedToCapacityRatio(points) => {
                        let one = ratio(points, used, has);
                        if one == 0 {
                            continue;
                        }
                        one
                    }
                };
                sum += one * weight;
                weights += weight;
            }
            *score = match &look.rules.strategy {
                _ if weights == 0 => 0,
                Strategy::RequestedToCapacityRatio(_) => (sum as f64 / weights as f64).round() as i64,
                _ => sum / weights,
            };
        }
        true
    }

    fn wakes(&self) -> Interests {
        Interests::NODE_ADDED
            .and(Interests::NODE_ROOM)
            .and(Interests::POD_GONE)
            .and(Interests::POD_CHANGED)
    }

    fn hint(&self, look: &Look<'_>, event: &Event) -> bool {
        match event.pod {
            // A node where a pod left may be full of others that are nominated there: the next attempt will tell.
            Some(_) => true,
            None => event.node.is_none_or(|node| self.filter(look, node).is_none()),
        }
    }
}

/// A resource that is compared.
enum Measure {
    Cpu(i64),
    Memory(i64),
    Storage(i64),
    Other(Word, i64),
}

impl Measure {
    /// The resource and what the pod asks of it; extended resources count only for pods that ask for them.
    fn of(name: Word, shape: &Shape, words: &Words) -> Option<Self> {
        let requests = &shape.requests;
        Some(match words.text(name) {
            "cpu" => Self::Cpu(requests.score_cpu),
            "memory" => Self::Memory(requests.score_memory),
            "ephemeral-storage" => Self::Storage(requests.real.storage),
            _ => match requests.real.other(name) {
                0 => return None,
                asked => Self::Other(name, asked),
            },
        })
    }

    /// What there is, and what would be taken with the pod.
    fn at(&self, look: &Look<'_>, node: NodeId) -> (i64, i64) {
        let room = &look.snapshot.rooms[node.at()];
        match self {
            Self::Cpu(asked) => (room.cpu, room.score_cpu + asked),
            Self::Memory(asked) => (room.memory, room.score_memory + asked),
            Self::Storage(asked) => (room.storage, room.used_storage + asked),
            Self::Other(name, asked) => (
                amount(&look.snapshot.nodes[node.at()].others, *name),
                look.snapshot.other_used(node, *name) + asked,
            ),
        }
    }
}

fn least(used: i64, has: i64) -> i64 {
    if used > has { 0 } else { (has - used) * BEST / has }
}

fn most(used: i64, has: i64) -> i64 {
    used.min(has) * BEST / has
}

/// The score at a use, on the lines between points; points score from 0 to 10.
fn ratio(points: &[(i64, i64)], used: i64, has: i64) -> i64 {
    let percent = if used > has { 100 } else { used * 100 / has };
    let score = |points: &[(i64, i64)]| match points {
        [] => 0,
        [first, ..] if percent <= first.0 => first.1 * 10,
        _ => {
            let between = points.windows(2).find(|pair| percent <= pair[1].0);
            match between {
                Some(pair) => {
                    let ((from, low), (to, high)) = (pair[0], pair[1]);
                    low * 10 + (high - low) * 10 * (percent - from) / (to - from)
                }
                None => points.last().map_or(0, |last| last.1 * 10),
            }
        }
    };
    score(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strategies_score_as_their_names_say() {
        assert_eq!(
            (least(0, 10), least(4, 10), least(10, 10), least(11, 10)),
            (100, 60, 0, 0)
        );
        assert_eq!(
            (most(0, 10), most(4, 10), most(10, 10), most(11, 10)),
            (0, 40, 100, 100)
        );
        let points = [(0, 0), (50, 10), (100, 4)];
        let at = |used| ratio(&points, used, 100);
        assert_eq!(
            (at(0), at(25), at(50), at(75), at(100), at(120)),
            (0, 50, 100, 70, 40, 40)
        );
        assert_eq!(ratio(&[], 1, 2), 0);
    }

    #[test]
    fn a_lack_is_forever_only_if_an_empty_node_would_not_do() {
        let lack = |asked, has, used| {
            let mut lack = Lack::default();
            lack.check(CPU, asked, has, used);
            (lack.what, lack.forever)
        };
        assert_eq!(lack(1, 2, 1), (0, false));
        assert_eq!(lack(2, 2, 1), (CPU, false));
        assert_eq!(lack(3, 2, 0), (CPU, true));
    }
}
