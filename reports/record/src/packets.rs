//! What came of packets that a step sent: every attempt, with who measured it.

use serde::{Deserialize, Serialize};

/// One attempt to reach something, as the probe that made it measured it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptSeen {
    /// Who made it, as the spec says it.
    pub from: String,
    /// What was to be reached, as the spec says it.
    pub to: String,
    /// The node that it was made for, of a step that is done for each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// `ADDRESS:PORT` that the name led to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// `ADDRESS:PORT` of the own end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// `connected`, `sent`, `refused`, `timeout`, `reset`, `closed`, `unreachable`, `unresolved` or `error`.
    pub outcome: String,
    /// What the kernel said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<String>,
    /// Microseconds from the first packet to the end of the attempt, without the search for the address.
    pub micros: u64,
    /// Status, of a whole HTTP response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What came back, if something was waited for and came whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodySeen>,
}

/// What came back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodySeen {
    /// FNV-1a of all of it, 64 bits, hexadecimal.
    pub hash: String,
    /// Its length, bytes.
    pub length: u64,
    /// Its first 256 bytes as text.
    pub text: String,
}

/// What came of one question to name servers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnswerSeen {
    /// Who asked, as the spec says it.
    pub from: String,
    /// The name, as the spec says it.
    pub name: String,
    /// The type that was asked for.
    #[serde(rename = "type")]
    pub kind: String,
    /// The node that it was asked for, of a step that is done for each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// `answered`, `refused`, `timeout`, `unreachable` or `error`.
    pub outcome: String,
    /// What the kernel said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<String>,
    /// The server that answered, or did not, last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// `NOERROR` …; none if nobody answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rcode: Option<String>,
    /// The name that was asked for last, by the search list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// `udp` or `tcp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// Microseconds for all questions together.
    pub micros: u64,
    /// The answer section.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<RecordSeen>,
}

/// A record of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordSeen {
    /// `A`, `AAAA`, `CNAME`, `PTR`, `SRV`, `TXT`, or its number.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its value; `PRIORITY WEIGHT PORT NAME` of an SRV record.
    pub value: String,
    /// Seconds for which it may be kept.
    pub ttl: u32,
}

/// An endpoint of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointSeen {
    /// Its address.
    pub address: String,
    /// Its condition `ready`; left out there means that it is (discovery.k8s.io/v1, EndpointConditions).
    pub ready: bool,
    /// It is going away.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub terminating: bool,
    /// The node that it is on, by the name that the spec gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// `NUMBER/PROTOCOL`, with `NAME:` in front if the port has a name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
}
