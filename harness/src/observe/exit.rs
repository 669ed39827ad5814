//! How something ended, by the kernel's word.

use record::Seen;

use super::{Target, cgroup};
use crate::drive::World;
use crate::drive::container::Ended;
use crate::signal;

pub(super) fn look(target: Target<'_>, world: &mut World<'_>) -> Seen {
    let (alive, ended, kills) = match target {
        Target::Host => {
            return Seen::Unmeasured {
                why: "the host does not end".into(),
            };
        }
        Target::Process(name) => match world.host_processes.get_mut(name) {
            Some(process) => (process.alive(), process.ended(), 0),
            None => {
                return Seen::Absent {
                    what: format!("`{name}` was never started"),
                };
            }
        },
        Target::Workload(name) => match world.containers.get_mut(name).and_then(|c| c.init.as_mut()) {
            Some(init) => (init.alive(), init.ended(), cgroup::oom_kills(&init.groups).unwrap_or(0)),
            None => {
                return Seen::Absent {
                    what: format!("`{name}` has no process"),
                };
            }
        },
    };
    match (alive, ended) {
        (true, _) => Seen::Exit {
            running: true,
            code: None,
            signal: None,
            reason: None,
            source: "waitid".into(),
        },
        (false, Some(ended)) => ending(ended, kills, "waitid"),
        (false, None) => Seen::Unmeasured {
            why: "it has ended, but as the child of another process: how is not known".into(),
        },
    }
}

pub(super) fn of_action(world: &World<'_>) -> Seen {
    match &world.last {
        Some(outcome) if outcome.hung => Seen::Exit {
            running: true,
            code: None,
            signal: None,
            reason: None,
            source: outcome.argv.clone(),
        },
        Some(outcome) => ending(
            Ended {
                code: outcome.code,
                signal: outcome.signal,
            },
            0,
            &outcome.argv,
        ),
        None => Seen::Absent {
            what: "the step ran no command".into(),
        },
    }
}

fn ending(ended: Ended, oom_kills: u64, source: &str) -> Seen {
    let code = ended.code.map(i64::from).or(ended.signal.map(|s| 128 + i64::from(s)));
    let reason = match ended {
        Ended { signal: Some(9), .. } if oom_kills > 0 => "OOMKilled",
        Ended { code: Some(0), .. } => "Completed",
        _ => "Error",
    };
    Seen::Exit {
        running: false,
        code,
        signal: Some(ended.signal.map_or_else(|| "none".into(), signal::name)),
        reason: Some(reason.into()),
        source: source.into(),
    }
}
