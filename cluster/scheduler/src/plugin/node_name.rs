//! A pod that names a node goes to no other.

use super::{Look, Plugin, PluginId, PreFilter, Reason};
use crate::event::{Event, Interests};
use crate::id::NodeId;
use crate::shape::Shape;
use crate::words::{Word, Words};

pub(crate) struct NodeName;

const REFUSED: Reason = Reason::new(PluginId::NodeName, false);

fn fits(named: Option<Word>, node: Word) -> bool {
    named.is_none_or(|named| named == node)
}

impl Plugin for NodeName {
    fn name(&self) -> &'static str {
        "NodeName"
    }

    fn filters(&self) -> bool {
        true
    }

    fn pre_filter(&self, look: &Look<'_>) -> PreFilter {
        if look.named.is_none() {
            PreFilter::Skip
        } else {
            PreFilter::Ask
        }
    }

    fn filter(&self, look: &Look<'_>, node: NodeId) -> Option<Reason> {
        (!fits(look.named, look.snapshot.nodes[node.at()].name)).then_some(REFUSED)
    }

    fn texts(&self, _reason: &Reason, _shape: &Shape, _words: &Words) -> Vec<String> {
        vec!["node(s) didn't match the requested node name".to_owned()]
    }

    fn wakes(&self) -> Interests {
        Interests::NODE_ADDED
    }

    fn hint(&self, look: &Look<'_>, event: &Event) -> bool {
        event.node.is_none_or(|node| self.filter(look, node).is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_node_will_do() {
        let mut words = Words::new();
        let (one, other) = (words.word("one"), words.word("other"));
        assert!(fits(None, one));
        assert!(fits(Some(one), one));
        assert!(!fits(Some(one), other));
    }
}
