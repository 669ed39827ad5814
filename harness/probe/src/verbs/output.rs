//! `hello`.

use sys::freestanding::descriptor;

use crate::call::{self, Call, Failure};

/// Writes six bytes.
pub(super) fn hello(_call: &Call) -> Result<u8, Failure> {
    let stdout = descriptor::inherited(1).map_err(Failure::of("write to standard output"))?;
    call::write_all(stdout, b"hello\n").map_err(Failure::of("write to standard output"))?;
    Ok(0)
}
