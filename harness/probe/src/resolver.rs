//! The resolver: which names are asked for, and which servers, as `resolv.conf(5)` and `hosts(5)` say.

use alloc::{
    format,
    string::{String, ToString as _},
    vec::Vec,
};
use core::net::{IpAddr, SocketAddr};

use sys::freestanding::{
    clock,
    rustix::{
        event::PollFlags,
        fd::OwnedFd,
        io::Errno,
        net::{RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with},
    },
};

use crate::{
    connection,
    dns::{self, Answer},
    file,
};

/// Servers that are asked at most (`MAXNS`).
const SERVERS: usize = 3;

/// What `resolv.conf` says.
pub(crate) struct Configuration {
    pub(crate) servers: Vec<SocketAddr>,
    search: Vec<String>,
    dots: usize,
    /// Over TCP from the start.
    pub(crate) tcp: bool,
}

/// An answer, and how it was had.
pub(crate) struct Found {
    /// The name that was asked for.
    pub(crate) name: String,
    pub(crate) server: SocketAddr,
    pub(crate) tcp: bool,
    pub(crate) answer: Answer,
}

/// That nobody answered.
pub(crate) struct Silence {
    /// The server that was asked last; none if there is none.
    pub(crate) server: Option<SocketAddr>,
    pub(crate) errno: Errno,
}

impl Configuration {
    /// Reads `/etc/resolv.conf`; as if it were empty where there is none.
    pub(crate) fn read() -> Configuration {
        let mut own = Configuration {
            servers: Vec::new(),
            search: Vec::new(),
            dots: 1,
            tcp: false,
        };
        for line in file::text("/etc/resolv.conf").unwrap_or_default().lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") if own.servers.len() < SERVERS => {
                    let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    own.servers.extend(address.map(|address| SocketAddr::new(address, 53)));
                }
                Some("search" | "domain") => own.search = words.map(String::from).collect(),
                Some("options") => {
                    for option in words {
                        if let Some(dots) = option.strip_prefix("ndots:").and_then(|dots| dots.parse().ok()) {
                            own.dots = dots;
                        }
                        own.tcp |= option == "use-vc";
                    }
                }
                _ => {}
            }
        }
        own
    }

    /// The names to ask for, in order.
    fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(whole) = name.strip_suffix('.') {
            return Vec::from([whole.to_string()]);
        }
        let mut all: Vec<String> = self.search.iter().map(|domain| format!("{name}.{domain}")).collect();
        let plain = name.to_string();
        if name.matches('.').count() >= self.dots {
            all.insert(0, plain);
        } else {
            all.push(plain);
        }
        all
    }

    /// Asks for each candidate until one has records. Else that a name is there without such records is told before that
    /// another is not there, as the C library does.
    pub(crate) fn ask(&self, name: &str, kind: u16, patience: u64) -> Result<Found, Silence> {
        let mut last = Err(Silence {
            server: None,
            errno: Errno::DESTADDRREQ,
        });
        for candidate in self.candidates(name) {
            match self.ask_servers(&candidate, kind, patience) {
                Ok(found) if !found.answer.records.is_empty() => return Ok(found),
                Ok(found) => {
                    let has_better = matches!(&last, Ok(Found { answer, .. }) if answer.is_good());
                    if !has_better {
                        last = Ok(found);
                    }
                }
                // Who is silent about one name is not asked for the next, too.
                Err(silence) => return last.map_err(|_| silence),
            }
        }
        last
    }

    /// Asks one server after the other until one knows about the name.
    fn ask_servers(&self, name: &str, kind: u16, patience: u64) -> Result<Found, Silence> {
        let mut last = Err(Silence {
            server: None,
            errno: Errno::DESTADDRREQ,
        });
        for server in &self.servers {
            match self.ask_server(server, name, kind, patience) {
                Ok((answer, tcp)) => {
                    let knows = answer.is_about_the_name();
                    last = Ok(Found {
                        name: name.to_string(),
                        server: *server,
                        tcp,
                        answer,
                    });
                    if knows {
                        break;
                    }
                }
                Err(errno) if last.is_err() => {
                    last = Err(Silence {
                        server: Some(*server),
                        errno,
                    });
                }
                Err(_) => {}
            }
        }
        last
    }

    /// The answer, and whether it came over TCP.
    fn ask_server(&self, server: &SocketAddr, name: &str, kind: u16, patience: u64) -> Result<(Answer, bool), Errno> {
        let id = (clock::monotonic() >> 8) as u16;
        let question = dns::question(id, name, kind)?;
        if !self.tcp {
            let answer = by_datagram(server, &question, id, patience)?;
            if !answer.truncated {
                return Ok((answer, false));
            }
        }
        by_connection(server, &question, id, patience).map(|answer| (answer, true))
    }
}

fn by_datagram(server: &SocketAddr, question: &[u8], id: u16, patience: u64) -> Result<Answer, Errno> {
    let family = connection::family(server);
    let socket = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    connect(&socket, server)?;
    send(&socket, question, SendFlags::NOSIGNAL)?;
    let deadline = clock::monotonic().saturating_add(patience);
    let mut buffer = [0_u8; 4096];
    loop {
        await_bytes(&socket, deadline)?;
        let (count, _) = recv(&socket, &mut buffer, RecvFlags::empty())?;
        let message = &buffer[..count];
        if dns::answers(message, id) {
            return dns::parse(message).ok_or(Errno::BADMSG);
        }
    }
}

/// Over TCP the length stands in front (RFC 1035 section 4.2.2).
fn by_connection(server: &SocketAddr, question: &[u8], id: u16, patience: u64) -> Result<Answer, Errno> {
    let deadline = clock::monotonic().saturating_add(patience);
    let socket = connection::dial(server, patience)?;
    let length = u16::try_from(question.len()).map_err(|_| Errno::MSGSIZE)?;
    let mut message = Vec::from(length.to_be_bytes());
    message.extend_from_slice(question);
    connection::say(&socket, &message, deadline)?;
    let mut got = Vec::new();
    let mut part = [0_u8; 4096];
    loop {
        if let Some((head, rest)) = got.split_first_chunk::<2>()
            && rest.len() >= usize::from(u16::from_be_bytes(*head))
        {
            let message = &rest[..usize::from(u16::from_be_bytes(*head))];
            return if dns::answers(message, id) {
                dns::parse(message).ok_or(Errno::BADMSG)
            } else {
                Err(Errno::BADMSG)
            };
        }
        await_bytes(&socket, deadline)?;
        match recv(&socket, &mut part, RecvFlags::empty())?.0 {
            0 => return Err(Errno::CONNRESET),
            count => got.extend_from_slice(&part[..count]),
        }
    }
}

fn await_bytes(socket: &OwnedFd, deadline: u64) -> Result<(), Errno> {
    let left = deadline.saturating_sub(clock::monotonic());
    if left > 0 && connection::ready(socket, PollFlags::IN, left)? {
        Ok(())
    } else {
        Err(Errno::TIMEDOUT)
    }
}

/// A family of addresses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    fn has(self, address: &IpAddr) -> bool {
        address.is_ipv6() == (self == Self::V6)
    }

    /// Type of the records that have such addresses (RFC 1035 and 3596).
    fn records(self) -> &'static str {
        match self {
            Self::V4 => "A",
            Self::V6 => "AAAA",
        }
    }
}

/// The first address of a host that is of one of these families: itself, from `/etc/hosts`, or from a server that is asked
/// for one family after the other.
pub(crate) fn first_address(host: &str, families: &[Family], patience: u64) -> Option<IpAddr> {
    let is_wanted = |address: &IpAddr| families.iter().any(|family| family.has(address));
    if let Ok(address) = host.parse() {
        return Some(address).filter(is_wanted);
    }
    let hosts = file::text("/etc/hosts").unwrap_or_default();
    let listed = hosts
        .lines()
        .filter_map(|line| line.split('#').next())
        .find_map(|line| {
            let mut words = line.split_whitespace();
            let address = words.next()?.parse().ok().filter(is_wanted)?;
            words.any(|word| word == host).then_some(address)
        });
    if listed.is_some() {
        return listed;
    }
    let configuration = Configuration::read();
    for wanted in families.iter().map(|family| family.records()) {
        // Who is silent about one type is not asked for the other, too.
        let found = configuration.ask(host, dns::kind(wanted)?, patience).ok()?;
        let address = found.answer.records.iter().find(|record| record.kind == wanted);
        if let Some(address) = address.and_then(|record| record.value.parse().ok()) {
            return Some(address);
        }
    }
    None
}
