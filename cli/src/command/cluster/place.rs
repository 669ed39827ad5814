//! Where a cluster's files lie, and which process holds it.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

use super::error::Error;

/// `.plimsoll/clusters/NAME`.
pub(super) struct Place {
    pub(super) name: String,
    pub(super) directory: PathBuf,
}

/// What is written into the lock.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Holding {
    /// Names the control groups.
    pub(super) token: String,
    /// The process outside of the guard.
    pub(super) pid: i32,
}

/// The process that holds a cluster, as long as this is kept.
pub(super) struct Holder {
    pub(super) holding: Holding,
    pub(super) pidfd: OwnedFd,
}

impl Place {
    pub(super) fn of(state: &Path, name: &str) -> Result<Self, Error> {
        let directory = state.join("clusters").join(name);
        let directory = std::path::absolute(&directory).map_err(file("find", &directory))?;
        Ok(Self {
            name: name.to_owned(),
            directory,
        })
    }

    pub(super) fn at(&self, file: &str) -> PathBuf {
        self.directory.join(file)
    }

    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.at("kubeconfig")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.at("log")
    }

    /// Makes the directory, and lets nobody else make or clear one below the same state meanwhile.
    pub(super) fn claim(&self) -> Result<OwnedFd, Error> {
        let all = self.directory.parent().unwrap_or(&self.directory);
        fs_err::create_dir_all(all).map_err(file("make", all))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let claim = rustix::fs::open(all, flags, Mode::empty()).map_err(|e| file("open", all)(e.into()))?;
        flock(&claim, FlockOperation::LockExclusive).map_err(|e| file("lock", all)(e.into()))?;
        if self.holder()?.is_some() {
            return Err(Error::Up {
                name: self.name.clone(),
            });
        }
        match std::fs::remove_dir_all(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(file("clear", &self.directory)(error)),
            _ => {}
        }
        fs_err::create_dir(&self.directory).map_err(file("make", &self.directory))?;
        Ok(claim)
    }

    /// Takes the lock for this process and those that it forks.
    pub(super) fn hold(&self, token: &str) -> Result<File, Error> {
        // Locked before it bears the name by which others find it.
        let unborn = self.at("lock.new");
        let mut lock = File::create(&unborn).map_err(file("make", &unborn))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|e| file("lock", &unborn)(e.into()))?;
        let holding = Holding {
            token: token.to_owned(),
            pid: rustix::process::getpid().as_raw_nonzero().get(),
        };
        let text = serde_json::to_vec(&holding).map_err(|error| file("write", &unborn)(error.into()))?;
        lock.write_all(&text).map_err(file("write", &unborn))?;
        let path = self.at("lock");
        std::fs::rename(&unborn, &path).map_err(file("name", &path))?;
        Ok(lock)
    }

    /// The process that holds the lock, if one does.
    pub(super) fn holder(&self) -> Result<Option<Holder>, Error> {
        let path = self.at("lock");
        let lock = match File::open(&path) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(file("open", &path)(error)),
        };
        let text = std::fs::read(&path).map_err(file("read", &path))?;
        let holding: Holding = serde_json::from_slice(&text).map_err(|error| file("read", &path)(error.into()))?;
        let Some(pid) = Pid::from_raw(holding.pid) else {
            return Ok(None);
        };
        // First the process, then whether it still has the lock: then it is the one.
        let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else {
            return Ok(None);
        };
        if flock(&lock, FlockOperation::NonBlockingLockShared).is_ok() {
            return Ok(None);
        }
        Ok(Some(Holder { holding, pidfd }))
    }

    /// As [`Place::holder`]; an error if there is none.
    pub(super) fn held(&self) -> Result<Holder, Error> {
        self.holder()?.ok_or_else(|| Error::NotUp {
            name: self.name.clone(),
        })
    }
}

/// An error about a file.
pub(super) fn file(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { act, path, source }
}
