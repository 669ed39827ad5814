//! Quality of service: who gives way first when a node runs out of memory.
//!
//! See <https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/>.

use std::fmt;

use serde_json::Value;

use crate::{
    meta,
    requests::{self, Resources},
};

/// Class of a pod, from the first to give way to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Qos {
    /// Asks for nothing.
    BestEffort,
    /// Asks for something.
    Burstable,
    /// Every container has equal requests and limits of CPU and memory.
    Guaranteed,
}

impl fmt::Display for Qos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Class of a pod by its containers.
pub fn of(pod: &Value) -> Qos {
    let (mut asked, mut limited) = (Resources::new(), Resources::new());
    let mut all_limited = true;
    let all = meta::list(pod, &["spec", "containers"]).iter();
    for container in all.chain(meta::list(pod, &["spec", "initContainers"])) {
        requests::add(&mut asked, &compute(container, "requests"));
        let limits = compute(container, "limits");
        all_limited &= limits.len() == 2;
        requests::add(&mut limited, &limits);
    }
    if asked.is_empty() && limited.is_empty() {
        Qos::BestEffort
    } else if all_limited && asked == limited {
        Qos::Guaranteed
    } else {
        Qos::Burstable
    }
}

fn compute(container: &Value, side: &str) -> Resources {
    let mut all = requests::of_container(container, side);
    all.retain(|name, amount| matches!(name.as_str(), "cpu" | "memory") && !amount.is_zero());
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_class_follows_requests_and_limits_of_all_containers() {
        let both = json!({"cpu": "1", "memory": "1Gi"});
        let same = json!({"resources": {"requests": both, "limits": {"cpu": "1000m", "memory": "1024Mi"}}});
        let some = json!({"resources": {"requests": {"cpu": "1"}}});
        let other = json!({"resources": {"requests": {"nvidia.com/gpu": "1"}, "limits": {"nvidia.com/gpu": "1"}}});
        for (containers, class) in [
            (json!([{}]), Qos::BestEffort),
            (json!([other]), Qos::BestEffort),
            (json!([same]), Qos::Guaranteed),
            (json!([same, {}]), Qos::Burstable),
            (json!([same, some]), Qos::Burstable),
            (json!([{"resources": {"limits": both}}]), Qos::Burstable),
        ] {
            assert_eq!(of(&json!({"spec": {"containers": containers}})), class);
        }
    }
}
