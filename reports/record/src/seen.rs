//! What a look saw: raw facts, before any judgement.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::packets::{AnswerSeen, AttemptSeen, EndpointSeen};
use crate::pods::{EventSeen, FilteredSeen, PodSeen};
use crate::samples::{Conditions, SamplePlan};

/// What one check saw in one look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "seen", rename_all = "camelCase")]
pub enum Seen {
    /// The life-cycle state.
    State {
        /// The runtime's word, `None` if it knows no such container.
        runtime: Option<String>,
        /// The pid that the runtime told with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        told: Option<i64>,
        /// What the kernel shows.
        kernel: KernelState,
    },
    /// How something ended.
    Exit {
        /// Still running: `None` of the following is known.
        running: bool,
        /// Exit status, 128+n for signal n.
        code: Option<i64>,
        /// `SIGKILL` …, or `none`.
        signal: Option<String>,
        /// `Completed`, `Error` or `OOMKilled`.
        reason: Option<String>,
        /// Who told: `waitid` of the harness, or the command line's own exit.
        source: String,
    },
    /// What was written.
    Output {
        /// Standard output without the probe's lines.
        stdout: String,
        /// Standard error.
        stderr: String,
    },
    /// What the probe told.
    Report {
        /// The merged lines that carry the nonce; `None` if there was no such line.
        values: Option<Value>,
    },
    /// Visible processes.
    Processes {
        /// Every process that is visible there, but for the harness itself.
        list: Vec<ProcessSeen>,
        /// Where the list comes from.
        source: String,
    },
    /// Namespaces.
    Namespaces {
        /// `kind → inode` of the target.
        target: BTreeMap<String, u64>,
        /// `who → kind → inode` of all that it may be compared with (`host` and the workloads).
        others: BTreeMap<String, BTreeMap<String, u64>>,
        /// The file read.
        source: String,
    },
    /// The mount table.
    Mounts {
        /// In the order of the table.
        list: Vec<MountSeen>,
        /// The file read.
        source: String,
    },
    /// Control group values.
    Cgroup {
        /// By normalised key.
        values: BTreeMap<String, CgroupValue>,
    },
    /// Interfaces, routes and ports.
    Network {
        /// Names of the interfaces.
        interfaces: Vec<String>,
        /// Names of those that are up.
        up: Vec<String>,
        /// Destinations of the IPv4 routes.
        routes: Vec<String>,
        /// Listening sockets.
        listening: Vec<String>,
    },
    /// A file.
    File {
        /// Whether it is there.
        exists: bool,
        /// Its kind.
        #[serde(rename = "type")]
        kind: Option<String>,
        /// First 64 KiB, if a regular file.
        content: Option<String>,
        /// Permission bits, octal.
        mode: Option<String>,
        /// Owner as the host sees it.
        uid: Option<u32>,
        /// Group as the host sees it.
        gid: Option<u32>,
        /// Size in bytes.
        size: Option<u64>,
        /// Names, if a directory.
        entries: Option<Vec<String>>,
    },
    /// Samples so far.
    Samples {
        /// In the order drawn: shares of one for `cpu.usage`, bytes, counts, or ratios.
        values: Vec<f64>,
        /// Unit for people: `%`, `bytes`, `bytes/s`, `tasks` or `ratio`.
        unit: String,
        /// No more will be drawn.
        complete: bool,
        /// How they were to be drawn. Older records do not tell, and their samples are judged in one look.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plan: Option<SamplePlan>,
        /// What went on in the window of each, in the same order; empty in older records.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        conditions: Vec<Conditions>,
    },
    /// Where the pods of a workload are.
    Placement {
        /// The pods of the workload.
        pods: Vec<PodSeen>,
        /// Labels of every node, by the name that the spec gives it.
        nodes: BTreeMap<String, BTreeMap<String, String>>,
        /// By workload that the check compares with: the nodes that its pods are on.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        others: BTreeMap<String, Vec<String>>,
        /// What the scheduler says of each node for the first of the pods, if it was asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        filtered: Option<BTreeMap<String, FilteredSeen>>,
        /// Workloads, and pods of none, that had to go for these pods, if that was asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        preempted: Option<Vec<String>>,
        /// Where it was read.
        source: String,
    },
    /// The pods of a workload.
    Pods {
        /// In the order of their names.
        pods: Vec<PodSeen>,
        /// Where it was read.
        source: String,
    },
    /// An object.
    Object {
        /// Whether it is there.
        exists: bool,
        /// What is at the paths that the check names, as far as there is something.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        values: BTreeMap<String, Value>,
        /// Where it was read.
        source: String,
    },
    /// Events about a workload or node.
    Events {
        /// In the order in which they happened first.
        list: Vec<EventSeen>,
        /// Where it was read.
        source: String,
    },
    /// Counts of replicas.
    Replicas {
        /// Asked for.
        desired: i64,
        /// There.
        current: i64,
        /// Ready.
        ready: i64,
        /// Of the newest template.
        updated: i64,
        /// Available.
        available: i64,
        /// The controller has seen the newest `spec`.
        observed: bool,
        /// Where it was read.
        source: String,
    },
    /// What containers of pods wrote.
    Logs {
        /// By pod.
        texts: BTreeMap<String, String>,
        /// Where it was read.
        source: String,
    },
    /// What came of connections, requests and datagrams.
    Attempts {
        /// In the order in which they were made.
        list: Vec<AttemptSeen>,
        /// How many were to be made; fewer were if there was no time for more.
        wanted: u64,
        /// What the references of the check stood for.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        references: BTreeMap<String, Value>,
    },
    /// What came of questions to name servers.
    Answers {
        /// One, or one for each node.
        list: Vec<AnswerSeen>,
        /// What the references of the check stood for.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        references: BTreeMap<String, Value>,
    },
    /// The endpoints of a service.
    Endpoints {
        /// In the order of their addresses.
        list: Vec<EndpointSeen>,
        /// What the references of the check stood for.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        references: BTreeMap<String, Value>,
        /// Where it was read.
        source: String,
    },
    /// What was to be looked at is not there: the check fails.
    Absent {
        /// What and why.
        what: String,
    },
    /// The look itself went wrong: the check ends in error.
    Unmeasured {
        /// What and why.
        why: String,
    },
}

impl Seen {
    /// What the references of the check stood for when it was looked at.
    pub fn references(&self) -> Option<&BTreeMap<String, Value>> {
        match self {
            Self::Attempts { references, .. }
            | Self::Answers { references, .. }
            | Self::Endpoints { references, .. } => Some(references),
            _ => None,
        }
    }
}

/// What the kernel shows of a container's init.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KernelState {
    /// Host pid that the harness knows, if a container was ever made.
    pub pid: Option<i32>,
    /// The pidfd is not readable: it lives.
    pub alive: bool,
    /// The process image is no longer the runtime's own: the payload runs.
    pub payload: bool,
    /// Every task of the cgroup is frozen.
    pub frozen: bool,
    /// The process is in the container's cgroup.
    pub in_cgroup: Option<bool>,
}

/// One process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessSeen {
    /// Id as seen from there.
    pub pid: i32,
    /// Parent as seen from there.
    pub ppid: i32,
    /// Effective user id as seen from there.
    pub uid: u32,
    /// State letter.
    pub state: String,
    /// Arguments; the bracketed name if there are none.
    pub args: Vec<String>,
    /// Which workload or host process of the case it is, by the kernel's identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is: Option<String>,
}

/// One mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MountSeen {
    /// Root within the file system.
    pub root: String,
    /// Mount point.
    pub destination: String,
    /// Per-mount options, then super block options.
    pub options: Vec<String>,
    /// `private`, `shared`, `slave`, `shared,slave` or `unbindable`.
    pub propagation: String,
    /// File system type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Source.
    pub source: String,
}

/// One control group value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CgroupValue {
    /// The file read.
    pub file: String,
    /// The value in the key's unit; `None` if there is no such file here. "max" is the text `max`.
    pub value: Option<Value>,
}
