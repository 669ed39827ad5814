//! Every unsafe block of the workspace: one file per kernel area.
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

#[cfg(feature = "std")]
pub mod bpf;
pub mod capability;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
pub mod early;
#[cfg(feature = "std")]
pub mod fork;
pub mod freestanding;
#[cfg(feature = "std")]
pub mod hierarchy;
#[cfg(feature = "std")]
pub mod launch;
#[cfg(feature = "std")]
pub mod membarrier;
#[cfg(feature = "std")]
pub mod mount_attr;
#[cfg(feature = "std")]
pub mod mount_tree;
#[cfg(feature = "std")]
pub mod namespace;
#[cfg(feature = "std")]
pub mod packet;
#[cfg(feature = "std")]
pub mod read_only_exe;
pub mod seccomp;
#[cfg(feature = "std")]
pub mod signal_fd;
pub mod signal_name;
#[cfg(feature = "std")]
pub mod signals;
#[cfg(feature = "std")]
pub mod slice;
#[cfg(feature = "std")]
pub mod swap;
mod syscall;
