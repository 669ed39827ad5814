//! Messages of DNS: one question, and the records of its answer (RFC 1035 section 4).

use alloc::{
    format,
    string::{String, ToString as _},
    vec::Vec,
};

use sys::freestanding::rustix::io::Errno;

/// Types that can be asked for.
const KINDS: &[(&str, u16)] = &[
    ("A", 1),
    ("CNAME", 5),
    ("PTR", 12),
    ("TXT", 16),
    ("AAAA", 28),
    ("SRV", 33),
];

/// A record of an answer.
pub(crate) struct Record {
    pub(crate) kind: String,
    pub(crate) value: String,
    /// Seconds for which it may be kept.
    pub(crate) ttl: u32,
}

/// What a server said.
pub(crate) struct Answer {
    code: u8,
    /// It did not fit into a datagram.
    pub(crate) truncated: bool,
    pub(crate) records: Vec<Record>,
}

impl Answer {
    /// The name of its code.
    pub(crate) fn rcode(&self) -> String {
        match self.code {
            0 => "NOERROR".to_string(),
            1 => "FORMERR".to_string(),
            2 => "SERVFAIL".to_string(),
            3 => "NXDOMAIN".to_string(),
            4 => "NOTIMP".to_string(),
            5 => "REFUSED".to_string(),
            other => format!("{other}"),
        }
    }

    /// Whether it says something about the name: that it is there, or that it is not.
    pub(crate) fn is_about_the_name(&self) -> bool {
        matches!(self.code, 0 | 3)
    }

    /// Whether the name is there.
    pub(crate) fn is_good(&self) -> bool {
        self.code == 0
    }
}

/// The number of a type.
pub(crate) fn kind(name: &str) -> Option<u16> {
    KINDS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, number)| *number)
}

/// A question, recursion desired.
pub(crate) fn question(id: u16, name: &str, kind: u16) -> Result<Vec<u8>, Errno> {
    let mut message = Vec::new();
    for word in [id, 0x0100, 1, 0, 0, 0] {
        message.extend_from_slice(&word.to_be_bytes());
    }
    for label in name.split('.').filter(|label| !label.is_empty()) {
        let length = u8::try_from(label.len()).ok().filter(|length| *length < 64);
        message.push(length.ok_or(Errno::NAMETOOLONG)?);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&1_u16.to_be_bytes());
    Ok(message)
}

/// Whether a message is the answer to the question with this id.
pub(crate) fn answers(message: &[u8], id: u16) -> bool {
    half(message, 0) == Some(id) && message.get(2).is_some_and(|flags| flags & 0x80 != 0)
}

/// The records of an answer; `None` if it is no message of DNS.
pub(crate) fn parse(message: &[u8]) -> Option<Answer> {
    let truncated = message.get(2)? & 2 != 0;
    let code = message.get(3)? & 0xf;
    let (questions, answers) = (half(message, 4)?, half(message, 6)?);
    let mut at = 12;
    for _ in 0..questions {
        at = name_at(message, at)?.1 + 4;
    }
    let mut records = Vec::new();
    for _ in 0..answers {
        match record_at(message, at) {
            Some((record, next)) => {
                records.push(record);
                at = next;
            }
            // What was cut off is asked for again, over TCP.
            None if truncated => break,
            None => return None,
        }
    }
    Some(Answer {
        code,
        truncated,
        records,
    })
}

fn record_at(message: &[u8], at: usize) -> Option<(Record, usize)> {
    let (_, after) = name_at(message, at)?;
    let (kind, length) = (half(message, after)?, usize::from(half(message, after + 8)?));
    let ttl = u32::from_be_bytes(message.get(after + 4..after + 8)?.try_into().ok()?);
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
    let record = Record { kind: name, value, ttl };
    Some((record, start + length))
}

fn half(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?))
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
