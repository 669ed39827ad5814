//! A process whose own executable file cannot be written through `/proc/PID/exe`.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::ptr;

use rustix::fs::{MemfdFlags, OFlags, SealFlags, StatVfsMountFlags};

/// Executes this program again from a place where it cannot be written, unless it already runs from one.
///
/// The link `/proc/PID/exe` leads to the executable through the mount that it was executed from, whatever namespaces the
/// process is in later. Whoever can follow it in a container could otherwise open the host's file for writing once
/// nobody runs it any more (CVE-2019-5736). A private, detached, read-only copy of the mount (`open_tree(2)`,
/// `mount_setattr(2)`) makes that `EROFS` for ever, and costs two system calls and one `execve`, no copy.
///
/// Without `CAP_SYS_ADMIN` there is no such mount. A file that this user cannot write needs none either; for one that
/// they can, a sealed copy in memory serves.
///
/// Returns if there is nothing to do, with the mount if this program runs from one that [`crate::early`] made. The last
/// who closes it waits for an RCU grace period, so it is better closed when nothing waits for the caller.
///
/// # Errors
/// What the system calls say.
///
/// # Notes
/// Linux 5.12.
pub fn ensure() -> io::Result<Option<OwnedFd>> {
    let path = Path::new("/proc/self/exe");
    let exe = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, rustix::fs::Mode::empty())?;
    if rustix::fs::fstatvfs(&exe)?.f_flag.contains(StatVfsMountFlags::RDONLY) || sealed(&exe) {
        return Ok(held_mount(&exe));
    }
    let tree = crate::mount_tree::open_tree(path, false).and_then(|tree| {
        crate::mount_tree::read_only(&tree)?;
        Ok(tree)
    });
    match tree {
        Ok(tree) => execute(&tree),
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
            let writable = rustix::fs::access(path, rustix::fs::Access::WRITE_OK);
            if writable == Err(rustix::io::Errno::ACCESS) || writable == Err(rustix::io::Errno::ROFS) {
                return Ok(None);
            }
            // Being executed makes it busy, not safe: it counts as writable.
            execute(&sealed_copy(&exe)?)
        }
        Err(error) => Err(error),
    }
}

/// The descriptor that this program was executed by, which `execveat(2)` tells as `/dev/fd/N`, if it is still open.
fn held_mount(exe: &OwnedFd) -> Option<OwnedFd> {
    // SAFETY: getauxval only reads what the kernel put on the stack before the program began.
    let name = unsafe { libc::getauxval(libc::AT_EXECFN) } as *const libc::c_char;
    if name.is_null() {
        return None;
    }
    // SAFETY: the kernel ends the string with a NUL, and it stays as long as the process.
    let name = unsafe { CStr::from_ptr(name) };
    let number: i32 = name.to_str().ok()?.strip_prefix("/dev/fd/")?.parse().ok()?;
    if number < 3 {
        return None;
    }
    // SAFETY: borrowed for two calls that fail with EBADF if it is not open.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    let (one, other) = (rustix::fs::fstat(fd).ok()?, rustix::fs::fstat(exe).ok()?);
    if (one.st_dev, one.st_ino) != (other.st_dev, other.st_ino) {
        return None;
    }
    rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC).ok()?;
    // SAFETY: it is this program's executable, and open; whoever called left it for this program alone.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

fn sealed(file: &OwnedFd) -> bool {
    rustix::fs::fcntl_get_seals(file).is_ok_and(|seals| seals.contains(SealFlags::WRITE))
}

fn sealed_copy(exe: &OwnedFd) -> io::Result<OwnedFd> {
    let copy = rustix::fs::memfd_create(c"plimsoll-oci", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    while rustix::fs::sendfile(&copy, exe, None, 1 << 26)? > 0 {}
    rustix::fs::fcntl_add_seals(
        &copy,
        SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
    )?;
    Ok(copy)
}

/// `execveat(file, "", argv, environ, AT_EMPTY_PATH)` with the arguments and environment of this process.
fn execute(file: &impl AsFd) -> io::Result<Option<OwnedFd>> {
    let arguments: Vec<CString> = std::env::args_os()
        .filter_map(|a| CString::new(a.into_vec()).ok())
        .collect();
    let variable = |(mut key, value): (std::ffi::OsString, std::ffi::OsString)| {
        key.push("=");
        key.push(value);
        CString::new(key.into_vec()).ok()
    };
    let environment: Vec<CString> = std::env::vars_os().filter_map(variable).collect();
    let point = |strings: &[CString]| {
        strings
            .iter()
            .map(|s| s.as_ptr())
            .chain([ptr::null()])
            .collect::<Vec<_>>()
    };
    let (argv, envp) = (point(&arguments), point(&environment));
    // SAFETY: both arrays end with a null pointer and point to strings that outlive the call.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file.as_fd().as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            envp.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    Err(io::Error::last_os_error())
}
