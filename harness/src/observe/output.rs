//! What was written, without the probe's own lines.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use record::Seen;

use super::{Target, report};
use crate::drive::World;

const READ: u64 = 256 << 10;

pub(super) fn look(target: Target<'_>, world: &mut World<'_>) -> Seen {
    let (stdout, stderr) = match target {
        Target::Host => {
            return Seen::Unmeasured {
                why: "the host writes nothing".into(),
            };
        }
        Target::Process(name) => world
            .host_processes
            .get(name)
            .map(|p| (p.stdout.clone(), p.stderr.clone())),
        Target::Workload(name) => world.containers.get(name).map(|c| (c.stdout.clone(), c.stderr.clone())),
    }
    .unwrap_or_default();
    Seen::Output {
        stdout: report::without(&text(&stdout), &world.job.nonce),
        stderr: text(&stderr),
    }
}

pub(super) fn of_action(world: &World<'_>) -> Seen {
    match &world.last {
        Some(outcome) => Seen::Output {
            stdout: report::without(&outcome.stdout, &world.job.nonce),
            stderr: outcome.stderr.clone(),
        },
        None => Seen::Absent {
            what: "the step ran no command".into(),
        },
    }
}

/// The first 256 KiB; nothing if there is no such file yet.
pub(crate) fn text(path: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(path) {
        // What could be read before an error is what there is.
        let _partial = file.take(READ).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
