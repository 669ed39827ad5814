//! What each package says of itself.

use cargo_metadata::Metadata;

use super::{Fault, Tree};

/// Packages without a description, and licences that are not there.
pub(crate) fn faults(metadata: &Metadata, tree: &Tree) -> Vec<Fault> {
    let members = metadata.workspace_packages();
    let packages = members.iter().filter_map(|package| {
        description(
            &package.name,
            package.description.as_deref(),
            package.license.as_deref().unwrap_or_default(),
        )
    });
    packages.chain(licences(tree)).collect()
}

fn description(name: &str, description: Option<&str>, licence: &str) -> Option<Fault> {
    if description.is_none_or(|text| text.trim().len() < 10) {
        return Some(Fault::new(name, "has no description that says what it is"));
    }
    (licence != "Apache-2.0 OR MIT").then(|| Fault::new(name, "does not take the licence of the workspace"))
}

fn licences(tree: &Tree) -> Vec<Fault> {
    let missing = ["LICENSE-APACHE", "LICENSE-MIT"].into_iter().filter(|name| {
        let file = tree.files.iter().find(|file| file.path == *name);
        file.is_none_or(|file| file.text.trim().is_empty())
    });
    missing.map(|name| Fault::new(name, "is not there or empty")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_without_a_description_or_another_licence_is_a_fault() {
        assert!(description("sys", None, "Apache-2.0 OR MIT").is_some());
        assert!(description("sys", Some("  "), "Apache-2.0 OR MIT").is_some());
        assert!(description("sys", Some("Every unsafe block."), "GPL-3.0").is_some());
        assert_eq!(
            description("sys", Some("Every unsafe block."), "Apache-2.0 OR MIT"),
            None
        );
    }

    #[test]
    fn a_licence_that_is_missing_or_empty_is_a_fault() {
        let tree = Tree::of(&[("LICENSE-MIT", " \n")]);
        let places: Vec<_> = licences(&tree).into_iter().map(|fault| fault.place).collect();
        assert_eq!(places, ["LICENSE-APACHE", "LICENSE-MIT"]);
        assert_eq!(
            licences(&Tree::of(&[("LICENSE-MIT", "x"), ("LICENSE-APACHE", "y")])),
            []
        );
    }
}
