//! Runs that are stored, read back, missed and forgotten; from records as a run writes them.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare has failed")]

use std::path::Path;

use history::{History, SpecChecks, Stored, table};
use record::{Event, Host, Ledger};
use serde_json::{Value, json};

fn host(kernel: &str) -> Value {
    json!({"kernel": kernel, "machine": "m", "cpu": "c", "cpus": 2, "memory": 1, "cgroup": "v2", "uid": 0})
}

/// A run of one case with two checks, each attempt a word for each check.
fn run(id: &str, day: u32, kernel: &str, attempts: &[[&str; 2]]) -> Vec<Event> {
    let mut lines = vec![
        json!({"event": "run", "version": 1, "id": id, "started": format!("2026-01-{day:02}T00:00:00Z"),
            "plimsoll": "0.1.0", "argv": [], "host": host(kernel),
            "subjects": [{"name": "bundled", "argv": [], "version": "1"}]}),
    ];
    for (n, words) in attempts.iter().enumerate() {
        let mut case = json!({"event": "case", "id": "oom[limit=32Mi]@bundled", "test": "oom", "file": "./specs/oom.yaml",
            "description": "d", "subject": "bundled", "target": "runtime", "checks": [], "t": 0.0});
        if n > 0 {
            case["attempt"] = json!(n + 1);
            case["id"] = json!(format!("oom[limit=32Mi]@bundled#{}", n + 1));
        }
        let id = case["id"].clone();
        lines.push(case);
        for (check, word) in ["killed", "bounded"].iter().zip(words) {
            let mut verdict = json!({"event": "verdict", "case": id, "check": check, "looks": 1, "verdict": word});
            let more = match *word {
                "pass" => json!({"seen": "exit code 137"}),
                "skip" => json!({"requirement": "swap: true", "seen": "no swap is configured"}),
                _ => json!({"want": "exit code 137", "got": "exit code 0"}),
            };
            verdict
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            lines.push(verdict);
        }
        lines.push(json!({"event": "caseEnd", "case": id, "took": 12.5, "overhead": 1.0}));
    }
    lines.push(
        json!({"event": "runEnd", "exit": 0, "took": 20.0, "tally": {"pass": 0, "fail": 0, "known": 0,
        "unexpected": 0, "skip": 0, "inconclusive": 0, "error": 0}}),
    );
    lines
        .into_iter()
        .map(|line| serde_json::from_value(line).unwrap())
        .collect()
}

fn spec(sha256: &str, checks: &[&str]) -> Vec<SpecChecks> {
    vec![SpecChecks {
        file: "./specs/oom.yaml".into(),
        sha256: sha256.into(),
        checks: checks.iter().map(|check| ("oom".into(), (*check).into())).collect(),
    }]
}

const BOTH: [&str; 2] = ["killed", "bounded"];

fn open(dir: &Path) -> History {
    History::open(dir.join("history.db")).unwrap()
}

#[test]
fn a_stored_run_is_read_back_and_stored_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(dir.path());
    let events = run("0001", 1, "6.1", &[["pass", "fail"], ["pass", "pass"]]);
    assert_eq!(history.store(&events, &spec("a", &BOTH)).unwrap(), Stored::New(2));
    assert_eq!(history.store(&events, &spec("a", &BOTH)).unwrap(), Stored::Known);
    drop(history);
    let history = open(dir.path());
    let pasts = history.pasts(&|name| name.check == "bounded").unwrap();
    let [past] = pasts.as_slice() else {
        panic!("{pasts:?}");
    };
    assert_eq!(past.name.to_string(), "oom[limit=32Mi] › bounded");
    let entry = &past.entries[0];
    assert_eq!((entry.verdict.as_str(), entry.failed, entry.attempts), ("flaky", 1, 2));
    assert_eq!(entry.seen, "expected exit code 137, observed exit code 0");
    assert_eq!((entry.spec.as_deref(), entry.took), (Some("a"), Some(12.5)));
    assert!(past.series[0].wavers);
    let text = table::table(&pasts, 10);
    assert!(text.contains("bundled: passed 0 of 1 (0 %"), "{text}");
    assert!(
        text.contains("2026-01-01T00:00:00Z  0001  bundled  flaky 1/2  12ms"),
        "{text}"
    );
}

#[test]
fn a_case_under_sabotage_has_no_past() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(dir.path());
    let mut events = run("0001", 1, "6.1", &[["pass", "fail"]]);
    if let Event::Case(header) = &mut events[1] {
        header.sabotage = Some("no-limit".into());
    }
    assert_eq!(history.store(&events, &[]).unwrap(), Stored::New(0));
}

#[test]
fn what_ran_before_and_is_skipped_now_is_told_with_what_changed() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(dir.path());
    for (id, day, words) in [("0001", 1, ["pass", "skip"]), ("0002", 2, ["skip", "skip"])] {
        history
            .store(&run(id, day, "6.1", &[words]), &spec("a", &BOTH))
            .unwrap();
    }
    let events = run("0003", 3, "6.2", &[["skip", "skip"]]);
    let here: Host = serde_json::from_value(host("6.2")).unwrap();
    let drift = history.drift(&here, &Ledger::of(&events), &spec("a", &BOTH)).unwrap();
    let [Event::Drift(drift)] = drift.as_slice() else {
        panic!("{drift:?}");
    };
    assert_eq!(
        (drift.check.as_str(), drift.run.as_str(), drift.verdict.as_str()),
        ("killed", "0001", "pass")
    );
    assert_eq!(
        (drift.requirement.as_str(), drift.seen.as_str()),
        ("swap: true", "no swap is configured")
    );
    assert_eq!(drift.host, ["kernel 6.1 → 6.2"]);
    // Another user, or another machine, never ran it.
    let other = Host { uid: 1000, ..here };
    assert_eq!(history.drift(&other, &Ledger::of(&events), &[]).unwrap(), []);
}

#[test]
fn what_is_gone_from_a_spec_is_told_once_and_a_move_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(dir.path());
    let events = run("0001", 1, "6.1", &[["pass", "pass"]]);
    history.store(&events, &spec("a", &BOTH)).unwrap();
    let here: Host = serde_json::from_value(host("6.1")).unwrap();
    let gone = |history: &History, specs: &[SpecChecks]| history.drift(&here, &Ledger::default(), specs).unwrap();
    let less = spec("b", &["killed"]);
    let told = gone(&history, &less);
    let [Event::Vanished(vanished)] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!((vanished.check.as_str(), vanished.run.as_str()), ("bounded", "0001"));
    assert_eq!(gone(&history, &spec("a", &BOTH)), []);
    let mut moved = less.clone();
    moved.push(SpecChecks {
        file: "specs/new.yaml".into(),
        sha256: "c".into(),
        checks: vec![("oom".into(), "bounded".into())],
    });
    assert_eq!(gone(&history, &moved), []);
    history
        .store(&run("0002", 2, "6.1", &[["pass", "pass"]]), &less)
        .unwrap();
    assert_eq!(gone(&history, &less), []);
}

#[test]
fn old_runs_are_forgotten_and_the_newest_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(dir.path());
    for day in 1..=25 {
        let id = format!("{day:04}");
        history
            .store(&run(&id, day, "6.1", &[["pass", "pass"]]), &spec(&id, &BOTH))
            .unwrap();
    }
    // No verdicts may be kept, and the newest runs are.
    assert_eq!(history.prune(usize::MAX, 0).unwrap(), 25 - history::KEPT_RUNS);
    assert_eq!(history.prune(3, usize::MAX).unwrap(), history::KEPT_RUNS - 3);
    let pasts = history.pasts(&|_| true).unwrap();
    assert_eq!(pasts.len(), 2);
    assert_eq!(
        pasts[0].entries.iter().map(|e| e.run.as_str()).collect::<Vec<_>>(),
        ["0025", "0024", "0023"]
    );
    assert_eq!(history.prune(0, 0).unwrap(), 3);
    assert_eq!(history.pasts(&|_| true).unwrap(), []);
    assert_eq!(history.runs().unwrap(), Vec::<String>::new());
}

#[test]
fn two_runs_at_once_both_get_in() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let dir = dir.path();
            scope.spawn(move || {
                for day in 1..=5 {
                    let id = format!("{writer}-{day}");
                    open(dir)
                        .store(&run(&id, day, "6.1", &[["pass", "fail"]]), &spec("a", &BOTH))
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(open(dir.path()).runs().unwrap().len(), 20);
}

#[test]
fn an_overview_names_what_changed_lately_and_what_wavers() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(dir.path());
    for (id, day, words) in [("0001", 1, ["pass", "pass"]), ("0002", 2, ["pass", "fail"])] {
        history
            .store(&run(id, day, "6.1", &[words]), &spec("a", &BOTH))
            .unwrap();
    }
    let overview = history::overview(&history.pasts(&|_| true).unwrap(), &history.runs().unwrap(), Vec::new());
    assert_eq!((overview.runs, overview.checks), (2, 2));
    assert_eq!(overview.changed.len(), 1);
    let text = table::overview(&overview);
    assert!(
        text.contains("changed lately\n  oom[limit=32Mi] › bounded  bundled: passed 1 of 2"),
        "{text}"
    );
    assert!(text.contains("fail since run 0002, pass before"), "{text}");
    assert!(
        text.contains("under the same conditions\n  oom[limit=32Mi] › bounded"),
        "{text}"
    );
}
