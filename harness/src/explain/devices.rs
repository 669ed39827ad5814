//! Devices: the nodes that every container has, those that were asked for, and the rules of the control group
//! (OCI runtime spec, "Default Devices" and "Device allowlist").

use serde_json::Value;

use super::statement::{Matter, Object, Statement};

/// The nodes that a runtime supplies unasked: path, major and minor number.
const DEFAULT: [(&str, &str); 6] = [
    ("/dev/null", "1:3"),
    ("/dev/zero", "1:5"),
    ("/dev/full", "1:7"),
    ("/dev/random", "1:8"),
    ("/dev/urandom", "1:9"),
    ("/dev/tty", "5:0"),
];

/// The links that a runtime supplies unasked.
const LINKS: [&str; 4] = ["/dev/fd", "/dev/stdin", "/dev/stdout", "/dev/stderr"];

pub(super) fn statements(matter: &Matter<'_>) -> Vec<Statement> {
    let mut all: Vec<Statement> = rules(matter).into_iter().collect();
    let Some(text) = matter.facts.text(&matter.evidence("devices")) else {
        return all;
    };
    let nodes: Vec<(&str, Vec<&str>)> = text
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(path, rest)| (path, rest.split(' ').collect()))
        .collect();
    let find = |path: &str| {
        nodes
            .iter()
            .find(|(known, _)| *known == path)
            .map(|(_, words)| words.as_slice())
    };
    let source = matter.evidence("devices");
    let list = matter.config.pointer("/linux/devices").and_then(Value::as_array);
    let asked: Vec<&Value> = list.into_iter().flatten().collect();
    let device_paths: Vec<&str> = asked.iter().filter_map(|device| device["path"].as_str()).collect();
    for (index, device) in asked.iter().enumerate() {
        all.extend(wanted(
            matter,
            index,
            device,
            find(device["path"].as_str().unwrap_or_default()),
        ));
    }
    // A `/dev` that is not the runtime's own mount is as the image or the host made it.
    let mounts = matter.config.pointer("/mounts").and_then(Value::as_array);
    let own = mounts
        .into_iter()
        .flatten()
        .any(|mount| mount["destination"] == "/dev" && mount["type"] == "tmpfs");
    if !own {
        return all;
    }
    for (path, number) in DEFAULT.iter().filter(|(path, _)| !device_paths.contains(path)) {
        let statement = about(
            matter,
            path,
            format!("`{path}` as every container has it ({number}, mode 0666)"),
        );
        all.push(match find(path) {
            Some(words @ ["char", seen, mode, ..]) => {
                let agrees = seen == number && *mode == "0666";
                statement.shows(shown(path, words), source.clone(), agrees)
            }
            Some(words) => statement.shows(shown(path, words), source.clone(), false),
            None => statement.shows(format!("there is no `{path}`"), source.clone(), false),
        });
    }
    for path in LINKS {
        let statement = about(matter, path, format!("the link `{path}` that every container has"));
        all.push(match find(path) {
            Some(words) => statement.shows(shown(path, words), source.clone(), words.first() == Some(&"symlink")),
            None => statement.shows(format!("there is no `{path}`"), source.clone(), false),
        });
    }
    let unasked = nodes.iter().filter(|(path, words)| {
        matches!(words.first(), Some(&"char" | &"block"))
            && !DEFAULT.iter().any(|(known, _)| known == path)
            && !device_paths.contains(path)
            && !matches!(*path, "/dev/console" | "/dev/ptmx")
    });
    for (path, words) in unasked {
        all.push(about(matter, path, format!("no device `{path}`")).shows(shown(path, words), source.clone(), false));
    }
    all
}

fn about(matter: &Matter<'_>, path: &str, asked: String) -> Statement {
    matter
        .about(Object::Device(path.to_owned()))
        .asked(asked, "/linux/devices", false, &["patch"])
}

fn shown(path: &str, words: &[&str]) -> String {
    match words {
        [kind @ ("char" | "block"), number, mode, uid, gid] => {
            format!("`{path}` is {kind} {number}, mode {mode}, of {uid}:{gid}")
        }
        [kind, _, mode, uid, gid] => format!("`{path}` is a {kind}, mode {mode}, of {uid}:{gid}"),
        other => format!("`{path}` is {}", other.join(" ")),
    }
}

fn wanted(matter: &Matter<'_>, index: usize, device: &Value, seen: Option<&[&str]>) -> Option<Statement> {
    let path = device["path"].as_str()?;
    let kind = match device["type"].as_str()? {
        "c" | "u" => "char",
        "b" => "block",
        _ => "fifo",
    };
    let number = |key: &str| device[key].as_u64();
    let numbers = format!("{}:{}", number("major").unwrap_or(0), number("minor").unwrap_or(0));
    let mode = number("fileMode").map(|mode| format!("{:04o}", mode & 0o7777));
    let statement = matter.about(Object::Device(path.to_owned())).asked(
        format!(
            "device `{path}`, {kind} {numbers}, mode {}",
            mode.as_deref().unwrap_or("unsaid")
        ),
        &format!("/linux/devices/{index}"),
        true,
        &["patch"],
    );
    let source = matter.evidence("devices");
    let mapped = matter.facts.text(&matter.evidence("uid_map")).is_some_and(|map| {
        // With ids of its own the owner outside is another number.
        map.split_whitespace().nth(1) != Some("0")
    });
    Some(match seen {
        Some(words @ [seen_kind, seen_numbers, seen_mode, uid, gid]) => {
            let owner = |key: &str, seen: &str| mapped || number(key).is_none_or(|id| seen == id.to_string());
            let agrees = *seen_kind == kind
                && (kind == "fifo" || *seen_numbers == numbers)
                && mode.as_deref().is_none_or(|mode| *seen_mode == mode)
                && owner("uid", uid)
                && owner("gid", gid);
            statement.shows(shown(path, words), source, agrees)
        }
        _ => statement.shows(format!("there is no `{path}`"), source, false),
    })
}

/// On version 1 the rules can be read back; that all is allowed is told by one line.
fn rules(matter: &Matter<'_>) -> Option<Statement> {
    let list = matter
        .config
        .pointer("/linux/resources/devices")
        .and_then(Value::as_array)?;
    let deny = list
        .first()
        .is_some_and(|rule| rule["allow"] == false && rule["type"].as_str().is_none_or(|t| t == "a"));
    let statement = matter.about(Object::DeviceRules).asked(
        format!(
            "{} device rule(s){}",
            list.len(),
            if deny { ", the first of which denies all" } else { "" }
        ),
        "/linux/resources/devices",
        true,
        &["patch"],
    );
    let groups = matter.facts.groups(matter.workload);
    let group = groups
        .iter()
        .find(|group| group.version == 1 && group.controllers.contains(&"devices"))?;
    let rules = group.files.get("devices.list")?;
    let all = rules.split("; ").any(|rule| rule.trim() == "a *:* rwm");
    let allows_all = list
        .last()
        .is_some_and(|rule| rule["allow"] == true && rule["major"].is_null() && rule["minor"].is_null());
    let shows = if all {
        "devices.list allows every device (`a *:* rwm`)".to_owned()
    } else {
        format!("devices.list has {} rule(s)", rules.split("; ").count())
    };
    Some(statement.shows(
        shows,
        format!("{}/devices.list", group.directory),
        !all || !deny || allows_all,
    ))
}
