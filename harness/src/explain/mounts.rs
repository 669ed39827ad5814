//! Mounts: which one is at a path, from where it comes, with which options and propagation; masked and read-only paths
//! (`mount_namespaces(7)`, `proc_pid_mountinfo(5)`).

use record::seen::MountSeen;
use serde_json::Value;

use super::concern::below;
use super::statement::{Matter, Object, Statement};

/// Options that a mount must have if they were asked for.
const FLAGS: [&str; 7] = ["ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "relatime"];

/// Propagation by the words of `config.json`.
const PROPAGATION: [(&str, &str); 8] = [
    ("shared", "shared"),
    ("rshared", "shared"),
    ("slave", "slave"),
    ("rslave", "slave"),
    ("private", "private"),
    ("rprivate", "private"),
    ("unbindable", "unbindable"),
    ("runbindable", "unbindable"),
];

pub(super) fn statements(matter: &Matter<'_>) -> Vec<Statement> {
    let namespaces = matter.config.pointer("/linux/namespaces").and_then(Value::as_array);
    let own = namespaces.into_iter().flatten().any(|entry| entry["type"] == "mount");
    let table = matter.facts.mounts(matter.case, matter.workload);
    let mut all = vec![root(matter, table.as_deref())];
    all.extend(propagation(matter, table.as_deref()));
    let list = matter.config.pointer("/mounts").and_then(Value::as_array);
    let asked: Vec<&Value> = list.into_iter().flatten().collect();
    for (index, mount) in asked.iter().enumerate() {
        all.extend(one(matter, &asked, index, mount, table.as_deref()));
    }
    for (object, pointer, path) in [
        (
            Object::Masked as fn(String) -> Object,
            "/linux/maskedPaths",
            "maskedPaths",
        ),
        (Object::ReadOnly, "/linux/readonlyPaths", "readonlyPaths"),
    ] {
        all.extend(paths(matter, object, pointer, path, table.as_deref()));
    }
    if own && let Some(table) = &table {
        all.extend(unasked(matter, &asked, table));
    }
    all
}

/// The mount at a destination that one sees: the last.
fn at<'t>(table: &'t [MountSeen], destination: &str) -> Option<(usize, &'t MountSeen)> {
    table
        .iter()
        .enumerate()
        .rev()
        .find(|(_, mount)| mount.destination == destination)
}

/// The mount on which a path lies.
fn covering<'t>(table: &'t [MountSeen], path: &str) -> Option<&'t MountSeen> {
    let over = table.iter().filter(|mount| below(path, &mount.destination));
    over.max_by_key(|mount| mount.destination.trim_end_matches('/').len())
}

fn has(mount: &MountSeen, option: &str) -> bool {
    mount.options.iter().any(|o| o == option)
}

/// `/data: ext4 `/host/dir` of /dev/sda1, options rw,nosuid, private`.
fn described(mount: &MountSeen) -> String {
    let root = if mount.root == "/" {
        String::new()
    } else {
        format!(" `{}`", mount.root)
    };
    format!(
        "`{}` is {}{root} of {}, {}, {}",
        mount.destination,
        mount.kind,
        mount.source,
        mount.options.join(","),
        mount.propagation
    )
}

fn root(matter: &Matter<'_>, table: Option<&[MountSeen]>) -> Statement {
    let pointer = "/root/readonly";
    let said = matter.config.pointer(pointer).and_then(Value::as_bool);
    let wanted = said.unwrap_or(false);
    let statement = matter.about(Object::Root).asked(
        if wanted { "a read-only root" } else { "a writable root" },
        pointer,
        said.is_some(),
        &["readOnlyRoot", "rootfs"],
    );
    match table.and_then(|table| at(table, "/")) {
        Some((_, mount)) => statement.shows(described(mount), matter.proc("mountinfo"), has(mount, "ro") == wanted),
        None => statement.unknown(matter.evidence("mountinfo")),
    }
}

fn propagation(matter: &Matter<'_>, table: Option<&[MountSeen]>) -> Option<Statement> {
    let pointer = "/linux/rootfsPropagation";
    let asked = matter.config.pointer(pointer).and_then(Value::as_str)?;
    let statement = matter
        .about(Object::Propagation)
        .asked(format!("rootfsPropagation `{asked}`"), pointer, true, &[]);
    let (_, wanted) = PROPAGATION.iter().find(|(word, _)| *word == asked)?;
    Some(match table.and_then(|table| at(table, "/")) {
        Some((_, mount)) => {
            let fits = fits(wanted, &mount.propagation);
            statement.shows(described(mount), matter.proc("mountinfo"), fits)
        }
        None => statement.unknown(matter.evidence("mountinfo")),
    })
}

/// A slave of nobody is private, and what is shared may be a slave, too.
fn fits(wanted: &str, seen: &str) -> bool {
    match wanted {
        "slave" => seen == "slave" || seen == "private",
        "shared" => seen.starts_with("shared"),
        other => seen == other,
    }
}

fn one(
    matter: &Matter<'_>,
    asked: &[&Value],
    index: usize,
    wanted: &Value,
    table: Option<&[MountSeen]>,
) -> Option<Statement> {
    let destination = clean(wanted["destination"].as_str()?);
    let kind = wanted["type"].as_str().unwrap_or("none");
    let list = wanted["options"].as_array();
    let options: Vec<&str> = list.into_iter().flatten().filter_map(Value::as_str).collect();
    let bind = kind == "bind" || options.iter().any(|o| matches!(*o, "bind" | "rbind"));
    // The harness's own mounts come first, then those of the spec.
    let short = matter
        .case
        .spec
        .workloads
        .get(matter.workload)
        .and_then(|workload| match &workload.value {
            spec::Workload::Container(container) => container
                .mounts
                .iter()
                .position(|mount| clean(&mount.destination) == destination),
            spec::Workload::Bundle(_) | spec::Workload::Object(_) => None,
        });
    let path: Vec<String> = short.map(|n| format!("mounts.{n}")).into_iter().collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let what = if bind {
        format!("`{}` bind mounted", wanted["source"].as_str().unwrap_or("?"))
    } else {
        format!("{kind} mounted")
    };
    let with = if options.is_empty() {
        String::new()
    } else {
        format!(" with {}", options.join(","))
    };
    let statement = matter.about(Object::Mount(destination.clone())).asked(
        format!("{what} at `{destination}`{with}"),
        &format!("/mounts/{index}"),
        true,
        &path,
    );
    let Some(table) = table else {
        return Some(statement.unknown(matter.evidence("mountinfo")));
    };
    let source = matter.proc("mountinfo");
    let later = asked[index + 1..]
        .iter()
        .filter_map(|mount| mount["destination"].as_str())
        .map(clean);
    if later.into_iter().any(|over| below(&destination, &over)) {
        // What is mounted over it by request hides it from the table's readers.
        return Some(statement.unknown(source));
    }
    let Some((position, mount)) = at(table, &destination) else {
        return Some(statement.shows(
            format!("nothing is mounted at `{destination}`"),
            source,
            // Through a link inside the image it is somewhere else.
            linked(matter, table, wanted, bind),
        ));
    };
    let mut wrong = Vec::new();
    if !bind && kind != "cgroup" && kind != "none" && mount.kind != kind {
        wrong.push(format!("it is {}", mount.kind));
    }
    for flag in FLAGS {
        let asked_for = options.contains(&flag) || (flag == "ro" && options.contains(&"rro"));
        let taken = match flag {
            "ro" => options.contains(&"rw"),
            _ => false,
        };
        // The last word counts.
        let asked_for = asked_for
            && !(taken && options.iter().rposition(|o| *o == "rw") > options.iter().rposition(|o| *o == "ro"));
        // On version 1 what is mounted is a directory of hierarchies, each of which has the options.
        let fits = |mount: &MountSeen| has(mount, flag);
        let below_it = |other: &&MountSeen| other.kind == "cgroup" && below(&other.destination, &destination);
        if kind == "cgroup" && table.iter().filter(below_it).count() > 0 && table.iter().filter(below_it).all(fits) {
            continue;
        }
        if asked_for && !has(mount, flag) && !(flag == "relatime" && mount.options.iter().any(|o| o.ends_with("atime")))
        {
            wrong.push(format!("it is without `{flag}`"));
        }
    }
    let read_only = options.iter().any(|o| matches!(*o, "ro" | "rro"));
    let covered = ["/linux/readonlyPaths", "/linux/maskedPaths"]
        .iter()
        .any(|list| matter.list(list).unwrap_or_default().contains(&destination.as_str()));
    if has(mount, "ro") && !read_only && !bind && kind != "sysfs" && kind != "cgroup" && !covered {
        wrong.push("it is read-only".into());
    }
    if let Some(size) = options.iter().find_map(|o| o.strip_prefix("size=")).and_then(size) {
        let now = mount.options.iter().find_map(|o| o.strip_prefix("size="));
        if now
            .and_then(self::size)
            .is_some_and(|now| now.abs_diff(size) >= 64 << 10)
        {
            wrong.push(format!("its size is {}", now.unwrap_or_default()));
        }
    }
    let asked_propagation = options
        .iter()
        .rev()
        .find_map(|o| PROPAGATION.iter().find(|(word, _)| word == o));
    if let Some((_, wanted)) = asked_propagation
        && !fits(wanted, &mount.propagation)
    {
        wrong.push(format!("it is {} and not {wanted}", mount.propagation));
    }
    if let Some(origin) = bind
        .then(|| wanted["source"].as_str())
        .flatten()
        .and_then(|s| origin(matter, s))
        && origin != mount.root
    {
        wrong.push(format!("it comes from `{}` and not from `{origin}`", mount.root));
    }
    // What was asked for later and lies above hides what was mounted before.
    let above = asked[..index].iter().filter_map(|mount| mount["destination"].as_str());
    for parent in above
        .map(clean)
        .filter(|parent| *parent != destination && below(&destination, parent))
    {
        if let Some((at, _)) = at(table, &parent)
            && at > position
        {
            wrong.push(format!(
                "`{parent}`, which was to be mounted before it, was mounted over it"
            ));
        }
    }
    Some(if wrong.is_empty() {
        statement.shows(described(mount), source, true)
    } else {
        statement.shows(format!("{} ({})", wrong.join(", "), described(mount)), source, false)
    })
}

/// Where in its file system a source of the host lies: the root that a bind mount of it has.
fn origin(matter: &Matter<'_>, source: &str) -> Option<String> {
    let table = matter.facts.mounts(matter.case, "host")?;
    let source = clean(source);
    if !source.starts_with('/') {
        return None;
    }
    let mount = covering(&table, &source)?;
    let rest = source.strip_prefix(mount.destination.trim_end_matches('/'))?;
    Some(clean(&format!("{}{rest}", mount.root.trim_end_matches('/'))))
}

/// Whether a mount that is not at its destination is found elsewhere below the root, by its source or its place.
fn linked(matter: &Matter<'_>, table: &[MountSeen], wanted: &Value, bind: bool) -> bool {
    if !bind {
        return false;
    }
    let origin = wanted["source"].as_str().and_then(|source| origin(matter, source));
    origin.is_some_and(|origin| {
        table
            .iter()
            .any(|mount| mount.root == origin && mount.destination != "/")
    })
}

/// Whether a mount shows what lies beneath it.
fn onto_itself(table: &[MountSeen], mount: &MountSeen) -> bool {
    let beneath: Vec<MountSeen> = table.iter().filter(|other| *other != mount).cloned().collect();
    let Some(under) = covering(&beneath, &mount.destination) else {
        return false;
    };
    let rest = mount
        .destination
        .strip_prefix(under.destination.trim_end_matches('/'))
        .unwrap_or_default();
    under.kind == mount.kind && clean(&format!("{}{rest}", under.root)) == clean(&mount.root)
}

fn clean(path: &str) -> String {
    let mut text = String::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        text.push('/');
        text.push_str(part);
    }
    if text.is_empty() { "/".into() } else { text }
}

/// `64k` in bytes.
fn size(text: &str) -> Option<u64> {
    let (digits, shift) = match text.chars().last()?.to_ascii_lowercase() {
        'k' => (&text[..text.len() - 1], 10),
        'm' => (&text[..text.len() - 1], 20),
        'g' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    Some(digits.parse::<u64>().ok()? << shift)
}

/// Masked and read-only paths: one statement each.
fn paths(
    matter: &Matter<'_>,
    object: fn(String) -> Object,
    pointer: &str,
    short: &str,
    table: Option<&[MountSeen]>,
) -> Vec<Statement> {
    let masked = short == "maskedPaths";
    let word = if masked { "unreadable" } else { "read-only" };
    let there = matter.facts.text(&matter.evidence("paths"));
    let kind = |path: &str| {
        let lines = there?.lines();
        lines
            .filter_map(|line| line.rsplit_once(": "))
            .find(|(p, _)| *p == path)
            .map(|(_, kind)| kind)
    };
    let list = matter.list(pointer).unwrap_or_default();
    let mounts = matter.config.pointer("/mounts").and_then(Value::as_array);
    let asked: Vec<String> = mounts
        .into_iter()
        .flatten()
        .filter_map(|mount| mount["destination"].as_str())
        .map(clean)
        .collect();
    let mut all: Vec<Statement> = list
        .iter()
        .enumerate()
        .map(|(index, path)| {
            let statement = matter.about(object(clean(path))).asked(
                format!("`{path}` to be {word}"),
                &format!("{pointer}/{index}"),
                true,
                &[&format!("{short}.{index}"), short],
            );
            let (Some(table), Some(kind)) = (table, kind(path)) else {
                return statement.unknown(matter.evidence(if table.is_none() { "mountinfo" } else { "paths" }));
            };
            let source = matter.proc("mountinfo");
            if kind == "missing" {
                return statement.shows(format!("there is no `{path}`"), source, true);
            }
            let path = clean(path);
            let Some(mount) = covering(table, &path) else {
                return statement.unknown(matter.evidence("mountinfo"));
            };
            if mount.destination != path {
                return if masked {
                    let shows = format!("nothing is mounted over `{path}`, it is on {}", described(mount));
                    statement.shows(shows, source, false)
                } else {
                    statement.shows(described(mount), source, has(mount, "ro"))
                };
            }
            // A mount of the path onto itself changes its options and hides nothing.
            let itself = onto_itself(table, mount);
            let agrees = if masked { !itself } else { itself && has(mount, "ro") };
            let why = match (agrees, itself) {
                (true, _) => "",
                (false, true) if masked => "it is mounted onto itself and can be read: ",
                (false, true) => "it is not read-only: ",
                (false, false) => "something else hides it: ",
            };
            // What the spec itself mounts there is its own.
            let asked_for = asked.contains(&path);
            statement.shows(format!("{why}{}", described(mount)), source, agrees || asked_for)
        })
        .collect();
    // What is not in the list is not to be masked either; the list itself is what one changes.
    if !list.is_empty() || matter.config.pointer(pointer).is_some() {
        let statement = matter.about(object("/proc".into())).asked(
            format!("{} path(s) to be {word}", list.len()),
            pointer,
            true,
            &[short],
        );
        let shown: Vec<&str> = all
            .iter()
            .filter(|s| s.agrees == Some(true) && !s.shows.starts_with("there is no"))
            .filter_map(|s| match &s.object {
                Object::Masked(path) | Object::ReadOnly(path) => Some(path.as_str()),
                _ => None,
            })
            .collect();
        if table.is_some() && there.is_some() {
            let shows = format!(
                "{word} are: {}",
                if shown.is_empty() {
                    "none".into()
                } else {
                    shown.join(", ")
                }
            );
            let agrees = all.iter().all(|s| s.agrees != Some(false));
            all.push(statement.shows(shows, matter.proc("mountinfo"), agrees));
        }
    }
    all
}

/// Mounts that nobody asked for.
fn unasked(matter: &Matter<'_>, asked: &[&Value], table: &[MountSeen]) -> Vec<Statement> {
    let mut known: Vec<String> = asked
        .iter()
        .filter_map(|mount| mount["destination"].as_str())
        .map(clean)
        .collect();
    for list in ["/linux/maskedPaths", "/linux/readonlyPaths"] {
        known.extend(matter.list(list).unwrap_or_default().iter().map(|path| clean(path)));
    }
    // Below what was bound recursively or brings its own mounts, anything may come along.
    let deep: Vec<String> = asked
        .iter()
        .filter(|mount| {
            let list = mount["options"].as_array();
            let bind = list.into_iter().flatten().any(|o| o == "rbind" || o == "bind");
            bind || mount["type"] == "cgroup" || mount["type"] == "bind"
        })
        .filter_map(|mount| mount["destination"].as_str())
        .map(clean)
        .collect();
    let linked = |mount: &MountSeen| {
        asked
            .iter()
            .filter_map(|wanted| wanted["source"].as_str())
            .filter_map(|source| origin(matter, source))
            .any(|origin| below(&mount.root, &origin))
    };
    table
        .iter()
        .filter(|mount| mount.destination != "/" && !known.contains(&mount.destination))
        .filter(|mount| !deep.iter().any(|above| below(&mount.destination, above)))
        // Devices of the host, where they cannot be made, and the console.
        .filter(|mount| !mount.destination.starts_with("/dev/"))
        .filter(|mount| !linked(mount))
        // What somebody mounted from inside is the workload's own doing and has no place of the host behind it.
        .filter(|mount| mount.kind != "tmpfs" && mount.kind != "proc")
        .map(|mount| {
            matter
                .about(Object::Mount(mount.destination.clone()))
                .asked(
                    format!("nothing at `{}`", mount.destination),
                    "/mounts",
                    false,
                    &["mounts"],
                )
                .shows(described(mount), matter.proc("mountinfo"), false)
        })
        .collect()
}
