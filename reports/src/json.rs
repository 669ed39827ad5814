//! One JSON document for programs.

use std::collections::BTreeMap;

use record::bench::Figures;
use record::{Drift, Flaky, Host, Overdrawn, ProofScore, SubjectInfo, Tally, Vanished, Verdict};
use serde::Serialize;
use serde_json::Value;

use crate::{
    ReportError,
    run::{Run, Word},
};

/// Version of this document; it rises when a field changes its meaning.
const VERSION: u32 = 1;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    version: u32,
    run: &'a str,
    started: &'a str,
    plimsoll: &'a str,
    host: &'a Host,
    subjects: &'a [SubjectInfo],
    exit: Option<u8>,
    took: Option<f64>,
    tally: Tally,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    overdrawn: Vec<Overdrawn>,
    /// How many checks were shown to be able to fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<ProofScore>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    drift: &'a [&'a Drift],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    vanished: &'a [&'a Vanished],
    cases: Vec<CaseDocument<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CaseDocument<'a> {
    id: &'a str,
    test: &'a str,
    file: &'a str,
    description: &'a str,
    labels: &'a BTreeMap<String, String>,
    matrix: &'a BTreeMap<String, Value>,
    subject: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sabotage: Option<&'a str>,
    took: Option<f64>,
    overhead: Option<f64>,
    leftovers: &'a [&'a str],
    /// Ids of the attempts in the record.
    #[serde(skip_serializing_if = "is_one")]
    attempts: &'a [&'a str],
    checks: Vec<CheckDocument<'a>>,
    /// Of a case of a benchmark.
    #[serde(skip_serializing_if = "Option::is_none")]
    figures: Option<&'a Figures>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CheckDocument<'a> {
    id: &'a str,
    at: &'a str,
    about: &'a str,
    looks: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    known: Option<&'a str>,
    /// Other failed checks of the case with the same cause.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flaky: Option<Flaky>,
    /// Of a flaky check that is green, the last verdict that was no pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a Verdict>,
    /// Of a flaky check that is red, the pass at last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pass: Option<&'a Verdict>,
    /// `null` if the run ended before there was a verdict.
    outcome: Option<&'a Verdict>,
}

fn is_one(attempts: &&[&str]) -> bool {
    attempts.len() < 2
}

pub(crate) fn json(run: &Run<'_>) -> Result<String, ReportError> {
    let cases = run
        .cases
        .iter()
        .map(|case| CaseDocument {
            id: &case.header.id,
            test: &case.header.test,
            file: &case.header.file,
            description: &case.header.description,
            labels: &case.header.labels,
            matrix: &case.header.matrix,
            subject: &case.header.subject,
            sabotage: case.header.sabotage.as_deref(),
            took: case.took.map(|(took, _)| took),
            overhead: case.took.map(|(_, overhead)| overhead),
            leftovers: &case.leftovers,
            attempts: &case.attempts,
            figures: case.figures,
            checks: case
                .outcomes
                .iter()
                .map(|outcome| CheckDocument {
                    id: outcome.id,
                    at: outcome.at,
                    about: outcome.about,
                    looks: outcome.looks,
                    known: outcome.known,
                    also: case.also(outcome),
                    flaky: outcome.flaky,
                    failure: outcome.failure.filter(|_| outcome.word() != Word::Flaky),
                    pass: outcome.verdict.filter(|_| outcome.word() == Word::Flaky),
                    outcome: match outcome.word() {
                        Word::Flaky => outcome.failure,
                        _ => outcome.verdict,
                    },
                })
                .collect(),
        })
        .collect();
    let document = Document {
        version: VERSION,
        run: run.id,
        started: run.started,
        plimsoll: run.plimsoll,
        host: run.host,
        subjects: run.subjects,
        exit: run.exit,
        took: run.took,
        tally: run.tally,
        overdrawn: run.overdrawn(),
        proof: run.proof,
        drift: &run.drifts,
        vanished: &run.vanished,
        cases,
    };
    let mut text = serde_json::to_string_pretty(&document).map_err(ReportError::Json)?;
    text.push('\n');
    Ok(text)
}
