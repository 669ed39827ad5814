//! What is decided about a pod, and what the engine takes to be so from then on.

use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use crate::cycle::{Refusal, Subject};
use crate::decision::{Decision, Nomination, Outcome, PodKey};
use crate::id::{NodeId, PodId};
use crate::plugin::{Preemption, displaced, preempt};
use crate::shape::Shape;
use crate::snapshot::Snapshot;

impl Engine {
    pub(super) fn decide(&mut self, id: PodId, now: Duration) -> Option<Decision> {
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
                    pod.bound_by = None;
                    pod.message = None;
                }
                Outcome::Bind {
                    node: self.snapshot.words.shared(name),
                }
            }
            Err(refusal) => {
                let memory = &mut self.cycle.memory;
                let preemption = preempt(&mut self.snapshot, &subject, &refusal, memory, &mut self.random);
                let outcome = self.refuse(id, &shape, &refusal, preemption, now);
                self.cycle.memory.keep(refusal.nodes);
                outcome
            }
        };
        Some(Decision { pod: key, outcome })
    }

    pub(super) fn refuse(
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
            Preemption::NotTried(None) => {}
            Preemption::NotTried(Some(why)) => message.push_str(&format!(" preemption: {why}")),
            Preemption::Futile(why) => {
                message.push_str(&format!(" preemption: {why}"));
                // The node it waited for may be gone, and be named in its status still.
                outcome.0 = Nomination::Clear;
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

    pub(super) fn nominate(
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
