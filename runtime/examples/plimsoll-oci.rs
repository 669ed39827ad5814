//! The runtime as a program of its own: what the tool runs when it is called as `plimsoll-oci`.

fn main() -> std::process::ExitCode {
    let code = runtime::main(std::env::args_os().skip(1));
    std::process::ExitCode::from(u8::try_from(code).unwrap_or(255))
}
