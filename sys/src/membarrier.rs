//! Waiting for a grace period of RCU.

use std::io;

/// `membarrier(MEMBARRIER_CMD_GLOBAL)`: returns after every thread of the system has passed through a memory barrier, for which
/// the kernel waits for one RCU grace period. Anybody may call it.
///
/// See <https://man7.org/linux/man-pages/man2/membarrier.2.html>.
///
/// # Notes
/// Linux 4.3.
///
/// # Errors
/// `ENOSYS` without `CONFIG_MEMBARRIER`, `EINVAL` where CPUs run without a tick (`nohz_full`).
pub fn global() -> io::Result<()> {
    const GLOBAL: libc::c_int = 1;
    // SAFETY: takes no pointer.
    match unsafe { libc::syscall(libc::SYS_membarrier, GLOBAL, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grace_period_ends_or_the_kernel_says_that_it_has_none_to_offer() {
        if let Err(error) = global() {
            let known = [Some(libc::ENOSYS), Some(libc::EINVAL), Some(libc::EPERM)];
            assert!(known.contains(&error.raw_os_error()), "{error}");
        }
    }
}
