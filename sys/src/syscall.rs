//! The system call instruction, for the calls that rustix does not offer.

use rustix::io::Errno;

/// The bare instruction: `number(a, b, c, d, e)`.
///
/// # Safety
/// The caller promises what the manual page of the call asks of its pointers: what the kernel reads is initialised and
/// what it writes is writable, for the length it is told, until the call returns.
#[inline]
pub(crate) unsafe fn syscall(number: usize, [a, b, c, d, e]: [usize; 5]) -> Result<usize, Errno> {
    let returned: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the kernel's calling convention on x86_64: rcx and r11 are the only other registers that it changes, and
    // both are declared lost. What it does to memory is the caller's promise.
    unsafe {
        core::arch::asm!("syscall", inlateout("rax") number.cast_signed() => returned, in("rdi") a, in("rsi") b,
            in("rdx") c, in("r10") d, in("r8") e, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the kernel's calling convention on aarch64: x0 is the only register that it changes. What it does to
    // memory is the caller's promise.
    unsafe {
        core::arch::asm!("svc 0", in("x8") number, inlateout("x0") a => returned, in("x1") b, in("x2") c, in("x3") d,
            in("x4") e, options(nostack));
    }
    match u16::try_from(returned.wrapping_neg()) {
        Ok(errno @ 1..=4095) => Err(Errno::from_raw_os_error(i32::from(errno))),
        _ => Ok(returned.cast_unsigned()),
    }
}
