//! Checks: what they look at must be there, and they must be able to fail.

use super::{Checker, Place, matcher::Field};
use crate::{
    Action, Check, Matcher, Op, Spanned, Step, Subject,
    check::{
        ExitCheck, FileCheck, MountsCheck, NetworkCheck, OutputCheck, ProcessCheck,
        cgroup::{self, CGROUP_KEYS, Unit},
    },
    fault::Fault,
    step::Metric,
};

pub(crate) const STATES: &[&str] = &["creating", "created", "running", "stopped", "paused", "missing"];
pub(crate) const REASONS: &[&str] = &["Completed", "Error", "OOMKilled"];
pub(crate) const PROCESS_STATES: &[&str] = &["R", "S", "D", "Z", "T", "t", "I", "X"];
pub(crate) const FILE_KINDS: &[&str] = &["file", "directory", "symlink", "character", "block", "fifo", "socket"];
pub(crate) const PROPAGATIONS: &[&str] = &["private", "shared", "slave", "shared,slave", "unbindable"];

const NUMBER: Field = Field::Number(Unit::Number);

impl Checker<'_> {
    pub(super) fn check(&mut self, check: &Spanned<Check>, step: &Step, place: &Place<'_>) {
        self.requirements(&check.requires, &place.key("requires"));
        self.viewpoint(check, step, place);
        let key = check.subject.key();
        let at = place.key(key);
        match &check.subject {
            Subject::State(state) => self.matcher(state, Field::Word(STATES), &at),
            Subject::Exit(exit) => self.exit(exit, place),
            Subject::Output(output) => self.output(output, place),
            Subject::Report(paths) => {
                self.says_something(!paths.is_empty(), key, place);
                for (path, matcher) in paths {
                    self.matcher(matcher, Field::Any, &at.key(path));
                }
            }
            Subject::Process(process) => self.process(process, place),
            Subject::Namespace(kinds) => {
                self.says_something(!kinds.is_empty(), key, place);
                for (kind, matcher) in kinds {
                    let written = [kind.oci_name(), kind.proc_name()].map(|name| at.key(name));
                    let at = written.into_iter().find(Place::is_written).unwrap_or(at);
                    self.matcher(matcher, Field::Object, &at);
                }
            }
            Subject::Mounts(mounts) => self.mounts(mounts, place),
            Subject::Cgroup(keys) => {
                self.says_something(!keys.is_empty(), key, place);
                for (name, matcher) in keys {
                    self.cgroup(name, matcher, &at);
                }
            }
            Subject::Network(network) => self.network(network, place),
            Subject::File(file) => self.file(file, place),
            Subject::Statistic(_, matcher) => {
                self.matcher(matcher, sampled(step).map_or(Field::Any, Field::Number), &at);
            }
            Subject::Placement(_)
            | Subject::Pod(_)
            | Subject::Object(_)
            | Subject::Exists(_)
            | Subject::Events(_)
            | Subject::Replicas(_)
            | Subject::Ready(_)
            | Subject::Logs(_) => self.cluster_check(check, place),
            Subject::Connection(_)
            | Subject::Responses(_)
            | Subject::Dns(_)
            | Subject::Endpoints(_)
            | Subject::Reachability(_) => self.packets_check(check, step, place),
        }
        self.check_of_target(check, place);
    }

    /// Where the check looks from: `on`, `sample`, or the outcome of the step's action.
    fn viewpoint(&mut self, check: &Check, step: &Step, place: &Place<'_>) {
        let key = check.subject.key();
        let is_statistic = matches!(check.subject, Subject::Statistic(..));
        match (&check.sample, is_statistic) {
            (Some(sample), true) => {
                if !self.names.samples.contains(&sample.value) {
                    let fault = Fault::new(place.key("sample").extent, format!("unknown sample `{}`", sample.value))
                        .hint(super::expected_one_of(&self.names.samples, "the spec draws no samples"))
                        .suggest(&sample.value, self.names.samples.iter().map(String::as_str));
                    self.fault(fault);
                }
            }
            (Some(_), false) => {
                let fault = Fault::new(place.label("sample"), format!("`{key}` is not a statistic of a sample"));
                self.fault(fault.hint("`sample` belongs to mean, p50, p95 and p99"));
            }
            (None, true) => {
                let fault = Fault::new(place.label(key), format!("`{key}` of what?"));
                self.fault(fault.hint("it needs `sample`"));
            }
            (None, false) => {}
        }
        if check.subject.is_of_packets() {
            self.viewpoint_packets(check, step, place);
        } else if let Some(on) = &check.on {
            let extent = place.key("on").extent;
            if is_statistic {
                let fault = Fault::new(
                    place.label("on"),
                    format!("`{key}` is of a sample, which has its own `on`"),
                );
                self.fault(fault.hint("leave it out"));
            } else if on.value == "host" {
                if matches!(check.subject, Subject::State(_) | Subject::Exit(_) | Subject::Report(_)) {
                    let fault = Fault::new(extent, format!("the host has no `{key}`"));
                    self.fault(fault.hint("expected a workload"));
                }
            } else if let Some(node) = on.value.strip_prefix("node/") {
                self.viewpoint_node(node, check, extent);
            } else if !self.names.host_processes.contains(&on.value) {
                if self.names.workloads.contains(&on.value) || on.value.contains("${") {
                    self.started(&on.value, extent);
                } else {
                    let known = self
                        .names
                        .workloads
                        .iter()
                        .chain(&self.names.host_processes)
                        .map(String::as_str);
                    let known: Vec<&str> = known.chain(["host"]).collect();
                    let fault = Fault::new(extent, format!("unknown workload `{}`", on.value))
                        .hint(format!("expected one of {}", known.join(", ")))
                        .suggest(&on.value, known);
                    self.fault(fault);
                }
            }
        } else if !is_statistic {
            let own = matches!(check.subject, Subject::Exit(_) | Subject::Output(_))
                || matches!(
                    (&check.subject, &step.action),
                    (Subject::Report(_), Some(Action::Exec(_)))
                );
            let acts = matches!(
                step.action,
                Some(Action::Exec(_) | Action::Oci(_) | Action::Script(_) | Action::Stop(_) | Action::Signal(_))
                    | Some(Action::Start(_) | Action::HostProcess(_))
            ) || step
                .action
                .as_ref()
                .is_some_and(|action| action.is_of_cluster() && !action.is_look());
            if !own {
                let fault = Fault::new(place.label(key), format!("`{key}` of what?"));
                self.fault(fault.hint("it needs `on`: a workload or `host`"));
            } else if !acts {
                let fault = Fault::new(place.label(key), format!("`{key}` of what?"));
                self.fault(fault.hint("the step has no action of which this could be the outcome; it needs `on`"));
            }
        }
    }

    pub(super) fn says_something(&mut self, says: bool, key: &str, place: &Place<'_>) {
        if !says && self.is_whole {
            let fault = Fault::new(place.label(key), format!("`{key}` expects nothing"));
            self.fault(fault.hint("an empty expectation holds for everything"));
        }
    }

    pub(super) fn fields(&mut self, place: &Place<'_>, fields: &[(&str, Option<&Matcher>, Field)]) {
        for (key, matcher, field) in fields {
            if let Some(matcher) = matcher {
                self.matcher(matcher, *field, &place.key(key));
            }
        }
    }

    fn exit(&mut self, exit: &ExitCheck, place: &Place<'_>) {
        let says = exit.code.is_some() || exit.signal.is_some() || exit.reason.is_some();
        self.says_something(says, "exit", place);
        self.fields(
            &place.key("exit"),
            &[
                ("code", exit.code.as_ref(), NUMBER),
                ("signal", exit.signal.as_ref(), Field::Signal),
                ("reason", exit.reason.as_ref(), Field::Word(REASONS)),
            ],
        );
    }

    fn output(&mut self, output: &OutputCheck, place: &Place<'_>) {
        let says = output.stdout.is_some() || output.stderr.is_some() || !output.json.is_empty();
        self.says_something(says, "output", place);
        let at = place.key("output");
        self.fields(
            &at,
            &[
                ("stdout", output.stdout.as_ref(), Field::Text),
                ("stderr", output.stderr.as_ref(), Field::Text),
            ],
        );
        for (path, matcher) in &output.json {
            self.matcher(matcher, Field::Any, &at.key("json").key(path));
        }
    }

    fn process(&mut self, process: &ProcessCheck, place: &Place<'_>) {
        let at = place.key("process");
        let filter = &process.filter;
        let chooses = filter.pid.is_some()
            || filter.args_contain.is_some()
            || filter.reference.is_some()
            || filter.state.is_some()
            || filter.all == Some(true);
        self.chooses(chooses, &at);
        if let Some(name) = &filter.reference
            && !self.names.host_processes.contains(name)
        {
            self.started(name, at.key("where").key("ref").extent);
        }
        if let Some(state) = &filter.state
            && !PROCESS_STATES.contains(&state.as_str())
        {
            let fault = Fault::new(
                at.key("where").key("state").extent,
                format!("unknown process state `{state}`"),
            );
            self.fault(fault.hint(format!("expected one of {}", PROCESS_STATES.join(", "))));
        }
        self.fields(
            &at,
            &[
                ("count", process.count.as_ref(), NUMBER),
                ("args", process.args.as_ref(), Field::List),
                ("uid", process.uid.as_ref(), NUMBER),
                ("ppid", process.ppid.as_ref(), NUMBER),
                ("state", process.state.as_ref(), Field::Word(PROCESS_STATES)),
            ],
        );
    }

    fn mounts(&mut self, mounts: &MountsCheck, place: &Place<'_>) {
        let at = place.key("mounts");
        let filter = &mounts.filter;
        let chooses = filter.destination.is_some()
            || filter.kind.is_some()
            || filter.source.is_some()
            || filter.all == Some(true);
        self.chooses(chooses, &at);
        if let Some(destination) = &filter.destination {
            self.absolute("mount point", destination, at.key("where").key("destination").extent);
        }
        self.fields(
            &at,
            &[
                ("count", mounts.count.as_ref(), NUMBER),
                ("options", mounts.options.as_ref(), Field::List),
                ("type", mounts.kind.as_ref(), Field::Text),
                ("propagation", mounts.propagation.as_ref(), Field::Word(PROPAGATIONS)),
                ("root", mounts.root.as_ref(), Field::Text),
            ],
        );
    }

    fn chooses(&mut self, chooses: bool, at: &Place<'_>) {
        if !chooses && self.is_whole {
            let fault = Fault::new(at.label("where"), "`where` chooses nothing");
            self.fault(fault.hint("say which, or `all: true`"));
        }
    }

    fn cgroup(&mut self, name: &str, matcher: &Matcher, at: &Place<'_>) {
        let field = match cgroup::unit(name) {
            None => {
                let fault = Fault::new(at.label(name), format!("unknown cgroup key `{name}`"))
                    .hint("expected a normalised name such as `memory.peak`, the same for v1 and v2")
                    .suggest(name, CGROUP_KEYS.iter().map(|key| key.name));
                return self.fault(fault);
            }
            Some(Unit::Text) => Field::Text,
            Some(Unit::List) => Field::List,
            Some(unit) => Field::Number(unit),
        };
        self.matcher(matcher, field, &at.key(name));
    }

    fn network(&mut self, network: &NetworkCheck, place: &Place<'_>) {
        let fields = [
            ("interfaces", network.interfaces.as_ref(), Field::List),
            ("up", network.up.as_ref(), Field::List),
            ("routes", network.routes.as_ref(), Field::List),
            ("listening", network.listening.as_ref(), Field::List),
        ];
        self.says_something(fields.iter().any(|(_, matcher, _)| matcher.is_some()), "network", place);
        self.fields(&place.key("network"), &fields);
    }

    fn file(&mut self, file: &FileCheck, place: &Place<'_>) {
        let at = place.key("file");
        self.absolute("path", &file.path, at.key("path").extent);
        let fields = [
            ("type", file.kind.as_ref(), Field::Word(FILE_KINDS)),
            ("content", file.content.as_ref(), Field::Text),
            ("mode", file.mode.as_ref(), Field::Text),
            ("uid", file.uid.as_ref(), NUMBER),
            ("gid", file.gid.as_ref(), NUMBER),
            ("size", file.size.as_ref(), Field::Number(Unit::Bytes)),
            ("entries", file.entries.as_ref(), Field::List),
        ];
        let says = file.exists.is_some() || fields.iter().any(|(_, matcher, _)| matcher.is_some());
        self.says_something(says, "file", place);
        self.fields(&at, &fields);
        for op in file.mode.iter().flat_map(|mode| &mode.0) {
            let (Op::Eq(value) | Op::Ne(value)) = op else { continue };
            let octal =
                |text: &str| !text.is_empty() && text.len() <= 5 && text.bytes().all(|b| matches!(b, b'0'..=b'7'));
            if !value.as_str().is_some_and(|text| octal(text) || text.contains("${")) {
                let fault = Fault::new(at.key("mode").extent, "permission bits are octal, written as text");
                self.fault(fault.hint("expected text such as \"0644\""));
            }
        }
        if file.exists == Some(false) && fields.iter().any(|(_, matcher, _)| matcher.is_some()) {
            let fault = Fault::new(at.key("exists").extent, "a file that does not exist has no properties");
            self.fault(fault.hint("leave the others out"));
        }
    }
}

/// What a step's own sample is measured in; `None` if it draws none.
pub(crate) fn sampled(step: &Step) -> Option<Unit> {
    let sample = step.sample.as_ref()?;
    Some(match sample.metric {
        _ if sample.relative_to.is_some() => Unit::Share,
        Metric::CpuUsage => Unit::Share,
        Metric::PidsCurrent => Unit::Number,
        Metric::MemoryUsage | Metric::IoReadRate | Metric::IoWriteRate => Unit::Bytes,
    })
}

/// Whether it is a number of none.
pub(crate) fn is_zero(matcher: &Matcher) -> bool {
    matcher.0.iter().any(|op| match op {
        Op::Eq(value) | Op::Lte(value) => value.as_f64() == Some(0.0),
        Op::Lt(value) => value.as_f64() == Some(1.0),
        _ => false,
    })
}
