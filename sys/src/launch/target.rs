//! Opening, and making, paths below a root that symbolic links cannot lead out of.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags};
use rustix::io::Errno;

use super::{Missing, Target};

const PATH_MAX: usize = libc::PATH_MAX as usize;
const PROC_SUPER_MAGIC: i64 = 0x9fa0;

/// A path on the stack.
struct Buffer {
    bytes: [u8; PATH_MAX],
    len: usize,
}

impl Buffer {
    fn new(path: &[u8]) -> Result<Buffer, Errno> {
        let mut buffer = Buffer {
            bytes: [0; PATH_MAX],
            len: 0,
        };
        buffer.append(path)?;
        Ok(buffer)
    }

    fn append(&mut self, path: &[u8]) -> Result<(), Errno> {
        let end = self.len + path.len();
        if end >= PATH_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        self.bytes[self.len..end].copy_from_slice(path);
        self.bytes[end] = 0;
        self.len = end;
        Ok(())
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn c_str(&self) -> Result<&CStr, Errno> {
        CStr::from_bytes_with_nul(&self.bytes[..=self.len]).map_err(|_| Errno::INVAL)
    }
}

/// `openat2(2)` with the directory as the root of everything, `.` for an empty path.
fn open_path(root: BorrowedFd<'_>, path: &CStr, flags: OFlags, no_symlinks: bool) -> Result<OwnedFd, Errno> {
    let mut resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    if no_symlinks {
        resolve |= ResolveFlags::NO_SYMLINKS;
    }
    let path = if path.is_empty() { c"." } else { path };
    loop {
        match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            // The tree was renamed under the walk: try again.
            Err(Errno::AGAIN) => continue,
            other => return other,
        }
    }
}

/// Opens a file below a root with these flags.
pub(super) fn open_in(root: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    open_path(root, path, flags, false)
}

/// Opens a target as `O_PATH`, making what is missing.
pub(super) fn open_target(root: BorrowedFd<'_>, target: &Target, missing: Missing) -> Result<OwnedFd, Errno> {
    let fd = match open_path(root, &target.path, OFlags::PATH, target.no_symlinks) {
        Err(Errno::NOENT) if missing != Missing::Fail => match make_last(root, target, missing) {
            // More is missing, or a link leads nowhere yet.
            Err(Errno::NOENT | Errno::EXIST) => make(root, target, missing)?,
            other => other?,
        },
        other => other?,
    };
    if target.not_proc && rustix::fs::fstatfs(&fd)?.f_type as i64 == PROC_SUPER_MAGIC {
        return Err(Errno::PERM);
    }
    Ok(fd)
}

/// Opens a directory below a root, making it if needed.
pub(super) fn open_directory(root: BorrowedFd<'_>, target: &Target) -> Result<OwnedFd, Errno> {
    open_target(root, target, Missing::Directory)
}

/// Opens the place for the console below a root.
pub(super) fn open_console(root: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let dev = open_path(root, c"dev", OFlags::PATH | OFlags::DIRECTORY, true)?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::WRONLY;
    match rustix::fs::openat(&dev, c"console", flags, Mode::from_raw_mode(0o620)) {
        Ok(_) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(&dev, c"console", flags, Mode::empty())?;
    if FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode) == FileType::Symlink {
        return Err(Errno::LOOP);
    }
    Ok(fd)
}

/// Makes the last component where everything above it is there already, as it nearly always is.
fn make_last(root: BorrowedFd<'_>, target: &Target, missing: Missing) -> Result<OwnedFd, Errno> {
    let path = target.path.to_bytes();
    let name = path.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
    let (above, name) = (Buffer::new(&path[..name])?, Buffer::new(&path[name..])?);
    if matches!(name.as_bytes(), b"" | b"." | b"..") {
        return Err(Errno::NOENT);
    }
    let parent = open_path(
        root,
        above.c_str()?,
        OFlags::PATH | OFlags::DIRECTORY,
        target.no_symlinks,
    )?;
    make_one(&parent, name.c_str()?, missing == Missing::File)?;
    // What was made just now is no link; if somebody put one in its place, that is refused.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(&parent, name.c_str()?, flags, Mode::empty())?;
    match FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode) {
        FileType::Symlink => Err(Errno::LOOP),
        _ => Ok(fd),
    }
}

/// Walks the path component by component below `root`, making what is missing. The prefix that was walked is resolved
/// anew from the root each time, so a link found on the way counts from the root as well.
fn make(root: BorrowedFd<'_>, target: &Target, missing: Missing) -> Result<OwnedFd, Errno> {
    let mut rest = Buffer::new(target.path.to_bytes())?;
    let mut links = 0;
    'again: loop {
        let mut done = Buffer::new(b"")?;
        let mut at = 0;
        loop {
            let path = rest.as_bytes();
            while path.get(at) == Some(&b'/') {
                at += 1;
            }
            if at >= path.len() {
                return open_path(root, done.c_str()?, OFlags::PATH, target.no_symlinks);
            }
            let end = path[at..]
                .iter()
                .position(|b| *b == b'/')
                .map_or(path.len(), |n| at + n);
            let last = path[end..].iter().all(|b| *b == b'/');
            let parent = open_path(
                root,
                done.c_str()?,
                OFlags::PATH | OFlags::DIRECTORY,
                target.no_symlinks,
            )?;
            let component = Buffer::new(&path[at..end])?;
            if !done.as_bytes().is_empty() {
                done.append(b"/")?;
            }
            done.append(&path[at..end])?;
            match open_path(root, done.c_str()?, OFlags::PATH, target.no_symlinks) {
                Ok(_) => {}
                Err(Errno::NOENT) => {
                    match make_one(&parent, component.c_str()?, last && missing == Missing::File) {
                        Ok(()) => {}
                        Err(Errno::EXIST) if !target.no_symlinks => {
                            // A link that leads nowhere yet: make what it names.
                            links += 1;
                            if links > 40 {
                                return Err(Errno::LOOP);
                            }
                            rest = through_link(&parent, &component, &done, &path[end..])?;
                            continue 'again;
                        }
                        Err(errno) => return Err(errno),
                    }
                }
                Err(errno) => return Err(errno),
            }
            at = end;
        }
    }
}

fn make_one(parent: &OwnedFd, name: &CStr, file: bool) -> Result<(), Errno> {
    if file {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::WRONLY;
        return rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o644)).map(drop);
    }
    rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))
}

/// The path that is meant when `component`, the last part of `done`, is a link.
fn through_link(parent: &OwnedFd, component: &Buffer, done: &Buffer, rest: &[u8]) -> Result<Buffer, Errno> {
    let mut space = [MaybeUninit::<u8>::uninit(); PATH_MAX];
    let (link, _) = rustix::fs::readlinkat_raw(parent, component.c_str()?, &mut space[..])?;
    let mut whole = Buffer::new(b"")?;
    if link.first() != Some(&b'/') {
        let above = &done.as_bytes()[..done.len - component.len];
        whole.append(above)?;
    }
    whole.append(link)?;
    whole.append(rest)?;
    Ok(whole)
}

/// Copies directories, files, links and fifos with their modes and owners from one directory into another.
pub(super) fn copy_up(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), Errno> {
    copy_directory(from, to, 0)
}

fn copy_directory(from: BorrowedFd<'_>, to: BorrowedFd<'_>, depth: u32) -> Result<(), Errno> {
    // The child's stack is finite; deeper trees than this are not what the option is for.
    if depth > 32 {
        return Err(Errno::LOOP);
    }
    let readable = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let list = rustix::fs::openat(from, c".", readable, Mode::empty())?;
    let mut space = [MaybeUninit::<u8>::uninit(); 2048];
    let mut entries = RawDir::new(&list, &mut space);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let stat = rustix::fs::statat(&list, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let (mode, kind) = (Mode::from_raw_mode(stat.st_mode), FileType::from_raw_mode(stat.st_mode));
        let owner = (
            rustix::fs::Uid::from_raw(stat.st_uid),
            rustix::fs::Gid::from_raw(stat.st_gid),
        );
        match kind {
            FileType::Directory => {
                rustix::fs::mkdirat(to, name, mode)?;
                let flags = readable | OFlags::NOFOLLOW;
                let below = rustix::fs::openat(&list, name, flags, Mode::empty())?;
                let copy = rustix::fs::openat(to, name, flags, Mode::empty())?;
                copy_directory(below.as_fd(), copy.as_fd(), depth + 1)?;
            }
            FileType::RegularFile => copy_file(list.as_fd(), to, name, mode)?,
            FileType::Symlink => {
                let mut link = [MaybeUninit::<u8>::uninit(); 1024];
                let (link, _) = rustix::fs::readlinkat_raw(&list, name, &mut link[..])?;
                let mut text = [0_u8; 1025];
                text[..link.len()].copy_from_slice(link);
                let text = CStr::from_bytes_with_nul(&text[..=link.len()]).map_err(|_| Errno::INVAL)?;
                rustix::fs::symlinkat(text, to, name)?;
            }
            _ => rustix::fs::mknodat(to, name, kind, mode, stat.st_rdev)?,
        }
        rustix::fs::chownat(to, name, Some(owner.0), Some(owner.1), AtFlags::SYMLINK_NOFOLLOW)?;
        if kind != FileType::Symlink {
            // A change of owner clears set-id bits.
            rustix::fs::chmodat(to, name, mode, AtFlags::empty())?;
        }
    }
    Ok(())
}

fn copy_file(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr, mode: Mode) -> Result<(), Errno> {
    let source = rustix::fs::openat(
        from,
        name,
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let copy = rustix::fs::openat(to, name, flags, mode)?;
    while rustix::fs::sendfile(&copy, &source, None, 1 << 20)? > 0 {}
    Ok(())
}
