//! Frames as they go over a link, `packet(7)`.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Bytes of `struct virtio_net_hdr`.
const HEADER: usize = 10;

/// Most bytes that a read of such a socket gives: what the kernel says of the frame, the largest packet that is cut into
/// frames later, and its Ethernet header.
pub const LONGEST: usize = HEADER + (64 << 10) + 18;

const IGNORE_OUTGOING: libc::c_int = 23;

/// A socket that reads every frame that comes in by an interface, whomever it is for, and writes frames that go out by it. It
/// does not block. In front of each frame is a `struct virtio_net_hdr`, so that a checksum that is still to be computed and a
/// packet that is still to be cut survive the way through a process.
///
/// See <https://man7.org/linux/man-pages/man7/packet.7.html>.
///
/// # Errors
/// `EPERM` without `CAP_NET_RAW`, `ENODEV` without that interface, `ENOPROTOOPT` before Linux 4.20.
pub fn frames(interface: u32) -> io::Result<OwnedFd> {
    let every = (libc::ETH_P_ALL as u16).to_be();
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // Of no protocol until it is bound, or it would read of every interface.
    // SAFETY: takes no pointer.
    let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and is nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    switch_on(&socket, libc::PACKET_VNET_HDR)?;
    switch_on(&socket, IGNORE_OUTGOING)?;
    let index = libc::c_int::try_from(interface).map_err(|_| io::Error::from_raw_os_error(libc::ENODEV))?;
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: every,
        sll_ifindex: index,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the address is a whole `sockaddr_ll`, of that length, and outlives the call.
    let bound = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
    if bound == 0 {
        Ok(socket)
    } else {
        Err(io::Error::last_os_error())
    }
}

fn switch_on(socket: &OwnedFd, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the value is an int of that length and outlives the call.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            option,
            (&raw const on).cast(),
            length,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_interface_that_is_not_there_is_told() {
        let refused = super::frames(u32::MAX).unwrap_err();
        assert!(matches!(refused.raw_os_error(), Some(libc::ENODEV | libc::EPERM)));
    }
}
