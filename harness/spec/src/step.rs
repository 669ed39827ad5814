//! Steps: one action at most, samples, a window of time, and what to expect.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Bytes, Check, Requirement, Span, Spanned};

pub mod network;

pub use network::{Dial, ForEach, Http, MOST_ATTEMPTS, Protocol, Reach, RecordType, Resolve, Send};

/// One step of a test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "WrittenStep", into = "WrittenStep")]
#[schemars(with = "WrittenStep")]
pub struct Step {
    /// What a person calls it.
    pub name: Option<String>,
    /// What it does before looking.
    pub action: Option<Action>,
    /// Samples drawn after the action.
    pub sample: Option<Sample>,
    /// When and how often it looks.
    pub window: Window,
    /// What the step needs.
    pub requires: Vec<Requirement>,
    /// What must hold.
    pub expect: Vec<Spanned<Check>>,
}

/// When a step looks (design: time is explicit).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// One look.
    Once,
    /// Until all checks hold in one and the same look, or the time is up.
    Eventually {
        /// Time allowed.
        within: Span,
        /// From look to look.
        every: Span,
    },
    /// All checks hold in every look.
    Consistently {
        /// How long.
        lasting: Span,
        /// From look to look.
        every: Span,
    },
}

/// The one action of a step. Effects run once; looks are repeated.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Create and start workloads, in order.
    Start(Vec<Spanned<String>>),
    /// Stop a workload: signal, wait, SIGKILL.
    Stop(Stop),
    /// Run a process in a running workload through the subject's `exec`.
    Exec(Exec),
    /// Send a signal to a workload's init through the subject's `kill`.
    Signal(Signal),
    /// One verb of the runtime command line.
    Oci(Oci),
    /// Start a process beside the subject, in the host namespaces.
    HostProcess(HostProcess),
    /// Run a shell script in the host namespaces.
    Script(Script),
    /// Delete an object of a cluster.
    Delete(Delete),
    /// Apply a manifest in an object's place, as `kubectl apply --server-side` does.
    Apply(Apply),
    /// Change an object by a patch.
    Patch(Patch),
    /// Change the number of replicas.
    Scale(Scale),
    /// Ask that pods leave, as long as their disruption budget allows it.
    Evict(Evict),
    /// Let a node take no more pods.
    Cordon(Spanned<String>),
    /// Let a node take pods again.
    Uncordon(Spanned<String>),
    /// Cordon a node and evict its pods.
    Drain(Drain),
    /// What befalls a node.
    Node(NodeEvent),
    /// Let nothing get to the first pod of a workload, or from it.
    Mute(Spanned<String>),
    /// Take that back.
    Unmute(Spanned<String>),
    /// Send HTTP requests.
    Http(Http),
    /// Connect.
    Dial(Dial),
    /// Ask a name server.
    Resolve(Resolve),
    /// Send bytes and wait for no answer.
    Send(Send),
    /// Dial from each to each.
    Reach(Reach),
}

/// Delete an object of a cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Delete {
    /// Workload.
    pub on: Spanned<String>,
    /// Time for its pods to end by themselves (what the object says unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<Span>,
    /// What becomes of what it owns (`background` unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub propagation: Option<Propagation>,
    /// Whether the step waits until it is gone (false unless told).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wait: bool,
}

/// What becomes of what a deleted object owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Propagation {
    /// It goes first.
    Foreground,
    /// It goes afterwards.
    Background,
    /// It stays.
    Orphan,
}

/// Apply a manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Apply {
    /// Workload.
    pub on: Spanned<String>,
    /// What to apply (the workload's own manifest unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<crate::Manifest>,
    /// Who applies (`plimsoll` unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<String>,
    /// Take fields over that others own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

/// Change an object by a patch of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Patch {
    /// Workload or `node/NAME`.
    pub on: Spanned<String>,
    /// JSON merge patch (RFC 7386).
    #[serde(
        default,
        deserialize_with = "crate::workload::given",
        skip_serializing_if = "Option::is_none"
    )]
    pub merge: Option<Value>,
    /// Strategic merge patch of Kubernetes.
    #[serde(
        default,
        deserialize_with = "crate::workload::given",
        skip_serializing_if = "Option::is_none"
    )]
    pub strategic: Option<Value>,
    /// JSON patch (RFC 6902).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Vec<crate::workload::PatchOperation>>,
    /// A part of it: `status` or `scale`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subresource: Option<String>,
}

/// Change the number of replicas.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scale {
    /// Workload.
    pub on: Spanned<String>,
    /// How many.
    pub replicas: u32,
}

/// Ask that pods leave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Evict {
    /// Workload of which all pods are to leave.
    pub on: Spanned<String>,
    /// Time for them to end by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<Span>,
}

/// Cordon a node and evict its pods, as `kubectl drain` does: again and again while a disruption budget refuses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Drain {
    /// Node.
    pub node: Spanned<String>,
    /// Time allowed (10s unless told); what is left then is a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
    /// Time for the pods to end by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<Span>,
}

/// What befalls a node of the bundled cluster: a map with one key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum NodeEvent {
    /// Its agent ends in order; its pods run on.
    Stop(Spanned<String>),
    /// It starts again.
    Start(Spanned<String>),
    /// Its agent and pods die.
    Kill(Spanned<String>),
    /// Its agent hangs.
    Freeze(Spanned<String>),
    /// Its agent goes on.
    Thaw(Spanned<String>),
    /// It is cut off from the API.
    Partition(Spanned<String>),
    /// Its network and its names are what they were.
    Heal(Spanned<String>),
    /// Its agent dies and starts again; its pods run on.
    Restart(Spanned<String>),
    /// It is cut off from the other nodes, but not from the API.
    Unplug(Spanned<String>),
    /// It and another node do not reach each other; everybody else reaches both.
    Separate(Separate),
    /// Packets from and to the wire are lost by chance.
    Lose(Lose),
    /// Its link is slow.
    Throttle(Throttle),
    /// Everything on its link comes later.
    Delay(Delay),
    /// All its packet filter rules are deleted.
    Flush(Spanned<String>),
    /// Its DNS server goes on answering what it knows now.
    Outdate(Spanned<String>),
}

/// Two nodes do not reach each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Separate {
    /// One.
    pub node: Spanned<String>,
    /// The other.
    pub from: Spanned<String>,
}

/// Packets are lost by chance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lose {
    /// Whose.
    pub node: Spanned<String>,
    /// So many of a hundred, in each direction.
    pub percent: u8,
    /// Of those from and to this node only (all from and to the wire unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<Spanned<String>>,
}

/// A link is slow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Throttle {
    /// Whose.
    pub node: Spanned<String>,
    /// Bytes a second, in each direction.
    pub rate: Bytes,
}

/// A link is long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Delay {
    /// Whose.
    pub node: Spanned<String>,
    /// So much later, in each direction.
    pub by: Span,
}

impl NodeEvent {
    /// The word for it, and the node.
    pub fn parts(&self) -> (&'static str, &Spanned<String>) {
        match self {
            Self::Stop(node) => ("stop", node),
            Self::Start(node) => ("start", node),
            Self::Kill(node) => ("kill", node),
            Self::Freeze(node) => ("freeze", node),
            Self::Thaw(node) => ("thaw", node),
            Self::Partition(node) => ("partition", node),
            Self::Heal(node) => ("heal", node),
            Self::Restart(node) => ("restart", node),
            Self::Unplug(node) => ("unplug", node),
            Self::Separate(separate) => ("separate", &separate.node),
            Self::Lose(lose) => ("lose", &lose.node),
            Self::Throttle(throttle) => ("throttle", &throttle.node),
            Self::Delay(delay) => ("delay", &delay.node),
            Self::Flush(node) => ("flush", node),
            Self::Outdate(node) => ("outdate", node),
        }
    }
}

impl Action {
    /// The key under which it stands in a spec.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Start(_) => "start",
            Self::Stop(_) => "stop",
            Self::Exec(_) => "exec",
            Self::Signal(_) => "signal",
            Self::Oci(_) => "oci",
            Self::HostProcess(_) => "hostProcess",
            Self::Script(_) => "script",
            Self::Delete(_) => "delete",
            Self::Apply(_) => "apply",
            Self::Patch(_) => "patch",
            Self::Scale(_) => "scale",
            Self::Evict(_) => "evict",
            Self::Cordon(_) => "cordon",
            Self::Uncordon(_) => "uncordon",
            Self::Drain(_) => "drain",
            Self::Node(_) => "node",
            Self::Mute(_) => "mute",
            Self::Unmute(_) => "unmute",
            Self::Http(_) => "http",
            Self::Dial(_) => "dial",
            Self::Resolve(_) => "resolve",
            Self::Send(_) => "send",
            Self::Reach(_) => "reach",
        }
    }

    /// Whether it only looks: it is done anew for each look, and not once before them.
    pub fn is_look(&self) -> bool {
        matches!(
            self,
            Self::Http(_) | Self::Dial(_) | Self::Resolve(_) | Self::Send(_) | Self::Reach(_)
        )
    }

    /// Whether a runtime can do it.
    pub fn is_of_runtime(&self) -> bool {
        matches!(
            self,
            Self::Start(_)
                | Self::Stop(_)
                | Self::Exec(_)
                | Self::Signal(_)
                | Self::Oci(_)
                | Self::HostProcess(_)
                | Self::Script(_)
        ) || self.is_look()
    }

    /// Whether a cluster can do it.
    pub fn is_of_cluster(&self) -> bool {
        match self {
            Self::Start(_) | Self::Stop(_) | Self::Exec(_) => true,
            other => other.is_look() || !other.is_of_runtime(),
        }
    }

    /// Whether it is done by the bundled cluster only, and to what others would share.
    pub fn is_of_own_cluster(&self) -> bool {
        self.node().is_some() || matches!(self, Self::Mute(_) | Self::Unmute(_))
    }

    /// The node that is no more as it was.
    pub fn node(&self) -> Option<&str> {
        match self {
            Self::Cordon(node) | Self::Uncordon(node) => Some(&node.value),
            Self::Drain(drain) => Some(&drain.node.value),
            Self::Node(event) => Some(&event.parts().1.value),
            Self::Patch(patch) => patch.on.value.strip_prefix("node/"),
            _ => None,
        }
    }
}

/// Stop a workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stop {
    /// Workload.
    pub on: Spanned<String>,
    /// First signal (SIGTERM unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// Time until SIGKILL (10s unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<Span>,
}

/// Run a process in a running workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exec {
    /// Workload.
    pub on: Spanned<String>,
    /// Argument vector.
    pub args: Vec<String>,
    /// Environment beside the container's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// `UID[:GID]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Do not wait for its end.
    #[serde(default)]
    pub detach: bool,
    /// The container of the pod (the first unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
}

/// Send a signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Signal {
    /// Workload, or the id of a `hostProcess`.
    pub on: Spanned<String>,
    /// `SIGTERM`, `TERM` or a number.
    pub signal: String,
}

/// One verb of the runtime command line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Oci {
    /// The verb.
    pub op: OciVerb,
    /// Workload whose container (and bundle) is meant.
    pub on: Spanned<String>,
    /// Signal of `kill`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// `kill --all`.
    #[serde(default)]
    pub all: bool,
    /// `delete --force`.
    #[serde(default)]
    pub force: bool,
    /// Resources of `update`, in the form of `linux.resources`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Value>,
    /// Further arguments, before the container id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Another container id than the workload's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// The verbs of a runtime command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OciVerb {
    /// Set up the container, up to the wait for `start`.
    Create,
    /// Let the process run.
    Start,
    /// Ask for the state.
    State,
    /// Send a signal.
    Kill,
    /// Remove the container.
    Delete,
    /// Freeze.
    Pause,
    /// Thaw.
    Resume,
    /// Change limits.
    Update,
    /// List containers.
    List,
    /// List processes.
    Ps,
    /// One set of statistics (`events --stats`).
    Events,
    /// What the runtime can do.
    Features,
}

/// Start a process beside the subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostProcess {
    /// Name by which checks refer to it.
    pub id: Spanned<String>,
    /// A verb of the probe and its arguments.
    pub args: Vec<String>,
}

/// Draw samples of a metric, one every `window` after `settle`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sample {
    /// Name by which checks refer to it.
    pub id: Spanned<String>,
    /// Workload.
    pub on: Spanned<String>,
    /// Divide by the same metric of this workload in the same window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_to: Option<Spanned<String>>,
    /// What to measure.
    pub metric: Metric,
    /// Time before the first window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle: Option<Span>,
    /// Length of one window. Of the CPU usage of a container with a quota, the whole number of periods that is nearest.
    pub window: Span,
    /// Samples to draw before judging.
    pub count: u32,
    /// Samples to draw at most while the verdict is open (`count` unless told). More looks share the same error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_count: Option<u32>,
}

/// What can be sampled, always read from the kernel and never from the subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Metric {
    /// CPU time of the container's cgroup as a share of one CPU.
    #[serde(rename = "cpu.usage")]
    CpuUsage,
    /// Memory charged to the container's cgroup, bytes.
    #[serde(rename = "memory.usage")]
    MemoryUsage,
    /// Number of tasks in the container's cgroup.
    #[serde(rename = "pids.current")]
    PidsCurrent,
    /// Bytes written to block devices a second.
    #[serde(rename = "io.writeRate")]
    IoWriteRate,
    /// Bytes read from block devices a second.
    #[serde(rename = "io.readRate")]
    IoReadRate,
}

/// Run a shell script in the host namespaces of the case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Script {
    /// Text for `/bin/sh -c`.
    pub run: String,
}

/// The step as a person writes it: one of the action keys, one window at most.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Step")]
struct WrittenStep {
    /// What a person calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Create and start workloads, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start: Option<Vec<Spanned<String>>>,
    /// Stop a workload: signal, wait, SIGKILL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stop: Option<Stop>,
    /// Run a process in a running workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exec: Option<Exec>,
    /// Send a signal to a workload's init.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signal: Option<Signal>,
    /// One verb of the runtime command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    oci: Option<Oci>,
    /// Start a process beside the subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host_process: Option<HostProcess>,
    /// Draw samples of a metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sample: Option<Sample>,
    /// Run a shell script in the host namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    script: Option<Script>,
    /// Delete an object of a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delete: Option<Delete>,
    /// Apply a manifest in an object's place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    apply: Option<Apply>,
    /// Change an object by a patch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    patch: Option<Patch>,
    /// Change the number of replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scale: Option<Scale>,
    /// Ask that pods leave, as long as their disruption budget allows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    evict: Option<Evict>,
    /// Let a node take no more pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cordon: Option<Spanned<String>>,
    /// Let a node take pods again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uncordon: Option<Spanned<String>>,
    /// Cordon a node and evict its pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    drain: Option<Drain>,
    /// What befalls a node: `{kill: NODE}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<NodeEvent>,
    /// Let nothing get to the first pod of a workload, or from it, without anybody being told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mute: Option<Spanned<String>>,
    /// Take `mute` back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unmute: Option<Spanned<String>>,
    /// Send HTTP requests, anew for each look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    http: Option<Http>,
    /// Connect, anew for each look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dial: Option<Dial>,
    /// Ask a name server, anew for each look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resolve: Option<Resolve>,
    /// Send bytes and wait for no answer, anew for each look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    send: Option<Send>,
    /// Dial from each to each, anew for each look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reach: Option<Reach>,
    /// Look until all checks hold in one look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    eventually: Option<Eventually>,
    /// Look again and again; all checks hold in every look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    consistently: Option<Consistently>,
    /// What the step needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    requires: Vec<Requirement>,
    /// What must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expect: Option<Vec<Spanned<Check>>>,
}

/// The window of absence and presence in time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Eventually {
    /// Time allowed.
    within: Span,
    /// From look to look (100ms unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    every: Option<Span>,
}

/// The window in which nothing may change.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Consistently {
    /// How long.
    #[serde(rename = "for")]
    lasting: Span,
    /// From look to look (100ms unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    every: Option<Span>,
}

const EVERY: Span = Span(std::time::Duration::from_millis(100));

impl TryFrom<WrittenStep> for Step {
    type Error = String;
    fn try_from(written: WrittenStep) -> Result<Self, String> {
        let mut actions: Vec<(&str, Action)> = Vec::new();
        actions.extend(written.start.map(|a| ("start", Action::Start(a))));
        actions.extend(written.stop.map(|a| ("stop", Action::Stop(a))));
        actions.extend(written.exec.map(|a| ("exec", Action::Exec(a))));
        actions.extend(written.signal.map(|a| ("signal", Action::Signal(a))));
        actions.extend(written.oci.map(|a| ("oci", Action::Oci(a))));
        actions.extend(written.host_process.map(|a| ("hostProcess", Action::HostProcess(a))));
        actions.extend(written.script.map(|a| ("script", Action::Script(a))));
        actions.extend(written.delete.map(|a| ("delete", Action::Delete(a))));
        actions.extend(written.apply.map(|a| ("apply", Action::Apply(a))));
        actions.extend(written.patch.map(|a| ("patch", Action::Patch(a))));
        actions.extend(written.scale.map(|a| ("scale", Action::Scale(a))));
        actions.extend(written.evict.map(|a| ("evict", Action::Evict(a))));
        actions.extend(written.cordon.map(|a| ("cordon", Action::Cordon(a))));
        actions.extend(written.uncordon.map(|a| ("uncordon", Action::Uncordon(a))));
        actions.extend(written.drain.map(|a| ("drain", Action::Drain(a))));
        actions.extend(written.node.map(|a| ("node", Action::Node(a))));
        actions.extend(written.mute.map(|a| ("mute", Action::Mute(a))));
        actions.extend(written.unmute.map(|a| ("unmute", Action::Unmute(a))));
        actions.extend(written.http.map(|a| ("http", Action::Http(a))));
        actions.extend(written.dial.map(|a| ("dial", Action::Dial(a))));
        actions.extend(written.resolve.map(|a| ("resolve", Action::Resolve(a))));
        actions.extend(written.send.map(|a| ("send", Action::Send(a))));
        actions.extend(written.reach.map(|a| ("reach", Action::Reach(a))));
        if actions.len() > 1 {
            let names: Vec<_> = actions.iter().map(|(name, _)| format!("`{name}`")).collect();
            return Err(format!("a step has one action, this one has {}", names.join(" and ")));
        }
        let window = match (written.eventually, written.consistently) {
            (Some(_), Some(_)) => return Err("a step is `eventually` or `consistently`, not both".into()),
            (Some(w), None) => Window::Eventually {
                within: w.within,
                every: w.every.unwrap_or(EVERY),
            },
            (None, Some(w)) => Window::Consistently {
                lasting: w.lasting,
                every: w.every.unwrap_or(EVERY),
            },
            (None, None) => Window::Once,
        };
        if written.expect.as_ref().is_some_and(Vec::is_empty) {
            return Err("`expect` is empty: leave it out, or say what must hold".into());
        }
        let expect = written.expect.unwrap_or_default();
        let action = actions.pop().map(|(_, action)| action);
        if action.is_none() && written.sample.is_none() && expect.is_empty() {
            return Err("a step does something or expects something; this one does neither".into());
        }
        Ok(Self {
            name: written.name,
            action,
            sample: written.sample,
            window,
            requires: written.requires,
            expect,
        })
    }
}

impl From<Step> for WrittenStep {
    fn from(step: Step) -> Self {
        let mut written = Self {
            name: step.name,
            sample: step.sample,
            requires: step.requires,
            expect: Some(step.expect),
            ..Self::default()
        };
        if written.expect.as_ref().is_some_and(Vec::is_empty) {
            written.expect = None;
        }
        match step.window {
            Window::Once => {}
            Window::Eventually { within, every } => {
                written.eventually = Some(Eventually {
                    within,
                    every: Some(every),
                });
            }
            Window::Consistently { lasting, every } => {
                written.consistently = Some(Consistently {
                    lasting,
                    every: Some(every),
                });
            }
        }
        match step.action {
            None => {}
            Some(Action::Start(a)) => written.start = Some(a),
            Some(Action::Stop(a)) => written.stop = Some(a),
            Some(Action::Exec(a)) => written.exec = Some(a),
            Some(Action::Signal(a)) => written.signal = Some(a),
            Some(Action::Oci(a)) => written.oci = Some(a),
            Some(Action::HostProcess(a)) => written.host_process = Some(a),
            Some(Action::Script(a)) => written.script = Some(a),
            Some(Action::Delete(a)) => written.delete = Some(a),
            Some(Action::Apply(a)) => written.apply = Some(a),
            Some(Action::Patch(a)) => written.patch = Some(a),
            Some(Action::Scale(a)) => written.scale = Some(a),
            Some(Action::Evict(a)) => written.evict = Some(a),
            Some(Action::Cordon(a)) => written.cordon = Some(a),
            Some(Action::Uncordon(a)) => written.uncordon = Some(a),
            Some(Action::Drain(a)) => written.drain = Some(a),
            Some(Action::Node(a)) => written.node = Some(a),
            Some(Action::Mute(a)) => written.mute = Some(a),
            Some(Action::Unmute(a)) => written.unmute = Some(a),
            Some(Action::Http(a)) => written.http = Some(a),
            Some(Action::Dial(a)) => written.dial = Some(a),
            Some(Action::Resolve(a)) => written.resolve = Some(a),
            Some(Action::Send(a)) => written.send = Some(a),
            Some(Action::Reach(a)) => written.reach = Some(a),
        }
        written
    }
}
