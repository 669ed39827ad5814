//! Whole small files, as procfs has them.

use alloc::{string::String, vec::Vec};

use sys::freestanding::rustix::{
    fd::{AsFd, OwnedFd},
    fs::{self, Mode, OFlags, RawDir},
    io::{self, Errno},
};

/// Opens `path` for reading.
pub(crate) fn open(path: &str) -> Result<OwnedFd, Errno> {
    fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

/// All bytes that `fd` gives.
pub(crate) fn read_all(fd: impl AsFd) -> Result<Vec<u8>, Errno> {
    let mut all = Vec::new();
    let mut part = [0; 4096];
    loop {
        match io::read(fd.as_fd(), &mut part) {
            Ok(0) => return Ok(all),
            Ok(count) => all.extend_from_slice(&part[..count]),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// The contents of `path`.
pub(crate) fn read(path: &str) -> Result<Vec<u8>, Errno> {
    read_all(open(path)?)
}

/// The contents of `path` as text; what is not UTF-8 is replaced.
pub(crate) fn text(path: &str) -> Result<String, Errno> {
    read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The names in the directory `path` but `.` and `..`, sorted, and the number of the descriptor that was used to look.
pub(crate) fn names(path: &str) -> Result<(Vec<String>, i32), Errno> {
    use sys::freestanding::rustix::fd::AsRawFd as _;
    let directory = fs::open(
        path,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    names_in(&directory).map(|names| (names, directory.as_raw_fd()))
}

/// The names in an open directory but `.` and `..`, sorted.
pub(crate) fn names_in(directory: &OwnedFd) -> Result<Vec<String>, Errno> {
    let mut names = Vec::new();
    let mut buffer = Vec::with_capacity(8192);
    let mut entries = RawDir::new(directory, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(String::from_utf8_lossy(name).into_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}
