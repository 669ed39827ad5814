//! The first instruction, the arguments, and the last word of a panic.

use alloc::vec::Vec;
use core::ffi::CStr;

/// What the kernel handed over at `execve`.
pub struct Program {
    /// The argument vector; may be empty.
    pub args: Vec<&'static CStr>,
    /// The environment, `NAME=value` each.
    pub env: Vec<&'static CStr>,
    /// `CLOCK_MONOTONIC` in nanoseconds, read before anything else was done.
    pub started: u64,
}

/// Makes `fn(Program) -> u8` the program: its result is the exit code.
#[cfg(all(feature = "freestanding", not(feature = "std")))]
#[macro_export]
macro_rules! program {
    ($main:path) => {
        /// Called by `_start`.
        #[unsafe(no_mangle)]
        extern "Rust" fn plimsoll_freestanding_main(program: $crate::freestanding::start::Program) -> u8 {
            $main(program)
        }
    };
}

/// Makes `fn(Program) -> u8` the program: its result is the exit code.
#[cfg(not(all(feature = "freestanding", not(feature = "std"))))]
#[macro_export]
macro_rules! program {
    ($main:path) => {
        fn main() -> std::process::ExitCode {
            std::process::ExitCode::from($main($crate::freestanding::start::Program::of_std()))
        }
    };
}

#[cfg(feature = "std")]
impl Program {
    /// The same, as `std` tells it.
    #[must_use]
    pub fn of_std() -> Program {
        use std::{ffi::CString, os::unix::ffi::OsStringExt};
        let started = super::clock::monotonic();
        let keep = |bytes: Vec<u8>| {
            CString::new(bytes)
                .ok()
                .map(|text| &*std::boxed::Box::leak(text.into_boxed_c_str()))
        };
        let args = std::env::args_os().filter_map(|arg| keep(arg.into_vec())).collect();
        let env = std::env::vars_os()
            .filter_map(|(name, value)| {
                let mut line = name.into_vec();
                line.push(b'=');
                line.extend(value.into_vec());
                keep(line)
            })
            .collect();
        Program { args, env, started }
    }
}

#[cfg(all(feature = "freestanding", not(feature = "std")))]
mod bare {
    use core::{
        ffi::{CStr, c_char},
        fmt::Write as _,
        panic::PanicInfo,
    };

    use alloc::vec::Vec;

    use super::Program;
    use crate::freestanding::{clock, descriptor, process};

    #[cfg(target_arch = "x86_64")]
    core::arch::global_asm!(
        ".globl _start", "_start:", "xor %ebp, %ebp", "mov %rsp, %rdi", "and $-16, %rsp", "call {entry}", "ud2",
        entry = sym entry, options(att_syntax)
    );

    #[cfg(target_arch = "aarch64")]
    core::arch::global_asm!(
        ".globl _start", "_start:", "mov x29, #0", "mov x30, #0", "mov x0, sp", "and sp, x0, #-16", "bl {entry}",
        "brk #1", entry = sym entry
    );

    unsafe extern "Rust" {
        /// What [`program!`](crate::program) defines, once.
        safe fn plimsoll_freestanding_main(program: Program) -> u8;
    }

    /// Reads `argc argv… NULL env… NULL` off the first stack.
    extern "C" fn entry(stack: *const usize) -> ! {
        let started = clock::monotonic();
        // SAFETY: `_start` passes the stack pointer of process entry, where the kernel put argc as a whole word.
        let count = unsafe { stack.read() };
        // SAFETY: argv follows argc on that stack and is mapped as long as the process lives.
        let argv: *const *const c_char = unsafe { stack.add(1) }.cast();
        // SAFETY: argv ends with a null pointer at index `count`.
        let args = unsafe { strings(argv) };
        // SAFETY: the environment follows that null pointer.
        let envp = unsafe { argv.add(count + 1) };
        // SAFETY: the environment, too, ends with a null pointer.
        let env = unsafe { strings(envp) };
        let code = plimsoll_freestanding_main(Program { args, env, started });
        process::exit(i32::from(code))
    }

    /// The strings of a vector that ends with a null pointer.
    ///
    /// # Safety
    /// `vector` points to pointers to strings that live as long as the process, and then to a null pointer.
    unsafe fn strings(mut vector: *const *const c_char) -> Vec<&'static CStr> {
        let mut all = Vec::new();
        loop {
            // SAFETY: not past the null pointer, which ends the loop.
            let text = unsafe { vector.read() };
            if text.is_null() {
                return all;
            }
            // SAFETY: the kernel ends each string with a zero byte, and the caller says they live.
            all.push(unsafe { CStr::from_ptr(text) });
            // SAFETY: there is at least the null pointer behind a string's pointer.
            vector = unsafe { vector.add(1) };
        }
    }

    /// Standard error, unbuffered.
    struct Stderr;

    impl core::fmt::Write for Stderr {
        fn write_str(&mut self, text: &str) -> core::fmt::Result {
            let stderr = descriptor::inherited(2).map_err(|_| core::fmt::Error)?;
            rustix::io::write(stderr, text.as_bytes()).map_or(Err(core::fmt::Error), |_| Ok(()))
        }
    }

    #[panic_handler]
    fn panicked(info: &PanicInfo<'_>) -> ! {
        // There is nobody left to tell when standard error is closed.
        let _told = writeln!(Stderr, "probe: {info}");
        process::exit(101)
    }

    /// Named by code that was compiled to unwind; nothing unwinds here.
    #[unsafe(no_mangle)]
    extern "C" fn rust_eh_personality() {}

    /// Named by code that was compiled to unwind; nothing unwinds here.
    #[unsafe(no_mangle)]
    extern "C" fn _Unwind_Resume() -> ! {
        process::exit(101)
    }
}
