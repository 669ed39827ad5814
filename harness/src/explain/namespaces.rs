//! Namespaces: the same inode as whose, and who asked for it (`namespaces(7)`).

use serde_json::Value;
use spec::requirement::NamespaceKind;

use super::statement::{Matter, Object, Statement};

pub(super) fn statements(matter: &Matter<'_>) -> Vec<Statement> {
    NamespaceKind::ALL.iter().map(|kind| one(matter, *kind)).collect()
}

fn one(matter: &Matter<'_>, kind: NamespaceKind) -> Statement {
    let (case, facts, me) = (matter.case, matter.facts, matter.workload);
    let (name, proc) = (kind.oci_name(), kind.proc_name());
    let list = matter.config.pointer("/linux/namespaces").and_then(Value::as_array);
    let entry = list
        .into_iter()
        .flatten()
        .enumerate()
        .find(|(_, entry)| entry["type"] == name);
    let path = entry.and_then(|(_, entry)| entry["path"].as_str());
    let partner = path.and_then(|path| owner(matter, path));
    let asked = match (entry, path, &partner) {
        (None, ..) => format!("no {name} namespace"),
        (Some(_), None, _) => format!("a new {name} namespace"),
        (Some(_), Some(_), Some(who)) => format!("the {name} namespace of {}", whose(who)),
        (Some(_), Some(path), None) => format!("the {name} namespace behind `{path}`"),
    };
    let pointer = entry.map_or_else(
        || "/linux/namespaces".to_owned(),
        |(index, _)| format!("/linux/namespaces/{index}"),
    );
    let short = format!("namespaces.{name}");
    let statement = matter
        .about(Object::Namespace(kind))
        .asked(asked, &pointer, entry.is_some(), &[&short]);
    let source = matter.proc(&format!("ns/{proc}"));
    let (Some(own), Some(host)) = (facts.namespace(case, me, kind), facts.namespace(case, "host", kind)) else {
        return statement.unknown(matter.evidence("namespaces"));
    };
    // A neighbour that was itself told to join is no sign of anything.
    let same = case.spec.workloads.keys().find(|other| {
        *other != me
            && facts.namespace(case, other, kind) == Some(own)
            && partner.as_deref() != Some(other.as_str())
            && !joins(matter, other, name)
    });
    let at_home = if own == host {
        format!("{me} is in the host's, {proc}:[{own}]")
    } else if let Some(other) = same {
        format!("{me} is in that of `{other}`, {proc}:[{own}]")
    } else {
        format!("{me} has {proc}:[{own}], the host {proc}:[{host}]")
    };
    match (entry, path, partner) {
        (None, ..) => statement.shows(at_home, source, own == host),
        (Some(_), None, _) => statement.shows(at_home, source, own != host && same.is_none()),
        (Some(_), Some(_), Some(who)) => match facts.namespace(case, &who, kind) {
            Some(theirs) if theirs == own => statement.shows(
                format!("{me} is in that of {}, {proc}:[{own}]", whose(&who)),
                source,
                true,
            ),
            Some(theirs) => statement.shows(
                format!("{at_home}, and {} has {proc}:[{theirs}]", whose(&who)),
                source,
                false,
            ),
            None => statement.unknown(format!("{who}.namespaces")),
        },
        (Some(_), Some(_), None) => {
            let mut statement = statement.unknown(source);
            statement.shows = at_home;
            statement
        }
    }
}

fn whose(who: &str) -> String {
    if who == "host" {
        "the host".into()
    } else {
        format!("`{who}`")
    }
}

/// Whether another workload was told to join a namespace of this kind.
fn joins(matter: &Matter<'_>, other: &str, name: &str) -> bool {
    let config = matter.facts.config(other);
    let list = config
        .and_then(|c| c.pointer("/linux/namespaces"))
        .and_then(Value::as_array);
    let Some(list) = list else { return false };
    match list.iter().find(|entry| entry["type"] == name) {
        Some(entry) => entry["path"].is_string(),
        None => true,
    }
}

/// The workload whose process a path below `/proc` names.
fn owner(matter: &Matter<'_>, path: &str) -> Option<String> {
    let pid: i32 = path.strip_prefix("/proc/")?.split('/').next()?.parse().ok()?;
    if pid == 1 {
        return Some("host".into());
    }
    let names = matter.case.spec.workloads.keys();
    names
        .into_iter()
        .find(|name| matter.facts.pid(name) == Some(pid))
        .cloned()
}
