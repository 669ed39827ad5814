//! Removing a container's cgroup.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::processes::{children_if_there, pause_for, wait_for_event};
use super::{Cgroup, Error};

impl Cgroup {
    /// Removes the cgroup in every hierarchy: what the container made below it, then itself, then the directories above
    /// that were made for it and hold nothing else. A cgroup that is gone already is no error.
    ///
    /// Processes must have been killed before; their going is waited for until `limit`.
    ///
    /// # Errors
    /// [`Error::Remove`] with `EBUSY` as the cause if processes are still there then.
    pub fn destroy(&self, limit: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + limit;
        // The unified hierarchy tells when the last one goes, and all hierarchies lose a process at the same time.
        for member in self.unified.iter().chain(&self.v1) {
            match remove(&member.path) {
                Ok(()) => {}
                Err((_, Errno::BUSY)) => {
                    wait_for_event(&member.path, "populated", 0, deadline)?;
                    remove_until(&member.path, deadline)?;
                }
                Err((path, errno)) => {
                    return Err(Error::Remove {
                        path,
                        source: errno.into(),
                    });
                }
            }
            let mut above = member.path.as_path();
            for _ in 1..member.made {
                let Some(parent) = above.parent() else { break };
                // Another container may live there by now.
                if rustix::fs::rmdir(parent).is_err() {
                    break;
                }
                above = parent;
            }
        }
        Ok(())
    }
}

fn remove_until(path: &Path, deadline: Instant) -> Result<(), Error> {
    let mut pause = Duration::from_micros(50);
    loop {
        match remove(path) {
            Ok(()) => return Ok(()),
            Err((_, Errno::BUSY)) if Instant::now() < deadline => {
                pause_for(pause);
                pause = (pause * 2).min(Duration::from_millis(2));
            }
            Err((path, errno)) => {
                return Err(Error::Remove {
                    path,
                    source: errno.into(),
                });
            }
        }
    }
}

/// Removes `path`, after the cgroups below it if there are any.
fn remove(path: &Path) -> Result<(), (std::path::PathBuf, Errno)> {
    match rustix::fs::rmdir(path) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        // Either processes or cgroups are in it.
        Err(Errno::BUSY | Errno::NOTEMPTY) => {}
        Err(errno) => return Err((path.into(), errno)),
    }
    for child in children_if_there(path).map_err(|_| (path.to_path_buf(), Errno::BUSY))? {
        remove(&child)?;
    }
    match rustix::fs::rmdir(path) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err((path.into(), errno)),
    }
}
