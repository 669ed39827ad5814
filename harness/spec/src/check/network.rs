//! What a step that sent packets saw: connections, responses, answers of name servers, and who reaches whom.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Matcher;

/// What came back over HTTP, all requests of the look together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResponsesCheck {
    /// Status of each response, and there must be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Matcher>,
    /// How many requests got no whole response, those included that there was no time for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Matcher>,
    /// How many different bodies came: with a server that tells its name, how many servers answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distinct_bodies: Option<Matcher>,
    /// The different bodies, as a list (first 256 bytes of each, without a line feed at the end).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bodies: Option<Matcher>,
    /// How long they took, from the first packet of the connection to the last byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencyCheck>,
    /// How they are spread over those that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
}

/// How long responses took. A percentile has the interval of its order statistics, which must lie inside the bounds;
/// if it does so only in part, the check is inconclusive and needs more requests.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LatencyCheck {
    /// Median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50: Option<Matcher>,
    /// 95th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95: Option<Matcher>,
    /// 99th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99: Option<Matcher>,
    /// The longest that was seen, as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Matcher>,
}

/// How responses are spread over bodies, which stand for the servers that wrote them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spread {
    /// Each gets its share, by Pearson's chi-square test.
    pub even: Even,
}

/// Each of so many servers gets the same share of the responses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Even {
    /// How many there are; one that never answers counts, too.
    pub over: u32,
    /// A spread that is even is called uneven at most so seldom: once in a hundred for 0.99 (unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// What must not stay unseen: one server that gets less than its share by this part of it (0.5 unless told). With too
    /// few responses to see it in four of five runs, the check is inconclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detect: Option<f64>,
}

/// What name servers answered. What is said of records holds for all of the last answer, and there must be one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DnsCheck {
    /// `NOERROR`, `NXDOMAIN`, `SERVFAIL`, `REFUSED`, `FORMERR` or `NOTIMP`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rcode: Option<Matcher>,
    /// Values of the A and AAAA records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Matcher>,
    /// Names that CNAME, PTR and SRV records lead to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<Matcher>,
    /// Every record, as `TYPE VALUE`; an SRV record as `SRV PRIORITY WEIGHT PORT NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<Matcher>,
    /// How long each record may be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Matcher>,
    /// The name that was found in the end: the one of the search list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Matcher>,
    /// `udp` or `tcp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Matcher>,
}

/// The endpoints of a service, by its EndpointSlices.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EndpointsCheck {
    /// Addresses of those that are ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Matcher>,
    /// Addresses of those that are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_ready: Option<Matcher>,
    /// Addresses of those that are going away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminating: Option<Matcher>,
    /// Nodes that those which are ready are on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<Matcher>,
    /// Ports, as `NUMBER/PROTOCOL`, with `NAME:` in front if they have a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<Matcher>,
}

/// Who reaches whom: by row (`from`) and column (`to`) of the step `reach`, what must come of it. No cell is left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Reachability(pub BTreeMap<String, BTreeMap<String, Cell>>);

/// What must come of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Cell {
    /// It is connected.
    Connected,
    /// It is not, in whatever way: refused, timeout, reset or unreachable.
    Blocked,
    /// The other side refuses.
    Refused,
    /// Nothing comes back.
    Timeout,
    /// The connection is cut.
    Reset,
    /// The network says that there is no way.
    Unreachable,
}

impl Cell {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Blocked => "blocked",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Unreachable => "unreachable",
        }
    }

    /// Whether the outcome of an attempt is what must come.
    pub fn admits(self, outcome: &str) -> bool {
        match self {
            Self::Blocked => matches!(outcome, "refused" | "timeout" | "reset" | "unreachable"),
            one => one.word() == outcome,
        }
    }
}
