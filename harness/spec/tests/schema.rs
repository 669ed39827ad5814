//! The committed schema is the one of the types, and good specs are read without a word.

use std::{fs, path::Path};

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
fn good_specs_are_loaded_without_a_word() {
    assert!(!good().is_empty());
    for path in good() {
        let text = fs::read_to_string(&path).unwrap();
        let loaded = spec::load(&text, &path.display().to_string());
        assert_eq!(loaded.faults, [], "{}", path.display());
        assert_eq!(loaded.lints, [], "{}", path.display());
    }
}

#[test]
fn every_document_travels_as_json_unchanged() {
    for path in good() {
        let text = fs::read_to_string(&path).unwrap();
        for document in spec::load(&text, "x").documents {
            for variant in document.variants() {
                for sabotage in document.sabotages.iter().map(|id| Some(id.as_str())).chain([None]) {
                    if document.kind == spec::Kind::Benchmark {
                        let decoded = document.decode_benchmark(&variant, sabotage).unwrap();
                        let travelled = serde_json::to_string(&decoded).unwrap();
                        assert_eq!(
                            serde_json::from_str::<spec::BenchmarkDocument>(&travelled).unwrap(),
                            decoded
                        );
                        continue;
                    }
                    let decoded = document.decode(&variant, sabotage).unwrap();
                    let travelled = serde_json::to_string(&decoded).unwrap();
                    assert_eq!(serde_json::from_str::<spec::Document>(&travelled).unwrap(), decoded);
                }
            }
        }
    }
}
