//! The scheduler from outside: objects in, decisions out.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "it/filters.rs"]
mod filters;
#[path = "it/invariants.rs"]
mod invariants;
#[path = "it/lab.rs"]
mod lab;
#[path = "it/preemption.rs"]
mod preemption;
#[path = "it/scores.rs"]
mod scores;
#[path = "it/waiting.rs"]
mod waiting;
