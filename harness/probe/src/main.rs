//! The static binary that runs inside containers.
#![cfg_attr(not(feature = "hosted"), no_std, no_main)]

extern crate alloc;

use sys::freestanding::start::Program;

sys::program!(run);

fn run(program: Program) -> u8 {
    let text = alloc::format!("{:?} {}\n", program.args, program.started);
    let _ = sys::freestanding::rustix::io::write(sys::freestanding::descriptor::inherited(1).unwrap(), text.as_bytes());
    program.args.len() as u8
}
