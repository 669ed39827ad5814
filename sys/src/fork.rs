//! A second process that goes on with this one's memory, in namespaces of its own.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Which of the two processes this is after [`fork`].
#[derive(Debug)]
pub enum Forked {
    /// The new one.
    Child,
    /// The one that asked.
    Parent {
        /// The child's id, in this process's pid namespace.
        pid: i32,
        /// A descriptor that stands for the child whatever happens to its id.
        pidfd: OwnedFd,
    },
}

/// `clone3({flags | CLONE_PIDFD, exit_signal: SIGCHLD, cgroup})` without `CLONE_VM`: copies this process.
///
/// `flags` are `CLONE_NEW*` only. With `cgroup`, a directory of the version 2 hierarchy, the child begins there
/// (`CLONE_INTO_CGROUP`).
/// See <https://man7.org/linux/man-pages/man2/clone.2.html>.
///
/// # Errors
/// `EINVAL` for another flag, `EBUSY` if this process has more than one thread, else what `clone3(2)` says.
///
/// # Notes
/// Linux 5.3; 5.7 for `cgroup`.
pub fn fork(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Forked> {
    let mut pidfd: i32 = -1;
    let mut args = clone_args(flags, cgroup)?;
    args.flags |= libc::CLONE_PIDFD as u64;
    args.pidfd = (&raw mut pidfd) as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    // SAFETY: the kernel reads size_of::<CloneArgs>() bytes from args and writes one i32 to pidfd, both of which outlive
    // the call. Without CLONE_VM the child has a copy of the memory, and as the only thread (counted above, and only a
    // thread can make a thread) was here, no lock in that copy is held by a thread that does not exist in it.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<CloneArgs>()) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        pid => {
            // SAFETY: clone3 succeeded with CLONE_PIDFD, so pidfd is a new descriptor that nobody else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Forked::Parent { pid: pid as i32, pidfd })
        }
    }
}

/// `clone3({flags | CLONE_PARENT, cgroup})` without `CLONE_VM`: a copy of this process that is a child of this process'
/// parent. Answers its id, in this process's pid namespace; none in the copy.
///
/// See <https://man7.org/linux/man-pages/man2/clone.2.html>.
///
/// # Errors
/// As [`fork`].
///
/// # Notes
/// Linux 5.3; 5.7 for `cgroup`.
pub fn fork_sibling(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Option<i32>> {
    let mut args = clone_args(flags, cgroup)?;
    // The sibling's exit signal is this process' own.
    args.flags |= libc::CLONE_PARENT as u64;
    // SAFETY: the kernel reads size_of::<CloneArgs>() bytes from args. As in `fork`, the copy of the memory is one of a
    // process with a single thread, so no lock in it is held by nobody.
    match unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<CloneArgs>()) } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        pid => Ok(Some(pid as i32)),
    }
}

/// What both ways of forking have in common: which flags are allowed, and that there is one thread.
fn clone_args(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> io::Result<CloneArgs> {
    const NAMESPACES: i32 = libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWUSER
        | libc::CLONE_NEWCGROUP;
    if flags & !(NAMESPACES as u64) != 0 {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    if fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::from_raw_os_error(libc::EBUSY));
    }
    let mut args = CloneArgs {
        flags,
        ..CloneArgs::default()
    };
    if let Some(directory) = cgroup {
        args.flags |= 0x2_0000_0000; // CLONE_INTO_CGROUP: the constant in `libc` overflows
        args.cgroup = directory.as_raw_fd() as u64;
    }
    Ok(args)
}

/// `_exit(status)`: ends a child of [`fork`] without running what its memory copied from the parent would run at exit.
///
/// See <https://man7.org/linux/man-pages/man2/_exit.2.html>.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: _exit takes any number, touches no memory of this process and does not come back.
    unsafe { libc::_exit(status) }
}

/// `unshare(CLONE_NEWCGROUP)`: from now on this process sees the groups that it is in as the roots of their hierarchies.
///
/// See <https://man7.org/linux/man-pages/man7/cgroup_namespaces.7.html>.
///
/// # Errors
/// What the system call says: `EPERM` without `CAP_SYS_ADMIN`.
pub fn unshare_cgroup() -> io::Result<()> {
    // SAFETY: with CLONE_NEWCGROUP alone the call replaces a pointer of the calling task; no descriptor, memory or
    // signal state that Rust relies on is unshared.
    match unsafe { libc::unshare(libc::CLONE_NEWCGROUP) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// `struct clone_args` of `linux/sched.h`, version 2.
#[repr(C)]
#[derive(Debug, Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clone_args_have_the_size_of_version_2() {
        assert_eq!(size_of::<CloneArgs>(), 88);
    }

    #[test]
    fn a_process_with_threads_is_refused() {
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || receiver.recv());
        let refused = fork(0, None).expect_err("this process has two threads");
        assert_eq!(refused.raw_os_error(), Some(libc::EBUSY));
        drop(sender);
        assert!(other.join().unwrap().is_err());
    }

    #[test]
    fn a_flag_that_shares_memory_is_refused() {
        assert_eq!(
            fork(libc::CLONE_VM as u64, None).expect_err("CLONE_VM").raw_os_error(),
            Some(libc::EINVAL)
        );
    }
}
