//! System calls by number: the instruction, and a safe way to try any of them.

use core::ffi::CStr;

use linux_raw_sys::general as nr;
use rustix::io::Errno;

use super::process::{self, Ended, Fork};

/// The bare instruction: `nr(a, b, c, d, e, f)`.
///
/// # Safety
/// The caller promises what the manual page of the call asks of its pointers, and that the call does not break an
/// invariant of this program's memory (no unmapping of what is in use).
#[inline]
pub(crate) unsafe fn raw(nr: u32, args: [usize; 6]) -> Result<usize, Errno> {
    let [a, b, c, d, e, f] = args;
    let returned: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the kernel's calling convention on x86_64; rcx and r11 are the only other registers it changes.
    // What the call does to memory is the caller's promise.
    unsafe {
        core::arch::asm!("syscall", inlateout("rax") nr as isize => returned, in("rdi") a, in("rsi") b, in("rdx") c,
            in("r10") d, in("r8") e, in("r9") f, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the kernel's calling convention on aarch64; it changes no register but x0.
    // What the call does to memory is the caller's promise.
    unsafe {
        core::arch::asm!("svc 0", in("x8") nr as usize, inlateout("x0") a => returned, in("x1") b, in("x2") c,
            in("x3") d, in("x4") e, in("x5") f, options(nostack));
    }
    if (-4095..0).contains(&returned) {
        Err(Errno::from_raw_os_error(-(returned as i32)))
    } else {
        Ok(returned as usize)
    }
}

/// One argument of a call that is tried.
pub enum Arg<'a> {
    /// A number, or a pointer the kernel is expected to refuse.
    Number(usize),
    /// A pointer to a string that ends with a zero byte.
    Text(&'a CStr),
    /// A pointer to bytes; what the kernel writes there is lost with the copy.
    Bytes(&'a mut [u8]),
}

/// What became of a call that was tried in a copy of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It returned this.
    Value(usize),
    /// It failed.
    Failed(Errno),
    /// The copy was killed by this signal, as a seccomp filter may do.
    Killed(i32),
    /// The copy ended without an answer, with this exit code: the call was one that does not return.
    Exited(i32),
}

/// `syscall(number, args…)` in a forked copy of this process, so that whatever the call does, it does to the copy.
///
/// See <https://man7.org/linux/man-pages/man2/syscall.2.html>.
///
/// # Errors
/// When the copy cannot be made: `EAGAIN` under a process limit, or what a filter says to `clone` and `pipe2`.
pub fn call_in_copy(number: u32, args: &mut [Arg<'_>]) -> Result<Outcome, Errno> {
    let mut registers = [0; 6];
    for (register, arg) in registers.iter_mut().zip(args) {
        *register = match arg {
            Arg::Number(number) => *number,
            Arg::Text(text) => text.as_ptr().addr(),
            Arg::Bytes(bytes) => bytes.as_mut_ptr().addr(),
        };
    }
    in_copy(|| {
        // SAFETY: this runs in a process that owns a copy of all memory, has no destructor left to run, and after the
        // call does nothing but hand the registers' answer to a pipe and exit: what the call did to memory is not read.
        unsafe { raw(number, registers) }
    })
}

/// Runs `work` in a forked copy of this process and tells what it returned or how the copy died.
///
/// # Errors
/// When the copy cannot be made.
pub fn in_copy(work: impl FnOnce() -> Result<usize, Errno>) -> Result<Outcome, Errno> {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    match process::fork()? {
        Fork::Child => {
            let (kind, value) = match work() {
                Ok(value) => (0_u8, value as u64),
                Err(errno) => (1, errno.raw_os_error() as u64),
            };
            let mut message = [kind, 0, 0, 0, 0, 0, 0, 0, 0];
            message[1..].copy_from_slice(&value.to_ne_bytes());
            // If this fails, the parent sees an end without an answer, which is the truth.
            let _told = rustix::io::write(&writer, &message);
            process::exit(0)
        }
        Fork::Parent(child) => {
            drop(writer);
            let mut message = [0_u8; 9];
            let told = loop {
                match rustix::io::read(&reader, &mut message) {
                    Err(Errno::INTR) => {}
                    other => break other,
                }
            };
            let ended = process::wait_for(child)?;
            let mut value = [0; 8];
            value.copy_from_slice(&message[1..]);
            let value = u64::from_ne_bytes(value);
            Ok(match (told, ended) {
                (Ok(9), _) if message[0] == 0 => Outcome::Value(value as usize),
                (Ok(9), _) => Outcome::Failed(Errno::from_raw_os_error(value as i32)),
                (_, Ended::Exited(code)) => Outcome::Exited(code),
                (_, Ended::Killed(signal)) => Outcome::Killed(signal),
            })
        }
    }
}

macro_rules! names {
    ($($name:literal = $number:ident,)*) => {
        /// Names and numbers on this architecture of the calls that specs try.
        const CALLS: &[(&str, u32)] = &[$(($name, nr::$number),)*];
    };
}

names! {
    "accept4" = __NR_accept4, "acct" = __NR_acct, "add_key" = __NR_add_key, "adjtimex" = __NR_adjtimex,
    "bind" = __NR_bind, "bpf" = __NR_bpf, "brk" = __NR_brk, "capget" = __NR_capget, "capset" = __NR_capset,
    "chdir" = __NR_chdir, "chroot" = __NR_chroot, "clock_adjtime" = __NR_clock_adjtime,
    "clock_gettime" = __NR_clock_gettime, "clock_settime" = __NR_clock_settime, "clone" = __NR_clone,
    "clone3" = __NR_clone3, "close" = __NR_close, "connect" = __NR_connect, "delete_module" = __NR_delete_module,
    "dup" = __NR_dup, "dup3" = __NR_dup3, "execve" = __NR_execve, "execveat" = __NR_execveat, "exit" = __NR_exit,
    "exit_group" = __NR_exit_group, "faccessat" = __NR_faccessat, "fanotify_init" = __NR_fanotify_init,
    "fchdir" = __NR_fchdir, "fchmod" = __NR_fchmod, "fchmodat" = __NR_fchmodat, "fchown" = __NR_fchown,
    "fchownat" = __NR_fchownat, "fcntl" = __NR_fcntl, "finit_module" = __NR_finit_module, "flock" = __NR_flock,
    "fsconfig" = __NR_fsconfig, "fsmount" = __NR_fsmount, "fsopen" = __NR_fsopen, "fspick" = __NR_fspick,
    "ftruncate" = __NR_ftruncate, "futex" = __NR_futex, "get_mempolicy" = __NR_get_mempolicy,
    "getcpu" = __NR_getcpu, "getcwd" = __NR_getcwd, "getdents64" = __NR_getdents64, "getegid" = __NR_getegid,
    "geteuid" = __NR_geteuid, "getgid" = __NR_getgid, "getgroups" = __NR_getgroups, "getitimer" = __NR_getitimer,
    "getpgid" = __NR_getpgid, "getpid" = __NR_getpid, "getppid" = __NR_getppid, "getpriority" = __NR_getpriority,
    "getrandom" = __NR_getrandom, "getresgid" = __NR_getresgid, "getresuid" = __NR_getresuid,
    "getrusage" = __NR_getrusage, "getsid" = __NR_getsid, "gettid" = __NR_gettid,
    "gettimeofday" = __NR_gettimeofday, "getuid" = __NR_getuid, "init_module" = __NR_init_module,
    "inotify_init1" = __NR_inotify_init1, "io_setup" = __NR_io_setup, "io_uring_setup" = __NR_io_uring_setup,
    "ioctl" = __NR_ioctl, "ioprio_get" = __NR_ioprio_get, "ioprio_set" = __NR_ioprio_set, "kcmp" = __NR_kcmp,
    "kexec_file_load" = __NR_kexec_file_load, "kexec_load" = __NR_kexec_load, "keyctl" = __NR_keyctl,
    "kill" = __NR_kill, "linkat" = __NR_linkat, "listen" = __NR_listen,
    "lookup_dcookie" = __NR_lookup_dcookie, "lseek" = __NR_lseek, "madvise" = __NR_madvise, "mbind" = __NR_mbind,
    "membarrier" = __NR_membarrier, "memfd_create" = __NR_memfd_create, "mincore" = __NR_mincore,
    "mkdirat" = __NR_mkdirat, "mknodat" = __NR_mknodat, "mlock" = __NR_mlock, "mlockall" = __NR_mlockall,
    "mmap" = __NR_mmap, "mount" = __NR_mount, "mount_setattr" = __NR_mount_setattr,
    "move_mount" = __NR_move_mount, "move_pages" = __NR_move_pages, "mprotect" = __NR_mprotect,
    "mq_open" = __NR_mq_open, "mq_unlink" = __NR_mq_unlink, "msgget" = __NR_msgget, "munmap" = __NR_munmap,
    "name_to_handle_at" = __NR_name_to_handle_at, "nanosleep" = __NR_nanosleep, "nfsservctl" = __NR_nfsservctl,
    "open_by_handle_at" = __NR_open_by_handle_at, "open_tree" = __NR_open_tree, "openat" = __NR_openat,
    "openat2" = __NR_openat2, "perf_event_open" = __NR_perf_event_open, "personality" = __NR_personality,
    "pidfd_getfd" = __NR_pidfd_getfd, "pidfd_open" = __NR_pidfd_open,
    "pidfd_send_signal" = __NR_pidfd_send_signal, "pipe2" = __NR_pipe2, "pivot_root" = __NR_pivot_root,
    "ppoll" = __NR_ppoll, "prctl" = __NR_prctl, "prlimit64" = __NR_prlimit64,
    "process_vm_readv" = __NR_process_vm_readv, "process_vm_writev" = __NR_process_vm_writev,
    "ptrace" = __NR_ptrace, "quotactl" = __NR_quotactl, "read" = __NR_read, "readlinkat" = __NR_readlinkat,
    "reboot" = __NR_reboot, "renameat2" = __NR_renameat2, "request_key" = __NR_request_key,
    "sched_getaffinity" = __NR_sched_getaffinity, "sched_getscheduler" = __NR_sched_getscheduler,
    "sched_setaffinity" = __NR_sched_setaffinity, "sched_setattr" = __NR_sched_setattr,
    "sched_setscheduler" = __NR_sched_setscheduler, "sched_yield" = __NR_sched_yield, "seccomp" = __NR_seccomp,
    "semget" = __NR_semget, "set_mempolicy" = __NR_set_mempolicy, "setdomainname" = __NR_setdomainname,
    "setfsgid" = __NR_setfsgid, "setfsuid" = __NR_setfsuid, "setgid" = __NR_setgid, "setgroups" = __NR_setgroups,
    "sethostname" = __NR_sethostname, "setns" = __NR_setns, "setpgid" = __NR_setpgid,
    "setpriority" = __NR_setpriority, "setregid" = __NR_setregid, "setresgid" = __NR_setresgid,
    "setresuid" = __NR_setresuid, "setreuid" = __NR_setreuid, "setsid" = __NR_setsid,
    "settimeofday" = __NR_settimeofday, "setuid" = __NR_setuid, "shmat" = __NR_shmat, "shmget" = __NR_shmget,
    "socket" = __NR_socket, "socketpair" = __NR_socketpair, "statfs" = __NR_statfs, "statx" = __NR_statx,
    "swapoff" = __NR_swapoff, "swapon" = __NR_swapon, "symlinkat" = __NR_symlinkat, "sync" = __NR_sync,
    "sysinfo" = __NR_sysinfo, "syslog" = __NR_syslog, "tgkill" = __NR_tgkill,
    "timer_create" = __NR_timer_create, "umask" = __NR_umask, "umount2" = __NR_umount2, "uname" = __NR_uname,
    "unlinkat" = __NR_unlinkat, "unshare" = __NR_unshare, "userfaultfd" = __NR_userfaultfd,
    "utimensat" = __NR_utimensat, "vhangup" = __NR_vhangup, "wait4" = __NR_wait4, "write" = __NR_write,
}

/// Calls that only the older architecture has.
#[cfg(target_arch = "x86_64")]
const OLD_CALLS: &[(&str, u32)] = &[
    ("access", nr::__NR_access),
    ("chmod", nr::__NR_chmod),
    ("chown", nr::__NR_chown),
    ("creat", nr::__NR_creat),
    ("dup2", nr::__NR_dup2),
    ("fork", nr::__NR_fork),
    ("getpgrp", nr::__NR_getpgrp),
    ("iopl", nr::__NR_iopl),
    ("ioperm", nr::__NR_ioperm),
    ("link", nr::__NR_link),
    ("mkdir", nr::__NR_mkdir),
    ("mknod", nr::__NR_mknod),
    ("modify_ldt", nr::__NR_modify_ldt),
    ("open", nr::__NR_open),
    ("pause", nr::__NR_pause),
    ("pipe", nr::__NR_pipe),
    ("poll", nr::__NR_poll),
    ("rename", nr::__NR_rename),
    ("rmdir", nr::__NR_rmdir),
    ("select", nr::__NR_select),
    ("stat", nr::__NR_stat),
    ("symlink", nr::__NR_symlink),
    ("sysfs", nr::__NR_sysfs),
    ("_sysctl", nr::__NR__sysctl),
    ("time", nr::__NR_time),
    ("unlink", nr::__NR_unlink),
    ("uselib", nr::__NR_uselib),
    ("ustat", nr::__NR_ustat),
    ("utime", nr::__NR_utime),
    ("vfork", nr::__NR_vfork),
    ("arch_prctl", nr::__NR_arch_prctl),
];
/// Calls that only the older architecture has.
#[cfg(not(target_arch = "x86_64"))]
const OLD_CALLS: &[(&str, u32)] = &[];

/// The number of the call `name` on this architecture.
#[must_use]
pub fn syscall_number(name: &str) -> Option<u32> {
    CALLS
        .iter()
        .chain(OLD_CALLS)
        .find(|(known, _)| *known == name)
        .map(|(_, number)| *number)
}

/// All names that [`syscall_number`] knows.
pub fn syscall_names() -> impl Iterator<Item = &'static str> {
    CALLS.iter().chain(OLD_CALLS).map(|(name, _)| *name)
}
