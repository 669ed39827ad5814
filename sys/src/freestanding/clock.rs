//! Clocks, asked by system call: without libc there is nobody who found the vDSO.

use linux_raw_sys::general::{
    __NR_clock_gettime, CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_REALTIME,
};

use super::call::raw;

/// `clock_gettime(clock, &now)`: nanoseconds of a clock that every kernel has.
///
/// See <https://man7.org/linux/man-pages/man2/clock_gettime.2.html>.
fn nanoseconds(clock: u32) -> u64 {
    let mut now = [0_i64; 2];
    // SAFETY: the kernel writes one timespec, two words of 8 bytes on 64-bit machines, into `now`.
    let told = unsafe {
        raw(
            __NR_clock_gettime,
            [clock as usize, now.as_mut_ptr().addr(), 0, 0, 0, 0],
        )
    };
    match told {
        Ok(_) => (now[0] as u64).wrapping_mul(1_000_000_000).wrapping_add(now[1] as u64),
        Err(_) => 0,
    }
}

/// Nanoseconds of `CLOCK_MONOTONIC`.
#[must_use]
pub fn monotonic() -> u64 {
    nanoseconds(CLOCK_MONOTONIC)
}

/// Nanoseconds of `CLOCK_BOOTTIME`.
#[must_use]
pub fn boottime() -> u64 {
    nanoseconds(CLOCK_BOOTTIME)
}

/// Nanoseconds of `CLOCK_REALTIME`.
#[must_use]
pub fn realtime() -> u64 {
    nanoseconds(CLOCK_REALTIME)
}

/// Nanoseconds of CPU time that this process used.
#[must_use]
pub fn cpu() -> u64 {
    nanoseconds(CLOCK_PROCESS_CPUTIME_ID)
}
