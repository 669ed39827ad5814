//! A file is named after the one thing it holds.

use super::{Fault, Tree};

/// Names without a boundary: files of these names only grow.
const LANDFILLS: [&str; 10] = [
    "mod", "util", "utils", "common", "helper", "helpers", "types", "manager", "imp", "misc",
];

/// Source files whose names say nothing.
pub(crate) fn faults(tree: &Tree) -> Vec<Fault> {
    let named = tree.ending(".rs").filter_map(|file| {
        let name = file.path.rsplit('/').next()?.strip_suffix(".rs")?;
        LANDFILLS.contains(&name).then(|| {
            let advice = if name == "mod" {
                "is `foo.rs` beside `foo/`"
            } else {
                "is named after the one thing it holds"
            };
            Fault::new(&file.path, format!("a module {advice}"))
        })
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_landfill_and_a_mod_file_are_faults() {
        let tree = Tree::of(&[("a/src/mod.rs", ""), ("a/src/x/utils.rs", ""), ("a/src/modules.rs", "")]);
        let places: Vec<_> = faults(&tree).into_iter().map(|fault| fault.place).collect();
        assert_eq!(places, ["a/src/mod.rs", "a/src/x/utils.rs"]);
    }
}
