//! Interfaces, routes and listening sockets of a network namespace.

use std::net::{Ipv4Addr, Ipv6Addr};

use record::Seen;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{Target, pid_of};
use crate::drive::World;

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;
const IFLA_IFNAME: u16 = 3;
const IFF_UP: u32 = 1;

pub(super) fn look(target: Target<'_>, world: &mut World<'_>) -> Seen {
    let pid = match pid_of(target, world) {
        Ok(pid) => pid,
        Err(what) => return Seen::Absent { what },
    };
    let links = match links(pid) {
        Ok(links) => links,
        Err(error) => {
            return Seen::Unmeasured {
                why: format!("failed to list the interfaces of pid {pid}: {error}"),
            };
        }
    };
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
    let mut listening = Vec::new();
    for (name, kind, listen) in [
        ("tcp", "tcp", "0A"),
        ("tcp6", "tcp", "0A"),
        ("udp", "udp", "07"),
        ("udp6", "udp", "07"),
    ] {
        listening.extend(sockets(&read(name), kind, listen));
    }
    // Columns of /proc/net/unix: flags 00010000 is a listening socket; the path of an abstract one begins with @.
    listening.extend(read("unix").lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        (fields.get(3) == Some(&"00010000")).then(|| fields.get(7).map(|path| format!("unix:{path}")))?
    }));
    Seen::Network {
        up: links
            .iter()
            .filter(|(_, up)| *up)
            .map(|(name, _)| name.clone())
            .collect(),
        interfaces: links.into_iter().map(|(name, _)| name).collect(),
        routes: routes(&read("route")),
        listening,
    }
}

/// Goes into the network namespace for one question to rtnetlink, and comes back.
fn links(pid: i32) -> rustix::io::Result<Vec<(String, bool)>> {
    let open = |pid: &str| {
        openat(
            CWD,
            format!("/proc/{pid}/ns/net"),
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )
    };
    let (own, other) = (open("self")?, open(&pid.to_string())?);
    move_into_link_name_space(std::os::fd::AsFd::as_fd(&other), Some(LinkNameSpaceType::Network))?;
    let answer = ask();
    move_into_link_name_space(std::os::fd::AsFd::as_fd(&own), Some(LinkNameSpaceType::Network))?;
    answer
}

fn ask() -> rustix::io::Result<Vec<(String, bool)>> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    let mut message = Vec::with_capacity(32);
    message.extend(32u32.to_ne_bytes());
    message.extend(RTM_GETLINK.to_ne_bytes());
    message.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    message.extend([0u8; 24]);
    send(&socket, &message, SendFlags::empty())?;
    let mut links = Vec::new();
    let mut buffer = vec![0u8; 64 << 10];
    loop {
        let (n, _) = recv(&socket, &mut buffer[..], RecvFlags::empty())?;
        if n == 0 || !messages(&buffer[..n], &mut links) {
            return Ok(links);
        }
    }
}

/// Reads the messages of one datagram. False when the dump is done.
fn messages(mut bytes: &[u8], links: &mut Vec<(String, bool)>) -> bool {
    while let Some((length, kind)) = header(bytes) {
        if kind != RTM_NEWLINK {
            return kind != NLMSG_DONE && kind != 2;
        }
        let body = &bytes[16..length.min(bytes.len())];
        if let Some(flags) = body.get(8..12) {
            let up = u32::from_ne_bytes([flags[0], flags[1], flags[2], flags[3]]) & IFF_UP != 0;
            let mut attributes = body.get(16..).unwrap_or_default();
            while attributes.len() >= 4 {
                let size = usize::from(u16::from_ne_bytes([attributes[0], attributes[1]]));
                if size < 4 || size > attributes.len() {
                    break;
                }
                if u16::from_ne_bytes([attributes[2], attributes[3]]) == IFLA_IFNAME {
                    let name = attributes[4..size].split(|b| *b == 0).next().unwrap_or_default();
                    links.push((String::from_utf8_lossy(name).into_owned(), up));
                }
                attributes = attributes.get(size.next_multiple_of(4)..).unwrap_or_default();
            }
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    true
}

fn header(bytes: &[u8]) -> Option<(usize, u16)> {
    let h = bytes.get(..16)?;
    let length = u32::from_ne_bytes([h[0], h[1], h[2], h[3]]) as usize;
    (length >= 16).then_some((length, u16::from_ne_bytes([h[4], h[5]])))
}

/// Destinations of `/proc/net/route`, whose numbers stand in the machine's byte order.
pub(crate) fn routes(text: &str) -> Vec<String> {
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let number = |i: usize| u32::from_str_radix(fields.get(i)?, 16).ok();
            let address = Ipv4Addr::from(number(1)?.to_ne_bytes());
            Some(format!("{address}/{}", number(7)?.count_ones()))
        })
        .collect()
}

/// Sockets of `/proc/net/{tcp,udp}{,6}` in a state: 0A is listening, 07 an unconnected datagram socket.
pub(crate) fn sockets(text: &str, kind: &str, state: &str) -> Vec<String> {
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (address, port) = fields.get(1)?.split_once(':')?;
            let port = u16::from_str_radix(port, 16).ok()?;
            (*fields.get(3)? == state).then_some(())?;
            let words: Vec<[u8; 4]> = (0..address.len() / 8)
                .filter_map(|i| Some(u32::from_str_radix(&address[i * 8..i * 8 + 8], 16).ok()?.to_ne_bytes()))
                .collect();
            match words.as_slice() {
                [v4] => Some(format!("{kind}:{}:{port}", Ipv4Addr::from(*v4))),
                [a, b, c, d] => {
                    let mut all = [0u8; 16];
                    for (to, from) in all.chunks_mut(4).zip([a, b, c, d]) {
                        to.copy_from_slice(from);
                    }
                    Some(format!("{kind}:[{}]:{port}", Ipv6Addr::from(all)))
                }
                _ => None,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn the_tables_of_proc_are_read() {
        let tcp = "  sl  local_address rem_address   st\n   0: 0100007F:1F90 00000000:0000 0A 0\n   1: 0100007F:1F91 00000000:0000 01 0\n";
        assert_eq!(sockets(tcp, "tcp", "0A"), ["tcp:127.0.0.1:8080"]);
        let route = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\neth0\t00000000\t0100A8C0\t3\t0\t0\t0\t00000000\neth0\t0000A8C0\t0\t1\t0\t0\t0\t00FFFFFF\n";
        assert_eq!(routes(route), ["0.0.0.0/0", "192.168.0.0/24"]);
    }
}
