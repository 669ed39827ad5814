//! The judge: plan, drive, observe and judge; it never links what it judges.
//!
//! `plan` (pure) makes cases of specs, `drive` is the only stage that touches the world and does so inside a
//! [`guard`], `observe` looks, and `judge` (pure) says what the looks mean.

pub mod baseline;
pub mod discover;
pub mod drive;
pub mod explain;
pub mod floor;
pub mod gc;
pub mod guard;
pub mod host;
pub mod judge;
mod links;
pub mod observe;
pub mod plan;
pub mod prove;
mod reference;
pub mod requires;
pub mod run;
pub mod signal;
pub mod subject;
pub mod traffic;
pub mod wait;

pub use run::{Error, Options, Summary, run, run_with};

/// An error and its causes on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
