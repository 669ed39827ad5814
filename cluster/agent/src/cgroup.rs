//! Control groups of a node: the capacity it claims, and below it pods by quality of service.
//!
//! `NODE/kubepods/[burstable|besteffort/]podUID/CONTAINER`, the same path in each hierarchy. The container's own group is
//! the runtime's to make; those above it are made here, where a limit is set in them.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use sys::hierarchy::{Hierarchy, ROOT, hierarchies};

/// Why a group is not as it should be.
#[derive(Debug, thiserror::Error)]
#[error("failed to {act} `{}`", path.display())]
pub struct CgroupError {
    act: &'static str,
    path: PathBuf,
    source: io::Error,
}

fn failed(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CgroupError {
    let path = path.to_path_buf();
    move |source| CgroupError { act, path, source }
}

/// What a group may use; `None` sets nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Millicores of CPU time.
    pub(crate) cpu: Option<u64>,
    /// Weight against neighbours, as `cpu.shares` has it: 1024 is one CPU.
    pub(crate) shares: Option<u64>,
    /// Bytes.
    pub(crate) memory: Option<u64>,
    /// Tasks.
    pub(crate) pids: Option<u64>,
}

/// A subtree of every hierarchy.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    hierarchies: Vec<Hierarchy>,
    base: PathBuf,
}

/// `cpu.weight` of version 2 for `cpu.shares` of version 1, as runtimes convert them.
pub(crate) fn weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

impl Tree {
    /// `base` below the mount of each hierarchy. Makes nothing.
    pub(crate) fn at(base: &Path) -> Result<Self, CgroupError> {
        let path = Path::new("/proc/self/mountinfo");
        let mut all = hierarchies(&std::fs::read_to_string(path).map_err(failed("read", path))?);
        let base: PathBuf = base.components().skip_while(|c| c.as_os_str() == "/").collect();
        for hierarchy in all.iter_mut().filter(|one| one.version == 2) {
            let path = hierarchy.mount.join("cgroup.controllers");
            let text = std::fs::read_to_string(&path).map_err(failed("read", &path))?;
            hierarchy.controllers = text.split_whitespace().map(String::from).collect();
        }
        Ok(Self { hierarchies: all, base })
    }

    /// A path for `linux.cgroupsPath`.
    pub(crate) fn runtime_path(&self, relative: &Path) -> String {
        format!("/{}", self.base.join(relative).display())
    }

    fn directory(&self, hierarchy: &Hierarchy, relative: &Path) -> PathBuf {
        hierarchy.mount.join(&self.base).join(relative)
    }

    /// Makes a group and those above it and sets its limits. In hierarchies that have none of the controllers it is made
    /// only if `everywhere`: the runtime makes the others.
    pub(crate) fn make(&self, relative: &Path, limits: Limits, everywhere: bool) -> Result<(), CgroupError> {
        for hierarchy in &self.hierarchies {
            let has = |name: &str| hierarchy.controllers.iter().any(|one| one == name);
            if !(everywhere || hierarchy.version == 2 || ["cpu", "memory", "pids"].into_iter().any(has)) {
                continue;
            }
            let directory = self.directory(hierarchy, relative);
            make_handing_on(hierarchy, &self.directory(hierarchy, Path::new("")), relative)?;
            let put = |file: &str, value: String| {
                let path = directory.join(file);
                std::fs::write(&path, value).map_err(failed("write", &path))
            };
            if has("cpu") {
                match (limits.cpu, hierarchy.version) {
                    (Some(milli), 1) => put("cpu.cfs_quota_us", (milli * 100).max(1000).to_string())?,
                    (Some(milli), _) => put("cpu.max", format!("{} 100000", (milli * 100).max(1000)))?,
                    (None, _) => {}
                }
                match (limits.shares, hierarchy.version) {
                    (Some(shares), 1) => put("cpu.shares", shares.max(2).to_string())?,
                    (Some(shares), _) => put("cpu.weight", weight(shares).to_string())?,
                    (None, _) => {}
                }
            }
            if let (true, Some(bytes)) = (has("memory"), limits.memory) {
                let file = if hierarchy.version == 1 {
                    "memory.limit_in_bytes"
                } else {
                    "memory.max"
                };
                put(file, bytes.to_string())?;
            }
            if let (true, Some(tasks)) = (has("pids"), limits.pids) {
                put("pids.max", tasks.to_string())?;
            }
        }
        Ok(())
    }

    /// Whether version 2 limits swap here by itself.
    pub(crate) fn limits_swap(&self) -> bool {
        let mut second = self.hierarchies.iter().filter(|one| one.version == 2);
        second.any(|one| self.directory(one, Path::new("kubepods/memory.swap.max")).exists())
    }

    /// How often the kernel killed for want of memory in a group; 0 where the group is gone.
    pub(crate) fn oom_kills(&self, relative: &Path) -> u64 {
        let holder = self
            .hierarchies
            .iter()
            .find(|h| h.controllers.iter().any(|c| c == "memory"));
        let Some(hierarchy) = holder else { return 0 };
        let file = if hierarchy.version == 1 {
            "memory.oom_control"
        } else {
            "memory.events"
        };
        let text = std::fs::read_to_string(self.directory(hierarchy, relative).join(file)).unwrap_or_default();
        text.lines()
            .find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
            .unwrap_or(0)
    }

    /// Freezes or thaws everything in a group.
    pub(crate) fn freeze(&self, relative: &Path, frozen: bool) -> Result<(), CgroupError> {
        for hierarchy in &self.hierarchies {
            let directory = self.directory(hierarchy, relative);
            let old = hierarchy.controllers.iter().any(|c| c == "freezer");
            let (file, value) = match (hierarchy.version, frozen) {
                (1, true) if old => ("freezer.state", "FROZEN"),
                (1, false) if old => ("freezer.state", "THAWED"),
                (2, true) => ("cgroup.freeze", "1"),
                (2, false) => ("cgroup.freeze", "0"),
                _ => continue,
            };
            let path = directory.join(file);
            match std::fs::write(&path, value) {
                // On a hybrid host version 2 may not have the group.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other.map_err(failed("write", &path))?,
            }
        }
        Ok(())
    }

    /// Kills all that is in a group and below it, once.
    pub(crate) fn kill(&self, relative: &Path) {
        for hierarchy in &self.hierarchies {
            kill_all(&self.directory(hierarchy, relative));
        }
    }

    /// Removes a group and those below it, and what is in them. Answers what is left.
    pub(crate) fn remove(&self, relative: &Path, within: Duration) -> Vec<String> {
        let end = Instant::now() + within;
        let mut left = Vec::new();
        for hierarchy in &self.hierarchies {
            let directory = self.directory(hierarchy, relative);
            while let Err(error) = prune(&directory) {
                if Instant::now() >= end {
                    left.push(format!("{}: {error}", directory.display()));
                    break;
                }
                kill_all(&directory);
                std::thread::park_timeout(Duration::from_millis(2));
            }
        }
        left
    }

    /// Whether there is anything to set limits in.
    pub(crate) fn is_there(&self) -> bool {
        !self.hierarchies.is_empty()
    }
}

/// Makes each directory of the way; in version 2 each hands its controllers on, in version 1's `cpuset` it takes over the
/// CPUs of the one above.
fn make_handing_on(hierarchy: &Hierarchy, base: &Path, relative: &Path) -> Result<(), CgroupError> {
    let mut above = base.to_path_buf();
    if let (Some(parent), false) = (base.parent(), base.exists()) {
        let name: PathBuf = base.strip_prefix(&hierarchy.mount).unwrap_or(base).to_path_buf();
        if parent.starts_with(ROOT) && name.as_os_str() != "" {
            make_handing_on(hierarchy, &hierarchy.mount, &name)?;
        }
    }
    for part in relative {
        let directory = above.join(part);
        if !directory.exists() {
            if hierarchy.version == 2 {
                hand_on(&above, &hierarchy.controllers)?;
            }
            match std::fs::create_dir(&directory) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                other => other.map_err(failed("make", &directory))?,
            }
            if hierarchy.version == 1 && hierarchy.controllers.iter().any(|c| c == "cpuset") {
                for file in ["cpuset.cpus", "cpuset.mems"] {
                    let (from, to) = (above.join(file), directory.join(file));
                    let value = std::fs::read_to_string(&from).map_err(failed("read", &from))?;
                    std::fs::write(&to, value.trim()).map_err(failed("write", &to))?;
                }
            }
        }
        above = directory;
    }
    Ok(())
}

fn hand_on(directory: &Path, controllers: &[String]) -> Result<(), CgroupError> {
    let file = directory.join("cgroup.subtree_control");
    let has = std::fs::read_to_string(&file).map_err(failed("read", &file))?;
    for one in controllers.iter().filter(|c| !has.split_whitespace().any(|h| h == *c)) {
        // One that is not delegated does not keep back the others.
        let _left_out = std::fs::write(&file, format!("+{one}")).is_err();
    }
    Ok(())
}

fn children(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
        .map(|e| e.path())
        .collect()
}

fn kill_all(directory: &Path) {
    let _not_there = std::fs::write(directory.join("cgroup.kill"), "1").is_err();
    let pids = std::fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    for pid in pids.lines().filter_map(|l| l.parse().ok()).filter_map(Pid::from_raw) {
        if let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) {
            let _gone = pidfd_send_signal(fd, Signal::KILL).is_err();
        }
    }
    // On version 1 what is frozen dies when it is thawed.
    let state = directory.join("freezer.state");
    if state.exists() {
        let _gone = std::fs::write(state, "THAWED").is_err();
    }
    children(directory).iter().for_each(|child| kill_all(child));
}

fn prune(directory: &Path) -> io::Result<()> {
    for child in children(directory) {
        prune(&child)?;
    }
    match std::fs::remove_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_those_that_runtimes_compute() {
        assert_eq!((weight(2), weight(1024), weight(262_144)), (1, 39, 10_000));
    }

    #[test]
    fn a_group_has_its_limits_and_goes_with_all_below() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: control groups need root");
            return;
        }
        let base = PathBuf::from(format!("/plimsoll-agent-test-{}", std::process::id()));
        let tree = Tree::at(&base).unwrap();
        let limits = Limits {
            cpu: Some(500),
            shares: Some(512),
            memory: Some(64 << 20),
            pids: Some(20),
        };
        let pod = Path::new("kubepods/burstable/pod1");
        tree.make(pod, limits, false).unwrap();
        let read = |controller: &str, v1: &str, v2: &str| {
            let hierarchy = tree
                .hierarchies
                .iter()
                .find(|h| h.controllers.iter().any(|c| c == controller))
                .unwrap();
            let file = if hierarchy.version == 1 { v1 } else { v2 };
            std::fs::read_to_string(tree.directory(hierarchy, pod).join(file)).unwrap()
        };
        assert_eq!(read("memory", "memory.limit_in_bytes", "memory.max").trim(), "67108864");
        assert_eq!(read("pids", "pids.max", "pids.max").trim(), "20");
        assert!(["50000\n", "50000 100000\n"].contains(&read("cpu", "cpu.cfs_quota_us", "cpu.max").as_str()));
        assert_eq!(tree.oom_kills(pod), 0);
        assert_eq!(tree.remove(Path::new(""), Duration::from_secs(2)), Vec::<String>::new());
        assert!(!tree.hierarchies.iter().any(|h| tree.directory(h, pod).exists()));
    }
}
