//! What a Deployment says of itself: counts, whether it is available, whether it gets on.

use std::time::{Duration, SystemTime};

use objects::{meta, time};
use serde_json::{Value, json};

use super::bounds::Bounds;
use super::sets::Set;
use crate::{condition, pod};

/// What the status is made of.
pub(super) struct Observed<'a> {
    pub(super) deployment: &'a Value,
    pub(super) sets: &'a [&'a Value],
    pub(super) newest: Option<&'a Set>,
    /// Whether the newest set had been made before.
    pub(super) was_there: bool,
    pub(super) bounds: &'a Bounds,
    pub(super) paused: bool,
    /// Only the size changes, and nothing is said about progress.
    pub(super) size_only: bool,
}

struct Counts {
    updated: i64,
    replicas: i64,
    ready: i64,
    available: i64,
}

impl Counts {
    fn of(status: &Value) -> Self {
        let count = |key| meta::number(status, &[key]).unwrap_or_default();
        Self {
            updated: count("updatedReplicas"),
            replicas: count("replicas"),
            ready: count("readyReplicas"),
            available: count("availableReplicas"),
        }
    }

    fn is_better_than(&self, before: &Self) -> bool {
        self.updated > before.updated
            || before.replicas - before.updated > self.replicas - self.updated
            || self.ready > before.ready
            || self.available > before.available
    }
}

/// Every pod is of the newest template, and available.
pub(super) fn is_complete(deployment: &Value, status: &Value) -> bool {
    let counts = Counts::of(status);
    let wanted = meta::number(deployment, &["spec", "replicas"]).unwrap_or(1);
    counts.updated == wanted
        && counts.replicas == wanted
        && counts.available == wanted
        && meta::number(status, &["observedGeneration"]).unwrap_or_default() >= meta::generation(deployment)
}

/// The status, and when to look again although nothing changes.
pub(super) fn status(observed: &Observed<'_>, now: SystemTime) -> (Value, Option<Duration>) {
    let deployment = observed.deployment;
    let counts = counts(observed);
    let mut object = json!({"status": {"conditions": meta::conditions(deployment)}});
    availability(&mut object, &counts, observed.bounds, now);
    let mut status = json!({});
    let sizes = observed
        .sets
        .iter()
        .map(|set| meta::number(set, &["spec", "replicas"]).unwrap_or(1));
    for (key, number) in [
        ("observedGeneration", meta::generation(deployment)),
        ("replicas", counts.replicas),
        ("updatedReplicas", counts.updated),
        ("readyReplicas", counts.ready),
        ("availableReplicas", counts.available),
        ("unavailableReplicas", (sizes.sum::<i64>() - counts.available).max(0)),
        (
            "collisionCount",
            meta::number(deployment, &["status", "collisionCount"]).unwrap_or_default(),
        ),
    ] {
        if number != 0 {
            meta::set(&mut status, &[key], number);
        }
    }
    let mut again = None;
    match meta::number(deployment, &["spec", "progressDeadlineSeconds"]).filter(|seconds| *seconds < i32::MAX.into()) {
        None => condition::remove(&mut object, "Progressing"),
        Some(deadline) => {
            let deadline = pod::seconds(deadline);
            pausing(&mut object, observed.paused, now);
            if !observed.size_only {
                progress(&mut object, observed, &status, deadline, now);
                again = left(&object, deadline, now).filter(|_| !is_complete(deployment, &status));
            }
        }
    }
    if !observed.size_only {
        failure(&mut object, observed);
    }
    if !meta::conditions(&object).is_empty() {
        meta::set(&mut status, &["conditions"], meta::conditions(&object));
    }
    (status, again)
}

fn counts(observed: &Observed<'_>) -> Counts {
    let sum = |key| -> i64 {
        let each = observed.sets.iter().map(|set| meta::number(set, &["status", key]));
        each.map(Option::unwrap_or_default).sum()
    };
    Counts {
        updated: observed.newest.map_or(0, |set| set.count("replicas")),
        replicas: sum("replicas"),
        ready: sum("readyReplicas"),
        available: sum("availableReplicas"),
    }
}

fn availability(object: &mut Value, counts: &Counts, bounds: &Bounds, now: SystemTime) {
    let (status, reason, message) = match counts.available >= bounds.fewest() {
        true => (
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
        ),
        false => (
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        ),
    };
    set(object, "Available", status, reason, message, now);
}

fn pausing(object: &mut Value, paused: bool, now: SystemTime) {
    let said = meta::condition(object, "Progressing").map(|one| meta::text(one, &["reason"]));
    // How a rollout ended is not forgotten.
    match (paused, said) {
        (_, Some("ProgressDeadlineExceeded")) => {}
        (true, said) if said != Some("DeploymentPaused") => {
            set(
                object,
                "Progressing",
                "Unknown",
                "DeploymentPaused",
                "Deployment is paused",
                now,
            );
        }
        (false, Some("DeploymentPaused")) => {
            set(
                object,
                "Progressing",
                "Unknown",
                "DeploymentResumed",
                "Deployment is resumed",
                now,
            );
        }
        _ => {}
    }
}

fn progress(object: &mut Value, observed: &Observed<'_>, status: &Value, deadline: Duration, now: SystemTime) {
    let deployment = observed.deployment;
    let Some(newest) = observed.newest else { return };
    let name = newest.name();
    if !observed.was_there {
        let message = format!("Created new replica set \"{name}\"");
        set(object, "Progressing", "True", "NewReplicaSetCreated", &message, now);
        return;
    }
    if meta::condition(object, "Progressing").is_none() {
        let message = format!("Found new replica set \"{name}\"");
        set(object, "Progressing", "True", "FoundNewReplicaSet", &message, now);
    }
    let said = meta::condition(object, "Progressing").map(|one| meta::text(one, &["reason"]).to_owned());
    let done = said.as_deref() == Some("NewReplicaSetAvailable");
    let (before, counts) = (
        Counts::of(deployment.get("status").unwrap_or(&Value::Null)),
        Counts::of(status),
    );
    if counts.replicas == counts.updated && done {
        return;
    }
    if is_complete(deployment, status) {
        let message = format!("ReplicaSet \"{name}\" has successfully progressed.");
        set(object, "Progressing", "True", "NewReplicaSetAvailable", &message, now);
    } else if counts.is_better_than(&before) {
        let message = format!("ReplicaSet \"{name}\" is progressing.");
        set(object, "Progressing", "True", "ReplicaSetUpdated", &message, now);
    } else if said.as_deref() != Some("ProgressDeadlineExceeded")
        && !done
        && left(object, deadline, now).is_some_and(|left| left.is_zero())
    {
        let message = format!("ReplicaSet \"{name}\" has timed out progressing.");
        set(
            object,
            "Progressing",
            "False",
            "ProgressDeadlineExceeded",
            &message,
            now,
        );
    }
}

/// How long until the deadline is missed, counted from the last progress.
fn left(object: &Value, deadline: Duration, now: SystemTime) -> Option<Duration> {
    let said = meta::condition(object, "Progressing")?;
    let since = time::parse(meta::text(said, &["lastUpdateTime"]))?;
    let missed = meta::text(said, &["reason"]) == "ProgressDeadlineExceeded";
    // Times are written in whole seconds: one more is waited for.
    let end = deadline + Duration::from_secs(1);
    (!missed).then(|| end.saturating_sub(pod::elapsed(now, since)))
}

/// What keeps a set from its pods is said of the Deployment, too.
fn failure(object: &mut Value, observed: &Observed<'_>) {
    let newest = observed.newest.and_then(Set::failure).cloned();
    let any = || {
        let each = observed.sets.iter();
        each.filter_map(|set| meta::condition(set, "ReplicaFailure"))
            .find(|one| one["status"] == "True")
            .cloned()
    };
    match newest.or_else(any) {
        Some(mut failure) => {
            let since = failure["lastTransitionTime"].clone();
            meta::set(&mut failure, &["lastUpdateTime"], since);
            condition::place(object, failure);
        }
        None => condition::remove(object, "ReplicaFailure"),
    }
}

/// Conditions of a Deployment have `lastUpdateTime` beside `lastTransitionTime`.
fn set(object: &mut Value, kind: &str, status: &str, reason: &str, message: &str, now: SystemTime) {
    let now = time::seconds(now);
    let old = meta::condition(object, kind);
    let same = |key, value: &str| old.is_some_and(|old| meta::text(old, &[key]) == value);
    // Availability is not said again while it stays; progress is.
    if kind == "Available" && same("status", status) && same("reason", reason) {
        return;
    }
    if same("reason", reason) && same("message", message) && same("status", status) && reason != "ReplicaSetUpdated" {
        return;
    }
    let since = match old {
        Some(old) if old["status"] == status => meta::text(old, &["lastTransitionTime"]).to_owned(),
        _ => now.clone(),
    };
    condition::place(
        object,
        json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastUpdateTime": now, "lastTransitionTime": since,
        }),
    );
}
