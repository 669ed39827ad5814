//! Containers that run beside all samples, and do nothing.

use std::fs::File;
use std::path::PathBuf;

use oci_runtime_client::Streams;
use record::Event;
use serde_json::{Value, json};
use spec::benchmark::WORKLOAD;

use super::start::{accepted, reap};
use crate::drive::{Stuck, World, act};
use crate::guard::{HOME, Home, Job};
use crate::observe;
use crate::observe::netns_end::NetnsEnd;
use crate::wait;

/// From look to look whether the network of the last one that ended is gone.
const EVERY: std::time::Duration = std::time::Duration::from_millis(2);

/// Containers of one subject, from one bundle, as many as just now are asked for.
pub(super) struct Population {
    job: Job,
    state: PathBuf,
    bundle: PathBuf,
    config: Value,
    /// Ids of those that run, and their processes.
    live: Vec<(String, Option<i32>)>,
}

impl Population {
    /// Of the job's subject and workload. None runs yet.
    ///
    /// # Errors
    /// What could not be made.
    pub(super) fn prepare(mut job: Job, home: &Home, emit: &mut dyn FnMut(Event)) -> Result<Self, Stuck> {
        let name = format!("{WORKLOAD}-live");
        let state = PathBuf::from(format!("{HOME}/state-live"));
        if let Some(workload) = job.case.spec.workloads.remove(WORKLOAD) {
            job.case.spec.workloads.insert(name.clone(), workload);
        }
        let (bundle, _) = World::new(&job, home, &state, emit).bundle(&name, &format!("plimsoll-{name}"))?;
        let text = std::fs::read(bundle.join("config.json")).map_err(|error| host("read a bundle", &error))?;
        let config = serde_json::from_slice(&text).map_err(|error| host("parse a bundle", &error))?;
        Ok(Self {
            job,
            state,
            bundle,
            config,
            live: Vec::new(),
        })
    }

    /// Starts or ends some, until so many run. What ended is gone then, with its network.
    ///
    /// # Errors
    /// What the subject or the host did not do.
    pub(super) fn set(&mut self, count: u32, home: &Home, emit: &mut dyn FnMut(Event)) -> Result<(), Stuck> {
        let (job, count) = (self.job.clone(), count as usize);
        let mut world = World::new(&job, home, &self.state, emit);
        while self.live.len() < count {
            let one = self.start(&mut world)?;
            self.live.push(one);
        }
        let mut last = None;
        while self.live.len() > count {
            let Some((id, pid)) = self.live.pop() else { break };
            // The kernel takes networks apart in the order in which they ended.
            last = pid.and_then(|pid| NetnsEnd::of(pid).ok()).or(last);
            accepted(world.client.delete(&id, true), String::new).map_err(Stuck::Subject)?;
        }
        if let Some(network) = last {
            reap();
            let gone = || network.is_gone().then_some(()).ok_or(());
            // If it stays, samples after it tell so themselves.
            let _stays = wait::until(crate::drive::step_deadline(&job), EVERY, gone);
        }
        Ok(())
    }

    fn start(&self, world: &mut World<'_>) -> Result<(String, Option<i32>), Stuck> {
        let number = self.live.len();
        let id = format!("plimsoll-{WORKLOAD}-live-{number}");
        let own = PathBuf::from(format!("{}-{number}", self.bundle.display()));
        let mut config = self.config.clone();
        config["process"]["args"] = json!(["sleep", "forever"]);
        // All have the same files: they write nothing.
        config["root"]["path"] = json!(self.bundle.join("rootfs"));
        if config["linux"]["cgroupsPath"].is_string() {
            config["linux"]["cgroupsPath"] = json!(format!("/{id}"));
        }
        std::fs::create_dir_all(&own).map_err(|error| host("make a bundle", &error))?;
        std::fs::write(own.join("config.json"), config.to_string()).map_err(|error| host("write a bundle", &error))?;
        let complaints = PathBuf::from(format!("{HOME}/tmp/{id}.stderr"));
        let null = |to: bool| {
            let opened = File::options().read(!to).write(to).open("/dev/null");
            opened.map_err(|error| host("open `/dev/null`", &error))
        };
        let streams = Streams {
            stdin: Some(null(false)?),
            stdout: Some(null(true)?),
            stderr: Some(File::create(&complaints).map_err(|error| host("make a file for complaints", &error))?),
        };
        let pid_file = PathBuf::from(format!("{HOME}/tmp/{id}.pid"));
        let said = || {
            format!(
                "{}{}",
                observe::output::text(&complaints),
                act::logged(world.client.log())
            )
        };
        accepted(world.client.create(&id, &own, &pid_file, &[], streams), said).map_err(Stuck::Subject)?;
        accepted(world.client.start(&id), String::new).map_err(Stuck::Subject)?;
        let pid = std::fs::read_to_string(&pid_file).ok();
        Ok((id, pid.and_then(|text| text.trim().parse().ok())))
    }
}

fn host(what: &str, why: &dyn std::fmt::Display) -> Stuck {
    Stuck::Host(format!("failed to {what}: {why}"))
}
