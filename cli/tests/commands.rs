//! The commands that need no privilege, as a user types them: what they print, and with which exit code they end.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare has failed")]

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::{Value, json};

const SPEC: &str = "\
apiVersion: plimsoll.dev/v1
kind: Test
metadata: {name: lifecycle, labels: {area: lifecycle}}
spec:
  description: A container runs and ends.
  targets: [runtime]
  workloads:
    app: {container: {image: plimsoll/probe, args: [sleep, \"300\"]}}
  steps:
  - start: [app]
    eventually: {within: 2s}
    expect:
    - {id: running, on: app, state: running}
  - signal: {on: app, signal: SIGKILL}
    eventually: {within: 2s}
    expect:
    - {id: killed, on: app, exit: {code: 137}}
  sabotage:
  - id: ends-at-once
    set: {workloads.app.container.args: [\"true\"]}
    mustFail: [running]
";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("specs/lifecycle.yaml", SPEC);
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, text).unwrap();
        path
    }

    fn plimsoll(&self, args: &[&str]) -> Told {
        let output = Command::cargo_bin("plimsoll")
            .unwrap()
            .args(args)
            .current_dir(self.path())
            .output()
            .unwrap();
        Told {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// A record of a run of [`SPEC`], of which the second look at `killed` saw this exit code.
    fn record(&self, id: &str, code: i64, end: Option<u8>) {
        let case = "lifecycle@bundled";
        let state = |runtime: &str, alive: bool| {
            json!({"seen": "state", "runtime": runtime,
                "kernel": {"pid": 7, "alive": alive, "payload": true, "frozen": false, "inCgroup": true}})
        };
        let exit = |running: bool| {
            json!({"seen": "exit", "running": running, "code": if running { Value::Null } else { json!(code) },
                "signal": null, "reason": null, "source": "waitid"})
        };
        let look = |index: usize, n: u64, check: &str, seen: Value| json!({"event": "look", "case": case, "phase": "steps", "index": index, "n": n, "t": 1.0, "seen": {check: seen}});
        let step = |index: usize| json!({"event": "step", "case": case, "phase": "steps", "index": index, "name": "s", "t": 1.0});
        let mut events = vec![
            json!({"event": "run", "version": 1, "id": id, "started": "2026-01-02T03:04:05Z", "plimsoll": "0.1.0",
                "argv": ["plimsoll"], "host": {"kernel": "6", "machine": "m", "cpu": "c", "cpus": 1, "memory": 1,
                "cgroup": "v2", "uid": 0}, "subjects": [{"name": "bundled", "argv": ["p", "oci"], "version": "v"}]}),
            json!({"event": "spec", "file": "specs/lifecycle.yaml", "sha256": "", "text": SPEC}),
            json!({"event": "case", "id": case, "test": "lifecycle", "file": "specs/lifecycle.yaml", "description": "d",
                "subject": "bundled", "target": "runtime", "t": 0.5, "checks": [
                {"id": "running", "at": "specs/lifecycle.yaml:13:7", "about": "state"},
                {"id": "killed", "at": "specs/lifecycle.yaml:17:7", "about": "exit"}]}),
            step(0),
            look(0, 0, "running", state("created", true)),
            look(0, 1, "running", state("running", true)),
            step(1),
            look(1, 0, "killed", exit(true)),
            look(1, 1, "killed", exit(false)),
            // As a harness of another opinion judged it.
            json!({"event": "verdict", "case": case, "check": "running", "verdict": "error", "message": "m", "looks": 2}),
            json!({"event": "verdict", "case": case, "check": "killed", "verdict": "error", "message": "m", "looks": 2}),
            json!({"event": "caseEnd", "case": case, "took": 12.5, "overhead": 1.5}),
        ];
        if let Some(exit) = end {
            events.push(
                json!({"event": "runEnd", "exit": exit, "took": 20.0, "tally": {"pass": 0, "fail": 0, "known": 0,
                "unexpected": 0, "skip": 0, "inconclusive": 0, "error": 2}}),
            );
        }
        let text: String = events.iter().map(|event| format!("{event}\n")).collect();
        self.write(&format!(".plimsoll/runs/{id}/run.jsonl"), text);
    }
}

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
    fn complains(&self, part: &str) -> &Self {
        assert!(self.err.contains(part), "no `{part}` in stderr: {}", self.err);
        assert_eq!(self.out, "", "a complaint belongs on stderr alone");
        self
    }
}

#[test]
fn good_specs_are_checked_without_a_word_of_complaint() {
    let folder = Folder::new();
    let told = folder.plimsoll(&["check", "specs"]);
    told.ends(0).says("1 file, 1 spec, 1 case: no faults");
    assert_eq!(told.err, "");
}

#[test]
fn a_bad_spec_is_told_with_line_column_and_caret_and_nothing_is_made() {
    for verb in ["check", "plan", "run"] {
        let folder = Folder::new();
        folder.write(
            "specs/bad.yaml",
            SPEC.replace("name: lifecycle", "name: other")
                .replace("state:", "stat:"),
        );
        let told = folder.plimsoll(&[verb, "specs"]);
        told.ends(2)
            .complains("specs/bad.yaml:13:")
            .complains("did you mean `state`?")
            .complains("^")
            .complains("1 fault in 1 file");
        assert!(!folder.path().join(".plimsoll").exists(), "{verb} made something");
    }
}

#[test]
fn the_complaints_of_the_collection_of_bad_specs_are_printed_as_they_are_kept() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let golden = fs_err::read_to_string(root.join("specs/bad/wrong-unit.stderr")).unwrap();
    let output = Command::cargo_bin("plimsoll")
        .unwrap()
        .args(["check", "specs/bad/wrong-unit.yaml"])
        .current_dir(root)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let err = String::from_utf8(output.stderr).unwrap();
    for line in golden.lines().filter(|line| !line.contains("-->")) {
        assert!(err.contains(line), "no `{line}` in {err}");
    }
}

#[test]
fn a_warning_has_a_place_and_a_name_and_is_a_fault_where_none_may_be() {
    let folder = Folder::new();
    let doubtful = SPEC.replace("exit: {code: 137}", "exit: {code: {gte: 0}}");
    folder.write("specs/lifecycle.yaml", &doubtful);
    let told = folder.plimsoll(&["check"]);
    told.ends(0).says("no faults, 1 warning");
    assert!(
        told.err
            .contains("warning[vacuous-expectation]: `>= 0` holds for every value there can be")
    );
    assert!(told.err.contains("specs/lifecycle.yaml:17:42"), "{}", told.err);
    let planned = folder.plimsoll(&["plan"]);
    planned.ends(0);
    assert_eq!(planned.err, told.err);
    for word in ["--strict", "--deny-lints"] {
        folder
            .plimsoll(&["check", word])
            .ends(2)
            .complains("warning[vacuous-expectation]")
            .complains("1 warning, and none may be");
    }
    let allowed = doubtful.replace(
        "labels: {area: lifecycle}",
        "annotations: {plimsoll.dev/allow: \"vacuous-expectation(killed): any code will do\"}",
    );
    folder.write("specs/lifecycle.yaml", allowed);
    let told = folder.plimsoll(&["check", "--strict"]);
    told.ends(0).says("no faults, 0 warnings");
    assert_eq!(told.err, "");
}

#[test]
fn the_lints_are_listed() {
    let folder = Folder::new();
    let told = folder.plimsoll(&["check", "--list-lints"]);
    told.ends(0).says("vacuous-regex").says("plimsoll.dev/allow");
}

#[test]
fn a_missing_path_is_a_usage_error_and_a_folder_without_specs_has_nothing_to_run() {
    let folder = Folder::new();
    fs_err::create_dir(folder.path().join("empty")).unwrap();
    for verb in ["check", "plan", "run"] {
        folder.plimsoll(&[verb, "nowhere"]).ends(2).complains("`nowhere`");
        folder.plimsoll(&[verb, "empty"]).ends(4).complains("`empty`");
    }
    assert!(!folder.path().join(".plimsoll").exists());
}

#[test]
fn text_that_is_not_utf8_is_a_bad_spec() {
    let folder = Folder::new();
    folder.write("specs/latin.yaml", b"name: \xff\n");
    folder.plimsoll(&["check"]).ends(2).complains("latin.yaml");
}

#[test]
fn the_plan_lists_cases_and_counts_the_rest() {
    let folder = Folder::new();
    folder
        .plimsoll(&["plan", "specs"])
        .ends(0)
        .says("lifecycle@bundled  specs/lifecycle.yaml  2 checks")
        .says("1 case, 0 not selected");
    folder
        .plimsoll(&["plan", "-l", "area=cgroup"])
        .ends(0)
        .says("0 cases, 1 not selected");
    folder
        .plimsoll(&["plan", "--sabotage", "ends-at-once"])
        .ends(0)
        .says("lifecycle+ends-at-once@bundled");
    folder
        .plimsoll(&["plan", "--subject", "bundled", "--subject", "oci:/bin/sh -c true"])
        .ends(0)
        .says("lifecycle@sh");
    assert!(!folder.path().join(".plimsoll").exists());
}

#[test]
fn a_run_of_nothing_is_told_and_makes_nothing() {
    let folder = Folder::new();
    folder
        .plimsoll(&["run", "--only", "another"])
        .ends(4)
        .complains("nothing selected");
    assert!(!folder.path().join(".plimsoll").exists());
}

#[test]
fn wrong_usage_is_told_with_exit_code_2() {
    let folder = Folder::new();
    for (args, part) in [
        (&["fly"][..], "unrecognized subcommand"),
        (&["run", "--jobs", "0"], "--jobs"),
        (&["run", "--timeout", "soon"], "duration"),
        (&["run", "--format", "pdf"], "unknown format `pdf`"),
        (&["run", "-o", "junit"], "FORMAT=FILE"),
        (&["run", "--max-skips", "area:3"], "limit of skips"),
        (&["run", "-o", "pdf=x"], "unknown format `pdf`"),
        (&["run", "-l", "a b c"], "label selector"),
        (&["run", "--subject", "docker"], "unknown subject `docker`"),
        (&["run", "--subject", "oci:no-such-runtime"], "no-such-runtime"),
        (&["run", "--subject", "bundled", "--subject", "bundled"], "two subjects"),
        (&["report"], "there is no run `last`"),
        (&["judge", "77"], "there is no run `77`"),
        (&["diff", "1"], "there is no run `1`"),
        (&["man", "fly"], "no command `fly`"),
    ] {
        folder.plimsoll(args).ends(2).complains(part);
    }
    assert!(!folder.path().join(".plimsoll").exists());
}

#[test]
fn reports_of_a_record_go_to_files_and_standard_output_has_what_was_asked_for() {
    let folder = Folder::new();
    folder.record("0001", 137, Some(3));
    let words = [
        "report",
        "1",
        "--html",
        "run.html",
        "-o",
        "sarif=run.sarif",
        "--report",
        "markdown=run.md",
    ];
    let told = folder.plimsoll(&words);
    assert_eq!(told.ends(0).out, "");
    let read = |name: &str| fs_err::read_to_string(folder.path().join(name)).unwrap();
    assert!(read("run.html").contains("Steps, 12ms"), "{}", read("run.html"));
    assert!(serde_json::from_str::<Value>(&read("run.sarif")).unwrap()["runs"].is_array());
    assert!(read("run.md").contains("2 not measured"), "{}", read("run.md"));
    // The page of what `judge` came to has its verdicts.
    let told = folder.plimsoll(&["judge", "1", "--html", "run.html", "--format", "prometheus"]);
    assert!(told.out.contains("verdict=\"pass\"} 2\n"), "{}", told.out);
    assert!(read("run.html").contains("<b>2</b> passed"), "{}", read("run.html"));
    // One that cannot be written keeps no other from it.
    let told = folder.plimsoll(&["report", "--html", "no/run.html", "-o", "json=run.json"]);
    told.ends(3).complains("failed to write the report");
    assert!(folder.path().join("run.json").is_file());
}

#[test]
fn a_record_is_judged_again_from_what_was_seen() {
    let folder = Folder::new();
    folder.record("0001", 137, Some(3));
    let told = folder.plimsoll(&["judge", "1"]);
    told.ends(0).says("2 checks: 2 passed").says("exit 0");
    assert!(told.err.contains("2 verdicts differ"), "{}", told.err);

    folder.record("0002", 0, Some(3));
    folder
        .plimsoll(&["judge"])
        .ends(1)
        .says("lifecycle@bundled › killed  specs/lifecycle.yaml:17:7")
        .says("expected  exit code 137")
        .says("observed  exit code 0 (waitid), held in 0 of 2 looks within 2s")
        .says("re-run    plimsoll run specs/lifecycle.yaml --only lifecycle");
}

#[test]
fn a_skip_budget_in_the_record_decides_again() {
    let unmet = json!({"event": "unmet", "case": "lifecycle@bundled", "step": ["steps", 1], "check": "killed",
        "requirement": "swap: true", "seen": "no swap is configured"});
    for (budget, code, sentence) in [
        ("{\"limits\": [{\"most\": {\"count\": 1}}]}", 0, ""),
        (
            "{\"limits\": [{\"label\": [\"area\", \"lifecycle\"], \"most\": {\"percent\": 20.0}}]}",
            6,
            "skip budget exceeded: 1 of 2 checks of area=lifecycle was skipped, at most 20 % may be",
        ),
        (
            "{\"strict\": true}",
            6,
            "skip budget exceeded: 1 of 2 checks was skipped, none may be",
        ),
    ] {
        let folder = Folder::new();
        folder.record("0001", 137, Some(3));
        let path = folder.path().join(".plimsoll/runs/0001/run.jsonl");
        let mut lines: Vec<Value> = fs_err::read_to_string(&path)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        lines[0]["skipBudget"] = serde_json::from_str(budget).unwrap();
        lines[2]["labels"] = json!({"area": "lifecycle"});
        lines.retain(|line| line["event"] != "look" || line["index"] != 1);
        lines.insert(6, unmet.clone());
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs_err::write(&path, text).unwrap();
        let told = folder.plimsoll(&["judge"]);
        told.ends(code).says("1 passed, 1 skipped").says(sentence);
        folder.plimsoll(&["judge", "--format", "json"]).ends(code);
    }
}

#[test]
fn the_record_and_not_the_spec_file_of_today_decides() {
    let folder = Folder::new();
    folder.record("0001", 137, Some(3));
    folder.write("specs/lifecycle.yaml", "garbage: [");
    folder.plimsoll(&["judge"]).ends(0).says("2 passed");
}

#[test]
fn a_record_without_an_end_is_an_error_of_the_harness() {
    let folder = Folder::new();
    folder.record("0001", 137, None);
    folder
        .plimsoll(&["judge"])
        .ends(3)
        .says("the run did not come to its end");
}

#[test]
fn an_interrupted_run_stays_one_whatever_its_verdicts() {
    let folder = Folder::new();
    folder.record("0001", 137, Some(3));
    let path = folder.path().join(".plimsoll/runs/0001/run.jsonl");
    let text = fs_err::read_to_string(&path).unwrap();
    // All passed as far as it went, and yet it ended with 3.
    let passed = text.replace(
        "\"verdict\":\"error\",\"message\":\"m\"",
        "\"verdict\":\"pass\",\"seen\":\"s\"",
    );
    assert_ne!(passed, text);
    fs_err::write(&path, passed).unwrap();
    folder.plimsoll(&["judge"]).ends(3).says("2 passed").says("exit 3");
}

#[test]
fn a_report_repeats_the_recorded_verdicts_in_every_format() {
    let folder = Folder::new();
    folder.record("0001", 137, Some(3));
    folder
        .plimsoll(&["report"])
        .ends(0)
        .says("2 not measured")
        .says("exit 3");
    let told = folder.plimsoll(&["report", "last", "--format", "json"]);
    let document: Value = serde_json::from_str(&told.ends(0).out).unwrap();
    assert_eq!(document["tally"]["error"], 2);
    folder
        .plimsoll(&["report", "1", "--format", "junit"])
        .ends(0)
        .says("<testsuite name=\"bundled\" tests=\"2\" skipped=\"0\" errors=\"2\"");
    folder
        .plimsoll(&["report", ".plimsoll/runs/0001", "--format", "tap"])
        .ends(0)
        .says("TAP version 14\n1..1\n");
}

#[test]
fn what_is_no_record_or_a_newer_one_is_told() {
    let folder = Folder::new();
    let other = folder.write("other.jsonl", "{}\n");
    folder
        .plimsoll(&["report", other.to_str().unwrap()])
        .ends(2)
        .complains("not a record");
    let newer = folder.write("newer.jsonl", "{\"event\":\"run\",\"version\":99}\n");
    folder
        .plimsoll(&["judge", newer.to_str().unwrap()])
        .ends(2)
        .complains("version 99");
}

#[test]
fn a_diff_names_what_changed_and_fails_when_it_is_worse() {
    let folder = Folder::new();
    for (id, verdict) in [("0001", "pass"), ("0002", "fail")] {
        folder.record(id, 137, Some(3));
        let path = folder.path().join(format!(".plimsoll/runs/{id}/run.jsonl"));
        let text = fs_err::read_to_string(&path).unwrap();
        let new = match verdict {
            "pass" => "\"verdict\":\"pass\",\"seen\":\"s\"",
            _ => "\"verdict\":\"fail\",\"want\":\"w\",\"got\":\"g\"",
        };
        fs_err::write(&path, text.replace("\"verdict\":\"error\",\"message\":\"m\"", new)).unwrap();
    }
    folder
        .plimsoll(&["diff", "1", "2"])
        .ends(1)
        .says("PASS → FAIL   lifecycle@bundled › killed");
    folder
        .plimsoll(&["diff", "2", "1"])
        .ends(0)
        .says("FAIL → PASS")
        .says("2 checks changed, 0 did not");
    folder
        .plimsoll(&["diff", "1", "1"])
        .ends(0)
        .says("0 checks changed, 2 did not");
}

#[test]
fn recorded_runs_are_imported_into_the_history_once() {
    let folder = Folder::new();
    folder.plimsoll(&["history"]).ends(4).complains("there is no history");
    assert!(!folder.path().join(".plimsoll").exists());
    folder.record("0001", 137, Some(3));
    folder
        .plimsoll(&["history", "--import", "1", "--import", "last"])
        .ends(0)
        .says("2 verdicts\n")
        .says("in the history already\n");
    folder
        .plimsoll(&["history", "lifecycle.k*"])
        .ends(0)
        .says("lifecycle › killed\n  bundled: passed 0 of 1 (0 %")
        .says("2026-01-02T03:04:05Z  0001  bundled  error  12ms  m\n");
    folder
        .plimsoll(&["history", "nothing"])
        .ends(4)
        .complains("no check in the history is called `nothing`");
    folder
        .plimsoll(&["history", "--import", "77"])
        .ends(2)
        .complains("there is no run `77`");
    let told = folder.plimsoll(&["history", "--format", "json"]);
    let overview: Value = serde_json::from_str(&told.ends(0).out).unwrap();
    assert_eq!((&overview["runs"], &overview["checks"]), (&1.into(), &2.into()));
}

#[test]
fn a_comparison_of_a_record_needs_no_root_and_two_subjects() {
    let folder = Folder::new();
    folder.record("0001", 137, Some(3));
    folder
        .plimsoll(&["compare", "last"])
        .ends(2)
        .complains("a comparison needs two");
    let path = folder.path().join(".plimsoll/runs/0001/run.jsonl");
    let text = fs_err::read_to_string(&path).unwrap();
    let two = text.replace(
        "\"subjects\":[",
        "\"subjects\":[{\"name\":\"runc\",\"argv\":[\"runc\"],\"version\":\"\"},",
    );
    assert_ne!(two, text);
    let elsewhere = folder.write("elsewhere.jsonl", two);
    folder
        .plimsoll(&["compare", elsewhere.to_str().unwrap()])
        .ends(3)
        .says("the subjects disagree about nothing")
        .says("not measured or not decided somewhere");
    folder
        .plimsoll(&["run", "--subject", "host=oci:/bin/sh"])
        .ends(2)
        .complains("`host` cannot name a subject");
}

#[test]
fn a_schema_a_script_and_a_page_are_printed() {
    let folder = Folder::new();
    let told = folder.plimsoll(&["schema"]);
    let schema: Value = serde_json::from_str(&told.ends(0).out).unwrap();
    assert_eq!(schema["properties"]["kind"]["enum"], json!(["Test", "Benchmark"]));
    for shell in ["bash", "zsh", "fish"] {
        folder.plimsoll(&["completions", shell]).ends(0).says("plimsoll");
    }
    folder.plimsoll(&["man"]).ends(0).says(".TH");
    folder.plimsoll(&["man", "run"]).ends(0).says("plimsoll\\-run");
    folder.plimsoll(&["--help"]).ends(0).says("Exit codes:");
    folder.plimsoll(&["--version"]).ends(0).says("plimsoll ");
}

#[test]
fn collecting_where_nothing_ran_removes_nothing() {
    let folder = Folder::new();
    let told = folder.plimsoll(&["gc"]);
    told.ends(0);
    assert_eq!(told.out, "");
    assert!(!folder.path().join(".plimsoll").exists());
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = Folder::new();
    let program = assert_cmd::cargo::cargo_bin("plimsoll");
    let mut child = std::process::Command::new(program)
        .arg("schema")
        .current_dir(folder.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
