//! What a change of the cluster does to the snapshot and to the pods that wait.

use std::time::Duration;

use serde_json::Value;

use super::Engine;
use crate::cycle::Subject;
use crate::decision::PodKey;
use crate::event::{Event, Interests};
use crate::id::{ClassId, PodId};
use crate::node::NodeFacts;
use crate::plugin::{PluginId, PluginSet, SchedulingGates};
use crate::pod::{Pod, has_ended, is_preempted, moment};
use crate::shape::Shape;
use crate::words::{Word, Words};

impl Engine {
    pub(super) fn put_node(&mut self, object: &Value, now: Duration) {
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

    pub(super) fn put_pod(&mut self, object: &Value, now: Duration) {
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
        let word_of = |value: &Value, words: &mut Words| {
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
                    bound_by: None,
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
            Some(id) => {
                // What is older than the binding says nothing of it; what is newer and unbound was taken back.
                let revision = objects::meta::revision(object);
                let taken_back = |pod: &Pod| pod.bound_by.is_some_and(|by| revision.is_some_and(|at| at > by));
                self.change_pod(id, class, node, terminating, gated, now, |pod| {
                    pod.preempted = preempted;
                    pod.started = started;
                    pod.assumed &= !taken_back(pod);
                });
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "each is one thing that may have changed")]
    pub(super) fn change_pod(
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
        let (before, was_assumed) = (pod.started, pod.assumed);
        change(pod);
        let started_anew = pod.started != before;
        let (old_class, was_at, was_terminating, was_gated) = (pod.class, pod.node_name, pod.terminating, pod.gated);
        let (is_assumed, place) = (pod.assumed, pod.node);
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
            (Some(_), None) if is_assumed => {}
            (_, None) => {
                self.snapshot.unsettle(id);
                if terminating {
                    self.queue.leave(id);
                } else if old_class != class && self.queue.is_waiting(id) {
                    self.queue.wake(id, now);
                } else if was_at.is_some() || (was_gated && !gated) {
                    self.enqueue(id, now);
                }
            }
        }
    }

    /// A pod is seen bound.
    pub(super) fn arrive(&mut self, id: PodId, node: Word, now: Duration) {
        self.snapshot.nominate(id, None);
        self.snapshot.settle(id, node);
        if let Some(pod) = self.snapshot.pod_mut(id) {
            pod.assumed = false;
            let event = Event::pod(Interests::POD_PLACED, pod.class, pod.node);
            self.wake(&event, now);
        }
    }

    pub(super) fn enqueue(&mut self, id: PodId, now: Duration) {
        let Some(pod) = self.snapshot.pod(id) else { return };
        if pod.ours && !pod.gated && !pod.terminating {
            let priority = self.rank_priority(pod.class);
            self.queue.push(id, priority, now);
        }
    }

    pub(super) fn remove_pod(&mut self, id: PodId, now: Duration) {
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

    pub(super) fn priority_of(&self, spec: &Value) -> (i32, bool) {
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
    pub(super) fn wake(&mut self, event: &Event, now: Duration) {
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

    pub(super) fn hint(&self, id: PodId, class: ClassId, refused_by: PluginSet, event: &Event) -> bool {
        let mut plugins = PluginId::ALL.into_iter().filter(|plugin| refused_by.has(*plugin));
        let shape = &self.snapshot.classes[class.at()].shape;
        let (subject, _) = Subject::new(&self.snapshot, &self.rules, class, shape, Some(id), None);
        let look = subject.look(&self.snapshot);
        plugins.any(|plugin| {
            let plugin = plugin.plugin();
            plugin.wakes().meets(event.what) && plugin.hint(&look, event)
        })
    }
}
