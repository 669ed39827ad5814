//! The control group that all nodes are in.

use std::io;
use std::path::{Path, PathBuf};

use sys::hierarchy::hierarchies;

/// Below the root of each hierarchy.
pub(crate) const GROUP: &str = "cluster";

/// What went wrong with a group.
#[derive(Debug, thiserror::Error)]
#[error("failed to {act} `{path}`", path = path.display())]
pub struct CgroupError {
    act: &'static str,
    path: PathBuf,
    source: io::Error,
}

fn failed(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CgroupError {
    let path = path.to_owned();
    move |source| CgroupError { act, path, source }
}

/// Makes [`GROUP`] in every hierarchy that is mounted, such that processes may be put below it. Answers how many there are.
pub(crate) fn make() -> Result<usize, CgroupError> {
    let table = Path::new("/proc/self/mountinfo");
    let all = hierarchies(&std::fs::read_to_string(table).map_err(failed("read", table))?);
    for hierarchy in &all {
        let group = hierarchy.mount.join(GROUP);
        match std::fs::create_dir(&group) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed("make", &group)(error)),
            _ => {}
        }
        // Of version 1 a group begins with no CPU and no memory at all (`cpusets.rst`).
        if hierarchy.version == 1 && hierarchy.controllers.iter().any(|one| one == "cpuset") {
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let above = hierarchy.mount.join(file);
                let value = std::fs::read_to_string(&above).map_err(failed("read", &above))?;
                let path = group.join(file);
                std::fs::write(&path, value.trim()).map_err(failed("write", &path))?;
            }
        }
    }
    Ok(all.len())
}
