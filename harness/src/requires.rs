//! Requirements: probed by doing and looking, with three answers, each with what was read.
//!
//! A file that cannot be read or makes no sense is no *no*: it is [`Probed::CannotTell`], and what needs it ends in error.
//! Probes take the root of the file system that they read, so that tests can show them what this host does not have.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::thread::UnshareFlags;
use serde_json::{Value, json};
use spec::requirement::{CgroupRequirement, ClusterRequirement, NamespaceKind, Release, SchedulerFeature};
use spec::{Family, Matcher, Requirement};
use sys::fork::{Forked, exit_now, fork};

use crate::drive::World;
use crate::guard::cgroup::Mounted;
use crate::judge::matcher::{Finding, Unit, holds};

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probed {
    /// It is there, and this was seen.
    Met {
        /// The requirement in words.
        requirement: String,
        /// What the probe saw, and where.
        seen: String,
    },
    /// It is not, and this was seen.
    Unmet {
        /// The requirement in words.
        requirement: String,
        /// What the probe saw, and where.
        seen: String,
    },
    /// The probe itself did not work.
    CannotTell {
        /// The requirement in words.
        requirement: String,
        /// Why.
        why: String,
    },
}

/// The answer of one look: whether it is met and what was seen, or why nobody can tell.
type Answer = Result<(bool, String), String>;

fn answered(requirement: String, answer: Answer) -> Probed {
    match answer {
        Ok((true, seen)) => Probed::Met { requirement, seen },
        Ok((false, seen)) => Probed::Unmet { requirement, seen },
        Err(why) => Probed::CannotTell { requirement, why },
    }
}

/// Probes one requirement inside the guard.
pub fn probe(requirement: &Requirement, world: &World<'_>) -> Probed {
    let root = Path::new("/");
    match requirement {
        Requirement::Namespaces(kinds) => {
            let names: Vec<_> = kinds.iter().map(|kind| kind.oci_name()).collect();
            let requirement = format!("{} namespace", names.join(", "));
            answered(
                requirement,
                all_of(kinds.iter().map(|kind| namespace(root, *kind, &make))),
            )
        }
        Requirement::Cgroup(wanted) => answered(
            cgroup_words(wanted),
            cgroup(
                root,
                wanted,
                &world.home.cgroups,
                world.home.no_cgroups.as_deref(),
                world.home.by_root,
            ),
        ),
        Requirement::Capability(names) => answered(names.join(", "), capabilities(root, names)),
        Requirement::Kernel(wanted) => {
            let release = rustix::system::uname().release().to_string_lossy().into_owned();
            answered(format!("kernel {wanted}"), kernel(wanted, &release))
        }
        Requirement::Cpus(wanted) => {
            let counted = std::thread::available_parallelism().map(std::num::NonZero::get);
            answered(format!("cpus {wanted}"), cpus(wanted, counted))
        }
        // A runtime on this host is always looked at from its host.
        Requirement::HostAccess(wanted) => answered(
            format!("hostAccess: {wanted}"),
            Ok((*wanted, "the harness runs on the subject's host".into())),
        ),
        Requirement::RuntimeFeature(path) => {
            let said = world.client.bare("features", &[]).map_err(|error| crate::chain(&error));
            let said = said.map(|outcome| (outcome.code, outcome.stdout));
            answered(format!("runtime feature {path}"), runtime_feature(path, said))
        }
        Requirement::Filesystem(names) => {
            answered(format!("file system {}", names.join(", ")), filesystems(root, names))
        }
        Requirement::Path(paths) => answered(
            format!("path {}", paths.join(", ")),
            all_of(paths.iter().map(|path| there(root, path))),
        ),
        Requirement::BlockDevice(wanted) => {
            let answer = disk(root, &world.home.work).map(|found| match found {
                Some((major, minor)) => (*wanted, format!("the run's directory is on disk {major}:{minor}")),
                None => (
                    !*wanted,
                    "the run's directory is on no block device that can be throttled".to_owned(),
                ),
            });
            answered(format!("blockDevice: {wanted}"), answer)
        }
        Requirement::RealTime(wanted) => answered(format!("realTime: {wanted}"), real_time(root, *wanted)),
        // geteuid(2) cannot fail.
        Requirement::Root(wanted) => answered(
            format!("root: {wanted}"),
            Ok(match world.home.by_root {
                true => (*wanted, "the harness runs as root".into()),
                false => (!*wanted, "the harness runs as an ordinary user".into()),
            }),
        ),
        Requirement::Swap(wanted) => answered(
            format!("swap: {wanted}"),
            swaps(root).map(|count| {
                let seen = format!("/proc/swaps lists {count} swap areas");
                ((count > 0) == *wanted, seen)
            }),
        ),
        Requirement::Cluster(wanted) => answered(cluster_words(wanted), cluster(wanted, world)),
        Requirement::Scheduler(SchedulerFeature::Explain) => {
            let answer = match &world.cluster {
                None => Ok((false, "a runtime has no scheduler".into())),
                Some(cluster) => Ok(explains(cluster.extension.as_ref())),
            };
            answered("scheduler: explain".into(), answer)
        }
        Requirement::Any(all) => any_of(all.iter().map(|one| probe(one, world)).collect()),
    }
}

/// Whether it is seen only when a cluster is there.
pub(crate) fn is_of_cluster(requirement: &Requirement) -> bool {
    match requirement {
        Requirement::Cluster(_) | Requirement::Scheduler(_) => true,
        Requirement::Any(any) => any.iter().any(is_of_cluster),
        _ => false,
    }
}

fn cluster_words(wanted: &ClusterRequirement) -> String {
    let ClusterRequirement {
        nodes,
        dns,
        kubernetes,
        faults,
        families,
    } = wanted;
    let mut words: Vec<String> = nodes.iter().map(|nodes| format!("nodes {nodes}")).collect();
    words.extend(dns.map(|dns| format!("dns: {dns}")));
    words.extend(kubernetes.iter().map(|release| format!("kubernetes {release}")));
    words.extend(faults.map(|faults| format!("faults: {faults}")));
    if !families.is_empty() {
        words.push(format!("families: {}", family_words(families)));
    }
    format!("cluster {}", words.join(", "))
}

fn explains(extension: Option<&Value>) -> (bool, String) {
    match extension {
        Some(_) => (true, "the cluster serves /plimsoll/v1/explain".into()),
        None => (
            false,
            "the cluster serves no /plimsoll/v1: its scheduler tells no verdicts by node".into(),
        ),
    }
}

fn cluster(wanted: &ClusterRequirement, world: &World<'_>) -> Answer {
    let Some(cluster) = &world.cluster else {
        return Ok((false, "the subject is a runtime".into()));
    };
    let ask = |path: &str| cluster.client.list(path).map_err(|error| crate::chain(&error));
    let nodes = wanted
        .nodes
        .iter()
        .map(|matcher| takers(matcher, &ask("/api/v1/nodes")?));
    let dns = wanted.dns.iter().map(|wanted| resolver(*wanted, &ask(DNS)?));
    let release = wanted.kubernetes.iter().map(|wanted| {
        let version = cluster.client.get("/version").map_err(|error| crate::chain(&error))?;
        of_kubernetes(wanted, version["gitVersion"].as_str().unwrap_or_default())
    });
    let faults = wanted.faults.iter().map(|wanted| {
        Ok(match cluster.is_own() {
            true => (*wanted, "the cluster is the case's own".to_owned()),
            false => (!*wanted, "others use this cluster, too".to_owned()),
        })
    });
    let families = (!wanted.families.is_empty()).then(|| Ok(has_families(&wanted.families, &ask("/api/v1/nodes")?)));
    all_of(nodes.chain(dns).chain(release).chain(faults).chain(families))
}

fn family_words(families: &[Family]) -> String {
    let words: Vec<&str> = families.iter().map(|family| family.word()).collect();
    words.join(", ")
}

/// Whether each node has ranges of all these families for its pods.
fn has_families(wanted: &[Family], nodes: &[Value]) -> (bool, String) {
    let lacks = |node: &&Value| {
        let ranges = node["spec"]["podCIDRs"].as_array().into_iter().flatten();
        let addresses: Vec<IpAddr> = ranges
            .filter_map(|range| range.as_str()?.split('/').next()?.parse().ok())
            .collect();
        !wanted
            .iter()
            .all(|family| addresses.iter().any(|address| family.has(*address)))
    };
    match nodes.iter().find(lacks) {
        Some(node) => {
            let name = node["metadata"]["name"].as_str().unwrap_or_default();
            let why = format!("spec.podCIDRs of node {name} are {}", node["spec"]["podCIDRs"]);
            (false, why)
        }
        None => (
            !nodes.is_empty(),
            format!("{} nodes have pods of {}", nodes.len(), family_words(wanted)),
        ),
    }
}

/// Where the resolver of a cluster is a service.
const DNS: &str = "/api/v1/namespaces/kube-system/services?labelSelector=k8s-app%3Dkube-dns";

/// Nodes that are ready and take pods.
fn takers(wanted: &Matcher, nodes: &[Value]) -> Answer {
    let conditions = |node: &Value| node["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let ready = |node: &&Value| {
        conditions(node)
            .iter()
            .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    };
    let open = |node: &&Value| node["spec"]["unschedulable"] != true;
    let count = nodes.iter().filter(ready).filter(open).count();
    let seen = format!("{count} of {} nodes are ready and take pods", nodes.len());
    match holds(wanted, Some(&json!(count)), Unit::Plain) {
        Finding::Holds => Ok((true, seen)),
        Finding::Misses => Ok((false, seen)),
        Finding::Unfit(why) => Err(why),
    }
}

fn resolver(wanted: bool, services: &[Value]) -> Answer {
    Ok(match services {
        [] => (
            !wanted,
            "kube-system has no service with the label k8s-app=kube-dns".into(),
        ),
        [first, ..] => {
            let name = first["metadata"]["name"].as_str().unwrap_or_default();
            (wanted, format!("service {name} of kube-system resolves names"))
        }
    })
}

fn of_kubernetes(wanted: &str, version: &str) -> Answer {
    let release = Release::parse(wanted).ok_or_else(|| format!("`{wanted}` is not a release"))?;
    let number = version.trim_start_matches('v');
    let included = release.includes(number);
    let included = included.ok_or_else(|| format!("`{wanted}` and `{version}` cannot be compared"))?;
    Ok((included, format!("the cluster says {version}")))
}

/// The first that is not met or that nobody can tell; what was seen of all, if all are met.
fn all_of(answers: impl Iterator<Item = Answer>) -> Answer {
    let mut seen = Vec::new();
    for answer in answers {
        match answer? {
            (true, what) => seen.push(what),
            unmet => return Ok(unmet),
        }
    }
    Ok((true, seen.join("; ")))
}

/// One that is met is enough; one that nobody can tell might be.
fn any_of(probed: Vec<Probed>) -> Probed {
    let (mut requirements, mut unmet, mut unknown) = (Vec::new(), Vec::new(), None);
    for one in probed {
        match one {
            Probed::Met { .. } => return one,
            Probed::Unmet { requirement, seen } => {
                requirements.push(requirement);
                unmet.push(seen);
            }
            Probed::CannotTell { .. } => unknown = unknown.or(Some(one)),
        }
    }
    unknown.unwrap_or_else(|| Probed::Unmet {
        requirement: format!("any of {}", requirements.join(", ")),
        seen: unmet.join("; "),
    })
}

/// The text of a file below `root`, named in the error as on a host.
fn read(root: &Path, path: &str) -> Result<String, String> {
    let bytes = std::fs::read(root.join(path.trim_start_matches('/')));
    let bytes = bytes.map_err(|error| format!("failed to read `{path}`: {error}"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether a file is there; what cannot be looked at is not missing.
fn exists(root: &Path, path: &str) -> Result<bool, String> {
    match std::fs::metadata(root.join(path.trim_start_matches('/'))) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(format!("failed to look at `{path}`: {error}")),
    }
}

fn there(root: &Path, path: &str) -> Answer {
    let there = exists(root, path)?;
    let seen = if there { "is there" } else { "is not there" };
    Ok((there, format!("`{path}` {seen}")))
}

/// How many swap areas are in use.
fn swaps(root: &Path) -> Result<usize, String> {
    let text = read(root, "/proc/swaps")?;
    let mut lines = text.lines();
    match lines.next() {
        Some(head) if head.starts_with("Filename") => Ok(lines.count()),
        head => Err(format!("`/proc/swaps` begins with `{}`", head.unwrap_or_default())),
    }
}

fn filesystems(root: &Path, names: &[String]) -> Answer {
    let text = read(root, "/proc/filesystems")?;
    // `nodev`, or nothing, a tabulator and the name.
    let known: Option<Vec<&str>> = text
        .lines()
        .map(|line| line.split_once('\t').map(|(_, name)| name.trim()))
        .collect();
    let known = known.filter(|known| !known.is_empty());
    let known = known.ok_or("`/proc/filesystems` is no list of file systems")?;
    Ok(match names.iter().find(|name| !known.contains(&name.as_str())) {
        None => (true, format!("/proc/filesystems lists {}", names.join(", "))),
        Some(name) => (false, format!("/proc/filesystems does not list {name}")),
    })
}

fn real_time(root: &Path, wanted: bool) -> Answer {
    let text = read(root, "/proc/cpuinfo")?;
    if !text.lines().any(|line| line.starts_with("processor")) {
        return Err("`/proc/cpuinfo` shows no processor".into());
    }
    let model = text.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("", |rest| rest.trim_start_matches([' ', '\t', ':']));
    Ok(if model.contains("TCG") {
        let seen = format!("/proc/cpuinfo says `{model}`: this machine is emulated, its timings mean nothing");
        (!wanted, seen)
    } else {
        (
            wanted,
            format!("/proc/cpuinfo says `{model}`: clocks run at real speed"),
        )
    })
}

fn cpus(wanted: &Matcher, counted: std::io::Result<usize>) -> Answer {
    let count = counted.map_err(|error| format!("sched_getaffinity: {error}"))?;
    let seen = format!("{count} CPUs may be used");
    match holds(wanted, Some(&json!(count)), Unit::Plain) {
        Finding::Holds => Ok((true, seen)),
        Finding::Misses => Ok((false, seen)),
        Finding::Unfit(why) => Err(why),
    }
}

fn kernel(wanted: &str, release: &str) -> Answer {
    let met = Release::parse(wanted).and_then(|wanted| wanted.includes(release));
    let met = met.ok_or_else(|| format!("`{wanted}` and `{release}` cannot be compared"))?;
    Ok((met, format!("uname says Linux {release}")))
}

/// Why a namespace could not be made.
enum NotMade {
    /// The kernel does not have it, or does not let us.
    Refused(String),
    /// Something else was in the way.
    Failed(String),
}

/// Whether a namespace can be made; `make` makes one.
fn namespace(root: &Path, kind: NamespaceKind, make: &dyn Fn(UnshareFlags) -> Result<(), NotMade>) -> Answer {
    let file = format!("/proc/self/ns/{}", kind.proc_name());
    if !exists(root, &file)? {
        return Ok((false, format!("there is no {file}")));
    }
    let flag = match kind {
        NamespaceKind::Pid => UnshareFlags::NEWPID,
        NamespaceKind::Network => UnshareFlags::NEWNET,
        NamespaceKind::Mount => UnshareFlags::NEWNS,
        NamespaceKind::Ipc => UnshareFlags::NEWIPC,
        NamespaceKind::Uts => UnshareFlags::NEWUTS,
        NamespaceKind::User => UnshareFlags::NEWUSER,
        NamespaceKind::Cgroup => UnshareFlags::NEWCGROUP,
        // clone3(2) makes none of these.
        NamespaceKind::Time => return Ok((true, format!("there is {file}"))),
    };
    match make(flag) {
        Ok(()) => Ok((true, format!("clone3 made a {} namespace", kind.oci_name()))),
        Err(NotMade::Refused(why)) => Ok((false, format!("clone3 of a {} namespace: {why}", kind.oci_name()))),
        Err(NotMade::Failed(why)) => Err(format!("clone3 of a {} namespace: {why}", kind.oci_name())),
    }
}

/// Makes one, in a process that ends at once.
fn make(flag: UnshareFlags) -> Result<(), NotMade> {
    match fork(u64::from(flag.bits()), None) {
        // The child has nothing to do: it exists in the namespace, and that was the question.
        Ok(Forked::Child) => exit_now(0),
        Ok(Forked::Parent { pidfd, .. }) => {
            use rustix::process::{WaitId, WaitIdOptions, waitid};
            match waitid(WaitId::PidFd(std::os::fd::AsFd::as_fd(&pidfd)), WaitIdOptions::EXITED) {
                Ok(_) => Ok(()),
                Err(error) => Err(NotMade::Failed(format!("failed to wait for it: {error}"))),
            }
        }
        Err(error) => Err(refusal(&error)),
    }
}

/// No memory and no process number to spare say nothing about namespaces (clone(2), Errors).
fn refusal(error: &std::io::Error) -> NotMade {
    match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
        Some(rustix::io::Errno::AGAIN | rustix::io::Errno::NOMEM) => NotMade::Failed(error.to_string()),
        Some(_) | None => NotMade::Refused(error.to_string()),
    }
}

fn cgroup_words(wanted: &CgroupRequirement) -> String {
    let mut words = vec!["cgroup".to_owned()];
    words.extend(wanted.version.map(|version| format!("v{version}")));
    words.extend(wanted.controllers.iter().cloned());
    if wanted.swap_limit == Some(true) {
        words.push("with a swap limit".into());
    }
    words.join(" ")
}

fn cgroup(root: &Path, wanted: &CgroupRequirement, all: &[Mounted], none: Option<&str>, by_root: bool) -> Answer {
    if let Some(why) = none {
        return Ok((false, why.to_owned()));
    }
    let mut seen = Vec::new();
    for name in &wanted.controllers {
        if name == "devices" && !by_root {
            return Ok((false, "only root may limit devices".into()));
        }
        // Specs use the version 2 names.
        let names: &[&str] = match name.as_str() {
            "io" => &["io", "blkio"],
            other => &[other],
        };
        let in_kernel = matches!(name.as_str(), "freezer" | "devices");
        let here = all
            .iter()
            .find(|m| m.controllers.iter().any(|c| names.contains(&c.as_str())));
        let here = here.or_else(|| all.iter().find(|m| in_kernel && m.version == 2));
        match here {
            None => {
                let known: Vec<_> = all
                    .iter()
                    .flat_map(|m| m.controllers.iter().map(String::as_str))
                    .collect();
                return Ok((false, format!("controllers that can limit here: {}", known.join(", "))));
            }
            Some(m) if wanted.version.is_some_and(|v| v != m.version) => {
                return Ok((false, format!("`{name}` is on a version {} hierarchy", m.version)));
            }
            Some(m) => seen.push(format!("`{name}` is on version {} at {}", m.version, m.mount.display())),
        }
    }
    if wanted.controllers.is_empty()
        && let Some(version) = wanted.version
    {
        let holds = |m: &&Mounted| m.version == version && m.controllers.iter().any(|c| !c.starts_with("name="));
        match all.iter().find(holds) {
            None => return Ok((false, format!("no controller is on version {version}"))),
            Some(m) => seen.push(format!("version {version} is at {}", m.mount.display())),
        }
    }
    if wanted.swap_limit == Some(true) {
        let memory = all.iter().find(|m| m.controllers.iter().any(|c| c == "memory"));
        let mut accounted = false;
        for file in ["memory.memsw.limit_in_bytes", "plimsoll-guard/memory.swap.max"] {
            let path: Option<PathBuf> = memory.map(|m| m.mount.join(file));
            accounted |= path.map_or(Ok(false), |path| exists(root, &path.to_string_lossy()))?;
        }
        let count = swaps(root)?;
        if count > 0 && !accounted {
            return Ok((
                false,
                format!("/proc/swaps lists {count} swap areas, and swap is not accounted"),
            ));
        }
        let how = if accounted {
            "swap is accounted"
        } else {
            "/proc/swaps lists no swap area"
        };
        seen.push(how.to_owned());
    }
    Ok((true, seen.join("; ")))
}

fn capabilities(root: &Path, names: &[String]) -> Answer {
    let status = read(root, "/proc/self/status")?;
    let bits = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    let bits = bits.ok_or("`/proc/self/status` shows no effective capabilities")?;
    let seen = format!("/proc/self/status has CapEff {bits:#x}");
    for name in names {
        let prefixed = format!("CAP_{name}");
        let known = sys::capability::NAMES.iter().position(|c| *c == name || *c == prefixed);
        let bit = known.ok_or_else(|| format!("there is no capability `{name}`"))?;
        if bits & (1 << bit) == 0 {
            return Ok((false, format!("{seen}, without {name}")));
        }
    }
    Ok((true, seen))
}

/// What `features` said: its exit code and its output.
fn runtime_feature(path: &str, said: Result<(Option<i32>, String), String>) -> Answer {
    let (code, text) = said?;
    if code.ok_or("`features` did not end by itself")? != 0 {
        return Ok((false, "the runtime has no verb `features`".into()));
    }
    let features: Value = serde_json::from_str(&text).map_err(|error| format!("`features` says no JSON: {error}"))?;
    let found = features.pointer(&format!("/{}", path.replace('.', "/")));
    let there = match found {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Array(list)) => !list.is_empty(),
        Some(_) => true,
    };
    let shown = found.map_or("nothing".into(), ToString::to_string);
    Ok((there, format!("`features` says {shown}")))
}

/// Major and minor of the whole disk that carries a directory; `None` if it is on none.
fn disk(root: &Path, directory: &Path) -> Result<Option<(u32, u32)>, String> {
    let device = std::fs::metadata(directory)
        .map_err(|error| format!("failed to look at `{}`: {error}", directory.display()))?
        .dev();
    disk_of(root, rustix::fs::major(device), rustix::fs::minor(device))
}

fn disk_of(root: &Path, major: u32, minor: u32) -> Result<Option<(u32, u32)>, String> {
    let link = format!("/sys/dev/block/{major}:{minor}");
    if !exists(root, &link)? {
        return Ok(None);
    }
    let unreadable = |error: std::io::Error| format!("failed to follow `{link}`: {error}");
    let here = std::fs::canonicalize(root.join(link.trim_start_matches('/'))).map_err(unreadable)?;
    // Throttling is by whole disk; a partition's directory lies below its disk's.
    let is_part = here.join("partition").exists();
    let disk = if is_part { here.parent().unwrap_or(&here) } else { &here };
    let text = std::fs::read_to_string(disk.join("dev"))
        .map_err(|error| format!("failed to read `dev` of the disk behind `{link}`: {error}"))?;
    let numbers = text.trim().split_once(':');
    let numbers = numbers.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    numbers
        .map(Some)
        .ok_or_else(|| format!("`dev` of the disk behind `{link}` is `{}`", text.trim()))
}

/// Major and minor of the whole disk that carries a directory, if there is one.
pub(crate) fn block_device(directory: &Path) -> Option<(u32, u32)> {
    disk(Path::new("/"), directory).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root with these files; a name that ends with `/` is a folder, which cannot be read as a file.
    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name.trim_start_matches('/'));
            if name.ends_with('/') {
                std::fs::create_dir_all(path).unwrap();
            } else {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
        }
        root
    }

    fn words(of: &[&str]) -> Vec<String> {
        of.iter().map(|word| (*word).to_owned()).collect()
    }

    #[track_caller]
    fn met(answer: Answer, seen: &str) {
        assert_eq!(answer, Ok((true, seen.to_owned())));
    }

    #[track_caller]
    fn unmet(answer: Answer, seen: &str) {
        assert_eq!(answer, Ok((false, seen.to_owned())));
    }

    #[track_caller]
    fn unknown(answer: Answer, why: &str) {
        let told = answer.unwrap_err();
        assert!(told.contains(why), "{told}");
    }

    #[test]
    fn swap() {
        const HEAD: &str = "Filename\t\t\tType\t\tSize\tUsed\tPriority\n";
        let of = |text: &str| swaps(root(&[("/proc/swaps", text)]).path());
        assert_eq!(of(HEAD), Ok(0));
        assert_eq!(of(&format!("{HEAD}/dev/sda2 partition 1 0 -2\n")), Ok(1));
        assert_eq!(of("garbage"), Err("`/proc/swaps` begins with `garbage`".into()));
        assert!(of("").is_err());
        let folder = swaps(root(&[("/proc/swaps/", "")]).path()).unwrap_err();
        assert!(folder.starts_with("failed to read `/proc/swaps`: "), "{folder}");
        assert!(swaps(root(&[]).path()).is_err());
    }

    #[test]
    fn file_systems() {
        let of = |text: &str, names: &[&str]| filesystems(root(&[("/proc/filesystems", text)]).path(), &words(names));
        let known = "nodev\tsysfs\nnodev\toverlay\n\text4\n";
        met(of(known, &["overlay", "ext4"]), "/proc/filesystems lists overlay, ext4");
        unmet(of(known, &["overlay", "fuse"]), "/proc/filesystems does not list fuse");
        unknown(of("garbage", &["overlay"]), "`/proc/filesystems` is no list");
        unknown(of("", &["overlay"]), "`/proc/filesystems` is no list");
        unknown(
            filesystems(root(&[]).path(), &words(&["x"])),
            "failed to read `/proc/filesystems`",
        );
    }

    #[test]
    fn paths() {
        let root = root(&[("/dev/fuse", ""), ("/a", "")]);
        met(there(root.path(), "/dev/fuse"), "`/dev/fuse` is there");
        unmet(there(root.path(), "/dev/kvm"), "`/dev/kvm` is not there");
        unmet(there(root.path(), "/a/b"), "`/a/b` is not there");
        std::os::unix::fs::symlink("loop", root.path().join("loop")).unwrap();
        unknown(there(root.path(), "/loop"), "failed to look at `/loop`");
    }

    #[test]
    fn real_time_is_told_from_the_cpu() {
        let of = |text: &str, wanted| real_time(root(&[("/proc/cpuinfo", text)]).path(), wanted);
        let real = "processor\t: 0\nmodel name\t: Some CPU\n";
        let emulated = "processor\t: 0\nmodel name\t: QEMU TCG CPU version 2.5+\n";
        met(
            of(real, true),
            "/proc/cpuinfo says `Some CPU`: clocks run at real speed",
        );
        let seen = "/proc/cpuinfo says `QEMU TCG CPU version 2.5+`: this machine is emulated, its timings mean nothing";
        unmet(of(emulated, true), seen);
        met(of(emulated, false), seen);
        unknown(of("", true), "`/proc/cpuinfo` shows no processor");
        unknown(real_time(root(&[]).path(), true), "failed to read `/proc/cpuinfo`");
    }

    #[test]
    fn numbers_of_cpus() {
        let wanted: Matcher = serde_json::from_value(json!({"gte": 2})).unwrap();
        met(cpus(&wanted, Ok(2)), "2 CPUs may be used");
        unmet(cpus(&wanted, Ok(1)), "1 CPUs may be used");
        let error = std::io::Error::from(ErrorKind::PermissionDenied);
        unknown(cpus(&wanted, Err(error)), "sched_getaffinity: permission denied");
    }

    #[test]
    fn kernel_releases() {
        met(kernel(">=5.12", "6.18.1-amd64"), "uname says Linux 6.18.1-amd64");
        unmet(kernel("<5.12", "6.18.1-amd64"), "uname says Linux 6.18.1-amd64");
        unknown(kernel(">=5.12", "garbage"), "`>=5.12` and `garbage` cannot be compared");
    }

    #[test]
    fn namespaces() {
        let root = root(&[("/proc/self/ns/pid", ""), ("/proc/self/ns/time", "")]);
        let of = |kind, make: &dyn Fn(UnshareFlags) -> Result<(), NotMade>| namespace(root.path(), kind, make);
        let errno = |errno: rustix::io::Errno| move |_| Err(refusal(&errno.into()));
        met(of(NamespaceKind::Pid, &|_| Ok(())), "clone3 made a pid namespace");
        let perm = rustix::io::Errno::PERM;
        unmet(
            of(NamespaceKind::Pid, &errno(perm)),
            &format!("clone3 of a pid namespace: {}", std::io::Error::from(perm)),
        );
        unknown(
            of(NamespaceKind::Pid, &errno(rustix::io::Errno::AGAIN)),
            "clone3 of a pid namespace",
        );
        unmet(of(NamespaceKind::User, &|_| Ok(())), "there is no /proc/self/ns/user");
        met(of(NamespaceKind::Time, &errno(perm)), "there is /proc/self/ns/time");
        std::os::unix::fs::symlink("ipc", root.path().join("proc/self/ns/ipc")).unwrap();
        unknown(
            of(NamespaceKind::Ipc, &|_| Ok(())),
            "failed to look at `/proc/self/ns/ipc`",
        );
    }

    #[test]
    fn capabilities_of_the_harness() {
        let of = |text: &str, names: &[&str]| capabilities(root(&[("/proc/self/status", text)]).path(), &words(names));
        met(
            of("CapEff:\t3\n", &["CAP_CHOWN", "DAC_OVERRIDE"]),
            "/proc/self/status has CapEff 0x3",
        );
        unmet(
            of("CapEff:\t1\n", &["CAP_DAC_OVERRIDE"]),
            "/proc/self/status has CapEff 0x1, without CAP_DAC_OVERRIDE",
        );
        unknown(
            of("CapEff:\tgarbage\n", &["CAP_CHOWN"]),
            "`/proc/self/status` shows no effective capabilities",
        );
        unknown(of("CapEff:\t1\n", &["CAP_X"]), "there is no capability `CAP_X`");
        unknown(
            capabilities(root(&[]).path(), &words(&["CAP_CHOWN"])),
            "failed to read `/proc/self/status`",
        );
    }

    #[test]
    fn features_of_a_runtime() {
        let said = |text: &str| Ok((Some(0), text.to_owned()));
        let known = r#"{"linux": {"cgroup": {"v2": true, "rdma": false}, "namespaces": []}}"#;
        met(runtime_feature("linux.cgroup.v2", said(known)), "`features` says true");
        unmet(
            runtime_feature("linux.cgroup.rdma", said(known)),
            "`features` says false",
        );
        unmet(runtime_feature("linux.namespaces", said(known)), "`features` says []");
        unmet(runtime_feature("linux.seccomp", said(known)), "`features` says nothing");
        unmet(
            runtime_feature("linux", Ok((Some(1), String::new()))),
            "the runtime has no verb `features`",
        );
        unknown(runtime_feature("linux", said("garbage")), "`features` says no JSON");
        unknown(runtime_feature("linux", Err("no such file".into())), "no such file");
        unknown(
            runtime_feature("linux", Ok((None, String::new()))),
            "did not end by itself",
        );
    }

    #[test]
    fn disks() {
        let root = root(&[
            ("/sys/devices/sda/dev", "8:0\n"),
            ("/sys/devices/sda/sda1/partition", "1\n"),
            ("/sys/devices/sdb/dev", "garbage\n"),
            ("/sys/devices/sdc/", ""),
            ("/sys/dev/block/", ""),
        ]);
        for (number, target) in [("8:1", "sda/sda1"), ("8:16", "sdb"), ("8:32", "sdc")] {
            let link = root.path().join("sys/dev/block").join(number);
            std::os::unix::fs::symlink(format!("../../devices/{target}"), link).unwrap();
        }
        assert_eq!(disk_of(root.path(), 8, 1), Ok(Some((8, 0))));
        assert_eq!(disk_of(root.path(), 0, 40), Ok(None));
        let garbage = disk_of(root.path(), 8, 16).unwrap_err();
        assert_eq!(garbage, "`dev` of the disk behind `/sys/dev/block/8:16` is `garbage`");
        let missing = disk_of(root.path(), 8, 32).unwrap_err();
        assert!(
            missing.starts_with("failed to read `dev` of the disk behind"),
            "{missing}"
        );
    }

    #[test]
    fn control_groups() {
        let all = [
            Mounted {
                mount: "/sys/fs/cgroup/memory".into(),
                version: 1,
                controllers: words(&["memory"]),
            },
            Mounted {
                mount: "/sys/fs/cgroup/unified".into(),
                version: 2,
                controllers: words(&["hugetlb"]),
            },
        ];
        let wanted = |version, controllers: &[&str], swap| CgroupRequirement {
            version,
            controllers: words(controllers),
            swap_limit: swap,
        };
        let empty = root(&[]);
        let of = |wanted: &CgroupRequirement| cgroup(empty.path(), wanted, &all, None, true);
        met(
            of(&wanted(Some(1), &["memory"], None)),
            "`memory` is on version 1 at /sys/fs/cgroup/memory",
        );
        met(
            of(&wanted(Some(2), &[], None)),
            "version 2 is at /sys/fs/cgroup/unified",
        );
        unmet(
            of(&wanted(Some(2), &["memory"], None)),
            "`memory` is on a version 1 hierarchy",
        );
        unmet(
            of(&wanted(None, &["cpu"], None)),
            "controllers that can limit here: memory, hugetlb",
        );
        unmet(
            cgroup(
                empty.path(),
                &wanted(None, &["memory"], None),
                &all,
                Some("no subtree is delegated"),
                true,
            ),
            "no subtree is delegated",
        );
        let limit = wanted(None, &["memory"], Some(true));
        unknown(of(&limit), "failed to read `/proc/swaps`");
        let head = "Filename Type Size Used Priority\n";
        let swap = format!("{head}/swap file 1 0 -2\n");
        let with = |files: &[(&str, &str)]| cgroup(root(files).path(), &limit, &all, None, true);
        met(
            with(&[("/proc/swaps", head)]),
            "`memory` is on version 1 at /sys/fs/cgroup/memory; /proc/swaps lists no swap area",
        );
        unmet(
            with(&[("/proc/swaps", &swap)]),
            "/proc/swaps lists 1 swap areas, and swap is not accounted",
        );
        met(
            with(&[
                ("/proc/swaps", &swap),
                ("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", "1"),
            ]),
            "`memory` is on version 1 at /sys/fs/cgroup/memory; swap is accounted",
        );
    }

    #[test]
    fn nodes_that_take_pods() {
        let node = |ready: &str, cordoned: bool| json!({"spec": {"unschedulable": cordoned}, "status": {"conditions": [{"type": "Ready", "status": ready}]}});
        let nodes = [node("True", false), node("True", true), node("Unknown", false)];
        met(takers(&Matcher::eq(1), &nodes), "1 of 3 nodes are ready and take pods");
        unmet(takers(&Matcher::eq(2), &nodes), "1 of 3 nodes are ready and take pods");
        unknown(takers(&Matcher(vec![spec::Op::Gt("tall".into())]), &nodes), "tall");
    }

    #[test]
    fn releases_of_kubernetes() {
        met(of_kubernetes(">=1.30", "v1.33.2+k3s1"), "the cluster says v1.33.2+k3s1");
        unmet(of_kubernetes("<1.30", "v1.33.2"), "the cluster says v1.33.2");
        unknown(of_kubernetes(">=1.30", "garbage"), "cannot be compared");
    }

    #[test]
    fn families_of_nodes() {
        let node = |ranges: Value| json!({"metadata": {"name": "a"}, "spec": {"podCIDRs": ranges}});
        let both = node(json!(["10.244.0.0/24", "fd00:10:244::/64"]));
        met(
            Ok(has_families(&Family::ALL, std::slice::from_ref(&both))),
            "1 nodes have pods of IPv4, IPv6",
        );
        unmet(
            Ok(has_families(&Family::ALL, &[both, node(json!(["10.244.1.0/24"]))])),
            "spec.podCIDRs of node a are [\"10.244.1.0/24\"]",
        );
        assert!(!has_families(&Family::ALL, &[]).0);
    }

    #[test]
    fn resolvers_and_explanations() {
        let service = json!({"metadata": {"name": "kube-dns"}});
        met(
            resolver(true, &[service]),
            "service kube-dns of kube-system resolves names",
        );
        unmet(
            resolver(true, &[]),
            "kube-system has no service with the label k8s-app=kube-dns",
        );
        assert!(explains(Some(&json!({}))).0 && !explains(None).0);
    }

    #[test]
    fn any_of_several() {
        let one = |answer: Answer| answered("r".into(), answer);
        let no = || one(Ok((false, "no".into())));
        let yes = || one(Ok((true, "yes".into())));
        let who_knows = || one(Err("broken".into()));
        assert_eq!(any_of(vec![no(), who_knows(), yes()]), yes());
        assert_eq!(any_of(vec![no(), who_knows()]), who_knows());
        let Probed::Unmet { requirement, seen } = any_of(vec![no(), no()]) else {
            panic!("must be unmet");
        };
        assert_eq!((requirement.as_str(), seen.as_str()), ("any of r, r", "no; no"));
    }

    #[test]
    fn all_of_several() {
        let no = || Ok((false, "no".to_owned()));
        let yes = || Ok((true, "yes".to_owned()));
        assert_eq!(all_of([yes(), yes()].into_iter()), Ok((true, "yes; yes".into())));
        assert_eq!(all_of([yes(), no()].into_iter()), no());
        assert_eq!(
            all_of([yes(), Err("broken".to_owned()), no()].into_iter()),
            Err("broken".into())
        );
    }
}
