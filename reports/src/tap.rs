//! TAP version 14: a subtest for each case, a test point for each check, evidence as YAML.

use std::fmt::Write as _;

use record::{Flaky, Verdict};

use crate::{
    drift::{ran_before, vanished},
    run::{Case, Outcome, Run, Word, told},
    table::rerun,
};

pub(crate) fn tap(run: &Run<'_>) -> String {
    let mut out = format!("TAP version 14\n1..{}\n", run.cases.len());
    for (n, case) in run.cases.iter().enumerate() {
        let _ = writeln!(out, "# Subtest: {}", escaped(&case.header.id));
        let _ = writeln!(out, "    1..{}", case.outcomes.len());
        for (n, outcome) in case.outcomes.iter().enumerate() {
            point(&mut out, run, case, n + 1, outcome);
        }
        let (word, directive) = match case.word() {
            _ if case.outcomes.iter().any(|outcome| run.forbids(outcome)) => ("not ok", ""),
            Word::Pass => ("ok", ""),
            Word::Skip => ("ok", " # SKIP nothing of it was looked at"),
            Word::Known | Word::Allowed => ("ok", ""),
            Word::Flaky | Word::Inconclusive | Word::Unexpected | Word::Fail | Word::Error => ("not ok", ""),
        };
        let _ = writeln!(out, "{word} {} - {}{directive}", n + 1, escaped(&case.header.id));
    }
    for line in vanished(run) {
        let _ = writeln!(out, "# vanished: {}", one_line(&line));
    }
    if let Some(proof) = &run.proof {
        let _ = writeln!(out, "# {}", crate::proof::sentence(proof));
    }
    if run.exit.is_none() {
        out.push_str("Bail out! the run did not come to its end\n");
    }
    out
}

fn point(out: &mut String, run: &Run<'_>, case: &Case<'_>, n: usize, outcome: &Outcome<'_>) {
    let word = outcome.word();
    let mut yaml: Vec<(&str, String)> = Vec::new();
    let mut directive = String::new();
    if let Some(Flaky { failed, of, .. }) = outcome.flaky {
        yaml.push(("flaky", format!("{failed}/{of}")));
        yaml.extend(outcome.failure.map(|failure| ("failure", one_line(&told(failure)))));
    }
    match outcome.verdict {
        Some(Verdict::Pass { seen }) => {
            yaml.push(("observed", seen.clone()));
            if let (Word::Unexpected, Some(reason)) = (word, outcome.known) {
                yaml.push((
                    "message",
                    "passes although the spec says that this subject fails".into(),
                ));
                yaml.push(("known", reason.into()));
            }
        }
        Some(Verdict::Fail { want, got, because }) => {
            yaml.push(("expected", want.clone()));
            yaml.push(("observed", got.clone()));
            yaml.extend(because.clone().map(|because| ("because", because)));
            if let Some(reason) = outcome.known {
                directive = format!(" # TODO known failure: {}", one_line(reason));
            }
        }
        Some(Verdict::Skip { requirement, seen, .. }) if run.forbids(outcome) => {
            yaml.push(("message", format!("skipped: {requirement}")));
            yaml.push(("observed", seen.clone()));
        }
        Some(Verdict::Skip { requirement, seen, .. }) => {
            directive = format!(" # SKIP {}", one_line(requirement));
            yaml.push(("observed", seen.clone()));
            yaml.extend(run.drift(case, outcome).map(|drift| ("drift", ran_before(drift))));
        }
        Some(Verdict::Inconclusive { n, more, .. }) => {
            yaml.push(("message", format!("{n} samples do not decide")));
            yaml.push(("more", more.clone()));
        }
        Some(Verdict::Error { message }) => yaml.push(("message", message.clone())),
        None => yaml.push(("message", "the run ended before there was a verdict".into())),
    }
    let verdict = match outcome.flaky {
        Some(_) => "flaky",
        None => outcome.verdict.map_or("error", Verdict::word),
    };
    yaml.insert(0, ("verdict", verdict.into()));
    if !outcome.at.is_empty() {
        yaml.push(("at", outcome.at.into()));
    }
    let ok = match word {
        Word::Skip if run.forbids(outcome) => "not ok",
        Word::Pass | Word::Skip | Word::Allowed => "ok",
        Word::Flaky | Word::Known | Word::Inconclusive | Word::Unexpected | Word::Fail | Word::Error => {
            yaml.push(("rerun", rerun(run, case)));
            "not ok"
        }
    };
    let _ = writeln!(out, "    {ok} {n} - {}{directive}", escaped(outcome.id));
    out.push_str("      ---\n");
    for (key, value) in yaml {
        // A JSON string is a YAML double-quoted scalar.
        let _ = writeln!(out, "      {key}: {}", serde_json::Value::from(value));
    }
    out.push_str("      ...\n");
}

/// `#` and `\` have a meaning in a description.
fn escaped(text: &str) -> String {
    one_line(text).replace('\\', "\\\\").replace('#', "\\#")
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}
