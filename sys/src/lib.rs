//! Every unsafe block of the workspace: one file per kernel area.
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

pub mod freestanding;
#[cfg(feature = "std")]
pub mod fork;
#[cfg(feature = "std")]
pub mod mount_attr;
#[cfg(feature = "std")]
pub mod signals;
