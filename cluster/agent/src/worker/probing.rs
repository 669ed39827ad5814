//! Probes of the containers that run: each is a task that asks, and tells when it changed its mind.

use objects::meta;
use serde_json::Value;

use super::{Event, State, Worker};
use crate::probe::{self, Row, Settings, Which};

impl Worker {
    /// Begins the probes that may ask by now: the startup probe first, the others when it is done.
    pub(super) fn begin_probes(&mut self, at: usize) {
        let spec = self.spec(at).cloned().unwrap_or(Value::Null);
        let State::Running(running) = &self.containers[at].state else {
            return;
        };
        if !running.hooked || running.stopping || self.ending.is_some() {
            return;
        }
        if !running.startup {
            self.begin_probe(at, Which::Startup, &spec);
            return;
        }
        for which in [Which::Readiness, Which::Liveness] {
            self.begin_probe(at, which, &spec);
        }
    }

    fn begin_probe(&mut self, at: usize, which: Which, spec: &Value) {
        let Some(asked) = spec.get(which.key()).filter(|probe| !probe.is_null()) else {
            return;
        };
        let settings = Settings::of(asked, spec);
        let Some(address) = self.sandbox.made().map(|made| made.address) else {
            return;
        };
        let attempt = self.containers[at].attempt;
        let State::Running(running) = &mut self.containers[at].state else {
            return;
        };
        let (container, context) = (running.container.clone(), self.context.clone());
        let (pod, tell) = (self.pod.clone(), self.tell.clone());
        let task = tokio::spawn(async move {
            // The moment that counts is the container's begin, also for an agent that came later.
            let age = container.started.elapsed().unwrap_or_default();
            tokio::time::sleep(settings.initial_delay.saturating_sub(age)).await;
            let mut every = tokio::time::interval(settings.period);
            every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            let (mut row, mut said) = (Row::default(), None);
            loop {
                every.tick().await;
                context.go_on().await;
                let answer = probe::ask(&settings.handler, settings.timeout, &context, &container, address).await;
                if let Some((reason, text)) = answer.event(which) {
                    context.tell(&pod, "Warning", reason, &text);
                }
                let counted = answer.is_good().and_then(|good| row.note(good, &settings));
                if let Some(says) = counted
                    && said != Some(says)
                {
                    said = Some(says);
                    if tell.send(Event::Probed(at, attempt, which, says)).is_err() || (which == Which::Startup && says)
                    {
                        return;
                    }
                }
            }
        });
        running.probes.push((which, task.abort_handle()));
    }

    pub(super) fn probed(&mut self, at: usize, attempt: u32, which: Which, answer: bool) {
        let spec = self.spec(at).cloned().unwrap_or(Value::Null);
        let faults = &self.context.faults;
        let one = &mut self.containers[at];
        let name = one.name.clone();
        let State::Running(running) = &mut one.state else {
            return;
        };
        if one.attempt != attempt || (running.stopping && which != Which::Readiness) {
            return;
        }
        match (which, answer) {
            (Which::Startup, true) => {
                running.startup = true;
                one.was_started |= running.started();
                self.begin_probes(at);
            }
            (Which::Readiness, says) => running.ready = says || faults.has("readiness-always-true"),
            (Which::Liveness, true) => {}
            (Which::Liveness, false) if faults.has("liveness-ignored") => {}
            (Which::Startup | Which::Liveness, false) => {
                let grace = spec.get(which.key()).and_then(|probe| Settings::of(probe, &spec).grace);
                running.unhealthy = Some(grace);
                let word = which.word().to_lowercase();
                let restarts = meta::text(&self.pod, &["spec", "restartPolicy"]) != "Never";
                let then = if restarts { ", will be restarted" } else { "" };
                let text = format!("Container {name} failed {word} probe{then}");
                self.context.tell(&self.pod, "Normal", "Killing", &text);
            }
        }
    }
}
