//! Nodes whose resources are used evenly are better.

use super::{BEST, Look, Plugin};
use crate::id::NodeId;

pub(crate) struct NodeResourcesBalancedAllocation;

/// 100 less the standard deviation of how much of each resource is used, in percent.
fn balance(cpu: f64, memory: f64) -> i64 {
    let spread = (cpu.min(1.0) - memory.min(1.0)).abs() / 2.0;
    ((1.0 - spread) * BEST as f64) as i64
}

impl Plugin for NodeResourcesBalancedAllocation {
    fn name(&self) -> &'static str {
        "NodeResourcesBalancedAllocation"
    }

    fn weight(&self) -> i64 {
        1
    }

    fn score(&self, look: &Look<'_>, nodes: &[NodeId], scores: &mut [i64]) -> bool {
        let asked = &look.shape.requests.real;
        if asked.cpu == 0 && asked.memory == 0 {
            return false;
        }
        for (node, score) in nodes.iter().zip(scores.iter_mut()) {
            let room = &look.snapshot.rooms[node.at()];
            *score = match (room.cpu, room.memory) {
                (0, _) | (_, 0) => BEST,
                (cpu, memory) => balance(
                    (room.used_cpu + asked.cpu) as f64 / cpu as f64,
                    (room.used_memory + asked.memory) as f64 / memory as f64,
                ),
            };
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::balance;

    #[test]
    fn even_use_is_best_and_overuse_counts_as_full() {
        assert_eq!(balance(0.5, 0.5), 100);
        assert_eq!(balance(0.8, 0.2), 70);
        assert_eq!(balance(1.0, 0.0), 50);
        assert_eq!(balance(7.0, 1.0), 100);
    }
}
