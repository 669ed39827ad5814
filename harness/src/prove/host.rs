//! What of the host must be after a proof as it was before: broken runtimes were at work.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sha2::{Digest, Sha256};

/// Files below `/etc` larger than this are known by size and times only.
const HASHED: u64 = 1 << 20;

/// Parameters that the kernel itself changes.
const VOLATILE: [&str; 9] = [
    "fs/dentry-state",
    "fs/file-nr",
    "fs/inode-nr",
    "fs/inode-state",
    "fs/aio-nr",
    "fs/quota/",
    "kernel/random/",
    "kernel/ns_last_pid",
    "kernel/pty/nr",
];

/// The host at one moment: one line for each thing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    things: BTreeMap<String, String>,
}

impl Snapshot {
    /// Takes it. What cannot be read is left out, both times.
    pub fn take() -> Self {
        let mut snapshot = Self::default();
        snapshot.mounts();
        snapshot.cgroups();
        snapshot.links();
        snapshot.sysctls(Path::new("/proc/sys"), Path::new(""));
        snapshot.tree("etc", Path::new("/etc"));
        snapshot.entries("/");
        snapshot.entries("/dev");
        for (what, value) in [
            ("host name", std::fs::read_to_string("/proc/sys/kernel/hostname")),
            (
                "interrupt affinity",
                std::fs::read_to_string("/proc/irq/default_smp_affinity"),
            ),
            (
                "root",
                std::fs::read_link("/proc/self/root").map(|p| p.display().to_string()),
            ),
        ] {
            snapshot.put(what.to_owned(), value.unwrap_or_default());
        }
        snapshot
    }

    /// What is different in a later one, a line each.
    pub fn differences(&self, later: &Self) -> Vec<String> {
        let mut told = Vec::new();
        for (thing, was) in &self.things {
            match later.things.get(thing) {
                Some(is) if is == was => {}
                Some(is) => told.push(format!("{thing} was `{was}` and is `{is}`")),
                None => told.push(format!("{thing} is gone")),
            }
        }
        let new = later.things.keys().filter(|thing| !self.things.contains_key(*thing));
        told.extend(new.map(|thing| format!("{thing} is new")));
        told
    }

    fn put(&mut self, thing: String, value: impl Into<String>) {
        self.things.insert(thing, value.into());
    }

    /// Without the ids, which depend on the order of mounting.
    fn mounts(&mut self) {
        let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for line in table.lines() {
            let words: Vec<&str> = line.split(' ').skip(2).collect();
            let Some(point) = words.get(2) else { continue };
            let nth = seen.entry((*point).to_owned()).or_default();
            *nth += 1;
            self.things.insert(format!("mount {point} #{nth}"), words.join(" "));
        }
    }

    /// Directories of control groups, but for those of runs.
    fn cgroups(&mut self) {
        fn walk(snapshot: &mut Snapshot, dir: &Path, depth: u8) {
            let Ok(entries) = std::fs::read_dir(dir) else { return };
            for entry in entries.flatten() {
                let name = entry.file_name();
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !name.to_string_lossy().starts_with("plimsoll-")
                {
                    let path = entry.path();
                    snapshot.put(format!("cgroup {}", path.display()), "");
                    if depth > 0 {
                        walk(snapshot, &path, depth - 1);
                    }
                }
            }
        }
        // Deeper down services come and go.
        walk(self, Path::new("/sys/fs/cgroup"), 1);
    }

    fn links(&mut self) {
        let Ok(entries) = std::fs::read_dir("/sys/class/net") else {
            return;
        };
        for entry in entries.flatten() {
            let read = |file| std::fs::read_to_string(entry.path().join(file)).unwrap_or_default();
            let value = format!("{} {}", read("address").trim(), read("flags").trim());
            self.put(format!("link {}", entry.file_name().to_string_lossy()), value);
        }
    }

    fn sysctls(&mut self, root: &Path, below: &Path) {
        let Ok(entries) = std::fs::read_dir(root.join(below)) else {
            return;
        };
        for entry in entries.flatten() {
            let name = below.join(entry.file_name());
            let shown = name.display().to_string();
            if VOLATILE.iter().any(|volatile| shown.starts_with(volatile)) {
                continue;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.sysctls(root, &name),
                Ok(kind) if kind.is_file() => {
                    let readable = entry.metadata().is_ok_and(|m| m.mode() & 0o444 != 0);
                    if let (true, Ok(text)) = (readable, std::fs::read(entry.path())) {
                        self.put(format!("sysctl {shown}"), String::from_utf8_lossy(&text).trim());
                    }
                }
                _ => {}
            }
        }
    }

    fn tree(&mut self, what: &str, dir: &Path) {
        let Ok(entries) = std::fs::read_dir(dir) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(metadata) = path.symlink_metadata() else {
                continue;
            };
            let mut value = format!("{:o} {}:{}", metadata.mode(), metadata.uid(), metadata.gid());
            if metadata.is_file() && metadata.len() <= HASHED {
                let bytes = std::fs::read(&path).unwrap_or_default();
                let digest = Sha256::digest(&bytes);
                value.extend(digest.iter().take(8).map(|byte| format!("{byte:02x}")));
            } else if metadata.is_file() {
                value.push_str(&format!(" {} {}", metadata.len(), metadata.mtime()));
            } else if metadata.is_symlink() {
                let target = std::fs::read_link(&path).unwrap_or_default();
                value.push_str(&format!(" to {}", target.display()));
            }
            self.put(format!("{what} {}", path.display()), value);
            if metadata.is_dir() {
                self.tree(what, &path);
            }
        }
    }

    /// What stands in a directory, and whose it is.
    fn entries(&mut self, dir: &str) {
        let Ok(entries) = std::fs::read_dir(dir) else { return };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.path().symlink_metadata() else {
                continue;
            };
            let value = format!(
                "{:o} {}:{} device {}",
                metadata.mode(),
                metadata.uid(),
                metadata.gid(),
                metadata.rdev()
            );
            self.put(format!("entry {}", entry.path().display()), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(things: &[(&str, &str)]) -> Snapshot {
        Snapshot {
            things: things.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
        }
    }

    #[test]
    fn what_changed_vanished_or_appeared_is_told() {
        let before = snapshot(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let after = snapshot(&[("a", "1"), ("b", "9"), ("d", "4")]);
        assert_eq!(
            before.differences(&after),
            ["b was `2` and is `9`", "c is gone", "d is new"]
        );
        assert_eq!(before.differences(&before), [] as [&str; 0]);
    }

    #[test]
    fn a_snapshot_sees_what_it_is_meant_to_see() {
        let snapshot = Snapshot::take();
        for wanted in [
            "mount / #1",
            "sysctl kernel/hostname",
            "etc /etc/passwd",
            "entry /dev/null",
            "entry /etc",
        ] {
            assert!(snapshot.things.contains_key(wanted), "{wanted}");
        }
    }
}
