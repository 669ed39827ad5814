//! Terminals.

use linux_raw_sys::general::__NR_ioctl;
use rustix::{
    fd::{AsRawFd as _, BorrowedFd},
    io::Errno,
};

use super::call::raw;

/// `ioctl(fd, TIOCGWINSZ, &size)`: rows and columns, if `fd` is a terminal.
///
/// See <https://man7.org/linux/man-pages/man2/TIOCGWINSZ.2const.html>.
///
/// # Errors
/// `ENOTTY` if it is none.
pub fn window_size(fd: BorrowedFd<'_>) -> Result<(u16, u16), Errno> {
    let mut size = [0_u16; 4];
    // SAFETY: TIOCGWINSZ writes one struct winsize, four shorts, into `size`.
    unsafe {
        raw(
            __NR_ioctl,
            [
                fd.as_raw_fd() as usize,
                0x5413,
                size.as_mut_ptr().expose_provenance(),
                0,
                0,
                0,
            ],
        )
    }?;
    Ok((size[0], size[1]))
}

/// `ioctl(fd, TIOCSTI, &byte)`: pretends that `byte` was typed at the terminal.
///
/// See <https://man7.org/linux/man-pages/man2/TIOCSTI.2const.html>.
///
/// # Errors
/// `ENOTTY`, `EPERM`, and `EIO` where the kernel forbids it to everybody.
pub fn type_at(fd: BorrowedFd<'_>, byte: u8) -> Result<(), Errno> {
    let byte = [byte];
    // SAFETY: TIOCSTI reads one byte.
    unsafe {
        raw(
            __NR_ioctl,
            [
                fd.as_raw_fd() as usize,
                0x5412,
                byte.as_ptr().expose_provenance(),
                0,
                0,
                0,
            ],
        )
    }
    .map(|_| ())
}
