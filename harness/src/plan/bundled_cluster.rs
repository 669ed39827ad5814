//! The bundled cluster as a subject: one for each way in which its nodes and pods can be connected.

use spec::cluster::{Network, PodNetwork, Routes};
use spec::{Families, Test};

use super::CLUSTER;

/// Its names, and how nodes and pods are connected.
const MODES: [(&str, Network); 5] = [
    (CLUSTER, mode(PodNetwork::Ptp, Routes::HostGw, Families::Ipv4)),
    (
        "cluster-bridge",
        mode(PodNetwork::Bridge, Routes::HostGw, Families::Ipv4),
    ),
    ("cluster-vxlan", mode(PodNetwork::Ptp, Routes::Vxlan, Families::Ipv4)),
    (
        "cluster-bridge-vxlan",
        mode(PodNetwork::Bridge, Routes::Vxlan, Families::Ipv4),
    ),
    ("cluster-dual", mode(PodNetwork::Ptp, Routes::HostGw, Families::Dual)),
];

const fn mode(pods: PodNetwork, routes: Routes, families: Families) -> Network {
    Network { pods, routes, families }
}

/// How nodes and pods are connected on the subject of this name; `None` if it is not the bundled cluster.
pub fn network(subject: &str) -> Option<Network> {
    let known = MODES.iter().find(|(name, _)| *name == subject);
    known.map(|(_, network)| *network)
}

/// Whether the subject of this name is the bundled cluster, however it is connected.
pub fn is_bundled_cluster(subject: &str) -> bool {
    network(subject).is_some()
}

/// Whether a test has something to say about a subject: one that names its network would say the same about each that
/// differs in nothing else.
pub(super) fn concerns(test: &Test, subject: &str) -> bool {
    let names_its_own = test.cluster.as_ref().is_some_and(|cluster| cluster.network.is_some());
    !names_its_own || subject == CLUSTER || !is_bundled_cluster(subject)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_has_a_name_of_its_own() {
        for (number, (name, network)) in MODES.iter().enumerate() {
            let others = &MODES[..number];
            assert!(
                others.iter().all(|other| other.0 != *name && other.1 != *network),
                "{name}"
            );
        }
        assert_eq!(
            network(CLUSTER),
            Some(Network::default()),
            "as a cluster is unless told"
        );
        assert_eq!(network("kube"), None);
    }
}
