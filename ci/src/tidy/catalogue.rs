//! Every spec says what it shows, and how it could be shown to fail.

use spec::fault::Fault as SpecFault;
use spec::load::LoadedDocument;

use super::{Fault, File, Tree};

/// The annotation that says why a spec has no sabotage.
const WITHOUT_SABOTAGE: &str = "without-sabotage";

/// Specs that say too little about themselves; those in `specs/bad/` are wrong on purpose.
pub(crate) fn faults(tree: &Tree) -> Vec<Fault> {
    let specs = tree.ending(".yaml").filter(|file| file.path.starts_with("specs/"));
    specs
        .filter(|file| !file.path.starts_with("specs/bad/"))
        .flat_map(of_file)
        .collect()
}

fn of_file(file: &File) -> Vec<Fault> {
    let loaded = spec::load(&file.text, &file.path);
    if let Some(SpecFault { extent, message, .. }) = loaded.faults.first() {
        return vec![Fault::at(file, extent.at.line as usize, message.clone())];
    }
    let stem = file
        .path
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .trim_end_matches(".yaml");
    let stem = stem.trim_end_matches(".bench");
    loaded
        .documents
        .iter()
        .flat_map(|document| of_document(file, stem, document))
        .collect()
}

fn of_document(file: &File, stem: &str, document: &LoadedDocument) -> Vec<Fault> {
    let line = document.name_extent().at.line as usize;
    let mut faults = Vec::new();
    if document.name != stem {
        faults.push(Fault::at(
            file,
            line,
            format!("the test is named `{}`, the file `{stem}`", document.name),
        ));
    }
    if document.description().split_whitespace().count() < 3 {
        faults.push(Fault::at(
            file,
            line,
            "the description does not say what behaviour the spec shows",
        ));
    }
    let reason = document.annotation(WITHOUT_SABOTAGE);
    if document.sabotages.is_empty() && reason.is_none_or(|reason| reason.split_whitespace().count() < 3) {
        let advice = format!(
            "add a sabotage that its checks must see, or say why there is none in the annotation `{WITHOUT_SABOTAGE}`"
        );
        faults.push(Fault::at(file, line, advice));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
apiVersion: plimsoll.dev/v1
kind: Test
metadata:
  name: a
spec:
  description: A container that exits says so.
  targets: [runtime]
  workloads:
    app: {container: {image: plimsoll/probe, args: [exit, \"0\"]}}
  steps:
  - start: [app]
    eventually: {within: 5s}
    expect:
    - {id: ended, on: app, exit: {code: 0}}
  sabotage:
  - id: another-code
    set: {workloads.app.container.args.1: \"1\"}
    mustFail: [ended]
";

    fn complaints(path: &str, text: &str) -> Vec<String> {
        faults(&Tree::of(&[(path, text)]))
            .iter()
            .map(Fault::to_string)
            .collect()
    }

    #[test]
    fn a_spec_that_says_enough_is_fine() {
        assert_eq!(complaints("specs/x/a.yaml", GOOD), [""; 0]);
    }

    #[test]
    fn a_file_named_otherwise_is_a_fault() {
        assert_eq!(
            complaints("specs/x/b.yaml", GOOD),
            ["specs/x/b.yaml:4: the test is named `a`, the file `b`"]
        );
    }

    #[test]
    fn a_spec_without_sabotage_needs_a_reason() {
        let without = GOOD.split("  sabotage:").next().unwrap();
        let complaint = &complaints("specs/x/a.yaml", without)[0];
        assert!(complaint.contains("add a sabotage"), "{complaint}");
        let reasoned = without.replace(
            "  name: a\n",
            "  name: a\n  annotations: {without-sabotage: no change of the spec can break it}\n",
        );
        assert_eq!(complaints("specs/x/a.yaml", &reasoned), [""; 0]);
    }

    #[test]
    fn a_description_that_says_nothing_is_a_fault() {
        let terse = GOOD.replace("A container that exits says so.", "Exit.");
        let complaint = &complaints("specs/x/a.yaml", &terse)[0];
        assert!(complaint.contains("description"), "{complaint}");
    }

    #[test]
    fn a_spec_that_cannot_be_read_is_a_fault_unless_it_is_meant_to_be() {
        let broken = GOOD.replace("kind: Test", "kind: Tset");
        assert_eq!(complaints("specs/x/a.yaml", &broken).len(), 1);
        assert_eq!(complaints("specs/bad/a.yaml", &broken), [""; 0]);
    }
}
