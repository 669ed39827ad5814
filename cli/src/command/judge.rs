//! `plimsoll judge`: the verdicts of a record, computed again from its own specs and looks.

use std::{collections::BTreeMap, path::Path};

use harness::plan::{self, Case, SpecFile};
use record::{Event, Tally};

use super::{OFFERED, tell};
use crate::{arguments::Judge, complaint::counted, error::Error, stored_run, streams::Streams};

pub(super) fn judge(judge: &Judge, state: &Path, streams: &mut Streams) -> Result<u8, Error> {
    let stored = stored_run::read(&judge.run, state)?;
    let judged = again(&stored.events)?;
    tell(&judged.events, &judge.report, Some(&stored.path), streams)?;
    if judged.changed > 0 {
        streams.err(&format!(
            "{} differ from the verdicts in the record",
            counted(judged.changed, "verdict")
        ));
    }
    Ok(judged.exit)
}

struct Judged {
    /// The record with its verdicts, counts and exit code computed anew.
    events: Vec<Event>,
    exit: u8,
    /// How many verdicts are not those of the record.
    changed: usize,
}

fn again(recorded: &[Event]) -> Result<Judged, Error> {
    let cases = cases(recorded)?;
    let mut events = Vec::with_capacity(recorded.len());
    let mut tally = Tally::default();
    let mut recorded_tally = Tally::default();
    let (mut changed, mut ended) = (0, None);
    let mut open: Vec<&str> = Vec::new();
    let mut close = |id: &str, events: &mut Vec<Event>| -> Result<(), Error> {
        let case = cases.get(id).ok_or_else(|| Error::RecordedCase(id.to_owned()))?;
        for verdict in harness::judge::verdicts(case, recorded) {
            if let Event::Verdict { verdict, known, .. } = &verdict {
                tally.count(verdict, known.is_some());
            }
            changed += usize::from(!recorded.contains(&verdict));
            events.push(verdict);
        }
        Ok(())
    };
    for event in recorded {
        match event {
            Event::Case(header) => {
                open.push(&header.id);
                events.push(event.clone());
            }
            Event::Verdict { verdict, known, .. } => recorded_tally.count(verdict, known.is_some()),
            Event::CaseEnd { case, .. } => {
                close(case, &mut events)?;
                open.retain(|id| id != case);
                events.push(event.clone());
            }
            Event::RunEnd { exit, took, .. } => ended = Some((*exit, *took)),
            Event::Run { .. }
            | Event::Spec { .. }
            | Event::Step { .. }
            | Event::Act { .. }
            | Event::Look { .. }
            | Event::Broken { .. }
            | Event::Unmet { .. }
            | Event::Evidence { .. } => events.push(event.clone()),
        }
    }
    // Of a case that was cut short, as far as it went.
    for id in open {
        close(id, &mut events)?;
    }
    let exit = match ended {
        // The verdicts alone did not make this exit code: the run was interrupted, and still proves nothing.
        Some((exit, _)) if exit != recorded_tally.exit_code() => exit,
        Some(_) => tally.exit_code(),
        None => 3,
    };
    if let Some((_, took)) = ended {
        events.push(Event::RunEnd { exit, tally, took });
    }
    Ok(Judged { events, exit, changed })
}

/// Every case that the recorded specs make, by id.
fn cases(recorded: &[Event]) -> Result<BTreeMap<String, Case>, Error> {
    let mut files = Vec::new();
    let mut subjects = Vec::new();
    for event in recorded {
        match event {
            Event::Run { subjects: all, .. } => subjects.extend(all.iter().map(|subject| subject.name.clone())),
            Event::Spec { file, sha256, text } => files.push(SpecFile {
                path: file.clone(),
                sha256: sha256.clone(),
                loaded: spec::load(text, file),
                text: text.clone(),
            }),
            Event::Case(_)
            | Event::Step { .. }
            | Event::Act { .. }
            | Event::Look { .. }
            | Event::Broken { .. }
            | Event::Unmet { .. }
            | Event::Evidence { .. }
            | Event::Verdict { .. }
            | Event::CaseEnd { .. }
            | Event::RunEnd { .. } => {}
        }
    }
    let everything = plan::Selection {
        sabotage: plan::Sabotaging::Each,
        ..plan::Selection::default()
    };
    let plan = plan::expand(&files, &everything, &subjects, &OFFERED).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Error::RecordedSpec(faults.join("; "))
    })?;
    Ok(plan
        .cases
        .into_iter()
        .map(|case| (case.header.id.clone(), case))
        .collect())
}
