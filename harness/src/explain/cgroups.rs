//! Control groups: which file holds which value, who is in the group, and which ancestor limits
//! (`Documentation/admin-guide/cgroup-v1/`, `cgroup-v2.rst`).

use serde_json::Value;
use spec::Action;

use super::concern;
use super::facts::Group;
use super::statement::{Matter, Object, Statement};

/// Controllers by whose groups a container is limited.
const LIMITING: [&str; 4] = ["memory", "cpu", "pids", "cpuset"];

/// A limit and where it stands.
struct Limit {
    /// Normalised key.
    key: &'static str,
    /// For people.
    name: &'static str,
    controller: &'static str,
    pointer: &'static str,
    path: &'static str,
    /// File of version 1.
    one: &'static str,
    /// File of version 2, and the word of its text.
    two: (&'static str, usize),
    /// An ancestor with a lower value limits, too.
    inherited: bool,
}

const LIMITS: [Limit; 8] = [
    Limit {
        key: "memory.max",
        name: "memory limit",
        controller: "memory",
        pointer: "/linux/resources/memory/limit",
        path: "resources.limits.memory",
        one: "memory.limit_in_bytes",
        two: ("memory.max", 0),
        inherited: true,
    },
    Limit {
        key: "memory.swapMax",
        name: "limit of memory and swap",
        controller: "memory",
        pointer: "/linux/resources/memory/swap",
        path: "resources.limits.memory",
        one: "memory.memsw.limit_in_bytes",
        two: ("memory.swap.max", 0),
        inherited: true,
    },
    Limit {
        key: "memory.reservation",
        name: "memory reservation",
        controller: "memory",
        pointer: "/linux/resources/memory/reservation",
        path: "resources.requests.memory",
        one: "memory.soft_limit_in_bytes",
        two: ("memory.low", 0),
        inherited: false,
    },
    Limit {
        key: "cpu.quota",
        name: "CPU quota",
        controller: "cpu",
        pointer: "/linux/resources/cpu/quota",
        path: "resources.limits.cpu",
        one: "cpu.cfs_quota_us",
        two: ("cpu.max", 0),
        inherited: false,
    },
    Limit {
        key: "cpu.period",
        name: "CPU period",
        controller: "cpu",
        pointer: "/linux/resources/cpu/period",
        path: "resources.limits.cpu",
        one: "cpu.cfs_period_us",
        two: ("cpu.max", 1),
        inherited: false,
    },
    Limit {
        key: "cpu.shares",
        name: "CPU share",
        controller: "cpu",
        pointer: "/linux/resources/cpu/shares",
        path: "resources.requests.cpu",
        one: "cpu.shares",
        two: ("cpu.weight", 0),
        inherited: false,
    },
    Limit {
        key: "cpuset.cpus",
        name: "set of CPUs",
        controller: "cpuset",
        pointer: "/linux/resources/cpu/cpus",
        path: "resources.limits.cpuset",
        one: "cpuset.cpus",
        two: ("cpuset.cpus", 0),
        inherited: false,
    },
    Limit {
        key: "pids.max",
        name: "limit of processes",
        controller: "pids",
        pointer: "/linux/resources/pids/limit",
        path: "resources.limits.pids",
        one: "pids.max",
        two: ("pids.max", 0),
        inherited: true,
    },
];

pub(super) fn statements(matter: &Matter<'_>) -> Vec<Statement> {
    let groups = matter.facts.groups(matter.workload);
    let mut all = vec![membership(matter, &groups)];
    all.extend(LIMITS.iter().filter_map(|limit| one(matter, &groups, limit)));
    all
}

/// The group of a workload that holds a controller. Ancestors come after it.
fn of<'g, 'a>(groups: &'g [Group<'a>], controller: &str) -> Option<&'g Group<'a>> {
    groups.iter().find(|group| group.controllers.contains(&controller))
}

fn membership(matter: &Matter<'_>, groups: &[Group<'_>]) -> Statement {
    let asked = matter.config.pointer("/linux/cgroupsPath").and_then(Value::as_str);
    let statement = matter.about(Object::Group).asked(
        asked.map_or_else(|| "no cgroup of its own".to_owned(), |path| format!("cgroup `{path}`")),
        "/linux/cgroupsPath",
        asked.is_some(),
        &[],
    );
    let Some(asked) = asked else {
        return statement.unknown(matter.evidence("groups"));
    };
    let mut own: Vec<&Group<'_>> = LIMITING
        .iter()
        .filter_map(|controller| of(groups, controller))
        .collect();
    own.dedup_by_key(|group| group.directory);
    if own.is_empty() {
        return statement.unknown(matter.evidence("groups"));
    }
    let within = |group: &&Group<'_>| {
        let name = asked.trim_matches('/');
        group.directory.split('/').any(|part| part == name) || group.directory.contains(asked)
    };
    match own.iter().find(|group| !within(group)) {
        Some(elsewhere) => statement.shows(
            format!("{} is in `{}`", matter.workload, elsewhere.directory),
            matter.proc("cgroup"),
            false,
        ),
        None => statement.shows(
            format!("{} is in `{}`", matter.workload, own[0].directory),
            matter.proc("cgroup"),
            true,
        ),
    }
}

/// The last `update` of the workload that the case came to, and whether it named its resources.
fn update<'m>(matter: &'m Matter<'_>) -> Option<(String, Option<&'m Value>)> {
    let mut last = None;
    for (phase, index, step) in concern::steps(matter.case) {
        if let Some(Action::Oci(oci)) = &step.action
            && oci.op == spec::step::OciVerb::Update
            && oci.on.value == matter.workload
            && matter.facts.begun(phase, index)
        {
            last = Some((format!("{phase}.{index}.oci.resources"), oci.resources.as_ref()));
        }
    }
    last
}

fn one(matter: &Matter<'_>, groups: &[Group<'_>], limit: &Limit) -> Option<Statement> {
    let mut value = matter.config.pointer(limit.pointer);
    let mut updated = false;
    if let Some((_, resources)) = update(matter) {
        // Of an update on the command line nobody knows here what it asks for.
        let resources = resources?;
        let inside = limit.pointer.trim_start_matches("/linux/resources");
        if let Some(new) = resources.pointer(inside) {
            (value, updated) = (Some(new), true);
        }
    }
    let wanted = value.and_then(|value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.as_i64().is_some_and(|n| n < 0) => None,
        Value::Number(number) if limit.key == "pids.max" && number.as_i64() == Some(0) => None,
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    });
    let asked = match &wanted {
        Some(wanted) => format!("a {} of {}", limit.name, shown(limit, wanted)),
        None => format!("no {}", limit.name),
    };
    let asked = if updated { format!("{asked} (`update`)") } else { asked };
    let statement =
        matter
            .about(Object::Limit(limit.key))
            .asked(asked, limit.pointer, value.is_some() && !updated, &[limit.path]);
    let Some(group) = of(groups, limit.controller) else {
        return Some(statement.unknown(matter.evidence("groups")));
    };
    let (file, now) = read(group, limit)?;
    let source = format!("{}/{file}", group.directory);
    let agrees = agrees(limit, group.version, matter.config, wanted.as_deref(), now);
    let agrees = agrees?;
    if !agrees && writable(matter) {
        // The workload may have written it.
        let mut statement = statement.unknown(source);
        statement.shows = format!("{file} is {}, and the workload may write it", shown(limit, now));
        return Some(statement);
    }
    let mut statement = statement.shows(format!("{file} is {}", shown(limit, now)), source, agrees);
    if limit.inherited
        && let Some(wanted) = wanted.as_deref().and_then(number)
        && statement.agrees == Some(true)
        && let Some(lower) = lower(groups, group, limit, wanted)
    {
        statement.host = Some(lower);
    }
    Some(statement)
}

/// Whether the workload was given its own groups to write.
fn writable(matter: &Matter<'_>) -> bool {
    let mounts = matter.config.pointer("/mounts").and_then(Value::as_array);
    mounts.into_iter().flatten().any(|mount| {
        let options = mount["options"].as_array();
        mount["type"] == "cgroup" && !options.into_iter().flatten().any(|option| option == "ro")
    })
}

/// The file of a group, and what it holds.
fn read<'g>(group: &Group<'g>, limit: &Limit) -> Option<(&'static str, &'g str)> {
    if group.version == 1 {
        return Some((limit.one, group.files.get(limit.one)?));
    }
    let (file, word) = limit.two;
    let text = group.files.get(file)?;
    // An empty set of CPUs is one that is inherited.
    Some((file, text.split_whitespace().nth(word).unwrap_or("")))
}

/// Whether a file holds what was asked for; `None` if it cannot be told.
fn agrees(limit: &Limit, version: u8, config: &Value, wanted: Option<&str>, now: &str) -> Option<bool> {
    let unlimited = now == "max" || now == "-1" || number(now).is_some_and(|n| n >= 0x7fff_ffff_ffff_0000);
    let Some(wanted) = wanted else {
        return match limit.key {
            "memory.max" | "memory.swapMax" | "cpu.quota" | "pids.max" => Some(unlimited),
            _ => None,
        };
    };
    match limit.key {
        "cpuset.cpus" => Some(set(wanted) == set(now)),
        "cpu.shares" if version == 2 => {
            let (shares, weight) = (number(wanted)?, number(now)?);
            let linear = 1 + (shares.saturating_sub(2) * 9999) / 262_142;
            // runc 1.3 and crun 1.23 bend the line so that 1024 becomes 100.
            let exponent = ((shares as f64).log2().powi(2) + 125.0 * (shares as f64).log2()) / 612.0 - 7.0 / 34.0;
            let bent = 10f64.powf(exponent).ceil();
            Some(weight == linear || (weight as f64 - bent).abs() <= 1.0)
        }
        "memory.swapMax" if version == 2 => {
            let memory = config
                .pointer("/linux/resources/memory/limit")
                .and_then(Value::as_u64)?;
            near(number(wanted)?.saturating_sub(memory), number(now)?)
        }
        "memory.max" | "memory.swapMax" | "memory.reservation" => {
            if unlimited {
                return Some(false);
            }
            near(number(wanted)?, number(now)?)
        }
        _ if unlimited => Some(false),
        _ => Some(number(wanted)? == number(now)?),
    }
}

/// The kernel rounds to pages.
fn near(wanted: u64, now: u64) -> Option<bool> {
    Some(wanted.abs_diff(now) < 64 << 10)
}

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// `0-2,4` as numbers.
fn set(text: &str) -> Vec<u32> {
    let mut all: Vec<u32> = text
        .trim()
        .split(',')
        .filter_map(|part| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            Some(from.trim().parse::<u32>().ok()?..=to.trim().parse::<u32>().ok()?)
        })
        .flatten()
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The ancestor that allows less than was asked for.
fn lower(groups: &[Group<'_>], own: &Group<'_>, limit: &Limit, wanted: u64) -> Option<String> {
    let ancestors = groups.iter().filter(|group| {
        group.directory.len() < own.directory.len()
            && concern::below(own.directory, group.directory)
            && group.version == own.version
    });
    for group in ancestors {
        if let Some((file, text)) = read(group, limit)
            && let Some(value) = number(text)
            && value < wanted
            && near(wanted, value) == Some(limit.controller == "pids")
        {
            return Some(format!(
                "{file} of `{}` is {}, lower than the {} of `{}`",
                group.directory,
                shown(limit, text),
                shown(limit, &wanted.to_string()),
                own.directory
            ));
        }
    }
    // On version 1 the kernel tells the lowest of all ancestors, those above the guard among them.
    let stat = own.files.get("memory.stat").filter(|_| limit.key == "memory.max")?;
    let lowest = stat
        .split("; ")
        .find_map(|line| line.strip_prefix("hierarchical_memory_limit "))
        .and_then(number)?;
    (lowest < wanted && near(wanted, lowest) == Some(false)).then(|| {
        format!(
            "an ancestor of `{}` allows {}, lower than the asked {} (hierarchical_memory_limit of its memory.stat)",
            own.directory,
            shown(limit, &lowest.to_string()),
            shown(limit, &wanted.to_string())
        )
    })
}

fn shown(limit: &Limit, text: &str) -> String {
    let Some(value) = number(text) else {
        return match text {
            "" => "empty".into(),
            "-1" => "-1 (none)".into(),
            text => text.to_owned(),
        };
    };
    match limit.controller {
        "memory" if value >= 0x7fff_ffff_ffff_0000 => "max (none)".into(),
        "memory" => bytes(value),
        "cpu" if limit.key != "cpu.shares" => format!("{value} µs"),
        _ => text.to_owned(),
    }
}

/// Bytes as a person writes them.
pub(super) fn bytes(value: u64) -> String {
    for (shift, unit) in [(30, "Gi"), (20, "Mi"), (10, "Ki")] {
        if value > 0 && value.trailing_zeros() >= shift {
            return format!("{}{unit}", value >> shift);
        }
    }
    value.to_string()
}

/// Where the OOM killer struck: a counter that is not zero in a workload's group or an ancestor, and the limit there.
pub(super) fn oom(groups: &[Group<'_>]) -> Option<String> {
    for group in groups.iter().filter(|g| g.controllers.contains(&"memory")) {
        let (file, limit, peak) = if group.version == 1 {
            (
                "memory.oom_control",
                "memory.limit_in_bytes",
                "memory.max_usage_in_bytes",
            )
        } else if group.files.contains_key("memory.events.local") {
            ("memory.events.local", "memory.max", "memory.peak")
        } else {
            ("memory.events", "memory.max", "memory.peak")
        };
        let kills = group
            .files
            .get(file)?
            .split("; ")
            .find_map(|line| number(line.strip_prefix("oom_kill ")?));
        if let Some(kills) = kills.filter(|kills| *kills > 0) {
            let value = |name: &str| {
                group
                    .files
                    .get(name)
                    .map(|text| format!(", {name} {}", number(text).map_or_else(|| (*text).to_owned(), bytes)))
                    .unwrap_or_default()
            };
            return Some(format!(
                "oom_kill {kills} in `{}/{file}`{}{}",
                group.directory,
                value(limit),
                value(peak)
            ));
        }
    }
    None
}
