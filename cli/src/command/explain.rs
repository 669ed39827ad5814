//! `plimsoll explain`: why checks of a recorded run came out as they did, from the facts in the record.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use harness::explain::{Culprit, Diagnosis};
use record::{Event, Verdict};
use serde::Serialize;

use super::judge;
use crate::{
    arguments::{Explain, ExplainFormat},
    complaint::counted,
    error::Error,
    stored_run,
    streams::Streams,
};

/// A check with its verdict and diagnosis.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Explained {
    case: String,
    at: String,
    looks: u64,
    outcome: Verdict,
    known: Option<String>,
    #[serde(skip)]
    on_purpose: bool,
    #[serde(flatten)]
    diagnosis: Diagnosis,
}

pub(super) fn explain(explain: &Explain, state: &Path, streams: &mut Streams) -> Result<u8, Error> {
    let stored = stored_run::read(&explain.run, state)?;
    let all = all(&stored.events)?;
    let chosen: Vec<&Explained> = match &explain.check {
        Some(name) => {
            let pattern = harness::plan::Pattern::new(name);
            all.iter()
                .filter(|one| names(one, &stored.events).iter().any(|n| pattern.matches(n)))
                .collect()
        }
        // What a proof broke on purpose is no failure that wants explaining, unless it is asked for.
        None => all
            .iter()
            .filter(|one| matches!(one.outcome, Verdict::Fail { .. }) && one.known.is_none() && !one.on_purpose)
            .collect(),
    };
    if let (Some(name), true) = (&explain.check, chosen.is_empty()) {
        return Err(Error::NoSuchCheck(name.clone()));
    }
    if explain.format == ExplainFormat::Json {
        let mut text = serde_json::to_string_pretty(&chosen).map_err(|source| Error::Write(source.into()))?;
        text.push('\n');
        streams.out(&text)?;
        return Ok(0);
    }
    let record = stored.path.display().to_string();
    let mut out = String::new();
    if chosen.is_empty() {
        out.push_str("no check failed; name one as TEST.CHECK to see why it holds\n");
    } else if explain.check.is_some() {
        for one in &chosen {
            whole(&mut out, one, &record);
        }
    } else {
        grouped(&mut out, &chosen, &record);
    }
    streams.out(&out)?;
    Ok(0)
}

/// Every check that the record has a verdict of, judged again.
fn all(events: &[Event]) -> Result<Vec<Explained>, Error> {
    let cases = judge::cases(events)?;
    let of_cases = judge::by_case(events);
    let mut all = Vec::new();
    for event in events {
        let Event::Case(header) = event else { continue };
        let case = cases
            .get(&header.id)
            .ok_or_else(|| Error::RecordedCase(header.id.clone()))?;
        let events = of_cases.get(header.id.as_str()).map(Vec::as_slice).unwrap_or_default();
        let judged = harness::judge::case(case, events);
        let mut diagnoses: BTreeMap<String, Diagnosis> = harness::explain::case(case, events, &judged)
            .into_iter()
            .map(|diagnosis| (diagnosis.check.clone(), diagnosis))
            .collect();
        for one in judged {
            let Some(diagnosis) = diagnoses.remove(&one.check) else {
                continue;
            };
            let found = header.checks.iter().find(|check| check.id == one.check);
            all.push(Explained {
                case: header.id.clone(),
                at: found.map(|check| check.at.clone()).unwrap_or_default(),
                looks: one.looks,
                outcome: one.verdict,
                known: case.known.get(&one.check).cloned(),
                on_purpose: header.broken_on_purpose(),
                diagnosis,
            });
        }
    }
    Ok(all)
}

/// The names by which a check may be asked for: with its test or its case in front, or alone.
fn names(one: &Explained, events: &[Event]) -> Vec<String> {
    let check = &one.diagnosis.check;
    let mut names = vec![check.clone(), format!("{}.{check}", one.case)];
    if let Some((case, _)) = one.case.rsplit_once('@') {
        names.push(format!("{case}.{check}"));
    }
    let header = events.iter().find_map(|event| match event {
        Event::Case(header) if header.id == one.case => Some(header),
        _ => None,
    });
    if let Some(header) = header {
        names.push(format!("{}.{check}", header.test));
        names.push(header.test.clone());
    }
    names.push(one.case.clone());
    names
}

/// One check with all that is known of it.
fn whole(out: &mut String, one: &Explained, record: &str) {
    head(out, one);
    let mut lines: Vec<(&str, String)> = Vec::new();
    match &one.outcome {
        Verdict::Pass { seen } => {
            lines.push(("observed", seen.clone()));
            lines.push((
                "holds",
                format!(
                    "in {}, each of which saw what is expected",
                    counted(usize::try_from(one.looks).unwrap_or(usize::MAX), "look")
                ),
            ));
        }
        Verdict::Fail { want, got, because } => {
            lines.push(("expected", want.clone()));
            lines.push(("observed", got.clone()));
            match because {
                Some(because) => lines.push(("because", because.clone())),
                None => lines.push(("because", "the facts in the record do not tell".into())),
            }
        }
        Verdict::Skip { requirement, seen, .. } => lines.push(("skipped", format!("{requirement} ({seen})"))),
        Verdict::Inconclusive { n, more, .. } => lines.push(("open", format!("{n} samples do not decide; {more}"))),
        Verdict::Error { message } => lines.push(("not measured", message.clone())),
    }
    if matches!(one.outcome, Verdict::Fail { .. }) {
        lines.push(("fault of", culprit(one.diagnosis.culprit).into()));
    }
    if let Some(at) = &one.diagnosis.asked_at {
        lines.push(("asked at", at.clone()));
    }
    for (n, fact) in one.diagnosis.chain.iter().enumerate() {
        lines.push((if n == 0 { "facts" } else { "" }, fact.clone()));
    }
    if !one.diagnosis.also.is_empty() {
        lines.push(("also", format!("{} for the same cause", one.diagnosis.also.join(", "))));
    }
    if !one.diagnosis.missing.is_empty() {
        lines.push((
            "missing",
            format!("not in the record: {}", one.diagnosis.missing.join(", ")),
        ));
    }
    lines.push(("evidence", record.to_owned()));
    for (name, text) in lines {
        let _ = writeln!(out, "  {name:<8}  {}", text.replace('\n', "\n            "));
    }
}

fn head(out: &mut String, one: &Explained) {
    if !out.is_empty() {
        out.push('\n');
    }
    let _ = writeln!(
        out,
        "{}  {} › {}  {}",
        one.outcome.word().to_uppercase(),
        one.case,
        one.diagnosis.check,
        one.at
    );
}

fn culprit(culprit: Culprit) -> &'static str {
    match culprit {
        Culprit::Subject => "the subject, which did not do what it was asked for",
        Culprit::Request => "the request, which is not what the check wants",
        Culprit::Host => "the host, which does not let it be",
        Culprit::Workload => "the workload, by what it did or what was done to it",
        Culprit::Unknown => "not known",
    }
}

/// Failures by cause, the most common cause first; each cause with the facts of its first check.
fn grouped(out: &mut String, chosen: &[&Explained], record: &str) {
    let mut groups: Vec<(String, Vec<&Explained>)> = Vec::new();
    for one in chosen {
        // What differs from run to run, such as an inode, makes no other cause.
        let cause = cause(one);
        match groups.iter_mut().find(|(known, _)| *known == cause) {
            Some((_, members)) => members.push(one),
            None => groups.push((cause, vec![one])),
        }
    }
    groups.sort_by_key(|(_, members)| std::cmp::Reverse(members.len()));
    let _ = writeln!(
        out,
        "{} failed for {}\n",
        counted(chosen.len(), "check"),
        counted(groups.len(), "cause")
    );
    for (n, (_, members)) in groups.iter().enumerate() {
        if n > 0 {
            out.push('\n');
        }
        let mut text = String::new();
        whole(&mut text, members[0], record);
        out.push_str(&text);
        if members.len() > 1 {
            let _ = writeln!(
                out,
                "  {:<8}  {} for the same cause:",
                "group",
                counted(members.len(), "check")
            );
            for other in &members[1..] {
                let _ = writeln!(
                    out,
                    "            {} › {}  {}",
                    other.case, other.diagnosis.check, other.at
                );
            }
        }
    }
}

/// The cause without the numbers of this run.
fn cause(one: &Explained) -> String {
    if one.diagnosis.because.is_empty() {
        return format!("{}.{}", one.case, one.diagnosis.check);
    }
    let mut text = String::new();
    let mut digits = 0;
    for c in one.diagnosis.because.chars() {
        if c.is_ascii_digit() {
            digits += 1;
            if digits == 1 {
                text.push('#');
            }
        } else {
            digits = 0;
            text.push(c);
        }
    }
    text
}
