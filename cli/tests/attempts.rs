//! Cases that are tried again: what is told of a check that passes only then, and that a record tells the same.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests: what goes wrong here fails the test"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const SPEC: &str = "
apiVersion: plimsoll.dev/v1
kind: Test
metadata: {name: moody}
spec:
  description: A container runs, if the subject feels like it.
  targets: [runtime]
  timeouts: {test: 20s, step: 5s, teardown: 5s}
  workloads:
    app: {container: {image: plimsoll/probe, args: [sleep, \"60\"]}}
  steps:
  - start: [app]
    eventually: {within: 3s}
    expect:
    - {id: runs, on: app, state: running}
";

struct Place(tempfile::TempDir);

impl Place {
    fn with(spec: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.path().join("spec.yaml"), spec).unwrap();
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn plimsoll(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
        command.current_dir(self.path()).args(arguments).stdin(Stdio::null());
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code(), text(stdout), text(stderr))
    }

    /// A subject that refuses to create containers in the first `refusals` attempts. Inside the guard nothing that it
    /// writes outlives the attempt, so it counts the directories that the harness makes for each.
    fn moody(&self, refusals: u32) -> String {
        let path = self.path().join("moody");
        let script = format!(
            "#!/bin/sh
attempts=0
for case in '{place}'/.plimsoll/runs/*/cases/*; do attempts=$((attempts + 1)); done
case \" $* \" in *\" create \"*) [ $attempts -gt {refusals} ] || {{ echo not today >&2; exit 1; }} ;; esac
exec '{plimsoll}' oci \"$@\"
",
            place = self.path().display(),
            plimsoll = env!("CARGO_BIN_EXE_plimsoll"),
        );
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        format!("oci:{}", path.display())
    }
}

fn can_run() -> bool {
    let (code, _, told) = Place::with(SPEC).plimsoll(&["run", "spec.yaml"]);
    // As an ordinary user on a host that forbids user namespaces nothing runs, and that is not what is tested here.
    if code != Some(0) {
        eprintln!("skipped: a container cannot be run here: {told}");
        assert!(
            !rustix::process::geteuid().is_root(),
            "root can run a container: {told}"
        );
    }
    code == Some(0)
}

#[test]
fn a_check_that_passes_only_in_the_second_attempt_is_flaky_and_fails_the_run() {
    if !can_run() {
        return;
    }
    let place = Place::with(SPEC);
    let subject = place.moody(1);
    let (code, out, err) = place.plimsoll(&["run", "spec.yaml", "--subject", &subject, "--retries", "3"]);
    assert_eq!(code, Some(1), "{out}{err}");
    for part in ["FLAKY  moody@moody", "flaky 1/2", "not today", "1 flaky · ", "exit 1"] {
        assert!(out.contains(part), "no `{part}` in {out}");
    }
    // The record tells what the run told, and judges alike.
    let record = fs::read_to_string(place.path().join(".plimsoll/runs/0001/run.jsonl")).unwrap();
    assert!(record.contains("\"id\":\"moody@moody#2\""), "{record}");
    assert!(!record.contains("moody@moody#3"), "{record}");
    let (code, again, err) = place.plimsoll(&["judge"]);
    assert_eq!((code, err.as_str()), (Some(1), ""));
    assert_eq!(again, out);
    let (_, json, _) = place.plimsoll(&["report", "--format", "json"]);
    let document: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(document["tally"]["flaky"], 1);
    let check = &document["cases"][0]["checks"][0];
    assert_eq!(
        (&check["flaky"]["failed"], &check["flaky"]["of"]),
        (&1.into(), &2.into())
    );
    assert_eq!(check["outcome"]["verdict"], "fail");
    for (format, part) in [("junit", "<flakyFailure"), ("tap", "flaky: \"1/2\"")] {
        let (_, text, _) = place.plimsoll(&["report", "--format", format]);
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_flaky_check_is_green_and_told_where_the_spec_allows_it() {
    if !can_run() {
        return;
    }
    let place = Place::with(&SPEC.replace("  targets:", "  retries: {count: 2, flaky: allow}\n  targets:"));
    let subject = place.moody(2);
    let (code, out, err) = place.plimsoll(&["run", "spec.yaml", "--subject", &subject]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(
        out.contains("flaky 2/3: failed, then passed, which the spec allows"),
        "{out}"
    );
    let (code, again, _) = place.plimsoll(&["judge"]);
    assert_eq!((code, again), (Some(0), out));
}

#[test]
fn what_never_passes_fails_after_its_last_attempt_and_nothing_is_tried_again_unasked() {
    if !can_run() {
        return;
    }
    for (retries, attempts) in [("0", 1), ("2", 3)] {
        let place = Place::with(SPEC);
        let subject = place.moody(9);
        let (code, out, _) = place.plimsoll(&["run", "spec.yaml", "--subject", &subject, "--retries", retries]);
        assert_eq!(code, Some(1), "{out}");
        assert!(out.contains("FAIL  moody@moody"), "{out}");
        let record = fs::read_to_string(place.path().join(".plimsoll/runs/0001/run.jsonl")).unwrap();
        assert_eq!(record.matches("\"event\":\"caseEnd\"").count(), attempts);
    }
    let known = "  knownFailures:\n  - {subject: moody, checks: [runs], reason: it is moody}\n";
    let place = Place::with(&format!("{SPEC}{known}"));
    let subject = place.moody(9);
    let (code, out, _) = place.plimsoll(&["run", "spec.yaml", "--subject", &subject, "--retries", "2"]);
    assert_eq!(code, Some(0), "{out}");
    let record = fs::read_to_string(place.path().join(".plimsoll/runs/0001/run.jsonl")).unwrap();
    assert_eq!(
        record.matches("\"event\":\"caseEnd\"").count(),
        1,
        "a known failure is not tried again"
    );
}
