//! Processes: copying, replacing and ending this one, and the facts that only it can ask for.

use alloc::vec::Vec;
use core::{ffi::CStr, ptr};

use linux_raw_sys::general::{
    __NR_clone, __NR_execve, __NR_exit_group, __NR_getcpu, __NR_getresgid, __NR_getresuid, __NR_ioprio_get,
    __NR_personality, __NR_prctl, __NR_sched_getscheduler, __NR_wait4, SIGCHLD,
};
use rustix::{
    io::Errno,
    process::{Pid, getppid},
};

use super::call::raw;

/// Which of the two processes this is.
pub enum Fork {
    /// The new one.
    Child,
    /// The old one, and the new one's number.
    Parent(i32),
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It called `exit` with this code.
    Exited(i32),
    /// This signal killed it.
    Killed(i32),
}

/// `clone(SIGCHLD, NULL, …)`: a copy of this process with a copy of its memory, as `fork` makes it.
///
/// See <https://man7.org/linux/man-pages/man2/clone.2.html>.
///
/// # Errors
/// `EAGAIN` under a process limit, `ENOMEM`.
pub fn fork() -> Result<Fork, Errno> {
    // SAFETY: without CLONE_VM the child gets its own copy of memory and goes on on its copy of this stack, and as the
    // program has one thread, no lock is held by a thread that the child lacks.
    let pid = unsafe { raw(__NR_clone, [SIGCHLD as usize, 0, 0, 0, 0, 0]) }?;
    Ok(if pid == 0 {
        Fork::Child
    } else {
        Fork::Parent(pid as i32)
    })
}

/// `clone(flags|SIGCHLD, NULL, …)`: [`fork`] into new namespaces.
///
/// # Errors
/// Those of `fork`, and `EPERM`, `EINVAL` and `ENOSPC` for namespaces that cannot be had.
pub fn fork_into(namespaces: u32) -> Result<Fork, Errno> {
    const NAMESPACES: u32 = 0x7e02_0080;
    // SAFETY: as in `fork`; the flags are limited to those that make namespaces, so memory and stack are never shared.
    let pid = unsafe {
        raw(
            __NR_clone,
            [(SIGCHLD | (namespaces & NAMESPACES)) as usize, 0, 0, 0, 0, 0],
        )
    }?;
    Ok(if pid == 0 {
        Fork::Child
    } else {
        Fork::Parent(pid as i32)
    })
}

/// `exit_group(code)`: ends this process at once.
///
/// See <https://man7.org/linux/man-pages/man2/exit_group.2.html>.
pub fn exit(code: i32) -> ! {
    loop {
        // SAFETY: takes no pointer, and does not return.
        let _never = unsafe { raw(__NR_exit_group, [code as usize, 0, 0, 0, 0, 0]) };
    }
}

/// `execve(path, args, env)`: becomes another program, or tells why not.
///
/// See <https://man7.org/linux/man-pages/man2/execve.2.html>.
#[must_use]
pub fn exec(path: &CStr, args: &[&CStr], env: &[&CStr]) -> Errno {
    let vector = |texts: &[&CStr]| -> Vec<*const u8> {
        texts
            .iter()
            .map(|text| text.as_ptr().cast())
            .chain([ptr::null()])
            .collect()
    };
    let (args, env) = (vector(args), vector(env));
    // SAFETY: `path` is a string, `args` and `env` are vectors of strings that end with a null pointer, and all of them
    // outlive the call, which returns only if it failed.
    let answer = unsafe {
        raw(
            __NR_execve,
            [path.as_ptr().addr(), args.as_ptr().addr(), env.as_ptr().addr(), 0, 0, 0],
        )
    };
    answer.err().unwrap_or(Errno::INVAL)
}

/// `wait4(pid, &status, options, NULL)`.
fn wait4(pid: i32, options: usize) -> Result<Option<(i32, Ended)>, Errno> {
    let mut status = 0_i32;
    let status_at = ptr::from_mut(&mut status);
    // SAFETY: the kernel writes one int at `status`; the usage pointer is null.
    let pid = unsafe {
        raw(
            __NR_wait4,
            [pid as usize, status_at.expose_provenance(), options, 0, 0, 0],
        )
    }?;
    let ended = match status & 0x7f {
        0 => Ended::Exited((status >> 8) & 0xff),
        signal => Ended::Killed(signal),
    };
    Ok((pid != 0).then_some((pid as i32, ended)))
}

/// `wait4(pid, &status, 0, NULL)`: waits until the child `pid` ended.
///
/// See <https://man7.org/linux/man-pages/man2/wait4.2.html>.
///
/// # Errors
/// `ECHILD` if it is no child, or was waited for already.
pub fn wait_for(pid: i32) -> Result<Ended, Errno> {
    loop {
        match wait4(pid, 0) {
            Ok(Some((_, ended))) => return Ok(ended),
            Ok(None) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// `wait4(-1, &status, WNOHANG, NULL)`: one child that ended, if there is one.
///
/// # Errors
/// `ECHILD` without children.
pub fn reap() -> Result<Option<(i32, Ended)>, Errno> {
    wait4(-1, 1)
}

/// `getresuid(&real, &effective, &saved)`.
///
/// See <https://man7.org/linux/man-pages/man2/getresuid.2.html>.
#[must_use]
pub fn user_ids() -> [u32; 3] {
    three(__NR_getresuid)
}

/// `getresgid(&real, &effective, &saved)`.
///
/// See <https://man7.org/linux/man-pages/man2/getresuid.2.html>.
#[must_use]
pub fn group_ids() -> [u32; 3] {
    three(__NR_getresgid)
}

/// The three numbers that `getresuid` or `getresgid` writes.
fn three(number: u32) -> [u32; 3] {
    let mut ids = [u32::MAX; 3];
    let at = ids.as_mut_ptr().expose_provenance();
    // SAFETY: both calls write three unsigned ints, at the addresses of the three elements.
    let told = unsafe { raw(number, [at, at + 4, at + 8, 0, 0, 0]) };
    debug_assert!(told.is_ok(), "asking for one's own ids does not fail");
    ids
}

/// `personality(0xffffffff)`: the execution domain, unchanged.
///
/// See <https://man7.org/linux/man-pages/man2/personality.2.html>.
///
/// # Errors
/// What a seccomp filter says.
pub fn personality() -> Result<u32, Errno> {
    // SAFETY: takes no pointer, and this argument changes nothing.
    unsafe { raw(__NR_personality, [0xffff_ffff, 0, 0, 0, 0, 0]) }.map(|persona| persona as u32)
}

/// `ioprio_get(IOPRIO_WHO_PROCESS, 0)`: class and level of this process' io.
///
/// See <https://man7.org/linux/man-pages/man2/ioprio_set.2.html>.
///
/// # Errors
/// What a seccomp filter says.
pub fn io_priority() -> Result<(u32, u32), Errno> {
    // SAFETY: takes no pointer.
    unsafe { raw(__NR_ioprio_get, [1, 0, 0, 0, 0, 0]) }.map(|both| ((both >> 13) as u32, both as u32 & 0x1fff))
}

/// `sched_getscheduler(0)`: the number of the scheduling policy.
///
/// See <https://man7.org/linux/man-pages/man2/sched_setscheduler.2.html>.
///
/// # Errors
/// What a seccomp filter says.
pub fn scheduling_policy() -> Result<u32, Errno> {
    // SAFETY: takes no pointer.
    unsafe { raw(__NR_sched_getscheduler, [0; 6]) }.map(|policy| policy as u32)
}

/// `getcpu(&cpu, &node, NULL)`: where this runs right now.
///
/// See <https://man7.org/linux/man-pages/man2/getcpu.2.html>.
///
/// # Errors
/// What a seccomp filter says.
pub fn cpu_and_node() -> Result<(u32, u32), Errno> {
    let mut both = [0_u32; 2];
    let at = both.as_mut_ptr().expose_provenance();
    // SAFETY: writes one unsigned int at each of the two addresses, the elements of `both`.
    unsafe { raw(__NR_getcpu, [at, at + 4, 0, 0, 0, 0]) }?;
    Ok((both[0], both[1]))
}

/// `prctl(option, argument, 0, 0, 0)` for the options that only read and take numbers.
fn prctl_read(option: u32, argument: u32) -> Result<u32, Errno> {
    // SAFETY: called only with options below that take no pointer and change nothing.
    unsafe { raw(__NR_prctl, [option as usize, argument as usize, 0, 0, 0, 0]) }.map(|answer| answer as u32)
}

/// `prctl(PR_GET_NO_NEW_PRIVS)`. See <https://man7.org/linux/man-pages/man2/PR_GET_NO_NEW_PRIVS.2const.html>.
///
/// # Errors
/// What a seccomp filter says.
pub fn no_new_privileges() -> Result<bool, Errno> {
    prctl_read(39, 0).map(|set| set == 1)
}

/// `prctl(PR_GET_SECCOMP)`: 0 off, 1 strict, 2 filter.
///
/// # Errors
/// What a seccomp filter says. In strict mode the kernel kills the caller.
pub fn seccomp_mode() -> Result<u32, Errno> {
    prctl_read(21, 0)
}

/// `prctl(PR_GET_DUMPABLE)`: 0 no, 1 yes, 2 readable by root only.
///
/// # Errors
/// What a seccomp filter says.
pub fn dumpable() -> Result<u32, Errno> {
    prctl_read(3, 0)
}

/// `prctl(PR_CAPBSET_READ, capability)`: whether the bounding set holds it.
///
/// # Errors
/// `EINVAL` for a capability the kernel does not know.
pub fn in_bounding_set(capability: u32) -> Result<bool, Errno> {
    prctl_read(23, capability).map(|set| set == 1)
}

/// `prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, capability)`.
///
/// # Errors
/// `EINVAL` for a capability the kernel does not know, or before Linux 4.3.
pub fn in_ambient_set(capability: u32) -> Result<bool, Errno> {
    // SAFETY: PR_CAP_AMBIENT_IS_SET takes numbers and changes nothing.
    unsafe { raw(__NR_prctl, [47, 1, capability as usize, 0, 0, 0]) }.map(|set| set == 1)
}

/// `prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)`.
///
/// # Errors
/// `EPERM` if it is not both permitted and inheritable.
pub fn raise_ambient(capability: u32) -> Result<(), Errno> {
    // SAFETY: PR_CAP_AMBIENT_RAISE takes numbers.
    unsafe { raw(__NR_prctl, [47, 2, capability as usize, 0, 0, 0]) }.map(|_| ())
}

/// `prctl(PR_SET_PDEATHSIG, SIGKILL)`: this process dies when its parent, which must be `parent`, does.
///
/// # Errors
/// `ESRCH` if the parent is gone already, so that its death would not be noticed; what a seccomp filter says.
pub fn die_with(parent: Pid) -> Result<(), Errno> {
    // SAFETY: PR_SET_PDEATHSIG takes a number.
    unsafe { raw(__NR_prctl, [1, 9, 0, 0, 0, 0]) }?;
    if getppid() == Some(parent) {
        Ok(())
    } else {
        Err(Errno::SRCH)
    }
}

/// `prctl(PR_SET_CHILD_SUBREAPER, 1)`: orphaned descendants become children of this process.
///
/// # Errors
/// What a seccomp filter says.
pub fn become_subreaper() -> Result<(), Errno> {
    // SAFETY: PR_SET_CHILD_SUBREAPER takes a number.
    unsafe { raw(__NR_prctl, [36, 1, 0, 0, 0, 0]) }.map(|_| ())
}
