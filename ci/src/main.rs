//! cargo xtask: check, root, oracle, bench, tidy, vm.
fn main() {}
