//! How a process ended, and who ended it: exit codes, signals and the OOM killer (`signal(7)`, `waitid(2)`).

use serde_json::Value;

use super::cgroups;
use super::facts::Act;
use super::statement::{Matter, Object, Statement};
use crate::signal;

pub(super) fn statements(matter: &Matter<'_>) -> Vec<Statement> {
    let mut statement = matter.about(Object::Ending);
    let Some(end) = matter.facts.end(matter.workload).filter(|end| !end.runs) else {
        return Vec::new();
    };
    let me = matter.workload;
    statement.source = match matter.facts.pid(me) {
        Some(pid) => format!("waitid of pid {pid}"),
        None => "waitid".into(),
    };
    // 128+n is how a shell tells of its child's signal.
    let by_code = end.code.filter(|code| (129..=192).contains(code));
    let ended_by = end.signal.clone().or_else(|| {
        by_code
            .and_then(|code| i32::try_from(code - 128).ok())
            .map(signal::name)
    });
    statement.shows = match ended_by {
        Some(signal) => {
            let what = match end.code {
                Some(code) => format!(
                    "{me} ended with code {code}, which is 128 + {} for {signal}",
                    code - 128
                ),
                None => format!("{me} was ended by {signal}"),
            };
            format!("{what}: {}", sender(matter, &signal))
        }
        None => match end.code {
            Some(0) => format!("{me} ended by itself with code 0"),
            Some(code @ (126 | 127)) => format!(
                "{me} ended with code {code}: its program could not be {}{}",
                if code == 126 { "executed" } else { "found" },
                said(matter)
            ),
            Some(code) => format!("{me} ended by itself with code {code}{}", said(matter)),
            None => String::new(),
        },
    };
    let mut all = vec![statement];
    let signal = end.signal.unwrap_or_default();
    all.extend(unasked_filter(matter, &signal));
    all.extend(other_signal(matter, &signal));
    all
}

/// A filter that kills, where none was asked for.
fn unasked_filter(matter: &Matter<'_>, ended_by: &str) -> Option<Statement> {
    if ended_by != "SIGSYS" || killing_rule(matter).is_some() {
        return None;
    }
    let profile = matter
        .config
        .pointer("/linux/seccomp")
        .filter(|profile| profile.is_object());
    let lethal = |action: &Value| action.as_str().is_some_and(kills_or_traps);
    if profile.is_some_and(|profile| lethal(&profile["defaultAction"])) {
        return None;
    }
    let statement = matter.about(Object::Ending).asked(
        "no seccomp filter that kills",
        "/linux/seccomp",
        profile.is_some(),
        &["seccomp"],
    );
    let shows = format!("{} was ended by SIGSYS", matter.workload);
    Some(statement.shows(shows, "waitid", false))
}

fn kills_or_traps(action: &str) -> bool {
    action.starts_with("SCMP_ACT_KILL") || action == "SCMP_ACT_TRAP"
}

/// The first rule of the seccomp profile that kills, and its index.
fn killing_rule<'m>(matter: &'m Matter<'_>) -> Option<(usize, &'m Value)> {
    let rules = matter
        .config
        .pointer("/linux/seccomp/syscalls")
        .and_then(Value::as_array)?;
    let kills = |rule: &Value| rule["action"].as_str().is_some_and(kills_or_traps);
    rules.iter().enumerate().find(|(_, rule)| kills(rule))
}

/// The last signal that the subject was asked to send, if another one ended the process.
fn other_signal(matter: &Matter<'_>, ended_by: &str) -> Option<Statement> {
    if ended_by.is_empty() || cgroups::oom(&matter.facts.groups(matter.workload)).is_some() {
        return None;
    }
    let (act, words) = matter.facts.acts().iter().rev().find_map(|act| {
        let words = asked_signals(act, matter.workload)?;
        Some((act, words))
    })?;
    let wanted = words.last()?;
    let mut statement = matter.about(Object::Ending).asked(wanted.as_str(), "", false, &[]);
    statement.by = format!("`{}`", act.what);
    let shows = format!("{} was ended by {ended_by}", matter.workload);
    Some(statement.shows(shows, "waitid", words.iter().any(|word| word == ended_by)))
}

/// The signals that a successful `kill` of the workload names.
fn asked_signals(act: &Act<'_>, workload: &str) -> Option<Vec<String>> {
    let mut words = act.what.split_whitespace().skip_while(|word| *word != "kill");
    words.next()?;
    if act.code != Some(0) || !act.what.contains(&format!("plimsoll-{workload}")) {
        return None;
    }
    let named: Vec<String> = words.filter_map(signal::number).map(signal::name).collect();
    (!named.is_empty()).then_some(named)
}

/// The last line that it complained.
fn said(matter: &Matter<'_>) -> String {
    let stderr = matter.facts.text(&matter.evidence("stderr")).unwrap_or_default();
    match stderr.trim().lines().last() {
        Some(line) => format!(", after writing `{line}`"),
        None => String::new(),
    }
}

/// Who sent a signal, as far as counters and commands tell.
fn sender(matter: &Matter<'_>, name: &str) -> String {
    if name == "SIGKILL"
        && let Some(oom) = cgroups::oom(&matter.facts.groups(matter.workload))
    {
        return format!("the kernel's OOM killer, {oom}");
    }
    if let Some(act) = matter
        .facts
        .acts()
        .iter()
        .rev()
        .find(|act| kills(act, matter.workload, name))
    {
        return format!("`{}` of this case", act.what);
    }
    let rlimit = match name {
        "SIGXFSZ" => Some("RLIMIT_FSIZE"),
        "SIGXCPU" => Some("RLIMIT_CPU"),
        _ => None,
    };
    if let Some(kind) = rlimit {
        let list = matter.config.pointer("/process/rlimits").and_then(Value::as_array);
        let found = list
            .into_iter()
            .flatten()
            .enumerate()
            .find(|(_, limit)| limit["type"] == kind);
        return match found {
            Some((index, limit)) => format!("{kind} is {} (`process.rlimits[{index}]`)", limit["soft"]),
            None => format!("{kind} was reached, and config.json does not ask for it"),
        };
    }
    if name == "SIGSYS" {
        return match killing_rule(matter) {
            Some((index, rule)) => format!(
                "the seccomp filter, rule `linux.seccomp.syscalls[{index}]` ({})",
                rule["names"]
            ),
            None => "a seccomp filter that config.json does not ask for".into(),
        };
    }
    "no counter of its cgroup and no command of this case accounts for it".into()
}

/// Whether a command sent this signal to the workload.
fn kills(act: &Act<'_>, workload: &str, name: &str) -> bool {
    asked_signals(act, workload).is_some_and(|words| words.iter().any(|word| word == name))
}
