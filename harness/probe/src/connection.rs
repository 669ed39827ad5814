//! Connecting with a deadline, and waiting for sockets.

use core::net::SocketAddr;

use sys::freestanding::{
    clock,
    rustix::{
        event::{PollFd, PollFlags, Timespec, poll},
        fd::{AsFd, OwnedFd},
        io::Errno,
        net::{
            AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, send,
            socket_with,
            sockopt::{set_socket_reuseaddr, socket_error},
        },
    },
};

/// The family of an address.
pub(crate) fn family(address: &SocketAddr) -> AddressFamily {
    if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    }
}

/// Waits until `flags` hold for `fd`; `false` when `nanoseconds` are over first.
pub(crate) fn ready(fd: impl AsFd, flags: PollFlags, nanoseconds: u64) -> Result<bool, Errno> {
    let deadline = clock::monotonic().saturating_add(nanoseconds);
    loop {
        let left = deadline.saturating_sub(clock::monotonic());
        let time = Timespec {
            tv_sec: (left / 1_000_000_000) as i64,
            tv_nsec: (left % 1_000_000_000) as _,
        };
        match poll(&mut [PollFd::new(&fd, flags)], Some(&time)) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// A TCP connection to `address`, or `ETIMEDOUT` after `nanoseconds`.
pub(crate) fn dial(address: &SocketAddr, nanoseconds: u64) -> Result<OwnedFd, Errno> {
    let socket = socket_with(
        family(address),
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    match connect(&socket, address) {
        Ok(()) => return Ok(socket),
        Err(Errno::INPROGRESS) => {}
        Err(errno) => return Err(errno),
    }
    if !ready(&socket, PollFlags::OUT, nanoseconds)? {
        return Err(Errno::TIMEDOUT);
    }
    socket_error(&socket)??;
    Ok(socket)
}

/// Sends all of `bytes` over a connection that does not block, or `ETIMEDOUT` at `deadline`.
pub(crate) fn say(socket: &OwnedFd, mut bytes: &[u8], deadline: u64) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match send(socket, bytes, SendFlags::NOSIGNAL) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let left = deadline.saturating_sub(clock::monotonic());
                if left == 0 || !ready(socket, PollFlags::OUT, left)? {
                    return Err(Errno::TIMEDOUT);
                }
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// A socket bound to `address`, and listening if it is one for connections.
pub(crate) fn serve(address: &SocketAddr, kind: SocketType) -> Result<OwnedFd, Errno> {
    let socket = socket_with(family(address), kind, SocketFlags::CLOEXEC, None)?;
    if kind == SocketType::STREAM {
        set_socket_reuseaddr(&socket, true)?;
    }
    bind(&socket, address)?;
    if kind == SocketType::STREAM {
        listen(&socket, 128)?;
    }
    Ok(socket)
}

/// A listening socket with an abstract name.
pub(crate) fn serve_abstract(name: &str) -> Result<OwnedFd, Errno> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &SocketAddrUnix::new_abstract_name(name.as_bytes())?)?;
    listen(&socket, 16)?;
    Ok(socket)
}

/// A connection to a socket with an abstract name.
pub(crate) fn dial_abstract(name: &str) -> Result<OwnedFd, Errno> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    connect(&socket, &SocketAddrUnix::new_abstract_name(name.as_bytes())?)?;
    Ok(socket)
}
