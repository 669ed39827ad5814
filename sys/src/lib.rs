//! Every unsafe block of the workspace: one file per kernel area.
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

#[cfg(feature = "std")]
pub mod bpf;
#[cfg(feature = "std")]
pub mod fork;
pub mod freestanding;
#[cfg(feature = "std")]
pub mod launch;
#[cfg(feature = "std")]
pub mod mount_attr;
#[cfg(feature = "std")]
pub mod signals;
pub mod seccomp;
mod syscall;
