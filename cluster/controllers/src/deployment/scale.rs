//! What a change of `spec.replicas` in the middle of a rollout does: each set gets its share.

use super::bounds::Bounds;
use super::sets::Set;

/// The sizes that the sets are to have, in their order.
///
/// `before` is `status.replicas` of the Deployment, for sets that do not say what they were meant for.
pub(super) fn shares(sets: &[&Set], bounds: &Bounds, before: i64) -> Vec<i64> {
    let mut sizes: Vec<i64> = sets.iter().map(|set| set.size()).collect();
    let allowed = if bounds.replicas > 0 { bounds.most() } else { 0 };
    let total: i64 = sizes.iter().sum();
    let to_add = allowed - total;
    // The largest first: where sizes are alike, the newer gains first, and the older loses first.
    let mut order: Vec<usize> = (0..sets.len()).collect();
    order.sort_by(|one, other| {
        let (one, other) = (sets[*one], sets[*other]);
        other.size().cmp(&one.size()).then_with(|| match to_add > 0 {
            true => other.age().cmp(&one.age()),
            false => one.age().cmp(&other.age()),
        })
    });
    let mut added = 0;
    for index in &order {
        let allowed = to_add - added;
        let share = share(sets[*index], bounds, before);
        let share = if to_add > 0 {
            share.min(allowed)
        } else {
            share.max(allowed)
        };
        sizes[*index] += share;
        added += share;
    }
    if let Some(first) = order.first() {
        sizes[*first] = (sizes[*first] + to_add - added).max(0);
    }
    sizes
}

/// How much a set grows when the whole does, as it stands to the whole that it was meant for.
fn share(set: &Set, bounds: &Bounds, before: i64) -> i64 {
    if bounds.replicas == 0 {
        return -set.size();
    }
    let meant = set.most().unwrap_or(before).max(1);
    let exact = set.size() as f64 * bounds.most() as f64 / meant as f64;
    exact.round() as i64 - set.size()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fault::Faults;

    fn set(name: &str, size: i64, most: i64, created: &str) -> Set {
        Set::of(json!({
            "metadata": {"name": name, "creationTimestamp": created, "annotations": {
                "deployment.kubernetes.io/max-replicas": most.to_string(),
            }},
            "spec": {"replicas": size},
        }))
    }

    #[test]
    fn each_set_grows_and_shrinks_by_its_share_and_the_largest_takes_the_rest() {
        // The example of Kubernetes' documentation: 10 replicas with a surge of 3 become 15.
        let (old, new) = (
            set("old", 8, 13, "2026-01-01T00:00:00Z"),
            set("new", 5, 13, "2026-01-02T00:00:00Z"),
        );
        let sized = |replicas: i64| {
            let deployment = json!({"spec": {"replicas": replicas, "strategy": {"rollingUpdate": {"maxSurge": 3}}}});
            let bounds = Bounds::of(&deployment, &Faults::default());
            shares(&[&old, &new], &bounds, 13)
        };
        assert_eq!(sized(15), [11, 7]);
        assert_eq!(sized(5), [5, 3]);
        assert_eq!(sized(0), [0, 0]);
    }
}
