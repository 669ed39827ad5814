//! What the record kept of a case beside its looks: the evidence of its failure, read back.

use std::collections::BTreeMap;

use record::seen::MountSeen;
use record::{Event, Seen};
use serde_json::Value;
use spec::requirement::NamespaceKind;

use crate::observe::mounts;
use crate::plan::Case;

/// The evidence and the looks of one case.
#[derive(Debug)]
pub struct Facts<'a> {
    texts: BTreeMap<&'a str, &'a str>,
    looks: Vec<(&'a str, &'a Seen)>,
    acts: Vec<Act<'a>>,
    begun: Vec<(&'a str, usize)>,
    configs: BTreeMap<&'a str, Value>,
}

/// A command of the subject, or an effect.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Act<'a> {
    pub(crate) what: &'a str,
    pub(crate) code: Option<i64>,
    pub(crate) stderr: &'a str,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) runs: bool,
    /// The runtime's own process is there and the payload is not.
    pub(crate) waits: bool,
    pub(crate) code: Option<i64>,
    pub(crate) signal: Option<String>,
}

/// A control group of a container, or an ancestor of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group<'a> {
    pub(crate) version: u8,
    pub(crate) controllers: Vec<&'a str>,
    pub(crate) directory: &'a str,
    pub(crate) files: BTreeMap<&'a str, &'a str>,
}

impl<'a> Facts<'a> {
    /// Of the case with this id.
    pub fn of(case: &str, events: &'a [Event]) -> Self {
        let mut facts = Self {
            texts: BTreeMap::new(),
            looks: Vec::new(),
            acts: Vec::new(),
            begun: Vec::new(),
            configs: BTreeMap::new(),
        };
        for event in events {
            match event {
                Event::Evidence { case: id, name, text } if id == case => {
                    facts.texts.entry(name).or_insert(text);
                }
                Event::Look { case: id, seen, .. } if id == case => {
                    facts
                        .looks
                        .extend(seen.iter().map(|(check, seen)| (check.as_str(), seen)));
                }
                Event::Act {
                    case: id,
                    what,
                    code,
                    stderr,
                    ..
                } if id == case => facts.acts.push(Act {
                    what,
                    code: *code,
                    stderr,
                }),
                Event::Step {
                    case: id, phase, index, ..
                } if id == case => facts.begun.push((phase, *index)),
                _ => {}
            }
        }
        for (name, text) in &facts.texts {
            if let Some(workload) = name.strip_suffix(".config.json")
                && let Ok(config) = serde_json::from_str(text)
            {
                facts.configs.insert(workload, config);
            }
        }
        facts
    }

    /// Whether any evidence was kept.
    pub fn kept(&self) -> bool {
        !self.texts.is_empty()
    }

    /// A text of the evidence.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.texts.get(name).copied()
    }

    pub(crate) fn acts(&self) -> &[Act<'a>] {
        &self.acts
    }

    pub(crate) fn begun(&self, phase: &str, index: usize) -> bool {
        self.begun.contains(&(phase, index))
    }

    /// What the subject was asked for.
    pub(crate) fn config(&self, workload: &str) -> Option<&Value> {
        self.configs.get(workload)
    }

    /// The last thing that a look of this check saw.
    pub(crate) fn seen(&self, check: &str) -> Option<&'a Seen> {
        self.looks
            .iter()
            .rev()
            .find(|(id, _)| *id == check)
            .map(|(_, seen)| *seen)
    }

    /// Everything that the looks of this check saw, in order.
    pub(crate) fn all_seen(&self, check: &str) -> impl Iterator<Item = &'a Seen> {
        self.looks
            .iter()
            .filter(move |(id, _)| *id == check)
            .map(|(_, seen)| *seen)
    }

    /// The last look of a check on a workload for which `of` has an answer.
    fn look<T>(&self, case: &Case, workload: &str, of: impl Fn(&'a Seen) -> Option<T>) -> Option<T> {
        let on = |id: &str| {
            super::checks(case).any(|c| c.id.value == id && c.on.as_ref().is_some_and(|on| on.value == workload))
        };
        self.looks
            .iter()
            .rev()
            .find_map(|(id, seen)| if on(id) { of(seen) } else { None })
    }

    /// A line of `/proc/PID/status`.
    pub(crate) fn status(&self, workload: &str, field: &str) -> Option<&'a str> {
        let text = self.text(&format!("{workload}.status"))?;
        text.lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
            .map(str::trim)
    }

    /// The id in the guard's PID namespace.
    pub(crate) fn pid(&self, workload: &str) -> Option<i32> {
        let mut words = self.text(&format!("{workload}.end"))?.split_whitespace();
        words.nth(1)?.parse().ok()
    }

    /// How it ended, or that it runs.
    pub(crate) fn end(&self, workload: &str) -> Option<End> {
        let text = self.text(&format!("{workload}.end"))?;
        Some(End {
            runs: text.ends_with(" runs") || text.ends_with(" waits for its start"),
            waits: text.ends_with(" waits for its start"),
            code: text
                .split_once("with code ")
                .and_then(|(_, code)| code.trim().parse().ok()),
            signal: text.split_once("ended by ").map(|(_, signal)| signal.trim().to_owned()),
        })
    }

    /// Inode of a namespace; from the looks if no evidence was kept.
    pub(crate) fn namespace(&self, case: &Case, who: &str, kind: NamespaceKind) -> Option<u64> {
        if let Some(text) = self.text(&format!("{who}.namespaces")) {
            return text.lines().find_map(|line| {
                let (name, inode) = line.split_once(":[")?;
                (name == kind.oci_name()).then(|| inode.trim_end_matches(']').parse().ok())?
            });
        }
        let name = kind.oci_name();
        self.look(case, who, |seen| match seen {
            Seen::Namespaces { target, .. } => target.get(name).copied(),
            _ => None,
        })
        .or_else(|| {
            self.looks.iter().rev().find_map(|(_, seen)| match seen {
                Seen::Namespaces { others, .. } => others.get(who)?.get(name).copied(),
                _ => None,
            })
        })
    }

    /// The mount table; from the looks if no evidence was kept.
    pub(crate) fn mounts(&self, case: &Case, who: &str) -> Option<Vec<MountSeen>> {
        self.text(&format!("{who}.mountinfo")).map(mounts::parse).or_else(|| {
            self.look(case, who, |seen| match seen {
                Seen::Mounts { list, .. } => Some(list.clone()),
                _ => None,
            })
        })
    }

    /// What the workload told about itself, as far as a check looked.
    pub(crate) fn report(&self, case: &Case, workload: &str) -> Option<&'a Value> {
        self.look(case, workload, |seen| match seen {
            Seen::Report { values } => values.as_ref(),
            _ => None,
        })
    }

    /// The control groups of a workload, each before its ancestors.
    pub(crate) fn groups(&self, workload: &str) -> Vec<Group<'a>> {
        let mut all: Vec<Group<'a>> = Vec::new();
        for line in self.text(&format!("{workload}.groups")).unwrap_or_default().lines() {
            if let Some(file) = line.strip_prefix("  ") {
                let (name, value) = file.split_once(' ').unwrap_or((file, ""));
                if let Some(group) = all.last_mut() {
                    group.files.insert(name, value);
                }
                continue;
            }
            let mut words = line.splitn(3, ' ');
            if let (Some(version), Some(controllers), Some(directory)) = (words.next(), words.next(), words.next()) {
                all.push(Group {
                    version: if version == "v1" { 1 } else { 2 },
                    controllers: controllers.split(',').filter(|c| *c != "-").collect(),
                    directory,
                    files: BTreeMap::new(),
                });
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_back_with_their_files() {
        let events = [Event::Evidence {
            case: "c".into(),
            name: "app.groups".into(),
            text: "v1 memory /sys/fs/cgroup/memory/plimsoll-app\n  memory.limit_in_bytes 33554432\n  memory.oom_control oom_kill_disable 0; oom_kill 1\nv1 memory /sys/fs/cgroup/memory\n  memory.limit_in_bytes 16777216\nv2 - /sys/fs/cgroup/unified/x\n  gone\n".into(),
        }];
        let facts = Facts::of("c", &events);
        let groups = facts.groups("app");
        assert_eq!(groups.len(), 3);
        assert_eq!(groups[0].files["memory.oom_control"], "oom_kill_disable 0; oom_kill 1");
        assert_eq!(groups[1].directory, "/sys/fs/cgroup/memory");
        assert_eq!((groups[2].version, groups[2].controllers.len()), (2, 0));
        assert!(Facts::of("other", &events).groups("app").is_empty());
    }

    #[test]
    fn an_end_is_read_back() {
        for (text, runs, code, signal) in [
            ("pid 7 runs", true, None, None),
            ("pid 7 ended with code 3", false, Some(3), None),
            ("pid 7 was ended by SIGKILL", false, None, Some("SIGKILL")),
        ] {
            let events = [Event::Evidence {
                case: "c".into(),
                name: "app.end".into(),
                text: text.into(),
            }];
            let facts = Facts::of("c", &events);
            let end = facts.end("app").unwrap();
            assert_eq!((end.runs, end.code, end.signal.as_deref()), (runs, code, signal));
            assert_eq!(facts.pid("app"), Some(7));
        }
    }
}
