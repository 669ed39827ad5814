//! Benchmarks on the real kernel, with as few samples as decide anything. Nothing here depends on how fast a machine is.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests: what goes wrong here fails the test"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn can_run() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: containers with control groups need root");
    }
    root
}

/// A folder with a spec in it, and runs below it.
struct Place(tempfile::TempDir);

impl Place {
    fn with(spec: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("start.yaml"), spec).unwrap();
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn plimsoll(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_plimsoll"))
            .current_dir(self.0.path())
            .args(args)
            .output()
            .unwrap()
    }

    /// The one case of a benchmark's JSON report, and the exit code.
    fn bench(&self, args: &[&str]) -> (Value, Option<i32>) {
        let mut all = vec!["bench", "start.yaml", "--subject", "bundled", "--format", "json"];
        all.extend(args);
        let output = self.plimsoll(&all);
        let document: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr)));
        (document["cases"][0].clone(), output.status.code())
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The verdict of a threshold, whole.
fn outcome<'v>(case: &'v Value, id: &str) -> &'v Value {
    let checks = case["checks"].as_array().unwrap();
    &checks.iter().find(|check| check["id"] == id).unwrap()["outcome"]
}

/// Changes the one case of the baseline.
fn rebase(place: &Place, change: impl FnOnce(&mut Value)) {
    let path = place.path("base.json");
    let mut file: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut file["cases"][0]);
    std::fs::write(&path, file.to_string()).unwrap();
}

const SPEC: &str = "
apiVersion: plimsoll.dev/v1
kind: Benchmark
metadata: {name: start}
spec:
  description: How long a start takes.
  targets: [runtime]
  workload: {container: {image: plimsoll/probe, args: [hello]}}
  measure:
    total: {from: create, to: firstByte}
    first: {from: start, to: processStarted}
    teardown: {from: exit, to: deleted}
  sampling: {warmup: 1, samples: 10, maxDuration: 60s}
  baseline: {file: base.json, comparableWhen: [kernel, runtimeBackend]}
  thresholds:
  - {id: none-fails, metric: failures, max: 0%}
  - {id: no-regression, metric: total.p50, regression: {rel: 5%}}
  sabotage:
  - {id: late, inject: {delay: 1s, at: create}, mustFail: [no-regression]}
";

#[test]
fn starts_are_measured_compared_and_judged_again() {
    if !can_run() {
        return;
    }
    let place = Place::with(SPEC);
    let (case, code) = place.bench(&["--save-baseline", "base.json"]);
    assert_eq!(code, Some(0), "{case}");
    assert_eq!(outcome(&case, "none-fails")["verdict"], "pass", "{case}");
    assert_eq!(outcome(&case, "no-regression")["verdict"], "skip", "{case}");
    let figures = &case["figures"];
    assert_eq!(
        (&figures["samples"], &figures["failures"]),
        (&10.into(), &0.into()),
        "{figures}"
    );
    let floors = figures["floors"].as_array().unwrap();
    let names: Vec<&str> = floors.iter().map(|floor| floor["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["L1", "L5", "L9"], "{figures}");
    let measures = figures["measures"].as_array().unwrap();
    let floor = |name: &str| measures.iter().find(|measure| measure["name"] == name).unwrap()["ratio"]["floor"].clone();
    assert_eq!(
        (floor("total"), floor("teardown"), floor("first")),
        ("L5".into(), "L9".into(), Value::Null)
    );
    let median = |name: &str| {
        let measures = figures["measures"].as_array().unwrap();
        let measure = measures.iter().find(|measure| measure["name"] == name).unwrap();
        measure["figures"][0]["value"].as_f64().unwrap()
    };
    assert!(median("first") > 0.0 && median("first") < median("total"), "{figures}");
    assert!(median("teardown") > 0.0, "{figures}");

    // Whatever the machine does meanwhile: all of these are slower than any start, and quicker.
    rebase(&place, |cell| cell["samples"]["total"] = vec![1e9; 10].into());
    let (case, code) = place.bench(&["--seed", "5"]);
    assert_eq!(outcome(&case, "no-regression")["verdict"], "pass", "{case}");
    assert_eq!(code, Some(0), "{case}");
    let again = place.plimsoll(&["judge", "--format", "json"]);
    let said = text(&again.stderr);
    assert!(again.status.success() && !said.contains("differ"), "{said}");
    let document: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(document["cases"][0]["figures"], case["figures"]);
    assert_eq!(document["cases"][0]["checks"], case["checks"]);

    rebase(&place, |cell| cell["samples"]["total"] = vec![1e-9; 10].into());
    let (case, code) = place.bench(&[]);
    assert_eq!(outcome(&case, "no-regression")["verdict"], "fail", "{case}");
    assert_eq!(code, Some(1), "{case}");

    rebase(&place, |cell| cell["host"]["kernel"] = "2.4.0".into());
    let (case, code) = place.bench(&[]);
    let open = outcome(&case, "no-regression");
    assert_eq!(
        (open["verdict"].as_str(), code),
        (Some("inconclusive"), Some(5)),
        "{case}"
    );
    assert!(
        open["more"].as_str().unwrap().starts_with("incomparable: kernel"),
        "{open}"
    );
    has_a_course(&place, 4);
}

/// Each of the runs is in the history, with what it measured.
fn has_a_course(place: &Place, runs: usize) {
    let told = place.plimsoll(&["history", "--bench", "start", "--format", "json"]);
    let courses: Value = serde_json::from_slice(&told.stdout).unwrap_or_else(|error| panic!("{error}: {told:?}"));
    let measures: Vec<&str> = courses
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["measure"].as_str().unwrap())
        .collect();
    assert_eq!(measures, ["first", "teardown", "total"], "{courses}");
    for course in courses.as_array().unwrap() {
        assert_eq!(course["points"].as_array().unwrap().len(), runs, "{course}");
        assert_eq!(
            (&course["figure"], &course["subject"]),
            (&"p50".into(), &"bundled".into())
        );
        assert!(course["points"][0]["spec"].is_string(), "{course}");
    }
    let table = place.plimsoll(&["history", "--bench", "st*", "--metric", "total.p9?", "--last", "1"]);
    let table = text(&table.stdout);
    assert!(table.contains("start › total.p90, ms: bundled"), "{table}");
    assert!(table.contains("4 runs; a change can be told from 10 on"), "{table}");
    let page = place.plimsoll(&["report", "--html", "page.html"]);
    assert_eq!(page.status.code(), Some(0), "{page:?}");
    let page = std::fs::read_to_string(place.path("page.html")).unwrap();
    assert!(page.contains("total.p50 of start@bundled, ms: 4 runs"), "{page}");
    assert!(page.contains("create → created"), "{page}");
    let nothing = place.plimsoll(&["history", "--bench", "start", "--subject", "runc"]);
    assert_eq!(nothing.status.code(), Some(4), "{nothing:?}");
    let all = text(&place.plimsoll(&["history"]).stdout);
    assert!(
        all.contains("benchmarks, of which `--bench NAME` tells more\n  start\n"),
        "{all}"
    );
}

#[test]
fn thresholds_are_proven_by_delays_other_workloads_and_subjects_that_disobey() {
    if !can_run() {
        return;
    }
    let faults = "  - {id: fails, set: {workload.container.args: [exit, '3']}, mustFail: [none-fails]}
  - {id: refuses, inject: {runtime: start-fails-now-and-then}, mustFail: [none-fails]}
";
    let few = SPEC.replace("warmup: 1, samples: 10", "warmup: 0, samples: 4, floors: []");
    let place = Place::with(&format!("{few}{faults}"));
    let args = ["prove", "start.yaml", "--require-proof", "--format", "json"];
    let output = place.plimsoll(&args);
    let told = text(&output.stdout);
    let document: Value = serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error}: {told}"));
    let checks = document["checks"].as_array().unwrap();
    for check in ["none-fails", "no-regression"] {
        let proof = checks.iter().find(|proof| proof["check"] == check).unwrap();
        assert_eq!(proof["standing"]["standing"], "proven", "{proof}");
    }
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        document["faults"]["refuses"].to_string().contains("caught"),
        "{document}"
    );

    // Another bound is another proof; one that no fault touches is felt.
    let loose = few.replace("metric: failures, max: 0%", "metric: failures, max: 100%");
    std::fs::write(place.path("start.yaml"), format!("{loose}{faults}")).unwrap();
    let output = place.plimsoll(&args);
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert!(
        text(&output.stdout).contains("it must fail under `fails` and passes"),
        "{output:?}"
    );
}

const RUNNING: &str = "
apiVersion: plimsoll.dev/v1
kind: Benchmark
metadata: {name: running}
spec:
  description: What a container costs that runs.
  targets: [runtime]
  workload: {container: {image: plimsoll/probe, args: [sleep, forever]}}
  measure:
    exec: {from: exec, to: execed}
    memory: {size: resident}
  sampling:
    warmup: 0
    samples: 2
    background: 2
    arrival: {every: 1ms}
    floors: [L1, L2, L3, L4, L5, L6, L7, L8, L9, L10, L11, L12]
  thresholds: [{id: none-fails, metric: failures, max: 0%}]
  sabotage: [{id: late, inject: {delay: 1s, at: create}, mustFail: [none-fails]}]
";

#[test]
fn a_running_container_and_every_floor_are_measured() {
    if !can_run() {
        return;
    }
    let place = Place::with(RUNNING);
    let (case, code) = place.bench(&[]);
    assert_eq!(
        (outcome(&case, "none-fails")["verdict"].as_str(), code),
        (Some("pass"), Some(0)),
        "{case}"
    );
    let figures = &case["figures"];
    let values = |of: &str| -> Vec<(String, f64)> {
        let all = figures[of].as_array().unwrap().iter();
        all.map(|one| {
            (
                one["name"].as_str().unwrap().to_owned(),
                one["figures"][0]["value"].as_f64().unwrap(),
            )
        })
        .collect()
    };
    let measured = values("measures");
    assert!(
        measured.iter().all(|(_, value)| *value > 0.0) && measured.len() == 2,
        "{figures}"
    );
    let floors = values("floors");
    assert!(floors.iter().all(|(_, value)| *value > 0.0), "{figures}");
    // A kernel may lack some; what it lacks is told.
    let notes = figures["notes"].to_string();
    for name in [
        "L1",
        "L2.net",
        "L3",
        "L4.bind",
        "L4.overlay",
        "L5",
        "L6",
        "L7",
        "L8.1",
        "L9",
        "L10",
        "L11",
        "L12.loopback",
        "L12.veth",
        "L12.connect",
    ] {
        let told = format!("floor {} cannot be measured", name.split('.').next().unwrap());
        assert!(
            floors.iter().any(|(floor, _)| floor == name) || notes.contains(&told),
            "{name}: {figures}"
        );
    }
    let again = place.plimsoll(&["judge", "--format", "json"]);
    let document: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(document["cases"][0]["figures"], case["figures"]);
}

#[test]
fn containers_of_a_burst_are_samples_each() {
    if !can_run() {
        return;
    }
    let burst = "warmup: 0, samples: 2, floors: [], arrival: {burst: 3}";
    let place = Place::with(&SPEC.replace("warmup: 1, samples: 10", burst));
    let (case, _) = place.bench(&[]);
    assert_eq!(outcome(&case, "none-fails")["verdict"], "pass", "{case}");
    assert_eq!(case["figures"]["samples"], 6, "{case}");
    assert!(!case["figures"]["notes"].to_string().contains("cut short"), "{case}");
}

#[test]
fn a_baseline_may_be_a_run_or_a_revision_and_else_is_refused() {
    if !can_run() {
        return;
    }
    let place = Place::with(&SPEC.replace("warmup: 1, samples: 10", "warmup: 0, samples: 4"));
    place.bench(&["--save-baseline", "base.json"]);
    let (case, _) = place.bench(&["--baseline", "last"]);
    let told = outcome(&case, "no-regression");
    assert_ne!(told["verdict"], "skip", "{told}");
    assert!(told.to_string().contains("in `last`"), "{told}");

    let refused = place.plimsoll(&["bench", "start.yaml", "--baseline", "no-such"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(
        text(&refused.stderr).contains("`no-such` is no baseline: neither a file"),
        "{refused:?}"
    );

    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        git.current_dir(place.0.path())
            .args(["-c", "user.name=a", "-c", "user.email=a@b.c"]);
        git.args(args).output().is_ok_and(|output| output.status.success())
    };
    if !git(&["init", "--quiet"]) {
        eprintln!("skipped: there is no git");
        return;
    }
    rebase(&place, |cell| cell["samples"]["total"] = vec![1e9; 4].into());
    assert!(git(&["add", "base.json"]) && git(&["commit", "--quiet", "-m", "slow"]));
    rebase(&place, |cell| cell["samples"]["total"] = vec![1e-9; 4].into());
    let (case, code) = place.bench(&["--baseline", "HEAD"]);
    assert_eq!(
        (outcome(&case, "no-regression")["verdict"].as_str(), code),
        (Some("pass"), Some(0)),
        "{case}"
    );
    assert!(git(&["rm", "--cached", "--quiet", "base.json"]) && git(&["commit", "--quiet", "-m", "none"]));
    let gone = place.plimsoll(&["bench", "start.yaml", "--subject", "bundled", "--baseline", "HEAD"]);
    assert_eq!(gone.status.code(), Some(2), "{gone:?}");
    assert!(text(&gone.stderr).contains("of the revision `HEAD`"), "{gone:?}");
}

/// A gate's run as JSON, its exit code, and that the record comes to the same again.
fn gated(place: &Place, subject: &str, rounds: &str) -> (Value, Option<i32>) {
    let spec = SPEC.replace(
        "    first: {from: start, to: processStarted}\n    teardown: {from: exit, to: deleted}\n",
        "",
    );
    std::fs::write(place.path("start.yaml"), spec).unwrap();
    let own = env!("CARGO_BIN_EXE_plimsoll");
    let args = [
        "bench",
        "start.yaml",
        "--subject",
        subject,
        "--against",
        own,
        "--budget",
        rounds,
        "--format",
        "json",
    ];
    let output = place.plimsoll(&args);
    let told = text(&output.stdout);
    let document: Value = serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error}: {told}{output:?}"));
    let again = place.plimsoll(&["judge", "--format", "json"]);
    let said = text(&again.stderr);
    assert!(
        !said.contains("differ") && again.status.code() == output.status.code(),
        "{said}"
    );
    let repeated: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(repeated["cases"], document["cases"]);
    (document, output.status.code())
}

#[test]
fn a_program_is_not_called_slower_than_itself() {
    if !can_run() {
        return;
    }
    let place = Place::with(SPEC);
    let (document, code) = gated(&place, "bundled", "10rounds");
    let (own, reference) = (&document["cases"][0], &document["cases"][1]);
    assert_eq!(own["figures"]["samples"], 10, "{own}");
    assert_ne!(outcome(own, "against-total")["verdict"], "fail", "{own}");
    assert_eq!(outcome(reference, "quiet-total")["verdict"], "pass", "{reference}");
    assert_ne!(code, Some(1), "{document}");
}

#[test]
fn a_program_that_is_much_slower_than_the_reference_is_called_regressed() {
    use std::os::unix::fs::PermissionsExt as _;

    if !can_run() {
        return;
    }
    let place = Place::with(SPEC);
    let own = env!("CARGO_BIN_EXE_plimsoll");
    // Slow by so many calls of the program: by about the same factor on whatever machine.
    let calls = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24";
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *' create '*) for n in {calls}; do {own} oci --version >/dev/null; done;; esac\n\
         exec {own} oci \"$@\"\n"
    );
    let wrapper = place.path("slow");
    std::fs::write(&wrapper, script).unwrap();
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (document, code) = gated(&place, &format!("oci:{}", wrapper.display()), "36rounds");
    let own = outcome(&document["cases"][0], "against-total");
    assert_eq!((own["verdict"].as_str(), code), (Some("fail"), Some(1)), "{document}");
}

#[test]
fn what_measuring_costs_is_measured_against_starts_that_nobody_watches() {
    if !can_run() {
        return;
    }
    let place = Place::with(SPEC);
    let args = ["--overhead", "--tolerate", "900%", "--budget", "10rounds"];
    let (own, code) = place.bench(&args);
    assert_ne!(code, Some(1), "{own}");
    assert_eq!(own["figures"]["samples"], 10, "{own}");
    let checks = own["checks"].as_array().unwrap();
    let ids: Vec<&str> = checks.iter().map(|check| check["id"].as_str().unwrap()).collect();
    // Points that nobody notes of an unwatched start are not compared.
    assert_eq!(ids, ["against-total"], "{own}");
    let notes = own["figures"]["notes"].to_string();
    assert!(notes.contains("between `created` and `start`"), "{notes}");
    let record = place.path(".plimsoll/runs/0001/run.jsonl");
    let told = std::fs::read_to_string(record).unwrap();
    let samples = told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of_arm = |sample: &Value| sample["event"] == "sample" && sample["arm"] == "again";
    let bare: Vec<Value> = samples.filter(of_arm).collect();
    assert!(!bare.is_empty());
    for sample in bare {
        assert_eq!((&sample["failure"], &sample["isolation"]), (&Value::Null, &Value::Null));
        let points: Vec<&String> = sample["points"].as_object().unwrap().keys().collect();
        assert_eq!(points, ["create", "firstByte", "start"], "{sample}");
    }
    let again = place.plimsoll(&["judge", "--format", "json"]);
    let document: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(document["cases"][0], own, "{again:?}");
}

#[test]
fn what_is_no_reference_is_refused() {
    let place = Place::with(SPEC);
    let output = place.plimsoll(&["bench", "start.yaml", "--against", "/no/such/program"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(
        text(&output.stderr).contains("`/no/such/program` is no reference"),
        "{output:?}"
    );
}

#[test]
fn a_subject_that_cannot_start_fails() {
    if !can_run() {
        return;
    }
    let place = Place::with(SPEC);
    let output = place.plimsoll(&["bench", "start.yaml", "--subject", "no=oci:/bin/false"]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("was refused with status 1"), "{told}");
}

#[test]
fn a_run_leaves_benchmarks_out_and_a_check_does_not() {
    let place = Place::with(SPEC);
    let run = place.plimsoll(&["run", "start.yaml"]);
    let said = text(&run.stderr);
    assert_eq!(run.status.code(), Some(4), "{said}");
    assert!(said.contains("1 benchmark left out"), "{said}");
    let check = place.plimsoll(&["check", "start.yaml"]);
    assert!(text(&check.stdout).starts_with("1 file, 1 spec, 1 case:"), "{check:?}");
}

#[test]
fn scheduling_is_measured_and_its_gate_not_held_against_a_debug_build() {
    if !can_run() {
        return;
    }
    let place = Place::with(SPEC);
    let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs/bench/scheduling.yaml");
    let only = "scheduling.workload=PodAffinity";
    let args = ["bench", spec.to_str().unwrap(), "--only", only, "--format", "json"];
    let output = place.plimsoll(&args);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let case = &document["cases"][0];
    assert_eq!(outcome(case, "all-placed")["verdict"], "pass", "{case}");
    let gate = outcome(case, "ten-times-the-gate");
    assert_eq!(gate["verdict"] == "skip", cfg!(debug_assertions), "{gate}");
    let rates = case["figures"]["measures"].as_array().unwrap();
    assert!(
        rates
            .iter()
            .all(|rate| rate["figures"][0]["value"].as_f64() > Some(0.0)),
        "{case}"
    );
}

/// Of a spec in `specs/bench`, but with so few samples, the cases and the exit code.
fn measured(spec: &str, replaced: &[(&str, &str)]) -> (Value, Option<i32>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs/bench").join(spec);
    let mut spec = std::fs::read_to_string(path).unwrap();
    for (from, to) in replaced {
        assert!(spec.contains(from), "{from}: {spec}");
        spec = spec.replace(from, to);
    }
    let place = Place::with(&spec);
    let output = place.plimsoll(&["bench", "start.yaml", "--subject", "cluster", "--format", "json"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let again = place.plimsoll(&["judge", "--format", "json"]);
    let repeated: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(repeated["cases"], document["cases"]);
    (document["cases"].clone(), output.status.code())
}

/// That no sample failed, and each measure is a number above 0.
fn has_figures(case: &Value, measures: usize) {
    assert_eq!(outcome(case, "none-fails")["verdict"], "pass", "{case}");
    let measured = case["figures"]["measures"].as_array().unwrap();
    assert_eq!(measured.len(), measures, "{case}");
    for measure in measured {
        let value = measure["figures"][0]["value"].as_f64();
        // Beside a pod the cluster itself may come to need less.
        assert!(
            value > Some(0.0) || value.is_some() && measure["name"] == "memory",
            "{measure}"
        );
    }
}

#[test]
fn each_way_through_the_network_is_measured_beside_a_wire() {
    if !can_run() {
        return;
    }
    let (cases, _) = measured("network.yaml", &[("warmup: 1, samples: 15", "warmup: 0, samples: 2")]);
    let cases = cases.as_array().unwrap();
    assert_eq!(cases.len(), 6, "{cases:?}");
    for case in cases {
        has_figures(case, 3);
        let measures = case["figures"]["measures"].as_array().unwrap();
        let floor =
            |name: &str| measures.iter().find(|measure| measure["name"] == name).unwrap()["ratio"]["floor"].clone();
        assert_eq!(
            (floor("throughput"), floor("request"), floor("connections")),
            ("L11".into(), "L12.veth".into(), "L12.connect".into())
        );
    }
}

#[test]
fn iperf3_is_shown_beside_the_own_traffic_or_told_to_be_missing() {
    if !can_run() {
        return;
    }
    let few = [
        ("warmup: 1, samples: 10", "warmup: 0, samples: 1"),
        ("path: [veth, sameNode]", "path: [veth]"),
    ];
    let (cases, _) = measured("generators.yaml", &few);
    has_figures(&cases[0], 1);
    let by_iperf3 = outcome(&cases[1], "none-fails");
    if by_iperf3["verdict"] == "skip" {
        assert_eq!(by_iperf3["requirement"], "iperf3", "{by_iperf3}");
    } else {
        has_figures(&cases[1], 1);
    }
}

#[test]
fn names_services_and_pods_of_a_cluster_are_measured() {
    if !can_run() {
        return;
    }
    let few = ("warmup: 2, samples: 30", "warmup: 0, samples: 2");
    let (cases, _) = measured("dns.yaml", &[few]);
    has_figures(&cases[0], 1);
    let (cases, _) = measured("service-change.yaml", &[few, ("[0, 100]", "[0, 3]")]);
    has_figures(&cases[0], 1);
    has_figures(&cases[1], 1);
    let few = ("warmup: 1, samples: 12", "warmup: 0, samples: 2");
    let (cases, _) = measured("pod-ready.yaml", &[few, ("[1, 10]", "[1, 2]")]);
    has_figures(&cases[0], 5);
    has_figures(&cases[1], 5);
}
