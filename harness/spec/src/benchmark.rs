//! A benchmark: what is measured of a subject, how often, and which figures are accepted.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Concurrency, Inject, Metadata, Proof, Requirement, Span, Spanned, Target, Test, Timeouts, Workload,
    quantity::{Bound, Percent},
    workload::{Bundle, Container},
};

/// A whole document of `kind: Benchmark`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BenchmarkDocument {
    /// `plimsoll.dev/v1`.
    pub api_version: Spanned<String>,
    /// `Benchmark`.
    pub kind: Spanned<String>,
    /// Name and labels.
    pub metadata: Metadata,
    /// The body.
    pub spec: Benchmark,
}

/// The body of a benchmark.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Benchmark {
    /// What is measured, in one sentence.
    pub description: String,
    /// Kinds of subjects it is for.
    pub targets: Vec<Spanned<Target>>,
    /// What it needs; unmet, it is skipped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<Requirement>,
    /// Each combination is a case of its own; all cases take turns. Use as `${matrix.NAME}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub matrix: BTreeMap<String, Vec<Value>>,
    /// Names for values; use as `${vars.NAME}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, Value>,
    /// Bounds; of them `step` bounds each command of the subject.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Nothing ever runs beside a benchmark; what is written here says no more than that.
    #[serde(default)]
    pub concurrency: Concurrency,
    /// What each sample does.
    pub workload: Spanned<Load>,
    /// What is measured of a sample, by name.
    pub measure: BTreeMap<String, Spanned<Measure>>,
    /// How samples are taken.
    #[serde(default)]
    pub sampling: Sampling,
    /// Earlier samples to compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// Which figures are accepted.
    pub thresholds: Vec<Spanned<Threshold>>,
    /// Faults that are planted, and the thresholds that must see them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sabotage: Vec<Planted>,
    /// What is asked of its proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
}

/// What a sample does: a map with one key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Load {
    /// A container of the probe is created, started, waited for and deleted.
    Container(Box<Container>),
    /// The same with an OCI bundle.
    Bundle(Bundle),
    /// Pods are scheduled on simulated nodes.
    Scheduling(Scheduling),
    /// Bytes and requests take a way through the network of the bundled cluster.
    Network(Network),
    /// A pod of the bundled cluster asks for a name.
    Dns(Dns),
    /// The endpoint of a Service of the bundled cluster is changed.
    Service(Service),
    /// Pods are applied to the bundled cluster, become ready, and are removed.
    Pods(Pods),
}

impl Load {
    /// Kinds of subjects that can do it.
    pub fn target(&self) -> Target {
        match self {
            Self::Container(_) | Self::Bundle(_) => Target::Runtime,
            Self::Scheduling(_) | Self::Network(_) | Self::Dns(_) | Self::Service(_) | Self::Pods(_) => Target::Cluster,
        }
    }

    /// The points that it passes, in their order.
    pub fn points(&self) -> &'static [Point] {
        match self {
            Self::Container(_) | Self::Bundle(_) => &[
                Point::Create,
                Point::Created,
                Point::Start,
                Point::ProcessStarted,
                Point::FirstByte,
                Point::Exec,
                Point::Execed,
                Point::Exit,
                Point::Deleted,
            ],
            Self::Scheduling(_) => &[],
            Self::Network(_) => &[Point::Request, Point::Response],
            Self::Dns(_) => &[Point::Query, Point::Answer],
            Self::Service(_) => &[Point::Change, Point::Accepted, Point::Effective],
            Self::Pods(_) => &[
                Point::Apply,
                Point::Accepted,
                Point::Scheduled,
                Point::Ready,
                Point::Remove,
                Point::Gone,
            ],
        }
    }

    /// What it does so often that it has a rate.
    pub fn rates(&self) -> &'static [Counted] {
        match self {
            Self::Scheduling(_) => &[Counted::Pods, Counted::Gates],
            Self::Network(_) => &[Counted::Bits, Counted::Connections],
            Self::Container(_) | Self::Bundle(_) | Self::Dns(_) | Self::Service(_) | Self::Pods(_) => &[],
        }
    }

    /// Whether what it makes occupies something.
    pub fn has_size(&self) -> bool {
        matches!(self, Self::Container(_) | Self::Bundle(_) | Self::Pods(_))
    }

    /// Whether it starts containers by a runtime's command line.
    pub fn is_of_runtime(&self) -> bool {
        self.target() == Target::Runtime
    }
}

/// A workload of kube-scheduler's own benchmark (`test/integration/scheduler_perf`), on the scheduler of the bundled
/// cluster, without an API server between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scheduling {
    /// Its name, as `plimsoll cluster schedule` lists them: `SchedulingBasic`.
    pub workload: String,
}

/// A way through a network, and who sends along it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Network {
    /// From where to where.
    pub path: Path,
    /// Who sends (the harness itself unless told).
    #[serde(default)]
    pub generator: Generator,
}

/// From where to where packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Path {
    /// The loopback interface of the guard; nothing of the cluster is on it.
    Loopback,
    /// A pair of interfaces between two network namespaces; nothing of the cluster is on it.
    Veth,
    /// From a pod to one on the same node, by the pod's own address.
    SameNode,
    /// From a pod to one on another node, by the pod's own address.
    AcrossNodes,
    /// From a pod to one on another node, by the address of a Service.
    #[serde(rename = "clusterIP")]
    ClusterIp,
    /// From outside of the nodes to a pod, by a port of another node.
    NodePort,
}

impl Path {
    /// Whether it leads through the cluster.
    pub fn is_of_cluster(self) -> bool {
        !matches!(self, Self::Loopback | Self::Veth)
    }
}

/// Who sends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Generator {
    /// The harness.
    #[default]
    BuiltIn,
    /// The program `iperf3`, which sends and does not ask.
    Iperf3,
}

/// A name that is asked for by UDP, at the server that the pod's `/etc/resolv.conf` names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dns {
    /// The whole name; it must have an address.
    #[serde(default = "of_the_api")]
    pub name: String,
}

fn of_the_api() -> String {
    "kubernetes.default.svc.cluster.local".into()
}

/// A Service whose one endpoint is another pod in each sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Service {
    /// So many others are there beside it.
    #[serde(default)]
    #[schemars(range(max = 1000))]
    pub others: u32,
}

/// Pods of the probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pods {
    /// So many are applied one after the other, and waited for together.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100))]
    pub count: u32,
}

fn one() -> u32 {
    1
}

/// What is measured of a sample: the time between two points, a rate, or a size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Measure {
    /// Where the time begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Spanned<Point>>,
    /// Where it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Spanned<Point>>,
    /// What is counted in a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Spanned<Counted>>,
    /// What is occupied while the container runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Spanned<Occupied>>,
}

/// What a container, or a pod, occupies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Occupied {
    /// Memory of all processes that are there because of it, its own and what the runtime left beside it, KiB: the sum of
    /// their proportional set sizes (`Pss` of `/proc/PID/smaps_rollup`, `proc(5)`). Of pods, the same divided
    /// by their number; what the cluster's own processes need for them is not in it.
    Resident,
}

impl Occupied {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Resident => "resident",
        }
    }
}

/// A moment in the life of a container, or of what is asked of a cluster. All are read from `CLOCK_MONOTONIC`; of one
/// workload they come in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Point {
    /// Before the runtime is called with `create`.
    Create,
    /// The runtime's `create` has ended.
    Created,
    /// Before the runtime is called with `start`.
    Start,
    /// The first instruction of the container's process; the probe itself reads the clock.
    ProcessStarted,
    /// The first byte that it wrote can be read.
    FirstByte,
    /// Before the runtime is called with `exec` in the running container.
    Exec,
    /// That call has ended, with the process that it ran.
    Execed,
    /// It has ended, as its pidfd tells (`pidfd_open(2)`).
    Exit,
    /// The runtime's `delete` has ended, and the container's control groups and its network namespace are gone.
    Deleted,
    /// Before a byte is sent on a connection that is there.
    Request,
    /// The byte that answers it was read.
    Response,
    /// Before a name is asked for.
    Query,
    /// Its address was read.
    Answer,
    /// Before pods are applied.
    Apply,
    /// Before an endpoint is changed.
    Change,
    /// The API server has answered what was applied or changed.
    Accepted,
    /// All pods that were applied have a node.
    Scheduled,
    /// All pods that were applied are ready.
    Ready,
    /// A connection that was begun after the change came to the new endpoint.
    Effective,
    /// Before the pods are deleted.
    Remove,
    /// The API server knows none of them any more.
    Gone,
}

impl Point {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Created => "created",
            Self::Start => "start",
            Self::ProcessStarted => "processStarted",
            Self::FirstByte => "firstByte",
            Self::Exec => "exec",
            Self::Execed => "execed",
            Self::Exit => "exit",
            Self::Deleted => "deleted",
            Self::Request => "request",
            Self::Response => "response",
            Self::Query => "query",
            Self::Answer => "answer",
            Self::Apply => "apply",
            Self::Change => "change",
            Self::Accepted => "accepted",
            Self::Scheduled => "scheduled",
            Self::Ready => "ready",
            Self::Effective => "effective",
            Self::Remove => "remove",
            Self::Gone => "gone",
        }
    }
}

/// What a rate counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Counted {
    /// Pods that found a node, in a second.
    Pods,
    /// The same as a multiple of what Kubernetes demands of its own scheduler for this workload.
    Gates,
    /// Bits that arrive on one TCP connection, 10⁹ a second.
    Bits,
    /// TCP connections that are made one after the other, each with a request of a byte and its answer, in a second.
    Connections,
}

impl Counted {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pods => "pods",
            Self::Gates => "gates",
            Self::Bits => "bits",
            Self::Connections => "connections",
        }
    }

    /// Unit of the rate.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Pods => "pods/s",
            Self::Gates => "x gate",
            Self::Bits => "Gbit/s",
            Self::Connections => "connections/s",
        }
    }
}

/// What the kernel itself takes for something, without a runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Floor {
    /// `vfork`, `execve` of a static program, its end.
    L1,
    /// The same in one new namespace, of each kind by itself.
    L2,
    /// The same in new namespaces of processes, mounts, names, IPC and control groups.
    L3,
    /// The same with a root file system of its own and `/proc`, by a bind mount and by an overlay.
    L4,
    /// The same by an overlay, with a network namespace, membership in limited control groups, and a filter of system calls:
    /// a whole container.
    L5,
    /// A control group made and limited in each hierarchy.
    L6,
    /// A grace period of RCU.
    L7,
    /// Whole containers a second, from one worker and from as many as there are CPUs.
    L8,
    /// From the end of a whole container until its control groups and its network namespace are gone.
    L9,
    /// What TCP carries on the loopback interface.
    L10,
    /// What TCP carries on a pair of interfaces between two network namespaces.
    L11,
    /// A request and its answer by TCP on the loopback interface, the same on such a pair, and with a connection of its own there.
    L12,
}

impl Floor {
    /// All that can be measured, in their order.
    pub const ALL: [Self; 12] = [
        Self::L1,
        Self::L2,
        Self::L3,
        Self::L4,
        Self::L5,
        Self::L6,
        Self::L7,
        Self::L8,
        Self::L9,
        Self::L10,
        Self::L11,
        Self::L12,
    ];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::L1 => "L1",
            Self::L2 => "L2",
            Self::L3 => "L3",
            Self::L4 => "L4",
            Self::L5 => "L5",
            Self::L6 => "L6",
            Self::L7 => "L7",
            Self::L8 => "L8",
            Self::L9 => "L9",
            Self::L10 => "L10",
            Self::L11 => "L11",
            Self::L12 => "L12",
        }
    }
}

/// How samples are taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sampling {
    /// Samples of each case that do not count, before those that do.
    #[serde(default = "five")]
    pub warmup: u32,
    /// Samples of each case that count.
    #[serde(default = "fifty")]
    #[schemars(range(min = 1, max = 100_000))]
    pub samples: u32,
    /// No further sample begins after this.
    #[serde(default = "two_minutes")]
    pub max_duration: Span,
    /// In which order the cases take their samples.
    #[serde(default)]
    pub order: Order,
    /// Floors of the kernel that are measured in the same rounds; figures are told as multiples of them, too. Unless told, of
    /// containers L1, L5 and, if it is measured until they are gone, L9; of networks L11 and L12; of names and Services L12; of
    /// pods L5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floors: Option<Vec<Floor>>,
    /// When samples begin.
    #[serde(default, skip_serializing_if = "Arrival::is_back_to_back")]
    pub arrival: Arrival,
    /// So many containers of the first subject run beside all samples, and do nothing.
    #[serde(default, skip_serializing_if = "is_none")]
    #[schemars(range(max = 500))]
    pub background: u32,
}

/// When samples begin: one after the other unless told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Arrival {
    /// In a round, so many samples of each case beside each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 64))]
    pub burst: Option<u32>,
    /// In a round, so many bursts: all of a burst begin at once, and a burst `every` so often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 32))]
    pub bursts: Option<u32>,
    /// From the beginning of one to the beginning of the next. In a burst a sample begins then whether those before have ended
    /// or not, and its time runs from when it should begin; else it begins no earlier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
}

impl Arrival {
    fn is_back_to_back(&self) -> bool {
        *self == Self::default()
    }

    /// Samples of each case in a round.
    pub fn of_a_round(&self) -> u32 {
        self.burst.unwrap_or(1).saturating_mul(self.bursts.unwrap_or(1))
    }

    /// Of these, those that begin at once wherever `every` tells when the next do.
    pub fn at_once(&self) -> u32 {
        self.burst.filter(|_| self.bursts.is_some()).unwrap_or(1)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_none(count: &u32) -> bool {
    *count == 0
}

fn five() -> u32 {
    5
}

fn fifty() -> u32 {
    50
}

fn two_minutes() -> Span {
    Span(std::time::Duration::from_secs(120))
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            warmup: five(),
            samples: fifty(),
            max_duration: two_minutes(),
            order: Order::default(),
            floors: None,
            arrival: Arrival::default(),
            background: 0,
        }
    }
}

/// In which order cases take their samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// In rounds, each with one sample of each case in an order drawn anew: what the machine does meanwhile falls on all
    /// of them. There is no other, because samples one block after the other compare hours, not subjects.
    #[default]
    Interleaved,
}

/// Earlier samples to compare with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Baseline {
    /// The file, relative to the spec; `plimsoll bench --save-baseline` writes one.
    pub file: Spanned<String>,
    /// What must be as it was then. Where it is not, the comparison is `incomparable`, which is no pass.
    pub comparable_when: Vec<Spanned<Likeness>>,
}

/// Something that a baseline knows of where it was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Likeness {
    /// Model of the CPU.
    CpuModel,
    /// Number of CPUs that the harness may use.
    Cpus,
    /// Bytes of memory.
    Memory,
    /// `uname -m`.
    Machine,
    /// `uname -r`.
    Kernel,
    /// `v1`, `v2` or `hybrid`.
    CgroupVersion,
    /// Name of the subject.
    RuntimeBackend,
    /// What the subject's `--version` says.
    RuntimeVersion,
    /// Which build of the subject's program it is: its GNU build id, or a hash of the file.
    RuntimeBuild,
}

impl Likeness {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::CpuModel => "cpuModel",
            Self::Cpus => "cpus",
            Self::Memory => "memory",
            Self::Machine => "machine",
            Self::Kernel => "kernel",
            Self::CgroupVersion => "cgroupVersion",
            Self::RuntimeBackend => "runtimeBackend",
            Self::RuntimeVersion => "runtimeVersion",
            Self::RuntimeBuild => "runtimeBuild",
        }
    }
}

/// A figure that is accepted up to a bound, down to one, or not far from that of the baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Threshold {
    /// Name of the threshold, unique in the spec.
    pub id: Spanned<String>,
    /// `MEASURE.p50`, `.p90`, `.p95`, `.p99` or `.mean`; or `failures`, the share of samples that failed.
    pub metric: Spanned<String>,
    /// At most this: a duration for a time, a number for a rate, per cent for failures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Bound>,
    /// At least this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Bound>,
    /// Not worse than the baseline by more than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regression: Option<Regression>,
    /// As a multiple of the same figure of its floor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_floor: Option<OfFloor>,
}

/// How many times the floor in the same rounds a figure may be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OfFloor {
    /// At most this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// At least this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
}

/// How much worse than the baseline is still accepted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Regression {
    /// As a share of the baseline's figure.
    pub rel: Percent,
    /// Confidence of the interval that must lie on one side of it (0.95 unless told).
    #[serde(default = "usual", skip_serializing_if = "is_usual")]
    pub confidence: f64,
}

/// Confidence of an interval unless a spec tells another.
pub const CONFIDENCE: f64 = 0.95;

fn usual() -> f64 {
    CONFIDENCE
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_usual(confidence: &f64) -> bool {
    *confidence == CONFIDENCE
}

/// A fault that is planted, and the thresholds that must see it. It is measured in turns with the healthy subject, which
/// stands for the baseline then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Planted {
    /// Name of the fault, unique in the spec.
    pub id: Spanned<String>,
    /// Paths below `spec` and the values to put there; all are in [`Planted::CHANGES`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, Spanned<Value>>,
    /// Paths below `spec` to take away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unset: Vec<Spanned<String>>,
    /// What the subject does worse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inject: Option<Disturbance>,
    /// Ids of the thresholds that must fail.
    pub must_fail: Vec<Spanned<String>>,
}

impl Planted {
    /// What `set` and `unset` may change: what a sample does. Of what is measured, and of what is accepted, nothing.
    pub const CHANGES: [&str; 3] = ["workload", "vars", "timeouts"];
}

/// What a subject does worse: `delay` and `at`, or `runtime`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Disturbance {
    /// So much longer: a duration, or a share (`25%`) of what was measured of the command before the wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Bound>,
    /// Which command of the subject takes longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Spanned<Command>>,
    /// Name of a fault of `plimsoll saboteur --list`, with which the subject disobeys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Spanned<String>>,
}

impl Disturbance {
    /// The wait, if it is one.
    pub fn delay(&self) -> Option<Delay> {
        Some(Delay {
            time: self.delay?,
            at: self.at.as_ref()?.value,
        })
    }
}

/// A wait of the harness, in the name of the subject.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delay {
    /// How long: a time, or a share.
    pub time: Bound,
    /// At which command.
    pub at: Command,
}

/// A command of the subject that can be made to take longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Command {
    /// After it; a share is one of the time since [`Point::Create`].
    Create,
    /// Before it; a share is one of the time since [`Point::Create`].
    Start,
    /// After it; a share is one of the time since [`Point::Exec`].
    Exec,
    /// After it; a share is one of the time since [`Point::Execed`].
    Kill,
    /// After it, and after what it has to remove is gone; a share is one of the time since [`Point::Exit`].
    Delete,
}

impl Command {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Start => "start",
            Self::Exec => "exec",
            Self::Kill => "kill",
            Self::Delete => "delete",
        }
    }
}

/// A figure of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// What this per cent of the samples do not exceed.
    Quantile(u8),
    /// Their mean.
    Mean,
}

impl Figure {
    /// The figures that a metric can name, and their names.
    pub const ALL: [(&'static str, Self); 5] = [
        ("p50", Self::Quantile(50)),
        ("p90", Self::Quantile(90)),
        ("p95", Self::Quantile(95)),
        ("p99", Self::Quantile(99)),
        ("mean", Self::Mean),
    ];
}

/// What a threshold is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Metric<'t> {
    /// A figure of a measure.
    Of(&'t str, Figure),
    /// The share of samples that failed.
    Failures,
}

impl Threshold {
    /// What it is about; `None` if its metric is not one.
    pub fn about(&self) -> Option<Metric<'_>> {
        if self.metric.value == FAILURES {
            return Some(Metric::Failures);
        }
        let (measure, figure) = self.metric.value.rsplit_once('.')?;
        let (_, figure) = Figure::ALL.into_iter().find(|(name, _)| *name == figure)?;
        Some(Metric::Of(measure, figure))
    }
}

/// The metric that every benchmark has.
pub const FAILURES: &str = "failures";

/// Name of the one workload in [`Benchmark::as_test`].
pub const WORKLOAD: &str = "sample";

impl Benchmark {
    /// Whether the container must live until something was done with it: then it is killed when that is done.
    pub fn lives(&self) -> bool {
        self.measure.values().any(|measure| {
            let is_exec = |point: &Spanned<Point>| matches!(point.value, Point::Exec | Point::Execed);
            measure.size.is_some() || [&measure.from, &measure.to].into_iter().flatten().any(is_exec)
        })
    }

    /// The floors that are measured in the same rounds.
    pub fn floors(&self) -> Vec<Floor> {
        if let Some(asked) = &self.sampling.floors {
            return asked.clone();
        }
        match self.workload.value {
            Load::Container(_) | Load::Bundle(_) => {}
            Load::Scheduling(_) => return Vec::new(),
            Load::Network(_) => return vec![Floor::L11, Floor::L12],
            Load::Dns(_) | Load::Service(_) => return vec![Floor::L12],
            Load::Pods(_) => return vec![Floor::L5],
        }
        let is_last = |measure: &Spanned<Measure>| measure.to.as_ref().is_some_and(|to| to.value == Point::Deleted);
        let last = self.measure.values().any(is_last).then_some(Floor::L9);
        [Floor::L1, Floor::L5].into_iter().chain(last).collect()
    }

    /// The test that has its workload and its requirements, so that whatever is said of workloads of tests holds here, too.
    /// It has no steps.
    pub fn as_test(&self) -> Test {
        let workload = match &self.workload.value {
            Load::Container(container) => Some(Workload::Container(container.clone())),
            Load::Bundle(bundle) => Some(Workload::Bundle(bundle.clone())),
            _ => None,
        };
        let at = self.workload.at;
        Test {
            description: self.description.clone(),
            targets: match workload {
                Some(_) => vec![Spanned {
                    at,
                    value: Target::Runtime,
                }],
                None => self.targets.clone(),
            },
            requires: self.requires.clone(),
            matrix: self.matrix.clone(),
            vars: self.vars.clone(),
            timeouts: self.timeouts,
            retries: None,
            concurrency: Concurrency {
                exclusive: true,
                ..self.concurrency.clone()
            },
            cluster: None,
            workloads: workload
                .map(|value| (WORKLOAD.to_owned(), Spanned { at, value }))
                .into_iter()
                .collect(),
            setup: Vec::new(),
            steps: Vec::new(),
            teardown: Vec::new(),
            on_failure: Vec::new(),
            sabotage: self
                .sabotage
                .iter()
                .map(|planted| crate::Sabotage {
                    id: planted.id.clone(),
                    set: planted.set.clone(),
                    unset: planted.unset.clone(),
                    inject: planted
                        .inject
                        .as_ref()
                        .and_then(|inject| inject.runtime.clone())
                        .map(Inject::Runtime),
                    must_fail: planted.must_fail.clone(),
                })
                .collect(),
            proof: self.proof.clone(),
            known_failures: Vec::new(),
        }
    }
}
