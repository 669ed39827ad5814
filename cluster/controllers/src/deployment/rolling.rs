//! A rolling update: up within the surge, down while enough pods are available.

use super::bounds::Bounds;
use super::sets::Set;

/// The size that the newest set may have now.
pub(super) fn new_size(new: &Set, old: &[Set], bounds: &Bounds) -> i64 {
    let size = new.size();
    if size >= bounds.replicas || !bounds.is_rolling {
        return bounds.replicas;
    }
    let total: i64 = size + old.iter().map(Set::held).sum::<i64>();
    let room = (bounds.most() - total).max(0);
    size + room.min(bounds.replicas - size)
}

/// The sizes that the old sets may have now, in their order.
pub(super) fn old_sizes(new: &Set, old: &[Set], bounds: &Bounds) -> Vec<i64> {
    let mut sizes: Vec<i64> = old.iter().map(Set::size).collect();
    let total: i64 = new.size() + sizes.iter().sum::<i64>();
    // The newest set's pods that are not available yet cannot be counted on.
    let mut most = total - bounds.fewest() - (new.size() - new.available()).max(0);
    if most <= 0 {
        return sizes;
    }
    let mut order: Vec<usize> = (0..old.len()).collect();
    order.sort_by(|one, other| old[*one].age().cmp(&old[*other].age()));
    // Pods that are not available anyway go first: nothing is lost with them.
    for index in &order {
        let down = (sizes[*index] - old[*index].available()).clamp(0, most);
        sizes[*index] -= down;
        most -= down;
    }
    let available: i64 = new.available() + old.iter().map(Set::available).sum::<i64>();
    let mut spare = (available - bounds.fewest()).max(0);
    for index in &order {
        let down = sizes[*index].min(spare);
        sizes[*index] -= down;
        spare -= down;
    }
    sizes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fault::Faults;

    fn set(size: i64, available: i64) -> Set {
        Set::of(
            json!({"metadata": {"name": "x"}, "spec": {"replicas": size}, "status": {"availableReplicas": available}}),
        )
    }

    fn bounds(replicas: i64, surge: i64, unavailable: i64) -> Bounds {
        let deployment = json!({"spec": {"replicas": replicas, "strategy": {
            "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable},
        }}});
        Bounds::of(&deployment, &Faults::default())
    }

    #[test]
    fn the_newest_grows_no_further_than_the_surge() {
        let bounds = bounds(10, 3, 2);
        assert_eq!(new_size(&set(0, 0), &[set(10, 10)], &bounds), 3);
        assert_eq!(new_size(&set(3, 3), &[set(8, 8)], &bounds), 5);
        assert_eq!(new_size(&set(12, 12), &[], &bounds), 10);
    }

    #[test]
    fn the_old_shrink_only_while_enough_are_available() {
        let bounds = bounds(10, 3, 2);
        assert_eq!(old_sizes(&set(3, 0), &[set(10, 10)], &bounds), [8]);
        assert_eq!(old_sizes(&set(5, 0), &[set(8, 8)], &bounds), [8]);
        assert_eq!(old_sizes(&set(5, 5), &[set(8, 8)], &bounds), [3]);
    }

    #[test]
    fn what_was_decided_and_not_done_yet_counts_on_both_sides() {
        // Eight of ten are to stay; the other two are still there, and are not to be counted on.
        let late = Set::of(json!({
            "metadata": {"name": "x"}, "spec": {"replicas": 8}, "status": {"replicas": 10, "availableReplicas": 10},
        }));
        let bounds = bounds(10, 3, 2);
        assert_eq!(new_size(&set(3, 0), std::slice::from_ref(&late), &bounds), 3);
        assert_eq!(old_sizes(&set(3, 1), &[late], &bounds), [7]);
    }

    #[test]
    fn pods_of_old_sets_that_are_not_available_go_first() {
        let bounds = bounds(4, 1, 0);
        assert_eq!(old_sizes(&set(1, 0), &[set(2, 2), set(2, 0)], &bounds), [2, 2]);
        assert_eq!(old_sizes(&set(1, 1), &[set(3, 3), set(1, 0)], &bounds), [3, 0]);
    }
}
