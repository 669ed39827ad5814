//! The row of a pod, whose STATUS says in one word what its containers do.

use std::time::SystemTime;

use serde_json::Value;

use super::{AGE, Column, NAME, since, text_or};
use crate::{meta, requests, time};

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    (
        "Ready",
        "string",
        "",
        0,
        "Containers that are ready, of all that should be.",
    ),
    ("Status", "string", "", 0, "What the containers do, in one word."),
    (
        "Restarts",
        "string",
        "",
        0,
        "How often containers were restarted, and when last.",
    ),
    AGE,
    ("IP", "string", "", 1, "Address of the pod."),
    ("Node", "string", "", 1, "Node that the pod is bound to."),
    (
        "Nominated Node",
        "string",
        "",
        1,
        "Node on which room is being made for the pod.",
    ),
    (
        "Readiness Gates",
        "string",
        "",
        1,
        "Conditions that hold, of those the pod waits for.",
    ),
];

pub(super) fn cells(pod: &Value, now: SystemTime) -> Vec<Value> {
    let summary = Summary::of(pod);
    let none = "<none>";
    let address = meta::list(pod, &["status", "podIPs"])
        .first()
        .map_or("", |one| meta::text(one, &["ip"]));
    let address = match address {
        "" => text_or(pod, &["status", "podIP"], none),
        address => address.into(),
    };
    let gates = meta::list(pod, &["spec", "readinessGates"]);
    let open = gates
        .iter()
        .filter(|gate| meta::is_true(pod, meta::text(gate, &["conditionType"])));
    let gates = match gates.len() {
        0 => none.into(),
        all => format!("{}/{all}", open.count()),
    };
    let restarts = match summary.last_restart {
        Some(last) if summary.restarts != 0 => {
            let span = now.duration_since(last).unwrap_or_default();
            format!("{} ({} ago)", summary.restarts, time::human(span))
        }
        _ => summary.restarts.to_string(),
    };
    vec![
        meta::name(pod).into(),
        format!("{}/{}", summary.ready, summary.containers).into(),
        summary.status.into(),
        restarts.into(),
        since(meta::creation_timestamp(pod), now),
        address,
        text_or(pod, &["spec", "nodeName"], none),
        text_or(pod, &["status", "nominatedNodeName"], none),
        gates.into(),
    ]
}

#[derive(Default)]
struct Summary {
    status: String,
    containers: usize,
    ready: usize,
    restarts: i64,
    last_restart: Option<SystemTime>,
}

impl Summary {
    fn of(pod: &Value) -> Self {
        let phase = meta::text(pod, &["status", "phase"]);
        let reason = meta::text(pod, &["status", "reason"]);
        let is_gated =
            meta::condition(pod, "PodScheduled").is_some_and(|one| meta::text(one, &["reason"]) == "SchedulingGated");
        let status = match reason {
            _ if is_gated => "SchedulingGated",
            "" => phase,
            reason => reason,
        };
        let init = meta::list(pod, &["spec", "initContainers"]);
        let sidecars = init.iter().filter(|one| requests::is_sidecar(one)).count();
        let mut summary = Self {
            status: status.into(),
            containers: meta::list(pod, &["spec", "containers"]).len() + sidecars,
            ..Self::default()
        };
        let sidecars = summary.start_up(pod, init);
        if let Some(sidecars) = sidecars {
            (summary.restarts, summary.last_restart) = (sidecars.restarts, sidecars.last_restart);
            summary.run(pod);
        }
        if meta::is_deleting(pod) {
            if reason == "NodeLost" {
                summary.status = "Unknown".into();
            } else if !matches!(phase, "Succeeded" | "Failed") {
                summary.status = "Terminating".into();
            }
        }
        summary
    }

    /// Goes through the init containers; answers with what sidecars count for once the others may run.
    fn start_up(&mut self, pod: &Value, init: &[Value]) -> Option<Self> {
        let mut sidecars = Self::default();
        let mut waits_for = None;
        let statuses = meta::list(pod, &["status", "initContainerStatuses"]);
        for (index, status) in statuses.iter().enumerate() {
            let name = meta::text(status, &["name"]);
            let is_sidecar = init
                .iter()
                .any(|one| meta::text(one, &["name"]) == name && requests::is_sidecar(one));
            self.count_restarts(status);
            if is_sidecar {
                sidecars.count_restarts(status);
            }
            let terminated = meta::at(status, &["state", "terminated"]);
            if terminated.is_some_and(|end| meta::number(end, &["exitCode"]).unwrap_or(0) == 0) {
                continue;
            }
            if is_sidecar && meta::flag(status, &["started"]) {
                self.ready += usize::from(meta::flag(status, &["ready"]));
                continue;
            }
            let waiting = meta::text(status, &["state", "waiting", "reason"]);
            waits_for = Some(match (terminated, waiting) {
                (Some(end), _) => format!("Init:{}", end_of(end)),
                (None, "" | "PodInitializing") => format!("Init:{index}/{}", init.len()),
                (None, reason) => format!("Init:{reason}"),
            });
            break;
        }
        let is_initialised = meta::is_true(pod, "Initialized");
        match waits_for {
            None => Some(sidecars),
            Some(status) => {
                self.status = status;
                is_initialised.then_some(sidecars)
            }
        }
    }

    fn run(&mut self, pod: &Value) {
        let mut has_running = false;
        for status in meta::list(pod, &["status", "containerStatuses"]).iter().rev() {
            self.count_restarts(status);
            let waiting = meta::text(status, &["state", "waiting", "reason"]);
            if !waiting.is_empty() {
                self.status = waiting.into();
            } else if let Some(end) = meta::at(status, &["state", "terminated"]) {
                self.status = end_of(end);
            } else if meta::flag(status, &["ready"]) && meta::at(status, &["state", "running"]).is_some() {
                has_running = true;
                self.ready += 1;
            }
        }
        if self.status == "Completed" && has_running {
            let is_ready = meta::is_true(pod, "Ready");
            self.status = if is_ready { "Running" } else { "NotReady" }.into();
        }
    }

    fn count_restarts(&mut self, status: &Value) {
        self.restarts += meta::number(status, &["restartCount"]).unwrap_or(0);
        let last = meta::text(status, &["lastState", "terminated", "finishedAt"]);
        self.last_restart = self.last_restart.max(time::parse(last));
    }
}

fn end_of(terminated: &Value) -> String {
    let number = |key| meta::number(terminated, &[key]).unwrap_or(0);
    match (meta::text(terminated, &["reason"]), number("signal")) {
        ("", 0) => format!("ExitCode:{}", number("exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::row;
    use super::*;

    fn shown(pod: Value) -> (String, String, String) {
        let mut cells = row("", "pods", pod).into_iter().skip(1);
        let mut next = || cells.next().expect("a cell");
        (next(), next(), next())
    }

    fn spec(init: usize, containers: usize) -> Value {
        let named = |prefix: &str, count| -> Value {
            (0..count)
                .map(|index| json!({"name": format!("{prefix}{index}")}))
                .collect()
        };
        json!({"initContainers": named("i", init), "containers": named("c", containers)})
    }

    #[test]
    fn status_is_what_the_containers_do() {
        let running = json!({"ready": true, "state": {"running": {}}});
        let completed = json!({"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}});
        for (pod, ready, status) in [
            (
                json!({"spec": spec(0, 1), "status": {"phase": "Pending"}}),
                "0/1",
                "Pending",
            ),
            (
                json!({"spec": spec(0, 1), "status": {"phase": "Pending", "conditions":
                    [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]}}),
                "0/1",
                "SchedulingGated",
            ),
            (
                json!({"spec": spec(2, 1), "status": {"phase": "Pending", "initContainerStatuses": [
                    {"name": "i0", "state": {"terminated": {"exitCode": 0}}}, {"name": "i1", "state": {"running": {}}}]}}),
                "0/1",
                "Init:1/2",
            ),
            (
                json!({"spec": spec(1, 1), "status": {"initContainerStatuses": [
                    {"name": "i0", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}}),
                "0/1",
                "Init:CrashLoopBackOff",
            ),
            (
                json!({"spec": spec(1, 1), "status": {"initContainerStatuses": [
                    {"name": "i0", "state": {"terminated": {"exitCode": 3, "reason": "Error"}}}]}}),
                "0/1",
                "Init:Error",
            ),
            (
                json!({"spec": spec(0, 2), "status": {"phase": "Running", "containerStatuses": [running, completed],
                    "conditions": [{"type": "Ready", "status": "False"}]}}),
                "1/2",
                "NotReady",
            ),
            (
                json!({"spec": spec(0, 1), "status": {"phase": "Succeeded", "containerStatuses": [completed]}}),
                "0/1",
                "Completed",
            ),
            (
                json!({"spec": spec(0, 1), "status": {"phase": "Failed", "containerStatuses":
                    [{"state": {"terminated": {"exitCode": 137, "signal": 9}}}]}}),
                "0/1",
                "Signal:9",
            ),
            (
                json!({"spec": spec(0, 1), "status": {"phase": "Failed", "reason": "Evicted"}}),
                "0/1",
                "Evicted",
            ),
            (
                json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "spec": spec(0, 1),
                    "status": {"phase": "Running", "containerStatuses": [running]}}),
                "1/1",
                "Terminating",
            ),
        ] {
            let (seen_ready, seen_status, _) = shown(pod.clone());
            assert_eq!((seen_ready.as_str(), seen_status.as_str()), (ready, status), "{pod}");
        }
    }

    #[test]
    fn restarts_tell_when_the_last_one_was() {
        let ended = json!({"terminated": {"finishedAt": "2026-01-01T23:55:00Z"}});
        let pod = json!({"spec": spec(0, 1), "status": {"containerStatuses":
            [{"restartCount": 3, "lastState": ended, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}});
        assert_eq!(
            shown(pod),
            ("0/1".into(), "CrashLoopBackOff".into(), "3 (5m ago)".into())
        );
    }

    #[test]
    fn a_sidecar_that_runs_counts_and_an_init_container_that_ended_does_not() {
        let mut spec = spec(2, 1);
        meta::set(&mut spec["initContainers"][1], &["restartPolicy"], "Always");
        let pod = json!({"spec": spec, "status": {"phase": "Running",
            "initContainerStatuses": [
                {"name": "i0", "restartCount": 4, "state": {"terminated": {"exitCode": 0}}},
                {"name": "i1", "restartCount": 1, "started": true, "ready": true, "state": {"running": {}}}],
            "containerStatuses": [{"ready": true, "state": {"running": {}}}]}});
        assert_eq!(shown(pod), ("2/2".into(), "Running".into(), "1".into()));
    }
}
