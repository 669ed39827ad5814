//! The system calls that rustix does not have, or not in a form fit for the time between clone and exec.

use std::ffi::CStr;
use std::io;
use std::os::fd::RawFd;
use std::ptr;

use rustix::io::Errno;
use rustix::process::Pid;

pub(super) const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
pub(super) const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// `struct clone_args` of Linux 5.7.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct CloneArgs {
    pub(super) flags: u64,
    pub(super) pidfd: u64,
    pub(super) child_tid: u64,
    pub(super) parent_tid: u64,
    pub(super) exit_signal: u64,
    pub(super) stack: u64,
    pub(super) stack_size: u64,
    pub(super) tls: u64,
    pub(super) set_tid: u64,
    pub(super) set_tid_size: u64,
    pub(super) cgroup: u64,
}

/// `syscall(SYS_clone3, args, sizeof(*args))`: the child begins in `entry(argument)` on the stack of `args`.
///
/// # Safety
/// `args.stack` is memory that nobody else uses, `args.pidfd` points to a descriptor number or is 0, and what `argument`
/// points to stays valid for as long as `entry` uses it.
#[cfg(target_arch = "x86_64")]
pub(super) unsafe fn clone3(
    args: &CloneArgs,
    entry: extern "C" fn(*const libc::c_void) -> !,
    argument: *const libc::c_void,
) -> io::Result<Pid> {
    let result: isize;
    // SAFETY: the kernel reads exactly sizeof(CloneArgs) bytes of args, which is borrowed. The parent falls through
    // with all callee-saved registers as they were; the child leaves through `entry`, which never returns.
    unsafe {
        core::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 as isize => result,
            in("rdi") ptr::from_ref(args),
            in("rsi") size_of::<CloneArgs>(),
            in("r12") argument,
            in("r13") entry,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    pid(result)
}

/// `syscall(SYS_clone3, args, sizeof(*args))`: the child begins in `entry(argument)` on the stack of `args`.
///
/// # Safety
/// As for x86-64.
#[cfg(target_arch = "aarch64")]
pub(super) unsafe fn clone3(
    args: &CloneArgs,
    entry: extern "C" fn(*const libc::c_void) -> !,
    argument: *const libc::c_void,
) -> io::Result<Pid> {
    let result: isize;
    // SAFETY: the kernel reads exactly sizeof(CloneArgs) bytes of args, which is borrowed. The parent falls through with
    // all callee-saved registers as they were; the child leaves through `entry`, which never returns.
    unsafe {
        core::arch::asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x20",
            "blr x21",
            "brk 1",
            "2:",
            inlateout("x0") ptr::from_ref(args) => result,
            in("x1") size_of::<CloneArgs>(),
            in("x8") libc::SYS_clone3,
            in("x20") argument,
            in("x21") entry,
        );
    }
    pid(result)
}

fn pid(result: isize) -> io::Result<Pid> {
    match i32::try_from(result) {
        Ok(raw) if raw > 0 => Pid::from_raw(raw).ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL)),
        Ok(errno) => Err(io::Error::from_raw_os_error(-errno)),
        Err(_) => Err(io::Error::from_raw_os_error(libc::EINVAL)),
    }
}

/// An argument of a system call, made only from integers and live borrows.
#[derive(Clone, Copy)]
pub(super) struct Arg<'a>(usize, std::marker::PhantomData<&'a ()>);

pub(super) fn int<'a>(value: i64) -> Arg<'a> {
    Arg(value as usize, std::marker::PhantomData)
}

pub(super) fn string(value: &CStr) -> Arg<'_> {
    Arg(value.as_ptr() as usize, std::marker::PhantomData)
}

pub(super) fn read<T: ?Sized>(value: &T) -> Arg<'_> {
    Arg(ptr::from_ref(value).cast::<u8>() as usize, std::marker::PhantomData)
}

pub(super) fn written<T: ?Sized>(value: &mut T) -> Arg<'_> {
    Arg(ptr::from_mut(value).cast::<u8>() as usize, std::marker::PhantomData)
}

/// One system call.
///
/// # Safety
/// The call writes only through arguments made by [`written`], and no further than the length it is given.
pub(super) unsafe fn call(number: libc::c_long, args: &[Arg<'_>]) -> Result<usize, Errno> {
    let at = |i: usize| args.get(i).map_or(0, |a| a.0);
    // SAFETY: the caller's promise; all pointers come from borrows that outlive the call.
    let result = unsafe { libc::syscall(number, at(0), at(1), at(2), at(3), at(4), at(5)) };
    if result == -1 {
        // SAFETY: every thread has an errno.
        let errno = unsafe { libc::__errno_location() };
        // SAFETY: the address of this thread's errno is valid and aligned, and no other thread writes there.
        return Err(Errno::from_raw_os_error(unsafe { *errno }));
    }
    Ok(result as usize)
}

/// `struct sigaction` as the kernel has it.
#[repr(C)]
struct KernelSigaction {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

/// Blocks all signals and returns what was blocked.
pub(super) fn block_signals() -> u64 {
    let (all, mut old) = (u64::MAX, 0_u64);
    // SAFETY: the kernel reads 8 bytes of `all` and writes 8 bytes of `old`.
    let _ = unsafe {
        call(
            libc::SYS_rt_sigprocmask,
            &[int(libc::SIG_BLOCK.into()), read(&all), written(&mut old), int(8)],
        )
    };
    old
}

/// `rt_sigprocmask(SIG_SETMASK)`.
pub(super) fn restore_signals(mask: &u64) {
    // SAFETY: the kernel reads 8 bytes of `mask`.
    let _ = unsafe {
        call(
            libc::SYS_rt_sigprocmask,
            &[int(libc::SIG_SETMASK.into()), read(mask), int(0), int(8)],
        )
    };
}

/// Every signal gets its default disposition. Never in a child that shares handlers with its parent
/// (`CLONE_SIGHAND`); sharing memory alone does not share them.
pub(super) fn default_dispositions() {
    let action = KernelSigaction {
        handler: libc::SIG_DFL,
        flags: 0,
        restorer: 0,
        mask: 0,
    };
    for signal in 1..=64 {
        if signal == libc::SIGKILL || signal == libc::SIGSTOP {
            continue;
        }
        // SAFETY: the kernel reads one sigaction, the old one is not asked for.
        let _ = unsafe {
            call(
                libc::SYS_rt_sigaction,
                &[int(signal.into()), read(&action), int(0), int(8)],
            )
        };
    }
}

/// `execve(2)`; returns only when it failed.
pub(super) fn execve(path: &CStr, vectors: &super::Vectors) -> Errno {
    // SAFETY: both arrays end with a null pointer and point to strings that `vectors` owns.
    let result = unsafe {
        call(
            libc::SYS_execve,
            &[string(path), read(&vectors.argv[..]), read(&vectors.envp[..])],
        )
    };
    result.err().unwrap_or(Errno::NOEXEC)
}

/// `exit_group(2)`.
pub(super) fn exit(status: i32) -> ! {
    loop {
        // SAFETY: takes no pointer.
        let _ = unsafe { call(libc::SYS_exit_group, &[int(status.into())]) };
    }
}

/// `close(2)` of a number that the table owns.
pub(super) fn close(fd: RawFd) {
    if fd >= 0 {
        // SAFETY: takes no pointer; the number came from a table of descriptors that only the interpreter uses.
        let _ = unsafe { call(libc::SYS_close, &[int(fd.into())]) };
    }
}

/// `fork(2)` without the C library: `Ok(0)` is the child, on a copy of this stack.
pub(super) fn fork() -> Result<i32, Errno> {
    // SAFETY: without CLONE_VM the child gets a copy of everything, and no pointers are passed.
    let pid = unsafe { call(libc::SYS_clone, &[int(libc::SIGCHLD.into())]) }?;
    Ok(pid as i32)
}

/// `ioctl(socket(AF_INET, SOCK_DGRAM), SIOCSIFFLAGS, {"lo", IFF_UP | IFF_RUNNING})`: sets the loopback interface up.
///
/// See <https://man7.org/linux/man-pages/man7/netdevice.7.html>.
pub(super) fn loopback_up() -> Result<(), Errno> {
    /// `struct ifreq` as far as `SIOCSIFFLAGS` reads it, and as large as the kernel copies it.
    #[repr(C)]
    struct InterfaceFlags {
        name: [u8; 16],
        flags: i16,
        rest: [u8; 22],
    }
    const _: () = assert!(size_of::<InterfaceFlags>() == size_of::<libc::ifreq>());
    let mut name = [0; 16];
    name[..2].copy_from_slice(b"lo");
    let up = InterfaceFlags {
        name,
        flags: (libc::IFF_UP | libc::IFF_RUNNING) as i16,
        rest: [0; 22],
    };
    let socket = rustix::net::socket_with(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?;
    // SAFETY: the kernel copies one ifreq, which is as large as `up` (asserted above), and writes none for this request.
    unsafe {
        call(
            libc::SYS_ioctl,
            &[
                int(i64::from(std::os::fd::AsRawFd::as_raw_fd(&socket))),
                int(libc::SIOCSIFFLAGS as i64),
                read(&up),
            ],
        )
    }
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clone_args_have_the_size_of_linux_5_7() {
        assert_eq!(size_of::<CloneArgs>(), 88);
        assert_eq!(std::mem::offset_of!(CloneArgs, cgroup), 80);
    }

    #[test]
    fn a_signal_mask_is_restored() {
        let mask = block_signals();
        let blocked = block_signals();
        restore_signals(&mask);
        assert_eq!(blocked, !(1 << (libc::SIGKILL - 1) | 1 << (libc::SIGSTOP - 1)));
    }
}
