//! The workloads of kube-scheduler's benchmark (`test/integration/scheduler_perf`), with the throughput it demands.
//!
//! Nodes have 4 CPUs, 32 GiB and room for 110 pods; pods ask for 100 millicores and 500 MiB. What is measured is the
//! engine alone: objects are read, decided on and read again as bound, without an API server between. The clock is the
//! caller's. `plimsoll cluster schedule` runs a workload for `specs/bench/scheduling.yaml`, and the criterion bench
//! `schedule` all of them.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};

use crate::{Config, Engine, Nomination, Outcome};

/// A workload.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    name: &'static str,
    /// Pods a second that Kubernetes demands of itself.
    demanded: f64,
    size: Size,
    kind: Kind,
}

/// How much of it there is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Nodes.
    pub nodes: usize,
    /// Pods that are there before.
    pub first: usize,
    /// Pods that are measured.
    pub pods: usize,
}

/// Whether a workload is made small to see that it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shrink {
    /// As large as it is.
    No,
    /// A thousandth, at least 5 nodes and 10 pods.
    Trial,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Measured pods that found a node.
    pub pods: usize,
    /// From the first object to the last binding.
    pub took: Duration,
    /// Attempts, those that failed included.
    pub attempts: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Basic,
    Daemonset,
    Preemption,
    Unschedulable,
    Churn,
    Gated,
    Finalizers,
    ExtendedResource,
    AntiAffinity,
    MatchingAntiAffinity,
    Affinity,
    PreferredAffinity,
    PreferredAntiAffinity,
    NodeAffinity,
    Mixed,
    NamespaceSelector,
    Spread,
    PreferredSpread,
    DefaultSpread,
    InclusionPolicy,
}

const fn row(name: &'static str, sizes: [usize; 3], demanded: f64, kind: Kind) -> Row {
    let [nodes, first, pods] = sizes;
    Row {
        name,
        demanded,
        size: Size { nodes, first, pods },
        kind,
    }
}

const ROWS: [Row; 23] = [
    row("SchedulingBasic", [5000, 1000, 10_000], 680.0, Kind::Basic),
    row("SchedulingBasic/50000", [5000, 5000, 50_000], 810.0, Kind::Basic),
    row("SchedulingDaemonset", [15_000, 0, 30_000], 1100.0, Kind::Daemonset),
    row("PreemptionAsync", [5000, 20_000, 5000], 570.0, Kind::Preemption),
    row("Unschedulable", [5000, 100, 10_000], 590.0, Kind::Unschedulable),
    row(
        "Unschedulable/20000",
        [5000, 20_000, 10_000],
        600.0,
        Kind::Unschedulable,
    ),
    row("SchedulingWithMixedChurn", [5000, 0, 10_000], 710.0, Kind::Churn),
    row("SchedulingWhileGated", [1, 10_000, 20_000], 910.0, Kind::Gated),
    row("DeletedPodsWithFinalizers", [5000, 5000, 5000], 830.0, Kind::Finalizers),
    row("WithExtendedResource", [5000, 0, 5000], 180.0, Kind::ExtendedResource),
    row("PodAntiAffinity", [5000, 1000, 2000], 60.0, Kind::AntiAffinity),
    row(
        "PodMatchingAntiAffinity",
        [5000, 1000, 5000],
        595.0,
        Kind::MatchingAntiAffinity,
    ),
    row("PodAffinity", [5000, 5000, 5000], 35.0, Kind::Affinity),
    row(
        "PreferredPodAffinity",
        [5000, 5000, 5000],
        90.0,
        Kind::PreferredAffinity,
    ),
    row(
        "PreferredPodAntiAffinity",
        [5000, 5000, 5000],
        90.0,
        Kind::PreferredAntiAffinity,
    ),
    row("NodeAffinity", [5000, 5000, 10_000], 220.0, Kind::NodeAffinity),
    row("MixedSchedulingBasePod", [5000, 10_000, 5000], 140.0, Kind::Mixed),
    row(
        "RequiredAntiAffinityNSSelector",
        [6000, 4000, 2000],
        24.0,
        Kind::NamespaceSelector,
    ),
    row("TopologySpreading", [5000, 5000, 5000], 460.0, Kind::Spread),
    row(
        "PreferredTopologySpreading",
        [5000, 5000, 5000],
        340.0,
        Kind::PreferredSpread,
    ),
    row(
        "DefaultTopologySpreading",
        [5000, 5000, 5000],
        160.0,
        Kind::DefaultSpread,
    ),
    row(
        "DefaultTopologySpreading/50000",
        [5000, 5000, 50_000],
        160.0,
        Kind::DefaultSpread,
    ),
    row("NodeInclusionPolicy", [5000, 0, 4000], 270.0, Kind::InclusionPolicy),
];

/// How many pods are taken in before decisions are made again.
const BATCH: usize = 1000;
/// How many decisions there are between two turns of churn.
const TURN: usize = 500;

impl Row {
    /// All workloads.
    pub fn all() -> &'static [Self] {
        &ROWS
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Pods a second that Kubernetes demands of itself.
    pub fn demanded(&self) -> f64 {
        self.demanded
    }

    /// Its size.
    pub fn size(&self, shrink: Shrink) -> Size {
        match shrink {
            Shrink::No => self.size,
            Shrink::Trial => {
                let first = self.size.first / 1000;
                let pods = (self.size.pods / 1000).clamp(4, 10);
                // Where each pod needs a node of its own, there must be as many.
                let least = match self.kind {
                    Kind::NamespaceSelector => first + pods,
                    _ => 5,
                };
                let nodes = (self.size.nodes / 1000).max(least).min(self.size.nodes);
                Size { nodes, first, pods }
            }
        }
    }

    /// The workload of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        ROWS.iter().find(|row| row.name == name)
    }

    /// Runs it once. `clock` is any monotonic one; `begin` is called when everything is there but the measured pods.
    pub fn run(&self, shrink: Shrink, clock: &dyn Fn() -> Duration, begin: &mut dyn FnMut()) -> Measured {
        let size = self.size(shrink);
        let mut field = Field::new(clock);
        for index in 0..size.nodes {
            field.engine.put("Node", &self.node(index, size), field.now());
        }
        for index in 0..size.first {
            field.put(self.first_pod(index, size));
            if index % BATCH == BATCH - 1 {
                field.drain();
            }
        }
        if self.kind == Kind::DefaultSpread {
            let service =
                json!({"metadata": {"name": "s", "namespace": "default"}, "spec": {"selector": {"app": "spread"}}});
            field.engine.put("Service", &service, field.now());
        }
        field.drain();
        let pods: Vec<Value> = (0..size.pods).map(|index| self.pod(index)).collect();
        (field.bound, field.attempts) = (0, 0);
        begin();
        let began = clock();
        for (index, pod) in pods.into_iter().enumerate() {
            field.put(pod);
            if index % TURN == TURN - 1 {
                self.turn(&mut field, index, size);
            }
            if index % BATCH == BATCH - 1 {
                field.drain();
            }
        }
        field.drain();
        Measured {
            pods: field.bound,
            took: clock().saturating_sub(began),
            attempts: field.attempts,
        }
    }

    fn node(&self, index: usize, size: Size) -> Value {
        let name = format!("node-{index}");
        let zone = match self.kind {
            Kind::Spread | Kind::PreferredSpread | Kind::DefaultSpread => format!("moon-{}", index % 3 + 1),
            _ => "zone1".to_owned(),
        };
        let mut allocatable = json!({"cpu": "4", "memory": "32Gi", "pods": "110"});
        let mut taints = json!([]);
        match self.kind {
            Kind::ExtendedResource => allocatable["foo.com/bar"] = json!("4"),
            Kind::Gated | Kind::Daemonset if index == 0 => {
                allocatable = json!({"cpu": "90000", "memory": "999999Gi", "pods": "90000"});
            }
            Kind::InclusionPolicy if index >= size.nodes - size.nodes / 5 => {
                taints = json!([{"key": "foo", "effect": "NoSchedule"}]);
            }
            _ => {}
        }
        json!({
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone}},
            "spec": {"taints": taints},
            "status": {"allocatable": allocatable},
        })
    }

    fn first_pod(&self, index: usize, size: Size) -> Value {
        let name = format!("first-{index}");
        match self.kind {
            Kind::Preemption => pod("default", &name, json!({}), json!({"priority": 0}), "900m"),
            Kind::Unschedulable => pod("default", &name, json!({}), json!({}), "9"),
            Kind::Gated => {
                let gates = json!({"schedulingGates": [{"name": "example.com/gate"}]});
                pod("default", &name, json!({}), gates, "100m")
            }
            Kind::MatchingAntiAffinity => Row {
                kind: Kind::AntiAffinity,
                ..*self
            }
            .shaped("sched-0", &name),
            Kind::Mixed => {
                let kinds = [
                    Kind::Basic,
                    Kind::Affinity,
                    Kind::AntiAffinity,
                    Kind::PreferredAffinity,
                    Kind::PreferredAntiAffinity,
                ];
                let kind = kinds[(index * kinds.len() / size.first).min(kinds.len() - 1)];
                Row { kind, ..*self }.shaped("sched-0", &name)
            }
            Kind::NamespaceSelector => self.shaped(&format!("init-{}", index % 100), &name),
            Kind::NodeAffinity | Kind::Spread | Kind::PreferredSpread => {
                pod("default", &name, json!({}), json!({}), "100m")
            }
            _ => self.shaped("sched-0", &name),
        }
    }

    fn pod(&self, index: usize) -> Value {
        let name = format!("pod-{index}");
        match self.kind {
            Kind::Unschedulable | Kind::Gated | Kind::Mixed => pod("default", &name, json!({}), json!({}), "100m"),
            Kind::Preemption => pod("default", &name, json!({}), json!({"priority": 10}), "3"),
            Kind::DefaultSpread => self.shaped("default", &name),
            Kind::NamespaceSelector => self.shaped("measure-ns-0", &name),
            _ => self.shaped("sched-1", &name),
        }
    }

    fn shaped(&self, namespace: &str, name: &str) -> Value {
        const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
        const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
        let labels = |color: &str| json!({"color": color});
        let term = |color: &str, key: &str| {
            json!({"labelSelector": {"matchLabels": {"color": color}}, "topologyKey": key,
                   "namespaces": ["sched-0", "sched-1"]})
        };
        let (labels, spec) = match self.kind {
            Kind::Daemonset => {
                let fields = json!([{"key": "metadata.name", "operator": "In", "values": ["node-0"]}]);
                let terms = json!({"nodeSelectorTerms": [{"matchFields": fields}]});
                (json!({}), json!({"affinity": {"nodeAffinity": {REQUIRED: terms}}}))
            }
            Kind::AntiAffinity => {
                let terms = json!([term("green", "kubernetes.io/hostname")]);
                (
                    labels("green"),
                    json!({"affinity": {"podAntiAffinity": {REQUIRED: terms}}}),
                )
            }
            Kind::MatchingAntiAffinity => (labels("green"), json!({})),
            Kind::Affinity => {
                let terms = json!([term("blue", "topology.kubernetes.io/zone")]);
                (labels("blue"), json!({"affinity": {"podAffinity": {REQUIRED: terms}}}))
            }
            Kind::PreferredAffinity => {
                let terms = json!([{"weight": 1, "podAffinityTerm": term("red", "kubernetes.io/hostname")}]);
                (labels("red"), json!({"affinity": {"podAffinity": {PREFERRED: terms}}}))
            }
            Kind::PreferredAntiAffinity => {
                let terms = json!([{"weight": 1, "podAffinityTerm": term("yellow", "kubernetes.io/hostname")}]);
                (
                    labels("yellow"),
                    json!({"affinity": {"podAntiAffinity": {PREFERRED: terms}}}),
                )
            }
            Kind::NodeAffinity => {
                let zones =
                    json!({"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["zone1", "zone2"]});
                let terms = json!({"nodeSelectorTerms": [{"matchExpressions": [zones]}]});
                (json!({}), json!({"affinity": {"nodeAffinity": {REQUIRED: terms}}}))
            }
            Kind::NamespaceSelector => {
                let term = json!({"labelSelector": {"matchLabels": {"color": "green"}},
                    "topologyKey": "kubernetes.io/hostname", "namespaceSelector": {}});
                (
                    labels("green"),
                    json!({"affinity": {"podAntiAffinity": {REQUIRED: [term]}}}),
                )
            }
            Kind::Spread | Kind::PreferredSpread => {
                let when = if self.kind == Kind::Spread {
                    "DoNotSchedule"
                } else {
                    "ScheduleAnyway"
                };
                let constraint = json!({"maxSkew": 5, "topologyKey": "topology.kubernetes.io/zone",
                    "whenUnsatisfiable": when, "labelSelector": {"matchLabels": {"color": "blue"}}});
                (labels("blue"), json!({"topologySpreadConstraints": [constraint]}))
            }
            Kind::DefaultSpread => (json!({"app": "spread"}), json!({})),
            Kind::InclusionPolicy => {
                let constraint = json!({"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "nodeTaintsPolicy": "Honor",
                    "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"color": "blue"}}});
                (labels("blue"), json!({"topologySpreadConstraints": [constraint]}))
            }
            Kind::ExtendedResource => {
                let mut pod = pod(namespace, name, json!({}), json!({}), "100m");
                pod["spec"]["containers"][0]["resources"]["requests"]["foo.com/bar"] = json!("1");
                return pod;
            }
            _ => (json!({}), json!({})),
        };
        pod(namespace, name, labels, spec, "100m")
    }

    /// What else happens while pods are scheduled.
    fn turn(&self, field: &mut Field<'_>, index: usize, size: Size) {
        let now = field.now();
        match self.kind {
            Kind::Churn => {
                let node = self.node(size.nodes + index, size);
                let large = pod(
                    "default",
                    &format!("large-{index}"),
                    json!({}),
                    json!({"priority": 10}),
                    "9",
                );
                let service = json!({"metadata": {"name": "churn", "namespace": "default"},
                    "spec": {"selector": {"app": "foo"}}});
                for (kind, object) in [("Node", &node), ("Pod", &large), ("Service", &service)] {
                    field.engine.put(kind, object, now);
                }
                field.drain();
                for (kind, object) in [("Node", &node), ("Pod", &large), ("Service", &service)] {
                    field.engine.gone(kind, object, now);
                }
            }
            Kind::Gated => {
                for gated in index + 1 - TURN..index + 1 {
                    let gone = pod("default", &format!("first-{gated}"), json!({}), json!({}), "100m");
                    field.engine.gone("Pod", &gone, now);
                }
            }
            Kind::Finalizers => {
                for deleted in (index + 1 - TURN..index + 1).filter(|deleted| *deleted < size.first) {
                    let mut pod = self.first_pod(deleted, size);
                    pod["metadata"]["finalizers"] = json!(["example.com/finalizer"]);
                    pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
                    if let Some(node) = field.node_of(&pod) {
                        pod["spec"]["nodeName"] = json!(node);
                    }
                    field.engine.put("Pod", &pod, now);
                }
            }
            _ => {}
        }
    }
}

fn pod(namespace: &str, name: &str, labels: Value, mut spec: Value, cpu: &str) -> Value {
    spec["containers"] = json!([{"name": "pause", "image": "registry.k8s.io/pause:3.10",
        "resources": {"requests": {"cpu": cpu, "memory": "500Mi"}}}]);
    json!({
        "metadata": {"namespace": namespace, "name": name, "uid": name, "labels": labels},
        "spec": spec,
        "status": {"phase": "Pending"},
    })
}

/// The engine, and a world that does at once what it decides.
struct Field<'c> {
    engine: Engine,
    clock: &'c dyn Fn() -> Duration,
    began: Duration,
    pods: HashMap<String, Value>,
    bound: usize,
    attempts: usize,
}

impl<'c> Field<'c> {
    fn new(clock: &'c dyn Fn() -> Duration) -> Self {
        Self {
            engine: Engine::new(&Config::default()),
            clock,
            began: clock(),
            pods: HashMap::new(),
            bound: 0,
            attempts: 0,
        }
    }

    fn now(&self) -> Duration {
        (self.clock)().saturating_sub(self.began)
    }

    fn put(&mut self, pod: Value) {
        self.engine.put("Pod", &pod, self.now());
        let uid = pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        self.pods.insert(uid, pod);
    }

    fn node_of(&self, pod: &Value) -> Option<String> {
        let known = self.pods.get(pod["metadata"]["uid"].as_str()?)?;
        Some(known["spec"]["nodeName"].as_str()?.to_owned())
    }

    /// Takes decisions until there are none, and shows the engine what came of them.
    fn drain(&mut self) {
        let mut bound: VecDeque<(String, String)> = VecDeque::new();
        while let Some(decision) = self.engine.next(self.now()) {
            self.attempts += 1;
            match decision.outcome {
                Outcome::Bind { node } => {
                    self.bound += 1;
                    bound.push_back((decision.pod.uid.to_string(), node.to_string()));
                }
                Outcome::Unschedulable {
                    nomination, victims, ..
                } => {
                    if let Some(pod) = self.pods.get_mut(&*decision.pod.uid) {
                        if let Nomination::Node(node) = nomination {
                            pod["status"]["nominatedNodeName"] = json!(*node);
                        }
                        let now = (self.clock)().saturating_sub(self.began);
                        self.engine.put("Pod", pod, now);
                    }
                    for victim in victims {
                        if let Some(pod) = self.pods.remove(&*victim.uid) {
                            let now = self.now();
                            self.engine.gone("Pod", &pod, now);
                        }
                    }
                }
            }
            // Bindings are seen a while after they were decided.
            if bound.len() > 100 {
                self.see(&mut bound);
            }
        }
        self.see(&mut bound);
    }

    fn see(&mut self, bound: &mut VecDeque<(String, String)>) {
        for (uid, node) in bound.drain(..) {
            let now = self.now();
            if let Some(pod) = self.pods.get_mut(&uid) {
                pod["spec"]["nodeName"] = json!(node);
                self.engine.put("Pod", pod, now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_is_found_by_its_name() {
        assert_eq!(Row::find("SchedulingBasic").map(Row::demanded), Some(680.0));
        assert!(Row::find("SchedulingBasi").is_none());
    }

    #[test]
    fn each_workload_places_all_its_pods_when_it_is_small() {
        let began = std::time::Instant::now();
        for row in Row::all() {
            let mut begun = 0;
            let measured = row.run(Shrink::Trial, &|| began.elapsed(), &mut || begun += 1);
            assert_eq!(begun, 1, "{}", row.name());
            assert_eq!(
                measured.pods,
                row.size(Shrink::Trial).pods,
                "{}: {measured:?}",
                row.name()
            );
        }
    }
}
