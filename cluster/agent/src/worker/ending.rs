//! Ending a container: hook, signal, patience, force.

use std::time::Duration;

use objects::meta;
use serde_json::Value;
use tokio::time::Instant;

use super::{State, Worker};
use crate::context::Context;
use crate::engine::Container;
use crate::probe::{self, Handler, Which};

/// What a container gets at least, once its hook has used its time up.
const LEAST: Duration = Duration::from_secs(2);

impl Worker {
    pub(super) fn stop(&mut self, at: usize) {
        let usual = meta::number(&self.pod, &["spec", "terminationGracePeriodSeconds"]).unwrap_or(30);
        let usual = Duration::from_secs(u64::try_from(usual).unwrap_or(0));
        let spec = self.spec(at).cloned().unwrap_or(Value::Null);
        let sandbox_died = matches!(self.sandbox, super::Sandbox::Dead(_));
        let one = &mut self.containers[at];
        let State::Running(running) = &mut one.state else {
            return;
        };
        running.stopping = true;
        // It is as ready as its probe says until it has ended: who has nobody else goes on to be served by it.
        let stopped = running.probes.extract_if(.., |(which, _)| *which != Which::Readiness);
        stopped.for_each(|(_, probe)| probe.abort());
        let of_probe = running.unhealthy.flatten();
        let grace = match (&self.ending, of_probe) {
            (Some(ending), _) => (ending.begun + ending.grace).saturating_duration_since(Instant::now()),
            (None, Some(seconds)) => Duration::from_secs(u64::try_from(seconds).unwrap_or(0)),
            (None, None) => usual,
        };
        let container = running.container.clone();
        let text = format!("Stopping container {}", one.name);
        if running.unhealthy.is_none() {
            self.context.tell(&self.pod, "Normal", "Killing", &text);
        }
        let address = self.sandbox.made().map(|made| made.address);
        let (context, pod) = (self.context.clone(), self.pod.clone());
        tokio::spawn(async move {
            if sandbox_died || context.faults.has("grace-ignored") {
                force(&context, &container).await;
                return;
            }
            let end = Instant::now() + grace;
            let hook = spec.pointer("/lifecycle/preStop").cloned();
            if let (Some(hook), Some(address)) = (hook, address)
                && !context.faults.has("pre-stop-skipped")
            {
                let handler = Handler::of(&hook, &spec);
                let asked = probe::hook(&handler, grace, &context, &container, address);
                let asked = tokio::select! {
                    asked = tokio::time::timeout_at(end, asked) => asked.unwrap_or_else(|_| Err("it took too long".into())),
                    _ = container.process.wait() => return,
                };
                if let Err(why) = asked {
                    context.tell(
                        &pod,
                        "Warning",
                        "FailedPreStopHook",
                        &format!("PreStopHook failed: {why}"),
                    );
                }
            }
            let signal = match meta::text(&spec, &["lifecycle", "stopSignal"]) {
                "SIGINT" => "SIGINT",
                "SIGQUIT" => "SIGQUIT",
                "SIGKILL" => "SIGKILL",
                "SIGHUP" => "SIGHUP",
                "SIGUSR1" => "SIGUSR1",
                "SIGUSR2" => "SIGUSR2",
                _ => "SIGTERM",
            };
            // Gone already is as good.
            let _gone = context.engine.kill(&container, signal).await.is_err();
            let end = end.max(
                Instant::now()
                    + if grace.is_zero() {
                        Duration::ZERO
                    } else {
                        LEAST.min(grace)
                    },
            );
            if tokio::time::timeout_at(end, container.process.wait()).await.is_err() {
                force(&context, &container).await;
            }
        });
    }

    /// Less time than before: what is still there when that is over is killed.
    pub(super) fn hurry(&mut self) {
        let Some(ending) = self.ending else { return };
        for one in &self.containers {
            if let State::Running(running) = &one.state
                && running.stopping
            {
                let (context, container) = (self.context.clone(), running.container.clone());
                tokio::spawn(async move {
                    let end = ending.begun + ending.grace;
                    if tokio::time::timeout_at(end, container.process.wait()).await.is_err() {
                        force(&context, &container).await;
                    }
                });
            }
        }
    }
}

async fn force(context: &Context, container: &Container) {
    let _gone = context.engine.kill(container, "SIGKILL").await.is_err();
    // A runtime that does not obey does not keep a pod.
    if tokio::time::timeout(LEAST, container.process.wait()).await.is_err() {
        container.process.kill();
        context.tree.kill(&container.group);
    }
}
