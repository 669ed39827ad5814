//! Which pods go first when there are too many: those that are missed least.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::time::SystemTime;

use objects::{meta, time};
use serde_json::Value;

use crate::pod;

const COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// The pods in the order in which they are to go.
pub(super) fn first_to_go<'a>(pods: &[&'a Value], siblings: &[&Value], now: SystemTime) -> Vec<&'a Value> {
    let mut company = BTreeMap::new();
    for sibling in siblings {
        *company.entry(pod::node(sibling)).or_insert(0_usize) += 1;
    }
    let mut ranked: Vec<(&Value, usize)> = pods
        .iter()
        .map(|pod| (*pod, company.get(pod::node(pod)).copied().unwrap_or_default()))
        .collect();
    ranked.sort_by(|one, other| order(*one, *other, now));
    ranked.into_iter().map(|(pod, _)| pod).collect()
}

/// `Less` is the one to go first. Each number is how many siblings share the pod's node.
fn order((one, company): (&Value, usize), (other, others_company): (&Value, usize), now: SystemTime) -> Ordering {
    let by = |key: fn(&Value) -> i64| key(one).cmp(&key(other));
    by(|pod| i64::from(!pod::node(pod).is_empty()))
        .then_with(|| by(phase))
        .then_with(|| by(|pod| i64::from(pod::is_ready(pod))))
        .then_with(|| by(cost))
        .then_with(|| Reverse(company).cmp(&Reverse(others_company)))
        .then_with(|| younger(pod::ready_since(one), pod::ready_since(other), now))
        .then_with(|| pod::restarts(other).cmp(&pod::restarts(one)))
        .then_with(|| younger(created(one), created(other), now))
        .then_with(|| meta::uid(one).cmp(meta::uid(other)))
}

fn phase(pod: &Value) -> i64 {
    match pod::phase(pod) {
        "Pending" => 0,
        "Running" => 2,
        _ => 1,
    }
}

fn cost(pod: &Value) -> i64 {
    let written = meta::annotation(pod, COST).and_then(|text| text.parse::<i32>().ok());
    written.unwrap_or_default().into()
}

fn created(pod: &Value) -> Option<SystemTime> {
    time::parse(meta::creation_timestamp(pod)?)
}

/// The younger first, where ages are told apart by powers of two only, so that not always the newest are hit.
fn younger(one: Option<SystemTime>, other: Option<SystemTime>, now: SystemTime) -> Ordering {
    let age = |since: Option<SystemTime>| since.map(|since| pod::elapsed(now, since).as_nanos().checked_ilog2());
    match (age(one), age(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        _ => Ordering::Equal,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn pod(name: &str, node: &str, phase: &str, ready: bool) -> Value {
        json!({
            "metadata": {"name": name, "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"nodeName": node},
            "status": {"phase": phase, "conditions": [
                {"type": "Ready", "status": if ready { "True" } else { "False" }, "lastTransitionTime": "2026-01-01T00:00:00Z"},
            ]},
        })
    }

    fn names(pods: &[Value]) -> Vec<&str> {
        let pods: Vec<&Value> = pods.iter().collect();
        let now = time::parse("2026-01-01T01:00:00Z").expect("a time") + Duration::from_millis(1);
        first_to_go(&pods, &pods, now).into_iter().map(meta::name).collect()
    }

    #[test]
    fn what_does_least_goes_first() {
        let mut cheap = pod("d-cheap", "n2", "Running", true);
        meta::set_annotation(&mut cheap, COST, "-5");
        let mut restarted = pod("f-restarted", "n3", "Running", true);
        meta::set(
            &mut restarted,
            &["status", "containerStatuses"],
            vec![json!({"restartCount": 2})],
        );
        let mut young = pod("g-young", "n4", "Running", true);
        meta::set(&mut young, &["metadata", "creationTimestamp"], "2026-01-01T00:59:00Z");
        let pods = [
            pod("i-old", "n5", "Running", true),
            young,
            restarted,
            pod("e-crowded", "n1", "Running", true),
            cheap,
            pod("c-unready", "n1", "Running", false),
            pod("b-pending", "n1", "Pending", false),
            pod("a-unscheduled", "", "Pending", false),
        ];
        assert_eq!(
            names(&pods),
            [
                "a-unscheduled",
                "b-pending",
                "c-unready",
                "d-cheap",
                "e-crowded",
                "f-restarted",
                "g-young",
                "i-old"
            ]
        );
    }

    #[test]
    fn those_that_were_ready_for_about_as_long_are_not_told_apart_by_it() {
        let ready = |name: &str, since: &str| {
            let mut pod = pod(name, "n", "Running", true);
            pod["status"]["conditions"][0]["lastTransitionTime"] = json!(since);
            pod
        };
        let pods = [
            ready("b", "2026-01-01T00:00:00Z"),
            ready("a", "2026-01-01T00:01:00Z"),
            ready("c", "2026-01-01T00:59:50Z"),
        ];
        assert_eq!(names(&pods), ["c", "a", "b"]);
    }
}
