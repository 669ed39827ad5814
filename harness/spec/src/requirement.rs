//! What a case needs of the host or subject; unmet, the case is skipped with what the probe saw.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Family, Matcher};

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
    /// What the cluster is and can.
    Cluster(ClusterRequirement),
    /// What the scheduler can tell: `explain`, each node's filter verdict.
    Scheduler(SchedulerFeature),
    /// At least one of these.
    Any(Vec<Requirement>),
}

/// Requirement on a cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterRequirement {
    /// Number of nodes that are ready and take pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<Matcher>,
    /// Names of services are resolved in pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<bool>,
    /// Release of Kubernetes, such as `">=1.30"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<String>,
    /// Its nodes are the test's to cordon, stop and cut off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faults: Option<bool>,
    /// Families of addresses that its pods and Services can have, by the ranges of its nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub families: Vec<Family>,
}

/// What a scheduler can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SchedulerFeature {
    /// Each node's filter verdict by plugin.
    Explain,
}

/// A kernel release as a requirement names it: `>=5.12`; without an operator, at least that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    comparison: Comparison,
    numbers: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Least,
    More,
    Less,
    Most,
    Equal,
}

impl Release {
    /// Reads it; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let numbers = text.trim_start_matches(['>', '<', '=']);
        let comparison = match &text[..text.len() - numbers.len()] {
            "" | ">=" => Comparison::Least,
            ">" => Comparison::More,
            "<" => Comparison::Less,
            "<=" => Comparison::Most,
            "=" | "==" => Comparison::Equal,
            _ => return None,
        };
        let numbers: Vec<u32> = numbers
            .trim()
            .split('.')
            .map(|part| part.parse().ok())
            .collect::<Option<_>>()?;
        (numbers.len() <= 3).then_some(Self { comparison, numbers })
    }

    /// Whether a kernel's release (`6.18.0-5-amd64`) is one of these, compared by as many numbers as are written; `None`
    /// if it does not begin with numbers.
    pub fn includes(&self, kernel: &str) -> Option<bool> {
        let digits = kernel.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
        let parts = digits.split('.').filter(|part| !part.is_empty());
        let mut here: Vec<u32> = parts.map(|part| part.parse().ok()).collect::<Option<_>>()?;
        if here.is_empty() {
            return None;
        }
        here.resize(self.numbers.len(), 0);
        Some(match self.comparison {
            Comparison::Least => here >= self.numbers,
            Comparison::More => here > self.numbers,
            Comparison::Less => here < self.numbers,
            Comparison::Most => here <= self.numbers,
            Comparison::Equal => here == self.numbers,
        })
    }

    /// The first release that is included, and the first after it that is not.
    pub(crate) fn bounds(&self) -> ([u64; 3], [u64; 3]) {
        const END: [u64; 3] = [u64::MAX; 3];
        let mut first = [0; 3];
        for (slot, number) in first.iter_mut().zip(&self.numbers) {
            *slot = u64::from(*number);
        }
        let mut after = first;
        if let Some(last) = self.numbers.len().checked_sub(1) {
            after[last] += 1;
        }
        match self.comparison {
            Comparison::Least => (first, END),
            Comparison::More => (after, END),
            Comparison::Less => ([0; 3], first),
            Comparison::Most => ([0; 3], after),
            Comparison::Equal => (first, after),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::Release;

    #[test]
    fn a_release_is_compared_by_the_numbers_that_are_written() {
        for (wanted, kernel, included) in [
            (">=5.12", "5.12.0", Some(true)),
            ("5.12", "6.18.3-1-amd64", Some(true)),
            (">=5.12", "5.4.0-rc1", Some(false)),
            ("<5.12", "5.11.99", Some(true)),
            ("<5.12", "5.12.0", Some(false)),
            ("<=5.12", "5.12.7", Some(true)),
            (">5.12", "5.12.7", Some(false)),
            (">5.12", "5.13", Some(true)),
            ("=6", "6.18.0", Some(true)),
            ("==6.18.1", "6.18.0", Some(false)),
            (">=5.12", "garbage", None),
            (">=5.12", "", None),
        ] {
            let release = Release::parse(wanted).unwrap();
            assert_eq!(release.includes(kernel), included, "{wanted} {kernel}");
        }
        for wrong in ["", "x", ">>5", "5.x", "5.1.2.3", ">=", "~5"] {
            assert_eq!(Release::parse(wrong), None, "{wrong}");
        }
    }
}
