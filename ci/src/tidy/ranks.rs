//! Arrows between crates point one way.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::Metadata;

use super::Fault;

/// Which crates of the workspace a crate depends on, tests and build scripts included.
pub(crate) type Arrows = BTreeMap<String, BTreeSet<String>>;

/// What each crate may stand on. A new crate needs a line here, and its reason in ARCHITECTURE.md.
const MAY_STAND_ON: &[(&str, &[&str])] = &[
    ("sys", &[]),
    ("spec", &[]),
    ("record", &[]),
    ("statistics", &[]),
    ("kubernetes", &[]),
    ("probe", &["sys"]),
    ("runtime", &["sys"]),
    ("saboteur", &["sys"]),
    ("image", &["sys"]),
    ("oci-runtime-client", &["sys"]),
    ("reports", &["record", "statistics"]),
    ("history", &["record", "statistics"]),
    ("objects", &[]),
    ("scheduler", &["objects"]),
    ("apiserver", &["objects"]),
    ("controllers", &["objects", "apiserver"]),
    ("netfilter", &["sys"]),
    ("proxy", &["objects", "apiserver", "netfilter", "sys"]),
    ("policy", &["objects", "apiserver", "netfilter", "sys"]),
    (
        "agent",
        &[
            "objects",
            "apiserver",
            "netfilter",
            "proxy",
            "policy",
            "oci-runtime-client",
            "image",
            "sys",
        ],
    ),
    // `sys` for its tests, which have a network namespace of their own.
    ("dns", &["objects", "apiserver", "sys"]),
    (
        "cluster",
        &[
            "objects",
            "scheduler",
            "apiserver",
            "controllers",
            "agent",
            "proxy",
            "policy",
            "dns",
            "sys",
        ],
    ),
    (
        "harness",
        &[
            "spec",
            "record",
            "reports",
            "image",
            "kubernetes",
            "oci-runtime-client",
            "saboteur",
            "statistics",
            "sys",
        ],
    ),
];

/// May stand on anything; the first is the only one where the judge and the judged meet in a program that is shipped.
const TOP: [&str; 4] = ["plimsoll", "benches", "ci", "guest"];

/// No way leads from the first to the second: the judge never links what it judges.
const NEVER_REACHES: [(&str, &str); 2] = [("harness", "runtime"), ("runtime", "harness")];

/// The arrows that cargo knows.
pub(crate) fn arrows(metadata: &Metadata) -> Arrows {
    let members = metadata.workspace_packages();
    let names: BTreeSet<_> = members.iter().map(|package| package.name.to_string()).collect();
    let targets = |package: &cargo_metadata::Package| {
        let all = package.dependencies.iter().map(|dependency| dependency.name.clone());
        all.filter(|name| names.contains(name)).collect()
    };
    members
        .iter()
        .map(|package| (package.name.to_string(), targets(package)))
        .collect()
}

/// Arrows that point the wrong way.
pub(crate) fn faults(arrows: &Arrows) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (from, targets) in arrows {
        let allowed = MAY_STAND_ON
            .iter()
            .find(|(name, _)| name == from)
            .map(|(_, allowed)| *allowed);
        if allowed.is_none() && !TOP.contains(&from.as_str()) {
            faults.push(Fault::new(
                from,
                "has no rank: say in ci/src/tidy/ranks.rs what it may stand on",
            ));
        }
        for to in targets {
            let refused = if TOP.contains(&from.as_str()) {
                from == "plimsoll" && TOP.contains(&to.as_str())
            } else {
                !allowed.unwrap_or_default().contains(&to.as_str())
            };
            if refused {
                faults.push(Fault::new(from, format!("may not depend on `{to}`")));
            }
        }
    }
    for (from, to) in NEVER_REACHES {
        if let Some(way) = way(arrows, from, to).filter(|way| way.len() > 2) {
            faults.push(Fault::new(from, format!("reaches `{to}` through {}", way.join(" -> "))));
        }
    }
    faults
}

/// A way along the arrows, both ends included.
fn way(arrows: &Arrows, from: &str, to: &str) -> Option<Vec<String>> {
    let mut ways = vec![vec![from.to_owned()]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        let last = way.last()?;
        if last == to {
            return Some(way);
        }
        if seen.insert(last.clone()) {
            for next in arrows.get(last).into_iter().flatten() {
                ways.push(way.iter().chain([next]).cloned().collect());
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(arrows: &[(&str, &[&str])]) -> Arrows {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        arrows
            .iter()
            .map(|(from, to)| ((*from).to_owned(), owned(to)))
            .collect()
    }

    fn complaints(arrows: &[(&str, &[&str])]) -> Vec<String> {
        faults(&graph(arrows)).iter().map(Fault::to_string).collect()
    }

    #[test]
    fn arrows_that_point_down_are_fine() {
        assert_eq!(
            complaints(&[
                ("sys", &[]),
                ("runtime", &["sys"]),
                ("harness", &["sys"]),
                ("plimsoll", &["runtime", "harness"])
            ]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn an_arrow_that_points_up_is_a_fault() {
        assert_eq!(
            complaints(&[("sys", &["runtime"])]),
            ["sys: may not depend on `runtime`"]
        );
        assert_eq!(complaints(&[("probe", &["spec"])]), ["probe: may not depend on `spec`"]);
        assert_eq!(
            complaints(&[("harness", &["plimsoll"])]),
            ["harness: may not depend on `plimsoll`"]
        );
        assert_eq!(
            complaints(&[("plimsoll", &["ci"])]),
            ["plimsoll: may not depend on `ci`"]
        );
    }

    #[test]
    fn the_judge_does_not_link_the_judged_not_even_through_another() {
        assert_eq!(
            complaints(&[("harness", &["runtime"])]),
            ["harness: may not depend on `runtime`"]
        );
        assert_eq!(
            complaints(&[("harness", &["image"]), ("image", &["runtime"])]),
            [
                "image: may not depend on `runtime`",
                "harness: reaches `runtime` through harness -> image -> runtime"
            ]
        );
    }

    #[test]
    fn a_crate_without_a_rank_is_a_fault() {
        let complaint = &complaints(&[("extra", &[])])[0];
        assert!(complaint.starts_with("extra: has no rank"), "{complaint}");
    }
}
