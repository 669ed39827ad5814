//! What the API is told of a pod: phase, conditions, addresses, containers.

use std::time::SystemTime;

use objects::{meta, qos, time};
use serde_json::{Value, json};

use super::{State, Tracked, Why, Worker, phase};
use crate::address::listed;
use crate::next::{self, Role};
use crate::span;

impl Worker {
    /// The status as this node sees it, but for times of transition, which depend on what was there before.
    pub(super) fn status(&self) -> Value {
        let view = self.view();
        let again: Vec<bool> = self.containers.iter().map(|one| one.last.is_some()).collect();
        let killed = self.ending.is_some_and(|ending| ending.why == Why::Deadline);
        let phase = phase::of(&view, &again, killed);
        let network = &self.context.network;
        let hosts = network.addresses(network.address());
        let mut status = json!({"phase": phase, "hostIP": hosts.first(), "hostIPs": listed(&hosts),
            "qosClass": qos::of(&self.pod).to_string()});
        if let Some(begun) = self.started_at {
            status["startTime"] = json!(time::seconds(begun));
        }
        let address = self.sandbox.made().map(|made| made.address);
        let before = || meta::text(&self.pod, &["status", "podIP"]).parse().ok();
        if let Some(address) = address.or_else(before) {
            status["podIPs"] = listed(&network.addresses(address));
            status["podIP"] = json!(address);
        }
        if killed {
            status["reason"] = json!("DeadlineExceeded");
            status["message"] = json!("Pod was active on the node longer than the specified deadline");
        }
        let of = |wanted: fn(Role) -> bool| {
            let chosen = self.containers.iter().enumerate().filter(|(_, one)| wanted(one.role));
            chosen
                .map(|(at, one)| self.container_status(at, one))
                .collect::<Vec<_>>()
        };
        let inits = of(|role| role != Role::App);
        if !inits.is_empty() {
            status["initContainerStatuses"] = json!(inits);
        }
        status["containerStatuses"] = json!(of(|role| role == Role::App));
        status["observedGeneration"] = json!(meta::generation(&self.pod));
        status["conditions"] = self.conditions(&view, phase);
        status
    }

    fn container_status(&self, at: usize, one: &Tracked) -> Value {
        let spec = self.spec(at).cloned().unwrap_or(Value::Null);
        let policy_never = self.view().restart == next::Restart::Never;
        let again = !policy_never && self.ending.is_none() && !self.settled;
        let mut last = one.last.as_ref().map(|exit| exit.shown());
        let (mut started, mut ready, mut id) = (false, false, String::new());
        let state = match &one.state {
            State::Waiting { reason, message } => waiting(reason, message),
            State::Starting => match &one.last {
                // It was there a moment ago: until it is there again, its end is what is known.
                Some(exit) => {
                    id.clone_from(&exit.id);
                    exit.shown()
                }
                None => waiting(self.first_reason(), ""),
            },
            State::Running(running) => {
                started = running.started();
                ready = started && running.ready;
                id.clone_from(&running.container.id);
                json!({"running": {"startedAt": time::seconds(running.container.started)}})
            }
            State::Exited(exit) => {
                id.clone_from(&exit.id);
                ready = one.role == Role::Init && exit.code == 0;
                let waits = again && one.not_before > self.now() && (one.role != Role::Init || exit.code != 0);
                let completed = one.role == Role::App && exit.code == 0 && self.view().restart != next::Restart::Always;
                if waits && !completed {
                    last = Some(exit.shown());
                    let text = format!(
                        "back-off {} restarting failed container={} pod={}_{}({})",
                        span::in_go(one.backoff.wait()),
                        one.name,
                        meta::name(&self.pod),
                        meta::namespace(&self.pod),
                        meta::uid(&self.pod)
                    );
                    waiting("CrashLoopBackOff", &text)
                } else {
                    exit.shown()
                }
            }
        };
        let restarts = one.attempt.saturating_sub(1);
        let mut status = json!({
            "name": one.name, "state": state, "lastState": last.unwrap_or_else(|| json!({})), "ready": ready,
            "restartCount": restarts, "image": meta::text(&spec, &["image"]), "imageID": one.image_id,
            "started": started,
        });
        if !id.is_empty() {
            status["containerID"] = json!(format!("plimsoll://{id}"));
        }
        status
    }

    fn first_reason(&self) -> &'static str {
        if self.containers.iter().any(|one| one.role != Role::App) {
            "PodInitializing"
        } else {
            "ContainerCreating"
        }
    }

    fn conditions(&self, view: &next::Pod, phase: &str) -> Value {
        let list = |names: &[&str]| names.join(" ");
        let condition = |kind: &str, wrong: Option<(&str, String)>| match wrong {
            None => json!({"type": kind, "status": "True"}),
            Some((reason, message)) => json!({"type": kind, "status": "False", "reason": reason, "message": message}),
        };
        let over = match phase {
            "Succeeded" => Some(("PodCompleted", String::new())),
            "Failed" => Some(("PodFailed", String::new())),
            _ => None,
        };
        let sandbox = self.sandbox.state() == next::Sandbox::Ready;
        let incomplete: Vec<&str> = self
            .containers
            .iter()
            .zip(&view.containers)
            .filter(|(_, one)| match one.role {
                Role::Init => one.run != next::Run::Exited(0),
                Role::Sidecar => !one.was_started,
                Role::App => false,
            })
            .map(|(one, _)| one.name.as_str())
            .collect();
        let initialized = match (&over, incomplete.is_empty()) {
            (_, true) => None,
            (Some(("PodCompleted", _)), _) => Some(("PodCompleted", String::new())),
            _ => Some((
                "ContainersNotInitialized",
                format!("containers with incomplete status: [{}]", list(&incomplete)),
            )),
        };
        let unready: Vec<&str> = self
            .containers
            .iter()
            .filter(|one| one.role != Role::Init)
            .filter(|one| {
                let ready = |running: &super::Running| running.started() && running.ready;
                !matches!(&one.state, State::Running(running) if ready(running))
            })
            .map(|one| one.name.as_str())
            .collect();
        let containers_ready = match (&over, unready.is_empty()) {
            (Some(over), _) => Some(over.clone()),
            (None, true) => None,
            (None, false) => Some((
                "ContainersNotReady",
                format!("containers with unready status: [{}]", list(&unready)),
            )),
        };
        let ready = containers_ready.clone().or_else(|| self.gates());
        json!([
            condition("PodReadyToStartContainers", (!sandbox).then(|| ("", String::new()))),
            condition("Initialized", initialized),
            condition("Ready", ready),
            condition("ContainersReady", containers_ready),
            condition("PodScheduled", None),
        ])
    }

    /// What `readinessGates` are still waiting for.
    fn gates(&self) -> Option<(&'static str, String)> {
        let gates = meta::list(&self.pod, &["spec", "readinessGates"]).iter();
        let unmet: Vec<String> = gates
            .map(|gate| meta::text(gate, &["conditionType"]))
            .filter_map(|name| match meta::condition(&self.pod, name) {
                None => Some(format!(
                    "corresponding condition of pod readiness gate \"{name}\" does not exist."
                )),
                Some(found) if meta::text(found, &["status"]) == "True" => None,
                Some(found) => Some(format!(
                    "the status of pod readiness gate \"{name}\" is not \"True\", but {}",
                    meta::text(found, &["status"])
                )),
            })
            .collect();
        (!unmet.is_empty()).then(|| ("ReadinessGatesNotReady", unmet.join(", ")))
    }
}

fn waiting(reason: &str, message: &str) -> Value {
    let mut waiting = json!({"reason": reason});
    if !message.is_empty() {
        waiting["message"] = json!(message);
    }
    json!({"waiting": waiting})
}

/// Puts what this node sees into a pod's status. Conditions of others stay.
pub(super) fn apply(pod: &mut Value, status: &Value) {
    let now = time::seconds(SystemTime::now());
    let Some(fields) = status.as_object() else { return };
    for (key, value) in fields.iter().filter(|(key, _)| *key != "conditions") {
        // A pod begins once, however many agents it sees.
        if key == "startTime" && meta::at(pod, &["status", "startTime"]).is_some() {
            continue;
        }
        meta::set(pod, &["status", key], value.clone());
    }
    for one in meta::list(status, &["conditions"]) {
        let text = |key: &str| meta::text(one, &[key]);
        meta::set_condition(pod, text("type"), text("status"), text("reason"), text("message"), &now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_of_others_and_the_begin_stay() {
        let mut pod = json!({"status": {"startTime": "t0", "conditions": [
            {"type": "DisruptionTarget", "status": "True"}, {"type": "Ready", "status": "False", "lastTransitionTime": "t1"}]}});
        let seen = json!({"phase": "Running", "startTime": "t9", "conditions": [{"type": "Ready", "status": "False", "reason": "R"}]});
        apply(&mut pod, &seen);
        assert_eq!(pod["status"]["startTime"], "t0");
        assert_eq!(meta::conditions(&pod).len(), 2);
        assert_eq!(
            meta::condition(&pod, "Ready").unwrap(),
            &json!({"type": "Ready", "status": "False", "lastTransitionTime": "t1", "reason": "R"})
        );
    }
}
