//! Capabilities, `no_new_privs` and seccomp: which bit, in which set, and which rule (`capabilities(7)`, `seccomp(2)`).

use serde_json::Value;

use super::statement::{Matter, Object, Statement};

/// The sets: name in `config.json`, line of `/proc/PID/status`.
const SETS: [(&str, &str); 5] = [
    ("bounding", "CapBnd"),
    ("effective", "CapEff"),
    ("permitted", "CapPrm"),
    ("inheritable", "CapInh"),
    ("ambient", "CapAmb"),
];

pub(super) fn statements(matter: &Matter<'_>) -> Vec<Statement> {
    let mut all: Vec<Statement> = SETS.iter().map(|(set, line)| capability(matter, set, line)).collect();
    all.push(no_new_privileges(matter));
    all.extend(seccomp(matter));
    all
}

fn bits(names: &[&str]) -> u64 {
    names
        .iter()
        .filter_map(|name| sys::capability::NAMES.iter().position(|known| known == name))
        .fold(0, |bits, number| bits | 1 << number)
}

fn names(bits: u64) -> Vec<String> {
    (0..64)
        .filter(|number| bits >> number & 1 == 1)
        .map(|number| {
            sys::capability::NAMES
                .get(number)
                .map_or_else(|| format!("CAP_{number}"), |name| (*name).to_owned())
        })
        .collect()
}

fn listed(bits: u64) -> String {
    let all = names(bits);
    match all.len() {
        0 => "nothing".into(),
        1..=4 => all.join(", "),
        n => format!("{} and {} more", all[..3].join(", "), n - 3),
    }
}

/// What a set must hold after `execve(2)` of a file without capabilities of its own, if the request is honoured.
fn expected(matter: &Matter<'_>, set: &str) -> Option<u64> {
    matter.config.pointer("/process/capabilities")?;
    let asked = |set: &str| bits(&matter.list(&format!("/process/capabilities/{set}")).unwrap_or_default());
    let (bounding, permitted, inheritable) = (asked("bounding"), asked("permitted"), asked("inheritable"));
    let ambient = asked("ambient") & permitted & inheritable;
    let flag = |pointer: &str| matter.config.pointer(pointer).and_then(Value::as_bool).unwrap_or(false);
    let root = matter
        .config
        .pointer("/process/user/uid")
        .and_then(Value::as_u64)
        .unwrap_or(0)
        == 0;
    Some(match (set, root) {
        ("bounding", _) => bounding,
        ("inheritable", _) => inheritable,
        ("ambient", _) => ambient,
        // What root gains by executing, no_new_privs takes back.
        (_, true) if flag("/process/noNewPrivileges") => ((bounding | inheritable) & permitted) | ambient,
        (_, true) => bounding | inheritable | ambient,
        (_, false) => ambient,
    })
}

fn capability(matter: &Matter<'_>, set: &'static str, line: &str) -> Statement {
    let pointer = format!("/process/capabilities/{set}");
    let said = matter.config.pointer(&pointer).is_some();
    let asked = bits(&matter.list(&pointer).unwrap_or_default());
    let statement = matter.about(Object::Capability(set)).asked(
        format!("the {set} capabilities {{{}}}", listed(asked)),
        &pointer,
        said,
        &[
            &format!("capabilities.{set}"),
            "capabilities.drop",
            "capabilities.add",
            "capabilities",
        ],
    );
    let shown = matter
        .facts
        .status(matter.workload, line)
        .and_then(|text| u64::from_str_radix(text, 16).ok());
    let (Some(shown), Some(expected)) = (shown, expected(matter, set)) else {
        return statement.unknown(matter.evidence("status"));
    };
    let source = matter.proc("status");
    let (extra, lacking) = (shown & !expected, expected & !shown);
    if extra == 0 && lacking == 0 {
        return statement.shows(format!("{line} {shown:016x} is {{{}}}", listed(shown)), source, true);
    }
    let mut parts = Vec::new();
    if extra != 0 {
        parts.push(format!("has {}", listed(extra)));
    }
    if lacking != 0 {
        parts.push(format!("lacks {}", listed(lacking)));
    }
    let mut statement = statement.shows(
        format!("{line} {shown:016x} of {} {}", matter.workload, parts.join(" and ")),
        source,
        false,
    );
    let host = matter
        .facts
        .status("host", "CapBnd")
        .and_then(|text| u64::from_str_radix(text, 16).ok());
    if extra == 0
        && let Some(host) = host
        && lacking & host == 0
    {
        statement.host = Some(format!(
            "the host's own bounding set (CapBnd {host:016x}) lacks {}",
            listed(lacking)
        ));
    }
    statement
}

fn no_new_privileges(matter: &Matter<'_>) -> Statement {
    let pointer = "/process/noNewPrivileges";
    let said = matter.config.pointer(pointer).and_then(Value::as_bool);
    let wanted = said.unwrap_or(false);
    let statement = matter.about(Object::NoNewPrivileges).asked(
        if wanted {
            "no_new_privs"
        } else {
            "new privileges to be possible"
        },
        pointer,
        said.is_some(),
        &["noNewPrivileges"],
    );
    match matter.facts.status(matter.workload, "NoNewPrivs") {
        Some(now) => statement.shows(
            format!("NoNewPrivs is {now}"),
            matter.proc("status"),
            (now == "1") == wanted,
        ),
        None => statement.unknown(matter.evidence("status")),
    }
}

fn seccomp(matter: &Matter<'_>) -> Vec<Statement> {
    let profile = matter
        .config
        .pointer("/linux/seccomp")
        .filter(|profile| profile.is_object());
    let rules = profile.and_then(|p| p["syscalls"].as_array());
    let asked = match (profile, rules) {
        (None, _) => "no seccomp filter".to_owned(),
        (Some(_), Some(rules)) if !rules.is_empty() => format!("a seccomp filter of {} rule(s)", rules.len()),
        (Some(profile), _) => format!("a seccomp filter that does {}", profile["defaultAction"]),
    };
    let pointer = "/linux/seccomp";
    let statement =
        matter
            .about(Object::Seccomp)
            .asked(asked, pointer, profile.is_some(), &["seccomp.syscalls", "seccomp"]);
    let Some(mode) = matter.facts.status(matter.workload, "Seccomp") else {
        return vec![statement.unknown(matter.evidence("status"))];
    };
    let filters = matter.facts.status(matter.workload, "Seccomp_filters").unwrap_or("?");
    let source = matter.proc("status");
    let shows = match mode {
        "0" => "no filter is in force, Seccomp is 0".to_owned(),
        mode => format!("Seccomp is {mode} with {filters} filter(s)"),
    };
    let inherited = matter.facts.status("host", "Seccomp") == Some("2");
    let (Some(profile), false) = (profile, mode == "0") else {
        let agrees = (profile.is_some() || inherited) == (mode != "0");
        return vec![statement.shows(shows, source, agrees)];
    };
    // With a filter in force, what the workload tried shows whether it is the one.
    for (name, operation, result) in attempts(matter) {
        for (index, rule) in rules.into_iter().flatten().enumerate() {
            let Some(wanted) = outcome(profile, rule, &operation) else {
                continue;
            };
            if wanted != result {
                let mut rule_statement = matter.about(Object::Seccomp).asked(
                    format!(
                        "{} of `{operation}`",
                        if wanted == "ok" {
                            "leave".into()
                        } else {
                            format!("refusal with {wanted}")
                        }
                    ),
                    &format!("/linux/seccomp/syscalls/{index}"),
                    true,
                    &[&format!("seccomp.syscalls.{index}"), "seccomp"],
                );
                rule_statement =
                    rule_statement.shows(format!("{shows}, but attempt `{name}` came to {result}"), source, false);
                return vec![rule_statement];
            }
        }
    }
    vec![statement.shows(shows, source, true)]
}

/// What the workload tried: name, system call, result.
fn attempts(matter: &Matter<'_>) -> Vec<(String, String, String)> {
    let report = matter.facts.report(matter.case, matter.workload);
    let Some(attempts) = report.and_then(|report| report["attempts"].as_object()) else {
        return Vec::new();
    };
    let args = matter.list("/process/args").unwrap_or_default();
    attempts
        .iter()
        .filter_map(|(name, result)| {
            let operation = args
                .iter()
                .find_map(|word| word.strip_prefix(name.as_str())?.strip_prefix('='))?;
            let mut words = operation.split(':');
            let verb = words.next()?;
            let call = if verb == "syscall" { words.next()? } else { verb };
            Some((name.clone(), call.to_owned(), result.as_str()?.to_owned()))
        })
        .collect()
}

/// What a rule without conditions makes of a system call that it names. The probe's own verbs are called as the system
/// calls that they are.
fn outcome(profile: &Value, rule: &Value, call: &str) -> Option<String> {
    let named = rule["names"].as_array()?.iter().any(|name| name == call);
    let conditional = rule["args"].as_array().is_some_and(|args| !args.is_empty());
    // A call that several rules name is decided by libseccomp's order of precedence.
    let rules = profile["syscalls"].as_array()?;
    let times = rules
        .iter()
        .filter(|r| {
            r["names"]
                .as_array()
                .is_some_and(|names| names.iter().any(|name| name == call))
        })
        .count();
    if !named || conditional || times != 1 || rule["action"] != "SCMP_ACT_ERRNO" {
        return None;
    }
    let number = rule["errnoRet"].as_i64().unwrap_or(1);
    errno(number).map(str::to_owned)
}

fn errno(number: i64) -> Option<&'static str> {
    Some(match number {
        1 => "EPERM",
        2 => "ENOENT",
        13 => "EACCES",
        22 => "EINVAL",
        38 => "ENOSYS",
        _ => return None,
    })
}
