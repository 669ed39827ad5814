//! Signals without libc: dispositions, masks, and waiting.

use core::ptr;

use linux_raw_sys::general::{
    __NR_exit_group, __NR_kill, __NR_ppoll, __NR_rt_sigaction, __NR_rt_sigprocmask, __NR_rt_sigtimedwait, SA_RESTART,
};
use rustix::io::Errno;

use super::call::raw;

/// What happens when a signal comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// What the kernel does by default.
    Default,
    /// Nothing.
    Ignored,
    /// A handler runs.
    Caught,
}

/// What to do when a signal comes.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    /// Back to the kernel's default.
    Default,
    /// Ignore it.
    Ignore,
    /// Catch it and do nothing, so that it interrupts what waits.
    Interrupt,
    /// End with 128 plus its number, as a shell would tell it; also for PID 1, which the default does not touch.
    Exit,
}

/// A set of signals; bit `n - 1` stands for signal `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Set(pub u64);

impl Set {
    /// With `signal` in it.
    #[must_use]
    pub fn with(self, signal: u32) -> Set {
        Set(self.0 | 1_u64 << ((signal.max(1) - 1) & 63))
    }

    /// Whether `signal` is in it.
    #[must_use]
    pub fn has(self, signal: u32) -> bool {
        self.0 & Set::default().with(signal).0 != 0
    }
}

/// A signal that was taken.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Its number.
    pub signal: u32,
    /// `si_code`: 0 by `kill`, above 0 by the kernel.
    pub code: i32,
    /// Who sent it, as this PID namespace numbers it; 0 from outside.
    pub pid: i32,
    /// The real user id of the sender.
    pub uid: u32,
}

/// The kernel's `struct sigaction` on 64-bit machines.
#[repr(C)]
#[derive(Clone, Copy)]
struct KernelAction {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".local plimsoll_restore_signal_frame",
    "plimsoll_restore_signal_frame:",
    "mov $15, %eax",
    "syscall",
    options(att_syntax)
);

#[cfg(target_arch = "x86_64")]
unsafe extern "C" {
    /// Returns from a handler: `rt_sigreturn`. Called by the kernel only.
    fn plimsoll_restore_signal_frame();
}

/// Ends the process with 128 plus the signal's number; makes only a system call.
extern "C" fn exit_on_signal(signal: i32) {
    // SAFETY: takes no pointer, and does not return.
    let _never = unsafe { raw(__NR_exit_group, [128 + signal as usize, 0, 0, 0, 0, 0]) };
}

/// Does nothing: that it ran is what interrupts a waiting call.
extern "C" fn do_nothing(_signal: i32) {}

/// `rt_sigaction(signal, action, &old, 8)`.
fn sigaction(signal: u32, new: Option<&KernelAction>) -> Result<KernelAction, Errno> {
    let mut old = KernelAction {
        handler: 0,
        flags: 0,
        restorer: 0,
        mask: 0,
    };
    let new = new.map_or(0, |action| ptr::from_ref(action).expose_provenance());
    let old_at = ptr::from_mut(&mut old).expose_provenance();
    // SAFETY: `new` is null or a whole kernel sigaction whose handler only makes a system call or returns, and the
    // kernel writes the same struct into `old`; both outlive the call.
    unsafe { raw(__NR_rt_sigaction, [signal as usize, new, old_at, 8, 0, 0]) }?;
    Ok(old)
}

/// `rt_sigaction(signal, NULL, &now, 8)`: what happens when `signal` comes, without /proc.
///
/// See <https://man7.org/linux/man-pages/man2/rt_sigaction.2.html>.
///
/// # Errors
/// `EINVAL` for a number that is no signal.
pub fn disposition(signal: u32) -> Result<Disposition, Errno> {
    sigaction(signal, None).map(|now| match now.handler {
        0 => Disposition::Default,
        1 => Disposition::Ignored,
        _ => Disposition::Caught,
    })
}

/// `rt_sigaction(signal, &action, NULL, 8)`.
///
/// # Errors
/// `EINVAL` for SIGKILL, SIGSTOP and numbers that are no signal.
pub fn set(signal: u32, action: Action) -> Result<(), Errno> {
    /// The kernel is told how to return from a handler.
    #[cfg(target_arch = "x86_64")]
    const SA_RESTORER: u64 = 0x0400_0000;
    let (handler, flags) = match action {
        Action::Default => (0, 0),
        Action::Ignore => (1, 0),
        Action::Interrupt => (do_nothing as *const () as usize, 0),
        Action::Exit => (exit_on_signal as *const () as usize, u64::from(SA_RESTART)),
    };
    #[cfg(target_arch = "x86_64")]
    let (flags, restorer) = (flags | SA_RESTORER, plimsoll_restore_signal_frame as *const () as usize);
    #[cfg(not(target_arch = "x86_64"))]
    let restorer = 0;
    sigaction(
        signal,
        Some(&KernelAction {
            handler,
            flags,
            restorer,
            mask: 0,
        }),
    )
    .map(|_| ())
}

/// `rt_sigprocmask(how, &set, &old, 8)`.
fn sigprocmask(how: usize, set: Option<Set>) -> Result<Set, Errno> {
    let mut old = Set::default();
    let new = set.as_ref().map_or(0, |set| ptr::from_ref(&set.0).expose_provenance());
    let old_at = ptr::from_mut(&mut old.0).expose_provenance();
    // SAFETY: reads 8 bytes at `new` unless it is null and writes 8 bytes at `old`; both outlive the call.
    unsafe { raw(__NR_rt_sigprocmask, [how, new, old_at, 8, 0, 0]) }?;
    Ok(old)
}

/// `rt_sigprocmask(SIG_BLOCK, NULL, &now, 8)`: the blocked signals.
///
/// See <https://man7.org/linux/man-pages/man2/rt_sigprocmask.2.html>.
///
/// # Errors
/// What a seccomp filter says.
pub fn blocked() -> Result<Set, Errno> {
    sigprocmask(0, None)
}

/// `rt_sigprocmask(SIG_SETMASK, &set, &old, 8)`: replaces the blocked signals and returns the old ones.
///
/// # Errors
/// What a seccomp filter says.
pub fn set_blocked(set: Set) -> Result<Set, Errno> {
    sigprocmask(2, Some(set))
}

/// Seconds and nanoseconds, as the kernel reads them.
fn timespec(nanoseconds: u64) -> [u64; 2] {
    [nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000]
}

/// `rt_sigtimedwait(&set, &info, &timeout, 8)`: takes one blocked signal of `set`, or `None` when the time is over.
///
/// See <https://man7.org/linux/man-pages/man2/rt_sigtimedwait.2.html>.
///
/// # Errors
/// `EINTR` when a signal outside `set` was handled.
pub fn take(set: Set, timeout: Option<u64>) -> Result<Option<Taken>, Errno> {
    let mut info = [0_i32; 32];
    let time = timeout.map(timespec);
    let time_at = time.as_ref().map_or(0, |time| time.as_ptr().expose_provenance());
    let set_at = ptr::from_ref(&set.0).expose_provenance();
    let info_at = info.as_mut_ptr().expose_provenance();
    // SAFETY: reads 8 bytes of the set and a timespec unless null, and writes one siginfo of 128 bytes, the size of
    // `info`; all outlive the call.
    match unsafe { raw(__NR_rt_sigtimedwait, [set_at, info_at, time_at, 8, 0, 0]) } {
        Ok(signal) => Ok(Some(Taken {
            signal: signal as u32,
            code: info[2],
            pid: info[4],
            uid: info[5] as u32,
        })),
        Err(Errno::AGAIN) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// `ppoll(NULL, 0, &timeout, &unblocked, 8)`: sleeps until a signal was handled (`true`) or the time is over, with
/// `mask` as the blocked signals meanwhile.
///
/// See <https://man7.org/linux/man-pages/man2/ppoll.2.html>.
pub fn sleep_with(mask: Set, timeout: Option<u64>) -> bool {
    // The kernel writes the rest of the time back.
    let mut time = timeout.map(timespec);
    let time_at = time.as_mut().map_or(0, |time| time.as_mut_ptr().expose_provenance());
    let mask_at = ptr::from_ref(&mask.0).expose_provenance();
    // SAFETY: no descriptors; reads and writes a timespec unless null, and reads 8 bytes of the mask; both outlive it.
    let slept = unsafe { raw(__NR_ppoll, [0, 0, time_at, mask_at, 8, 0]) };
    slept == Err(Errno::INTR)
}

/// `kill(pid, signal)`, with all the meanings `pid` can have.
///
/// See <https://man7.org/linux/man-pages/man2/kill.2.html>.
///
/// # Errors
/// `ESRCH`, `EPERM`, `EINVAL`.
pub fn send(pid: i32, signal: u32) -> Result<(), Errno> {
    // SAFETY: takes no pointer.
    unsafe { raw(__NR_kill, [pid as usize, signal as usize, 0, 0, 0, 0]) }.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_sigaction_has_the_layout_of_the_header() {
        assert_eq!(
            size_of::<KernelAction>(),
            size_of::<linux_raw_sys::general::kernel_sigaction>()
        );
        assert_eq!(
            core::mem::offset_of!(KernelAction, mask),
            core::mem::offset_of!(linux_raw_sys::general::kernel_sigaction, sa_mask)
        );
    }
}
