//! Checks: one subject each, typed, so that the harness knows what a check is about.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Matcher, Requirement, Spanned, requirement::NamespaceKind};

pub mod cgroup;
pub mod network;
pub mod object;
pub mod placement;
pub mod pod;

pub use cgroup::CGROUP_KEYS;
pub use network::{Cell, DnsCheck, EndpointsCheck, Even, LatencyCheck, Reachability, ResponsesCheck, Spread};
pub use object::{EventsCheck, ReplicasCheck};
pub use placement::{PlacementCheck, Skew, Unschedulable};
pub use pod::{ConditionCheck, ContainerCheck, LastCheck, LogsCheck, PodCheck};

/// One expectation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "WrittenCheck", into = "WrittenCheck")]
#[schemars(with = "WrittenCheck")]
pub struct Check {
    /// Name in reports and filters (`test.case.check`), unique in the spec.
    pub id: Spanned<String>,
    /// What is looked at: a workload, `host` or `node/NAME`; left out, the outcome of the step's own action.
    pub on: Option<Spanned<String>>,
    /// The sample that a statistic is of.
    pub sample: Option<Spanned<String>>,
    /// Why it must be so, printed when it is not.
    pub because: Option<String>,
    /// What the check needs.
    pub requires: Vec<Requirement>,
    /// What must hold.
    pub subject: Subject,
}

/// What a check is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// The life-cycle state, on which the runtime's word and the kernel must agree.
    State(Matcher),
    /// How a workload or the step's own command ended.
    Exit(ExitCheck),
    /// What was written to standard output and error.
    Output(OutputCheck),
    /// What the probe told about itself: dotted paths into its report.
    Report(BTreeMap<String, Matcher>),
    /// Processes that are visible there.
    Process(ProcessCheck),
    /// Namespaces by kind.
    Namespace(BTreeMap<NamespaceKind, Matcher>),
    /// Mounts of the mount table.
    Mounts(MountsCheck),
    /// Control group values by normalised key.
    Cgroup(BTreeMap<String, Matcher>),
    /// Interfaces, routes and listening ports.
    Network(NetworkCheck),
    /// A file or directory.
    File(FileCheck),
    /// A statistic of a sample.
    Statistic(Statistic, Matcher),
    /// Where the pods of a workload are, and why.
    Placement(Box<PlacementCheck>),
    /// The status of the pods of a workload.
    Pod(Box<PodCheck>),
    /// The object itself: dotted paths or JSON pointers into it.
    Object(BTreeMap<String, Matcher>),
    /// Whether the object is there.
    Exists(bool),
    /// Events about a workload.
    Events(EventsCheck),
    /// Counts of replicas.
    Replicas(Box<ReplicasCheck>),
    /// How many pods of a workload are ready.
    Ready(Matcher),
    /// What the containers of its pods wrote.
    Logs(LogsCheck),
    /// What came of each attempt of the step to connect.
    Connection(Matcher),
    /// What came back over HTTP.
    Responses(Box<ResponsesCheck>),
    /// What name servers answered.
    Dns(Box<DnsCheck>),
    /// The endpoints of a service.
    Endpoints(Box<EndpointsCheck>),
    /// Who reaches whom.
    Reachability(Reachability),
}

/// A statistic of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Statistic {
    /// Arithmetic mean, with Student's interval.
    Mean,
    /// Median.
    P50,
    /// 95th percentile.
    P95,
    /// 99th percentile.
    P99,
}

impl Subject {
    /// The key under which the subject stands in a spec.
    pub fn key(&self) -> &'static str {
        match self {
            Self::State(_) => "state",
            Self::Exit(_) => "exit",
            Self::Output(_) => "output",
            Self::Report(_) => "report",
            Self::Process(_) => "process",
            Self::Namespace(_) => "namespace",
            Self::Mounts(_) => "mounts",
            Self::Cgroup(_) => "cgroup",
            Self::Network(_) => "network",
            Self::File(_) => "file",
            Self::Statistic(Statistic::Mean, _) => "mean",
            Self::Statistic(Statistic::P50, _) => "p50",
            Self::Statistic(Statistic::P95, _) => "p95",
            Self::Statistic(Statistic::P99, _) => "p99",
            Self::Placement(_) => "placement",
            Self::Pod(_) => "pod",
            Self::Object(_) => "object",
            Self::Exists(_) => "exists",
            Self::Events(_) => "events",
            Self::Replicas(_) => "replicas",
            Self::Ready(_) => "ready",
            Self::Logs(_) => "logs",
            Self::Connection(_) => "connection",
            Self::Responses(_) => "responses",
            Self::Dns(_) => "dns",
            Self::Endpoints(_) => "endpoints",
            Self::Reachability(_) => "reachability",
        }
    }

    /// Whether only a cluster has it.
    pub fn is_of_cluster(&self) -> bool {
        matches!(
            self,
            Self::Placement(_)
                | Self::Pod(_)
                | Self::Object(_)
                | Self::Exists(_)
                | Self::Events(_)
                | Self::Replicas(_)
                | Self::Ready(_)
                | Self::Logs(_)
                | Self::Endpoints(_)
        )
    }

    /// Whether it is about what a step sent and what came back: the steps `http`, `dial`, `resolve`, `send` and `reach`.
    pub fn is_of_packets(&self) -> bool {
        matches!(
            self,
            Self::Connection(_) | Self::Responses(_) | Self::Dns(_) | Self::Reachability(_)
        )
    }

    /// Whether a cluster has it, too: the outcome of a command.
    pub fn is_of_action(&self) -> bool {
        matches!(self, Self::Exit(_) | Self::Output(_))
    }
}

/// How something ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExitCheck {
    /// Exit status; 128+n when ended by signal n.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Matcher>,
    /// `SIGKILL` … or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<Matcher>,
    /// `Completed`, `Error` or `OOMKilled`, concluded from the kernel's counters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Matcher>,
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutputCheck {
    /// Standard output, without the probe's own report lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<Matcher>,
    /// Standard error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<Matcher>,
    /// Dotted paths into standard output read as one JSON document (`state`, `features`, `events`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub json: BTreeMap<String, Matcher>,
}

/// Processes that are visible.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProcessCheck {
    /// Which processes.
    #[serde(rename = "where")]
    pub filter: ProcessFilter,
    /// How many (at least one unless told, when nothing else is asked).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<Matcher>,
    /// Argument vector of each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Matcher>,
    /// Effective user id of each, as seen from where one looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<Matcher>,
    /// Parent process id of each, as seen from where one looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ppid: Option<Matcher>,
    /// Kernel state letter of each (`R`, `S`, `D`, `Z`, `T`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Matcher>,
}

/// Which processes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProcessFilter {
    /// Process id as seen from where one looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// An argument that contains this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args_contain: Option<String>,
    /// A `hostProcess` or a workload (its init), by the kernel's identity and not by text.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Kernel state letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Every process that is visible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<bool>,
}

/// Mounts of a mount table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MountsCheck {
    /// Which mounts.
    #[serde(rename = "where")]
    pub filter: MountFilter,
    /// How many (at least one unless told, when nothing else is asked).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<Matcher>,
    /// Per-mount and super block options of each, as a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Matcher>,
    /// File system type of each.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<Matcher>,
    /// `private`, `shared`, `slave`, `shared,slave` or `unbindable`, of each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub propagation: Option<Matcher>,
    /// Root of the mount within its file system, of each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<Matcher>,
}

/// Which mounts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MountFilter {
    /// Mount point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// File system type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Mount source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Every mount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<bool>,
}

/// Interfaces, routes and ports.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkCheck {
    /// Names of the interfaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interfaces: Option<Matcher>,
    /// Names of the interfaces that are up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up: Option<Matcher>,
    /// Destinations of the IPv4 routes (`10.0.0.0/8`, `0.0.0.0/0`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<Matcher>,
    /// Listening sockets (`tcp:0.0.0.0:80`, `unix:@name`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listening: Option<Matcher>,
}

/// A file or directory, looked at from outside through the target's root.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileCheck {
    /// Absolute path.
    pub path: String,
    /// Whether it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exists: Option<bool>,
    /// `file`, `directory`, `symlink`, `character`, `block`, `fifo` or `socket`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<Matcher>,
    /// Text (first 64 KiB).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Matcher>,
    /// Permission bits in octal (`"0644"`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Matcher>,
    /// Owner, as the host sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<Matcher>,
    /// Group, as the host sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<Matcher>,
    /// Size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Matcher>,
    /// Names in a directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<Matcher>,
}

/// The check as a person writes it: exactly one of the subject keys.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Check")]
struct WrittenCheck {
    /// Name in reports and filters, unique in the spec.
    id: Spanned<String>,
    /// What is looked at: a workload, `host` or `node/NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on: Option<Spanned<String>>,
    /// The sample that `mean`, `p50` … are of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sample: Option<Spanned<String>>,
    /// Why it must be so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    because: Option<String>,
    /// What the check needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    requires: Vec<Requirement>,
    /// `created`, `running`, `stopped`, `paused` or `missing`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<Matcher>,
    /// How a workload or the step's own command ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exit: Option<ExitCheck>,
    /// What was written to standard output and error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output: Option<OutputCheck>,
    /// What the probe told about itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    report: Option<BTreeMap<String, Matcher>>,
    /// Processes that are visible there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    process: Option<ProcessCheck>,
    /// Namespaces by kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<BTreeMap<NamespaceKind, Matcher>>,
    /// Mounts of the mount table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mounts: Option<MountsCheck>,
    /// Control group values by normalised key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cgroup: Option<BTreeMap<String, Matcher>>,
    /// Interfaces, routes and listening ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    network: Option<NetworkCheck>,
    /// A file or directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<FileCheck>,
    /// Mean of a sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mean: Option<Matcher>,
    /// Median of a sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    p50: Option<Matcher>,
    /// 95th percentile of a sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    p95: Option<Matcher>,
    /// 99th percentile of a sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    p99: Option<Matcher>,
    /// Where the pods of a workload are, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    placement: Option<Box<PlacementCheck>>,
    /// The status of the pods of a workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pod: Option<Box<PodCheck>>,
    /// The object itself: dotted paths (`spec.nodeName`) or JSON pointers (`/metadata/labels/a`) into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    object: Option<BTreeMap<String, Matcher>>,
    /// Whether the object is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exists: Option<bool>,
    /// Events about a workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    events: Option<EventsCheck>,
    /// Counts of replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replicas: Option<Box<ReplicasCheck>>,
    /// How many pods of a workload are ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ready: Option<Matcher>,
    /// What the containers of its pods wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    logs: Option<LogsCheck>,
    /// What came of each attempt: `connected`, `sent`, `refused`, `timeout`, `reset`, `closed`, `unreachable`,
    /// `unresolved` or `error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    connection: Option<Matcher>,
    /// What came back over HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    responses: Option<Box<ResponsesCheck>>,
    /// What name servers answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dns: Option<Box<DnsCheck>>,
    /// The endpoints of a service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    endpoints: Option<Box<EndpointsCheck>>,
    /// Who reaches whom: rows are `from`, columns are `to`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reachability: Option<Reachability>,
}

/// The keys of which a check has exactly one.
pub const SUBJECT_KEYS: [&str; 27] = [
    "state",
    "exit",
    "output",
    "report",
    "process",
    "namespace",
    "mounts",
    "cgroup",
    "network",
    "file",
    "mean",
    "p50",
    "p95",
    "p99",
    "placement",
    "pod",
    "object",
    "exists",
    "events",
    "replicas",
    "ready",
    "logs",
    "connection",
    "responses",
    "dns",
    "endpoints",
    "reachability",
];

impl TryFrom<WrittenCheck> for Check {
    type Error = String;
    fn try_from(written: WrittenCheck) -> Result<Self, String> {
        let mut subjects: Vec<Subject> = Vec::new();
        subjects.extend(written.state.map(Subject::State));
        subjects.extend(written.exit.map(Subject::Exit));
        subjects.extend(written.output.map(Subject::Output));
        subjects.extend(written.report.map(Subject::Report));
        subjects.extend(written.process.map(Subject::Process));
        subjects.extend(written.namespace.map(Subject::Namespace));
        subjects.extend(written.mounts.map(Subject::Mounts));
        subjects.extend(written.cgroup.map(Subject::Cgroup));
        subjects.extend(written.network.map(Subject::Network));
        subjects.extend(written.file.map(Subject::File));
        subjects.extend(written.mean.map(|m| Subject::Statistic(Statistic::Mean, m)));
        subjects.extend(written.p50.map(|m| Subject::Statistic(Statistic::P50, m)));
        subjects.extend(written.p95.map(|m| Subject::Statistic(Statistic::P95, m)));
        subjects.extend(written.p99.map(|m| Subject::Statistic(Statistic::P99, m)));
        subjects.extend(written.placement.map(Subject::Placement));
        subjects.extend(written.pod.map(Subject::Pod));
        subjects.extend(written.object.map(Subject::Object));
        subjects.extend(written.exists.map(Subject::Exists));
        subjects.extend(written.events.map(Subject::Events));
        subjects.extend(written.replicas.map(Subject::Replicas));
        subjects.extend(written.ready.map(Subject::Ready));
        subjects.extend(written.logs.map(Subject::Logs));
        subjects.extend(written.connection.map(Subject::Connection));
        subjects.extend(written.responses.map(Subject::Responses));
        subjects.extend(written.dns.map(Subject::Dns));
        subjects.extend(written.endpoints.map(Subject::Endpoints));
        subjects.extend(written.reachability.map(Subject::Reachability));
        if subjects.len() > 1 {
            let names: Vec<_> = subjects.iter().map(|s| format!("`{}`", s.key())).collect();
            return Err(format!(
                "check `{}` is about one thing, this one is about {}",
                written.id.value,
                names.join(" and ")
            ));
        }
        let Some(subject) = subjects.pop() else {
            return Err(format!(
                "check `{}` does not say what it is about: expected one of {}",
                written.id.value,
                SUBJECT_KEYS.join(", ")
            ));
        };
        Ok(Self {
            id: written.id,
            on: written.on,
            sample: written.sample,
            because: written.because,
            requires: written.requires,
            subject,
        })
    }
}

impl From<Check> for WrittenCheck {
    fn from(check: Check) -> Self {
        let mut written = Self {
            id: check.id,
            on: check.on,
            sample: check.sample,
            because: check.because,
            requires: check.requires,
            state: None,
            exit: None,
            output: None,
            report: None,
            process: None,
            namespace: None,
            mounts: None,
            cgroup: None,
            network: None,
            file: None,
            mean: None,
            p50: None,
            p95: None,
            p99: None,
            placement: None,
            pod: None,
            object: None,
            exists: None,
            events: None,
            replicas: None,
            ready: None,
            logs: None,
            connection: None,
            responses: None,
            dns: None,
            endpoints: None,
            reachability: None,
        };
        match check.subject {
            Subject::State(s) => written.state = Some(s),
            Subject::Exit(s) => written.exit = Some(s),
            Subject::Output(s) => written.output = Some(s),
            Subject::Report(s) => written.report = Some(s),
            Subject::Process(s) => written.process = Some(s),
            Subject::Namespace(s) => written.namespace = Some(s),
            Subject::Mounts(s) => written.mounts = Some(s),
            Subject::Cgroup(s) => written.cgroup = Some(s),
            Subject::Network(s) => written.network = Some(s),
            Subject::File(s) => written.file = Some(s),
            Subject::Statistic(Statistic::Mean, s) => written.mean = Some(s),
            Subject::Statistic(Statistic::P50, s) => written.p50 = Some(s),
            Subject::Statistic(Statistic::P95, s) => written.p95 = Some(s),
            Subject::Statistic(Statistic::P99, s) => written.p99 = Some(s),
            Subject::Placement(s) => written.placement = Some(s),
            Subject::Pod(s) => written.pod = Some(s),
            Subject::Object(s) => written.object = Some(s),
            Subject::Exists(s) => written.exists = Some(s),
            Subject::Events(s) => written.events = Some(s),
            Subject::Replicas(s) => written.replicas = Some(s),
            Subject::Ready(s) => written.ready = Some(s),
            Subject::Logs(s) => written.logs = Some(s),
            Subject::Connection(s) => written.connection = Some(s),
            Subject::Responses(s) => written.responses = Some(s),
            Subject::Dns(s) => written.dns = Some(s),
            Subject::Endpoints(s) => written.endpoints = Some(s),
            Subject::Reachability(s) => written.reachability = Some(s),
        }
        written
    }
}
