//! A declarative testing and benchmarking harness for container stacks.
fn main() {}
