//! A cluster for tests that does at once what the scheduler decides.

use std::collections::BTreeMap;
use std::time::Duration;

use scheduler::{Config, Decision, Engine, Explanation, Nomination, Outcome};
use serde_json::{Value, json};

pub(crate) struct Lab {
    pub(crate) engine: Engine,
    pub(crate) now: Duration,
    pub(crate) pods: BTreeMap<String, Value>,
    nodes: BTreeMap<String, Value>,
    /// Victims stay until they are deleted by hand.
    pub(crate) victims_linger: bool,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::with(&Config::default())
    }

    pub(crate) fn with(config: &Config) -> Self {
        Self {
            engine: Engine::new(config),
            now: Duration::ZERO,
            pods: BTreeMap::new(),
            nodes: BTreeMap::new(),
            victims_linger: false,
        }
    }

    /// As broken as the fault says.
    pub(crate) fn broken(fault: &str) -> Self {
        Self::with(&Config {
            faults: vec![fault.parse().unwrap()],
            ..Config::default()
        })
    }

    /// A node of 4 CPUs, 8 GiB and 10 pods, with changes.
    pub(crate) fn node(&mut self, name: &str, change: Value) {
        let mut node = json!({
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
            "spec": {},
            "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "10"}},
        });
        merge(&mut node, change);
        self.engine.put("Node", &node, self.now);
        self.nodes.insert(name.to_owned(), node);
    }

    pub(crate) fn change_node(&mut self, name: &str, change: Value) {
        let mut node = self.nodes[name].clone();
        merge(&mut node, change);
        self.engine.put("Node", &node, self.now);
        self.nodes.insert(name.to_owned(), node);
    }

    pub(crate) fn delete_node(&mut self, name: &str) {
        let node = self.nodes.remove(name).unwrap();
        self.engine.gone("Node", &node, self.now);
    }

    /// A pod of one container that asks for nothing, with changes.
    pub(crate) fn pod(&mut self, name: &str, change: Value) {
        let mut pod = json!({
            "metadata": {"namespace": "default", "name": name, "uid": format!("uid-{name}"), "labels": {}},
            "spec": {"containers": [{"name": "c", "image": "i"}], "schedulerName": "default-scheduler"},
            "status": {"phase": "Pending"},
        });
        merge(&mut pod, change);
        self.put(pod);
    }

    fn put(&mut self, pod: Value) {
        self.engine.put("Pod", &pod, self.now);
        self.pods
            .insert(pod["metadata"]["name"].as_str().unwrap().to_owned(), pod);
    }

    pub(crate) fn change_pod(&mut self, name: &str, change: Value) {
        let mut pod = self.pods[name].clone();
        merge(&mut pod, change);
        self.put(pod);
    }

    pub(crate) fn delete_pod(&mut self, name: &str) {
        let pod = self.pods.remove(name).unwrap();
        self.engine.gone("Pod", &pod, self.now);
    }

    /// Takes all decisions that are due, and does what they say.
    pub(crate) fn run(&mut self) -> Vec<Decision> {
        let mut decisions = Vec::new();
        while let Some(decision) = self.step() {
            decisions.push(decision);
            assert!(decisions.len() < 10_000, "the scheduler does not come to rest");
        }
        decisions
    }

    pub(crate) fn step(&mut self) -> Option<Decision> {
        let decision = self.engine.next(self.now)?;
        let name = decision.pod.name.to_string();
        match &decision.outcome {
            Outcome::Bind { node } => self.change_pod(&name, json!({"spec": {"nodeName": **node}})),
            Outcome::Unschedulable {
                nomination, victims, ..
            } => {
                match nomination {
                    Nomination::Keep => {}
                    Nomination::Clear => self.change_pod(&name, json!({"status": {"nominatedNodeName": null}})),
                    Nomination::Node(node) => {
                        self.change_pod(&name, json!({"status": {"nominatedNodeName": **node}}));
                    }
                }
                for victim in victims.iter().filter(|_| !self.victims_linger) {
                    let pod = self.pods.remove(&*victim.name).unwrap();
                    self.engine.gone("Pod", &pod, self.now);
                }
            }
        }
        Some(decision)
    }

    pub(crate) fn place(&self, name: &str) -> Option<String> {
        let node = self.pods[name]["spec"]["nodeName"].as_str();
        node.map(str::to_owned)
    }

    /// Puts a pod in, decides, and says where it went or why not.
    pub(crate) fn try_pod(&mut self, name: &str, change: Value) -> Result<String, String> {
        self.pod(name, change);
        self.run();
        self.place(name)
            .ok_or_else(|| self.explain(name).message.unwrap_or_default())
    }

    pub(crate) fn explain(&mut self, name: &str) -> Explanation {
        self.engine.explain("default", name).unwrap()
    }
}

/// Lays one value over another: maps are merged, null removes.
pub(crate) fn merge(onto: &mut Value, change: Value) {
    match (onto, change) {
        (Value::Object(onto), Value::Object(change)) => {
            for (key, value) in change {
                if value.is_null() {
                    onto.shift_remove(&key);
                } else {
                    merge(onto.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (onto, change) => *onto = change,
    }
}

/// The spec of a pod that asks for so much of each resource.
pub(crate) fn asks(requests: Value) -> Value {
    json!({"spec": {"containers": [{"name": "c", "image": "i", "resources": {"requests": requests}}]}})
}

/// Two changes at once.
pub(crate) fn both(one: Value, other: Value) -> Value {
    let mut joined = one;
    merge(&mut joined, other);
    joined
}
