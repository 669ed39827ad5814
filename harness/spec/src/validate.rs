//! What serde cannot see: names that must exist, units, windows, things that would hold for everything.
use crate::{document::Document, fault::Fault, node::Node};

/// Names of workloads and host processes of a spec.
pub fn objects(spec: Option<&Node>) -> Vec<String> {
    let mut names = Vec::new();
    let Some(spec) = spec else { return names };
    names.extend(
        spec.get("workloads")
            .map(Node::entries)
            .unwrap_or_default()
            .iter()
            .map(|entry| entry.key.clone()),
    );
    for phase in ["setup", "steps", "teardown", "onFailure"] {
        for step in spec.get(phase).map(Node::elements).unwrap_or_default() {
            names.extend(
                step.get("hostProcess")
                    .and_then(|p| p.get("id")?.text())
                    .map(str::to_owned),
            );
        }
    }
    names
}

/// Checks a document that was decoded from a tree.
pub fn validate(_: &Document, _: &Node, _: &Node, _: &mut Vec<Fault>, _: &mut Vec<Fault>) {}
