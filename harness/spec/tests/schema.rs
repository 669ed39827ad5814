//! The committed schema is the one of the types, and it tells right from wrong where a schema can.

use std::{fs, path::Path};

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn the_committed_schema_is_current() {
    let path = root().join(spec::schema::PATH);
    if std::env::var_os("SNAPSHOTS").is_some_and(|word| word == "overwrite") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, spec::schema::text()).unwrap();
    }
    let committed = fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == spec::schema::text(),
        "`SNAPSHOTS=overwrite cargo test -p spec` writes it anew"
    );
}

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::new(&spec::json_schema()).expect("the schema is one")
}

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).expect("the spec can be read");
    spec::node::parse(&text).documents[0].to_json()
}

fn good() -> Vec<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/good");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("there are good specs")
        .flatten()
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}

#[test]
fn good_specs_are_loaded_without_a_word_and_fit_the_schema() {
    let validator = validator();
    assert!(!good().is_empty());
    for path in good() {
        let text = fs::read_to_string(&path).unwrap();
        let loaded = spec::load(&text, &path.display().to_string());
        assert_eq!(loaded.faults, [], "{}", path.display());
        assert_eq!(loaded.lints, [], "{}", path.display());
        let faults: Vec<_> = validator.iter_errors(&json(&path)).map(|e| e.to_string()).collect();
        assert!(faults.is_empty(), "{}: {faults:?}", path.display());
    }
}

#[test]
fn every_document_travels_as_json_unchanged() {
    for path in good() {
        let text = fs::read_to_string(&path).unwrap();
        for document in spec::load(&text, "x").documents {
            for variant in document.variants() {
                for sabotage in document.sabotages.iter().map(|id| Some(id.as_str())).chain([None]) {
                    let decoded = document.decode(&variant, sabotage).unwrap();
                    let travelled = serde_json::to_string(&decoded).unwrap();
                    assert_eq!(serde_json::from_str::<spec::Document>(&travelled).unwrap(), decoded);
                }
            }
        }
    }
}

#[test]
fn what_a_schema_can_tell_it_refuses() {
    let validator = validator();
    for name in [
        "unknown-key",
        "wrong-type",
        "number-where-text-belongs",
        "list-by-accident",
        "unknown-namespace",
        "unknown-operator",
        "unknown-api-version",
        "unknown-kind",
        "missing-field",
        "missing-metadata",
        "unknown-requirement",
        "requirement-with-two-keys",
        "not-a-map",
    ] {
        let path = root().join(format!("specs/bad/{name}.yaml"));
        assert!(!validator.is_valid(&json(&path)), "{name}");
    }
}
