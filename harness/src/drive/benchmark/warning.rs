//! What makes figures of a machine worse, or less steady, than they need be, each with what a person can do about it.
//! Nothing is changed here.

use std::path::Path;

use crate::observe::load::Load;
use crate::subject::Subject;

/// All that is to be said of this machine as it is now.
pub(super) fn of_machine() -> Vec<String> {
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    let crowd = Load::read().runnable.and_then(|runnable| crowd(runnable, cpus));
    let governor = governor(Path::new("/sys/devices/system/cpu"));
    governor.into_iter().chain(crowd).collect()
}

/// All that is to be said of a subject.
pub(super) fn of_subject(subject: &Subject) -> Option<String> {
    let text = "debug build: what it takes means nothing; build with `--release`";
    subject.is_debug_build().then(|| text.to_owned())
}

/// Clock rates that follow the load (`Documentation/admin-guide/pm/cpufreq.rst`).
fn governor(cpus: &Path) -> Option<String> {
    let read = |name: &str| std::fs::read_to_string(cpus.join(name)).ok();
    let governor = read("cpu0/cpufreq/scaling_governor")?;
    let governor = governor.trim();
    (governor != "performance").then(|| {
        format!(
            "CPU governor `{governor}`: clock rates follow the load; `cpupower frequency-set -g performance` keeps them"
        )
    })
}

/// Tasks of others that run beside the benchmark.
fn crowd(runnable: u64, cpus: u64) -> Option<String> {
    // The harness itself is one.
    let others = runnable.saturating_sub(1);
    (others >= cpus)
        .then(|| format!("{others} tasks of others want {cpus} CPUs: figures are theirs, too; end them first"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_governor_that_saves_power_is_told() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(governor(dir.path()), None);
        let folder = dir.path().join("cpu0/cpufreq");
        std::fs::create_dir_all(&folder).unwrap();
        for (name, told) in [("powersave\n", true), ("performance\n", false)] {
            std::fs::write(folder.join("scaling_governor"), name).unwrap();
            assert_eq!(governor(dir.path()).is_some(), told, "{name}");
        }
    }

    #[test]
    fn a_crowd_is_as_many_as_there_are_processors() {
        assert_eq!(crowd(2, 2), None);
        assert!(crowd(3, 2).is_some_and(|text| text.starts_with("2 tasks")));
    }
}
