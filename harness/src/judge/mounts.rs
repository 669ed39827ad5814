//! Mounts of a mount table.

use record::{Seen, Verdict, seen::MountSeen};
use serde_json::Value;
use spec::check::{MountFilter, MountsCheck};

use super::{
    evidence::Evidence,
    matcher::{Finding, Unit, holds},
};

pub(super) fn judge(want: &MountsCheck, seen: &Seen) -> Option<Verdict> {
    let Seen::Mounts { list, source } = seen else {
        return None;
    };
    let mut evidence = Evidence::default();
    if list.is_empty() {
        evidence.fault(format!("saw no mount at all ({source}): that is no observation"));
        return Some(evidence.verdict());
    }
    let which = describe_filter(&want.filter);
    let found: Vec<&MountSeen> = list.iter().filter(|mount| selects(&want.filter, mount)).collect();
    let shown = shown(&found, list.len(), source);
    match &want.count {
        Some(count) => match holds(count, Some(&Value::from(found.len())), Unit::Plain) {
            Finding::Holds => evidence.held(format!("{} × {which}: {shown}", found.len())),
            Finding::Misses => evidence.missed(
                format!("number of mounts with {which} {count}"),
                format!("{}: {shown}", found.len()),
            ),
            Finding::Unfit(why) => evidence.fault(format!("count: {why}")),
        },
        None if found.is_empty() => evidence.missed(format!("a mount with {which}"), shown),
        None => evidence.held(format!("{which}: {shown}")),
    }
    for mount in &found {
        for (what, want, value) in [
            ("options", &want.options, Value::from(mount.options.clone())),
            ("type", &want.kind, Value::from(mount.kind.clone())),
            ("propagation", &want.propagation, Value::from(mount.propagation.clone())),
            ("root", &want.root, Value::from(mount.root.clone())),
        ] {
            if let Some(want) = want {
                evidence.compare(
                    &format!("{} {what}", mount.destination),
                    want,
                    Some(&value),
                    Unit::Plain,
                    source,
                );
            }
        }
    }
    Some(evidence.verdict())
}

fn selects(filter: &MountFilter, mount: &MountSeen) -> bool {
    let MountFilter {
        destination,
        kind,
        source,
        all,
    } = filter;
    destination.as_ref().is_none_or(|d| mount.destination == *d)
        && kind.as_ref().is_none_or(|k| mount.kind == *k)
        && source.as_ref().is_none_or(|s| mount.source == *s)
        && *all != Some(false)
}

fn describe_filter(filter: &MountFilter) -> String {
    let mut parts = Vec::new();
    parts.extend(filter.destination.as_ref().map(|d| format!("destination {d}")));
    parts.extend(filter.kind.as_ref().map(|k| format!("type {k}")));
    parts.extend(filter.source.as_ref().map(|s| format!("source {s}")));
    if parts.is_empty() {
        "any destination".into()
    } else {
        parts.join(" and ")
    }
}

fn shown(found: &[&MountSeen], all: usize, source: &str) -> String {
    const SHOWN: usize = 5;
    if found.is_empty() {
        return format!("none of {all} mounts ({source})");
    }
    let mut parts: Vec<String> = found
        .iter()
        .take(SHOWN)
        .map(|mount| format!("{} on {} type {}", mount.source, mount.destination, mount.kind))
        .collect();
    if found.len() > SHOWN {
        parts.push(format!("and {} more", found.len() - SHOWN));
    }
    format!("{} of {all} ({source})", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn verdict(want: Value) -> Verdict {
        let mount = |destination: &str, kind: &str, options: &[&str]| MountSeen {
            root: "/".into(),
            destination: destination.into(),
            options: options.iter().map(|o| (*o).to_owned()).collect(),
            propagation: "private".into(),
            kind: kind.into(),
            source: kind.into(),
        };
        let seen = Seen::Mounts {
            list: vec![
                mount("/", "overlay", &["ro", "relatime"]),
                mount("/proc", "proc", &["rw", "nosuid"]),
                mount("/dev/shm", "tmpfs", &["rw", "nosuid"]),
            ],
            source: "/proc/4711/mountinfo".into(),
        };
        judge(&serde_json::from_value(want).unwrap(), &seen).unwrap()
    }

    #[test]
    fn options_type_and_propagation_of_each_are_compared() {
        assert!(matches!(
            verdict(json!({"where": {"destination": "/"}, "options": {"contains": "ro"}, "propagation": "private"})),
            Verdict::Pass { .. }
        ));
        let Verdict::Fail { want, got, .. } =
            verdict(json!({"where": {"destination": "/proc"}, "options": {"contains": "noexec"}}))
        else {
            panic!("must fail");
        };
        assert_eq!(want, "/proc options contains noexec");
        assert_eq!(got, "/proc options [rw, nosuid] (/proc/4711/mountinfo)");
    }

    #[test]
    fn at_least_one_mount_unless_a_number_is_told() {
        assert!(matches!(
            verdict(json!({"where": {"destination": "/sys"}})),
            Verdict::Fail { .. }
        ));
        assert!(matches!(
            verdict(json!({"where": {"destination": "/sys"}, "count": 0})),
            Verdict::Pass { .. }
        ));
        assert!(matches!(
            verdict(json!({"where": {"type": "tmpfs"}, "count": 1})),
            Verdict::Pass { .. }
        ));
        assert!(matches!(
            verdict(json!({"where": {"all": true}, "count": {"lt": 3}})),
            Verdict::Fail { .. }
        ));
    }

    #[test]
    fn an_empty_table_is_no_observation() {
        let want = serde_json::from_value(json!({"where": {"all": true}, "count": 0})).unwrap();
        let nothing = Seen::Mounts {
            list: vec![],
            source: "".into(),
        };
        assert!(matches!(judge(&want, &nothing), Some(Verdict::Error { .. })));
    }
}
