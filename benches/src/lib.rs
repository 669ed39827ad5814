//! Criterion benches of our own code, what containers cost elsewhere, and how often the judge errs.

pub mod comparison;
pub mod executable;
pub mod false_alarms;
pub mod gate_eval;
pub mod generated;
pub mod start_latency;
