//! The scheduler as a value: changes go in, decisions come out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::config::Config;
use crate::cycle::{Cycle, Refusal, Subject};
use crate::decision::{Decision, Nomination, Outcome, PodKey};
use crate::event::{Event, Interests};
use crate::explain::{Explanation, explain};
use crate::id::{ClassId, NodeId, PodId};
use crate::node::NodeFacts;
use crate::plugin::{PluginId, PluginSet, Preemption, Rules, SchedulingGates, displaced, preempt};
use crate::pod::{Pod, has_ended, is_preempted, moment};
use crate::queue::Queue;
use crate::random::Random;
use crate::selector::{Labels, Selector};
use crate::shape::Shape;
use crate::snapshot::{Budget, Snapshot};
use crate::words::Word;

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

    // Changes.

    fn put_node(&mut self, object: &Value, now: Duration) {
        let facts = NodeFacts::read(object, &mut self.snapshot.words);
        let old = self.snapshot.node_named(facts.name);
        let what = match old {
            None => Interests::NODE_ADDED,
            Some(id) => {
                let (node, room) = (&self.snapshot.nodes[id.at()], &self.snapshot.rooms[id.at()]);
                let mut what = Interests::NONE;
                if node.labels != facts.labels {
                    what = what.and(Interests::NODE_LABELS);
                }
                if node.taints != facts.taints || node.cordoned != facts.cordoned {
                    what = what.and(Interests::NODE_TAINTS);
                }
                let has = (room.cpu, room.memory, room.storage, room.pods, &node.others);
                let will = &facts.allocatable;
                if has != (will.cpu, will.memory, will.storage, facts.pods, &will.others) {
                    what = what.and(Interests::NODE_ROOM);
                }
                what
            }
        };
        let id = self.snapshot.put_node(facts);
        if what != Interests::NONE {
            self.wake(&Event::node(what, Some(id)), now);
        }
    }

    fn put_pod(&mut self, object: &Value, now: Duration) {
        let (meta, spec, status) = (&object["metadata"], &object["spec"], &object["status"]);
        let text = |value: &'static str| meta[value].as_str().unwrap_or_default();
        let path = format!("{}/{}", text("namespace"), text("name"));
        let mut known = self.pods.get(&*path).copied();
        if let Some(id) = known {
            let same = self.snapshot.pod(id).is_some_and(|pod| *pod.key.uid == *text("uid"));
            if !same || has_ended(object) {
                self.remove_pod(id, now);
                known = None;
            }
        }
        if has_ended(object) {
            return;
        }
        let (priority, never_preempts) = self.priority_of(spec);
        let words = &mut self.snapshot.words;
        let shape = Shape::read(object, priority, never_preempts, words);
        let word_of = |value: &Value, words: &mut crate::words::Words| {
            value
                .as_str()
                .filter(|text| !text.is_empty())
                .map(|text| words.word(text))
        };
        let node = word_of(&spec["nodeName"], words);
        let nominated = word_of(&status["nominatedNodeName"], words);
        let class = self.snapshot.class(shape);
        let terminating = meta["deletionTimestamp"].is_string();
        let preempted = is_preempted(object);
        let gated = SchedulingGates::holds_back(object) && !self.rules.ignore_gates;
        let started = status["startTime"].as_str().and_then(moment);
        match known {
            None => {
                let scheduler = spec["schedulerName"].as_str().unwrap_or("default-scheduler");
                let id = self.snapshot.add_pod(Pod {
                    key: PodKey {
                        namespace: text("namespace").into(),
                        name: text("name").into(),
                        uid: text("uid").into(),
                    },
                    class,
                    node_name: None,
                    node: None,
                    assumed: false,
                    terminating,
                    preempted,
                    gated,
                    ours: scheduler == self.scheduler_name,
                    started,
                    nominated: None,
                    message: None,
                });
                self.pods.insert(path.into(), id);
                match node {
                    Some(node) => self.arrive(id, node, now),
                    None => {
                        if let Some(node) = nominated.and_then(|name| self.snapshot.node_named(name)) {
                            self.snapshot.nominate(id, Some(node));
                        }
                        self.enqueue(id, now);
                    }
                }
            }
            Some(id) => self.change_pod(id, class, node, terminating, gated, now, |pod| {
                pod.preempted = preempted;
                pod.started = started;
            }),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "each is one thing that may have changed")]
    fn change_pod(
        &mut self,
        id: PodId,
        class: ClassId,
        node: Option<Word>,
        terminating: bool,
        gated: bool,
        now: Duration,
        change: impl FnOnce(&mut Pod),
    ) {
        let Some(pod) = self.snapshot.pod_mut(id) else { return };
        let before = pod.started;
        change(pod);
        let started_anew = pod.started != before;
        let (old_class, was_at, was_terminating, was_gated) = (pod.class, pod.node_name, pod.terminating, pod.gated);
        let (was_assumed, place) = (pod.assumed, pod.node);
        pod.gated = gated;
        if let Some(node) = place.filter(|_| started_anew) {
            self.snapshot.touch(node);
        }
        if old_class != class {
            self.snapshot.reshape(id, class);
        }
        if was_terminating != terminating {
            self.snapshot.recount(id, |pod| pod.terminating = terminating);
        }
        match (was_at, node) {
            (Some(old), Some(new)) if old == new => {
                if let Some(pod) = self.snapshot.pod_mut(id) {
                    pod.assumed = false;
                }
                if was_assumed {
                    self.wake(&Event::pod(Interests::POD_PLACED, class, place), now);
                }
                if old_class != class || was_terminating != terminating {
                    let mut event = Event::pod(Interests::POD_CHANGED, class, place);
                    event.before = Some(old_class);
                    self.wake(&event, now);
                }
            }
            (_, Some(new)) => {
                self.queue.leave(id);
                self.snapshot.unsettle(id);
                self.arrive(id, new, now);
            }
            // Decided, but the binding is not seen yet.
            (Some(_), None) if was_assumed => {}
            (_, None) => {
                self.snapshot.unsettle(id);
                if terminating {
                    self.queue.leave(id);
                } else if old_class != class && self.queue.is_waiting(id) {
                    self.queue.wake(id, now);
                } else if was_gated && !gated {
                    self.enqueue(id, now);
                }
            }
        }
    }

    /// A pod is seen bound.
    fn arrive(&mut self, id: PodId, node: Word, now: Duration) {
        self.snapshot.nominate(id, None);
        self.snapshot.settle(id, node);
        if let Some(pod) = self.snapshot.pod_mut(id) {
            pod.assumed = false;
            let event = Event::pod(Interests::POD_PLACED, pod.class, pod.node);
            self.wake(&event, now);
        }
    }

    fn enqueue(&mut self, id: PodId, now: Duration) {
        let Some(pod) = self.snapshot.pod(id) else { return };
        if pod.ours && !pod.gated && !pod.terminating {
            let priority = self.rank_priority(pod.class);
            self.queue.push(id, priority, now);
        }
    }

    fn remove_pod(&mut self, id: PodId, now: Duration) {
        let Some(pod) = self.snapshot.pod(id) else { return };
        let event = Event::pod(Interests::POD_GONE, pod.class, pod.node);
        let held_room = pod.node.is_some() || pod.nominated.is_some();
        self.queue.forget(id);
        if let Some(pod) = self.snapshot.remove_pod(id) {
            self.pods.remove(&*format!("{}/{}", pod.key.namespace, pod.key.name));
        }
        if held_room {
            self.wake(&event, now);
        }
    }

    fn priority_of(&self, spec: &Value) -> (i32, bool) {
        let named = spec["priorityClassName"]
            .as_str()
            .and_then(|name| self.priority_classes.get(name));
        let class = || named.or_else(|| self.priority_classes.values().find(|class| class.is_default));
        let priority = match spec["priority"].as_i64() {
            Some(priority) => priority as i32,
            None => class().map_or(0, |class| class.value),
        };
        let never = match spec["preemptionPolicy"].as_str() {
            Some(policy) => policy == "Never",
            None => class().is_some_and(|class| class.never_preempts),
        };
        (priority, never)
    }

    /// Wakes the pods that a change may have helped, by the hints of the plugins that refused them.
    fn wake(&mut self, event: &Event, now: Duration) {
        let mut interested = PluginSet::default();
        for id in PluginId::ALL {
            if id.plugin().wakes().meets(event.what) {
                interested = interested.with(id);
            }
        }
        if !self.queue.any_refused_by(interested) {
            return;
        }
        let mut helped = Vec::new();
        // Pods of one class that the same plugins refused get the same hint.
        let mut last: Option<(ClassId, PluginSet, bool)> = None;
        for (id, refused_by) in self.queue.waiting() {
            let Some(pod) = self.snapshot.pod(id) else { continue };
            let hint = match last {
                Some((class, plugins, hint)) if class == pod.class && plugins == refused_by => hint,
                _ => {
                    let hint = self.hint(id, pod.class, refused_by, event);
                    last = Some((pod.class, refused_by, hint));
                    hint
                }
            };
            if hint {
                helped.push(id);
            }
        }
        for id in helped {
            self.queue.wake(id, now);
        }
    }

    fn hint(&self, id: PodId, class: ClassId, refused_by: PluginSet, event: &Event) -> bool {
        let mut plugins = PluginId::ALL.into_iter().filter(|plugin| refused_by.has(*plugin));
        let shape = &self.snapshot.classes[class.at()].shape;
        let (subject, _) = Subject::new(&self.snapshot, &self.rules, class, shape, Some(id), None);
        let look = subject.look(&self.snapshot);
        plugins.any(|plugin| {
            let plugin = plugin.plugin();
            plugin.wakes().meets(event.what) && plugin.hint(&look, event)
        })
    }

    // Decisions.

    fn decide(&mut self, id: PodId, now: Duration) -> Option<Decision> {
        let pod = self.snapshot.pod(id)?;
        if pod.node_name.is_some() || pod.terminating || pod.gated {
            return None;
        }
        let (key, class) = (pod.key.clone(), pod.class);
        self.snapshot.prepare_default_spread(class);
        let shape = self.snapshot.classes[class.at()].shape.clone();
        let (subject, scope) = Subject::new(&self.snapshot, &self.rules, class, &shape, Some(id), None);
        let placed = self.cycle.place(&mut self.snapshot, &subject, scope, &mut self.random);
        let outcome = match placed {
            Ok(node) => {
                let name = self.snapshot.nodes[node.at()].name;
                self.snapshot.nominate(id, None);
                self.snapshot.settle(id, name);
                if let Some(pod) = self.snapshot.pod_mut(id) {
                    pod.assumed = true;
                    pod.message = None;
                }
                Outcome::Bind {
                    node: self.snapshot.words.shared(name),
                }
            }
            Err(refusal) => {
                let preemption = if self.rules.off.has(PluginId::DefaultPreemption) {
                    Preemption::NotTried("")
                } else {
                    let memory = &mut self.cycle.memory;
                    preempt(&mut self.snapshot, &subject, &refusal, memory, &mut self.random)
                };
                self.refuse(id, &shape, &refusal, preemption, now)
            }
        };
        Some(Decision { pod: key, outcome })
    }

    fn refuse(
        &mut self,
        id: PodId,
        shape: &Arc<Shape>,
        refusal: &Refusal,
        preemption: Preemption,
        now: Duration,
    ) -> Outcome {
        let mut message = refusal.message(&self.snapshot, shape);
        let keys = |snapshot: &Snapshot, pods: &[PodId]| -> Vec<PodKey> {
            let pods = pods.iter().filter_map(|pod| snapshot.pod(*pod));
            pods.map(|pod| pod.key.clone()).collect()
        };
        let mut outcome = (Nomination::Keep, Vec::new(), Vec::new());
        match preemption {
            Preemption::NotTried("") => {}
            Preemption::NotTried(why) => message.push_str(&format!(" preemption: {why}")),
            Preemption::Futile(why) => {
                if self.snapshot.size() > 0 {
                    message.push_str(&format!(" preemption: {why}"));
                }
                if self.snapshot.pod(id).is_some_and(|pod| pod.nominated.is_some()) {
                    outcome.0 = Nomination::Clear;
                }
                self.snapshot.nominate(id, None);
            }
            Preemption::Victims { node, victims } => {
                outcome = self.nominate(id, shape, node, &victims, keys);
            }
        }
        if let Some(pod) = self.snapshot.pod_mut(id) {
            pod.message = Some(message.as_str().into());
        }
        self.queue.wait(id, refusal.by, now);
        // Those who lost their nomination may find another place at once.
        for pod in &outcome.2 {
            if let Some(id) = self.find(&pod.namespace, &pod.name) {
                self.queue.wake(id, now);
            }
        }
        let (nomination, victims, displaced) = outcome;
        Outcome::Unschedulable {
            message,
            nomination,
            victims,
            displaced,
        }
    }

    fn nominate(
        &mut self,
        id: PodId,
        shape: &Shape,
        node: NodeId,
        victims: &[PodId],
        keys: impl Fn(&Snapshot, &[PodId]) -> Vec<PodKey>,
    ) -> (Nomination, Vec<PodKey>, Vec<PodKey>) {
        let lesser = displaced(&self.snapshot, shape.priority, node);
        for pod in &lesser {
            self.snapshot.nominate(*pod, None);
        }
        self.snapshot.nominate(id, Some(node));
        let going = |pod: &&PodId| self.snapshot.pod(**pod).is_some_and(|pod| !pod.terminating);
        let victims: Vec<PodId> = victims.iter().filter(going).copied().collect();
        (
            Nomination::Node(self.snapshot.node_name(node)),
            keys(&self.snapshot, &victims),
            keys(&self.snapshot, &lesser),
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

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
