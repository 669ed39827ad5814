//! How pods and nodes are connected.

use serde::{Deserialize, Serialize};

use super::families::Families;
use super::segments::Segments;
use crate::address::WIRE_MTU;

/// What VXLAN puts before a packet: an Ethernet header, its own, and those of UDP and IPv4 (RFC 7348, section 5).
const OVERHEAD: u32 = 50;

/// How the pods and the nodes of a cluster are connected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NetworkMode {
    /// Pods with their node.
    pub pods: PodMode,
    /// Nodes with pods of other nodes.
    pub routes: RouteMode,
    /// Which addresses they have.
    #[serde(skip_serializing_if = "Families::is_usual")]
    pub families: Families,
}

/// How pods are connected with their node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PodMode {
    /// Each by a wire of its own, over which all it sends is routed, also to pods of the same node; as Calico does and the CNI
    /// plugin `ptp`.
    #[default]
    Ptp,
    /// By a bridge `cni0`, over which pods of a node reach each other without it; as the CNI plugin `bridge` does.
    Bridge,
}

/// How nodes lead to pods of other nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteMode {
    /// By plain routes: the other node is the gateway to its pods.
    #[default]
    HostGw,
    /// In datagrams between the nodes, so that what is between them need not know of pods.
    Vxlan,
}

impl NetworkMode {
    /// The longest packet of a pod, in bytes.
    pub(crate) fn mtu(self) -> u32 {
        match self.routes {
            RouteMode::HostGw => WIRE_MTU,
            RouteMode::Vxlan => WIRE_MTU - OVERHEAD,
        }
    }

    /// The longest chain of packets that goes to a pod or from it as one.
    pub(super) fn segments(self) -> Segments {
        match self.routes {
            RouteMode::HostGw => Segments::Long,
            // What does not fit into a datagram would be cut into packets before it gets there.
            RouteMode::Vxlan => Segments::Usual,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_said_is_plain_routes_and_ipv4() {
        let read = |text| serde_json::from_value::<NetworkMode>(text);
        assert_eq!(read(json!({})).unwrap(), NetworkMode::default());
        let mode = read(json!({"pods": "bridge", "routes": "vxlan"})).unwrap();
        assert_eq!(
            (mode.pods, mode.routes, mode.mtu()),
            (PodMode::Bridge, RouteMode::Vxlan, 1450)
        );
        assert_eq!(
            serde_json::to_value(NetworkMode::default()).unwrap(),
            json!({"pods": "ptp", "routes": "host-gw"})
        );
        let dual = read(json!({"families": ["IPv4", "IPv6"]})).unwrap();
        assert!(dual.families.is_dual() && !NetworkMode::default().families.is_dual());
        assert!(read(json!({"pods": "macvlan"})).is_err());
        assert!(read(json!({"families": ["IPv6"]})).is_err());
    }
}
