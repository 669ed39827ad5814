//! Which `plimsoll` a bench is of.

use std::io;
use std::path::PathBuf;

/// `PLIMSOLL`, or the executable beside the bench that calls this: `target/…/release/plimsoll`.
///
/// # Errors
/// The path of this executable, or an absolute one, cannot be had.
pub fn plimsoll() -> io::Result<PathBuf> {
    if let Some(path) = std::env::var_os("PLIMSOLL") {
        return std::path::absolute(path);
    }
    // This is `target/…/release/deps/BENCH-HASH`.
    let this = std::env::current_exe()?;
    Ok(this.ancestors().nth(2).unwrap_or(&this).join("plimsoll"))
}
