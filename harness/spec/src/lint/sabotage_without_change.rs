//! A sabotage that writes what is there already.

use super::{Doubt, Lint};
use crate::{edit, fault::Fault, node::Node};

pub(super) const LINT: Lint = Lint {
    name: "sabotage-without-change",
    about: "a `set` of a sabotage that writes the value that is there already",
    // It needs the tree before and after, which `sabotage_without_change` is given.
    look: |_, _| {},
};

/// Compares the tree of a variant with that of the same under a sabotage, of which no entry changes anything: a fault. A
/// single entry is compared with what was written, for it may change something in another variant.
pub(crate) fn sabotage_without_change(
    written: &Node,
    healthy: &Node,
    sabotaged: &Node,
    sabotage: &Node,
    faults: &mut Vec<Fault>,
    doubts: &mut Vec<Doubt>,
) {
    let (Some(healthy), Some(sabotaged)) = (healthy.get("spec"), sabotaged.get("spec")) else {
        return;
    };
    let set = sabotage.get("set").map(Node::entries).unwrap_or_default();
    let unset = sabotage.get("unset").map(Node::elements).unwrap_or_default();
    let at = |tree: &Node, path: &str| edit::get(tree, path).map(Node::to_json);
    let is_same = |path: &str| {
        let before = at(healthy, path);
        before.is_some() && before == at(sabotaged, path)
    };
    let id = sabotage.get("id").and_then(Node::text).unwrap_or_default();
    if !set.is_empty() && unset.is_empty() && set.iter().all(|entry| is_same(&entry.key)) {
        let extent = sabotage.get("id").unwrap_or(sabotage).extent;
        let fault = Fault::new(extent, format!("sabotage `{id}` changes nothing"));
        faults.push(fault.hint("it writes the values that are there already"));
        return;
    }
    let Some(written) = written.get("spec") else { return };
    for entry in set {
        if at(written, &entry.key).as_ref() != Some(&entry.node.to_json()) {
            continue;
        }
        let fault = Fault::new(entry.extent, format!("sabotage `{id}` does not change `{}`", entry.key))
            .hint("this value is there already");
        doubts.push(Doubt::of_spec(Fault {
            lint: Some(LINT.name),
            ..fault
        }));
    }
}
