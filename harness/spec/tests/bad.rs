//! Each spec in `specs/bad/` has beside it what a person is told about it. `SNAPSHOTS=overwrite` writes that anew.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../specs/bad")
}

fn is_overwriting() -> bool {
    std::env::var_os("SNAPSHOTS").is_some_and(|word| word == "overwrite")
}

/// What is told about a file, as `plimsoll check` prints it.
fn complaint(bytes: &[u8], file: &str) -> String {
    let text = String::from_utf8_lossy(bytes);
    let faults = match spec::not_utf8(bytes, file) {
        Some(fault) => vec![fault],
        None => spec::load(&text, file).faults,
    };
    let shown: Vec<_> = faults.iter().map(|fault| fault.render(&text, false)).collect();
    shown
        .iter()
        .map(|fault| format!("{fault}\n"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn differs_from_golden(complaint: &str, golden: &Path) -> bool {
    if is_overwriting() {
        fs::write(golden, complaint).expect("the golden complaint can be written");
    }
    fs::read_to_string(golden).unwrap_or_default() != complaint
}

#[test]
fn each_bad_spec_is_refused_with_its_golden_complaint() {
    let mut names: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    let specs: Vec<_> = names
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .collect();
    assert!(specs.len() >= 30, "only {} bad specs", specs.len());
    let mut wrong = Vec::new();
    for path in specs {
        let name = path.file_name().unwrap().to_str().unwrap();
        let told = complaint(&fs::read(path).unwrap(), &format!("specs/bad/{name}"));
        assert!(!told.is_empty(), "{name} is not refused");
        let golden = path.with_extension("stderr");
        assert!(golden.exists() || is_overwriting(), "{name} has no .stderr beside it");
        if differs_from_golden(&told, &golden) {
            wrong.push(format!("{name}:\n{told}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "complaints that are not the golden ones:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn each_golden_complaint_belongs_to_a_bad_spec() {
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let is_generated = path
            .file_stem()
            .is_some_and(|name| name.to_str().unwrap().starts_with("generated-"));
        if !is_generated && path.extension().is_some_and(|end| end == "stderr") {
            assert!(path.with_extension("yaml").exists(), "{} is left over", path.display());
        }
    }
}

fn generated(name: &str, text: &str) {
    let started = std::time::Instant::now();
    let told = complaint(text.as_bytes(), &format!("specs/bad/{name}.yaml"));
    assert!(started.elapsed().as_secs() < 5, "{name} takes {:?}", started.elapsed());
    assert!(told.len() < 4096, "{name} is told at length");
    let golden = folder().join(format!("generated-{name}.stderr"));
    assert!(!differs_from_golden(&told, &golden), "{name}:\n{told}");
}

#[test]
fn a_bomb_of_aliases_is_refused_before_it_goes_off() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..30 {
        let alias = format!("*a{}", n - 1);
        text.push_str(&format!("a{n}: &a{n} [{}]\n", [alias.as_str(); 10].join(", ")));
    }
    generated("alias-bomb", &text);
}

#[test]
fn a_mebibyte_of_nesting_is_refused() {
    generated("deep-flow-nesting", &"[".repeat(1 << 20));
    generated("deep-flow-map-nesting", &"{a: ".repeat(1 << 18));
    let mut text = String::new();
    for depth in 0..1000 {
        text.push_str(&" ".repeat(depth));
        text.push_str("a:\n");
    }
    generated("deep-block-nesting", &text);
    generated("deep-list-nesting", &"- ".repeat(1 << 19));
}

#[test]
fn a_file_of_too_many_values_is_refused() {
    generated("too-many-values", &format!("a: [{}]", "1, ".repeat(200_000)));
}
