//! A file for the textfile collector of Prometheus' node exporter, in the text exposition format 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
//!
//! Every series is about the whole run, so that their number is bounded by subjects, areas and verdicts: no check and no
//! case is a label.

use std::{collections::BTreeMap, fmt::Write as _, time::UNIX_EPOCH};

use crate::run::{Run, Word};

/// Areas beyond so many are counted together, as `other`: labels of specs are written by anybody.
const AREAS: usize = 32;

/// What a report calls a word, for machines.
const WORDS: [(Word, &str); 9] = [
    (Word::Pass, "pass"),
    (Word::Fail, "fail"),
    (Word::Error, "error"),
    (Word::Inconclusive, "inconclusive"),
    (Word::Skip, "skip"),
    (Word::Known, "known"),
    (Word::Unexpected, "unexpected"),
    (Word::Flaky, "flaky"),
    (Word::Allowed, "flaky_allowed"),
];

pub(crate) fn prometheus(run: &Run<'_>) -> String {
    let mut out = String::new();
    run_metrics(&mut out, run);
    checks(&mut out, run);
    subjects(&mut out, run);
    if let Some(proof) = &run.proof {
        family(
            &mut out,
            "plimsoll_proof_checks",
            "Checks of the last run, by whether they were shown to be able to fail.",
        );
        for (standing, count) in [
            ("proven", proof.proven),
            ("unproven", proof.unproven),
            ("waived", proof.waived),
            ("skipped", proof.skipped),
            ("unknown", proof.unknown),
        ] {
            sample(
                &mut out,
                "plimsoll_proof_checks",
                &[("standing", standing)],
                count as f64,
            );
        }
    }
    out
}

fn run_metrics(out: &mut String, run: &Run<'_>) {
    let host = run.host;
    let labels = [
        ("version", run.plimsoll),
        ("kernel", host.kernel.as_str()),
        ("machine", host.machine.as_str()),
        ("cgroup", host.cgroup.as_str()),
    ];
    family(out, "plimsoll_run_info", "Plimsoll and the host of the last run.");
    sample(out, "plimsoll_run_info", &labels, 1.0);
    if let Some(started) = humantime::parse_rfc3339(run.started)
        .ok()
        .and_then(|started| started.duration_since(UNIX_EPOCH).ok())
    {
        let name = "plimsoll_run_start_time_seconds";
        family(out, name, "When the last run began, seconds since 1970.");
        sample(out, name, &[], started.as_secs_f64());
    }
    let name = "plimsoll_run_complete";
    family(out, name, "Whether the last run came to its end.");
    sample(out, name, &[], f64::from(u8::from(run.exit.is_some())));
    if let Some(exit) = run.exit {
        let name = "plimsoll_run_exit_code";
        family(out, name, "Exit code of the last run: 0 if everything passed.");
        sample(out, name, &[], f64::from(exit));
    }
    if let Some(took) = run.took {
        let name = "plimsoll_run_duration_seconds";
        family(out, name, "How long the last run took.");
        sample(out, name, &[], took / 1e3);
    }
    let name = "plimsoll_run_cases";
    family(out, name, "Cases of the last run.");
    sample(out, name, &[], run.cases.len() as f64);
    let name = "plimsoll_skip_limits_exceeded";
    family(out, name, "Limits of skips that the last run exceeded.");
    sample(out, name, &[], run.overdrawn().len() as f64);
}

fn checks(out: &mut String, run: &Run<'_>) {
    let mut areas: Vec<&str> = run.cases.iter().map(|case| case.area()).collect();
    areas.sort_unstable();
    areas.dedup();
    let named = |area| match areas.iter().position(|known| *known == area) {
        Some(at) if at < AREAS => area,
        Some(_) | None => "other",
    };
    let mut counts: BTreeMap<(&str, &str), BTreeMap<Word, u64>> = BTreeMap::new();
    for (case, outcome) in run.outcomes() {
        let words = counts.entry((&case.header.subject, named(case.area()))).or_default();
        *words.entry(outcome.word()).or_default() += 1;
    }
    if counts.is_empty() {
        return;
    }
    family(
        out,
        "plimsoll_checks",
        "Checks of the last run by subject, area of their test and verdict.",
    );
    for ((subject, area), words) in &counts {
        // All words, so that a rule on a series finds it before something fails for the first time.
        for (word, name) in WORDS {
            let labels = [("subject", *subject), ("area", *area), ("verdict", name)];
            let count = words.get(&word).copied().unwrap_or(0);
            sample(out, "plimsoll_checks", &labels, count as f64);
        }
    }
}

fn subjects(out: &mut String, run: &Run<'_>) {
    if run.subjects.is_empty() {
        return;
    }
    family(out, "plimsoll_subject_info", "Subjects of the last run.");
    for subject in run.subjects {
        let labels = [
            ("subject", subject.name.as_str()),
            ("version", subject.version.as_str()),
        ];
        sample(out, "plimsoll_subject_info", &labels, 1.0);
    }
}

/// The two lines above the samples of a gauge.
fn family(out: &mut String, name: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge");
}

fn sample(out: &mut String, name: &str, labelled: &[(&str, &str)], value: f64) {
    let _ = writeln!(out, "{name}{} {value}", labels(labelled));
}

/// `{subject="runc",verdict="pass"}`; nothing without labels.
pub(crate) fn labels(labels: &[(&str, &str)]) -> String {
    let labels: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
        .collect();
    match labels.as_slice() {
        [] => String::new(),
        all => format!("{{{}}}", all.join(",")),
    }
}

/// As a label's value is written: backslash, quote and line feed.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_ends_its_label() {
        let mut out = String::new();
        sample(&mut out, "m", &[("a", "x\"} 1\nm 2\\"), ("b", "c")], 0.5);
        assert_eq!(out, "m{a=\"x\\\"} 1\\nm 2\\\\\",b=\"c\"} 0.5\n");
    }
}
