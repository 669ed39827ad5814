//! Tells the linker that the freestanding probe brings its own first instruction and needs no C library.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let has = |feature: &str| env::var_os(feature).is_some();
    if has("CARGO_FEATURE_FREESTANDING") && !has("CARGO_FEATURE_HOSTED") {
        for arg in [
            "-nostartfiles",
            "-nostdlib",
            "-static",
            "-Wl,--gc-sections",
            "-Wl,--build-id=none",
            "-Wl,-z,noseparate-code",
        ] {
            println!("cargo::rustc-link-arg-bins={arg}");
        }
    }
}
