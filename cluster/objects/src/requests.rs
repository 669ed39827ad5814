//! What a pod as a whole asks for.
//!
//! Init containers run one after the other and before the others, so the largest of them counts, beside the
//! sidecars that were started by then.
//! See <https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers>.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{meta, quantity::Quantity};

/// Millicores that a container which asks for none counts as when nodes are compared.
pub const ASSUMED_MILLI_CPU: i64 = 100;
/// Bytes that a container which asks for none counts as when nodes are compared.
pub const ASSUMED_MEMORY: i64 = 200 * 1024 * 1024;

/// Amounts by resource.
pub type Resources = BTreeMap<String, Quantity>;

/// What a pod asks for.
pub fn requests(pod: &Value) -> Resources {
    let mut sum = whole(pod, |container| of_container(container, "requests"));
    add(&mut sum, &overhead(pod));
    sum
}

/// What a pod asks for, where containers that say nothing count as [`ASSUMED_MILLI_CPU`] and [`ASSUMED_MEMORY`].
pub fn assumed(pod: &Value) -> Resources {
    let mut sum = whole(pod, |container| {
        let mut own = of_container(container, "requests");
        own.entry("cpu".into()).or_insert(Quantity::milli_of(ASSUMED_MILLI_CPU));
        own.entry("memory".into()).or_insert(Quantity::bytes(ASSUMED_MEMORY));
        own
    });
    add(&mut sum, &overhead(pod));
    sum
}

/// What a pod may use. A resource is missing if no container limits it; overhead does not make a limit.
pub fn limits(pod: &Value) -> Resources {
    let mut sum = whole(pod, |container| of_container(container, "limits"));
    for (name, amount) in overhead(pod) {
        if let Some(limit) = sum.get_mut(&name).filter(|limit| !limit.is_zero()) {
            *limit += amount;
        }
    }
    sum
}

/// Whether an init container keeps running beside the others.
pub fn is_sidecar(init_container: &Value) -> bool {
    meta::text(init_container, &["restartPolicy"]) == "Always"
}

/// `resources.requests` or `resources.limits` of a container; what is no amount is left out.
pub fn of_container(container: &Value, side: &str) -> Resources {
    read(meta::at(container, &["resources", side]))
}

/// A map of amounts, such as `status.allocatable`; what is no amount is left out.
pub fn read(map: Option<&Value>) -> Resources {
    let entries = map.and_then(Value::as_object).into_iter().flatten();
    entries
        .filter_map(|(name, amount)| Some((name.clone(), Quantity::of(amount)?)))
        .collect()
}

/// Adds amounts to others.
pub fn add(sum: &mut Resources, more: &Resources) {
    for (name, amount) in more {
        *sum.entry(name.clone()).or_insert(Quantity::ZERO) += *amount;
    }
}

/// Raises amounts to others that are larger.
pub fn raise(most: &mut Resources, other: &Resources) {
    for (name, amount) in other {
        let known = most.entry(name.clone()).or_insert(*amount);
        if *known < *amount {
            *known = *amount;
        }
    }
}

fn overhead(pod: &Value) -> Resources {
    read(meta::at(pod, &["spec", "overhead"]))
}

fn whole(pod: &Value, of: impl Fn(&Value) -> Resources) -> Resources {
    let mut running = Resources::new();
    for container in meta::list(pod, &["spec", "containers"]) {
        add(&mut running, &of(container));
    }
    let mut sidecars = Resources::new();
    let mut starting = Resources::new();
    for container in meta::list(pod, &["spec", "initContainers"]) {
        let mut own = of(container);
        if is_sidecar(container) {
            add(&mut running, &own);
            add(&mut sidecars, &own);
            raise(&mut starting, &sidecars);
        } else {
            add(&mut own, &sidecars);
            raise(&mut starting, &own);
        }
    }
    raise(&mut running, &starting);
    running
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn container(cpu: &str) -> Value {
        json!({"resources": {"requests": {"cpu": cpu}, "limits": {"cpu": cpu}}})
    }

    fn cpu(resources: &Resources) -> i64 {
        resources["cpu"].milli()
    }

    #[test]
    fn the_largest_init_container_counts_beside_the_sidecars_before_it() {
        let mut sidecar = container("200m");
        meta::set(&mut sidecar, &["restartPolicy"], "Always");
        let mut pod = json!({"spec": {
            "containers": [container("100m"), container("300m")],
            "initContainers": [container("1"), sidecar, container("900m")],
        }});
        assert_eq!(cpu(&requests(&pod)), 1100);
        meta::set(&mut pod, &["spec", "overhead"], json!({"cpu": "10m", "memory": "1Mi"}));
        assert_eq!(cpu(&requests(&pod)), 1110);
        assert_eq!(requests(&pod)["memory"].value(), 1 << 20);
        assert_eq!(limits(&pod).keys().collect::<Vec<_>>(), ["cpu"]);
        assert_eq!(cpu(&limits(&pod)), 1110);
        pod["spec"]["initContainers"][2] = container("100m");
        pod["spec"]["initContainers"][0] = container("1m");
        assert_eq!(cpu(&requests(&pod)), 610);
    }

    #[test]
    fn a_container_that_asks_for_nothing_counts_as_something_when_nodes_are_compared() {
        let pod = json!({"spec": {"containers": [{}, {"resources": {"requests": {"cpu": "0", "memory": "1Mi"}}}]}});
        let assumed = assumed(&pod);
        assert_eq!(cpu(&assumed), 100);
        assert_eq!(assumed["memory"].value(), 201 << 20);
        assert!(requests(&json!({"spec": {"containers": [{}]}})).is_empty());
    }
}
