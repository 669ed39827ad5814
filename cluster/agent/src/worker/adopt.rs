//! Taking over what an earlier agent left running: nothing is begun anew that still goes on.

use std::path::Path;
use std::sync::{Arc, Mutex};

use objects::meta;
use serde_json::Value;

use super::exit::Exit;
use super::sandbox::{Made, Record, Sandbox, namespaces_of};
use super::{Running, State, Worker, start};
use crate::namespace::{IPC, NET, Shared, UTS};
use crate::probe::Which;
use crate::volume::Volumes;
use crate::volume::payload::Material;

/// Namespaces of a container's own, for the fault that shares nothing.
pub(super) async fn unshared(pod: &Value) -> std::io::Result<Shared> {
    let name = crate::etc::hostname(pod);
    let (shared, ()) = Shared::create(NET | UTS | IPC, format!("{name}-alone"), || Ok(())).await?;
    Ok(shared)
}

/// The numbers of the attempts that have a directory, in their order.
fn attempts(directory: &Path) -> Vec<u32> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut all: Vec<u32> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    all.sort_unstable();
    all
}

fn exit_of(directory: &Path) -> Option<Exit> {
    serde_json::from_slice(&std::fs::read(directory.join("exit.json")).ok()?).ok()
}

impl Worker {
    /// Looks for what is there of this pod already.
    pub(super) async fn adopt(&mut self) {
        self.started_at = meta::at(&self.pod, &["status", "startTime"])
            .and_then(Value::as_str)
            .and_then(objects::time::parse);
        if !self.directory.exists() {
            self.resume_from_status();
            return;
        }
        self.adopt_sandbox().await;
        let uid = meta::uid(&self.pod).to_owned();
        for at in 0..self.containers.len() {
            let name = self.containers[at].name.clone();
            let directory = self.directory.join("containers").join(&name);
            let all = attempts(&directory);
            let Some(&last) = all.last() else { continue };
            let here = directory.join(last.to_string());
            self.containers[at].attempt = last;
            if let [.., before, _] = all.as_slice() {
                self.containers[at].last = exit_of(&directory.join(before.to_string()));
            }
            let log = self.log_of(at, last);
            if let Some(exit) = exit_of(&here) {
                self.context.show(&uid, &name, |seen| seen.log = Some(log));
                self.containers[at].state = State::Exited(exit);
                self.containers[at].was_started = true;
                continue;
            }
            let Some(container) = self.context.engine.adopt(&here).await else {
                start::discard(&here).await;
                self.containers[at].state = State::Exited(Exit::unknown(objects::time::seconds(self.begun())));
                self.context.show(&uid, &name, |seen| seen.log = Some(log));
                continue;
            };
            let spec = self.spec(at).cloned().unwrap_or(Value::Null);
            let statuses = ["containerStatuses", "initContainerStatuses"];
            let known = statuses
                .iter()
                .flat_map(|key| meta::list(&self.pod, &["status", key]))
                .find(|one| meta::text(one, &["name"]) == name)
                .cloned()
                .unwrap_or(Value::Null);
            let was_started = meta::flag(&known, &["started"]);
            let has_readiness = spec.get(Which::Readiness.key()).is_some();
            self.context.show(&uid, &name, |seen| {
                seen.running = Some(container.clone());
                seen.log = Some(log);
            });
            let one = &mut self.containers[at];
            one.image_id = meta::text(&known, &["imageID"]).to_owned();
            one.was_started = was_started;
            one.state = State::Running(Box::new(Running {
                container,
                // A hook that was under way is not run twice.
                hooked: true,
                startup: was_started || spec.get(Which::Startup.key()).is_none(),
                ready: !has_readiness || meta::flag(&known, &["ready"]),
                unhealthy: None,
                stopping: false,
                probes: Vec::new(),
            }));
            if one.was_started || spec.get(Which::Startup.key()).is_none() {
                one.was_started = true;
            }
            self.watch(at, last);
            self.begin_probes(at);
        }
    }

    fn begun(&self) -> std::time::SystemTime {
        self.started_at.unwrap_or_else(std::time::SystemTime::now)
    }

    /// Without files: a pod that is over stays over, and so does one that only its finalizers hold; one that was lost
    /// with its node begins anew.
    fn resume_from_status(&mut self) {
        let phase = meta::text(&self.pod, &["status", "phase"]);
        if ["Succeeded", "Failed"].contains(&phase) || self.is_deleted() && !phase.is_empty() && phase != "Pending" {
            self.settled = true;
            self.reported = Some(Value::Null);
            // Nothing is told of it any more, but that it may go.
            self.over = true;
        }
    }

    async fn adopt_sandbox(&mut self) {
        let bundle = self.directory.join("sandbox");
        let record: Option<Record> = std::fs::read(self.directory.join("sandbox.json"))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok());
        let Some(record) = record else { return };
        let pause = self.context.engine.adopt(&bundle).await;
        let network = (!record.host_network).then(|| self.context.network.adopt(record.address));
        let host_ipc = meta::flag(&self.pod, &["spec", "hostIPC"]);
        let (alive, ended) = match pause {
            Some(pause) if pause.process.ended().is_some() => (None, Some(pause)),
            other => (other, None),
        };
        if let Some(ended) = ended {
            let _left = self.context.engine.delete(&ended).await.is_err();
        }
        let shared = alive.as_ref().and_then(|pause| {
            let node = self.context.network.namespace();
            namespaces_of(pause.process.pid, record.host_network, host_ipc, node).ok()
        });
        let volumes = {
            let tokens = start::tokens(&self.context, &self.pod);
            let host = self.context.addresses(self.context.network.address());
            let address = self.context.addresses(record.address);
            let material = Material {
                pod: &self.pod,
                facts: self.context.facts(&host, &address),
                sources: &*self.context,
                tokens: &tokens,
            };
            let directory = self.directory.join("volumes");
            Volumes::make(&directory, &self.context.view(), &material, &self.context.faults)
        };
        let dead = shared.is_none() || volumes.is_err();
        let pids = alive
            .as_ref()
            .filter(|_| record.shares_pids)
            .map(|pause| format!("/proc/{}/ns/pid", pause.process.pid));
        let made = Arc::new(Made {
            shared: shared.unwrap_or(Shared {
                net: None,
                uts: None,
                ipc: None,
            }),
            network,
            address: record.address,
            volumes: Mutex::new(volumes.unwrap_or_default()),
            pause: Mutex::new(alive.clone()),
            pids,
        });
        if dead {
            self.sandbox = Sandbox::Dead(made);
            return;
        }
        self.sandbox = Sandbox::Ready(made);
        if let Some(pause) = alive {
            self.watch_pause(&pause);
        }
    }
}
