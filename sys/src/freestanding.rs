//! What a program needs that runs without libc, and mostly without `std`: the probe.
//!
//! Two ways to build it. With the feature `freestanding` and without `std`, this module brings `_start`, a panic
//! handler, an allocator and the memory functions that compilers call by name. Otherwise the same program stands on
//! `std`, so that ordinary builds, lints and tests see its code too. [`program!`](crate::program) hides the difference.
//!
//! Everything here assumes that the program has one thread, and starts none.

mod call;
pub mod clock;
pub mod descriptor;
pub mod device;
pub mod ipc;
pub mod memory;
pub mod process;
pub mod signal;
pub mod start;

pub use call::{Arg, Outcome, call_in_copy, in_copy, syscall_names, syscall_number};
pub use rustix;
