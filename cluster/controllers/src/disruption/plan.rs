//! What a budget says.

use std::time::{Duration, SystemTime};

use objects::{meta, time};
use serde_json::{Map, Value, json};

use crate::fault::{Act, Faults};
use crate::pod;
use crate::portion::{self, Round};
use crate::world::Object;

/// After this time, a pod that was evicted and is still there counts again.
const EVICTED: Duration = Duration::from_secs(120);

/// What made some of the pods.
#[derive(Debug)]
pub(super) struct Scale {
    pub(super) uid: String,
    pub(super) replicas: i64,
}

/// The budget's status, and when to look again although nothing changes.
pub(super) fn status(
    budget: &Value,
    pods: &[Object],
    scales: &[Scale],
    faults: &Faults,
    now: SystemTime,
) -> (Value, Option<Duration>) {
    let (disrupted, again) = disrupted(budget, pods, now);
    let healthy = |found: &&Object| {
        pod::is_ready(found) && !meta::is_deleting(found) && !disrupted.contains_key(meta::name(found))
    };
    let healthy = count(pods.iter().filter(healthy));
    let (expected, desired) = wanted(budget, pods, scales);
    let mut allowed = (healthy - desired).max(0);
    if expected <= 0 {
        allowed = 0;
    }
    if faults.has(Act::DisruptionsUnlimited) {
        allowed = count(pods.iter());
    }
    let mut object = json!({"status": {"conditions": meta::conditions(budget)}});
    let now = time::seconds(now);
    match allowed > 0 {
        true => meta::set_condition(&mut object, "DisruptionAllowed", "True", "SufficientPods", "", &now),
        false => meta::set_condition(&mut object, "DisruptionAllowed", "False", "InsufficientPods", "", &now),
    };
    if let Some(conditions) = object["status"]["conditions"].as_array_mut() {
        for one in conditions {
            // The message is required, even where there is nothing to say.
            if meta::at(one, &["message"]).is_none() {
                meta::set(one, &["message"], "");
            }
            meta::set(one, &["observedGeneration"], meta::generation(budget));
        }
    }
    let mut status = json!({
        "conditions": object["status"]["conditions"],
        "currentHealthy": healthy, "desiredHealthy": desired, "disruptionsAllowed": allowed, "expectedPods": expected,
        "observedGeneration": meta::generation(budget),
    });
    if !disrupted.is_empty() {
        meta::set(&mut status, &["disruptedPods"], disrupted);
    }
    (status, again)
}

fn count<'a>(pods: impl Iterator<Item = &'a Object>) -> i64 {
    i64::try_from(pods.count()).unwrap_or(i64::MAX)
}

/// How many pods are expected, and how many must stay healthy.
fn wanted(budget: &Value, pods: &[Object], scales: &[Scale]) -> (i64, i64) {
    let there = count(pods.iter());
    let scaled: i64 = scales.iter().map(|scale| scale.replicas).sum();
    if let Some(most) = meta::at(budget, &["spec", "maxUnavailable"]) {
        let unavailable = portion::of(most, scaled, Round::Up).unwrap_or_default();
        return (scaled, (scaled - unavailable).max(0));
    }
    let one = json!(1);
    let least = meta::at(budget, &["spec", "minAvailable"]).unwrap_or(&one);
    match portion::is_share(least) {
        true => (scaled, portion::of(least, scaled, Round::Up).unwrap_or_default()),
        false => (there, portion::of(least, there, Round::Up).unwrap_or_default()),
    }
}

/// Pods that the API agreed to evict, and that are not on their way yet.
fn disrupted(budget: &Value, pods: &[Object], now: SystemTime) -> (Map<String, Value>, Option<Duration>) {
    let mut left = Map::new();
    let mut again: Option<Duration> = None;
    for (name, when) in meta::map(budget, &["status", "disruptedPods"]).into_iter().flatten() {
        let there = pods
            .iter()
            .any(|pod| meta::name(pod) == name && !meta::is_deleting(pod));
        let since = when.as_str().and_then(time::parse);
        let rest = since.and_then(|since| EVICTED.checked_sub(pod::elapsed(now, since)));
        if let Some(rest) = rest.filter(|rest| there && !rest.is_zero()) {
            left.insert(name.clone(), when.clone());
            again = Some(again.map_or(rest, |other| other.min(rest)));
        }
    }
    (left, again)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn pod(name: &str, ready: bool) -> Object {
        let status = if ready { "True" } else { "False" };
        Arc::new(json!({"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": status}]}}))
    }

    fn said(spec: Value, ready: usize, unready: usize, replicas: i64) -> (i64, i64, i64) {
        let pods: Vec<Object> = (0..ready + unready)
            .map(|index| pod(&format!("p{index}"), index < ready))
            .collect();
        let scales = [Scale {
            uid: "s".into(),
            replicas,
        }];
        let budget = json!({"spec": spec});
        let (status, _) = status(&budget, &pods, &scales, &Faults::default(), SystemTime::now());
        let number = |key| meta::number(&status, &[key]).expect(key);
        (
            number("currentHealthy"),
            number("desiredHealthy"),
            number("disruptionsAllowed"),
        )
    }

    #[test]
    fn numbers_and_shares_allow_what_they_leave() {
        assert_eq!(said(json!({"minAvailable": 2}), 3, 0, 3), (3, 2, 1));
        assert_eq!(said(json!({"minAvailable": 2}), 2, 1, 3), (2, 2, 0));
        assert_eq!(said(json!({"minAvailable": "50%"}), 3, 0, 3), (3, 2, 1));
        assert_eq!(said(json!({"maxUnavailable": 1}), 3, 0, 3), (3, 2, 1));
        assert_eq!(said(json!({"maxUnavailable": 1}), 2, 0, 3), (2, 2, 0));
        assert_eq!(said(json!({"maxUnavailable": "34%"}), 3, 0, 3), (3, 1, 2));
        assert_eq!(said(json!({"maxUnavailable": 0}), 3, 0, 3), (3, 3, 0));
    }

    #[test]
    fn a_pod_that_is_being_evicted_does_not_count_until_that_has_failed() {
        let now = time::parse("2026-01-01T00:01:00Z").expect("a time");
        let budget = json!({"spec": {"minAvailable": 1}, "status": {"disruptedPods": {"p0": "2026-01-01T00:00:00Z"}}});
        let pods = [pod("p0", true), pod("p1", true)];
        let scales = [];
        let (early, again) = status(&budget, &pods, &scales, &Faults::default(), now);
        assert_eq!(
            (&early["currentHealthy"], &early["disruptionsAllowed"]),
            (&json!(1), &json!(0))
        );
        assert_eq!(again, Some(Duration::from_secs(60)));
        let (late, _) = status(&budget, &pods, &scales, &Faults::default(), now + EVICTED);
        assert_eq!(
            (&late["currentHealthy"], &late["disruptionsAllowed"]),
            (&json!(2), &json!(1))
        );
        assert_eq!(late.get("disruptedPods"), None);
    }
}
