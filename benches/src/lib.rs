//! Criterion benches of our own code.

pub mod chance;
pub mod start_latency;
