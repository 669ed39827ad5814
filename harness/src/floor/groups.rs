//! A control group in every hierarchy, made and limited as a runtime would.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Error, act};
use crate::wait;

/// The limits that it gets where there is a controller for them: as many as a container has, and so wide that they hold nothing
/// up.
const LIMITS: [(&str, &str); 7] = [
    ("memory.limit_in_bytes", "67108864"),
    ("cpu.shares", "512"),
    ("cpu.cfs_quota_us", "6400000"),
    ("pids.max", "64"),
    ("memory.max", "67108864"),
    ("cpu.weight", "20"),
    ("cpu.max", "6400000 100000"),
];

/// How long an empty group may stay busy: its last process may still be on its way out.
const BUSY: Duration = Duration::from_secs(5);

/// A group of one name in every hierarchy.
#[derive(Debug)]
pub struct Groups {
    directories: Vec<PathBuf>,
    /// Of version 1: where a process puts itself.
    pub(super) tasks: Vec<CString>,
    /// Of version 2: where one is cloned into.
    unified: Option<File>,
}

impl Groups {
    /// Makes the group `name` in these mounted hierarchies.
    ///
    /// # Errors
    /// What could not be made or written.
    pub fn make(hierarchies: &[PathBuf], name: &str) -> Result<Self, Error> {
        let mut groups = Self {
            directories: Vec::new(),
            tasks: Vec::new(),
            unified: None,
        };
        for hierarchy in hierarchies {
            let group = hierarchy.join(name.trim_start_matches('/'));
            fs_err::create_dir_all(&group).map_err(act("make a control group"))?;
            seed_cpuset(hierarchy, &group)?;
            for (file, limit) in LIMITS {
                let file = group.join(file);
                if file.exists() {
                    fs_err::write(file, limit).map_err(act("limit a control group"))?;
                }
            }
            let tasks = group.join("tasks");
            if tasks.exists() {
                groups.tasks.push(super::string(tasks.as_os_str().as_bytes())?);
            } else {
                let directory = fs_err::File::open(&group).map_err(act("open a control group"))?;
                groups.unified = Some(directory.into_parts().0);
            }
            groups.directories.push(group);
        }
        Ok(groups)
    }

    /// The group of version 2, for `CLONE_INTO_CGROUP`.
    pub(super) fn unified(&self) -> Option<BorrowedFd<'_>> {
        self.unified.as_ref().map(AsFd::as_fd)
    }

    /// Removes them as soon as nothing is in them any more.
    ///
    /// # Errors
    /// The one that stays.
    pub fn remove(&self) -> Result<(), Error> {
        for directory in &self.directories {
            let gone = || match std::fs::remove_dir(directory) {
                Err(error) if directory.exists() => Err(error),
                _ => Ok(()),
            };
            if let wait::Waited::TimedOut { last, .. } = wait::until(BUSY, Duration::from_micros(200), gone) {
                return Err(act("remove a control group")(last));
            }
        }
        Ok(())
    }
}

/// A new group of version 1 has no processors and no memory, and takes nobody: it gets what the groups above it have.
fn seed_cpuset(hierarchy: &Path, group: &Path) -> Result<(), Error> {
    let below: Vec<&Path> = group.ancestors().take_while(|path| *path != hierarchy).collect();
    for path in below.into_iter().rev() {
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let (Some(above), own) = (path.parent().map(|above| above.join(file)), path.join(file)) else {
                continue;
            };
            if path.join("tasks").exists() && own.exists() && above.exists() {
                let given = fs_err::read_to_string(above).map_err(act("read a cpuset"))?;
                fs_err::write(own, given.trim()).map_err(act("seed a cpuset"))?;
            }
        }
    }
    Ok(())
}
