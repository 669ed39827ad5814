//! The committed JSON Schema: what the types say today, and an editor that goes by it accepts the catalogue.

use std::path::Path;

use serde_json::Value;

/// What is wrong with it, a sentence each.
pub(crate) fn faults(workspace: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    match fs_err::read_to_string(workspace.join(spec::schema::PATH)) {
        Ok(text) if text == spec::schema::text() => {}
        Ok(_) => faults.push(format!(
            "{} is not what the types say: `plimsoll schema` does",
            spec::schema::PATH
        )),
        Err(error) => faults.push(error.to_string()),
    }
    match jsonschema::draft202012::new(&spec::json_schema()) {
        Ok(schema) => refused(&schema, &workspace.join("specs"), &mut faults),
        Err(error) => faults.push(format!("the schema is none: {error}")),
    }
    faults
}

/// The specs below a folder that the schema refuses. Those in `bad` are read by tests.
fn refused(schema: &jsonschema::Validator, folder: &Path, faults: &mut Vec<String>) {
    let entries = match fs_err::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return faults.push(error.to_string()),
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if !path.ends_with("bad") {
                refused(schema, &path, faults);
            }
        } else if path.extension().is_some_and(|end| end == "yaml") {
            match fs_err::read_to_string(&path) {
                Ok(text) => faults.extend(
                    documents(&text)
                        .iter()
                        .flat_map(|document| schema.iter_errors(document))
                        .map(|error| {
                            format!(
                                "{}: the schema refuses {}: {error}",
                                path.display(),
                                error.instance_path()
                            )
                        }),
                ),
                Err(error) => faults.push(error.to_string()),
            }
        }
    }
}

fn documents(text: &str) -> Vec<Value> {
    let parsed = spec::node::parse(text);
    parsed.documents.iter().map(|document| document.to_json()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
    }

    fn schema() -> jsonschema::Validator {
        jsonschema::draft202012::new(&spec::json_schema()).unwrap()
    }

    #[test]
    fn the_catalogue_and_its_schema_agree() {
        assert_eq!(faults(workspace()), Vec::<String>::new());
    }

    #[test]
    fn what_shows_every_word_of_the_language_is_accepted() {
        let mut faults = Vec::new();
        refused(&schema(), &workspace().join("harness/spec/tests/good"), &mut faults);
        assert_eq!(faults, Vec::<String>::new());
    }

    #[test]
    fn what_a_schema_can_tell_it_refuses() {
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
            let path = workspace().join(format!("specs/bad/{name}.yaml"));
            let text = fs_err::read_to_string(path).unwrap();
            assert!(
                documents(&text).iter().any(|document| !schema().is_valid(document)),
                "{name}"
            );
        }
    }
}
