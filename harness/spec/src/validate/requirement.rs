//! Requirements: nothing empty, and values that a probe can be asked for.

use std::collections::BTreeMap;

use super::{Admits, Checker, PHASES, Place, admits, matcher::Field};
use crate::{
    Matcher, Op, Requirement, Test,
    check::cgroup::Unit,
    fault::Fault,
    requirement::{ClusterRequirement, Release},
};

/// Controllers that a requirement can name.
const CONTROLLERS: [&str; 8] = ["cpu", "cpuset", "memory", "pids", "io", "devices", "freezer", "hugetlb"];

impl Checker<'_> {
    pub(super) fn requirements(&mut self, requires: &[Requirement], list: &Place<'_>) {
        for (n, requirement) in requires.iter().enumerate() {
            let place = list.index(n);
            match requirement {
                Requirement::Namespaces(kinds) => self.not_empty(kinds, &place.key("namespaces")),
                Requirement::Cgroup(cgroup) => {
                    let place = place.key("cgroup");
                    if cgroup.version.is_none() && cgroup.controllers.is_empty() && cgroup.swap_limit.is_none() {
                        let fault = Fault::new(place.extent, "a requirement that asks for nothing");
                        self.fault(fault.hint("expected version, controllers or swapLimit"));
                    }
                    if let Some(version) = cgroup.version
                        && !(1..=2).contains(&version)
                    {
                        let fault = Fault::new(place.key("version").extent, format!("there is no cgroup v{version}"));
                        self.fault(fault.hint("expected 1 or 2"));
                    }
                    for (n, name) in cgroup.controllers.iter().enumerate() {
                        if !CONTROLLERS.contains(&name.as_str()) {
                            let extent = place.key("controllers").index(n).extent;
                            let fault = Fault::new(extent, format!("unknown controller `{name}`"))
                                .hint(format!("expected one of {}", CONTROLLERS.join(", ")));
                            self.fault(fault.suggest(name, CONTROLLERS));
                        }
                    }
                }
                Requirement::Capability(names) => {
                    let place = place.key("capability");
                    self.not_empty(names, &place);
                    self.capabilities(names, &place);
                }
                Requirement::Kernel(release) => {
                    if Release::parse(release).is_none() {
                        let extent = place.key("kernel").extent;
                        let fault = Fault::new(extent, format!("`{release}` is not a kernel release"));
                        self.fault(fault.hint("expected a release such as `>=5.12`"));
                    }
                }
                Requirement::Cpus(matcher) => {
                    self.matcher(matcher, Field::Number(Unit::Number), &place.key("cpus"));
                }
                Requirement::RuntimeFeature(path) => {
                    if path.is_empty() {
                        let fault = Fault::new(place.key("runtimeFeature").extent, "the path of the feature is empty");
                        self.fault(fault.hint("expected a dotted path such as `linux.cgroup.v2`"));
                    }
                }
                Requirement::Filesystem(names) => self.not_empty(names, &place.key("filesystem")),
                Requirement::Path(paths) => {
                    let place = place.key("path");
                    self.not_empty(paths, &place);
                    for (n, path) in paths.iter().enumerate() {
                        self.absolute("path", path, place.index(n).extent);
                    }
                }
                Requirement::Any(any) => {
                    let place = place.key("any");
                    self.not_empty(any, &place);
                    self.requirements(any, &place);
                }
                Requirement::Cluster(cluster) => self.of_cluster(cluster, &place.key("cluster")),
                Requirement::Scheduler(_)
                | Requirement::HostAccess(_)
                | Requirement::BlockDevice(_)
                | Requirement::RealTime(_)
                | Requirement::Root(_)
                | Requirement::Swap(_) => {}
            }
        }
    }

    /// Requirements of the test, its steps and its checks that no host meets together.
    pub(super) fn never_met(&mut self, test: &Test, spec: &Place<'_>) {
        let mut held: Vec<&Requirement> = Vec::new();
        self.hold(&test.requires, &spec.key("requires"), &mut held);
        for (phase, steps) in PHASES
            .into_iter()
            .zip([&test.setup, &test.steps, &test.teardown, &test.on_failure])
        {
            for (n, step) in steps.iter().enumerate() {
                let place = spec.key(phase).index(n);
                let of_test = held.len();
                self.hold(&step.requires, &place.key("requires"), &mut held);
                let of_step = held.len();
                for (n, check) in step.expect.iter().enumerate() {
                    let place = place.key("expect").index(n).key("requires");
                    self.hold(&check.requires, &place, &mut held);
                    held.truncate(of_step);
                }
                held.truncate(of_test);
            }
        }
    }

    /// Adds requirements to those that are held already; one that contradicts them is told and left out.
    fn hold<'r>(&mut self, more: &'r [Requirement], list: &Place<'_>, held: &mut Vec<&'r Requirement>) {
        for (n, requirement) in more.iter().enumerate() {
            held.push(requirement);
            if let Some(why) = contradiction(held) {
                held.pop();
                let fault = Fault::new(list.index(n).extent, "a requirement that is never met");
                self.fault(fault.hint(why));
            }
        }
    }

    fn of_cluster(&mut self, cluster: &ClusterRequirement, place: &Place<'_>) {
        let ClusterRequirement {
            nodes,
            dns,
            kubernetes,
            faults,
            families,
        } = cluster;
        if nodes.is_none() && dns.is_none() && kubernetes.is_none() && faults.is_none() && families.is_empty() {
            let fault = Fault::new(place.extent, "a requirement that asks for nothing");
            self.fault(fault.hint("expected nodes, dns, kubernetes, faults or families"));
        }
        if let Some(nodes) = nodes {
            self.matcher(nodes, Field::Number(Unit::Number), &place.key("nodes"));
        }
        if let Some(release) = kubernetes
            && Release::parse(release).is_none()
        {
            let fault = Fault::new(
                place.key("kubernetes").extent,
                format!("`{release}` is not a release of Kubernetes"),
            );
            self.fault(fault.hint("expected a release such as `>=1.30`"));
        }
    }

    fn not_empty<T>(&mut self, list: &[T], place: &Place<'_>) {
        if list.is_empty() && self.is_whole {
            let fault = Fault::new(place.extent, "a requirement that asks for nothing");
            self.fault(fault.hint("leave it out, or name what is needed"));
        }
    }
}

/// Why no host meets all of these.
fn contradiction(held: &[&Requirement]) -> Option<String> {
    let mut flags: BTreeMap<&str, bool> = BTreeMap::new();
    let mut cpus: Vec<Op> = Vec::new();
    let mut releases = ([0; 3], [u64::MAX; 3]);
    let mut versions: BTreeMap<&str, u8> = BTreeMap::new();
    for requirement in held {
        let flag = match requirement {
            Requirement::HostAccess(false) => {
                return Some("a runtime is always looked at from its own host".to_owned());
            }
            Requirement::BlockDevice(wanted) => Some(("blockDevice", *wanted)),
            Requirement::RealTime(wanted) => Some(("realTime", *wanted)),
            Requirement::Root(wanted) => Some(("root", *wanted)),
            Requirement::Swap(wanted) => Some(("swap", *wanted)),
            Requirement::Cpus(Matcher(ops)) => {
                cpus.extend(ops.iter().cloned());
                None
            }
            Requirement::Kernel(release) => {
                if let Some(release) = Release::parse(release) {
                    let (first, end) = release.bounds();
                    releases = (releases.0.max(first), releases.1.min(end));
                }
                None
            }
            Requirement::Cgroup(cgroup) => {
                for controller in cgroup.version.iter().flat_map(|_| &cgroup.controllers) {
                    let version = cgroup.version.unwrap_or_default();
                    let other = *versions.entry(controller).or_insert(version);
                    if other != version {
                        return Some(format!(
                            "`{controller}` is on one version at a time, and v{other} is required too"
                        ));
                    }
                }
                None
            }
            Requirement::Any(any) if !any.is_empty() => {
                let others: Vec<_> = held
                    .iter()
                    .copied()
                    .filter(|r| !matches!(r, Requirement::Any(_)))
                    .collect();
                let none = any.iter().all(|one| {
                    let mut all = others.clone();
                    all.push(one);
                    contradiction(&all).is_some()
                });
                if none {
                    return Some("none of these can be met".to_owned());
                }
                None
            }
            Requirement::HostAccess(true)
            | Requirement::Any(_)
            | Requirement::Namespaces(_)
            | Requirement::Capability(_)
            | Requirement::RuntimeFeature(_)
            | Requirement::Filesystem(_)
            | Requirement::Path(_)
            | Requirement::Cluster(_)
            | Requirement::Scheduler(_) => None,
        };
        if let Some((name, wanted)) = flag
            && *flags.entry(name).or_insert(wanted) != wanted
        {
            return Some(format!("`{name}: {}` is required too", !wanted));
        }
    }
    let number = Field::Number(Unit::Number);
    if !cpus.is_empty() {
        // There is always one.
        cpus.push(Op::Gte(1.into()));
        if admits(&Matcher(cpus), number) == Admits::Nothing {
            return Some("no number of CPUs is left".to_owned());
        }
    }
    (releases.0 >= releases.1).then(|| "no kernel release is left".to_owned())
}
