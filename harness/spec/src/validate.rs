//! What decoding cannot see: names that must exist, units, windows, and expectations that would hold for everything.

use std::collections::BTreeMap;

use crate::{
    Position,
    document::Document,
    fault::Fault,
    node::{Extent, Node},
};

mod admits;
mod benchmark;
mod check;
mod cluster;
mod manifest;
mod matcher;
mod network;
mod requirement;
mod sabotage;
mod step;
mod workload;

pub(crate) use admits::{Admits, admits, admits_word};
pub(crate) use benchmark::{benchmark, thresholds};
pub(crate) use check::{FILE_KINDS, PROCESS_STATES, PROPAGATIONS, REASONS, STATES, is_zero, sampled};
pub(crate) use cluster::{CONDITION_STATUSES, CONTAINER_STATES, EVENT_TYPES, PHASES as POD_PHASES, QOS_CLASSES};
pub(crate) use matcher::{Field, number};
pub(crate) use network::{RCODES, TRANSPORTS, outcomes};

/// The four lists of steps of a test.
pub const PHASES: [&str; 4] = ["setup", "steps", "teardown", "onFailure"];

/// Names of workloads and host processes of a spec.
pub fn objects(spec: Option<&Node>) -> Vec<String> {
    let workloads = spec.and_then(|spec| spec.get("workloads"));
    let keys = workloads.map(Node::entries).unwrap_or_default().iter();
    keys.map(|entry| entry.key.clone())
        .chain(
            steps(spec)
                .filter_map(|step| step.get("hostProcess")?.get("id")?.text())
                .map(str::to_owned),
        )
        .collect()
}

fn steps(spec: Option<&Node>) -> impl Iterator<Item = &Node> {
    PHASES
        .into_iter()
        .filter_map(move |phase| spec?.get(phase))
        .flat_map(Node::elements)
}

/// Checks a document that was decoded from `tree`, which is `whole` without its faulty parts. Names are taken from
/// `whole`, so that a part that is left out does not make other parts faulty.
pub fn validate(document: &Document, tree: &Node, whole: &Node, faults: &mut Vec<Fault>) {
    let mut checker = Checker {
        names: Names::of(whole.get("spec")),
        is_whole: std::ptr::eq(tree, whole),
        timeout: document.spec.timeouts.test.map_or(DEFAULT_TIMEOUT, |span| span.0),
        test: &document.spec,
        faults,
    };
    checker.header(document, &Place::of(tree));
    let test = &document.spec;
    let spec = Place::of(tree).key("spec");
    checker.timeouts(test, &spec);
    checker.retries(test, &spec);
    checker.requirements(&test.requires, &spec.key("requires"));
    checker.never_met(test, &spec);
    checker.cluster(test, &spec);
    for (name, workload) in &test.workloads {
        checker.workload(name, workload, &spec.key("workloads").key(name));
    }
    for (phase, steps) in PHASES
        .into_iter()
        .zip([&test.setup, &test.steps, &test.teardown, &test.on_failure])
    {
        for (n, step) in steps.iter().enumerate() {
            checker.step(step, &spec.key(phase).index(n));
        }
    }
    checker.sabotages(test, &spec);
    checker.unique(whole.get("spec"));
}

/// Time for a case unless the spec says otherwise.
const DEFAULT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);

/// A place in the tree, or the nearest one above it that was written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'n> {
    node: Option<&'n Node>,
    pub(crate) extent: Extent,
}

impl<'n> Place<'n> {
    pub(crate) fn of(node: &'n Node) -> Self {
        Self {
            node: Some(node),
            extent: node.extent,
        }
    }

    /// The value under a key.
    pub(crate) fn key(&self, key: &str) -> Self {
        self.child(self.node.and_then(|node| node.get(key)))
    }

    pub(crate) fn index(&self, index: usize) -> Self {
        self.child(self.node.and_then(|node| node.elements().get(index)))
    }

    fn child(&self, node: Option<&'n Node>) -> Self {
        Self {
            node,
            extent: node.map_or(self.extent, |node| node.extent),
        }
    }

    /// Where the key itself is written.
    pub(crate) fn label(&self, key: &str) -> Extent {
        self.node
            .and_then(|node| node.entry(key))
            .map_or(self.extent, |entry| entry.extent)
    }

    /// The keys of a map that was written; none if it was not.
    pub(crate) fn keys(&self) -> Vec<String> {
        let entries = self.node.map(Node::entries).unwrap_or_default();
        entries.iter().map(|entry| entry.key.clone()).collect()
    }

    pub(crate) fn is_written(&self) -> bool {
        self.node.is_some()
    }
}

/// Names that a spec declares.
#[derive(Debug, Default)]
struct Names {
    workloads: Vec<String>,
    host_processes: Vec<String>,
    started: Vec<String>,
    checks: Vec<String>,
    samples: Vec<String>,
}

impl Names {
    fn of(spec: Option<&Node>) -> Self {
        let mut names = Self::default();
        let workloads = spec.and_then(|spec| spec.get("workloads"));
        let workloads = workloads.map(Node::entries).unwrap_or_default();
        names.workloads.extend(workloads.iter().map(|entry| entry.key.clone()));
        let text = |node: Option<&Node>| node.and_then(Node::text).map(str::to_owned);
        for step in steps(spec) {
            names
                .host_processes
                .extend(text(step.get("hostProcess").and_then(|p| p.get("id"))));
            names.samples.extend(text(step.get("sample").and_then(|s| s.get("id"))));
            let start = step.get("start").map(Node::elements).unwrap_or_default();
            names.started.extend(start.iter().filter_map(|name| text(Some(name))));
            names
                .started
                .extend(text(step.get("oci").and_then(|oci| oci.get("on"))));
            names
                .started
                .extend(text(step.get("apply").and_then(|apply| apply.get("on"))));
            for check in step.get("expect").map(Node::elements).unwrap_or_default() {
                names.checks.extend(text(check.get("id")));
            }
        }
        names
    }
}

struct Checker<'f> {
    names: Names,
    test: &'f crate::Test,
    /// Whether nothing was left out of the tree.
    is_whole: bool,
    timeout: std::time::Duration,
    faults: &'f mut Vec<Fault>,
}

impl Checker<'_> {
    fn fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    fn header(&mut self, document: &Document, tree: &Place<'_>) {
        let name = &document.metadata.name;
        if !is_dns_label(name) {
            self.fault(
                Fault::new(
                    tree.key("metadata").key("name").extent,
                    format!("`{}` is not a DNS label", name.value),
                )
                .hint("expected at most 63 of a-z, 0-9 and `-`, beginning and ending with a letter or digit"),
            );
        }
        let spec = tree.key("spec");
        let test = &document.spec;
        if test.description.trim().is_empty() {
            let fault = Fault::new(spec.key("description").extent, "`description` is empty");
            self.fault(fault.hint("say in one sentence what behaviour the test shows"));
        }
        if test.targets.is_empty() && self.is_whole {
            let fault = Fault::new(spec.key("targets").extent, "`targets` is empty");
            self.fault(fault.hint("expected runtime, cluster or host"));
        }
        if self.names.checks.is_empty() && self.is_whole {
            let fault = Fault::new(spec.label("steps"), "the test checks nothing");
            self.fault(fault.hint("no step has an `expect`: it would pass without having looked"));
        }
        if let Some(group) = &test.concurrency.group
            && group.is_empty()
        {
            let fault = Fault::new(
                spec.key("concurrency").key("group").extent,
                "the name of the group is empty",
            );
            self.fault(fault);
        }
    }

    fn timeouts(&mut self, test: &crate::Test, spec: &Place<'_>) {
        let place = spec.key("timeouts");
        let given = &test.timeouts;
        for (key, span) in [
            ("test", given.test),
            ("setup", given.setup),
            ("step", given.step),
            ("teardown", given.teardown),
        ] {
            let Some(span) = span else { continue };
            if span.0.is_zero() || span.0.as_secs() > 3600 {
                let fault = Fault::new(place.key(key).extent, format!("a timeout of {span} makes no sense"));
                self.fault(fault.hint("expected more than nothing and at most an hour"));
            }
        }
    }

    fn retries(&mut self, test: &crate::Test, spec: &Place<'_>) {
        if let Some(retries) = test.retries
            && !(1..=10).contains(&retries.count)
        {
            let fault = Fault::new(
                spec.key("retries").key("count").extent,
                format!("{} retries make no sense", retries.count),
            );
            self.fault(fault.hint("expected 1 to 10, or no `retries` at all"));
        }
    }

    /// Names that stand twice.
    fn unique(&mut self, spec: Option<&Node>) {
        let text = |node: Option<&Node>| node.and_then(|n| Some((n.text()?.to_owned(), n.extent)));
        let mut declared: [(&str, Vec<(String, Extent)>); 4] = [
            ("check id", Vec::new()),
            ("sample id", Vec::new()),
            ("name", Vec::new()),
            ("sabotage id", Vec::new()),
        ];
        let [checks, samples, objects, sabotages] = &mut declared;
        let workloads = spec.and_then(|spec| spec.get("workloads"));
        for entry in workloads.map(Node::entries).unwrap_or_default() {
            objects.1.push((entry.key.clone(), entry.extent));
        }
        for step in steps(spec) {
            samples.1.extend(text(step.get("sample").and_then(|s| s.get("id"))));
            objects
                .1
                .extend(text(step.get("hostProcess").and_then(|p| p.get("id"))));
            for check in step.get("expect").map(Node::elements).unwrap_or_default() {
                checks.1.extend(text(check.get("id")));
            }
        }
        let list = spec.and_then(|spec| spec.get("sabotage"));
        for sabotage in list.map(Node::elements).unwrap_or_default() {
            sabotages.1.extend(text(sabotage.get("id")));
        }
        for (what, names) in declared {
            let mut first: BTreeMap<&str, Position> = BTreeMap::new();
            for (name, extent) in &names {
                if let Some(at) = first.get(name.as_str()) {
                    let fault = Fault::new(*extent, format!("duplicate {what} `{name}`"));
                    self.fault(fault.hint(format!("it stands on line {} already", at.line)));
                } else {
                    first.insert(name, extent.at);
                }
                if what == "name" && name == "host" {
                    self.fault(Fault::new(*extent, "`host` is the name of the host").hint("expected another name"));
                } else if !is_dns_label(name) {
                    let fault = Fault::new(*extent, format!("{what} `{name}` is not a DNS label"));
                    self.fault(fault.hint("expected a-z, 0-9 and `-`"));
                }
            }
        }
    }

    /// A fault unless the name is that of a workload.
    fn workload_reference(&mut self, name: &str, extent: Extent) -> bool {
        if name.contains("${") || self.names.workloads.iter().any(|known| known == name) {
            return true;
        }
        let fault = Fault::new(extent, format!("unknown workload `{name}`"));
        let fault = fault.hint(expected_one_of(&self.names.workloads, "the spec has no workloads"));
        let fault = fault.suggest(name, self.names.workloads.iter().map(String::as_str));
        self.fault(fault);
        false
    }

    /// A fault unless the name is that of a workload that some step starts.
    fn started(&mut self, name: &str, extent: Extent) {
        if self.workload_reference(name, extent)
            && self.is_whole
            && !name.contains("${")
            && !self.names.started.iter().any(|known| known == name)
        {
            let fault = Fault::new(extent, format!("workload `{name}` is never started"));
            self.fault(fault.hint("no step has it in `start` or creates it with `oci`"));
        }
    }

    fn absolute(&mut self, what: &str, path: &str, extent: Extent) {
        if !path.starts_with('/') && !path.starts_with("${") {
            let fault = Fault::new(extent, format!("{what} `{path}` is not absolute"));
            self.fault(fault.hint("expected a path that begins with `/`"));
        }
    }
}

fn expected_one_of(names: &[String], none: &str) -> String {
    match names {
        [] => none.to_owned(),
        names => format!("expected one of {}", names.join(", ")),
    }
}

fn is_dns_label(name: &str) -> bool {
    let edge = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=63).contains(&name.len())
        && name.bytes().all(|b| edge(b) || b == b'-')
        && name.bytes().next().is_some_and(edge)
        && name.bytes().last().is_some_and(edge)
}
