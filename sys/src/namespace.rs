//! Looking at namespaces through their files.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// `ioctl(fd, NS_GET_NSTYPE)`: which kind of namespace a file is, as its `CLONE_NEW*` flag.
///
/// See <https://man7.org/linux/man-pages/man2/ioctl_ns.2.html>.
///
/// # Errors
/// `ENOTTY` if the file is not a namespace.
///
/// # Notes
/// Linux 4.11.
pub fn kind(fd: impl AsFd) -> io::Result<u32> {
    const NS_GET_NSTYPE: libc::Ioctl = 0xb703;
    // SAFETY: the request takes no argument and changes nothing; a file that does not know it answers ENOTTY.
    let kind = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), NS_GET_NSTYPE) };
    u32::try_from(kind).map_err(|_| io::Error::last_os_error())
}

/// `setns(fd, kinds)`: moves this thread into a namespace by its file, or into those of a process by its pidfd.
///
/// See <https://man7.org/linux/man-pages/man2/setns.2.html>.
///
/// # Errors
/// `EINVAL` if the file is of another kind, `EPERM` without `CAP_SYS_ADMIN` there.
///
/// # Notes
/// By pidfd since Linux 5.8.
pub fn join(fd: impl AsFd, kinds: u32) -> io::Result<()> {
    // SAFETY: takes no pointer.
    let done = unsafe { libc::syscall(libc::SYS_setns, fd.as_fd().as_raw_fd(), kinds) };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// `unshare(kinds)`: gives this thread network, UTS and IPC namespaces of its own, those of the three that are asked for.
///
/// Other threads stay where they are.
/// See <https://man7.org/linux/man-pages/man2/unshare.2.html>.
///
/// # Errors
/// `EINVAL` for any other kind, `EPERM` without `CAP_SYS_ADMIN`.
pub fn unshare(kinds: u32) -> io::Result<()> {
    let allowed = libc::CLONE_NEWNET | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC;
    let kinds = libc::c_int::try_from(kinds).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    if kinds & !allowed != 0 {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // SAFETY: these three kinds replace pointers of the calling task; no descriptor, memory or signal state that Rust
    // relies on is unshared.
    match unsafe { libc::unshare(kinds) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_network_namespace_says_that_it_is_one() {
        let file = std::fs::File::open("/proc/self/ns/net").unwrap();
        assert_eq!(super::kind(&file).unwrap(), libc::CLONE_NEWNET as u32);
    }

    #[test]
    fn a_kind_that_other_threads_would_notice_is_refused() {
        let refused = super::unshare(libc::CLONE_FILES as u32).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EINVAL));
    }

    #[test]
    fn a_plain_file_is_not_a_namespace() {
        let file = std::fs::File::open("/proc/self/status").unwrap();
        assert_eq!(super::kind(&file).unwrap_err().raw_os_error(), Some(libc::ENOTTY));
    }
}
