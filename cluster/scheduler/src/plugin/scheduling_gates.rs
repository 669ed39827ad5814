//! Pods with gates wait outside the queue.

use serde_json::Value;

use super::Plugin;

pub(crate) struct SchedulingGates;

impl Plugin for SchedulingGates {
    fn name(&self) -> &'static str {
        "SchedulingGates"
    }
}

impl SchedulingGates {
    /// Whether a pod may enter the queue.
    pub(crate) fn holds_back(pod: &Value) -> bool {
        pod["spec"]["schedulingGates"]
            .as_array()
            .is_some_and(|gates| !gates.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_gates_hold_a_pod_back() {
        for (gates, want) in [
            (json!([{"name": "example.com/quota"}]), true),
            (json!([]), false),
            (json!(null), false),
        ] {
            let pod = json!({"spec": {"schedulingGates": gates}});
            assert_eq!(SchedulingGates::holds_back(&pod), want, "{pod}");
        }
    }
}
