//! What the policies of a node have to know of it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use netfilter::Family;

/// A node, as its policies see it.
#[derive(Debug, Clone)]
pub struct Config {
    /// The node's name.
    pub node: String,
    /// Packets of which version of IP are judged, by which addresses of pods and which blocks.
    pub family: Family,
    /// Where names are asked for, if the node itself answers there. Policies see a pod of `kube-system` with the label
    /// `k8s-app: kube-dns` and the ports `dns` and `dns-tcp`, as it is on most clusters, and not the node.
    pub name_server: Option<IpAddr>,
    /// Names of [`crate::FAULTS`]; others are somebody else's.
    pub faults: BTreeSet<String>,
}
