//! A cgroup directory: small files, read and written by name.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::Error;

/// An open directory of a cgroup hierarchy.
#[derive(Debug)]
pub(super) struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Directory {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        match rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(fd) => Ok(Self { fd, path: path.into() }),
            Err(errno) => Err(Error::Open {
                path: path.into(),
                source: errno.into(),
            }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn open_file(&self, name: &str, flags: OFlags) -> Result<OwnedFd, Error> {
        rustix::fs::openat(&self.fd, name, flags | OFlags::CLOEXEC, Mode::empty()).map_err(|errno| Error::Open {
            path: self.file(name),
            source: errno.into(),
        })
    }

    /// One `write(2)` of the whole value, which is how control files want it.
    pub(super) fn write_raw(&self, name: &str, value: &str) -> Result<(), Errno> {
        // Fixture trees are made of ordinary files: they are to hold the last value and nothing else.
        let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.fd, name, flags, Mode::empty())?;
        match rustix::io::write(&file, value.as_bytes())? {
            written if written == value.len() => Ok(()),
            _ => Err(Errno::IO),
        }
    }

    pub(super) fn write(&self, name: &str, value: &str) -> Result<(), Error> {
        self.write_raw(name, value).map_err(|errno| Error::Write {
            value: value.into(),
            path: self.file(name),
            source: errno.into(),
        })
    }

    pub(super) fn read(&self, name: &str) -> Result<String, Error> {
        let file = self.open_file(name, OFlags::RDONLY)?;
        let failed = |source: io::Error| Error::Read {
            path: self.file(name),
            source,
        };
        let mut text = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            match rustix::io::read(&file, &mut chunk) {
                Ok(0) => break,
                Ok(length) => text.extend_from_slice(&chunk[..length]),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(failed(errno.into())),
            }
        }
        String::from_utf8(text).map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))
    }

    /// What [`Directory::read`] gives, or [`None`] if there is no such file.
    pub(super) fn read_if_there(&self, name: &str) -> Result<Option<String>, Error> {
        match self.read(name) {
            Ok(text) => Ok(Some(text)),
            // A controller that has been switched off, or a group that has been removed, answers ENODEV.
            Err(Error::Open { source, .. } | Error::Read { source, .. })
                if [Errno::NOENT, Errno::NODEV, Errno::OPNOTSUPP]
                    .iter()
                    .any(|e| Some(e.raw_os_error()) == source.raw_os_error()) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// A file that holds one number, `max` being [`u64::MAX`].
    pub(super) fn read_number(&self, name: &str) -> Result<Option<u64>, Error> {
        Ok(self.read_if_there(name)?.and_then(|text| number(&text)))
    }

    /// The names of everything in it.
    pub(super) fn file_names(&self) -> Result<Vec<String>, Error> {
        let failed = |source| Error::Read {
            path: self.path.clone(),
            source,
        };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path).map_err(failed)? {
            names.extend(entry.map_err(failed)?.file_name().into_string());
        }
        Ok(names)
    }
}

/// A number as control files write it: decimal, `max` being the greatest, `-1` too.
pub(super) fn number(text: &str) -> Option<u64> {
    match text.trim() {
        "max" | "-1" => Some(u64::MAX),
        digits => digits.parse().ok(),
    }
}

/// The value of `key` in a file of lines `key value`.
pub(super) fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))
        .and_then(number)
}

pub(super) fn children(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::Read {
        path: path.into(),
        source,
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}
