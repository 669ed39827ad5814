//! The proof as a user asks for it: a check that cannot fail is found, one that can is not run twice, and the score is in
//! every report. Real containers; needs what `plimsoll run` needs.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare has failed")]

use assert_cmd::Command;
use serde_json::Value;

/// `own-namespace` compares the kernel's inodes; `has-some-id` holds for every process there is.
const SPEC: &str = r#"
apiVersion: plimsoll.dev/v1
kind: Test
metadata: {name: pid}
spec:
  description: A container has a PID namespace of its own.
  targets: [runtime]
  workloads:
    app: {container: {image: plimsoll/probe, args: [sleep, "300"]}}
  setup:
  - hostProcess: {id: canary, args: [sleep, "301"]}
  - start: [app]
    eventually: {within: 2s, every: 20ms}
    expect:
    - {id: ready, on: app, report: {pid: {exists: true}}}
  steps:
  - expect:
    - {id: own-namespace, on: app, namespace: {pid: {differsFrom: host}}}
    - {id: canary-lives, on: host, process: {where: {ref: canary}, count: 1}}
VACUOUS
  sabotage:
  - id: shares-the-hosts
    set: {workloads.app.container.namespaces.pid: host}
    mustFail: [own-namespace]
"#;

const HAS_SOME_ID: &str = "    - {id: has-some-id, on: host, process: {where: {all: true}, count: {gte: 1}}}";

struct Folder(tempfile::TempDir);

struct Told {
    code: i32,
    out: String,
    err: String,
}

impl Folder {
    fn new(spec: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write(spec);
        folder
    }

    fn write(&self, spec: &str) {
        fs_err::write(self.0.path().join("pid.yaml"), spec).unwrap();
    }

    fn plimsoll(&self, args: &[&str]) -> Told {
        let output = Command::cargo_bin("plimsoll")
            .unwrap()
            .args(args)
            .current_dir(self.0.path())
            .output()
            .unwrap();
        Told {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The standing of each check, and the whole document.
    fn prove(&self, more: &[&str]) -> (Told, Value) {
        let mut args = vec!["prove", "pid.yaml", "--format", "json"];
        args.extend(more);
        let told = self.plimsoll(&args);
        let document =
            serde_json::from_str(&told.out).unwrap_or_else(|error| panic!("{error}: {}{}", told.out, told.err));
        (told, document)
    }
}

fn standing(document: &Value, check: &str) -> String {
    let checks = document["checks"].as_array().unwrap();
    let found = checks.iter().find(|known| known["check"] == check).unwrap();
    found["standing"]["standing"].as_str().unwrap().to_owned()
}

#[test]
fn a_check_that_cannot_fail_is_found_and_felt_where_proof_is_required() {
    let folder = Folder::new(&SPEC.replace("VACUOUS", HAS_SOME_ID));
    let (told, document) = folder.prove(&[]);
    assert_eq!(told.code, 0, "{}", told.err);
    for check in ["ready", "own-namespace", "canary-lives"] {
        assert_eq!(standing(&document, check), "proven", "{check}: {}", told.out);
    }
    assert_eq!(standing(&document, "has-some-id"), "unproven");
    assert_eq!(document["host"], serde_json::json!([]), "the host is as it was");
    // The subject's fault was seen by the check that compares with the host.
    let faults = &document["faults"]["pid-namespace-dropped"];
    assert_eq!((&faults["cases"], &faults["caught"]), (&1.into(), &1.into()));

    let (again, document) = folder.prove(&["--require-proof"]);
    assert_eq!(again.code, 7, "{}", again.err);
    assert!(again.err.contains("0 cases to run"), "{}", again.err);
    assert_eq!(standing(&document, "own-namespace"), "proven");

    let judged = folder.plimsoll(&["judge"]);
    assert_eq!(judged.code, 7, "{}", judged.err);
    let explained = folder.plimsoll(&["explain", "1"]);
    assert!(explained.out.starts_with("no check failed"), "{}", explained.out);
    let run = folder.plimsoll(&["run", "pid.yaml"]);
    assert!(
        run.out
            .contains("proof: 3 of 4 checks shown to be able to fail, 1 unproven"),
        "{}",
        run.out
    );
    assert_eq!(run.code, 0);
    assert_eq!(folder.plimsoll(&["run", "pid.yaml", "--require-proof"]).code, 7);
}

#[test]
fn a_waiver_needs_a_reason_and_takes_the_place_of_a_proof() {
    let waived = |reason: &str| {
        let spec = SPEC.replace("VACUOUS", HAS_SOME_ID);
        format!("{spec}  proof: {{waive: {{has-some-id: \"{reason}\"}}}}\n")
    };
    let folder = Folder::new(&waived("the guard itself is always there"));
    let (told, document) = folder.prove(&["--require-proof"]);
    assert_eq!(told.code, 0, "{}", told.err);
    assert_eq!(standing(&document, "has-some-id"), "waived");

    // A changed spec is another spec.
    folder.write(&SPEC.replace("VACUOUS", ""));
    let (told, document) = folder.prove(&["--require-proof"]);
    assert_eq!(told.code, 0, "{}", told.err);
    assert!(!told.err.contains("\n0 cases to run"), "{}", told.err);
    assert_eq!(document["score"]["proven"], 3);

    folder.write(&waived(" "));
    let refused = folder.plimsoll(&["check", "pid.yaml"]);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("waived without a reason"), "{}", refused.err);
}

#[test]
fn a_promise_that_is_not_kept_leaves_the_check_unproven() {
    let folder = Folder::new(
        &SPEC
            .replace("VACUOUS", "")
            .replace("mustFail: [own-namespace]", "mustFail: [own-namespace, canary-lives]"),
    );
    let (told, document) = folder.prove(&["--require-proof"]);
    assert_eq!(told.code, 7, "{}", told.err);
    assert_eq!(standing(&document, "canary-lives"), "unproven");
    assert_eq!(standing(&document, "own-namespace"), "proven");
}

#[test]
fn a_spec_may_name_a_fault_of_the_subject() {
    let inject = |fault: &str| {
        SPEC.replace("VACUOUS", "").replace(
            "set: {workloads.app.container.namespaces.pid: host}",
            &format!("inject: {{runtime: {fault}}}"),
        )
    };
    let folder = Folder::new(&inject("pid-namespace-droped"));
    let refused = folder.plimsoll(&["prove", "pid.yaml"]);
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert!(
        refused.err.contains("did you mean `pid-namespace-dropped`?"),
        "{}",
        refused.err
    );

    folder.write(&inject("pid-namespace-dropped"));
    let run = folder.plimsoll(&["run", "pid.yaml", "--sabotage", "shares-the-hosts"]);
    assert_eq!(run.code, 1, "{}", run.err);
    assert!(run.out.contains("own-namespace"), "{}", run.out);
}
