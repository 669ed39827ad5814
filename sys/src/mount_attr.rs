//! Attributes of whole mount trees.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `mount_setattr(dir, path, AT_RECURSIVE | AT_EMPTY_PATH, {attr_set: MOUNT_ATTR_RDONLY}, 32)`: makes a mount and all
/// below it read-only.
///
/// Of each mount, not of its file system: other mounts of the same file system stay as they are.
/// See <https://man7.org/linux/man-pages/man2/mount_setattr.2.html>.
///
/// # Errors
/// What the system call says: `EBUSY` if something is open for writing through one of the mounts.
///
/// # Notes
/// Linux 5.12.
pub fn read_only_recursively(directory: BorrowedFd<'_>, path: &CStr) -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: the kernel reads a string up to its NUL from path, and size_of::<mount_attr>() bytes from attributes; both
    // outlive the call, and it writes to neither.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            directory.as_raw_fd(),
            path.as_ptr(),
            libc::AT_RECURSIVE | libc::AT_EMPTY_PATH,
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
