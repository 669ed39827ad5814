//! Control group values by normalised keys, read from the files of version 1 or 2
//! (`Documentation/admin-guide/cgroup-v1/` and `cgroup-v2.rst`).

use std::collections::BTreeMap;
use std::path::Path;

use record::Seen;
use record::seen::CgroupValue;
use serde_json::{Value, json};

use crate::drive::World;
use crate::drive::container::Group;

pub(super) fn look<'k>(name: &str, keys: impl Iterator<Item = &'k str>, world: &World<'_>) -> Seen {
    let Some(container) = world.containers.get(name) else {
        return Seen::Absent {
            what: format!("`{name}` was never made"),
        };
    };
    let Some(init) = &container.init else {
        return Seen::Absent {
            what: format!("`{name}` has no process, and so no control group"),
        };
    };
    if let Some(why) = &world.home.no_cgroups {
        return Seen::Unmeasured { why: why.clone() };
    }
    let own = container.cgroups_path.as_deref().unwrap_or("/").trim_start_matches('/');
    let mut values = BTreeMap::new();
    for key in keys {
        let Some(group) = holder(&init.groups, key) else {
            values.insert(
                key.to_owned(),
                CgroupValue {
                    file: "no hierarchy has the controller".into(),
                    value: None,
                },
            );
            continue;
        };
        if !own.is_empty() && !group.directory.components().any(|c| c.as_os_str() == own) {
            // What the harness asked for is not where the process is: its values would be another group's.
            return Seen::Absent {
                what: format!(
                    "`{name}` is in the control group `{}`, not in `{own}` that was asked for",
                    group.directory.display()
                ),
            };
        }
        if !group.directory.exists() {
            return Seen::Absent {
                what: format!("the control group `{}` is gone", group.directory.display()),
            };
        }
        values.insert(key.to_owned(), read(group, key));
    }
    Seen::Cgroup { values }
}

/// The group that holds a key's controller.
pub(crate) fn holder<'g>(groups: &'g [Group], key: &str) -> Option<&'g Group> {
    let controller = match key.split('.').next().unwrap_or(key) {
        "procs" => {
            return groups
                .iter()
                .find(|g| g.version == 2 || g.controllers.iter().any(|c| c == "pids"));
        }
        "io" => ["blkio", "io"],
        "cpu" if matches!(key, "cpu.usage") => ["cpuacct", "cpu"],
        "freezer" => {
            return groups
                .iter()
                .find(|g| g.controllers.iter().any(|c| c == "freezer"))
                .or_else(|| groups.iter().find(|g| g.version == 2));
        }
        name => return groups.iter().find(|g| g.controllers.iter().any(|c| c == name)),
    };
    controller
        .iter()
        .find_map(|name| groups.iter().find(|g| g.controllers.iter().any(|c| c == name)))
}

/// Reads one key. `max` is the text `max`; times are seconds.
pub(crate) fn read(group: &Group, key: &str) -> CgroupValue {
    let v1 = group.version == 1;
    let whole = |file: &'static str| (file, Part::Whole);
    let (file, part) = match (key, v1) {
        ("memory.peak", true) => whole("memory.max_usage_in_bytes"),
        ("memory.peak", false) => whole("memory.peak"),
        ("memory.current", true) => whole("memory.usage_in_bytes"),
        ("memory.current", false) => whole("memory.current"),
        ("memory.max", true) => whole("memory.limit_in_bytes"),
        ("memory.max", false) => whole("memory.max"),
        ("memory.low" | "memory.reservation", true) => whole("memory.soft_limit_in_bytes"),
        ("memory.low" | "memory.reservation", false) => whole("memory.low"),
        ("memory.swapMax", true) => whole("memory.memsw.limit_in_bytes"),
        ("memory.swapMax", false) => whole("memory.swap.max"),
        ("memory.oomKills", true) => ("memory.oom_control", Part::Field("oom_kill")),
        ("memory.oomKills", false) => ("memory.events", Part::Field("oom_kill")),
        ("memory.oomEvents", true) => whole("memory.failcnt"),
        ("memory.oomEvents", false) => ("memory.events", Part::Field("oom")),
        ("cpu.usage", true) => ("cpuacct.usage", Part::Nanoseconds),
        ("cpu.usage", false) => ("cpu.stat", Part::Microseconds("usage_usec")),
        ("cpu.throttledPeriods", _) => ("cpu.stat", Part::Field("nr_throttled")),
        ("cpu.periods", _) => ("cpu.stat", Part::Field("nr_periods")),
        ("cpu.throttledTime", true) => ("cpu.stat", Part::FieldNanoseconds("throttled_time")),
        ("cpu.throttledTime", false) => ("cpu.stat", Part::Microseconds("throttled_usec")),
        ("cpu.quota", true) => ("cpu.cfs_quota_us", Part::WholeMicroseconds),
        ("cpu.quota", false) => ("cpu.max", Part::WordMicroseconds(0)),
        ("cpu.period", true) => ("cpu.cfs_period_us", Part::WholeMicroseconds),
        ("cpu.period", false) => ("cpu.max", Part::WordMicroseconds(1)),
        ("cpu.shares", true) => whole("cpu.shares"),
        ("cpu.weight" | "cpu.shares", false) => whole("cpu.weight"),
        ("cpu.burst", true) => ("cpu.cfs_burst_us", Part::WholeMicroseconds),
        ("cpu.burst", false) => ("cpu.max.burst", Part::WholeMicroseconds),
        ("cpu.idle", _) => whole("cpu.idle"),
        ("cpuset.cpus", _) => ("cpuset.cpus", Part::Text),
        ("cpuset.mems", _) => ("cpuset.mems", Part::Text),
        ("pids.max", _) => whole("pids.max"),
        ("pids.current", _) => whole("pids.current"),
        ("pids.denied", _) => ("pids.events", Part::Field("max")),
        ("io.readBytes", true) => ("blkio.throttle.io_service_bytes", Part::Sum("Read")),
        ("io.writeBytes", true) => ("blkio.throttle.io_service_bytes", Part::Sum("Write")),
        ("io.readBytes", false) => ("io.stat", Part::SumOf("rbytes=")),
        ("io.writeBytes", false) => ("io.stat", Part::SumOf("wbytes=")),
        ("freezer.state", true) => ("freezer.state", Part::Text),
        ("freezer.state", false) => ("cgroup.events", Part::Frozen),
        ("procs", _) => ("cgroup.procs", Part::Lines),
        (other, _) => {
            return match other.strip_prefix("hugetlb.") {
                Some(rest) => hugetlb(group, rest),
                None => CgroupValue {
                    file: format!("`{other}` has no file on cgroup v{}", group.version),
                    value: None,
                },
            };
        }
    };
    let path = group.directory.join(file);
    CgroupValue {
        value: value(&path, part),
        file: path.display().to_string(),
    }
}

fn hugetlb(group: &Group, rest: &str) -> CgroupValue {
    let file = match (rest.rsplit_once('.'), group.version) {
        (Some((size, "max")), 1) => format!("hugetlb.{size}.limit_in_bytes"),
        (Some((size, "current")), 1) => format!("hugetlb.{size}.usage_in_bytes"),
        _ => format!("hugetlb.{rest}"),
    };
    let path = group.directory.join(file);
    CgroupValue {
        value: value(&path, Part::Whole),
        file: path.display().to_string(),
    }
}

#[derive(Debug, Clone, Copy)]
enum Part {
    /// A number, or `max`.
    Whole,
    /// Microseconds, or `max`.
    WholeMicroseconds,
    /// A word of microseconds, or `max`.
    WordMicroseconds(usize),
    /// Nanoseconds.
    Nanoseconds,
    /// The number behind a name.
    Field(&'static str),
    /// Microseconds behind a name.
    Microseconds(&'static str),
    /// Nanoseconds behind a name.
    FieldNanoseconds(&'static str),
    /// Text.
    Text,
    /// The sum over devices of the lines with this word.
    Sum(&'static str),
    /// The sum over devices of the numbers behind this.
    SumOf(&'static str),
    /// `FROZEN` or `THAWED` of version 2's `frozen`.
    Frozen,
    /// A number on each line.
    Lines,
}

fn value(path: &Path, part: Part) -> Option<Value> {
    let text = std::fs::read_to_string(path).ok()?;
    let text = text.trim();
    let field = |name: &str| {
        text.lines()
            .find_map(|l| l.strip_prefix(name)?.strip_prefix(' '))
            .and_then(|v| v.trim().parse::<u64>().ok())
    };
    let microseconds = |word: &str| match word.parse::<i64>() {
        Ok(negative) if negative < 0 => Some(json!("max")),
        Ok(number) => Some(json!(number as f64 / 1e6)),
        Err(_) => (word == "max").then(|| json!("max")),
    };
    match part {
        // Version 1 writes "no limit" as the greatest multiple of a page below 2^63.
        Part::Whole => match text.parse::<u64>() {
            Ok(number) if number >= 0x7fff_ffff_ffff_0000 => Some(json!("max")),
            Ok(number) => Some(json!(number)),
            Err(_) => (text == "max").then(|| json!("max")),
        },
        Part::WholeMicroseconds => microseconds(text),
        Part::WordMicroseconds(n) => microseconds(text.split_whitespace().nth(n)?),
        Part::Nanoseconds => Some(json!(text.parse::<u64>().ok()? as f64 / 1e9)),
        Part::Field(name) => field(name).map(|n| json!(n)),
        Part::Microseconds(name) => field(name).map(|n| json!(n as f64 / 1e6)),
        Part::FieldNanoseconds(name) => field(name).map(|n| json!(n as f64 / 1e9)),
        Part::Text => Some(json!(text)),
        Part::Sum(word) => Some(json!(
            text.lines()
                .filter_map(|line| {
                    let mut words = line.split_whitespace().skip(1);
                    (words.next()? == word).then(|| words.next()?.parse::<u64>().ok())?
                })
                .sum::<u64>()
        )),
        Part::SumOf(name) => Some(json!(
            text.split_whitespace()
                .filter_map(|w| w.strip_prefix(name)?.parse::<u64>().ok())
                .sum::<u64>()
        )),
        Part::Frozen => field("frozen").map(|n| json!(if n == 1 { "FROZEN" } else { "THAWED" })),
        Part::Lines => Some(json!(
            text.lines()
                .filter_map(|l| l.trim().parse::<u64>().ok())
                .collect::<Vec<_>>()
        )),
    }
}

/// How many processes of the groups the OOM killer has ended.
pub(crate) fn oom_kills(groups: &[Group]) -> Option<u64> {
    read(holder(groups, "memory.oomKills")?, "memory.oomKills")
        .value?
        .as_u64()
}

/// Whether every task is frozen.
pub(crate) fn frozen(groups: &[Group]) -> bool {
    let state = holder(groups, "freezer.state").and_then(|g| read(g, "freezer.state").value);
    state.as_ref().and_then(Value::as_str) == Some("FROZEN")
}

/// A counter or gauge for sampling.
pub(crate) fn number(groups: &[Group], key: &str) -> Option<f64> {
    read(holder(groups, key)?, key).value?.as_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(version: u8, files: &[(&str, &str)]) -> (tempfile::TempDir, Group) {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let group = Group {
            version,
            controllers: vec![],
            directory: directory.path().into(),
        };
        (directory, group)
    }

    #[test]
    fn both_versions_answer_the_same_keys() {
        let (_v1, one) = group(
            1,
            &[
                ("memory.limit_in_bytes", "9223372036854771712\n"),
                ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
                ("cpu.cfs_quota_us", "20000\n"),
                ("cpu.stat", "nr_periods 5\nnr_throttled 4\nthrottled_time 1500000000\n"),
                (
                    "blkio.throttle.io_service_bytes",
                    "254:0 Read 10\n254:0 Write 20\n8:0 Write 1\nTotal 31\n",
                ),
            ],
        );
        let (_v2, two) = group(
            2,
            &[
                ("memory.max", "max\n"),
                ("memory.events", "low 0\noom 3\noom_kill 2\noom_group_kill 0\n"),
                ("cpu.max", "20000 100000\n"),
                (
                    "cpu.stat",
                    "usage_usec 9\nnr_periods 5\nnr_throttled 4\nthrottled_usec 1500000\n",
                ),
                ("io.stat", "254:0 rbytes=10 wbytes=20 rios=1\n8:0 rbytes=0 wbytes=1\n"),
            ],
        );
        for (key, want) in [
            ("memory.max", json!("max")),
            ("memory.oomKills", json!(2)),
            ("cpu.quota", json!(0.02)),
            ("cpu.throttledPeriods", json!(4)),
            ("cpu.throttledTime", json!(1.5)),
            ("io.writeBytes", json!(21)),
        ] {
            assert_eq!(read(&one, key).value, Some(want.clone()), "v1 {key}");
            assert_eq!(read(&two, key).value, Some(want), "v2 {key}");
        }
        assert_eq!(read(&one, "memory.peak").value, None);
    }
}
