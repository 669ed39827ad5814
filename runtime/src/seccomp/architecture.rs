//! The architectures whose system calls one kernel takes, and their numbers.

use oci_spec::runtime::Arch;
#[cfg(target_arch = "aarch64")]
use syscalls::{aarch64, arm};
#[cfg(target_arch = "x86_64")]
use syscalls::{x86, x86_64};

/// An architecture that programs on this host may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Architecture {
    #[cfg(target_arch = "x86_64")]
    X86_64,
    #[cfg(target_arch = "x86_64")]
    X86,
    /// 32-bit pointers on x86_64: told from it only by a bit of the number.
    #[cfg(target_arch = "x86_64")]
    X32,
    #[cfg(target_arch = "aarch64")]
    Aarch64,
    #[cfg(target_arch = "aarch64")]
    Arm,
}

/// The bit of the number that says x32.
pub(super) const X32_BIT: u32 = 0x4000_0000;

impl Architecture {
    #[cfg(target_arch = "x86_64")]
    pub(super) const NATIVE: Self = Self::X86_64;
    #[cfg(target_arch = "aarch64")]
    pub(super) const NATIVE: Self = Self::Aarch64;

    /// The architecture of a profile, or none if this host cannot run it, so that its calls never come.
    pub(super) fn of(arch: Arch) -> Option<Self> {
        match arch {
            Arch::ScmpArchNative => Some(Self::NATIVE),
            #[cfg(target_arch = "x86_64")]
            Arch::ScmpArchX86_64 => Some(Self::X86_64),
            #[cfg(target_arch = "x86_64")]
            Arch::ScmpArchX86 => Some(Self::X86),
            #[cfg(target_arch = "x86_64")]
            Arch::ScmpArchX32 => Some(Self::X32),
            #[cfg(target_arch = "aarch64")]
            Arch::ScmpArchAarch64 => Some(Self::Aarch64),
            #[cfg(target_arch = "aarch64")]
            Arch::ScmpArchArm => Some(Self::Arm),
            _ => None,
        }
    }

    /// `AUDIT_ARCH_…` of `linux/audit.h`, which the kernel tells the filter.
    pub(super) fn audit(self) -> u32 {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::X86_64 | Self::X32 => 0xc000_003e,
            #[cfg(target_arch = "x86_64")]
            Self::X86 => 0x4000_0003,
            #[cfg(target_arch = "aarch64")]
            Self::Aarch64 => 0xc000_00b7,
            #[cfg(target_arch = "aarch64")]
            Self::Arm => 0x4000_0028,
        }
    }

    /// Whether the calls of this architecture come with the audit number of another one.
    pub(super) fn is_x32(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return self == Self::X32;
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// Whether the calls of x32 come with this architecture's audit number.
    pub(super) fn has_x32(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return self == Self::X86_64;
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// Whether arguments have 32 bits: a value that stands for a negative number then means its lower half.
    pub(super) fn is_32_bit(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::X86_64 => false,
            #[cfg(target_arch = "aarch64")]
            Self::Aarch64 => false,
            _ => true,
        }
    }

    /// The number of the call `name`.
    pub(super) fn number(self, name: &str) -> Option<u32> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::X86_64 => name.parse::<x86_64::Sysno>().ok().map(|call| call as u32),
            #[cfg(target_arch = "x86_64")]
            Self::X86 => name.parse::<x86::Sysno>().ok().map(|call| call as u32),
            #[cfg(target_arch = "x86_64")]
            Self::X32 => x32(name),
            #[cfg(target_arch = "aarch64")]
            Self::Aarch64 => name.parse::<aarch64::Sysno>().ok().map(|call| call as u32),
            #[cfg(target_arch = "aarch64")]
            Self::Arm => name.parse::<arm::Sysno>().ok().map(|call| call as u32),
        }
    }

    /// The other way to make the call `name`, by a number in the first argument of another call: socketcall(2) and
    /// ipc(2).
    pub(super) fn multiplexed(self, name: &str) -> Option<(u32, u64)> {
        #[cfg(target_arch = "x86_64")]
        if self == Self::X86 {
            let at = |names: &[(&str, u64)]| {
                names
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, number)| *number)
            };
            return at(&SOCKETCALLS)
                .map(|number| (x86::Sysno::socketcall as u32, number))
                .or_else(|| at(&IPC_CALLS).map(|number| (x86::Sysno::ipc as u32, number)));
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _: &str = name;
        None
    }
}

/// `SYS_…` of `linux/net.h`.
#[cfg(target_arch = "x86_64")]
const SOCKETCALLS: [(&str, u64); 20] = [
    ("socket", 1),
    ("bind", 2),
    ("connect", 3),
    ("listen", 4),
    ("accept", 5),
    ("getsockname", 6),
    ("getpeername", 7),
    ("socketpair", 8),
    ("send", 9),
    ("recv", 10),
    ("sendto", 11),
    ("recvfrom", 12),
    ("shutdown", 13),
    ("setsockopt", 14),
    ("getsockopt", 15),
    ("sendmsg", 16),
    ("recvmsg", 17),
    ("accept4", 18),
    ("recvmmsg", 19),
    ("sendmmsg", 20),
];

/// `SEMOP` and so on of `linux/ipc.h`.
#[cfg(target_arch = "x86_64")]
const IPC_CALLS: [(&str, u64); 12] = [
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

/// The calls that x32 has under numbers of its own, because they carry pointers in memory; from 512 on, in this order.
/// (`arch/x86/entry/syscalls/syscall_64.tbl`)
#[cfg(target_arch = "x86_64")]
const X32_CALLS: [&str; 36] = [
    "rt_sigaction",
    "rt_sigreturn",
    "ioctl",
    "readv",
    "writev",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "execve",
    "ptrace",
    "rt_sigpending",
    "rt_sigtimedwait",
    "rt_sigqueueinfo",
    "sigaltstack",
    "timer_create",
    "mq_notify",
    "kexec_load",
    "waitid",
    "set_robust_list",
    "get_robust_list",
    "vmsplice",
    "move_pages",
    "preadv",
    "pwritev",
    "rt_tgsigqueueinfo",
    "recvmmsg",
    "sendmmsg",
    "process_vm_readv",
    "process_vm_writev",
    "setsockopt",
    "getsockopt",
    "io_setup",
    "io_submit",
    "execveat",
    "preadv2",
    "pwritev2",
];

/// Calls that x86_64 has and x32 has not.
#[cfg(target_arch = "x86_64")]
const NOT_X32: [&str; 11] = [
    "_sysctl",
    "create_module",
    "epoll_ctl_old",
    "epoll_wait_old",
    "get_kernel_syms",
    "get_thread_area",
    "nfsservctl",
    "query_module",
    "set_thread_area",
    "uselib",
    "vserver",
];

#[cfg(target_arch = "x86_64")]
fn x32(name: &str) -> Option<u32> {
    if let Some(index) = X32_CALLS.iter().position(|known| *known == name) {
        return u32::try_from(512 + index).ok().map(|number| number | X32_BIT);
    }
    if NOT_X32.contains(&name) {
        return None;
    }
    name.parse::<x86_64::Sysno>().ok().map(|call| call as u32 | X32_BIT)
}
