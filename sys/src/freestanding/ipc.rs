//! System V and POSIX inter-process communication.

use core::{ffi::CStr, ptr};

use linux_raw_sys::general::{__NR_mq_open, __NR_mq_unlink, __NR_msgget, __NR_semget, __NR_shmget};
use rustix::io::Errno;

use super::call::raw;

/// What kind of System V object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A shared memory segment of one page.
    SharedMemory,
    /// A message queue.
    Messages,
    /// A set of one semaphore.
    Semaphores,
}

/// `shmget(key, size, flags)`, `msgget(key, flags)` or `semget(key, 1, flags)`: the id of the object with `key`,
/// made if `create`.
///
/// See <https://man7.org/linux/man-pages/man7/sysvipc.7.html>.
///
/// # Errors
/// `ENOENT` without the object and without `create`, `EACCES`, `ENOSPC`, `ENOSYS`.
pub fn get(kind: Kind, key: i32, create: bool) -> Result<i32, Errno> {
    /// Create it if it is not there; mode 600.
    const CREATE: usize = 0o1000 | 0o600;
    let flags = if create { CREATE } else { 0 };
    let key = key as usize;
    let (number, args) = match kind {
        Kind::SharedMemory => (__NR_shmget, [key, if create { 4096 } else { 0 }, flags, 0, 0, 0]),
        Kind::Messages => (__NR_msgget, [key, flags, 0, 0, 0, 0]),
        Kind::Semaphores => (__NR_semget, [key, usize::from(create), flags, 0, 0, 0]),
    };
    // SAFETY: none of the three takes a pointer.
    unsafe { raw(number, args) }.map(|id| id as i32)
}

/// `mq_open(name, O_RDWR[|O_CREAT], 0600, NULL)`: a message queue's descriptor number; it stays open.
///
/// `name` is without the leading slash, which only the C library asks for.
/// See <https://man7.org/linux/man-pages/man3/mq_open.3.html>.
///
/// # Errors
/// `ENOENT`, `EACCES`, `ENOSPC`, `ENOSYS`.
pub fn open_queue(name: &CStr, create: bool) -> Result<i32, Errno> {
    // `O_RDWR`, and `O_CREAT` where it may be made.
    let flags = if create { 0o102 } else { 0o2 };
    // SAFETY: reads the string; the attributes are null.
    unsafe {
        raw(
            __NR_mq_open,
            [
                name.as_ptr().expose_provenance(),
                flags,
                0o600,
                ptr::null::<u8>().addr(),
                0,
                0,
            ],
        )
    }
    .map(|descriptor| descriptor as i32)
}

/// `mq_unlink(name)`: removes a queue's name.
///
/// See <https://man7.org/linux/man-pages/man3/mq_unlink.3.html>.
///
/// # Errors
/// `ENOENT`, `EACCES`.
pub fn unlink_queue(name: &CStr) -> Result<(), Errno> {
    // SAFETY: reads the string.
    unsafe { raw(__NR_mq_unlink, [name.as_ptr().expose_provenance(), 0, 0, 0, 0, 0]) }.map(|_| ())
}
