//! Interfaces of the network namespace that the calling thread is in, made and changed by rtnetlink (`rtnetlink(7)`).

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
/// `NLM_F_CREATE | NLM_F_EXCL`.
const NEW: u16 = 0x600;
const IFF_UP: u32 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const AF_INET: u8 = 2;

/// Index of `lo` in every network namespace.
pub(crate) const LOOPBACK: i32 = 1;

/// Index of the first interface beside it.
pub(crate) const FIRST: i32 = 2;

/// Sets an interface up.
///
/// # Errors
/// What the kernel says: `ENODEV` if there is none of this index.
pub(crate) fn up(index: i32) -> io::Result<()> {
    ask(RTM_NEWLINK, 0, &link(index, IFF_UP))
}

/// Makes a pair of interfaces (`veth(4)`), one end here, one in the network namespace `there`; both have the index
/// [`FIRST`], the name `wire`, and are down.
///
/// # Errors
/// What the kernel says: `EEXIST` if the index is taken.
pub(crate) fn pair(there: impl AsFd) -> io::Result<()> {
    let there = there.as_fd().as_raw_fd().to_ne_bytes();
    let peer = [
        link(FIRST, 0),
        attribute(IFLA_IFNAME, b"wire\0"),
        attribute(IFLA_NET_NS_FD, &there),
    ];
    let info = [
        attribute(IFLA_INFO_KIND, b"veth\0"),
        attribute(IFLA_INFO_DATA, &attribute(VETH_INFO_PEER, &peer.concat())),
    ];
    let body = [
        link(FIRST, 0),
        attribute(IFLA_IFNAME, b"wire\0"),
        attribute(IFLA_LINKINFO, &info.concat()),
    ];
    ask(RTM_NEWLINK, NEW, &body.concat())
}

/// Gives an interface an address.
///
/// # Errors
/// What the kernel says.
pub(crate) fn address(index: i32, address: Ipv4Addr, prefix: u8) -> io::Result<()> {
    let octets = address.octets();
    let body = [
        // struct ifaddrmsg: family, length of the prefix, flags, scope, index.
        [[AF_INET, prefix, 0, 0], index.to_ne_bytes()].concat(),
        attribute(IFA_LOCAL, &octets),
        attribute(IFA_ADDRESS, &octets),
    ];
    ask(RTM_NEWADDR, NEW, &body.concat())
}

/// `struct ifinfomsg` with these flags set.
fn link(index: i32, flags: u32) -> Vec<u8> {
    // AF_UNSPEC, padding and the type of the device are 0.
    [[0; 4], index.to_ne_bytes(), flags.to_ne_bytes(), flags.to_ne_bytes()].concat()
}

/// `struct rtattr` with what it holds, padded to a multiple of four.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Sends one request, and reads its acknowledgement.
fn ask(kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    let length = u32::try_from(16 + body.len()).unwrap_or(u32::MAX);
    let mut message = Vec::with_capacity(16 + body.len());
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend((NLM_F_REQUEST | NLM_F_ACK | flags).to_ne_bytes());
    message.extend(1u32.to_ne_bytes());
    message.extend(0u32.to_ne_bytes());
    message.extend(body);
    send(&socket, &message, SendFlags::empty())?;
    let mut answer = [0u8; 1024];
    let (n, _) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
    // struct nlmsgerr: the errno stands right behind the header, 0 for success.
    let errno = answer
        .get(16..20)
        .filter(|_| n >= 20)
        .map_or(-1, |b| i32::from_ne_bytes([b[0], b[1], b[2], b[3]]));
    match errno {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(-errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_tell_their_own_length() {
        assert_eq!(
            attribute(3, b"lo\0"),
            [7u16.to_ne_bytes(), 3u16.to_ne_bytes(), *b"lo", [0, 0]].concat()
        );
        assert_eq!(attribute(2, &[1, 2, 3, 4]).len(), 8);
        assert_eq!(link(2, IFF_UP).len(), 16);
    }
}
