//! What controllers want to know of a pod.

use std::time::{Duration, SystemTime};

use objects::{meta, time};
use serde_json::Value;

/// Neither ended nor being deleted.
pub(crate) fn is_active(pod: &Value) -> bool {
    !has_ended(pod) && !meta::is_deleting(pod)
}

/// Its containers have ended for good.
pub(crate) fn has_ended(pod: &Value) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

pub(crate) fn phase(pod: &Value) -> &str {
    meta::text(pod, &["status", "phase"])
}

pub(crate) fn node(pod: &Value) -> &str {
    meta::text(pod, &["spec", "nodeName"])
}

pub(crate) fn is_ready(pod: &Value) -> bool {
    meta::is_true(pod, "Ready")
}

/// Since when it is ready.
pub(crate) fn ready_since(pod: &Value) -> Option<SystemTime> {
    let ready = meta::condition(pod, "Ready").filter(|one| one["status"] == "True")?;
    time::parse(meta::text(ready, &["lastTransitionTime"]))
}

/// Whether a pod can be counted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Availability {
    /// It has been ready for long enough.
    Available,
    /// It is ready, and will be available after this time if it stays so.
    In(Duration),
    /// It is not ready.
    NotReady,
}

/// Whether a pod has been ready for `least`.
pub(crate) fn availability(pod: &Value, least: Duration, now: SystemTime) -> Availability {
    if !is_ready(pod) {
        return Availability::NotReady;
    }
    if least.is_zero() {
        return Availability::Available;
    }
    let Some(since) = ready_since(pod) else {
        return Availability::NotReady;
    };
    match least.checked_sub(elapsed(now, since)) {
        None | Some(Duration::ZERO) => Availability::Available,
        Some(left) => Availability::In(left),
    }
}

/// `spec.minReadySeconds` of what owns pods.
pub(crate) fn least_ready(owner: &Value) -> Duration {
    seconds(meta::number(owner, &["spec", "minReadySeconds"]).unwrap_or_default())
}

/// The most restarts of any of its containers.
pub(crate) fn restarts(pod: &Value) -> i64 {
    let statuses = meta::list(pod, &["status", "containerStatuses"]).iter();
    statuses
        .filter_map(|one| meta::number(one, &["restartCount"]))
        .max()
        .unwrap_or_default()
}

/// How long ago; nothing for what lies ahead.
pub(crate) fn elapsed(now: SystemTime, then: SystemTime) -> Duration {
    now.duration_since(then).unwrap_or_default()
}

/// A number of seconds as objects hold it; nothing for what is negative.
pub(crate) fn seconds(number: i64) -> Duration {
    Duration::from_secs(number.try_into().unwrap_or_default())
}
