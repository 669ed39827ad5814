//! `sleep`.

use crate::{
    call::{Call, Failure},
    init, quantity,
};

/// Sleeps for the time that is given, or for ever.
pub(super) fn sleep(call: &Call) -> Result<u8, Failure> {
    call.only(&[])?;
    match call.words().next() {
        None | Some("forever" | "infinity") => init::idle(None),
        Some(time) => init::idle_for(quantity::nanoseconds(time)?),
    }
    Ok(0)
}
