//! A host port can be taken once per address and protocol.

use super::{Look, Plugin, PluginId, PreFilter, Reason};
use crate::event::{Event, Interests};
use crate::id::NodeId;
use crate::shape::{Port, Shape};
use crate::words::{Word, Words};

pub(crate) struct NodePorts;

const REFUSED: Reason = Reason::new(PluginId::NodePorts, true);

/// The address of all addresses is in the way of each.
fn clash(one: &Port, other: &Port) -> bool {
    one.number == other.number
        && one.protocol == other.protocol
        && (one.address == other.address || one.address == Word::ANY_ADDRESS || other.address == Word::ANY_ADDRESS)
}

fn any_clash(ports: &[Port], taken: &[Port]) -> bool {
    ports.iter().any(|port| taken.iter().any(|other| clash(port, other)))
}

impl Plugin for NodePorts {
    fn name(&self) -> &'static str {
        "NodePorts"
    }

    fn filters(&self) -> bool {
        true
    }

    fn pre_filter(&self, look: &Look<'_>) -> PreFilter {
        if look.shape.ports.is_empty() {
            PreFilter::Skip
        } else {
            PreFilter::Ask
        }
    }

    fn filter(&self, look: &Look<'_>, node: NodeId) -> Option<Reason> {
        any_clash(&look.shape.ports, &look.snapshot.nodes[node.at()].ports).then_some(REFUSED)
    }

    fn texts(&self, _reason: &Reason, _shape: &Shape, _words: &Words) -> Vec<String> {
        vec!["node(s) didn't have free ports for the requested pod ports".to_owned()]
    }

    fn wakes(&self) -> Interests {
        Interests::NODE_ADDED.and(Interests::POD_GONE)
    }

    fn hint(&self, look: &Look<'_>, event: &Event) -> bool {
        match event.pod {
            Some(gone) => any_clash(&look.shape.ports, &look.snapshot.classes[gone.at()].shape.ports),
            None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_clash_on_number_protocol_and_overlapping_address() {
        let mut words = Words::new();
        let mut port = |address: &str, protocol: &str, number| Port {
            address: words.word(address),
            protocol: words.word(protocol),
            number,
        };
        let taken = port("127.0.0.1", "TCP", 80);
        for (other, want) in [
            (port("127.0.0.1", "TCP", 80), true),
            (port("0.0.0.0", "TCP", 80), true),
            (port("127.0.0.2", "TCP", 80), false),
            (port("127.0.0.1", "UDP", 80), false),
            (port("127.0.0.1", "TCP", 81), false),
        ] {
            assert_eq!(clash(&other, &taken), want, "{other:?}");
            assert_eq!(clash(&taken, &other), want, "{other:?}");
        }
    }
}
