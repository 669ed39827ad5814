//! What runs remember of each other: the history, the alarm when checks do not run any more, and what subjects of one run
//! disagree about.

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
metadata: {name: named}
spec:
  description: A container has the name that it was given.
  targets: [runtime]
  timeouts: {test: 20s, step: 5s, teardown: 5s}
  workloads:
    app: {container: {image: plimsoll/probe, args: [sleep, \"60\"], hostname: own}}
  steps:
  - start: [app]
    eventually: {within: 3s}
    expect:
    - {id: runs, on: app, state: running}
  - eventually: {within: 1s}
    expect:
    - {id: its-name, on: app, report: {hostname: own}}
";

struct Place(tempfile::TempDir);

struct Told {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Told {
    #[track_caller]
    fn ends(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    #[track_caller]
    fn says(&self, part: &str) -> &Self {
        assert!(self.out.contains(part), "no `{part}` in stdout: {}", self.out);
        self
    }

    #[track_caller]
    fn warns(&self, part: &str) -> &Self {
        assert!(self.err.contains(part), "no `{part}` in stderr: {}", self.err);
        self
    }
}

impl Place {
    fn with(spec: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("spec.yaml", spec);
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    fn plimsoll(&self, arguments: &[&str]) -> Told {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
        command.current_dir(self.path()).args(arguments).stdin(Stdio::null());
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Told {
            code: status.code(),
            out: text(stdout),
            err: text(stderr),
        }
    }

    /// The bundled runtime, which gives containers a name of its own choice.
    fn liar(&self) -> String {
        let path = self.path().join("liar");
        let script = format!(
            "#!/bin/sh
bundle= take=
for word; do [ -z \"$take\" ] || bundle=$word; take=; [ \"$word\" != --bundle ] || take=1; done
[ -z \"$bundle\" ] || sed -i 's/\"hostname\": \"own\"/\"hostname\": \"liar\"/' \"$bundle/config.json\"
exec '{plimsoll}' oci \"$@\"
",
            plimsoll = env!("CARGO_BIN_EXE_plimsoll"),
        );
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        format!("oci:{}", path.display())
    }
}

fn can_run() -> bool {
    let told = Place::with(SPEC).plimsoll(&["run", "spec.yaml"]);
    // As an ordinary user on a host that forbids user namespaces nothing runs, and that is not what is tested here.
    if told.code != Some(0) {
        eprintln!("skipped: a container cannot be run here: {}", told.err);
        assert!(
            !rustix::process::geteuid().is_root(),
            "root can run a container: {}",
            told.out
        );
    }
    told.code == Some(0)
}

#[test]
fn what_is_skipped_now_and_ran_before_is_told_and_what_is_gone_too() {
    if !can_run() {
        return;
    }
    let place = Place::with("");
    let needed = place.path().join("needed");
    let spec = SPEC.replace(
        "  targets:",
        &format!("  requires: [{{path: [\"{}\"]}}]\n  targets:", needed.display()),
    );
    place.write("spec.yaml", &spec);
    place.write("needed", "");
    let first = place.plimsoll(&["run", "spec.yaml"]);
    first.ends(0);
    assert!(!first.err.contains("drift"), "{}", first.err);
    fs::remove_file(&needed).unwrap();

    let second = place.plimsoll(&["run", "spec.yaml"]);
    second
        .ends(4)
        .warns("drift: 2 × skipped for path")
        .warns("ran here last in 0001 of")
        .says("DRIFT  looked at before and not now")
        .says("named@bundled › its-name");
    let record = fs::read_to_string(place.path().join(".plimsoll/runs/0002/run.jsonl")).unwrap();
    assert_eq!(record.matches("\"event\":\"drift\"").count(), 2);
    for (format, part) in [
        ("json", "\"drift\": ["),
        ("junit", "; ran here last in 0001 of"),
        ("tap", "drift: \"ran here last in 0001 of"),
    ] {
        place.plimsoll(&["report", "--format", format]).ends(0).says(part);
    }
    place.plimsoll(&["judge"]).ends(4).says("DRIFT  looked at before");
    place
        .plimsoll(&["run", "spec.yaml", "--strict"])
        .ends(6)
        .warns("drift: 2 ×");

    // A check that is not in its file any more is told by the next run, and by that one only.
    place.write("needed", "");
    place.write("spec.yaml", &spec.replace("id: its-name", "id: another"));
    place
        .plimsoll(&["run", "spec.yaml"])
        .ends(0)
        .warns("drift: gone: named › its-name from spec.yaml, where it stood in run 0003")
        .says("gone: named › its-name");
    let after = place.plimsoll(&["run", "spec.yaml"]);
    assert!(!after.ends(0).err.contains("drift"), "{}", after.err);

    place
        .plimsoll(&["history", "named.runs"])
        .ends(0)
        .says("named › runs\n  bundled: passed 3 of 3 (100 %, 95 % interval 44 to 100 %), skipped in 2;")
        .says("pass since run 0004, skip before");
    place
        .plimsoll(&["history"])
        .ends(0)
        .says("5 runs, 3 checks")
        .says("changed lately")
        .says("no check is flaky");
    place
        .plimsoll(&["history", "--keep", "2"])
        .ends(0)
        .says("forgot 3 runs");
    let told = place.plimsoll(&["history", "*.runs", "--format", "json"]);
    let pasts: Value = serde_json::from_str(&told.ends(0).out).unwrap();
    assert_eq!(pasts[0]["entries"].as_array().unwrap().len(), 2);
}

/// As hyperfine writes it, with another time in it each time.
fn timed(milliseconds: f64) -> String {
    let seconds = milliseconds / 1e3;
    format!(
        "{{\"results\": [{{\"command\": \"runc run\", \"mean\": {seconds}, \"stddev\": null, \"median\": {seconds},
          \"user\": 0.001, \"system\": 0.002, \"min\": {seconds}, \"max\": {seconds}, \"times\": [{seconds}], \"exit_codes\": [0]}}]}}"
    )
}

#[test]
fn what_other_tools_measured_has_changes_and_what_is_malformed_is_told_with_its_place() {
    let place = Place::with("");
    for n in 0..20 {
        let level = if n < 10 { 20.0 } else { 25.0 };
        place.write(
            "start.json",
            &timed(level + f64::from(n * 7 % 5) / 10.0 + f64::from(n) * 1e-6),
        );
        let revision = if n < 10 { "a1" } else { "b2" };
        place
            .plimsoll(&["history", "--import", "start.json", "--revision", revision])
            .ends(0)
            .says("start.json: 4 figures");
    }
    place
        .plimsoll(&["history", "--import", "start.json"])
        .ends(0)
        .says("start.json: in the history already");
    place
        .plimsoll(&["history", "--bench", "start", "--metric", "time", "--subject", "runc*"])
        .ends(0)
        .says("start › time.p50, ms: runc run")
        .says("20 runs; 1 change\n")
        .says("20.2 → 25.2 ms, 24.8 % worse")
        .says("< changed");
    place
        .plimsoll(&[
            "history", "--bench", "start", "--metric", "time.p50", "--format", "json",
        ])
        .ends(0)
        .says("\"origin\": \"hyperfine\"")
        .says("\"worse\": true");

    place.write("bad.json", "{\n  \"results\": [\n    {\"command\": 7}\n  ]\n}\n");
    place
        .plimsoll(&["history", "--import", "bad.json", "--import", "start.json"])
        .ends(2)
        .warns("error: this is not an export of hyperfine: invalid type: integer `7`, expected a string\n --> bad.json:3:17")
        .warns("1 fault; nothing is imported");
    place.plimsoll(&["history", "--import", "nothing.json"]).ends(2);
    place
        .plimsoll(&["history", "--bench", "elsewhere"])
        .ends(4)
        .warns("no figure in the history is called `elsewhere`");
}

#[test]
fn a_history_that_cannot_be_used_is_a_warning_and_changes_no_verdict() {
    if !can_run() {
        return;
    }
    let place = Place::with(SPEC);
    fs::create_dir(place.path().join(".plimsoll")).unwrap();
    place.write(".plimsoll/history.db", &"this is no database ".repeat(100));
    place
        .plimsoll(&["run", "spec.yaml"])
        .ends(0)
        .warns("warning: this run is not in the history: failed to open the history")
        .says("2 passed");
}

#[test]
fn subjects_that_disagree_are_told_with_both_sides_now_and_from_the_record() {
    if !can_run() {
        return;
    }
    let place = Place::with(SPEC);
    let liar = place.liar();
    place
        .plimsoll(&["compare", "spec.yaml"])
        .ends(2)
        .warns("a comparison needs two");
    let told = place.plimsoll(&["compare", "spec.yaml", "--subject", "bundled", "--subject", &liar]);
    told.ends(1)
        .says("named › its-name  PASS     FAIL")
        .says("expected  hostname own")
        .says("AGREE  1 hold on all")
        .says("2 checks on 2 subjects: 1 disagree, 1 agree · exit 1");
    let again = place.plimsoll(&["compare", "last"]);
    assert_eq!(again.ends(1).out, told.out);
    for (format, part) in [
        ("json", "\"disagreements\": ["),
        (
            "junit",
            "<property name=\"disagrees\" value=\"bundled PASS, liar FAIL\"/>",
        ),
        ("markdown", "| `named › its-name` | PASS | FAIL |"),
    ] {
        place.plimsoll(&["compare", "1", "--format", format]).ends(1).says(part);
    }

    // Two wrappers of one program are told apart by the names that they are given, and agree.
    let (left, right) = (format!("left={liar}"), format!("right={liar}"));
    place
        .plimsoll(&["compare", "spec.yaml", "--subject", &left, "--subject", &right])
        .ends(1)
        .says("the subjects disagree about nothing")
        .says("AGREE  1 fail on all: named › its-name");
    place
        .plimsoll(&["compare", "spec.yaml", "--subject", &liar, "--subject", &liar])
        .ends(2)
        .warns("two subjects are called `liar`")
        .warns("NAME=oci:ARGV");

    // What the spec knows of a subject is listed, and is no failure.
    let known = "  knownFailures:\n  - {subject: liar, checks: [its-name], reason: it lies}\n";
    place.write("spec.yaml", &format!("{SPEC}{known}"));
    place
        .plimsoll(&["compare", "spec.yaml", "--subject", "bundled", "--subject", &liar])
        .ends(0)
        .says("known as  it lies")
        .says("1 disagree (1 as known), 1 agree · exit 0");
}
