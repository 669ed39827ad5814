//! Looking: each check's raw facts, from inside without being there and from outside, never from the subject alone.

pub mod cgroup;
mod cluster;
pub mod exit;
pub mod file;
pub(crate) mod load;
pub mod mounts;
pub mod namespace;
pub mod netns_end;
pub mod network;
pub mod output;
pub mod process;
pub mod report;
pub mod resident;
pub mod state;

use record::Seen;
use spec::{Check, Subject};

use crate::drive::World;

/// What a look is directed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// The namespaces in which the subject was started.
    Host,
    /// A workload that was at least asked for.
    Workload(&'a str),
    /// A host process.
    Process(&'a str),
}

/// One look for one check.
pub fn look(check: &Check, world: &mut World<'_>) -> Seen {
    if check.subject.is_of_packets() {
        return world.packets_of(check);
    }
    if check.subject.is_of_cluster() {
        return cluster::look(check, world);
    }
    let name = check.on.as_ref().map(|on| on.value.as_str());
    let target = match name {
        None => None,
        Some("host") => Some(Target::Host),
        Some(name) if world.host_processes.contains_key(name) => Some(Target::Process(name)),
        Some(name) if world.containers.contains_key(name) => Some(Target::Workload(name)),
        Some(name) => {
            return Seen::Absent {
                what: format!("`{name}` was never made"),
            };
        }
    };
    match (&check.subject, target) {
        (Subject::State(_), Some(Target::Workload(name))) => state::look(name, world),
        (Subject::Exit(_), Some(target)) => exit::look(target, world),
        (Subject::Exit(_), None) => exit::of_action(world),
        (Subject::Output(_), Some(target)) => output::look(target, world),
        (Subject::Output(_), None) => output::of_action(world),
        (Subject::Report(_), Some(target)) => report::look(target, world),
        (Subject::Report(_), None) => report::of_action(world),
        (Subject::Process(_), Some(target)) => process::look(target, world),
        (Subject::Namespace(_), Some(target)) => namespace::look(target, world),
        (Subject::Mounts(_), Some(target)) => mounts::look(target, world),
        (Subject::Cgroup(keys), Some(Target::Workload(name))) => {
            cgroup::look(name, keys.keys().map(String::as_str), world)
        }
        (Subject::Network(_), Some(target)) => network::look(target, world),
        (Subject::File(file), Some(target)) => match world.path(&file.path) {
            Ok(path) => file::look(target, &path, world),
            Err(why) => Seen::Unmeasured { why },
        },
        (Subject::Statistic(..), _) => match check.sample.as_ref().and_then(|s| world.samples.get(&s.value)) {
            Some(samples) => samples.clone(),
            None => Seen::Absent {
                what: "the sample was never drawn".into(),
            },
        },
        (subject, target) => Seen::Unmeasured {
            why: format!(
                "`{}` cannot be looked at on {}",
                subject.key(),
                target.map_or("the step's action".into(), |t| format!("{t:?}"))
            ),
        },
    }
}

/// The process id that stands for a target: the harness itself for the host. The error says what is absent.
pub(crate) fn pid_of(target: Target<'_>, world: &mut World<'_>) -> Result<i32, String> {
    match target {
        Target::Host => Ok(1),
        Target::Process(name) => {
            let process = world.host_processes.get_mut(name);
            let pid = process.and_then(|p| p.alive().then_some(p.pid));
            pid.ok_or_else(|| format!("host process `{name}` has ended"))
        }
        Target::Workload(name) => {
            let Some(init) = world.containers.get_mut(name).and_then(|c| c.init.as_mut()) else {
                return Err(format!("`{name}` has no process"));
            };
            if init.alive() {
                Ok(init.pid)
            } else {
                Err(format!("`{name}` has ended"))
            }
        }
    }
}
