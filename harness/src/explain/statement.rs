//! What was asked for beside what the kernel shows, about one thing of one workload.

use serde_json::Value;
use spec::Workload;
use spec::place::Found;
use spec::requirement::NamespaceKind;

use super::facts::Facts;
use crate::plan::Case;

/// Something that can be asked for and that the kernel can show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Object {
    /// A namespace.
    Namespace(NamespaceKind),
    /// The mount at a destination.
    Mount(String),
    /// The options of the root's mount.
    Root,
    /// The propagation of the root's mount.
    Propagation,
    /// A path that is made unreadable.
    Masked(String),
    /// A path that is made read-only.
    ReadOnly(String),
    /// The control group in which the process is.
    Group,
    /// A limit by its normalised key.
    Limit(&'static str),
    /// A capability set by its name in `config.json`.
    Capability(&'static str),
    /// `no_new_privs`.
    NoNewPrivileges,
    /// The seccomp filter.
    Seccomp,
    /// A resource limit of the process (`RLIMIT_…`).
    Rlimit(String),
    /// User and group ids.
    User,
    /// The file mode creation mask.
    Umask,
    /// The working directory.
    Directory,
    /// The environment.
    Environment,
    /// The argument vector.
    Arguments,
    /// Host name.
    Hostname,
    /// NIS domain name.
    Domainname,
    /// OOM score adjustment.
    OomScore,
    /// A kernel parameter.
    Sysctl(String),
    /// A device by its path.
    Device(String),
    /// The devices that may be used.
    DeviceRules,
    /// What a process has open from its start.
    Descriptors,
    /// How and why the process ended.
    Ending,
}

impl Object {
    /// Whether it is a property of the payload's process, which a container that was created and not started lacks.
    pub(crate) fn is_of_payload(&self) -> bool {
        match self {
            Self::Capability(_)
            | Self::NoNewPrivileges
            | Self::Seccomp
            | Self::Rlimit(_)
            | Self::User
            | Self::Umask
            | Self::Directory
            | Self::Environment
            | Self::Arguments
            | Self::Hostname
            | Self::Domainname
            | Self::OomScore
            | Self::Sysctl(_)
            | Self::Descriptors => true,
            Self::Namespace(_)
            | Self::Mount(_)
            | Self::Root
            | Self::Propagation
            | Self::Masked(_)
            | Self::ReadOnly(_)
            | Self::Group
            | Self::Limit(_)
            | Self::Device(_)
            | Self::DeviceRules
            | Self::Ending => false,
        }
    }
}

/// One comparison of request and kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    /// The workload.
    pub(crate) workload: String,
    /// About what.
    pub(crate) object: Object,
    /// What asks: `config.json`, or a command.
    pub(crate) by: String,
    /// What was asked for, so that `config.json asks for …` is a sentence.
    pub(crate) asked: String,
    /// Where in `config.json`, with dots and indexes; empty if it is silent about it.
    pub(crate) field: String,
    /// What the kernel shows, as a sentence.
    pub(crate) shows: String,
    /// The file and the piece of evidence that shows it.
    pub(crate) source: String,
    /// Whether the kernel shows what was asked for; `None` if the facts do not tell.
    pub(crate) agrees: Option<bool>,
    /// The host does not let it be: why.
    pub(crate) host: Option<String>,
    /// JSON pointer into `config.json` and paths of the short form below the workload that decide it.
    pub(crate) pointer: String,
    /// See `pointer`.
    pub(crate) paths: Vec<String>,
}

impl Statement {
    /// A statement about an object of a workload; facts and request are still to be said.
    pub(crate) fn about(workload: &str, object: Object) -> Self {
        Self {
            workload: workload.to_owned(),
            object,
            by: "config.json".to_owned(),
            asked: String::new(),
            field: String::new(),
            shows: String::new(),
            source: String::new(),
            agrees: None,
            host: None,
            pointer: String::new(),
            paths: Vec::new(),
        }
    }

    /// What was asked for; `pointer` is where `config.json` says so, if it does, and `paths` where a spec does.
    pub(crate) fn asked(mut self, asked: impl Into<String>, pointer: &str, said: bool, paths: &[&str]) -> Self {
        self.asked = asked.into();
        if said {
            self.field = dotted(pointer);
        }
        pointer.clone_into(&mut self.pointer);
        self.paths = paths.iter().map(|path| (*path).to_owned()).collect();
        self
    }

    /// What the kernel shows.
    pub(crate) fn shows(mut self, shows: impl Into<String>, source: impl Into<String>, agrees: bool) -> Self {
        self.shows = shows.into();
        self.source = source.into();
        self.agrees = Some(agrees);
        self
    }

    /// The facts that would tell are not in the record.
    pub(crate) fn unknown(mut self, source: impl Into<String>) -> Self {
        self.source = source.into();
        self
    }

    /// The place in the spec that decides it.
    pub(crate) fn place<'c>(&self, case: &'c Case) -> Option<Found<'c>> {
        let workload = case.spec.workloads.get(&self.workload)?;
        let (form, patch) = match &workload.value {
            Workload::Container(container) => ("container", &container.patch),
            Workload::Bundle(bundle) => ("bundle", &bundle.patch),
            Workload::Object(_) => return None,
        };
        let root = format!("workloads.{}.{form}", self.workload);
        // A patch speaks last.
        let patched = patch.iter().enumerate().rev().find(|(_, operation)| {
            let path = operation.path.trim_end_matches("/-");
            !self.pointer.is_empty() && (path.starts_with(&self.pointer) || self.pointer.starts_with(path))
        });
        if let Some((index, _)) = patched
            && let Some(found) = case.places.find(&format!("{root}.patch.{index}"))
        {
            return Some(found);
        }
        let mut around = None;
        for path in &self.paths {
            match case.places.find(&format!("{root}.{path}")) {
                Some(found @ (Found::Written(..) | Found::Unset(..))) => return Some(found),
                Some(found) => around = around.or(Some(found)),
                None => {}
            }
        }
        around.or_else(|| case.places.at(&root))
    }
}

fn dotted(pointer: &str) -> String {
    let mut text = String::new();
    for segment in pointer.split('/').skip(1) {
        if segment.parse::<usize>().is_ok() {
            text.push_str(&format!("[{segment}]"));
        } else {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(&segment.replace("~1", "/").replace("~0", "~"));
        }
    }
    text
}

/// What an area's file gets to see.
#[derive(Clone, Copy)]
pub(crate) struct Matter<'a> {
    pub(crate) case: &'a Case,
    pub(crate) facts: &'a Facts<'a>,
    pub(crate) workload: &'a str,
    pub(crate) config: &'a Value,
}

impl Matter<'_> {
    /// The name of a piece of evidence of the workload.
    pub(crate) fn evidence(&self, what: &str) -> String {
        format!("{}.{what}", self.workload)
    }

    /// `/proc/PID/FILE`, and the piece of evidence that holds its text.
    pub(crate) fn proc(&self, file: &str) -> String {
        match self.facts.pid(self.workload) {
            Some(pid) => format!("/proc/{pid}/{file}"),
            None => self.evidence(file),
        }
    }

    pub(crate) fn about(&self, object: Object) -> Statement {
        Statement::about(self.workload, object)
    }

    /// The strings of a list in `config.json`.
    pub(crate) fn list(&self, pointer: &str) -> Option<Vec<&str>> {
        let list = self.config.pointer(pointer)?.as_array()?;
        Some(list.iter().filter_map(Value::as_str).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_reads_like_a_field() {
        assert_eq!(dotted("/linux/namespaces/0/path"), "linux.namespaces[0].path");
        assert_eq!(dotted("/linux/sysctl/net.ipv4~1x"), "linux.sysctl.net.ipv4/x");
    }
}
