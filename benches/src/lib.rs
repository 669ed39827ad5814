//! Criterion benches of our own code.
