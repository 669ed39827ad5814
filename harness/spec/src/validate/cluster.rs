//! Clusters: nodes, actions on objects and nodes, and checks of what the API tells.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Checker, Place, manifest::is_subdomain, matcher::Field};
use crate::{
    Action, Check, Matcher, Spanned, Step, Subject, Target, Test,
    check::{EventsCheck, LogsCheck, PlacementCheck, PodCheck, ReplicasCheck, cgroup::Unit},
    fault::Fault,
    node::Extent,
    step::{Exec, NodeEvent, Patch},
};

pub(crate) const PHASES: &[&str] = &["Pending", "Running", "Succeeded", "Failed", "Unknown"];
pub(crate) const CONTAINER_STATES: &[&str] = &["waiting", "running", "terminated"];
pub(crate) const QOS_CLASSES: &[&str] = &["Guaranteed", "Burstable", "BestEffort"];
pub(crate) const CONDITION_STATUSES: &[&str] = &["True", "False", "Unknown"];
pub(crate) const EVENT_TYPES: &[&str] = &["Normal", "Warning"];

const NUMBER: Field = Field::Number(Unit::Number);

/// Nodes that one test may have.
const MOST_NODES: u32 = 20_000;

/// Slowest link, bytes a second.
const LEAST_RATE: u64 = 1 << 10;

/// How much longer a link may be.
const DELAYS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(10);

impl Checker<'_> {
    pub(super) fn cluster(&mut self, test: &Test, spec: &Place<'_>) {
        let Some(cluster) = &test.cluster else { return };
        if !self.is_for_cluster() {
            let fault = Fault::new(spec.label("cluster"), "`cluster` belongs to a test of a cluster");
            self.fault(fault.hint("expected `targets: [cluster]`"));
        }
        let list = spec.key("cluster").key("nodes");
        if list.is_written() && cluster.nodes.is_empty() && self.is_whole {
            let fault = Fault::new(list.extent, "`nodes` is empty");
            self.fault(fault.hint("leave it out for three plain nodes, or name at least one"));
        }
        let mut seen: BTreeMap<String, u32> = BTreeMap::new();
        for (n, node) in cluster.nodes.iter().enumerate() {
            let place = list.index(n);
            if !node.name.contains("${") && !is_subdomain(&node.name) {
                let fault = Fault::new(place.key("name").extent, format!("`{}` cannot name a node", node.name));
                self.fault(fault.hint("expected a-z, 0-9, `-` and `.`"));
            }
            if let Some(count) = node.count
                && !(1..=MOST_NODES).contains(&count)
            {
                let fault = Fault::new(place.key("count").extent, format!("{count} nodes make no sense"));
                self.fault(fault.hint(format!("expected 1 to {MOST_NODES}")));
                continue;
            }
            for (name, amount) in &node.capacity {
                if !amount.is_one() && !amount.0.contains("${") {
                    let at = place.key("capacity").key(name).extent;
                    let fault = Fault::new(at, format!("`{}` is not a quantity", amount.0));
                    self.fault(fault.hint("expected an amount such as `4`, `500m` or `8Gi`"));
                }
            }
            for name in node.names() {
                if let Some(line) = seen.insert(name.clone(), node.at.line) {
                    let fault = Fault::new(place.key("name").extent, format!("duplicate node `{name}`"));
                    self.fault(fault.hint(format!("it stands on line {line} already")));
                    break;
                }
            }
        }
    }

    /// Names of the nodes, if the test declares them.
    fn nodes(&self) -> Vec<String> {
        let mut names: Vec<String> = self.test.cluster.iter().flat_map(|cluster| cluster.names()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// A fault unless the node is declared. Nodes of a cluster that the test does not declare have names that nobody
    /// knows.
    pub(super) fn node(&mut self, name: &str, extent: Extent) {
        let nodes = self.nodes();
        if name.contains("${") || nodes.iter().any(|known| known == name) {
            return;
        }
        let hint = match nodes.as_slice() {
            [] => "the test declares no nodes in `cluster`".to_owned(),
            few if few.len() <= 12 => format!("expected one of {}", few.join(", ")),
            _ => "it is not among `cluster.nodes`".to_owned(),
        };
        let fault = Fault::new(extent, format!("unknown node `{name}`")).hint(hint);
        self.fault(fault.suggest(name, nodes.iter().map(String::as_str)));
    }

    fn node_list(&mut self, names: &[Spanned<String>], list: &Place<'_>) {
        if names.is_empty() && self.is_whole {
            let fault = Fault::new(list.extent, "an empty list of nodes matches nothing or everything");
            self.fault(fault.hint("leave it out, or name at least one"));
        }
        for (n, name) in names.iter().enumerate() {
            self.node(name, list.index(n).extent);
        }
    }

    /// A node of which a check looks at the object.
    pub(super) fn viewpoint_node(&mut self, node: &str, check: &Check, extent: Extent) {
        self.node(node, extent);
        if !matches!(
            check.subject,
            Subject::Object(_) | Subject::Exists(_) | Subject::Events(_)
        ) {
            let fault = Fault::new(extent, format!("a node has no `{}`", check.subject.key()));
            self.fault(fault.hint("expected object, exists or events"));
        }
    }

    /// An action that no target of the test can do.
    pub(super) fn action_of_target(&mut self, step: &Step, place: &Place<'_>) {
        let Some(action) = &step.action else {
            if step.sample.is_some() && self.is_for_cluster() {
                let fault = Fault::new(place.label("sample"), "`sample` is not served of a cluster");
                self.fault(fault.hint("it measures containers of a runtime"));
            }
            return;
        };
        let key = action.key();
        if self.is_for_cluster() && !action.is_of_cluster() {
            let fault = Fault::new(place.label(key), format!("`{key}` is nothing that a cluster can do"));
            self.fault(fault.hint(
                "expected start, stop, delete, apply, patch, scale, exec, evict, cordon, uncordon, drain, node, mute, unmute, http, dial, resolve, send or reach",
            ));
        } else if (self.is_for(Target::Runtime) || self.is_for(Target::Host)) && !action.is_of_runtime() {
            let fault = Fault::new(place.label(key), format!("`{key}` is nothing that a runtime can do"));
            self.fault(fault.hint("expected `targets: [cluster]`"));
        }
    }

    /// A check that no target of the test can be looked at by.
    pub(super) fn check_of_target(&mut self, check: &Check, place: &Place<'_>) {
        let key = check.subject.key();
        let of_cluster = check.subject.is_of_cluster();
        if of_cluster && (self.is_for(Target::Runtime) || self.is_for(Target::Host)) {
            let fault = Fault::new(place.label(key), format!("`{key}` is nothing that a runtime has"));
            self.fault(fault.hint("expected `targets: [cluster]`"));
        } else if self.is_for_cluster()
            && !of_cluster
            && !check.subject.is_of_action()
            && !check.subject.is_of_packets()
        {
            let fault = Fault::new(place.label(key), format!("`{key}` cannot be looked at in a cluster"));
            self.fault(fault.hint(
                "expected placement, pod, object, exists, events, replicas, ready, logs, endpoints, what a step sent, or exit or output of a command",
            ));
        } else if self.is_for_cluster() && check.subject.is_of_action() && check.on.is_some() {
            let fault = Fault::new(
                place.label("on"),
                format!("`{key}` of a pod is told by `pod` and `logs`"),
            );
            self.fault(fault.hint("leave `on` out: `exit` and `output` are of the step's command"));
        }
    }

    pub(super) fn exec_in_pod(&mut self, exec: &Exec, place: &Place<'_>) {
        if self.is_for_cluster() {
            for (key, given) in [
                ("env", !exec.env.is_empty()),
                ("cwd", exec.cwd.is_some()),
                ("user", exec.user.is_some()),
                ("detach", exec.detach),
            ] {
                if given {
                    let fault = Fault::new(place.label(key), format!("`exec` in a pod has no `{key}`"));
                    self.fault(fault.hint("leave it out"));
                }
            }
            self.pods_of(&exec.on, place.key("on").extent, "exec");
        } else if exec.container.is_some() {
            let fault = Fault::new(place.label("container"), "`container` belongs to pods");
            self.fault(fault.hint("leave it out"));
        }
    }

    /// A fault if no pods come of a workload.
    pub(super) fn pods_of(&mut self, name: &str, extent: Extent, key: &str) {
        if let Some(manifest) = self.manifest_of(name)
            && !manifest.has_pods()
        {
            let message = format!("`{key}` is of pods, and `{name}` is a {}", manifest.kind());
            self.fault(Fault::new(extent, message).hint("expected a workload of which pods come"));
        }
    }

    fn replicas_of(&mut self, name: &str, extent: Extent, key: &str) {
        if let Some(manifest) = self.manifest_of(name)
            && !manifest.has_replicas()
        {
            let message = format!("`{key}` is of replicas, and `{name}` is a {}", manifest.kind());
            self.fault(Fault::new(extent, message).hint("expected a Deployment, a ReplicaSet or the like"));
        }
    }

    pub(super) fn cluster_action(&mut self, action: &Action, place: &Place<'_>) {
        let place = place.key(action.key());
        let on = place.key("on").extent;
        match action {
            Action::Delete(delete) => self.started(&delete.on, on),
            Action::Apply(apply) => {
                self.workload_reference(&apply.on, on);
                if let Some(manifest) = &apply.object {
                    let at = place.key("object");
                    self.manifest(manifest, &at);
                    let same = |own: &crate::Manifest| {
                        (own.api_version(), own.kind(), own.name())
                            == (manifest.api_version(), manifest.kind(), manifest.name())
                    };
                    if self.manifest_of(&apply.on).is_some_and(|own| !same(own)) {
                        let fault = Fault::new(at.extent, format!("this is another object than `{}`", apply.on.value));
                        self.fault(fault.hint("expected the same apiVersion, kind and name"));
                    }
                }
            }
            Action::Patch(patch) => self.object_patch(patch, &place),
            Action::Scale(scale) => {
                self.started(&scale.on, on);
                self.replicas_of(&scale.on, on, "scale");
            }
            Action::Evict(evict) => {
                self.started(&evict.on, on);
                self.pods_of(&evict.on, on, "evict");
            }
            Action::Cordon(node) | Action::Uncordon(node) => self.node(node, place.extent),
            Action::Drain(drain) => {
                self.node(&drain.node, place.key("node").extent);
                if drain.within.is_some_and(|within| within.0 > self.timeout) {
                    let fault = Fault::new(place.key("within").extent, "longer than the case may take");
                    self.fault(fault.help("raise `timeouts.test`"));
                }
            }
            Action::Node(event) => self.node_event(event, &place),
            Action::Mute(name) | Action::Unmute(name) => {
                self.started(name, place.extent);
                self.pods_of(name, place.extent, action.key());
            }
            _ => {}
        }
    }

    fn node_event(&mut self, event: &NodeEvent, place: &Place<'_>) {
        let (word, node) = event.parts();
        let at = place.key(word);
        match event {
            NodeEvent::Separate(separate) => {
                self.node(&separate.from, at.key("from").extent);
                if separate.from.value == node.value {
                    let fault = Fault::new(at.key("from").extent, "nobody is separated from itself");
                    self.fault(fault.hint("expected another node"));
                }
            }
            NodeEvent::Lose(lose) => {
                if let Some(with) = &lose.with {
                    self.node(with, at.key("with").extent);
                }
                if !(1..=100).contains(&lose.percent) {
                    let message = format!("{} of a hundred packets cannot be lost", lose.percent);
                    self.fault(Fault::new(at.key("percent").extent, message).hint("expected 1 to 100"));
                }
            }
            NodeEvent::Throttle(throttle) if throttle.rate.0 < LEAST_RATE => {
                let fault = Fault::new(at.key("rate").extent, "nothing would get through in time");
                self.fault(fault.hint("expected at least 1Ki, bytes a second"));
            }
            NodeEvent::Delay(delay) if !DELAYS.contains(&delay.by.0) => {
                let fault = Fault::new(at.key("by").extent, format!("a delay of {} makes no sense", delay.by));
                self.fault(fault.hint("expected 1ms to 10s"));
            }
            _ => {}
        }
        let is_map = matches!(
            event,
            NodeEvent::Separate(_) | NodeEvent::Lose(_) | NodeEvent::Throttle(_) | NodeEvent::Delay(_)
        );
        self.node(node, if is_map { at.key("node").extent } else { at.extent });
    }

    fn object_patch(&mut self, patch: &Patch, place: &Place<'_>) {
        let on = place.key("on").extent;
        match patch.on.strip_prefix("node/") {
            Some(node) => self.node(node, on),
            None => self.started(&patch.on, on),
        }
        let given = [patch.merge.is_some(), patch.strategic.is_some(), patch.json.is_some()];
        if given.iter().filter(|given| **given).count() != 1 && self.is_whole {
            let fault = Fault::new(place.extent, "a patch is of one kind");
            self.fault(fault.hint("expected one of merge, strategic and json"));
        }
        for (key, value) in [("merge", &patch.merge), ("strategic", &patch.strategic)] {
            if value.as_ref().is_some_and(|value| !value.is_object()) {
                let fault = Fault::new(place.key(key).extent, "a merge patch is a map");
                self.fault(fault.hint("expected the fields that change"));
            }
        }
        self.patch(patch.json.as_deref().unwrap_or_default(), &place.key("json"));
        if let Some(part) = &patch.subresource
            && !["status", "scale"].contains(&part.as_str())
        {
            let fault = Fault::new(
                place.key("subresource").extent,
                format!("unknown part `{part}` of an object"),
            );
            self.fault(
                fault
                    .hint("expected status or scale")
                    .suggest(part, ["status", "scale"]),
            );
        }
    }

    pub(super) fn cluster_check(&mut self, check: &Check, place: &Place<'_>) {
        let key = check.subject.key();
        let at = place.key(key);
        if let Some(on) = &check.on {
            let extent = place.key("on").extent;
            match &check.subject {
                Subject::Placement(_) | Subject::Pod(_) | Subject::Ready(_) | Subject::Logs(_) => {
                    self.pods_of(on, extent, key);
                }
                Subject::Replicas(_) => self.replicas_of(on, extent, key),
                _ => {}
            }
            if on.value == "host" && self.is_for_cluster() {
                let fault = Fault::new(extent, format!("the host has no `{key}`"));
                self.fault(fault.hint("expected a workload or `node/NAME`"));
            }
        }
        match &check.subject {
            Subject::Placement(placement) => self.placement(placement, place),
            Subject::Pod(pod) => self.pod(pod, place),
            Subject::Object(paths) => {
                self.says_something(!paths.is_empty(), key, place);
                for (path, matcher) in paths {
                    self.matcher(matcher, Field::Any, &at.key(path));
                    let escapes = path.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
                    if path.is_empty() || (path.starts_with('/') && !escapes) {
                        let fault = Fault::new(at.label(path), format!("`{path}` is not a path into an object"));
                        self.fault(
                            fault.hint("expected `spec.nodeName` or a JSON pointer such as `/metadata/labels/app`"),
                        );
                    }
                }
            }
            Subject::Events(events) => self.events(events, place),
            Subject::Replicas(replicas) => self.replicas(replicas, place),
            Subject::Ready(ready) => self.matcher(ready, NUMBER, &at),
            Subject::Logs(LogsCheck { text, .. }) => self.matcher(text, Field::Text, &at.key("text")),
            _ => {}
        }
    }

    fn placement(&mut self, placement: &PlacementCheck, place: &Place<'_>) {
        let at = place.key("placement");
        let says = *placement != PlacementCheck::default();
        self.says_something(says, "placement", place);
        if let Some(node) = &placement.node {
            self.matcher(node, Field::Text, &at.key("node"));
            self.named(node, &at.key("node"));
        }
        for (key, list) in [("nodeIn", &placement.node_in), ("notOn", &placement.not_on)] {
            if let Some(list) = list {
                self.node_list(list, &at.key(key));
            }
        }
        self.fields(
            &at,
            &[
                ("count", placement.count.as_ref(), NUMBER),
                ("nominated", placement.nominated.as_ref(), Field::Text),
            ],
        );
        if let Some(nominated) = &placement.nominated {
            self.named(nominated, &at.key("nominated"));
        }
        for (key, other) in [
            ("sameNodeAs", &placement.same_node_as),
            ("apartFrom", &placement.apart_from),
        ] {
            if let Some(other) = other {
                let extent = at.key(key).extent;
                self.started(other, extent);
                self.pods_of(other, extent, key);
            }
        }
        if let Some(skew) = &placement.skew
            && skew.topology_key.is_empty()
        {
            let fault = Fault::new(at.key("skew").key("topologyKey").extent, "`topologyKey` is empty");
            self.fault(fault.hint("expected a label of nodes"));
        }
        if let Some(unschedulable) = &placement.unschedulable {
            let inner = at.key("unschedulable");
            self.fields(
                &inner,
                &[
                    ("reason", unschedulable.reason.as_ref(), Field::Text),
                    ("message", unschedulable.message.as_ref(), Field::Text),
                ],
            );
        }
        for (node, plugin) in &placement.rejected_by {
            let inner = at.key("rejectedBy");
            self.node(node, inner.label(node));
            self.matcher(plugin, Field::Text, &inner.key(node));
        }
        if let Some(preempted) = &placement.preempted {
            let list = at.key("preempted");
            if preempted.is_empty() && self.is_whole {
                let fault = Fault::new(list.extent, "an empty list matches nothing or everything");
                self.fault(fault.hint("of workloads that are to stay, ask for their pods"));
            }
            for (n, name) in preempted.iter().enumerate() {
                self.started(name, list.index(n).extent);
            }
        }
    }

    /// A node that a matcher names outright must be one.
    fn named(&mut self, matcher: &Matcher, place: &Place<'_>) {
        if let [crate::Op::Eq(serde_json::Value::String(name))] = matcher.0.as_slice() {
            self.node(name, place.extent);
        }
    }

    fn pod(&mut self, pod: &PodCheck, place: &Place<'_>) {
        let at = place.key("pod");
        self.says_something(*pod != PodCheck::default(), "pod", place);
        self.fields(
            &at,
            &[
                ("count", pod.count.as_ref(), NUMBER),
                ("phase", pod.phase.as_ref(), Field::Word(PHASES)),
                ("reason", pod.reason.as_ref(), Field::Text),
                ("message", pod.message.as_ref(), Field::Text),
                ("restarts", pod.restarts.as_ref(), NUMBER),
                ("qosClass", pod.qos_class.as_ref(), Field::Word(QOS_CLASSES)),
                ("podIP", pod.pod_ip.as_ref(), Field::Text),
            ],
        );
        for (kind, condition) in &pod.conditions {
            let at = at.key("conditions").key(kind);
            // A bare status has no key of its own.
            let status = if at.key("status").is_written() {
                at.key("status")
            } else {
                at
            };
            if let Some(matcher) = &condition.status {
                self.matcher(matcher, Field::Word(CONDITION_STATUSES), &status);
            }
            self.fields(
                &at,
                &[
                    ("reason", condition.reason.as_ref(), Field::Text),
                    ("message", condition.message.as_ref(), Field::Text),
                ],
            );
        }
        for (name, container) in &pod.containers {
            let at = at.key("containers").key(name);
            self.fields(
                &at,
                &[
                    ("state", container.state.as_ref(), Field::Word(CONTAINER_STATES)),
                    ("reason", container.reason.as_ref(), Field::Text),
                    ("message", container.message.as_ref(), Field::Text),
                    ("exitCode", container.exit_code.as_ref(), NUMBER),
                    ("restartCount", container.restart_count.as_ref(), NUMBER),
                ],
            );
            if let Some(last) = &container.last {
                self.fields(
                    &at.key("last"),
                    &[
                        ("reason", last.reason.as_ref(), Field::Text),
                        ("message", last.message.as_ref(), Field::Text),
                        ("exitCode", last.exit_code.as_ref(), NUMBER),
                    ],
                );
            }
        }
    }

    fn events(&mut self, events: &EventsCheck, place: &Place<'_>) {
        self.says_something(*events != EventsCheck::default(), "events", place);
        self.fields(
            &place.key("events"),
            &[
                ("reason", events.reason.as_ref(), Field::Text),
                ("type", events.kind.as_ref(), Field::Word(EVENT_TYPES)),
                ("message", events.message.as_ref(), Field::Text),
                ("count", events.count.as_ref(), NUMBER),
            ],
        );
    }

    fn replicas(&mut self, replicas: &ReplicasCheck, place: &Place<'_>) {
        self.says_something(*replicas != ReplicasCheck::default(), "replicas", place);
        self.fields(
            &place.key("replicas"),
            &[
                ("desired", replicas.desired.as_ref(), NUMBER),
                ("current", replicas.current.as_ref(), NUMBER),
                ("ready", replicas.ready.as_ref(), NUMBER),
                ("updated", replicas.updated.as_ref(), NUMBER),
                ("available", replicas.available.as_ref(), NUMBER),
            ],
        );
    }
}
