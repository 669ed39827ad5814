//! All signals as something to read, for a process that passes them on.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Blocks all signals and reads them from a descriptor.
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

impl SignalFd {
    /// `sigprocmask(SIG_BLOCK, all)` and `signalfd4(-1, all, SFD_CLOEXEC | SFD_NONBLOCK)`.
    ///
    /// See <https://man7.org/linux/man-pages/man2/signalfd.2.html>.
    ///
    /// # Errors
    /// What the system calls say.
    pub fn all() -> io::Result<SignalFd> {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigfillset initialises the whole set behind the pointer and cannot fail for a valid one.
        unsafe { libc::sigfillset(set.as_mut_ptr()) };
        // SAFETY: sigfillset has initialised it just now.
        let set = unsafe { set.assume_init() };
        // SAFETY: the set is initialised; a null old-set pointer asks for no answer.
        let masked = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
        if masked != 0 {
            return Err(io::Error::from_raw_os_error(masked));
        }
        // SAFETY: the set is initialised; -1 asks for a new descriptor.
        let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: signalfd has just returned this descriptor, and nobody else owns it.
        Ok(SignalFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The number of the next pending signal, if there is one.
    pub fn next(&self) -> Option<i32> {
        let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit();
        let size = size_of::<libc::signalfd_siginfo>();
        // SAFETY: the kernel writes at most `size` bytes into the structure.
        let read = unsafe { libc::read(self.0.as_raw_fd(), info.as_mut_ptr().cast(), size) };
        if usize::try_from(read) != Ok(size) {
            return None;
        }
        // SAFETY: the read filled the whole structure, and every bit pattern is valid for it.
        let info = unsafe { info.assume_init() };
        i32::try_from(info.ssi_signo).ok()
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// `syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0)`: signals the process behind `pidfd` with any number,
/// real-time signals and 0 too.
///
/// Unlike kill(2) this cannot hit a recycled pid.
/// See <https://man7.org/linux/man-pages/man2/pidfd_send_signal.2.html>.
///
/// # Errors
/// `ESRCH` if the process is gone, `EINVAL` if there is no such signal.
///
/// # Notes
/// Linux 5.1.
pub fn send(pidfd: impl AsFd, signal: i32) -> io::Result<()> {
    let null = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the kernel is given no signal information to read.
    let done = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_fd().as_raw_fd(), signal, null, 0) };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
