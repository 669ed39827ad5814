//! Matrix values and variables that nothing refers to.

use std::collections::BTreeSet;

use super::{Doubt, Lens, Lint, references};
use crate::{fault::Fault, node::Node};

pub(super) const MATRIX: Lint = Lint {
    name: "unused-matrix",
    about: "a name of `matrix` that nothing refers to: the same case runs several times under other names",
    look: |lens, doubts| look(lens, "matrix", "the same case runs once for each of its values", doubts),
};

pub(super) const VARS: Lint = Lint {
    name: "unused-variable",
    about: "a name of `vars` that nothing refers to",
    look: |lens, doubts| look(lens, "vars", "nothing changes with it", doubts),
};

fn look(lens: &Lens<'_>, kind: &str, hint: &str, doubts: &mut Vec<Doubt>) {
    let Some(spec) = lens.written else { return };
    let Some(declared) = spec.get(kind).map(Node::entries).filter(|names| !names.is_empty()) else {
        return;
    };
    let mut used = BTreeSet::new();
    references(spec, kind, &mut used);
    for entry in declared.iter().filter(|entry| !used.contains(entry.key.as_str())) {
        let lint = Fault::new(entry.extent, format!("no value has `${{{kind}.{}}}`", entry.key));
        let lint = lint
            .hint(hint)
            .help("leave it out, or use it; in the key of a map it means nothing");
        doubts.push(Doubt::of_spec(lint));
    }
}
