//! Steps that send packets: who asks whom, and how often. They are looks: each look sends them anew.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Family, Rate, Span, Spanned};

/// Most attempts of one step and look: what the probe tells of more would be cut off.
pub const MOST_ATTEMPTS: u32 = 1000;

/// Send HTTP requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Http {
    /// Who asks: a workload, `host` (of a runtime), or `node/NAME` or `outside` (of a cluster).
    pub from: Spanned<String>,
    /// The container of the pod that asks (the first unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// `http://HOST[:PORT][/PATH]`; an IPv6 address in brackets.
    pub url: String,
    /// The family of addresses to do it by, where a name has both (the first that the name has unless told, IPv4 before
    /// IPv6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// Method (`GET` unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Headers beside `Host`, `Connection` and `Content-Length`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Requests in one look, each on a connection of its own (1 unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<u32>,
    /// How many a time at most, such as `50/s` (as fast as they are answered unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Time for each request, from the question for the address to the last byte (2s unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// All of it once for each of these; `${node.name}`, `${node.ip}` and `${node.ip.IPv6}` tell which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_each: Option<ForEach>,
}

/// Connect, and with `send` wait for an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dial {
    /// Who dials: a workload, `host` (of a runtime), or `node/NAME` or `outside` (of a cluster).
    pub from: Spanned<String>,
    /// The container of the pod that dials (the first unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// `HOST:PORT`; an IPv6 address in brackets.
    pub address: String,
    /// The family of addresses to do it by, where a name has both (the first that the name has unless told, IPv4 before
    /// IPv6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// `tcp` unless told. A datagram's `connected` means that an answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// What is said first; over TCP the attempt then waits for an answer, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send: Option<String>,
    /// Attempts in one look (1 unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<u32>,
    /// How many a time at most, such as `50/s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Time for each attempt (2s unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// All of it once for each of these; `${node.name}`, `${node.ip}` and `${node.ip.IPv6}` tell which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_each: Option<ForEach>,
}

/// Ask a name server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resolve {
    /// Who asks: a workload, `host` (of a runtime), or `node/NAME` or `outside` (of a cluster).
    pub from: Spanned<String>,
    /// The container of the pod that asks (the first unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The name; one that does not end with `.` goes through the search list. Of a PTR record an address will do.
    pub name: String,
    /// Type of the records (`A` unless told).
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<RecordType>,
    /// `ADDRESS[:PORT]` (what `/etc/resolv.conf` says there unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Over TCP from the start, and not only when an answer was cut off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tcp: bool,
    /// Time for each question to each server (2s unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// All of it once for each of these; `${node.name}`, `${node.ip}` and `${node.ip.IPv6}` tell which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_each: Option<ForEach>,
}

/// Send bytes and wait for no answer. Whether they came is for a check on the other side to see.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Send {
    /// Who sends: a workload, `host` (of a runtime), or `node/NAME` or `outside` (of a cluster).
    pub from: Spanned<String>,
    /// The container of the pod that sends (the first unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// `HOST:PORT`; an IPv6 address in brackets.
    pub address: String,
    /// The family of addresses to do it by, where a name has both (the first that the name has unless told, IPv4 before
    /// IPv6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// `udp` unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// The bytes.
    pub data: String,
    /// Datagrams, or connections, in one look (1 unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<u32>,
    /// How many a time at most, such as `50/s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Time for each (2s unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// All of it once for each of these; `${node.name}`, `${node.ip}` and `${node.ip.IPv6}` tell which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_each: Option<ForEach>,
}

/// Dial from each to each. All of one `from` are dialled at the same time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reach {
    /// Who dials: workloads, `host` (of a runtime), `node/NAME` or `outside` (of a cluster). The rows of the table.
    pub from: Vec<Spanned<String>>,
    /// Who is dialled: `HOST:PORT`, or a workload of which the first pod is meant. The columns of the table.
    pub to: Vec<Spanned<String>>,
    /// The port of columns that are workloads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The family of addresses to dial: of columns that are workloads, the pod's address of it (the first that it has unless
    /// told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// `tcp` unless told. A datagram's `connected` means that an answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// Time for each (1s unless told): what is dropped is known by nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
}

/// A transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

impl Protocol {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// Types of DNS records that can be asked for (RFC 1035, 3596 and 2782).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordType {
    /// IPv4 address.
    A,
    /// IPv6 address.
    Aaaa,
    /// Another name.
    Cname,
    /// The name of an address.
    Ptr,
    /// Host and port of a service.
    Srv,
    /// Text.
    Txt,
}

impl RecordType {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Ptr => "PTR",
            Self::Srv => "SRV",
            Self::Txt => "TXT",
        }
    }
}

/// What a step is done once for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ForEach {
    /// Every node of the cluster.
    Node,
}
