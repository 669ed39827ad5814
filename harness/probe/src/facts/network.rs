//! Interfaces, addresses and routes, asked by netlink, so that neither /proc nor /sys is needed.

use alloc::{
    format,
    string::{String, ToString as _},
    vec::Vec,
};

use sys::freestanding::rustix::{
    io::Errno,
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with},
};

use crate::json::Json;

/// Ask for all links, addresses or routes.
const GET_LINK: u16 = 18;
const GET_ADDRESS: u16 = 22;
const GET_ROUTE: u16 = 26;
const DONE: u16 = 3;
const ERROR: u16 = 2;

/// One interface.
pub(crate) struct Link {
    index: u32,
    name: String,
    flags: u32,
    mtu: Option<u32>,
    mac: Vec<u8>,
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// All messages that answer a dump of `kind`, without their headers.
fn dump(kind: u16) -> Result<Vec<Vec<u8>>, Errno> {
    // Protocol 0 of this family is NETLINK_ROUTE.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    // A header of 16 bytes: length, type, NLM_F_REQUEST|NLM_F_DUMP, sequence, port; and a family of none.
    let mut request = [0_u8; 32];
    request[..4].copy_from_slice(&32_u32.to_ne_bytes());
    request[4..6].copy_from_slice(&kind.to_ne_bytes());
    request[6..8].copy_from_slice(&0x301_u16.to_ne_bytes());
    request[8] = 1;
    send(&socket, &request, SendFlags::empty())?;
    let mut messages = Vec::new();
    let mut buffer = alloc::vec![0_u8; 32 << 10];
    loop {
        let (length, _) = match recv(&socket, &mut *buffer, RecvFlags::empty()) {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        let mut rest = &buffer[..length];
        while let (Some(length), Some(kind)) = (word(rest, 0), half(rest, 4)) {
            let length = length as usize;
            let Some(message) = rest.get(16..length) else {
                return Err(Errno::BADMSG);
            };
            match kind {
                DONE => return Ok(messages),
                ERROR => {
                    let code = word(message, 0).map_or(0, |code| code as i32);
                    return Err(Errno::from_raw_os_error(-code));
                }
                _ => messages.push(message.to_vec()),
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
        }
        if length == 0 {
            return Err(Errno::BADMSG);
        }
    }
}

/// The attributes behind a fixed part of `skip` bytes: type and value.
fn attributes(message: &[u8], skip: usize) -> Vec<(u16, &[u8])> {
    let mut all = Vec::new();
    let mut rest = message.get(skip..).unwrap_or(&[]);
    while let (Some(length), Some(kind)) = (half(rest, 0), half(rest, 2)) {
        let Some(value) = rest.get(4..length as usize) else {
            break;
        };
        all.push((kind & 0x3fff, value));
        rest = rest.get((length as usize).next_multiple_of(4)..).unwrap_or(&[]);
    }
    all
}

/// The interfaces of this network namespace.
pub(crate) fn links() -> Result<Vec<Link>, Errno> {
    Ok(dump(GET_LINK)?
        .iter()
        .map(|message| {
            let attributes = attributes(message, 16);
            let value = |kind: u16| attributes.iter().find(|(own, _)| *own == kind).map(|(_, value)| *value);
            let name = value(3)
                .map(|name| name.strip_suffix(&[0]).unwrap_or(name))
                .unwrap_or_default();
            Link {
                index: word(message, 4).unwrap_or(0),
                name: String::from_utf8_lossy(name).into_owned(),
                flags: word(message, 8).unwrap_or(0),
                mtu: value(4).and_then(|value| word(value, 0)),
                mac: value(1).unwrap_or_default().to_vec(),
            }
        })
        .collect())
}

/// An address of 4 or 16 bytes as text.
pub(crate) fn address_text(address: &[u8]) -> String {
    if let Ok(four) = <[u8; 4]>::try_from(address) {
        return core::net::Ipv4Addr::from(four).to_string();
    }
    match <[u8; 16]>::try_from(address) {
        Ok(sixteen) => core::net::Ipv6Addr::from(sixteen).to_string(),
        Err(_) => String::new(),
    }
}

fn name_of(links: &[Link], index: u32) -> &str {
    links
        .iter()
        .find(|link| link.index == index)
        .map_or("", |link| link.name.as_str())
}

/// `interfaces, up, links: [{name, index, mtu, mac, up, loopback}], addresses: [{interface, address, prefix}]`.
pub(crate) fn interfaces(json: &mut Json) {
    let Ok(mut links) = links() else {
        for key in ["interfaces", "up", "links", "addresses"] {
            json.key(key).null();
        }
        return;
    };
    links.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    json.key("interfaces")
        .array(|json| links.iter().for_each(|link| json.string(&link.name)));
    json.key("up").array(|json| {
        links
            .iter()
            .filter(|link| link.flags & 1 == 1)
            .for_each(|link| json.string(&link.name))
    });
    json.key("links").array(|json| {
        for link in &links {
            json.object(|json| {
                json.key("name").string(&link.name);
                json.key("index").plain(link.index);
                json.key("mtu").plain_or_null(link.mtu);
                let mac: Vec<String> = link.mac.iter().map(|byte| format!("{byte:02x}")).collect();
                json.key("mac").string(&mac.join(":"));
                json.key("up").plain(link.flags & 1 == 1);
                json.key("loopback").plain(link.flags & 8 == 8);
            });
        }
    });
    let Ok(addresses) = dump(GET_ADDRESS) else {
        json.key("addresses").null();
        return;
    };
    json.key("addresses").array(|json| {
        for message in &addresses {
            let attributes = attributes(message, 8);
            // The local address, which differs from the other one on point-to-point links.
            let address = [2, 1]
                .iter()
                .find_map(|kind| attributes.iter().find(|(own, _)| own == kind));
            let (Some((_, address)), Some(index)) = (address, word(message, 4)) else {
                continue;
            };
            json.object(|json| {
                json.key("interface").string(name_of(&links, index));
                json.key("address").string(&address_text(address));
                json.key("prefix").plain(message[1]);
            });
        }
    });
}

/// `routes: [{dest, prefix, via, interface, family}]` of the main table; null when netlink is forbidden.
pub(crate) fn routes(json: &mut Json) {
    /// The number of the main table.
    const MAIN: u32 = 254;
    let (Ok(routes), Ok(links)) = (dump(GET_ROUTE), links()) else {
        json.key("routes").null();
        return;
    };
    json.key("routes").array(|json| {
        for message in &routes {
            let attributes = attributes(message, 12);
            let value = |kind: u16| attributes.iter().find(|(own, _)| *own == kind).map(|(_, value)| *value);
            let (Some(&family), Some(&prefix), Some(&table)) = (message.first(), message.get(1), message.get(4)) else {
                continue;
            };
            if value(15).and_then(|value| word(value, 0)).unwrap_or(u32::from(table)) != MAIN {
                continue;
            }
            json.object(|json| {
                json.key("dest")
                    .string(&value(1).map_or_else(|| String::from("default"), address_text));
                json.key("prefix").plain(prefix);
                let via = value(5).map(address_text);
                json.key("via").bytes_or_null(via.as_deref().map(str::as_bytes));
                let interface = value(4)
                    .and_then(|value| word(value, 0))
                    .map(|index| name_of(&links, index));
                json.key("interface").bytes_or_null(interface.map(str::as_bytes));
                json.key("family").string(if family == 2 { "inet" } else { "inet6" });
            });
        }
    });
}
