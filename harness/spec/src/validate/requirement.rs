//! Requirements: nothing empty, and values that a probe can be asked for.

use super::{Checker, Place, matcher::Field};
use crate::{Requirement, check::cgroup::Unit, fault::Fault};

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
                    let text = release.trim_start_matches(['>', '<', '=', ' ']);
                    let operator = release[..release.len() - text.len()].trim();
                    let numbers = text.split('.').all(|part| part.parse::<u32>().is_ok());
                    if !numbers || !matches!(operator, "" | ">=" | ">" | "<" | "<=" | "=" | "==") {
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
                Requirement::HostAccess(_)
                | Requirement::BlockDevice(_)
                | Requirement::RealTime(_)
                | Requirement::Root(_)
                | Requirement::Swap(_) => {}
            }
        }
    }

    fn not_empty<T>(&mut self, list: &[T], place: &Place<'_>) {
        if list.is_empty() && self.is_whole {
            let fault = Fault::new(place.extent, "a requirement that asks for nothing");
            self.fault(fault.hint("leave it out, or name what is needed"));
        }
    }
}
