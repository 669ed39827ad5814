//! Each lint has a spec of its name in `specs/bad/doubtful/`, with what a person is told about it beside it.
//! `SNAPSHOTS=overwrite` writes that anew. The specs of the catalogue give no warning.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare has failed")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use spec::lint::LINTS;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn each_lint_warns_with_its_golden_text_of_its_own_spec() {
    let mut wrong = Vec::new();
    for lint in LINTS {
        let file = format!("specs/bad/doubtful/{}.yaml", lint.name);
        let text = fs::read_to_string(root().join(&file)).unwrap_or_else(|_| panic!("there is no {file}"));
        let loaded = spec::load(&text, &file);
        assert_eq!(loaded.faults, [], "{file}");
        let named = loaded.lints.iter().any(|warning| warning.lint == Some(lint.name));
        assert!(named, "{file}: {:?}", loaded.lints);
        for warning in &loaded.lints {
            let place = warning.position();
            assert!(place.line > 0 && place.column > 0 && warning.hint.is_some() | warning.help.is_some());
        }
        let told: Vec<_> = loaded
            .lints
            .iter()
            .map(|warning| format!("{}\n", warning.render(&text, false)))
            .collect();
        let told = told.join("\n");
        let golden = root().join(&file).with_extension("stderr");
        if std::env::var_os("SNAPSHOTS").is_some_and(|word| word == "overwrite") {
            fs::write(&golden, &told).unwrap();
        }
        if fs::read_to_string(&golden).unwrap_or_default() != told {
            wrong.push(format!("{file}:\n{told}"));
        }
    }
    assert!(wrong.is_empty(), "not the golden text:\n{}", wrong.join("\n"));
}

#[test]
fn every_doubtful_spec_belongs_to_a_lint_and_is_doubtful_for_nothing_else() {
    for entry in fs::read_dir(root().join("specs/bad/doubtful")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(
            LINTS.iter().any(|lint| lint.name == name),
            "{} is left over",
            path.display()
        );
        let text = fs::read_to_string(path.with_extension("yaml")).unwrap();
        for warning in spec::load(&text, "x").lints {
            assert_eq!(warning.lint, Some(name.as_str()), "{name}: {warning}");
        }
    }
}

fn below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "bad") {
            below(&path, found);
        } else if path.extension().is_some_and(|end| end == "yaml") {
            found.push(path);
        }
    }
}

#[test]
fn the_catalogue_gives_no_warning() {
    let mut specs = Vec::new();
    below(&root().join("specs"), &mut specs);
    specs.sort();
    assert!(specs.len() > 100, "only {} specs", specs.len());
    let mut told = String::new();
    for path in specs {
        let text = fs::read_to_string(&path).unwrap();
        for warning in spec::load(&text, &path.display().to_string()).lints {
            told.push_str(&warning.render(&text, false));
            told.push_str("\n\n");
        }
    }
    assert!(told.is_empty(), "{told}");
}

#[test]
fn a_warning_is_silenced_for_a_reason_alone_or_for_some_checks() {
    let text = |allow: &str| {
        fs::read_to_string(root().join("specs/bad/doubtful/vacuous-regex.yaml"))
            .unwrap()
            .replace(
                "metadata:\n",
                &format!("metadata:\n  annotations: {{plimsoll.dev/allow: \"{allow}\"}}\n"),
            )
    };
    let warned = |allow: &str| -> Vec<u32> {
        let loaded = spec::load(&text(allow), "x");
        assert_eq!(loaded.faults, [], "{allow}");
        loaded.lints.iter().map(|warning| warning.position().line).collect()
    };
    assert_eq!(warned("vacuous-regex: any text will do"), [0; 0]);
    assert_eq!(warned("vacuous-regex(told): any text will do"), [16]);
    assert_eq!(warned("vacuous-regex(told, told-on-error): any text will do"), [0; 0]);
    assert_eq!(warned("vacuous-regex(empty): any text will do"), [4, 15, 16]);
}
