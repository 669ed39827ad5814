//! The loopback interface of the guard's network namespace.

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

use super::{Error, inside};

const RTM_NEWLINK: u16 = 16;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const IFF_UP: u32 = 1;
const LOOPBACK: i32 = 1;

/// Sets `lo` up, by one rtnetlink message (`rtnetlink(7)`).
pub(super) fn up() -> Result<(), Error> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)
        .map_err(inside("open a netlink socket"))?;
    let mut message = Vec::with_capacity(32);
    message.extend(32u32.to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend((NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
    message.extend(1u32.to_ne_bytes());
    message.extend(0u32.to_ne_bytes());
    message.extend([0u8; 4]); // AF_UNSPEC, padding, device type
    message.extend(LOOPBACK.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    send(&socket, &message, SendFlags::empty()).map_err(inside("ask for `lo` to be up"))?;
    let mut answer = [0u8; 256];
    let (n, _) = recv(&socket, &mut answer[..], RecvFlags::empty()).map_err(inside("read the answer about `lo`"))?;
    // struct nlmsgerr: the errno stands right behind the header, 0 for success.
    let errno = answer
        .get(16..20)
        .filter(|_| n >= 20)
        .map_or(-1, |b| i32::from_ne_bytes([b[0], b[1], b[2], b[3]]));
    if errno == 0 {
        Ok(())
    } else {
        Err(inside("set `lo` up")(rustix::io::Errno::from_raw_os_error(-errno)))
    }
}
