//! The static binary that runs inside containers.
fn main() {}
