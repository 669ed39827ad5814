//! Paths that stay below a directory, whatever links and dots they are made of (`openat2(2)`, `RESOLVE_IN_ROOT`).

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2};
use rustix::io::Errno;

/// What is made where nothing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Fail,
    Directory,
    File,
}

/// A file or directory that was found, and cannot be another by the time it is mounted.
#[derive(Debug)]
pub(crate) struct Found(OwnedFd);

impl Found {
    /// A path that leads to it while this lives.
    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()))
    }

    /// Binds it to a path that is made for it: a runtime looks from another mount namespace, where the descriptor's own
    /// mount is none of its.
    pub(crate) fn bind(&self, target: &Path) -> io::Result<Bound> {
        if let Some(above) = target.parent() {
            std::fs::create_dir_all(above)?;
        }
        if self.kind()? == rustix::fs::FileType::Directory {
            std::fs::create_dir(target)?;
        } else {
            std::fs::File::create_new(target)?;
        }
        let bound = Bound(target.to_path_buf());
        rustix::mount::mount_bind_recursive(self.path(), target)?;
        Ok(bound)
    }

    /// What it is.
    pub(crate) fn kind(&self) -> io::Result<rustix::fs::FileType> {
        let mode = rustix::fs::fstat(&self.0)?.st_mode;
        Ok(rustix::fs::FileType::from_raw_mode(mode))
    }
}

/// A bind mount that goes with this.
#[derive(Debug)]
pub(crate) struct Bound(PathBuf);

impl Bound {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let _not_there = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH).is_err();
        let _other = std::fs::remove_dir(&self.0).is_err() && std::fs::remove_file(&self.0).is_err();
    }
}

fn open_root(root: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(openat(CWD, root, flags, Mode::empty())?)
}

fn open(root: impl AsFd, path: &Path, more: ResolveFlags) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | more;
    // A rename elsewhere in the tree makes the kernel unsure.
    loop {
        match openat2(&root, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
}

/// Finds `path` below `root`, or makes it.
pub(crate) fn find(root: &Path, path: &Path, missing: Missing) -> io::Result<Found> {
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a path must not contain `..`",
        ));
    }
    let root = open_root(root)?;
    match open(&root, path, ResolveFlags::empty()) {
        Err(Errno::NOENT) if missing != Missing::Fail => {}
        other => return Ok(Found(other?)),
    }
    let parts: Vec<_> = path
        .components()
        .filter(|part| matches!(part, Component::Normal(_)))
        .collect();
    let mut so_far = PathBuf::from(".");
    for (at, part) in parts.iter().enumerate() {
        let above = open(&root, &so_far, ResolveFlags::empty())?;
        so_far.push(part);
        let name = Path::new(part.as_os_str());
        if at + 1 == parts.len() && missing == Missing::File {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match openat(&above, name, flags, Mode::from_raw_mode(0o644)) {
                Ok(_) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        } else {
            match mkdirat(&above, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(Found(open(&root, path, ResolveFlags::empty())?))
}

/// Finds a path of the machine itself, through no link at all.
pub(crate) fn find_plainly(path: &Path) -> io::Result<Found> {
    let root = open_root(Path::new("/"))?;
    Ok(Found(open(&root, path, ResolveFlags::NO_SYMLINKS)?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn text(found: &Found) -> String {
        std::fs::read_to_string(found.path()).unwrap()
    }

    #[test]
    fn links_and_dots_do_not_lead_out() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "no").unwrap();
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("mine"), "yes").unwrap();
        symlink(outside.path(), root.path().join("absolute")).unwrap();
        symlink("../../../../../../../../../etc", root.path().join("climbing")).unwrap();
        symlink("/mine", root.path().join("link")).unwrap();
        let open = |path: &str, missing| find(root.path(), Path::new(path), missing);
        assert_eq!(text(&open("link", Missing::Fail).unwrap()), "yes", "the root is here");
        for path in ["absolute/secret", "climbing/passwd", "nothing"] {
            assert_eq!(
                open(path, Missing::Fail).unwrap_err().kind(),
                io::ErrorKind::NotFound,
                "{path}"
            );
        }
        assert_eq!(
            open("../x", Missing::Directory).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
        assert!(open("absolute/new", Missing::Directory).is_err());
        assert!(!outside.path().join("new").exists());
        open("a/b/c", Missing::File).unwrap();
        assert!(root.path().join("a/b/c").is_file());
        open("a/d", Missing::Directory).unwrap();
        assert!(root.path().join("a/d").is_dir());
    }
}
