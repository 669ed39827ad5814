//! Criterion benches of our own code, and how often the judge errs.

pub mod executable;
pub mod false_alarms;
pub mod gate_eval;
pub mod start_latency;
