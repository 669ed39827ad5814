//! What a case is about, in the words that faults use: the label `dimension`, and the subjects of its checks.

use std::collections::BTreeSet;

use spec::{Check, Step, Subject, Test, step::Metric};

use crate::plan::{Case, steps};

/// What the checks of a case are about, each by itself.
pub fn of_checks(case: &Case) -> BTreeSet<&'static str> {
    steps(&case.spec)
        .flat_map(|step| &step.expect)
        .flat_map(|check| of_check(&case.spec, check))
        .collect()
}

/// What the case as a whole is about, if its author says so.
pub fn labelled(case: &Case) -> Option<&str> {
    case.header.labels.get("dimension").map(String::as_str)
}

/// The dimensions that a check is about by itself.
fn of_check(test: &Test, check: &Check) -> Vec<&'static str> {
    match &check.subject {
        Subject::Namespace(kinds) => kinds.keys().map(|kind| kind.oci_name()).collect(),
        Subject::Cgroup(keys) => keys.keys().map(|key| controller(key)).collect(),
        Subject::Statistic(..) => sampled(test, check).into_iter().collect(),
        Subject::Mounts(_) => vec!["mount", "mount-options", "propagation"],
        Subject::Network(_) => vec!["network"],
        Subject::Process(_) => vec!["pid"],
        Subject::State(_) => vec!["state"],
        Subject::Exit(_) => vec!["exit"],
        Subject::Output(_) => vec!["stdio"],
        Subject::File(_) => vec!["rootfs"],
        Subject::Report(paths) => paths.keys().filter_map(|path| reported(path)).collect(),
        Subject::Placement(_) => vec!["scheduling"],
        Subject::Pod(_) | Subject::Logs(_) => vec!["pod"],
        Subject::Replicas(_) | Subject::Ready(_) => vec!["workload", "pod"],
        Subject::Object(_) | Subject::Exists(_) | Subject::Events(_) => vec!["workload"],
        Subject::Connection(_) | Subject::Responses(_) | Subject::Reachability(_) => {
            vec!["network", "service", "policy"]
        }
        Subject::Dns(_) => vec!["dns"],
        Subject::Endpoints(_) => vec!["endpoints"],
    }
}

fn controller(key: &str) -> &'static str {
    match key.split('.').next().unwrap_or_default() {
        "cpu" => "cpu",
        "cpuset" => "cpuset",
        "memory" => "memory",
        "pids" => "pids",
        "io" => "io",
        "hugetlb" => "hugetlb",
        "freezer" => "freezer",
        "devices" => "devices",
        _ => "membership",
    }
}

/// What the sample of a statistic measures.
fn sampled(test: &Test, check: &Check) -> Option<&'static str> {
    let id = &check.sample.as_ref()?.value;
    let sample = |step: &Step| step.sample.as_ref().filter(|s| s.id.value == *id).map(|s| s.metric);
    Some(match steps(test).find_map(sample)? {
        Metric::CpuUsage => "cpu",
        Metric::MemoryUsage => "memory",
        Metric::PidsCurrent => "pids",
        Metric::IoWriteRate | Metric::IoReadRate => "io",
    })
}

/// The dimension of what a probe tells, by the first word of the path.
fn reported(path: &str) -> Option<&'static str> {
    Some(match path.split('.').next().unwrap_or_default() {
        "pid" | "ppid" | "processes" | "zombies" => "pid",
        "caps" => "capabilities",
        "seccomp" => "seccomp",
        "noNewPrivs" => "no-new-privs",
        "rlimits" => "rlimits",
        "uid" | "euid" | "gid" | "egid" | "groups" | "umask" => "ids",
        "uidMap" | "gidMap" => "user",
        "hostname" | "domainname" => "uts",
        "net" => "network",
        "ipc" => "ipc",
        "clocks" => "time",
        "cpus" | "affinity" => "cpuset",
        "allocated" => "memory",
        "forked" => "pids",
        "fds" => "escape",
        "env" | "envNames" | "args" | "cwd" | "tty" | "oomScoreAdj" => "process",
        "mounts" | "root" => "mount",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_a_control_group_is_about_its_controller() {
        for (key, dimension) in [
            ("memory.max", "memory"),
            ("cpu.throttledPeriods", "cpu"),
            ("path", "membership"),
        ] {
            assert_eq!(controller(key), dimension);
        }
    }

    #[test]
    fn every_dimension_of_a_check_has_faults() {
        let known = super::super::known_dimensions();
        for path in [
            "pid",
            "caps.effective",
            "seccomp",
            "noNewPrivs",
            "rlimits.RLIMIT_NOFILE",
            "uid",
            "hostname",
        ] {
            let dimension = reported(path).unwrap();
            assert!(known.contains(dimension), "{dimension}");
        }
        for key in ["memory.max", "cpu.max", "pids.max", "cpuset.cpus"] {
            assert!(known.contains(controller(key)), "{key}");
        }
    }
}
