//! What a proof came to: which checks were shown to be able to fail, and by which faults.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use record::{CheckProof, Depth, Event, FaultEffect, ProofScore, Resolution, Standing, SubjectInfo};
use serde::Serialize;

use crate::{ReportError, run::Run, table::duration};

/// How the proof is told.
#[derive(Debug, Clone, Default)]
pub struct Form {
    /// The whole matrix of checks and faults.
    pub verbose: bool,
    /// With ANSI colours.
    pub colour: bool,
    /// Where the record lies.
    pub record: Option<String>,
}

/// The score in one line, for reports of runs.
pub(crate) fn sentence(score: &ProofScore) -> String {
    let all = score.proven + score.unproven + score.waived + score.skipped + score.unknown;
    let mut line = format!("proof: {} of {all} checks shown to be able to fail", score.proven);
    if score.unproven > 0 {
        let _ = write!(line, ", {} unproven", score.unproven);
    }
    if score.waived > 0 {
        let _ = write!(line, ", {} waived", score.waived);
    }
    if score.skipped > 0 {
        let _ = write!(line, ", {} skipped", score.skipped);
    }
    if score.unknown > 0 {
        let _ = write!(
            line,
            ", {} without a proof that still holds (`plimsoll prove`)",
            score.unknown
        );
    }
    line
}

/// Version of the JSON document; it rises when a field changes its meaning.
const VERSION: u32 = 1;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    version: u32,
    run: &'a str,
    started: &'a str,
    plimsoll: &'a str,
    subjects: &'a [SubjectInfo],
    exit: Option<u8>,
    took: Option<f64>,
    score: ProofScore,
    /// Changes of the host while broken runtimes were at work; there must be none.
    host: Vec<&'a str>,
    faults: BTreeMap<&'a str, FaultCount>,
    checks: Vec<&'a CheckProof>,
}

/// What became of one fault of the subject over all cases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct FaultCount {
    /// Cases in which it changed something.
    cases: usize,
    /// Of these, cases in which a check failed.
    caught: usize,
}

fn proofs(events: &[Event]) -> Vec<&CheckProof> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Proof(proof) => Some(proof.as_ref()),
            _ => None,
        })
        .collect()
}

fn score(events: &[Event]) -> ProofScore {
    let score = |event: &Event| match event {
        Event::ProofScore(score) => Some(*score),
        _ => None,
    };
    events.iter().find_map(score).unwrap_or_default()
}

fn host(events: &[Event]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Evidence { case, name, text } if case.is_empty() && name == "host" => Some(text.as_str()),
            _ => None,
        })
        .collect()
}

fn counts<'a>(proofs: &[&'a CheckProof]) -> BTreeMap<&'a str, FaultCount> {
    let mut seen: BTreeMap<&str, BTreeMap<&str, bool>> = BTreeMap::new();
    for proof in proofs {
        for row in &proof.faults {
            if row.depth == Depth::Subject && row.effect != FaultEffect::NotApplied {
                let caught = matches!(row.effect, FaultEffect::Caught | FaultEffect::Gone);
                *seen.entry(&row.fault).or_default().entry(&proof.case).or_default() |= caught;
            }
        }
    }
    let count = |cases: BTreeMap<&str, bool>| FaultCount {
        cases: cases.len(),
        caught: cases.values().filter(|caught| **caught).count(),
    };
    seen.into_iter().map(|(fault, cases)| (fault, count(cases))).collect()
}

/// One JSON document for programs.
///
/// # Errors
/// [`ReportError`] if the events are not those of a run.
pub fn json(events: &[Event]) -> Result<String, ReportError> {
    let run = Run::of(events).ok_or(ReportError::NotARun)?;
    let checks = proofs(events);
    let document = Document {
        version: VERSION,
        run: run.id,
        started: run.started,
        plimsoll: run.plimsoll,
        subjects: run.subjects,
        exit: run.exit,
        took: run.took,
        score: score(events),
        host: host(events),
        faults: counts(&checks),
        checks,
    };
    let mut text = serde_json::to_string_pretty(&document).map_err(ReportError::Json)?;
    text.push('\n');
    Ok(text)
}

/// For people at a terminal: the score first, then what is to be done.
pub fn table(events: &[Event], form: &Form) -> String {
    let mut out = String::new();
    let proofs = proofs(events);
    let run = Run::of(events);
    if let Some(run) = &run {
        let subjects: Vec<&str> = run.subjects.iter().map(|subject| subject.name.as_str()).collect();
        let _ = writeln!(
            out,
            "proof {} · plimsoll {} · Linux {} · {}",
            run.id,
            run.plimsoll,
            run.host.kernel,
            subjects.join(", ")
        );
    }
    if form.verbose {
        matrices(&mut out, &proofs);
    }
    unproven(&mut out, &proofs, form);
    unjudged(&mut out, &proofs, form);
    waived(&mut out, &proofs);
    resolutions(&mut out, &proofs);
    survivors(&mut out, &proofs);
    for difference in host(events) {
        let _ = writeln!(out, "\n{}  the host is not as it was: {difference}", red("HARM", form));
    }
    foot(&mut out, events, &proofs, run.as_ref(), form);
    out
}

fn red(text: &str, form: &Form) -> String {
    if form.colour {
        format!("\x1b[31;1m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

fn unproven(out: &mut String, proofs: &[&CheckProof], form: &Form) {
    for proof in proofs {
        let Standing::Unproven { why } = &proof.standing else {
            continue;
        };
        let _ = writeln!(
            out,
            "\n{}  {} › {}  {}",
            red("UNPROVEN", form),
            proof.case,
            proof.check,
            proof.at
        );
        let _ = writeln!(out, "  because   {why}");
        let missed: Vec<&str> = proof
            .faults
            .iter()
            .filter(|row| row.effect == FaultEffect::Survived)
            .map(|row| row.fault.as_str())
            .collect();
        if !missed.is_empty() {
            let _ = writeln!(out, "  passes under  {}", missed.join(", "));
        }
    }
}

fn unjudged(out: &mut String, proofs: &[&CheckProof], form: &Form) {
    let mut words: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for proof in proofs {
        if let Standing::Unjudged { healthy } = &proof.standing {
            words
                .entry(healthy)
                .or_default()
                .push(format!("{} › {}", proof.case, proof.check));
        }
    }
    for (word, checks) in words {
        let title = if word == "skip" {
            "SKIP".to_owned()
        } else {
            red(&word.to_uppercase(), form)
        };
        let _ = writeln!(out, "\n{title}  without a fault, so that nothing can be concluded");
        for check in checks {
            let _ = writeln!(out, "  {check}");
        }
    }
}

fn waived(out: &mut String, proofs: &[&CheckProof]) {
    let mut first = true;
    for proof in proofs {
        if let Standing::Waived { reason } = &proof.standing {
            if std::mem::take(&mut first) {
                let _ = writeln!(out, "\nWAIVED");
            }
            let _ = writeln!(out, "  {} › {}: {reason}", proof.case, proof.check);
        }
    }
}

fn resolutions(out: &mut String, proofs: &[&CheckProof]) {
    let told: Vec<(&CheckProof, &Resolution)> = proofs
        .iter()
        .flat_map(|proof| proof.resolution.iter().map(|resolution| (*proof, resolution)))
        .collect();
    if told.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nRESOLUTION  how wrong a number may be before it is seen");
    for (proof, resolution) in told {
        let part = |percent: Option<i32>, what: &Option<String>| {
            percent.map(|percent| match what {
                Some(what) => format!("{percent:+} % ({what})"),
                None => format!("{percent:+} %"),
            })
        };
        let tells = part(resolution.tells, &resolution.tells_what).unwrap_or_default();
        let misses =
            part(resolution.misses, &resolution.misses_what).map_or_else(String::new, |m| format!(", not {m}"));
        let _ = writeln!(
            out,
            "  {} › {}: {} tells {tells}{misses}",
            proof.case, proof.check, resolution.of
        );
    }
}

/// Faults that nothing saw anywhere, although they changed something.
fn survivors(out: &mut String, proofs: &[&CheckProof]) {
    let survivors: Vec<(&str, FaultCount)> = counts(proofs)
        .into_iter()
        .filter(|(_, count)| count.caught == 0)
        .collect();
    if survivors.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nSURVIVORS  faults of the subject that no check saw");
    for (fault, count) in survivors {
        let _ = writeln!(out, "  {fault} (in {} cases)", count.cases);
    }
}

/// For each case, its checks against its faults.
fn matrices(out: &mut String, proofs: &[&CheckProof]) {
    let mut cases: Vec<(&str, Vec<&CheckProof>)> = Vec::new();
    for proof in proofs {
        match cases.last_mut() {
            Some((case, list)) if *case == proof.case => list.push(proof),
            _ => cases.push((&proof.case, vec![proof])),
        }
    }
    for (case, checks) in cases {
        let _ = writeln!(out, "\n{case}");
        let mut faults: Vec<(Depth, &str)> = Vec::new();
        let mut known = BTreeSet::new();
        for row in checks.iter().flat_map(|check| &check.faults) {
            if known.insert((row.depth, row.fault.as_str())) {
                faults.push((row.depth, &row.fault));
            }
        }
        let width = faults.iter().map(|(_, fault)| fault.chars().count()).max().unwrap_or(0);
        for (depth, fault) in &faults {
            let letters: String = checks
                .iter()
                .map(|check| {
                    let row = check
                        .faults
                        .iter()
                        .find(|row| row.depth == *depth && row.fault == *fault);
                    row.map_or(' ', |row| row.effect.letter())
                })
                .collect();
            if letters.trim().is_empty() {
                continue;
            }
            let depth = match depth {
                Depth::SetUp => "set-up ",
                Depth::Subject => "subject",
            };
            let _ = writeln!(out, "  {depth} {fault:<width$}  {letters}");
        }
        for (n, check) in checks.iter().enumerate() {
            let word = match &check.standing {
                Standing::Proven => "proven",
                Standing::Unproven { .. } => "UNPROVEN",
                Standing::Waived { .. } => "waived",
                Standing::Unjudged { .. } => "not judged",
            };
            let _ = writeln!(
                out,
                "  {:>width$}  {}^ {} {word}",
                "",
                " ".repeat(n),
                check.check,
                width = width + 8
            );
        }
    }
    let _ = writeln!(
        out,
        "\nx failed, g nothing to look at, . passed, ? inconclusive, s not come to, E not measured"
    );
}

fn foot(out: &mut String, events: &[Event], proofs: &[&CheckProof], run: Option<&Run<'_>>, form: &Form) {
    let score = score(events);
    let all = score.proven + score.unproven + score.waived + score.skipped + score.unknown;
    let mut line = format!("{} of {all} checks proven", score.proven);
    if let Some(share) = score.share() {
        let _ = write!(line, " ({:.1} %)", share * 100.0);
    }
    for (count, word) in [
        (score.unproven, "unproven"),
        (score.waived, "waived"),
        (score.skipped, "skipped"),
        (score.unknown, "not judged"),
    ] {
        if count > 0 {
            let _ = write!(line, ", {count} {word}");
        }
    }
    let counts = counts(proofs);
    let caught = counts.values().filter(|count| count.caught > 0).count();
    let _ = write!(line, " · {caught} of {} faults of the subject caught", counts.len());
    let stored = proofs.iter().filter(|proof| proof.stored).count();
    if stored > 0 {
        let _ = write!(line, " · {stored} checks from stored proofs");
    }
    if let Some((exit, took)) = run.and_then(|run| Some((run.exit?, run.took?))) {
        let _ = write!(line, " · {} · exit {exit}", duration(took));
    }
    let _ = writeln!(out, "\n{line}");
    if let Some(record) = &form.record {
        let _ = writeln!(out, "record {record}");
    }
}
