//! What other tools measured, from files as they write them.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare has failed")]

use std::path::Path;

use history::foreign::{Fault, Foreign, Started, Text, criterion, read};
use history::{History, Stored};
use record::Host;
use record::bench::{Figure, Figures};

fn fixture(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

fn of_file(name: &str) -> Result<Foreign, Fault> {
    let text = fixture(name);
    let stem = name.split('.').next().unwrap();
    read(
        Text {
            path: name,
            text: &text,
        },
        stem,
    )
}

fn of_text(text: &str) -> Fault {
    read(Text { path: "a.json", text }, "a").unwrap_err()
}

fn of_criterion(estimates: &str, sample: &str) -> Result<Foreign, Fault> {
    let text = |path, text| Text { path, text };
    criterion::read(criterion::Files {
        benchmark: text(
            "benchmark.json",
            &fixture("criterion/parse/spec/100/new/benchmark.json"),
        ),
        estimates: text("estimates.json", estimates),
        sample: text("sample.json", sample),
    })
}

fn criterion_fixture() -> Foreign {
    let [estimates, sample] =
        ["estimates", "sample"].map(|name| fixture(&format!("criterion/parse/spec/100/new/{name}.json")));
    of_criterion(&estimates, &sample).unwrap()
}

/// A figure by the names of its measure and itself, with the unit.
fn figure<'f>(figures: &'f Figures, measure: &str, name: &str) -> (&'f Figure, &'f str) {
    let measured = figures
        .measures
        .iter()
        .find(|measured| measured.name == measure)
        .unwrap();
    let figure = measured.figures.iter().find(|figure| figure.name == name).unwrap();
    (figure, &measured.unit)
}

#[test]
fn commands_of_hyperfine_are_subjects_and_their_times_milliseconds() {
    let run = of_file("start.json").unwrap();
    assert_eq!((run.tool, run.version.as_str(), &run.started), ("hyperfine", "", &None));
    let [runc, crun] = run.cases.as_slice() else {
        panic!("{run:?}");
    };
    assert_eq!(
        (runc.bench.as_str(), runc.subject.as_str(), runc.variant.as_str()),
        ("start", "runc run", "")
    );
    assert_eq!((runc.figures.samples, runc.figures.failures), (8, 1));
    let (median, unit) = figure(&runc.figures, "time", "p50");
    assert_eq!((median.value, unit), (Some(25.0), "ms"));
    assert_eq!((median.low, median.high), (Some(24.6), Some(26.0)));
    assert_eq!(figure(&runc.figures, "system", "mean").0.value, Some(11.0));
    assert_eq!(
        (crun.subject.as_str(), crun.variant.as_str()),
        ("crun run", "rootfs=bind")
    );
    assert_eq!(figure(&crun.figures, "time", "p50").0.low, None);
}

#[test]
fn the_second_format_of_hyperfine_has_units() {
    let run = of_file("start-2.json").unwrap();
    assert_eq!(run.version, "2.0.0");
    assert_eq!(run.started, Some(Started::Text("2026-01-02T03:04:05Z".into())));
    let case = &run.cases[0];
    assert_eq!(
        (case.subject.as_str(), case.figures.samples, case.figures.failures),
        ("runc", 3, 0)
    );
    assert_eq!(figure(&case.figures, "time", "p50").0.value, Some(26.0));
    let (memory, unit) = figure(&case.figures, "memory", "mean");
    assert_eq!((memory.value, unit), (Some(2.0), "MiB"));
}

#[test]
fn iperf3_tells_throughput_and_what_was_lost() {
    let run = of_file("veth.json").unwrap();
    assert_eq!((run.version.as_str(), run.kernel.as_deref()), ("3.18", Some("6.18.0")));
    assert_eq!(run.started, Some(Started::Seconds(1_767_323_045)));
    let case = &run.cases[0];
    assert_eq!(
        (case.bench.as_str(), case.variant.as_str()),
        ("veth", "protocol=TCP,streams=1")
    );
    assert_eq!(case.figures.samples, 3);
    let (median, unit) = figure(&case.figures, "interval", "p50");
    assert_eq!((median.value, unit), (Some(15_000.0), "Mbit/s"));
    assert_eq!(figure(&case.figures, "received", "mean").0.value, Some(14_990.0));
    assert_eq!(figure(&case.figures, "retransmits", "mean").0.value, Some(7.0));

    let run = of_file("udp.json").unwrap();
    let case = &run.cases[0];
    assert_eq!(case.variant, "protocol=UDP,streams=2,reverse=true");
    assert_eq!(run.kernel, None);
    assert_eq!(figure(&case.figures, "lost", "mean").0.value, Some(1.0));
    assert_eq!(
        figure(&case.figures, "jitter", "mean"),
        (&figure(&case.figures, "jitter", "mean").0.clone(), "ms")
    );
    assert_eq!(figure(&case.figures, "received", "mean").0.value, Some(1.048));
}

#[test]
fn a_benchmark_of_criterion_is_its_group_and_its_estimates_are_figures() {
    let run = criterion_fixture();
    let case = &run.cases[0];
    assert_eq!((case.bench.as_str(), case.variant.as_str()), ("parse", "spec/100"));
    let (median, unit) = figure(&case.figures, "time", "p50");
    assert_eq!(
        (median.value, median.low, median.high, unit),
        (Some(1000.0), Some(995.0), Some(1004.0), "ns")
    );
    assert_eq!((case.figures.samples, case.figures.measures[0].figures.len()), (3, 2));
}

#[test]
fn what_is_malformed_is_told_with_its_place() {
    let fault = |line, column, message: &str| Fault {
        path: "a.json".into(),
        line,
        column,
        message: message.into(),
    };
    for (text, expected) in [
        (
            "{\n  \"results\": [,]\n}",
            fault(2, 15, "this is not JSON: expected value"),
        ),
        (
            "{\"results\": [\n  {\"command\": \"a\", \"mean\": \"fast\"}]}",
            fault(
                2,
                33,
                "this is not an export of hyperfine: invalid type: string \"fast\", expected f64",
            ),
        ),
        (
            "{\"results\": [\n  {\"command\": \"a\"}\n]}",
            fault(2, 18, "this is not an export of hyperfine: missing field `mean`"),
        ),
        ("{\"results\": []}", fault(0, 0, "hyperfine measured no command")),
        (
            "{\"schema_version\": 7, \"results\": []}",
            fault(0, 0, "hyperfine's format has version 7, and up to 2 are known"),
        ),
        (
            "{\"start\": {}, \"end\": {\"sum\":\n {}}}",
            fault(2, 3, "this is not a result of iperf3: missing field `bits_per_second`"),
        ),
        (
            "{\"start\": {}, \"end\": {}}",
            fault(0, 0, "iperf3 told no sum of what it received"),
        ),
        (
            "{\"cases\": []}",
            fault(
                0,
                0,
                "neither `results` of hyperfine nor `start` and `end` of iperf3 are in it",
            ),
        ),
    ] {
        assert_eq!(of_text(text), expected, "{text}");
    }
    let refused = of_file("refused.json").unwrap_err();
    assert_eq!(
        refused.message,
        "iperf3 measured nothing: unable to connect to server: Connection refused"
    );
    let estimates = fixture("criterion/parse/spec/100/new/estimates.json");
    let fault = of_criterion(&estimates, "{\"iters\": [1], \"times\": []}").unwrap_err();
    assert_eq!(
        (fault.path.as_str(), fault.message.as_str()),
        ("sample.json", "there are 0 `times` of 1 `iters`")
    );
    let fault = of_criterion("{}", "{}").unwrap_err();
    assert_eq!((fault.path.as_str(), fault.line), ("estimates.json", 1));
}

#[test]
fn what_other_tools_measured_is_stored_once_and_has_changes() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(dir.path().join("history.db")).unwrap();
    let host = Host {
        cpu: "Some CPU".into(),
        ..Host::default()
    };
    let template = fixture("veth.json");
    for n in 0..20 {
        let rate = if n < 10 { 14_990_000_000u64 } else { 13_000_000_000 } + n * 7 % 5 * 1_000_000 + n;
        let text = template.replace("14990000000.0", &rate.to_string());
        let run = read(
            Text {
                path: "veth.json",
                text: &text,
            },
            "veth",
        )
        .unwrap();
        let (revision, started) = (
            if n < 10 { "a1" } else { "b2" },
            format!("2026-01-{:02}T00:00:00Z", n + 1),
        );
        assert_eq!(
            history.store_foreign(&run, &host, &started, revision).unwrap(),
            Stored::New(4)
        );
        // Later and elsewhere: the same file is the same run.
        assert_eq!(
            history
                .store_foreign(&run, &Host::default(), "2027-01-01T00:00:00Z", "c")
                .unwrap(),
            Stored::Known
        );
    }
    let courses = history.courses(&|name, _| name.measure == "received").unwrap();
    let [course] = courses.as_slice() else {
        panic!("{courses:?}");
    };
    assert_eq!(
        (course.points.len(), course.points[0].host.kernel.as_str()),
        (20, "6.18.0")
    );
    let [shift] = course.shifts.as_slice() else {
        panic!("{:?}", course.shifts);
    };
    assert_eq!((shift.at, shift.worse), (10, true));
    assert_eq!(shift.beside, ["subject a1 → b2"]);
    assert_eq!(
        history
            .store_foreign(&criterion_fixture(), &host, "2026-01-01T00:00:00Z", "")
            .unwrap(),
        Stored::New(2)
    );
    assert_eq!(history.benches().unwrap(), ["parse", "veth"]);
}
