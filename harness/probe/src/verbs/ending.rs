//! `true`, `false`, `exit`.

use alloc::format;

use crate::call::{Call, Failure};

/// Exits with 0.
#[expect(clippy::unnecessary_wraps, reason = "verbs have one type")]
pub(super) fn succeed(_call: &Call) -> Result<u8, Failure> {
    Ok(0)
}

/// Exits with 1.
#[expect(clippy::unnecessary_wraps, reason = "verbs have one type")]
pub(super) fn fail(_call: &Call) -> Result<u8, Failure> {
    Ok(1)
}

/// Exits with the code that is given.
pub(super) fn exit(call: &Call) -> Result<u8, Failure> {
    let code = call.word(0, "CODE")?;
    code.parse()
        .map_err(|_| Failure::usage(format!("`{code}` is not an exit code from 0 to 255")))
}
