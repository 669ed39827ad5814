//! The standing of descriptors that were inherited, which no type of this program owns.

use rustix::{fd::BorrowedFd, io::Errno};

/// `fcntl(number, F_GETFD)`: borrows the descriptor `number` for as long as the program runs, if it is open.
///
/// The probe looks at what it inherited by number: 0 to 2, the one that is named in its environment, and those that a
/// walk finds open. See <https://man7.org/linux/man-pages/man2/F_GETFD.2const.html>.
///
/// # Errors
/// `EBADF` if nothing is open under that number.
pub fn inherited(number: i32) -> Result<BorrowedFd<'static>, Errno> {
    if number < 0 {
        return Err(Errno::BADF);
    }
    // SAFETY: not -1; whether it is open is what the next call finds out before the value leaves this function. The
    // probe closes no descriptor that it did not open itself, so that one found open stays open.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    rustix::io::fcntl_getfd(fd)?;
    Ok(fd)
}
