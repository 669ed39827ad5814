//! eBPF programs of the type `BPF_PROG_TYPE_CGROUP_DEVICE`: the device filter of a cgroup v2.

use core::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

use crate::syscall::syscall;

#[cfg(target_arch = "x86_64")]
const NR_BPF: usize = 321;
#[cfg(target_arch = "aarch64")]
const NR_BPF: usize = 280;

const PROG_LOAD: usize = 5;
const PROG_ATTACH: usize = 8;
const PROG_DETACH: usize = 9;
const PROG_GET_FD_BY_ID: usize = 13;
const PROG_QUERY: usize = 16;

const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 1 << 1;
const REPLACE: u32 = 1 << 2;

/// One instruction, `struct bpf_insn` of `linux/bpf.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insn {
    /// The operation and its class.
    pub code: u8,
    /// Destination register in the low half, source register in the high half.
    pub registers: u8,
    /// Offset of a load or a jump, the latter counted from the next instruction.
    pub offset: i16,
    /// The constant, sign-extended to 64 bits by the kernel.
    pub immediate: i32,
}

#[repr(C)]
struct LoadAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
}

#[repr(C)]
struct AttachAttr {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
    replace_bpf_fd: u32,
}

#[repr(C)]
struct QueryAttr {
    target_fd: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    prog_cnt: u32,
    padding: u32,
}

#[repr(C)]
struct IdAttr {
    id: u32,
    next_id: u32,
    open_flags: u32,
}

const _: () = assert!(size_of::<Insn>() == 8 && size_of::<LoadAttr>() == 72 && size_of::<AttachAttr>() == 20);
const _: () = assert!(size_of::<QueryAttr>() == 32 && size_of::<IdAttr>() == 12);

fn bpf<T>(command: usize, attr: &mut T) -> Result<usize, Errno> {
    // SAFETY: the kernel reads and writes at most size_of::<T>() bytes at attr, which is borrowed mutably until the
    // call returns; the addresses inside attr are those of slices that our callers borrow for as long.
    unsafe {
        syscall(
            NR_BPF,
            [command, core::ptr::from_mut(attr).addr(), size_of::<T>(), 0, 0],
        )
    }
}

fn owned(returned: usize) -> OwnedFd {
    // SAFETY: the commands that we pass here return a new descriptor, which nobody else has.
    unsafe { OwnedFd::from_raw_fd(i32::try_from(returned).unwrap_or(-1)) }
}

/// `bpf(BPF_PROG_LOAD, …)`: hands a device filter to the kernel's verifier.
///
/// See <https://man7.org/linux/man-pages/man2/bpf.2.html>.
///
/// # Notes
/// Linux 4.15. Needs `CAP_BPF` and `CAP_NET_ADMIN` (or `CAP_SYS_ADMIN`) in the first user namespace.
///
/// # Errors
/// What the kernel says; `EACCES` or `EINVAL` for a program that the verifier refuses.
pub fn load_device_filter(program: &[Insn]) -> Result<OwnedFd, Errno> {
    let mut attr = LoadAttr {
        prog_type: PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: u32::try_from(program.len()).map_err(|_| Errno::TOOBIG)?,
        insns: program.as_ptr().addr() as u64,
        license: c"Apache-2.0".as_ptr().addr() as u64,
        log_level: 0,
        log_size: 0,
        log_buf: 0,
        kern_version: 0,
        prog_flags: 0,
        prog_name: *b"plimsoll_device\0",
        prog_ifindex: 0,
        expected_attach_type: ATTACH_CGROUP_DEVICE,
    };
    bpf(PROG_LOAD, &mut attr).map(owned)
}

/// `bpf(BPF_PROG_ATTACH, BPF_CGROUP_DEVICE)`: lets `program` judge every opening and making of a device node in
/// `cgroup` and below, in the place of `replaced` or beside what else is attached.
///
/// See <https://man7.org/linux/man-pages/man2/bpf.2.html>.
///
/// # Notes
/// Replacing needs Linux 5.6.
///
/// # Errors
/// What the kernel says; `EPERM` if an ancestor's filter was attached so that it cannot be joined.
pub fn attach_device_filter(
    cgroup: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    replaced: Option<BorrowedFd<'_>>,
) -> Result<(), Errno> {
    let mut attr = AttachAttr {
        target_fd: number(cgroup),
        attach_bpf_fd: number(program),
        attach_type: ATTACH_CGROUP_DEVICE,
        attach_flags: ALLOW_MULTI | if replaced.is_some() { REPLACE } else { 0 },
        replace_bpf_fd: replaced.map_or(0, number),
    };
    bpf(PROG_ATTACH, &mut attr).map(drop)
}

/// `bpf(BPF_PROG_DETACH, BPF_CGROUP_DEVICE)`: takes `program` away from `cgroup`.
///
/// See <https://man7.org/linux/man-pages/man2/bpf.2.html>.
///
/// # Errors
/// What the kernel says; `ENOENT` if it is not attached there.
pub fn detach_device_filter(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut attr = AttachAttr {
        target_fd: number(cgroup),
        attach_bpf_fd: number(program),
        attach_type: ATTACH_CGROUP_DEVICE,
        attach_flags: 0,
        replace_bpf_fd: 0,
    };
    bpf(PROG_DETACH, &mut attr).map(drop)
}

/// `bpf(BPF_PROG_QUERY)` and `bpf(BPF_PROG_GET_FD_BY_ID)`: the device filters attached to `cgroup` itself.
///
/// See <https://man7.org/linux/man-pages/man2/bpf.2.html>.
///
/// # Errors
/// What the kernel says.
pub fn device_filters(cgroup: BorrowedFd<'_>) -> Result<Vec<OwnedFd>, Errno> {
    let mut ids = [0_u32; 64];
    let mut attr = QueryAttr {
        target_fd: number(cgroup),
        attach_type: ATTACH_CGROUP_DEVICE,
        query_flags: 0,
        attach_flags: 0,
        prog_ids: ids.as_mut_ptr().addr() as u64,
        prog_cnt: 64,
        padding: 0,
    };
    bpf(PROG_QUERY, &mut attr)?;
    let count = (attr.prog_cnt as usize).min(ids.len());
    ids[..count]
        .iter()
        .map(|&id| {
            bpf(
                PROG_GET_FD_BY_ID,
                &mut IdAttr {
                    id,
                    next_id: 0,
                    open_flags: 0,
                },
            )
            .map(owned)
        })
        .collect()
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}
