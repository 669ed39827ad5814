//! Taints of nodes, and what pods tolerate.
//!
//! See <https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/>.

use std::time::Duration;

use objects::meta;
use serde_json::Value;

use crate::pod;

pub(crate) const NOT_READY: &str = "node.kubernetes.io/not-ready";
pub(crate) const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
pub(crate) const NO_EXECUTE: &str = "NoExecute";
pub(crate) const NO_SCHEDULE: &str = "NoSchedule";

/// How long a pod may stay on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stay {
    /// As long as it likes.
    ForGood,
    /// So long from when it was first seen there with these taints.
    For(Duration),
    /// Not at all.
    No,
}

/// The taints that drive pods away.
pub(crate) fn driving(node: &Value) -> impl Iterator<Item = &Value> {
    let all = meta::list(node, &["spec", "taints"]).iter();
    all.filter(|taint| meta::text(taint, &["effect"]) == NO_EXECUTE)
}

/// How long a pod may stay on a node with these taints.
pub(crate) fn stay<'a>(taints: impl Iterator<Item = &'a Value>, tolerations: &[Value]) -> Stay {
    let mut least: Option<Duration> = None;
    for taint in taints {
        let Some(toleration) = tolerations.iter().find(|one| tolerates(one, taint)) else {
            return Stay::No;
        };
        if let Some(seconds) = meta::number(toleration, &["tolerationSeconds"]) {
            let own = pod::seconds(seconds);
            least = Some(least.map_or(own, |least| least.min(own)));
        }
    }
    match least {
        None => Stay::ForGood,
        Some(Duration::ZERO) => Stay::No,
        Some(least) => Stay::For(least),
    }
}

fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let of = |key: &str| {
        (
            meta::text(toleration, &[key]).to_owned(),
            meta::text(taint, &[key]).to_owned(),
        )
    };
    let (effect, key, value) = (of("effect"), of("key"), of("value"));
    if !effect.0.is_empty() && effect.0 != effect.1 || !key.0.is_empty() && key.0 != key.1 {
        return false;
    }
    match meta::text(toleration, &["operator"]) {
        "Exists" => true,
        // Without a key only `Exists` means something.
        "" | "Equal" => !key.0.is_empty() && value.0 == value.1,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stays(tolerations: &[Value]) -> Stay {
        let taints = [
            json!({"key": "a", "value": "1", "effect": "NoExecute"}),
            json!({"key": "b", "effect": "NoExecute"}),
        ];
        stay(taints.iter(), tolerations)
    }

    #[test]
    fn every_taint_must_be_tolerated_and_the_shortest_time_counts() {
        let b = json!({"key": "b", "operator": "Exists", "tolerationSeconds": 60});
        assert_eq!(stays(std::slice::from_ref(&b)), Stay::No);
        assert_eq!(stays(&[json!({"key": "a", "value": "2"}), b.clone()]), Stay::No);
        let a = json!({"key": "a", "value": "1", "tolerationSeconds": 5});
        assert_eq!(stays(&[a, b.clone()]), Stay::For(Duration::from_secs(5)));
        let at_once = json!({"key": "a", "operator": "Exists", "tolerationSeconds": -1});
        assert_eq!(stays(&[at_once, b]), Stay::No);
        assert_eq!(stays(&[json!({"operator": "Exists"})]), Stay::ForGood);
        assert_eq!(
            stays(&[json!({"operator": "Exists", "effect": "NoSchedule"})]),
            Stay::No
        );
    }
}
