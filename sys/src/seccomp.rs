//! Loading a seccomp filter.

use rustix::io::Errno;

use crate::syscall::syscall;

#[cfg(target_arch = "x86_64")]
const NR_SECCOMP: usize = 317;
#[cfg(target_arch = "aarch64")]
const NR_SECCOMP: usize = 277;

const SET_MODE_FILTER: usize = 1;
const GET_ACTION_AVAIL: usize = 2;

/// `SECCOMP_FILTER_FLAG_TSYNC`: all threads of the process get the filter.
pub const TSYNC: u32 = 1;
/// `SECCOMP_FILTER_FLAG_LOG`: every action but *allow* is logged.
pub const LOG: u32 = 1 << 1;
/// `SECCOMP_FILTER_FLAG_SPEC_ALLOW`: the speculative store bypass is not switched off.
pub const SPEC_ALLOW: u32 = 1 << 2;

/// One instruction of classic BPF, `struct sock_filter` of `linux/filter.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The operation.
    pub code: u16,
    /// Instructions to skip if the condition holds.
    pub jt: u8,
    /// Instructions to skip if it does not.
    pub jf: u8,
    /// The constant, offset or distance.
    pub k: u32,
}

#[repr(C)]
struct Program {
    len: u16,
    filter: *const Filter,
}

const _: () = assert!(size_of::<Filter>() == 8 && core::mem::offset_of!(Program, filter) == 8);

/// `seccomp(SECCOMP_SET_MODE_FILTER, flags, program)`: from now on `filter` judges the system calls of this thread.
///
/// See <https://man7.org/linux/man-pages/man2/seccomp.2.html>.
///
/// # Notes
/// Linux 3.17. Needs `CAP_SYS_ADMIN` in the user namespace, or `no_new_privs`. Does not allocate.
///
/// # Errors
/// `E2BIG` for more than 65535 instructions; `ESRCH` if with [`TSYNC`] a thread could not be brought along; else what
/// the kernel says: `EINVAL` for an unknown flag or a program that its checker refuses.
pub fn load(filter: &[Filter], flags: u32) -> Result<(), Errno> {
    let program = Program {
        len: u16::try_from(filter.len()).map_err(|_| Errno::TOOBIG)?,
        filter: filter.as_ptr(),
    };
    let address = core::ptr::from_ref(&program).addr();
    // SAFETY: the kernel reads one Program at address, and at its pointer as many filters as its length says, which is
    // that of the borrowed slice; it copies both before it returns and writes to neither.
    match unsafe { syscall(NR_SECCOMP, [SET_MODE_FILTER, flags as usize, address, 0, 0]) } {
        Ok(0) => Ok(()),
        Ok(_thread) => Err(Errno::SRCH),
        Err(errno) => Err(errno),
    }
}

/// `seccomp(SECCOMP_GET_ACTION_AVAIL, 0, action)`: does this kernel know the return action?
///
/// See <https://man7.org/linux/man-pages/man2/seccomp.2.html>.
///
/// # Notes
/// Linux 4.14.
#[must_use]
pub fn knows_action(action: u32) -> bool {
    let address = core::ptr::from_ref(&action).addr();
    // SAFETY: the kernel reads one u32 at address, that of a local variable.
    unsafe { syscall(NR_SECCOMP, [GET_ACTION_AVAIL, 0, address, 0, 0]) }.is_ok()
}

/// `seccomp(SECCOMP_SET_MODE_FILTER, flags, NULL)`: does this kernel know all of `flags`?
///
/// A kernel that knows them stumbles over the null pointer (`EFAULT`), one that does not refuses them (`EINVAL`).
/// See <https://man7.org/linux/man-pages/man2/seccomp.2.html>.
#[must_use]
pub fn knows_flags(flags: u32) -> bool {
    // SAFETY: a null pointer is refused before anything is read or changed.
    let answer = unsafe { syscall(NR_SECCOMP, [SET_MODE_FILTER, flags as usize, 0, 0, 0]) };
    answer == Err(Errno::FAULT)
}
