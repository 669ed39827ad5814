//! The command line of `plimsoll cluster`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use cluster::{Families, FamiliesError};

#[derive(Debug, Args)]
pub(crate) struct Cluster {
    /// Which cluster; several may be up side by side.
    #[arg(long, global = true, value_name = "NAME", default_value = "default", value_parser = name)]
    pub(crate) name: String,
    /// Reach the cluster through this file instead of the one that `up` wrote.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) verb: ClusterVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterVerb {
    /// Start a cluster and wait until all of its nodes are ready.
    ///
    /// The API listens on 127.0.0.1 only. Everything else (nodes, their network, pods) lives in a guard with namespaces
    /// and control groups of its own and the host's root read-only, and is gone with it.
    Up(Up),
    /// End a cluster, and see that nothing of it is left.
    Down,
    /// Print a cluster's nodes, pods, revision, memory and age.
    Status {
        /// `text` or `json`.
        #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
        format: Form,
    },
    /// Print the kubeconfig of a cluster.
    Kubeconfig,
    /// Take every object back to how it was when the cluster was up, and mend every node.
    Reset,
    /// Remember every object of a cluster as it is now.
    Snapshot {
        /// What to call it.
        #[arg(value_parser = name)]
        snapshot: String,
    },
    /// Take every object back to a snapshot.
    Restore {
        /// What it was called.
        #[arg(value_parser = name)]
        snapshot: String,
    },
    /// Tell where a pod could be, and why not elsewhere: each node's verdict and score by plugin of the scheduler.
    Explain {
        /// The pod: `NAME` or `NAMESPACE/NAME`.
        pod: String,
        /// `text` or `json`.
        #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
        format: Form,
    },
    /// Break a node on purpose, or mend it.
    Node(Node),
    /// List the faults that `up --fault` takes.
    Faults {
        /// `text` or `json`.
        #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
        format: Form,
    },
    /// Run a workload of kube-scheduler's own benchmark on the scheduler, without an API; list them all without a name.
    ///
    /// It prints a line of JSON when all is there but the pods that are measured, and one when they are placed; `plimsoll
    /// bench` reads the clock at both.
    Schedule(Schedule),
    /// The process outside of the guard.
    #[command(hide = true)]
    Hold(Hold),
    /// The process that serves, inside a guard.
    #[command(hide = true)]
    Serve(Serve),
}

#[derive(Debug, Args)]
pub(crate) struct Schedule {
    /// Its name, such as `SchedulingBasic`.
    pub(crate) workload: Option<String>,
    /// A thousandth of it, to see that it works; what a debug build does anyway.
    #[arg(long)]
    pub(crate) trial: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// How many nodes that run pods (3 unless told, or 0 beside `--config` and `--simulated`).
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(..=100))]
    pub(crate) nodes: Option<u16>,
    /// How many nodes that only say they run pods.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(..=20_000))]
    pub(crate) simulated: Option<u32>,
    /// Nodes and more from a file, JSON or YAML; `docs/cluster.md` lists its fields.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// How pods are connected with their node (ptp unless told).
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) pod_network: Option<PodNetwork>,
    /// How nodes lead to pods of other nodes (host-gw unless told).
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) routes: Option<Routes>,
    /// Addresses of nodes, pods and Services: `IPv4` (unless told) or `IPv4,IPv6`.
    #[arg(long, value_name = "LIST", value_parser = families)]
    pub(crate) ip_families: Option<Families>,
    /// Keep the cluster's objects and identity in this directory: after a crash, or `down`, the next `up` goes on there.
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
    /// The OCI runtime of the nodes: a program with leading arguments.
    #[arg(long, value_name = "ARGV")]
    pub(crate) runtime: Option<String>,
    /// What the scheduler's choices among equals depend on.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// Break the cluster in this way; `plimsoll cluster faults` lists them; may be repeated.
    #[arg(long = "fault", value_name = "NAME")]
    pub(crate) faults: Vec<String>,
}

/// Reads a list with commas.
fn families(text: &str) -> Result<Families, FamiliesError> {
    let names: Vec<&str> = text.split(',').collect();
    Families::read(&names)
}

/// How pods are connected with their node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PodNetwork {
    /// Each by a wire of its own, over which all it sends is routed.
    Ptp,
    /// By a bridge of the node.
    Bridge,
}

/// How nodes lead to pods of other nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Routes {
    /// By plain routes.
    HostGw,
    /// In datagrams between the nodes.
    Vxlan,
}

/// How something is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Node {
    /// What is done to the node.
    #[arg(value_enum)]
    pub(crate) act: NodeAct,
    /// The node.
    pub(crate) node: String,
}

/// What can be done to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NodeAct {
    /// End its agent and pods in order.
    Stop,
    /// Bring it back after `stop` or `kill`.
    Start,
    /// End its agent and pods at once, as a power cut does.
    Kill,
    /// Let nothing on it go on.
    Freeze,
    /// Let it go on after `freeze`.
    Thaw,
    /// Cut it off from the API and the other nodes.
    Partition,
    /// Make its network and its names what they were.
    Heal,
    /// End its agent and start it again; its pods go on.
    Restart,
    /// Cut it off from the other nodes, but not from the API.
    Unplug,
    /// Delete all its packet filter rules.
    Flush,
    /// Have its DNS server answer what it knows now, whatever comes.
    Outdate,
}

impl NodeAct {
    /// As in a path of the API.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Kill => "kill",
            Self::Freeze => "freeze",
            Self::Thaw => "thaw",
            Self::Partition => "partition",
            Self::Heal => "heal",
            Self::Restart => "restart",
            Self::Unplug => "unplug",
            Self::Flush => "flush",
            Self::Outdate => "outdate",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Hold {
    /// Directory of the cluster.
    #[arg(long)]
    pub(crate) directory: PathBuf,
    /// Names the control groups.
    #[arg(long)]
    pub(crate) token: String,
    /// What outlives the cluster.
    #[arg(long)]
    pub(crate) keep: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The configuration.
    #[arg(long)]
    pub(crate) config: PathBuf,
    /// Where to write the kubeconfig.
    #[arg(long)]
    pub(crate) kubeconfig: Option<PathBuf>,
}

/// A name that can be part of a path and of a control group's name.
fn name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let edge = |c: Option<char>| c.is_some_and(|c| c != '-');
    if text.len() <= 40 && text.chars().all(fits) && edge(text.chars().next()) && edge(text.chars().last()) {
        Ok(text.to_owned())
    } else {
        Err("expected at most 40 lower-case letters, digits and `-`, with no `-` at an end".into())
    }
}
