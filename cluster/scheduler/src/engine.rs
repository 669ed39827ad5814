//! The scheduler as a value: changes go in, decisions come out.

mod changes;
mod decisions;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::config::Config;
use crate::cycle::Cycle;
use crate::decision::{Decision, PodKey};
use crate::event::{Event, Interests};
use crate::explain::{Explanation, explain};
use crate::id::{ClassId, PodId};
use crate::plugin::Rules;
use crate::queue::Queue;
use crate::random::Random;
use crate::selector::{Labels, Selector};
use crate::snapshot::{Budget, Snapshot};

/// A priority class.
#[derive(Debug)]
struct PriorityClass {
    value: i32,
    never_preempts: bool,
    is_default: bool,
}

/// The scheduler.
#[derive(Debug)]
pub struct Engine {
    scheduler_name: String,
    rules: Rules,
    random: Random,
    snapshot: Snapshot,
    queue: Queue,
    cycle: Cycle,
    pods: HashMap<Arc<str>, PodId>,
    priority_classes: HashMap<String, PriorityClass>,
}

impl Engine {
    /// A scheduler that knows nothing yet.
    pub fn new(config: &Config) -> Self {
        let mut snapshot = Snapshot::new();
        Self {
            scheduler_name: config.scheduler_name.clone(),
            rules: Rules::new(config, &mut snapshot.words),
            random: Random::new(config.seed),
            snapshot,
            queue: Queue::default(),
            cycle: Cycle::default(),
            pods: HashMap::new(),
            priority_classes: HashMap::new(),
        }
    }

    /// An object was made or changed. Kinds that placement does not depend on are passed over.
    ///
    /// `now` is the time since any fixed moment; it must not go back.
    pub fn put(&mut self, kind: &str, object: &Value, now: Duration) {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        match kind {
            "Pod" => self.put_pod(object, now),
            "Node" => self.put_node(object, now),
            "Namespace" => {
                let words = &mut self.snapshot.words;
                let labels = Labels::read(&object["metadata"]["labels"], words);
                let name = words.word(name);
                if self.snapshot.put_namespace(name, labels) {
                    self.wake(&Event::node(Interests::NAMESPACE, None), now);
                }
            }
            "PodDisruptionBudget" => {
                let words = &mut self.snapshot.words;
                let disrupted = object["status"]["disruptedPods"].as_object().into_iter().flatten();
                let budget = Budget {
                    namespace: words.word(namespace),
                    selector: Selector::read(&object["spec"]["selector"], words),
                    allowed: object["status"]["disruptionsAllowed"].as_i64().unwrap_or(0),
                    disrupted: disrupted.map(|(name, _)| name.clone()).collect(),
                };
                self.snapshot.budgets.insert(format!("{namespace}/{name}"), budget);
                self.snapshot.budget_changes += 1;
            }
            "PriorityClass" => {
                let class = PriorityClass {
                    value: object["value"].as_i64().unwrap_or(0) as i32,
                    never_preempts: object["preemptionPolicy"] == "Never",
                    is_default: object["globalDefault"] == true,
                };
                self.priority_classes.insert(name.to_owned(), class);
            }
            "Service" => {
                let words = &mut self.snapshot.words;
                let selector = Labels::read(&object["spec"]["selector"], words);
                let namespace_word = words.word(namespace);
                let key = format!("{namespace}/{name}");
                self.snapshot.put_service(key, namespace_word, Some(selector));
            }
            "ReplicaSet" | "StatefulSet" => {
                let words = &mut self.snapshot.words;
                let selector = Selector::read(&object["spec"]["selector"], words);
                let [kind, namespace, name] = [kind, namespace, name].map(|text| words.word(text));
                self.snapshot.put_owner(kind, namespace, name, selector);
            }
            _ => {}
        }
    }

    /// An object is gone.
    pub fn gone(&mut self, kind: &str, object: &Value, now: Duration) {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        match kind {
            "Pod" => {
                if let Some(pod) = self.pods.get(&*format!("{namespace}/{name}")) {
                    self.remove_pod(*pod, now);
                }
            }
            "Node" => {
                let Some(name) = self.snapshot.words.known(name) else {
                    return;
                };
                if self.snapshot.remove_node(name).is_some() {
                    self.wake(&Event::node(Interests::NODE_GONE, None), now);
                }
            }
            "Namespace" => {
                let name = self.snapshot.words.word(name);
                self.snapshot.remove_namespace(name);
            }
            "PodDisruptionBudget" => {
                self.snapshot.budgets.remove(&format!("{namespace}/{name}"));
                self.snapshot.budget_changes += 1;
            }
            "PriorityClass" => {
                self.priority_classes.remove(name);
            }
            "Service" => {
                let namespace_word = self.snapshot.words.word(namespace);
                self.snapshot
                    .put_service(format!("{namespace}/{name}"), namespace_word, None);
            }
            "ReplicaSet" | "StatefulSet" => {
                let words = &mut self.snapshot.words;
                let [kind, namespace, name] = [kind, namespace, name].map(|text| words.word(text));
                self.snapshot.put_owner(kind, namespace, name, None);
            }
            _ => {}
        }
    }

    /// Takes the next decision, if any pod is to be tried now.
    pub fn next(&mut self, now: Duration) -> Option<Decision> {
        loop {
            let id = self.queue.pop(now)?;
            if let Some(decision) = self.decide(id, now) {
                return Some(decision);
            }
        }
    }

    /// The pod that was decided to be bound is, by this resource version: an object that is newer and says otherwise was
    /// taken back to before.
    pub fn bound(&mut self, pod: &PodKey, revision: u64) {
        let known = self
            .find(&pod.namespace, &pod.name)
            .and_then(|id| self.snapshot.pod_mut(id));
        if let Some(known) = known.filter(|known| known.key.uid == pod.uid) {
            known.bound_by = Some(revision);
        }
    }

    /// The pod that was decided to be bound could not be: it is tried again after a pause.
    pub fn bind_failed(&mut self, pod: &PodKey, now: Duration) {
        let Some(id) = self.find(&pod.namespace, &pod.name) else {
            return;
        };
        let Some(known) = self
            .snapshot
            .pod(id)
            .filter(|known| known.assumed && known.key.uid == pod.uid)
        else {
            return;
        };
        let (class, node) = (known.class, known.node);
        self.snapshot.unsettle(id);
        if let Some(pod) = self.snapshot.pod_mut(id) {
            pod.assumed = false;
        }
        let priority = self.rank_priority(class);
        self.queue.pause(id, priority, now);
        self.wake(&Event::pod(Interests::POD_GONE, class, node), now);
    }

    /// When there may be a decision though nothing changes; none if only a change can bring one.
    pub fn wake_at(&self) -> Option<Duration> {
        self.queue.wake_at()
    }

    /// What each plugin says of each node for a pod, as things are now.
    pub fn explain(&mut self, namespace: &str, name: &str) -> Option<Explanation> {
        let id = self.find(namespace, name)?;
        explain(&mut self.snapshot, &self.rules, id)
    }

    /// How many pods are known: pending, decided or bound, but not ended.
    pub fn pods(&self) -> usize {
        self.pods.len()
    }

    fn find(&self, namespace: &str, name: &str) -> Option<PodId> {
        self.pods.get(&*format!("{namespace}/{name}")).copied()
    }

    fn rank_priority(&self, class: ClassId) -> i32 {
        if self.rules.ignore_priority {
            0
        } else {
            self.snapshot.classes[class.at()].shape.priority
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::decision::Outcome;

    fn pod(index: usize, cpu: usize, priority: i64) -> Value {
        json!({
            "metadata": {"namespace": "n", "name": format!("p{index}"), "uid": format!("u{index}")},
            "spec": {"priority": priority, "containers": [{"name": "c", "resources": {"requests": {"cpu": cpu.to_string()}}}]},
        })
    }

    /// Plays one story and tells all decisions.
    fn play(story: &[(usize, i64, Option<usize>)], remembers: bool) -> Vec<Decision> {
        let mut engine = Engine::new(&Config::default());
        engine.cycle.memory.off = !remembers;
        for index in 0..120 {
            let status = json!({"allocatable": {"cpu": (index % 3 + 1).to_string(), "pods": "2"}});
            let node = json!({"metadata": {"name": format!("n{index}")}, "status": status});
            engine.put("Node", &node, Duration::ZERO);
        }
        let mut decisions = Vec::new();
        let mut pods: Vec<Value> = Vec::new();
        for (index, (cpu, priority, deleted)) in story.iter().enumerate() {
            let now = Duration::from_millis(index as u64 * 10);
            // Many of a kind at once, so that what is remembered is used.
            for twin in 0..20 {
                let pod = pod(index * 20 + twin, *cpu, *priority);
                engine.put("Pod", &pod, now);
                pods.push(pod);
            }
            if let Some(deleted) = deleted {
                engine.gone("Pod", &pods[deleted % pods.len()], now);
            }
            while let Some(decision) = engine.next(now) {
                if let Outcome::Unschedulable { victims, .. } = &decision.outcome {
                    for victim in victims {
                        let gone = json!({"metadata": {"namespace": "n", "name": *victim.name}});
                        engine.gone("Pod", &gone, now);
                    }
                }
                decisions.push(decision);
            }
        }
        decisions
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_remembered_changes_no_decision(
            story in prop::collection::vec((1..4usize, 0..4i64, prop::option::of(any::<usize>())), 1..14),
        ) {
            prop_assert_eq!(play(&story, true), play(&story, false));
        }
    }
}
