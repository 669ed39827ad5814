//! What a program may do before its C library starts.
//!
//! Linked with `-e plimsoll_start`, a program begins here instead of in `_start`. If it was called to start or enter a
//! container and its own file could be written, it executes itself again through a read-only mount at once, as
//! [`crate::read_only_exe::ensure`] does later in a program that is linked without this. Starting the C library takes
//! much longer than executing a program (it asks the processor for its features, and in a virtual machine each question
//! is an exit to the hypervisor), so it should happen only once.
//!
//! Nothing here may call a function of the C library, not even `memcpy`: its addresses are not filled in yet. All memory
//! is therefore read one volatile byte at a time, so that no loop is recognised as one of those functions.

use core::ptr;

core::arch::global_asm!(
    ".pushsection .text.plimsoll_start,\"ax\",@progbits",
    ".globl plimsoll_start",
    ".type plimsoll_start,@function",
    "plimsoll_start:",
    // What the kernel left in rdx and on the stack belongs to `_start`.
    "push rdx",
    "lea rdi, [rsp + 8]",
    "sub rsp, 8",
    "call {before}",
    "add rsp, 8",
    "pop rdx",
    "jmp _start",
    ".popsection",
    before = sym before,
);

const ST_RDONLY: usize = 1;
const AT_FDCWD: usize = -100_isize as usize;
const AT_EMPTY_PATH: usize = 0x1000;
/// Without `OPEN_TREE_CLOEXEC`: see [`crate::read_only_exe::ensure`].
const OPEN_TREE_CLONE: usize = 1;
/// What `mount_setattr(2)` reads: attr_set is `MOUNT_ATTR_RDONLY`. A static, because a local would be copied.
static READ_ONLY: [u64; 4] = [1, 0, 0, 0];
/// Verbs whose processes could be reached from inside a container.
static ENTERING: [&[u8]; 3] = [b"run", b"create", b"exec"];

/// Runs on the stack as the kernel made it: the number of arguments, their pointers, a null, the environment.
extern "C" fn before(stack: *const usize) {
    // SAFETY: the kernel puts the number of arguments where the stack pointer points at entry.
    let count = unsafe { ptr::read_volatile(stack) };
    // SAFETY: the pointers of the arguments follow, and their null.
    let arguments = unsafe { stack.add(1) };
    if !called_for(count, arguments) {
        return;
    }
    let path = c"/proc/self/exe".as_ptr() as usize;
    // Not zeroed: that would be a call of memset.
    let mut statfs = core::mem::MaybeUninit::<[usize; 15]>::uninit();
    let into = statfs.as_mut_ptr() as usize;
    // SAFETY: the kernel reads the path and writes 120 bytes.
    if unsafe { call(libc::SYS_statfs, path, into, 0, 0, 0) } != 0 {
        return;
    }
    // SAFETY: the tenth element is within the array.
    let f_flags = unsafe { statfs.as_ptr().cast::<usize>().add(10) };
    // SAFETY: the kernel has written the whole structure; this element is `f_flags`.
    let flags = unsafe { ptr::read_volatile(f_flags) };
    if flags & ST_RDONLY != 0 {
        return;
    }
    // SAFETY: the kernel reads the path.
    let tree = unsafe { call(libc::SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE, 0, 0) };
    if tree < 0 {
        return;
    }
    let (tree, empty) = (tree as usize, c"".as_ptr() as usize);
    let attributes = ptr::from_ref(&READ_ONLY) as usize;
    // SAFETY: the kernel reads the empty string and 32 bytes.
    if unsafe { call(libc::SYS_mount_setattr, tree, empty, AT_EMPTY_PATH, attributes, 32) } != 0 {
        return;
    }
    // SAFETY: the environment follows the arguments and their null.
    let environment = unsafe { arguments.add(count + 1) } as usize;
    // SAFETY: both arrays are the kernel's own, ended by nulls. A failure leaves all as it was, and is met again later.
    unsafe {
        call(
            libc::SYS_execveat,
            tree,
            empty,
            arguments as usize,
            environment,
            AT_EMPTY_PATH,
        )
    };
}

/// Whether this is the runtime, called for a verb that starts a process in a container.
fn called_for(count: usize, arguments: *const usize) -> bool {
    let argument = |i: usize| -> *const u8 {
        // SAFETY: callers ask for numbers below `count` only.
        let at = unsafe { arguments.add(i) };
        // SAFETY: the kernel put a pointer there.
        unsafe { ptr::read_volatile(at) as *const u8 }
    };
    if count < 2 {
        return false;
    }
    if !ends_with(argument(0), b"plimsoll-oci") && !equals(argument(1), b"oci") {
        return false;
    }
    let mut i = 1;
    while i < count {
        let mut verb = 0;
        while verb < ENTERING.len() {
            if equals(argument(i), ENTERING[verb]) {
                return true;
            }
            verb += 1;
        }
        i += 1;
    }
    false
}

fn byte(text: *const u8, at: usize) -> u8 {
    // SAFETY: callers read on only while they have not met the NUL.
    let at = unsafe { text.add(at) };
    // SAFETY: as above, the byte is part of the text or its NUL.
    unsafe { ptr::read_volatile(at) }
}

fn equals(text: *const u8, word: &[u8]) -> bool {
    let mut i = 0;
    while i < word.len() {
        if byte(text, i) != word[i] {
            return false;
        }
        i += 1;
    }
    byte(text, i) == 0
}

fn ends_with(text: *const u8, word: &[u8]) -> bool {
    let mut length = 0;
    while byte(text, length) != 0 {
        length += 1;
    }
    if length < word.len() {
        return false;
    }
    // SAFETY: the offset is within the text.
    equals(unsafe { text.add(length - word.len()) }, word)
}

/// A system call without the C library.
///
/// # Safety
/// As of the call itself.
unsafe fn call(number: libc::c_long, a: usize, b: usize, c: usize, d: usize, e: usize) -> isize {
    let result: isize;
    // SAFETY: the kernel clobbers rcx and r11 only, and memory as the caller promised.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            in("r10") d,
            in("r8") e,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}
