//! Links the program so that the runtime begins before the C library does (see `sys::early`), and so that one build can be told
//! from another.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("x86_64") {
        println!("cargo::rustc-link-arg-bins=-Wl,-u,plimsoll_start,-e,plimsoll_start");
    }
    println!("cargo::rustc-link-arg-bins=-Wl,--build-id=sha1");
}
