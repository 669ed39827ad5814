//! Detached copies of mount trees.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use rustix::mount::OpenTreeFlags;

/// `open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | AT_RECURSIVE)`: a copy of a mount, with those below it if `recursive`,
/// that is not attached anywhere and is gone when its descriptor is closed.
///
/// # Errors
/// What the system call says: `EPERM` without `CAP_SYS_ADMIN`.
///
/// # Notes
/// Linux 5.2.
pub fn open_tree(path: &Path, recursive: bool) -> io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    Ok(rustix::mount::open_tree(rustix::fs::CWD, path, flags)?)
}

/// `mount_setattr(tree, "", AT_EMPTY_PATH, {attr_set: MOUNT_ATTR_RDONLY}, 32)`: makes a detached mount read-only.
///
/// # Errors
/// What the system call says.
///
/// # Notes
/// Linux 5.12.
pub fn read_only(tree: impl AsFd) -> io::Result<()> {
    set(tree, libc::MOUNT_ATTR_RDONLY, 0, false)
}

/// `mount_setattr(tree, "", AT_EMPTY_PATH, {attr_set: MOUNT_ATTR_IDMAP, userns_fd}, 32)`: shows the owners of a detached
/// mount's files as the user namespace maps them.
///
/// # Errors
/// What the system call says: `EINVAL` if the file system cannot, or the mount is attached already.
///
/// # Notes
/// Linux 5.12.
pub fn idmap(tree: impl AsFd, userns: impl AsFd, recursive: bool) -> io::Result<()> {
    set(
        tree,
        libc::MOUNT_ATTR_IDMAP,
        userns.as_fd().as_raw_fd() as u64,
        recursive,
    )
}

fn set(tree: impl AsFd, attr_set: u64, userns_fd: u64, recursive: bool) -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set,
        attr_clr: 0,
        propagation: 0,
        userns_fd,
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the kernel reads the empty string and size_of::<mount_attr>() bytes, and writes to neither.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
