//! What a process is started with: ids, resource limits, mask, names, environment, kernel parameters.

use serde_json::Value;

use super::statement::{Matter, Object, Statement};

/// Names of `/proc/PID/limits` (`proc_pid_limits(5)`).
const LIMITS: [(&str, &str); 16] = [
    ("RLIMIT_CPU", "Max cpu time"),
    ("RLIMIT_FSIZE", "Max file size"),
    ("RLIMIT_DATA", "Max data size"),
    ("RLIMIT_STACK", "Max stack size"),
    ("RLIMIT_CORE", "Max core file size"),
    ("RLIMIT_RSS", "Max resident set"),
    ("RLIMIT_NPROC", "Max processes"),
    ("RLIMIT_NOFILE", "Max open files"),
    ("RLIMIT_MEMLOCK", "Max locked memory"),
    ("RLIMIT_AS", "Max address space"),
    ("RLIMIT_LOCKS", "Max file locks"),
    ("RLIMIT_SIGPENDING", "Max pending signals"),
    ("RLIMIT_MSGQUEUE", "Max msgqueue size"),
    ("RLIMIT_NICE", "Max nice priority"),
    ("RLIMIT_RTPRIO", "Max realtime priority"),
    ("RLIMIT_RTTIME", "Max realtime timeout"),
];

pub(super) fn statements(matter: &Matter<'_>) -> Vec<Statement> {
    let mut all = vec![user(matter), umask(matter), oom_score(matter)];
    all.extend(rlimits(matter));
    all.extend(names(matter));
    all.extend(environment(matter));
    all.extend(sysctls(matter));
    all.extend(descriptors(matter));
    all
}

fn user(matter: &Matter<'_>) -> Statement {
    let id = |key: &str| {
        matter
            .config
            .pointer(&format!("/process/user/{key}"))
            .and_then(Value::as_u64)
    };
    let (uid, gid) = (id("uid").unwrap_or(0), id("gid").unwrap_or(0));
    let list = matter
        .config
        .pointer("/process/user/additionalGids")
        .and_then(Value::as_array);
    let mut groups: Vec<u64> = list.into_iter().flatten().filter_map(Value::as_u64).collect();
    let statement = matter.about(Object::User).asked(
        format!("uid {uid}, gid {gid} and further groups {groups:?}"),
        "/process/user",
        matter.config.pointer("/process/user").is_some(),
        &["user"],
    );
    let numbers = |line: &str| -> Option<Vec<u64>> {
        let text = matter.facts.status(matter.workload, line)?;
        Some(text.split_whitespace().filter_map(|n| n.parse().ok()).collect())
    };
    let (Some(uids), Some(gids), Some(seen)) = (numbers("Uid"), numbers("Gid"), numbers("Groups")) else {
        return statement.unknown(matter.evidence("status"));
    };
    let (uid_map, gid_map) = (map(matter, "uid_map"), map(matter, "gid_map"));
    let inside = |ids: &[u64], map: &[[u64; 3]]| -> Vec<u64> { ids.iter().map(|id| inside(*id, map)).collect() };
    let (uids, gids, mut seen) = (
        inside(&uids, &uid_map),
        inside(&gids, &gid_map),
        inside(&seen, &gid_map),
    );
    let mine = [uids.get(1).copied(), gids.get(1).copied()];
    // Some runtimes put the first group among the further ones.
    groups.retain(|group| *group != gid);
    seen.retain(|group| *group != gid);
    groups.sort_unstable();
    groups.dedup();
    seen.sort_unstable();
    seen.dedup();
    let agrees = mine == [Some(uid), Some(gid)] && groups == seen;
    let [uid, gid] = mine.map(|id| id.map_or_else(|| "?".into(), |id| id.to_string()));
    statement.shows(
        format!(
            "{} has uid {uid}, gid {gid} and further groups {seen:?}",
            matter.workload
        ),
        matter.proc("status"),
        agrees,
    )
}

/// `/proc/PID/uid_map`: first id inside, first id as the harness sees it, how many.
fn map(matter: &Matter<'_>, file: &str) -> Vec<[u64; 3]> {
    let text = matter.facts.text(&matter.evidence(file)).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let mut numbers = line.split_whitespace().filter_map(|n| n.parse().ok());
            Some([numbers.next()?, numbers.next()?, numbers.next()?])
        })
        .collect()
}

fn inside(id: u64, map: &[[u64; 3]]) -> u64 {
    if map.is_empty() {
        return id;
    }
    // 65534 is what the kernel shows for an id without a place in the map.
    map.iter()
        .find(|[_, outside, size]| id.checked_sub(*outside).is_some_and(|n| n < *size))
        .map_or(65534, |[inside, outside, _]| inside + (id - outside))
}

fn umask(matter: &Matter<'_>) -> Statement {
    let asked = matter.config.pointer("/process/user/umask").and_then(Value::as_u64);
    let wanted = asked.map_or_else(|| "no umask of its own".into(), |mask| format!("umask {mask:04o}"));
    let statement = matter
        .about(Object::Umask)
        .asked(wanted, "/process/user/umask", asked.is_some(), &["user.umask"]);
    let now = matter
        .facts
        .status(matter.workload, "Umask")
        .and_then(|text| u64::from_str_radix(text, 8).ok());
    match (now, asked) {
        (Some(now), Some(asked)) => statement.shows(format!("Umask is {now:04o}"), matter.proc("status"), now == asked),
        // Left out, it is the runtime's own choice.
        (Some(now), None) => statement.shows(format!("Umask is {now:04o}"), matter.proc("status"), true),
        (None, _) => statement.unknown(matter.evidence("status")),
    }
}

fn oom_score(matter: &Matter<'_>) -> Statement {
    let asked = matter.config.pointer("/process/oomScoreAdj").and_then(Value::as_i64);
    let wanted = asked.map_or_else(
        || "no OOM score adjustment".into(),
        |score| format!("an OOM score adjustment of {score}"),
    );
    let statement =
        matter
            .about(Object::OomScore)
            .asked(wanted, "/process/oomScoreAdj", asked.is_some(), &["oomScoreAdj"]);
    let now = matter.facts.text(&matter.evidence("oom_score_adj")).map(str::trim);
    match now {
        Some(now) => statement.shows(
            format!("oom_score_adj is {now}"),
            matter.proc("oom_score_adj"),
            asked.is_none_or(|asked| now.parse() == Ok(asked)),
        ),
        None => statement.unknown(matter.evidence("oom_score_adj")),
    }
}

fn rlimits(matter: &Matter<'_>) -> Vec<Statement> {
    let list = matter.config.pointer("/process/rlimits").and_then(Value::as_array);
    let text = matter.facts.text(&matter.evidence("limits"));
    list.into_iter()
        .flatten()
        .enumerate()
        .filter_map(|(index, limit)| {
            let kind = limit["type"].as_str()?;
            let (soft, hard) = (limit["soft"].as_u64()?, limit["hard"].as_u64()?);
            let written = |n: u64| {
                if n == u64::MAX {
                    "unlimited".into()
                } else {
                    n.to_string()
                }
            };
            let statement = matter.about(Object::Rlimit(kind.to_owned())).asked(
                format!("{kind} {}, at most {}", written(soft), written(hard)),
                &format!("/process/rlimits/{index}"),
                true,
                &[&format!("rlimits.{index}"), "rlimits"],
            );
            let now = text.and_then(|text| {
                let (_, title) = LIMITS.iter().find(|(name, _)| *name == kind)?;
                let line = text.lines().find(|line| line.starts_with(title))?;
                let mut words = line[title.len()..].split_whitespace();
                Some((words.next()?, words.next()?))
            });
            Some(match now {
                Some((low, high)) => statement.shows(
                    format!("it is {low}, at most {high}"),
                    matter.proc("limits"),
                    low == written(soft) && high == written(hard),
                ),
                None => statement.unknown(matter.evidence("limits")),
            })
        })
        .collect()
}

/// What only the workload itself can tell: host name, domain name, working directory, arguments.
fn names(matter: &Matter<'_>) -> Vec<Statement> {
    let report = matter.facts.report(matter.case, matter.workload);
    let mut all = Vec::new();
    for (object, pointer, path, key, what) in [
        (Object::Hostname, "/hostname", "hostname", "hostname", "host name"),
        (
            Object::Domainname,
            "/domainname",
            "domainname",
            "domainname",
            "domain name",
        ),
        (Object::Directory, "/process/cwd", "cwd", "cwd", "working directory"),
    ] {
        let asked = matter.config.pointer(pointer).and_then(Value::as_str);
        let wanted = asked.map_or_else(|| format!("no {what}"), |name| format!("{what} `{name}`"));
        let statement = matter.about(object).asked(wanted, pointer, asked.is_some(), &[path]);
        let now = report.and_then(|report| report[key].as_str());
        all.push(match (now, asked) {
            (Some(now), asked) => statement.shows(
                format!("its {what} is `{now}`"),
                "told by the workload",
                asked.is_none_or(|asked| asked == now),
            ),
            (None, _) => statement.unknown(format!("the {what} as the workload tells it")),
        });
    }
    let asked = matter.list("/process/args").unwrap_or_default();
    let statement =
        matter
            .about(Object::Arguments)
            .asked(format!("the arguments {asked:?}"), "/process/args", true, &["args"]);
    let told = report.and_then(|report| report["args"].as_array());
    all.push(match told {
        Some(told) => {
            let told: Vec<&str> = told.iter().filter_map(Value::as_str).collect();
            let agrees = told == asked;
            statement.shows(format!("it has {told:?}"), "told by the workload", agrees)
        }
        None => match matter.facts.text(&matter.evidence("cmdline")) {
            Some(text) => {
                let told: Vec<&str> = text.trim_end_matches('\0').split('\0').collect();
                let agrees = told == asked;
                statement.shows(format!("it has {told:?}"), matter.proc("cmdline"), agrees)
            }
            None => statement.unknown(matter.evidence("cmdline")),
        },
    });
    all
}

fn environment(matter: &Matter<'_>) -> Option<Statement> {
    let report = matter.facts.report(matter.case, matter.workload)?;
    let told = report["env"].as_object()?;
    let asked: Vec<(&str, &str)> = matter
        .list("/process/env")?
        .into_iter()
        .filter_map(|entry| entry.split_once('='))
        .collect();
    let statement = matter.about(Object::Environment).asked(
        format!("an environment of {} variables", asked.len()),
        "/process/env",
        true,
        &["env"],
    );
    let wrong = asked
        .iter()
        // Of a name that is there twice the last counts.
        .filter(|(name, value)| asked.iter().rev().find(|(n, _)| n == name) == Some(&(*name, *value)))
        .find(|(name, value)| told.get(*name).and_then(Value::as_str) != Some(*value));
    Some(match wrong {
        Some((name, value)) => {
            let now = told.get(*name).map_or_else(|| "not there".to_owned(), Value::to_string);
            statement.shows(
                format!("`{name}`, which was to be `{value}`, is {now}"),
                "told by the workload",
                false,
            )
        }
        None => statement.shows("every variable is there as asked", "told by the workload", true),
    })
}

/// What is open beside the standard streams, as the workload found it.
fn descriptors(matter: &Matter<'_>) -> Option<Statement> {
    let report = matter.facts.report(matter.case, matter.workload)?;
    let open = report["fds"].as_array()?;
    let more: Vec<String> = open
        .iter()
        .filter(|fd| fd["fd"].as_i64().is_some_and(|n| n > 2))
        .map(|fd| format!("{} is {}", fd["fd"], fd["target"]))
        .collect();
    let statement = matter
        .about(Object::Descriptors)
        .asked("no open files but the standard streams", "", false, &[]);
    let shows = if more.is_empty() {
        "no other is open".into()
    } else {
        format!("open is, too: {}", more.join(", "))
    };
    Some(statement.shows(shows, "told by the workload", more.is_empty()))
}

/// Kernel parameters that the workload read for itself: in its namespaces they are told to nobody else.
fn sysctls(matter: &Matter<'_>) -> Vec<Statement> {
    let Some(asked) = matter.config.pointer("/linux/sysctl").and_then(Value::as_object) else {
        return Vec::new();
    };
    let report = matter.facts.report(matter.case, matter.workload);
    let args = matter.list("/process/args").unwrap_or_default();
    asked
        .iter()
        .map(|(name, value)| {
            let value = value.as_str().unwrap_or_default();
            let statement = matter.about(Object::Sysctl(name.clone())).asked(
                format!("kernel parameter `{name}` = {value}"),
                &format!("/linux/sysctl/{name}"),
                true,
                &[&format!("sysctls.{name}"), "sysctls"],
            );
            let file = format!("/proc/sys/{}", name.replace('.', "/"));
            let told = args.iter().find_map(|word| {
                let (key, operation) = word.split_once('=')?;
                (operation == format!("read:{file}")).then(|| report?["values"][key].as_str())?
            });
            match told {
                Some(told) => statement.shows(format!("it is {}", told.trim()), file, told.trim() == value),
                None => statement.unknown(file),
            }
        })
        .collect()
}
