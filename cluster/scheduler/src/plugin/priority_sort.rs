//! Which pod is next: the one of highest priority; among equals the one that has waited longest.

use std::cmp::{Ordering, Reverse};
use std::time::Duration;

use super::Plugin;

pub(crate) struct PrioritySort;

impl Plugin for PrioritySort {
    fn name(&self) -> &'static str {
        "PrioritySort"
    }
}

/// A pod's place in the queue; the greatest is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rank {
    pub(crate) priority: i32,
    /// When it came into the queue.
    pub(crate) since: Duration,
    /// Counts up with each pod that came.
    pub(crate) order: u64,
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |rank: &Self| (rank.priority, Reverse((rank.since, rank.order)));
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priority_goes_before_time_and_time_before_nothing() {
        let rank = |priority, seconds, order| Rank {
            priority,
            since: Duration::from_secs(seconds),
            order,
        };
        assert!(rank(2, 9, 9) > rank(1, 0, 0));
        assert!(rank(1, 3, 9) > rank(1, 4, 0));
        assert!(rank(1, 3, 1) > rank(1, 3, 2));
    }
}
