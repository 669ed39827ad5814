//! From requests and limits to control groups.

use objects::qos::{self, Qos};
use objects::{meta, requests};
use serde_json::{Value, json};

use crate::cgroup::Limits;

/// Where the group of a pod is, below its node's.
pub(crate) fn group(pod: &Value) -> std::path::PathBuf {
    let class = match qos::of(pod) {
        Qos::Guaranteed => "",
        Qos::Burstable => "burstable",
        Qos::BestEffort => "besteffort",
    };
    let uid = meta::uid(pod);
    std::path::Path::new("kubepods").join(class).join(format!("pod{uid}"))
}

/// `cpu.shares` for millicores.
pub(crate) fn shares(milli: i64) -> u64 {
    (u64::try_from(milli).unwrap_or(0) * 1024 / 1000).clamp(2, 262_144)
}

fn positive(amount: Option<i64>) -> Option<u64> {
    amount
        .and_then(|amount| u64::try_from(amount).ok())
        .filter(|amount| *amount > 0)
}

/// The limits of a pod's group: sums over its containers, and a limit only where every container has one.
pub(crate) fn of_pod(pod: &Value) -> Limits {
    let asked = requests::requests(pod);
    let limits = requests::limits(pod);
    let every = |resource: &str| {
        let mut all = ["containers", "initContainers"]
            .into_iter()
            .flat_map(|key| meta::list(pod, &["spec", key]));
        all.all(|one| requests::of_container(one, "limits").contains_key(resource))
    };
    let limit = |resource: &str| {
        limits
            .get(resource)
            .copied()
            .filter(|amount| every(resource) && !amount.is_zero())
    };
    Limits {
        cpu: positive(limit("cpu").map(|amount| amount.milli())),
        shares: Some(shares(asked.get("cpu").map_or(0, |amount| amount.milli()))),
        memory: positive(limit("memory").map(|amount| amount.value())),
        pids: None,
    }
}

/// `linux.resources` of a container.
pub(crate) fn of_container(container: &Value, memory_limit: bool) -> Value {
    let (asked, limits) = (
        requests::of_container(container, "requests"),
        requests::of_container(container, "limits"),
    );
    let request = asked.get("cpu").or_else(|| limits.get("cpu"));
    let mut all = json!({"cpu": {"shares": shares(request.map_or(0, |amount| amount.milli()))}});
    if let Some(milli) = positive(limits.get("cpu").map(|amount| amount.milli())) {
        all["cpu"]["quota"] = json!((milli * 100).max(1000));
        all["cpu"]["period"] = json!(100_000);
    }
    if let Some(bytes) = positive(limits.get("memory").map(|amount| amount.value())).filter(|_| memory_limit) {
        all["memory"]["limit"] = json!(bytes);
    }
    all
}

/// Keeps a container from swapping, as a kubelet does by default (`NoSwap`): only then does its limit of memory hold.
pub(crate) fn without_swap(resources: &mut Value) {
    resources["unified"] = json!({"memory.swap.max": "0"});
}

/// `oom_score_adj`: who is killed first when the node itself runs out of memory.
///
/// See <https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#node-out-of-memory-behavior>.
pub(crate) fn oom_score(pod: &Value, container: &Value, capacity: i64) -> i64 {
    if meta::number(pod, &["spec", "priority"]).is_some_and(|priority| priority >= 2_000_000_000) {
        return -997;
    }
    match qos::of(pod) {
        Qos::Guaranteed => -997,
        Qos::BestEffort => 1000,
        Qos::Burstable => {
            let asked = requests::of_container(container, "requests");
            let memory = asked.get("memory").map_or(0, |amount| amount.value());
            (1000 - 1000 * memory / capacity.max(1)).clamp(3, 999)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(containers: Value) -> Value {
        json!({"metadata": {"uid": "u1"}, "spec": {"containers": containers}})
    }

    #[test]
    fn the_class_of_a_pod_decides_where_its_group_is() {
        let both = json!({"cpu": "1", "memory": "64Mi"});
        let path = |resources: Value| {
            group(&pod(json!([{"name": "a", "resources": resources}])))
                .display()
                .to_string()
        };
        assert_eq!(path(json!({"limits": both, "requests": both})), "kubepods/podu1");
        assert_eq!(path(json!({"requests": both})), "kubepods/burstable/podu1");
        assert_eq!(path(json!({})), "kubepods/besteffort/podu1");
    }

    #[test]
    fn a_pod_is_limited_only_if_all_its_containers_are() {
        let limited = json!({"name": "a", "resources": {"limits": {"memory": "64Mi"}, "requests": {"cpu": "250m", "memory": "64Mi"}}});
        let one = of_pod(&pod(json!([limited])));
        assert_eq!(
            one,
            Limits {
                cpu: None,
                shares: Some(256),
                memory: Some(64 << 20),
                pids: None
            }
        );
        let two = of_pod(&pod(json!([limited, {"name": "b"}])));
        assert_eq!((two.memory, two.shares), (None, Some(256)));
    }

    #[test]
    fn a_container_gets_quota_shares_and_limit() {
        let container = json!({"resources": {"limits": {"cpu": "200m", "memory": "32Mi"}}});
        assert_eq!(
            of_container(&container, true),
            json!({"cpu": {"shares": 204, "quota": 20_000, "period": 100_000}, "memory": {"limit": 32 << 20}})
        );
        assert_eq!(of_container(&json!({}), true), json!({"cpu": {"shares": 2}}));
    }

    #[test]
    fn who_asked_for_more_memory_is_killed_later() {
        let asks = |memory: &str| {
            let container = json!({"name": "a", "resources": {"requests": {"memory": memory}}});
            oom_score(&pod(json!([container])), &container, 1 << 30)
        };
        assert_eq!((asks("512Mi"), asks("2Gi"), asks("1")), (500, 3, 999));
        assert_eq!(
            oom_score(&pod(json!([{"name": "a"}])), &json!({"name": "a"}), 1 << 30),
            1000
        );
    }
}
