//! `resolve`: asks a name server, as `resolv.conf` and `hosts` say.

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
        io::Errno,
        net::{RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with},
    },
};

use crate::{
    call::{Call, Failure},
    connection, errno, file, quantity,
};

const KINDS: &[(&str, u16)] = &[
    ("A", 1),
    ("CNAME", 5),
    ("PTR", 12),
    ("TXT", 16),
    ("AAAA", 28),
    ("SRV", 33),
];

/// What a server said.
struct Answer {
    code: u8,
    records: Vec<(String, String)>,
}

/// What `resolv.conf` says.
struct Configuration {
    servers: Vec<SocketAddr>,
    search: Vec<String>,
    dots: usize,
}

impl Configuration {
    fn read() -> Configuration {
        let mut own = Configuration {
            servers: Vec::new(),
            search: Vec::new(),
            dots: 1,
        };
        for line in file::text("/etc/resolv.conf").unwrap_or_default().lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    own.servers.extend(address.map(|address| SocketAddr::new(address, 53)));
                }
                Some("search" | "domain") => own.search = words.map(String::from).collect(),
                Some("options") => {
                    for option in words {
                        if let Some(dots) = option.strip_prefix("ndots:").and_then(|dots| dots.parse().ok()) {
                            own.dots = dots;
                        }
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
}

/// Asks for a name, and tells the answer.
pub(super) fn resolve(call: &Call) -> Result<u8, Failure> {
    call.only(&["type", "server", "timeout"])?;
    let name = call.word(0, "NAME")?;
    let wanted = call.option("type").unwrap_or("A");
    let kind = KINDS
        .iter()
        .find(|(known, _)| *known == wanted)
        .map(|(_, number)| *number)
        .ok_or_else(|| Failure::usage(format!("`{wanted}` is none of A, AAAA, CNAME, PTR, SRV, TXT")))?;
    let patience = quantity::nanoseconds(call.option("timeout").unwrap_or("2s"))?;
    let mut configuration = Configuration::read();
    if let Some(server) = call.option("server") {
        let address = server
            .parse()
            .or_else(|_| server.parse().map(|address| SocketAddr::new(address, 53)));
        configuration.servers =
            Vec::from([address.map_err(|_| Failure::usage(format!("`{server}` is not the address of a server")))?]);
    }
    let result = ask(&configuration, name, kind, patience);
    call.line(|json| {
        json.key("name").string(name);
        json.key("type").string(wanted);
        let (code, records) = match &result {
            Ok((_, answer)) => (rcode(answer.code), answer.records.as_slice()),
            Err(errno) => (errno::name(*errno), &[][..]),
        };
        json.key("rcode").string(&code);
        json.key("asked")
            .bytes_or_null(result.as_ref().ok().map(|(name, _)| name.as_bytes()));
        json.key("answers").array(|json| {
            records
                .iter()
                .filter(|(kind, _)| kind == wanted)
                .for_each(|(_, value)| json.string(value));
        });
        json.key("records").array(|json| {
            for (kind, value) in records {
                json.object(|json| {
                    json.key("type").string(kind);
                    json.key("value").string(value);
                });
            }
        });
    })?;
    Ok(u8::from(!result.is_ok_and(|(_, answer)| {
        answer.code == 0 && !answer.records.is_empty()
    })))
}

/// The first address of a host, from `/etc/hosts` or a server.
pub(super) fn first_address(host: &str) -> Option<IpAddr> {
    if let Ok(address) = host.parse() {
        return Some(address);
    }
    let hosts = file::text("/etc/hosts").unwrap_or_default();
    let listed = hosts.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut words = line.split_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|word| word == host).then_some(address)
    });
    if listed.is_some() {
        return listed;
    }
    let configuration = Configuration::read();
    let (_, answer) = ask(&configuration, host, 1, 2_000_000_000).ok()?;
    answer
        .records
        .iter()
        .find(|(kind, _)| kind == "A")
        .and_then(|(_, value)| value.parse().ok())
}

/// Asks for each candidate, each server, until one has records; else the last answer or fault.
fn ask(configuration: &Configuration, name: &str, kind: u16, patience: u64) -> Result<(String, Answer), Errno> {
    let mut last = Err(Errno::DESTADDRREQ);
    for candidate in configuration.candidates(name) {
        for server in &configuration.servers {
            match query(server, &candidate, kind, patience) {
                Ok(answer) => {
                    let found = !answer.records.is_empty();
                    last = Ok((candidate.clone(), answer));
                    if found {
                        return last;
                    }
                    break;
                }
                Err(errno) => last = Err(errno),
            }
        }
    }
    last
}

/// One question, one answer, over UDP.
fn query(server: &SocketAddr, name: &str, kind: u16, patience: u64) -> Result<Answer, Errno> {
    let socket = socket_with(
        connection::family(server),
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    connect(&socket, server)?;
    let id = (clock::monotonic() >> 8) as u16;
    let mut question = Vec::new();
    for word in [id, 0x0100, 1, 0, 0, 0] {
        question.extend_from_slice(&word.to_be_bytes());
    }
    for label in name.split('.').filter(|label| !label.is_empty()) {
        question.push(
            u8::try_from(label.len())
                .ok()
                .filter(|length| *length < 64)
                .ok_or(Errno::NAMETOOLONG)?,
        );
        question.extend_from_slice(label.as_bytes());
    }
    question.push(0);
    question.extend_from_slice(&kind.to_be_bytes());
    question.extend_from_slice(&1_u16.to_be_bytes());
    send(&socket, &question, SendFlags::NOSIGNAL)?;
    let mut buffer = [0_u8; 4096];
    loop {
        if !connection::ready(&socket, PollFlags::IN, patience)? {
            return Err(Errno::TIMEDOUT);
        }
        let (count, _) = recv(&socket, &mut buffer, RecvFlags::empty())?;
        let message = &buffer[..count];
        if half(message, 0) == Some(id) {
            return parse(message).ok_or(Errno::BADMSG);
        }
    }
}

fn half(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?))
}

fn parse(message: &[u8]) -> Option<Answer> {
    let code = message.get(3)? & 0xf;
    let (questions, answers) = (half(message, 4)?, half(message, 6)?);
    let mut at = 12;
    for _ in 0..questions {
        at = name_at(message, at)?.1 + 4;
    }
    let mut records = Vec::new();
    for _ in 0..answers {
        let (_, after) = name_at(message, at)?;
        let (kind, length) = (half(message, after)?, usize::from(half(message, after + 8)?));
        let start = after + 10;
        let data = message.get(start..start + length)?;
        let name = KINDS
            .iter()
            .find(|(_, number)| *number == kind)
            .map_or_else(|| format!("{kind}"), |(name, _)| (*name).to_string());
        let value = match kind {
            1 | 28 => crate::facts::network::address_text(data),
            5 | 12 => name_at(message, start)?.0,
            16 => String::from_utf8_lossy(data.get(1..)?).into_owned(),
            33 => {
                let target = name_at(message, start + 6)?.0;
                format!("{} {} {} {target}", half(data, 0)?, half(data, 2)?, half(data, 4)?)
            }
            _ => format!("{length} bytes"),
        };
        records.push((name, value));
        at = start + length;
    }
    Some(Answer { code, records })
}

/// The name at `at`, and where the message goes on; at most 64 labels, so that pointers cannot lead round.
fn name_at(message: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut name = String::new();
    let mut end = None;
    for _ in 0..64 {
        let length = *message.get(at)?;
        match length >> 6 {
            3 => {
                end = end.or(Some(at + 2));
                at = usize::from(half(message, at)? & 0x3fff);
            }
            0 if length == 0 => return Some((name, end.unwrap_or(at + 1))),
            0 => {
                let label = message.get(at + 1..at + 1 + usize::from(length))?;
                if !name.is_empty() {
                    name.push('.');
                }
                name.push_str(&String::from_utf8_lossy(label));
                at += 1 + usize::from(length);
            }
            _ => return None,
        }
    }
    None
}

fn rcode(code: u8) -> String {
    match code {
        0 => "NOERROR".to_string(),
        1 => "FORMERR".to_string(),
        2 => "SERVFAIL".to_string(),
        3 => "NXDOMAIN".to_string(),
        4 => "NOTIMP".to_string(),
        5 => "REFUSED".to_string(),
        other => format!("{other}"),
    }
}
