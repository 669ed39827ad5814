//! The verdict table for people at a terminal.

use std::{collections::BTreeMap, fmt::Write as _};

use record::bench::Figure;
use record::{Flaky, SubjectInfo, Verdict};
use tabled::{
    builder::Builder,
    settings::{Alignment, Padding, Style, object::Columns},
};

use crate::{
    drift::drift_lines,
    floors::floors,
    past::Past,
    run::{Case, Outcome, Run, Word},
    telling::{counted, counts, lines},
};

/// How the table looks, and what the page tells beside the run.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// With ANSI colours.
    pub colour: bool,
    /// Passes are listed with what was seen.
    pub passes: bool,
    /// Where the record lies, for the `evidence` lines.
    pub record: Option<String>,
    /// What benchmarks of the run measured in earlier runs.
    pub pasts: Vec<Past>,
}

pub(crate) fn table(run: &Run<'_>, look: &Look) -> String {
    let mut out = String::new();
    head(&mut out, run);
    cases(&mut out, run, look);
    figures(&mut out, run);
    floors(&mut out, run);
    for (case, outcome) in run.outcomes() {
        detail(&mut out, run, case, outcome, look);
    }
    leftovers(&mut out, run);
    known(&mut out, run, look);
    skips(&mut out, run, look);
    drifts(&mut out, run, look);
    foot(&mut out, run, look);
    out
}

/// Milliseconds as a person reads them.
pub(crate) fn duration(milliseconds: f64) -> String {
    if milliseconds < 1000.0 {
        format!("{milliseconds:.0}ms")
    } else if milliseconds < 60_000.0 {
        format!("{:.1}s", milliseconds / 1000.0)
    } else {
        let seconds = (milliseconds / 1000.0).round() as u64;
        format!("{}m{:02}s", seconds / 60, seconds % 60)
    }
}

pub(crate) fn paint(word: Word, text: &str, look: &Look) -> String {
    if !look.colour {
        return text.to_owned();
    }
    let code = match word {
        Word::Pass => "32",
        Word::Skip | Word::Known | Word::Allowed => "33",
        Word::Inconclusive => "35",
        Word::Unexpected | Word::Flaky | Word::Fail | Word::Error => "31;1",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

fn head(out: &mut String, run: &Run<'_>) {
    let host = run.host;
    let subjects: Vec<String> = run
        .subjects
        .iter()
        .map(|subject| match subject.version.as_str() {
            "" => subject.name.clone(),
            version => format!("{} ({version})", subject.name),
        })
        .collect();
    let _ = writeln!(
        out,
        "run {} · plimsoll {} · Linux {} {}, {} CPUs, cgroup {}, uid {} · {}\n",
        run.id,
        run.plimsoll,
        host.kernel,
        host.machine,
        host.cpus,
        host.cgroup,
        host.uid,
        subjects.join(", ")
    );
}

fn cases(out: &mut String, run: &Run<'_>, look: &Look) {
    if run.cases.is_empty() {
        return;
    }
    let mut builder = Builder::default();
    builder.push_record(["", "case", "checks", "time"]);
    for case in &run.cases {
        let green = case.count(Word::Pass);
        let mut checks = format!("{green}/{}", case.outcomes.len());
        for (word, name) in [
            (Word::Fail, "failed"),
            (Word::Error, "in error"),
            (Word::Unexpected, "passed unexpectedly"),
            (Word::Flaky, "flaky"),
            (Word::Inconclusive, "inconclusive"),
            (Word::Allowed, "flaky as allowed"),
            (Word::Known, "known"),
            (Word::Skip, "skipped"),
        ] {
            let count = case.count(word);
            if count > 0 {
                let _ = write!(checks, ", {count} {name}");
            }
        }
        let took = case
            .took
            .map_or_else(|| "cut short".to_owned(), |(took, _)| duration(took));
        builder.push_record([case.word().text(), &case.header.id, &checks, &took]);
    }
    let mut table = builder.build();
    table
        .with(Style::blank())
        .with(Padding::new(0, 1, 0, 0))
        .modify(Columns::last(), Alignment::right());
    let text = table.to_string();
    for (n, line) in text.lines().enumerate() {
        let line = line.trim_end();
        match (n.checked_sub(1).map(|n| &run.cases[n]), look.colour) {
            (Some(case), true) => {
                let word = case.word();
                let _ = writeln!(
                    out,
                    "{}",
                    line.replacen(word.text(), &paint(word, word.text(), look), 1)
                );
            }
            _ => {
                let _ = writeln!(out, "{line}");
            }
        }
    }
}

/// What the samples of benchmarks come to: each figure with the interval around it.
fn figures(out: &mut String, run: &Run<'_>) {
    let measured: Vec<_> = run
        .cases
        .iter()
        .filter_map(|case| Some((case, case.figures?)))
        .collect();
    if measured.is_empty() {
        return;
    }
    let mut builder = Builder::default();
    builder.push_record(["case", "measure", "unit", "samples", "p50", "p90", "p99"]);
    for (case, figures) in &measured {
        for measure in &figures.measures {
            let found = |name: &str| {
                let figure = measure.figures.iter().find(|figure| figure.name == name);
                figure.map_or_else(String::new, Figure::to_string)
            };
            let samples = match figures.failures {
                0 => figures.samples.to_string(),
                failures => format!("{}, {failures} failed", figures.samples),
            };
            let (p50, p90, p99) = (found("p50"), found("p90"), found("p99"));
            let words = [
                &case.header.id,
                &measure.name,
                &measure.unit,
                &samples,
                &p50,
                &p90,
                &p99,
            ];
            builder.push_record(words.map(String::as_str));
        }
    }
    let mut table = builder.build();
    table.with(Style::blank()).with(Padding::new(0, 2, 0, 0));
    let _ = writeln!(out);
    for line in table.to_string().lines() {
        let _ = writeln!(out, "{}", line.trim_end());
    }
    let mut notes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (case, figures) in &measured {
        for note in &figures.notes {
            notes.entry(note).or_default().push(case.header.id.clone());
        }
    }
    for (note, cases) in notes {
        let of = if cases.len() == measured.len() {
            String::new()
        } else {
            format!(" ({})", listed(&cases))
        };
        let _ = writeln!(out, "note: {note}{of}");
    }
}

/// The failure message of a check, or, if asked for, what a passed one saw.
fn detail(out: &mut String, run: &Run<'_>, case: &Case<'_>, outcome: &Outcome<'_>, look: &Look) {
    let word = outcome.word();
    let title = format!("{} › {}", case.header.id, outcome.id);
    let place = if outcome.at.is_empty() {
        case.header.file.as_str()
    } else {
        outcome.at
    };
    match (outcome.failure.or(outcome.verdict), word) {
        (Some(Verdict::Pass { .. }), Word::Unexpected) => {}
        (Some(Verdict::Pass { seen }), _) => {
            if look.passes {
                let _ = writeln!(out, "\n{}  {title}  {place}", paint(word, word.text(), look));
                let _ = writeln!(out, "  observed  {seen}");
            }
            return;
        }
        (Some(Verdict::Fail { .. }), Word::Known) | (Some(Verdict::Skip { .. }), _) => return,
        _ => {}
    }
    let mut lines = lines(run, case, outcome);
    if !case.evidence.is_empty() {
        let names = kinds(&case.evidence);
        let record = look
            .record
            .clone()
            .unwrap_or_else(|| format!(".plimsoll/runs/{}/run.jsonl", run.id));
        lines.push(("evidence", format!("{record} ({names})")));
    }
    lines.push(("re-run", rerun(run, case)));
    let _ = writeln!(out, "\n{}  {title}  {place}", paint(word, word.text(), look));
    for (name, text) in lines {
        let _ = writeln!(out, "  {name:<8}  {}", text.replace('\n', "\n            "));
    }
}

/// Names of the evidence, those of one workload or process together: `15 texts of app, host.{status,namespaces}`.
fn kinds(names: &[&str]) -> String {
    const SHOWN: usize = 4;
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for name in names {
        let (who, what) = name.split_once('.').unwrap_or((name, ""));
        match groups.iter_mut().find(|(known, _)| *known == who) {
            Some((_, kinds)) => kinds.push(what),
            None => groups.push((who, vec![what])),
        }
    }
    let told: Vec<String> = groups
        .iter()
        .map(|(who, kinds)| match kinds.as_slice() {
            [""] => (*who).to_owned(),
            [what] => format!("{who}.{what}"),
            all if all.len() <= SHOWN => format!("{who}.{{{}}}", all.join(",")),
            all => format!("{} of {who}", counted(all.len() as u64, "text")),
        })
        .collect();
    told.join(", ")
}

/// The command that runs a case again.
pub(crate) fn rerun(run: &Run<'_>, case: &Case<'_>) -> String {
    // What is compared with what, nothing but the command itself says.
    if case.header.checks.iter().any(|check| check.about == "gate") {
        let words = run.argv.iter().skip(1).map(|word| shell(word));
        let words: Vec<String> = std::iter::once("plimsoll".to_owned()).chain(words).collect();
        return words.join(" ");
    }
    let is_benchmark = case.header.checks.iter().any(|check| check.about == "benchmark");
    let verb = if is_benchmark { "bench" } else { "run" };
    let mut command = format!("plimsoll {verb} {}", shell(&case.header.file));
    let id = case
        .header
        .id
        .rsplit_once('@')
        .map_or(case.header.id.as_str(), |(id, _)| id);
    let _ = write!(command, " --only {}", shell(id));
    if let Some(subject) = run.subjects.iter().find(|s| s.name == case.header.subject)
        && (subject.name != "bundled" || subject.argv.len() != 2)
    {
        let _ = write!(command, " --subject {}", selected(subject));
    }
    if let Some(sabotage) = &case.header.sabotage {
        let _ = write!(command, " --sabotage {}", shell(sabotage));
    }
    command
}

/// What `--subject` takes for it, and behind it what else is needed.
fn selected(subject: &SubjectInfo) -> String {
    let argv: Vec<String> = subject.argv.iter().map(|word| shell(word)).collect();
    let argv = argv.join(" ");
    // These are not programs that a user names.
    match subject.argv.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "cluster", "serve"] => return subject.name.clone(),
        ["--kubeconfig", ..] => return format!("kube {argv}"),
        _ => {}
    }
    let program = subject
        .argv
        .first()
        .map_or("", |program| program.rsplit('/').next().unwrap_or(program));
    if program == subject.name {
        shell(&format!("oci:{argv}"))
    } else {
        shell(&format!("{}=oci:{argv}", subject.name))
    }
}

/// `failed 1 of 2, then passed`, and whether that is red.
pub(crate) fn flaky_text(flaky: Flaky) -> String {
    let allowed = if flaky.allowed { ", which the spec allows" } else { "" };
    format!("flaky {}/{}: failed, then passed{allowed}", flaky.failed, flaky.of)
}

pub(crate) fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:@+".contains(c);
    if word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn leftovers(out: &mut String, run: &Run<'_>) {
    for case in run.cases.iter().filter(|case| !case.leftovers.is_empty()) {
        let _ = writeln!(
            out,
            "\nleft behind by {}: {} (`plimsoll gc` removes it)",
            case.header.id,
            case.leftovers.join(", ")
        );
    }
}

fn known(out: &mut String, run: &Run<'_>, look: &Look) {
    let mut groups: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (case, outcome) in run.outcomes() {
        if outcome.word() == Word::Known
            && let Some(reason) = outcome.known
        {
            groups
                .entry(reason)
                .or_default()
                .push(format!("{} › {}", case.header.id, outcome.id));
        }
    }
    if !groups.is_empty() {
        let _ = writeln!(out, "\n{}  failed as the specs say", paint(Word::Known, "KNOWN", look));
    }
    for (reason, checks) in groups {
        let _ = writeln!(out, "  {reason}: {}", listed(&checks));
    }
}

fn skips(out: &mut String, run: &Run<'_>, look: &Look) {
    let mut groups: BTreeMap<(String, &str), Vec<String>> = BTreeMap::new();
    for (case, outcome) in run.outcomes() {
        if let Some(Verdict::Skip { requirement, seen, .. }) = outcome.verdict {
            groups
                .entry((requirement.clone(), seen))
                .or_default()
                .push(format!("{} › {}", case.header.id, outcome.id));
        }
    }
    if !groups.is_empty() {
        let _ = writeln!(out, "\n{}  not looked at", paint(Word::Skip, "SKIP", look));
    }
    for ((requirement, seen), checks) in groups {
        let _ = writeln!(out, "  {} × {requirement} ({seen}): {}", checks.len(), listed(&checks));
    }
}

fn drifts(out: &mut String, run: &Run<'_>, look: &Look) {
    let lines = drift_lines(run);
    if !lines.is_empty() {
        let title = paint(Word::Inconclusive, "DRIFT", look);
        let _ = writeln!(out, "\n{title}  looked at before and not now");
    }
    for line in lines {
        let _ = writeln!(out, "  {line}");
    }
}

pub(crate) fn listed(checks: &[String]) -> String {
    const SHOWN: usize = 4;
    let mut text = checks.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if checks.len() > SHOWN {
        let _ = write!(text, " and {} more", checks.len() - SHOWN);
    }
    text
}

fn foot(out: &mut String, run: &Run<'_>, look: &Look) {
    let counted_words = counts(&run.tally);
    let checks = counted_words.iter().map(|(_, count, _)| count).sum();
    let parts: Vec<String> = counted_words
        .into_iter()
        .map(|(word, count, name)| paint(word, &format!("{count} {name}"), look))
        .collect();
    let counts = if parts.is_empty() {
        "nothing ran".to_owned()
    } else {
        parts.join(", ")
    };
    let end = match (run.exit, run.took) {
        (Some(exit), Some(took)) => format!("{} · exit {exit}", duration(took)),
        _ => "the run did not come to its end".into(),
    };
    let overdrawn = run.overdrawn();
    if !overdrawn.is_empty() {
        out.push('\n');
    }
    for limit in overdrawn {
        let sentence = format!("skip budget exceeded: {limit}");
        let _ = writeln!(out, "{}", paint(Word::Fail, &sentence, look));
    }
    let _ = writeln!(
        out,
        "\n{}, {}: {counts} · {end}",
        counted(run.cases.len() as u64, "case"),
        counted(checks, "check")
    );
    if let Some(proof) = &run.proof {
        let _ = writeln!(out, "{}", crate::proof::sentence(proof));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_told_by_whom_it_is_of() {
        let all = [
            "app.a",
            "app.b",
            "app.c",
            "app.d",
            "app.e",
            "host.status",
            "host.limits",
            "config.json",
            "notes",
        ];
        assert_eq!(kinds(&all), "5 texts of app, host.{status,limits}, config.json, notes");
    }
}
