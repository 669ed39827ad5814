//! What a case needs of the host or subject; unmet, the case is skipped with what the probe saw.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Matcher;

/// One requirement: a map with one key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Requirement {
    /// Namespace kinds that can be created here.
    Namespaces(Vec<NamespaceKind>),
    /// Control groups.
    Cgroup(CgroupRequirement),
    /// Capabilities (`CAP_…`) that the harness holds.
    Capability(Vec<String>),
    /// Kernel release, such as `">=5.12"`.
    Kernel(String),
    /// Number of CPUs that the harness may use.
    Cpus(Matcher),
    /// The harness can look from outside, at the host that runs the workload.
    HostAccess(bool),
    /// A feature that the runtime's `features` verb names: a dotted path that must be there and true or non-empty.
    RuntimeFeature(String),
    /// File systems that can be mounted here (`overlay`, `tmpfs`, `fuse` …).
    Filesystem(Vec<String>),
    /// Paths that exist on the host.
    Path(Vec<String>),
    /// A block device under the run's directory that can be throttled.
    BlockDevice(bool),
    /// Clocks run at real speed: not an emulated machine, whose timings mean nothing.
    RealTime(bool),
    /// The harness runs as root (true) or as an ordinary user (false).
    Root(bool),
    /// Swap space is configured.
    Swap(bool),
    /// At least one of these.
    Any(Vec<Requirement>),
}

/// Requirement on control groups.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CgroupRequirement {
    /// 1 or 2: the version that must hold the named controllers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u8>,
    /// Controllers that can limit a container here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub controllers: Vec<String>,
    /// Swap is accounted or absent, so that a memory limit is the whole limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap_limit: Option<bool>,
}

/// The eight kinds of namespaces, by the OCI runtime spec's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceKind {
    /// Process ids.
    Pid,
    /// Network devices, addresses, routes, ports.
    #[serde(alias = "net")]
    Network,
    /// Mount table.
    #[serde(alias = "mnt")]
    Mount,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// Host name and domain name.
    Uts,
    /// User and group ids.
    User,
    /// Cgroup root.
    Cgroup,
    /// Clock offsets.
    Time,
}

impl NamespaceKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Pid,
        Self::Network,
        Self::Mount,
        Self::Ipc,
        Self::Uts,
        Self::User,
        Self::Cgroup,
        Self::Time,
    ];

    /// The name in an OCI `config.json` (`network`, `mount` …).
    pub fn oci_name(self) -> &'static str {
        match self {
            Self::Pid => "pid",
            Self::Network => "network",
            Self::Mount => "mount",
            Self::Ipc => "ipc",
            Self::Uts => "uts",
            Self::User => "user",
            Self::Cgroup => "cgroup",
            Self::Time => "time",
        }
    }

    /// The file below `/proc/PID/ns`.
    pub fn proc_name(self) -> &'static str {
        match self {
            Self::Network => "net",
            Self::Mount => "mnt",
            other => other.oci_name(),
        }
    }
}
