//! How long a thread runs at a time, and with that how soon it runs when it wakes.

use std::io;

/// Asks for slices of `nanoseconds` for the calling thread, 100 µs to 100 ms. Since Linux 6.12 a thread with a short slice
/// runs sooner when it wakes; before, nothing changes. Neither the policy nor the nice value changes, and children do not
/// inherit the slice.
///
/// See <https://man7.org/linux/man-pages/man2/sched_setattr.2.html> and `Documentation/scheduler/sched-eevdf.rst`.
///
/// # Errors
/// What the system call says.
pub fn request(nanoseconds: u64) -> io::Result<()> {
    const RESET_ON_FORK: u64 = 1;
    let size = size_of::<libc::sched_attr>();
    // SAFETY: sched_attr is integers only, for which all zeros are values.
    let mut attributes: libc::sched_attr = unsafe { core::mem::zeroed() };
    // SAFETY: the kernel writes no more than `size` bytes, which is the length of the structure that lives here.
    if unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    attributes.sched_runtime = nanoseconds;
    attributes.sched_flags |= RESET_ON_FORK;
    // SAFETY: the kernel reads as many bytes as the structure says in its first field, which the kernel itself filled in
    // with no more than the length of the structure.
    match unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_may_always_ask_for_short_slices() {
        // In a thread of its own, which ends with what it asked for.
        std::thread::spawn(|| request(100_000)).join().unwrap().unwrap();
    }
}
