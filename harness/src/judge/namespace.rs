//! Namespaces by kind.

use std::collections::BTreeMap;

use record::{Seen, Verdict};
use spec::{Matcher, Op, requirement::NamespaceKind};

use super::evidence::Evidence;

pub(super) fn judge(want: &BTreeMap<NamespaceKind, Matcher>, on: Option<&str>, seen: &Seen) -> Option<Verdict> {
    let Seen::Namespaces { target, others, source } = seen else {
        return None;
    };
    let who = on.unwrap_or("target");
    let mut evidence = Evidence::default();
    for (kind, want) in want {
        let name = kind.proc_name();
        let own = inode(target, *kind);
        for op in &want.0 {
            let (other, must_differ) = match op {
                Op::DiffersFrom(other) => (other, true),
                Op::SameAs(other) => (other, false),
                Op::Exists(true) if own.is_some() => {
                    evidence.held(format!("{who} {} ({source})", tag(name, own)));
                    continue;
                }
                Op::Exists(false) if own.is_none() => {
                    evidence.held(format!("{who} has no {name} namespace ({source})"));
                    continue;
                }
                Op::Exists(_) => {
                    evidence.missed(
                        format!("{who}'s {name} namespace {want}"),
                        format!("{who} {} ({source})", tag(name, own)),
                    );
                    continue;
                }
                Op::Eq(_)
                | Op::Ne(_)
                | Op::Gt(_)
                | Op::Gte(_)
                | Op::Lt(_)
                | Op::Lte(_)
                | Op::Between(..)
                | Op::Approx { .. }
                | Op::Matches(_)
                | Op::Contains(_)
                | Op::ContainsAll(_)
                | Op::Exactly(_)
                | Op::OneOf(_)
                | Op::Count(_) => {
                    evidence.fault(format!(
                        "{name}: a namespace is compared with `differsFrom` or `sameAs`, not `{want}`"
                    ));
                    continue;
                }
            };
            let (Some(own), Some(others)) = (own, others.get(other)) else {
                evidence.fault(match own {
                    None => format!("{who}'s {name} namespace was not seen ({source})"),
                    Some(_) => format!("the namespaces of {other} were not seen"),
                });
                continue;
            };
            let Some(theirs) = inode(others, *kind) else {
                evidence.fault(format!("{other}'s {name} namespace was not seen"));
                continue;
            };
            let got = |sign: &str| {
                format!(
                    "{who} {}{sign}{other} {} ({source})",
                    tag(name, Some(own)),
                    tag(name, Some(theirs))
                )
            };
            if (own != theirs) == must_differ {
                evidence.held(got(", "));
            } else {
                let verb = if must_differ { "to differ from" } else { "to be" };
                let sign = if must_differ { " = " } else { " ≠ " };
                evidence.missed(format!("{who}'s {name} namespace {verb} {other}'s"), got(sign));
            }
        }
    }
    Some(evidence.verdict())
}

fn inode(map: &BTreeMap<String, u64>, kind: NamespaceKind) -> Option<u64> {
    map.get(kind.proc_name()).or_else(|| map.get(kind.oci_name())).copied()
}

fn tag(name: &str, inode: Option<u64>) -> String {
    inode.map_or_else(|| format!("no {name} namespace"), |inode| format!("{name}:[{inode}]"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn verdict(want: Value, own: u64, host: Option<u64>) -> Verdict {
        let want: BTreeMap<NamespaceKind, Matcher> = serde_json::from_value(want).unwrap();
        let seen = Seen::Namespaces {
            target: [("pid".to_owned(), own)].into(),
            others: [(
                "host".to_owned(),
                host.map(|h| ("pid".to_owned(), h)).into_iter().collect(),
            )]
            .into(),
            source: "/proc/4711/ns/pid".into(),
        };
        judge(&want, Some("app"), &seen).unwrap()
    }

    #[test]
    fn a_pass_carries_both_inodes() {
        assert_eq!(
            verdict(json!({"pid": {"differsFrom": "host"}}), 4026532301, Some(4026531836)),
            Verdict::Pass {
                seen: "app pid:[4026532301], host pid:[4026531836] (/proc/4711/ns/pid)".into()
            }
        );
        assert!(matches!(
            verdict(json!({"pid": {"sameAs": "host"}}), 1, Some(1)),
            Verdict::Pass { .. }
        ));
    }

    #[test]
    fn a_failure_reads_like_a_sentence() {
        assert_eq!(
            verdict(json!({"pid": {"differsFrom": "host"}}), 1, Some(1)),
            Verdict::Fail {
                want: "app's pid namespace to differ from host's".into(),
                got: "app pid:[1] = host pid:[1] (/proc/4711/ns/pid)".into(),
                because: None
            }
        );
        assert!(matches!(
            verdict(json!({"pid": {"sameAs": "host"}}), 1, Some(2)),
            Verdict::Fail { .. }
        ));
    }

    #[test]
    fn a_kind_or_a_partner_that_was_not_seen_is_an_error() {
        for (want, host) in [
            (json!({"net": {"differsFrom": "host"}}), Some(2)),
            (json!({"pid": {"differsFrom": "host"}}), None),
            (json!({"pid": {"differsFrom": "neighbour"}}), Some(2)),
            (json!({"pid": {"gt": 1}}), Some(2)),
        ] {
            assert!(
                matches!(verdict(want.clone(), 1, host), Verdict::Error { .. }),
                "{want}"
            );
        }
    }
}
