//! The text that people and programs see, from one record. `SNAPSHOTS=overwrite` writes what is expected anew.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare has failed")]

use std::path::Path;

use record::Event;
use reports::{CompareFormat, Format, Look, Past, PastChange, PastPoint, diff, render};

fn fixture() -> Vec<Event> {
    events("run.jsonl")
}

fn events(name: &str) -> Vec<Event> {
    let text = std::fs::read(golden(name)).unwrap();
    record::read(text.as_slice()).unwrap()
}

fn golden(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)
}

#[track_caller]
fn compare(name: &str, text: &str) {
    let path = golden(name);
    if std::env::var("SNAPSHOTS").as_deref() == Ok("overwrite") {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == text,
        "{name} differs; SNAPSHOTS=overwrite takes the new text:\n{text}"
    );
}

#[test]
fn the_table_tells_what_failed_and_how_to_run_it_again() {
    compare(
        "table.txt",
        &render(Format::Table, &fixture(), &Look::default()).unwrap(),
    );
}

#[test]
fn colour_only_when_asked() {
    let plain = render(Format::Table, &fixture(), &Look::default()).unwrap();
    assert!(!plain.contains('\x1b'));
    let look = Look {
        colour: true,
        ..Look::default()
    };
    let painted = render(Format::Table, &fixture(), &look).unwrap();
    assert!(painted.contains("\x1b[31;1mFAIL\x1b[0m"));
    let codes = ["32", "33", "35", "31;1", "0"];
    let stripped = codes
        .iter()
        .fold(painted, |text, code| text.replace(&format!("\x1b[{code}m"), ""));
    assert_eq!(stripped, plain);
}

#[test]
fn passes_are_listed_with_what_was_seen_when_asked() {
    let look = Look {
        passes: true,
        record: Some("elsewhere/run.jsonl".into()),
        ..Look::default()
    };
    compare("table-passes.txt", &render(Format::Table, &fixture(), &look).unwrap());
}

#[test]
fn json_is_one_document_with_every_verdict() {
    let text = render(Format::Json, &fixture(), &Look::default()).unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["tally"]["fail"], 2);
    compare("report.json", &text);
}

#[test]
fn junit_counts_what_ci_systems_count() {
    let text = render(Format::Junit, &fixture(), &Look::default()).unwrap();
    let report = quick_junit::Report::deserialize_from_str(&text).unwrap();
    assert_eq!(report.test_suites.len(), 2);
    assert_eq!((report.tests, report.failures, report.errors), (13, 4, 1));
    compare("junit.xml", &text);
}

#[test]
fn tap_has_a_plan_for_every_level_and_counts_from_one() {
    let text = render(Format::Tap, &fixture(), &Look::default()).unwrap();
    for indent in ["", "    "] {
        let mut plan = None;
        let mut points = 0;
        for line in text.lines().filter_map(|line| line.strip_prefix(indent)) {
            if let Some(rest) = line.strip_prefix("1..") {
                assert_eq!(plan.unwrap_or(points), points, "{text}");
                plan = Some(rest.parse::<usize>().unwrap());
                points = 0;
            } else if line.starts_with("ok ") || line.starts_with("not ok ") {
                points += 1;
                assert!(line.contains(&format!("ok {points} - ")), "{line}");
            }
        }
        assert_eq!(plan, Some(points), "{text}");
    }
    compare("report.tap", &text);
}

#[test]
fn the_page_has_every_check_with_what_is_known_of_it() {
    let events = events("page.jsonl");
    let page = render(Format::Html, &events, &Look::default()).unwrap();
    let run = reports::Run::of(&events).unwrap();
    let checks = run.outcomes().count();
    assert_eq!(page.matches("<li class=\"check ").count(), checks);
    for part in [
        "overview",
        "compared",
        "checks",
        "skips",
        "drift",
        "proof",
        "durations",
        "host",
    ] {
        assert_eq!(page.matches(&format!("<section id=\"{part}\"")).count(), 1, "{part}");
        assert_eq!(
            page.matches(&format!("href=\"#{part}\"")).count(),
            1 + usize::from(part == "checks"),
            "{part}"
        );
    }
    assert!(
        !page.contains("http://") && !page.contains("https://"),
        "it needs no network"
    );
    compare("page.html", &page);
}

#[test]
fn a_page_without_steps_and_looks_still_has_all_verdicts() {
    let all = events("page.jsonl");
    let some: Vec<Event> = all
        .into_iter()
        .filter(|event| !matches!(event, Event::Step { .. } | Event::Act { .. } | Event::Look { .. }))
        .collect();
    let page = render(Format::Html, &some, &Look::default()).unwrap();
    let run = reports::Run::of(&some).unwrap();
    assert_eq!(page.matches("<li class=\"check ").count(), run.outcomes().count());
    let nothing = render(Format::Html, &some[..1], &Look::default()).unwrap();
    assert!(nothing.contains("did not come to its end"), "{nothing}");
}

#[test]
fn markdown_has_what_failed_first_and_fits_in_a_comment() {
    let events = fixture();
    let text = render(Format::Markdown, &events, &Look::default()).unwrap();
    compare("report.md", &text);
    let mut many = events.clone();
    let case = events.iter().find(|event| matches!(event, Event::Case(_))).unwrap();
    let Event::Case(header) = case else { panic!("{case:?}") };
    for number in 0..500 {
        let id = format!("many-{number}@bundled");
        let header = record::CaseHeader {
            id: id.clone(),
            ..*header.clone()
        };
        many.push(Event::Case(Box::new(header)));
        many.push(Event::Verdict {
            case: id,
            check: "own-pid-namespace".into(),
            verdict: record::Verdict::Fail {
                want: "x".repeat(300),
                got: "`|".repeat(300),
                because: Some("y\n".repeat(3000)),
            },
            looks: 1,
            known: None,
            absent: false,
        });
    }
    let text = render(Format::Markdown, &many, &Look::default()).unwrap();
    assert!(text.len() < 65_536, "{}", text.len());
    assert_eq!(
        text.matches("more, for which there is no room here").count(),
        2,
        "{text}"
    );
    assert!(text.ends_with("</sub>\n"), "{text}");
}

#[test]
fn annotations_stand_at_the_lines_of_the_checks() {
    let text = render(Format::GithubAnnotations, &fixture(), &Look::default()).unwrap();
    assert!(
        text.lines()
            .all(|line| line.starts_with("::error ") || line.starts_with("::warning ")),
        "{text}"
    );
    assert!(
        text.contains("::error file=specs/pid.yaml,line=10,col=7,title=FAIL pid-isolation@bundled"),
        "{text}"
    );
    compare("annotations.txt", &text);
    let mut green = fixture();
    green.retain(|event| match event {
        Event::Verdict { verdict, known, .. } => matches!(verdict, record::Verdict::Pass { .. }) && known.is_none(),
        Event::Case(header) => header.test == "memory-oom",
        _ => true,
    });
    if let Some(Event::RunEnd { exit, .. }) = green.last_mut() {
        *exit = 0;
    }
    assert_eq!(render(Format::GithubAnnotations, &green, &Look::default()).unwrap(), "");
    // A run that ended badly is told, though no check was.
    green.pop();
    let told = render(Format::GithubAnnotations, &green, &Look::default()).unwrap();
    assert_eq!(told, "::error title=plimsoll::run 0042 did not come to its end\n");
}

#[test]
fn of_many_annotations_the_last_that_is_shown_counts_the_rest() {
    let mut events = fixture();
    let Some(Event::Case(header)) = events.iter().find(|event| matches!(event, Event::Case(_))).cloned() else {
        panic!("no case");
    };
    for number in 0..20 {
        let id = format!("many-{number}@bundled");
        events.push(Event::Case(Box::new(record::CaseHeader { id, ..*header.clone() })));
    }
    let text = render(Format::GithubAnnotations, &events, &Look::default()).unwrap();
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("::error ")).collect();
    assert_eq!(errors.len(), 10, "{text}");
    // Two checks of each case have no verdict, and five are red in the fixture.
    assert!(errors[9].contains("36 more"), "{text}");
}

#[test]
fn sarif_has_failures_as_results_and_errors_as_notifications() {
    let text = render(Format::Sarif, &fixture(), &Look::default()).unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["version"], "2.1.0");
    let run = &document["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 4, "{text}");
    for result in results {
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(rule["id"], result["ruleId"]);
        assert_eq!(result["level"] == "error", result["kind"] == "fail");
        let place = &result["locations"][0]["physicalLocation"];
        assert!(
            place["artifactLocation"]["uri"].as_str().unwrap().starts_with("specs/"),
            "{result}"
        );
    }
    assert_eq!(
        results[0]["locations"][0]["physicalLocation"]["region"]["startLine"],
        10
    );
    let invocation = &run["invocations"][0];
    assert_eq!(
        invocation["toolExecutionNotifications"].as_array().unwrap().len(),
        2,
        "{text}"
    );
    assert_eq!(invocation["executionSuccessful"], false);
    compare("report.sarif", &text);
}

/// The past of a case, with a step at its sixth run.
fn past(case: &str, level: f64) -> Past {
    let point = |n: usize| {
        let value = level * if n < 5 { 0.8 } else { 1.0 } + 0.01 * (n % 3) as f64;
        PastPoint {
            run: format!("{:04}", 35 + n),
            started: format!("2026-01-{:02}T03:04:05Z", 1 + n),
            value: (n != 3).then_some(value),
            low: Some(value * 0.97),
            high: Some(value * 1.02),
        }
    };
    Past {
        case: case.into(),
        measure: "total".into(),
        figure: "p50".into(),
        unit: "ms".into(),
        points: (0..10).map(point).collect(),
        changes: vec![PastChange {
            at: 5,
            worse: true,
            told: "run 0040: 4.10 → 5.13 ms, 25.0 % worse; changed beside it: kernel 6.17.0 → 6.18.0 <b>".into(),
        }],
    }
}

#[test]
fn the_page_draws_benchmarks_and_their_past() {
    let events = events("bench.jsonl");
    let look = Look {
        pasts: vec![
            past("start-latency[rootfs=bind]@bundled", 5.1),
            past("another@bundled", 1.0),
        ],
        ..Look::default()
    };
    let page = render(Format::Html, &events, &look).unwrap();
    for (part, count) in [
        ("<section id=\"benchmarks\"", 1),
        // Three measures of time and a rate on their subjects.
        ("class=\"curve arm0\" d=", 4),
        ("class=\"curve arm1\" d=", 3),
        ("class=\"violin arm0\"", 4),
        ("class=\"violin arm1\"", 3),
        // Three measures of runc against those of bundled.
        ("class=\"interval fail\"", 3),
        ("create → created", 4),
        ("class=\"own\"", 1),
        ("class=\"change fail\"", 1),
        // Of one benchmark of two.
        ("<caption>Floors:", 1),
        ("<caption>Figures as multiples of their floors", 1),
    ] {
        assert_eq!(page.matches(part).count(), count, "{part}");
    }
    assert!(
        !page.contains("another@bundled") && !page.contains("6.18.0 <b>"),
        "{page}"
    );
    assert!(!page.contains("NaN") && !page.contains(" inf"), "every number is one");
    compare("bench.html", &page);
}

#[test]
fn benchmarks_with_nothing_to_draw_are_told_all_the_same() {
    let mut events = events("bench.jsonl");
    events.retain(|event| !matches!(event, Event::Sample(_)));
    for event in &mut events {
        if let Event::Figures(figures) = event {
            figures.rounds.clear();
            figures.measures.iter_mut().for_each(|measure| measure.samples.clear());
        }
    }
    let page = render(Format::Html, &events, &Look::default()).unwrap();
    assert!(page.contains("<section id=\"benchmarks\""), "{page}");
    assert!(!page.contains("<svg class=\"plot\"") && !page.contains("NaN"), "{page}");
}

#[test]
fn exports_of_a_benchmark_have_every_sample_and_figure() {
    let events = events("bench.jsonl");
    for (format, name) in [
        (Format::Csv, "bench.csv"),
        (Format::Openmetrics, "bench.openmetrics"),
        (Format::Benchstat, "bench.benchstat"),
        (Format::GithubBenchmarkSmaller, "bench-smaller.json"),
        (Format::GithubBenchmarkBigger, "bench-bigger.json"),
        (Format::Json, "bench.json"),
        (Format::Table, "bench.txt"),
    ] {
        compare(name, &render(format, &events, &Look::default()).unwrap());
    }
    let csv = render(Format::Csv, &events, &Look::default()).unwrap();
    // Two cases of three measures with 24 samples, three figures and as many multiples of floors, one of one with ten and no floor,
    // four floors, and the names of the columns.
    assert_eq!(csv.lines().count(), 1 + 2 * 3 * (24 + 3 + 3) + 10 + 3 + 4 * 3, "{csv}");
    assert!(csv.lines().all(|line| line.matches(',').count() == 14), "{csv}");
    for bigger in [Format::GithubBenchmarkSmaller, Format::GithubBenchmarkBigger] {
        let text = render(bigger, &events, &Look::default()).unwrap();
        let entries: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        assert!(entries.iter().all(|entry| entry["value"].is_f64()), "{text}");
    }
}

#[test]
fn openmetrics_has_its_families_together_and_an_end() {
    let text = render(Format::Openmetrics, &events("bench.jsonl"), &Look::default()).unwrap();
    let body = text.strip_suffix("# EOF\n").unwrap();
    let mut families = Vec::new();
    let mut series = std::collections::BTreeSet::new();
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(!families.contains(&name) && ["gauge", "info"].contains(&kind), "{line}");
            families.push(name);
        } else if let Some(rest) = line.strip_prefix("# UNIT ") {
            let (_, unit) = rest.split_once(' ').unwrap();
            assert!(families.last().unwrap().ends_with(&format!("_{unit}")), "{line}");
        } else if !line.starts_with("# HELP ") {
            let [at, value, name] = line.rsplitn(3, ' ').collect::<Vec<_>>()[..] else {
                panic!("{line}");
            };
            assert_eq!((at, value.parse::<f64>().is_ok()), ("1767323045", true), "{line}");
            let family = name.split('{').next().unwrap();
            let family = family.strip_suffix("_info").unwrap_or(family);
            assert_eq!(Some(&family), families.last(), "{line}");
            assert!(series.insert(name), "twice: {line}");
        }
    }
}

#[test]
fn a_run_without_benchmarks_has_nothing_to_export() {
    for format in [
        Format::Csv,
        Format::Openmetrics,
        Format::Benchstat,
        Format::GithubBenchmarkBigger,
    ] {
        let refused = render(format, &fixture(), &Look::default());
        assert!(matches!(refused, Err(reports::ReportError::NotMeasured)), "{format}");
    }
}

#[test]
fn figures_without_samples_are_exported_too() {
    let mut events = events("bench.jsonl");
    for event in &mut events {
        if let Event::Figures(figures) = event {
            figures.rounds.clear();
            figures.measures.iter_mut().for_each(|measure| measure.samples.clear());
        }
    }
    let csv = render(Format::Csv, &events, &Look::default()).unwrap();
    assert_eq!(csv.lines().count(), 1 + 7 * 3 + 6 * 3 + 4 * 3, "{csv}");
    let text = render(Format::Benchstat, &events, &Look::default()).unwrap();
    assert_eq!(
        text.lines().filter(|line| line.starts_with("Benchmark")).count(),
        7,
        "{text}"
    );
}

#[test]
fn metrics_keep_to_the_exposition_format() {
    let text = render(Format::Prometheus, &events("page.jsonl"), &Look::default()).unwrap();
    let mut families: Vec<&str> = Vec::new();
    let mut series = std::collections::BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(!families.contains(&name) && kind == "gauge", "{line}");
            families.push(name);
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            value.parse::<f64>().unwrap();
            // All samples of a family stand together, below its type.
            assert_eq!(Some(&name.split('{').next().unwrap()), families.last(), "{line}");
            assert!(series.insert(name), "twice: {line}");
        }
    }
    assert!(text.ends_with('\n'));
    compare("report.prom", &text);
}

#[test]
fn a_skip_is_red_where_none_may_be() {
    let mut events = fixture();
    if let Event::Run { skip_budget, .. } = &mut events[0] {
        skip_budget.strict = true;
    }
    let junit = render(Format::Junit, &events, &Look::default()).unwrap();
    let report = quick_junit::Report::deserialize_from_str(&junit).unwrap();
    assert_eq!((report.failures, report.errors), (6, 1), "{junit}");
    let [lenient, strict] = [&fixture(), &events].map(|events| render(Format::Tap, events, &Look::default()).unwrap());
    // Two checks and the case that has no others; what was not come to stays a skip.
    assert_eq!(lenient.matches("# SKIP").count(), strict.matches("# SKIP").count() + 3);
    assert_eq!(lenient.matches("not ok").count() + 3, strict.matches("not ok").count());
}

#[test]
fn a_run_that_was_cut_short_is_never_green() {
    let events = fixture();
    let cut: Vec<Event> = events
        .into_iter()
        .take_while(|event| !matches!(event, Event::Verdict { .. }))
        .collect();
    let table = render(Format::Table, &cut, &Look::default()).unwrap();
    assert!(table.contains("the run did not come to its end"), "{table}");
    assert!(table.contains("ERROR"), "{table}");
    let tap = render(Format::Tap, &cut, &Look::default()).unwrap();
    assert!(tap.contains("Bail out!") && !tap.contains("\nok "), "{tap}");
    let junit = render(Format::Junit, &cut, &Look::default()).unwrap();
    assert!(junit.contains("errors=\"2\""), "{junit}");
}

#[test]
fn what_passed_only_in_a_later_attempt_is_flaky_in_every_format() {
    let events = events("attempts.jsonl");
    for (format, name) in [
        (Format::Table, "attempts.txt"),
        (Format::Json, "attempts.json"),
        (Format::Junit, "attempts.xml"),
        (Format::Tap, "attempts.tap"),
    ] {
        compare(name, &render(format, &events, &Look::default()).unwrap());
    }
    let run = reports::Run::of(&events).unwrap();
    let Some(Event::RunEnd { tally, exit, .. }) = events.last() else {
        panic!("no end");
    };
    assert_eq!(run.tally, *tally);
    let ending = record::Ledger::of(&events).ending(run.skip_budget);
    assert_eq!(
        (ending.tally, ending.exit_code()),
        (*tally, *exit),
        "reports and runs count alike"
    );
}

#[test]
fn junit_tells_flaky_failures_to_whom_knows_them() {
    let text = render(Format::Junit, &events("attempts.jsonl"), &Look::default()).unwrap();
    let report = quick_junit::Report::deserialize_from_str(&text).unwrap();
    assert_eq!((report.tests, report.failures, report.errors), (10, 2, 1));
    assert_eq!(text.matches("<flakyFailure").count(), 3, "{text}");
    assert_eq!(text.matches("<flakyError").count(), 1, "{text}");
    assert_eq!(text.matches("<rerunFailure").count(), 2, "{text}");
}

#[test]
fn subjects_are_compared_disagreements_first_in_every_format() {
    let events = events("subjects.jsonl");
    for (format, name) in [
        (CompareFormat::Table, "compare.txt"),
        (CompareFormat::Json, "compare.json"),
        (CompareFormat::Junit, "compare.xml"),
        (CompareFormat::Markdown, "compare.md"),
    ] {
        let compared = reports::compare(format, &events, &Look::default()).unwrap();
        assert_eq!((compared.disagreements, compared.exit), (2, 3));
        compare(name, &compared.text);
    }
}

#[test]
fn a_comparison_needs_two_subjects_and_a_run_that_ended() {
    let look = Look::default();
    let told = |events: &[Event]| reports::compare(CompareFormat::Table, events, &look);
    assert!(matches!(
        told(&events("attempts.jsonl")),
        Err(reports::ReportError::OneSubject)
    ));
    let mut cut = events("subjects.jsonl");
    cut.pop();
    assert_eq!(told(&cut).unwrap().exit, 3);
    // Nothing that two subjects were asked.
    let ended = cut.pop().into_iter().chain([Event::RunEnd {
        exit: 0,
        tally: record::Tally::default(),
        took: 1.0,
    }]);
    let mut one: Vec<Event> = cut.into_iter().chain(ended).collect();
    one.retain(|event| match event {
        Event::Case(header) => header.subject == "bundled",
        _ => true,
    });
    assert_eq!(told(&one).unwrap().exit, 4);
}

#[test]
fn disagreements_that_are_known_do_not_fail_and_others_do() {
    let mut all = events("subjects.jsonl");
    if let Some(Event::RunEnd { exit, .. }) = all.last_mut() {
        *exit = 0;
    }
    let exit = |events: &[Event]| {
        reports::compare(CompareFormat::Table, events, &Look::default())
            .unwrap()
            .exit
    };
    assert_eq!(exit(&all), 1);
    all.retain(|event| !matches!(event, Event::Verdict { check, .. } if check == "killed"));
    assert_eq!(exit(&all), 0);
}

#[test]
fn drift_is_told_in_every_format() {
    let events = events("subjects.jsonl");
    for (format, name) in [(Format::Table, "drift.txt"), (Format::Tap, "drift.tap")] {
        compare(name, &render(format, &events, &Look::default()).unwrap());
    }
    let lines = reports::drift(&events);
    assert_eq!(lines.len(), 2, "{lines:?}");
    let json = render(Format::Json, &events, &Look::default()).unwrap();
    let document: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(document["drift"].as_array().unwrap().len(), 2);
    assert_eq!(document["vanished"][0]["check"], "sometimes");
    let junit = render(Format::Junit, &events, &Look::default()).unwrap();
    assert!(junit.contains("; ran here last in 0040 of"), "{junit}");
    assert!(junit.contains("name=\"vanished\""), "{junit}");
}

#[test]
fn what_does_not_begin_as_a_run_is_told() {
    assert!(render(Format::Table, &fixture()[1..], &Look::default()).is_err());
    assert!(render(Format::Table, &[], &Look::default()).is_err());
}

#[test]
fn a_diff_tells_which_checks_changed() {
    let base = fixture();
    let mut new = fixture();
    for event in &mut new {
        if let Event::Verdict { check, verdict, .. } = event {
            match check.as_str() {
                "killed" => {
                    *verdict = record::Verdict::Fail {
                        want: "exit code 137".into(),
                        got: "exit code 0 (waitid)".into(),
                        because: None,
                    }
                }
                "own-pid-namespace" => *verdict = record::Verdict::Pass { seen: "other".into() },
                _ => {}
            }
        }
        if let Event::Run { id, host, .. } = event {
            *id = "0043".into();
            host.kernel = "6.19.0".into();
        }
    }
    new.retain(|event| !matches!(event, Event::Case(header) if header.test == "hugetlb-limit"));
    let difference = diff(&base, &new).unwrap();
    assert_eq!(difference.worse, 1);
    compare("diff.txt", &difference.text);
    assert_eq!(diff(&base, &base).unwrap().worse, 0);
}
