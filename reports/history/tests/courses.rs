//! Figures of benchmarks that are stored and read back, from records as a run writes them; made-up courses with a step and
//! without one.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare has failed")]

use std::path::Path;

use history::{Course, History, SpecChecks, Stored, foremost, table};
use record::Event;
use serde_json::json;
use statistics::chance::Chance;

/// A run in which a benchmark of one measure had this median, with the same case under a planted slowdown beside it.
fn run(n: usize, kernel: &str, version: &str, median: Option<f64>) -> Vec<Event> {
    let id = format!("{n:04}");
    let figures = |case: &str, value: Option<f64>| {
        json!({"event": "figures", "case": case, "samples": 50, "failures": u64::from(value.is_none()), "measures": [
            {"name": "total", "unit": "ms", "figures": [
                {"name": "p50", "value": value, "low": value.map(|v| v - 0.5), "high": value.map(|v| v + 0.5)},
                {"name": "p99", "value": value.map(|v| v * 2.0)}]},
            {"name": "placed", "unit": "pods/s", "figures": [{"name": "mean", "value": 6000.0}]}]})
    };
    let case = |id: &str, sabotage: Option<&str>| {
        let mut case = json!({"event": "case", "id": id, "test": "start", "file": "start.yaml", "description": "d",
            "subject": "runc", "target": "runtime", "checks": [], "t": 0.0});
        if let Some(sabotage) = sabotage {
            case["sabotage"] = json!(sabotage);
        }
        case
    };
    [
        json!({"event": "run", "version": 4, "id": id, "started": format!("2026-01-01T{:02}:{:02}:00Z", n / 60, n % 60),
            "plimsoll": "0.1.0", "argv": [],
            "host": {"kernel": kernel, "machine": "m", "cpu": "Some CPU", "cpus": 2, "memory": 1, "cgroup": "v2", "uid": 0},
            "subjects": [{"name": "runc", "argv": ["runc"], "version": version}]}),
        case("start[rootfs=bind]@runc", None),
        case("start[rootfs=bind]+slow@runc", Some("slow")),
        figures("start[rootfs=bind]@runc", median),
        figures("start[rootfs=bind]+slow@runc", Some(1e6)),
        json!({"event": "runEnd", "exit": 0, "took": 20.0, "tally": {"pass": 0, "fail": 0, "known": 0,
            "unexpected": 0, "skip": 0, "inconclusive": 0, "error": 0}}),
    ]
    .into_iter()
    .map(|line| serde_json::from_value(line).unwrap())
    .collect()
}

fn specs() -> [SpecChecks; 1] {
    [SpecChecks {
        file: "start.yaml".into(),
        sha256: "abcdef0123456789".into(),
        checks: Vec::new(),
    }]
}

fn open(dir: &Path) -> History {
    History::open(dir.join("history.db")).unwrap()
}

fn medians(history: &History) -> Course {
    let mut courses = history.courses(&|name, _| name.metrics()[1] == "total.p50").unwrap();
    assert_eq!(courses.len(), 1, "{courses:?}");
    courses.remove(0)
}

#[test]
fn a_planted_step_is_told_with_the_kernel_and_the_version_that_came_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(dir.path());
    let mut chance = Chance::new(2);
    for n in 0..24 {
        let (kernel, version, level) = if n < 12 {
            ("6.1", "runc 1.1", 20.0)
        } else {
            ("6.2", "runc 1.2", 22.0)
        };
        let events = run(n, kernel, version, Some(chance.normal(level, 0.2)));
        assert_eq!(history.store(&events, &specs()).unwrap(), Stored::New(0));
        assert_eq!(history.store(&events, &specs()).unwrap(), Stored::Known);
    }
    let course = medians(&history);
    assert_eq!((course.points.len(), course.subject.as_str()), (24, "runc"));
    let [shift] = course.shifts.as_slice() else {
        panic!("{:?}", course.shifts);
    };
    assert_eq!((shift.run.as_str(), shift.worse), ("0012", true));
    assert_eq!(shift.beside, ["kernel 6.1 → 6.2", "subject runc 1.1 → runc 1.2"]);
    let text = table::courses(&[course], 3);
    for part in [
        "start[rootfs=bind] › total.p50, ms: runc, on Some CPU\n  24 runs; 1 change\n",
        "2026-01-01T00:12:00Z, run 0012: 19.9 → 21.9 ms, 10.3",
        " % worse (p 0.005)\n    changed beside it: kernel 6.1 → 6.2; subject runc 1.1 → runc 1.2\n",
        "and 21 older",
    ] {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
    assert_eq!(text.matches(" samples").count(), 3, "{text}");
}

#[test]
fn another_build_of_the_same_version_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(dir.path());
    let mut chance = Chance::new(2);
    for n in 0..24 {
        let (build, level) = if n < 12 {
            ("3f2a91c0b7de00112233", 20.0)
        } else {
            ("sha256:0c11aa22bb33cc44", 22.0)
        };
        let mut events = run(n, "6.1", "plimsoll-oci 0.1.0", Some(chance.normal(level, 0.2)));
        let Event::Run { subjects, .. } = &mut events[0] else {
            panic!("{events:?}");
        };
        subjects[0].build = build.into();
        history.store(&events, &specs()).unwrap();
    }
    let [shift] = &medians(&history).shifts[..] else {
        panic!("one step");
    };
    assert_eq!(
        shift.beside,
        ["subject plimsoll-oci 0.1.0, build 3f2a91c0b7de → plimsoll-oci 0.1.0, build 0c11aa22bb33"]
    );
}

#[test]
fn a_course_without_a_step_has_no_change() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(dir.path());
    let mut chance = Chance::new(3);
    for n in 0..24 {
        let kernel = if n < 12 { "6.1" } else { "6.2" };
        let events = run(n, kernel, "runc 1.1", Some(chance.normal(20.0, 0.2)));
        history.store(&events, &specs()).unwrap();
    }
    let course = medians(&history);
    assert_eq!(course.shifts, []);
    assert!(table::courses(&[course], 1).contains("24 runs; no change\n"));
}

#[test]
fn medians_come_first_and_what_failed_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(dir.path());
    history.store(&run(1, "6.1", "1", Some(20.0)), &specs()).unwrap();
    let names = |history: &History| -> Vec<String> {
        let all = foremost(history.courses(&|_, _| true).unwrap());
        all.iter().map(|course| course.name.metrics()[1].clone()).collect()
    };
    assert_eq!(names(&history), ["placed.mean", "total.p50"]);
    history.store(&run(2, "6.1", "1", None), &specs()).unwrap();
    assert_eq!(names(&history), ["failures.share", "placed.mean", "total.p50"]);
    let course = medians(&history);
    assert_eq!(course.points[1].value, None);
    let text = table::courses(&[course], 9);
    assert!(text.contains("2 runs; a change can be told from 10 on"), "{text}");
    assert!(
        text.contains("failed") && text.contains("50 samples, 1 failed"),
        "{text}"
    );
    assert_eq!(history.benches().unwrap(), ["start"]);
}

#[test]
fn machines_have_courses_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(dir.path());
    for n in 0..2 {
        let mut events = run(n, "6.1", "1", Some(20.0));
        if let Event::Run { host, .. } = &mut events[0] {
            host.cpu = format!("CPU {n}");
        }
        history.store(&events, &specs()).unwrap();
    }
    let courses = history.courses(&|name, _| name.measure == "placed").unwrap();
    let hosts: Vec<&str> = courses
        .iter()
        .map(|course| course.points[0].host.cpu.as_str())
        .collect();
    assert_eq!(courses.iter().map(|course| course.points.len()).sum::<usize>(), 2);
    assert_eq!(hosts.len(), 2, "{hosts:?}");
}

#[test]
fn figures_are_forgotten_with_their_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(dir.path());
    for n in 0..3 {
        history.store(&run(n, "6.1", "1", Some(20.0)), &specs()).unwrap();
    }
    assert_eq!(history.prune(1, usize::MAX).unwrap(), 2);
    assert_eq!(medians(&history).points.len(), 1);
    assert_eq!(history.prune(0, usize::MAX).unwrap(), 1);
    assert_eq!(history.benches().unwrap(), Vec::<String>::new());
}
