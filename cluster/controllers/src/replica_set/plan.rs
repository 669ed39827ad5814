//! How many pods are missing or too many, and what is said about it.

use std::time::{Duration, SystemTime};

use objects::{meta, time};
use serde_json::{Value, json};

use super::rank;
use crate::fault::{Act, Faults};
use crate::kinds;
use crate::pod::{self, Availability};

/// More than these are not made or deleted in one go.
const BURST: usize = 500;

/// What is to be done to the pods.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Plan {
    /// So many pods of the template are missing.
    pub(crate) create: usize,
    /// Names of the pods that are too many.
    pub(crate) delete: Vec<String>,
}

/// How the pods differ from what is asked for.
///
/// `pods` are the set's own, active ones; `siblings` are the active pods of all sets of the same owner, which count when
/// pods are spread over nodes.
pub(crate) fn plan(set: &Value, pods: &[&Value], siblings: &[&Value], faults: &Faults, now: SystemTime) -> Plan {
    if meta::is_deleting(set) {
        return Plan::default();
    }
    let wanted = wanted(set, faults);
    if pods.len() < wanted {
        return Plan {
            create: (wanted - pods.len()).min(BURST),
            ..Plan::default()
        };
    }
    if pods.len() == wanted {
        return Plan::default();
    }
    let mut victims = rank::first_to_go(pods, siblings, now);
    if faults.has(Act::UnreadyDeletedLast) {
        victims.reverse();
    }
    victims.truncate((pods.len() - wanted).min(BURST));
    Plan {
        create: 0,
        delete: victims.into_iter().map(|pod| meta::name(pod).to_owned()).collect(),
    }
}

fn wanted(set: &Value, faults: &Faults) -> usize {
    let asked: usize = meta::number(set, &["spec", "replicas"])
        .unwrap_or(1)
        .try_into()
        .unwrap_or_default();
    match asked {
        0 => 0,
        asked if faults.has(Act::ReplicaTooFew) => asked - 1,
        asked if faults.has(Act::ReplicaTooMany) => asked + 1,
        asked => asked,
    }
}

/// A pod of the set's template.
pub(crate) fn pod(set: &Value) -> Value {
    let mut pod = meta::at(set, &["spec", "template"]).cloned().unwrap_or_default();
    let mut metadata = json!({
        "generateName": format!("{}-", meta::name(set)),
        "namespace": meta::namespace(set),
        "ownerReferences": [meta::controller_reference(kinds::REPLICA_SET, set)],
    });
    for key in ["labels", "annotations", "finalizers"] {
        if let Some(value) = meta::at(&pod, &["metadata", key]) {
            meta::set(&mut metadata, &[key], value.clone());
        }
    }
    meta::set(&mut pod, &["apiVersion"], "v1");
    meta::set(&mut pod, &["kind"], "Pod");
    meta::set(&mut pod, &["metadata"], metadata);
    pod
}

/// What could not be done to the pods.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    /// `FailedCreate` or `FailedDelete`.
    pub(crate) reason: &'static str,
    /// What the API said.
    pub(crate) message: String,
}

/// The set's status, and when to look again although nothing changes.
pub(crate) fn status(
    set: &Value,
    pods: &[&Value],
    failure: Option<&Failure>,
    now: SystemTime,
) -> (Value, Option<Duration>) {
    let template = meta::map(set, &["spec", "template", "metadata", "labels"]);
    let least = pod::least_ready(set);
    let (mut labelled, mut ready, mut available, mut again) = (0, 0, 0, None::<Duration>);
    for pod in pods {
        let has = |(key, value): (&String, &Value)| meta::labels(pod).is_some_and(|all| all.get(key) == Some(value));
        labelled += i64::from(template.into_iter().flatten().all(has));
        ready += i64::from(pod::is_ready(pod));
        match pod::availability(pod, least, now) {
            Availability::Available => available += 1,
            Availability::In(left) => again = Some(again.map_or(left, |other| other.min(left))),
            Availability::NotReady => {}
        }
    }
    let mut object = json!({"status": {"conditions": meta::conditions(set)}});
    match failure {
        Some(failure) => {
            let now = time::seconds(now);
            meta::set_condition(
                &mut object,
                "ReplicaFailure",
                "True",
                failure.reason,
                &failure.message,
                &now,
            );
        }
        None => crate::condition::remove(&mut object, "ReplicaFailure"),
    }
    let mut status = json!({"replicas": pods.len()});
    for (key, number) in [
        ("fullyLabeledReplicas", labelled),
        ("readyReplicas", ready),
        ("availableReplicas", available),
        ("observedGeneration", meta::generation(set)),
    ] {
        if number != 0 {
            meta::set(&mut status, &[key], number);
        }
    }
    if !meta::conditions(&object).is_empty() {
        meta::set(&mut status, &["conditions"], meta::conditions(&object));
    }
    (status, again)
}

impl Failure {
    pub(crate) fn creating(status: &objects::Status) -> Self {
        Self {
            reason: "FailedCreate",
            message: format!("Error creating: {}", status.message),
        }
    }

    pub(crate) fn deleting(status: &objects::Status) -> Self {
        Self {
            reason: "FailedDelete",
            message: format!("Error deleting: {}", status.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(replicas: i64) -> Value {
        json!({
            "metadata": {"name": "web-1", "namespace": "a", "uid": "s", "generation": 3},
            "spec": {"replicas": replicas, "template": {
                "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c"}]},
            }},
        })
    }

    fn pods(count: usize) -> Vec<Value> {
        (0..count)
            .map(|index| {
                json!({
                    "metadata": {"name": format!("p{index}"), "uid": format!("{index}"), "labels": {"app": "web"}},
                    "status": {"conditions": [
                        {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:10Z"},
                    ]},
                })
            })
            .collect()
    }

    fn planned(replicas: i64, there: usize) -> Plan {
        let pods = pods(there);
        let views: Vec<&Value> = pods.iter().collect();
        plan(&set(replicas), &views, &views, &Faults::default(), SystemTime::now())
    }

    #[test]
    fn what_is_missing_is_made_and_what_is_too_much_goes() {
        assert_eq!(
            planned(3, 1),
            Plan {
                create: 2,
                delete: vec![]
            }
        );
        assert_eq!(planned(1, 3).delete.len(), 2);
        assert_eq!(planned(2, 2), Plan::default());
        assert_eq!(planned(2000, 0).create, BURST);
    }

    #[test]
    fn a_pod_bears_the_template_and_its_owner() {
        let pod = pod(&set(1));
        assert_eq!(pod["metadata"]["generateName"], "web-1-");
        assert_eq!(pod["metadata"]["labels"], json!({"app": "web"}));
        assert!(meta::is_controlled_by(&pod, &set(1)));
        assert_eq!(pod["spec"]["containers"][0]["name"], "c");
    }

    #[test]
    fn a_pod_is_available_when_it_was_ready_for_long_enough() {
        let mut set = set(2);
        meta::set(&mut set, &["spec", "minReadySeconds"], 30);
        let pods = pods(2);
        let views: Vec<&Value> = pods.iter().collect();
        let now = time::parse("2026-01-01T00:00:25Z").expect("a time");
        let (early, again) = status(&set, &views, None, now);
        assert_eq!(
            (&early["readyReplicas"], early.get("availableReplicas")),
            (&json!(2), None)
        );
        assert_eq!(again, Some(Duration::from_secs(15)));
        let (late, again) = status(&set, &views, None, now + Duration::from_secs(15));
        assert_eq!((&late["availableReplicas"], again), (&json!(2), None));
        assert_eq!(late["fullyLabeledReplicas"], 2);
    }

    #[test]
    fn a_failure_is_said_until_it_is_over() {
        let failure = Failure {
            reason: "FailedCreate",
            message: "exceeded quota".into(),
        };
        let (failed, _) = status(&set(1), &[], Some(&failure), SystemTime::now());
        assert_eq!(failed["conditions"][0]["reason"], "FailedCreate");
        let mut set = set(1);
        meta::set(&mut set, &["status"], failed);
        let (fine, _) = status(&set, &[], None, SystemTime::now());
        assert_eq!(fine.get("conditions"), None);
    }
}
