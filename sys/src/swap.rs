//! Swap areas.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// `swapon(path, 0)`: the kernel may move pages to this device or file.
///
/// See <https://man7.org/linux/man-pages/man2/swapon.2.html>.
///
/// # Errors
/// What the system call says: `EINVAL` without a swap header, `EPERM` without `CAP_SYS_ADMIN`.
pub fn on(path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the kernel reads the string up to its null byte, and CString keeps it until the call returns.
    match unsafe { libc::swapon(path.as_ptr(), 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_is_not_swapped_on() {
        let error = on(Path::new("/no/such/file")).unwrap_err();
        // An ordinary user is refused before the path is looked at.
        assert!(
            [Some(libc::ENOENT), Some(libc::EPERM)].contains(&error.raw_os_error()),
            "{error}"
        );
    }
}
