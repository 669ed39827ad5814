//! `plimsoll judge`: the verdicts of a record, computed again from its own specs and looks.

use std::{collections::BTreeMap, path::Path};

use harness::plan::{self, Case, benchmark::gate};
use record::{CaseHeader, Ending, Event, Ledger, SkipBudget, Tally};

use super::{offer, tell};
use crate::{arguments::Judge, complaint::counted, error::Error, stored_run, streams::Streams};

pub(super) fn judge(judge: &Judge, state: &Path, streams: &mut Streams) -> Result<u8, Error> {
    let stored = stored_run::read(&judge.run, state)?;
    let judged = again(&stored.events)?;
    tell(&judged.events, &judge.report, &stored.path, streams)?;
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
    let budget = match recorded.first() {
        Some(Event::Run { skip_budget, .. }) => skip_budget.clone(),
        Some(_) | None => SkipBudget::default(),
    };
    let mut events = Vec::with_capacity(recorded.len());
    let (mut changed, mut ended) = (0, None);
    let mut open: Vec<&CaseHeader> = Vec::new();
    let of_cases = by_case(recorded);
    let (first, all) = (recorded.first(), recorded);
    let mut close = |header: &CaseHeader, events: &mut Vec<Event>| -> Result<(), Error> {
        let case = cases
            .get(header.base())
            .ok_or_else(|| Error::RecordedCase(header.id.clone()))?;
        let case = Case {
            header: case.header.again(header.attempt),
            ..case.clone()
        };
        let recorded = of_cases.get(header.id.as_str()).map(Vec::as_slice).unwrap_or_default();
        let mut more = Vec::new();
        let recorded = match &case.measured {
            None => recorded,
            Some(measured) => {
                more.extend(first.cloned());
                more.extend_from_slice(recorded);
                let of_test = |event: &&Event| matches!(event, Event::Floor(floor) if floor.test == header.test);
                more.extend(all.iter().filter(of_test).cloned());
                let reference = measured.gate.as_ref().and_then(|gate| gate.reference.as_ref());
                let others = measured.healthy.iter().chain(reference);
                more.extend(others.filter_map(|id| of_cases.get(id.as_str())).flatten().cloned());
                more.as_slice()
            }
        };
        for verdict in harness::judge::verdicts(&case, recorded) {
            changed += usize::from(!recorded.contains(&verdict));
            events.push(verdict);
        }
        Ok(())
    };
    for event in recorded {
        match event {
            Event::Case(header) => {
                open.push(header);
                events.push(event.clone());
            }
            Event::CaseEnd { case, .. } => {
                if let Some(at) = open.iter().position(|header| header.id == *case) {
                    close(open.remove(at), &mut events)?;
                }
                events.push(event.clone());
            }
            Event::RunEnd { exit, took, .. } => ended = Some((*exit, *took)),
            // Computed anew.
            Event::Verdict { .. } | Event::Figures(_) => {}
            Event::Run { .. }
            | Event::Spec { .. }
            | Event::Step { .. }
            | Event::Act { .. }
            | Event::Look { .. }
            | Event::Broken { .. }
            | Event::Unmet { .. }
            | Event::Evidence { .. }
            | Event::Drift(_)
            | Event::Vanished(_)
            | Event::Setting(_)
            | Event::Baseline(_)
            | Event::Sample(_)
            | Event::Floor(_)
            | Event::Proof(_)
            | Event::ProofScore(_) => events.push(event.clone()),
        }
    }
    // Of a case that was cut short, as far as it went.
    for header in open {
        close(header, &mut events)?;
    }
    // What does not come of verdicts is taken as it was.
    let unproven = match recorded.last() {
        Some(Event::RunEnd { tally, .. }) => tally.unproven,
        Some(_) | None => 0,
    };
    let ending = |events: &[Event]| {
        let ending = Ledger::of(events).ending(&budget);
        let tally = Tally {
            unproven,
            ..ending.tally
        };
        Ending {
            tally,
            unproven,
            ..ending
        }
    };
    let anew = ending(&events);
    let exit = match ended {
        // The verdicts alone did not make this exit code: the run was interrupted, and still proves nothing.
        Some((exit, _)) if exit != ending(recorded).exit_code() => exit,
        Some(_) => anew.exit_code(),
        None => 3,
    };
    if let Some((_, took)) = ended {
        events.push(Event::RunEnd {
            exit,
            tally: anew.tally,
            took,
        });
    }
    Ok(Judged { events, exit, changed })
}

/// The events of each case that a verdict rests on, and the verdicts.
pub(super) fn by_case(recorded: &[Event]) -> BTreeMap<&str, Vec<Event>> {
    let mut all: BTreeMap<&str, Vec<Event>> = BTreeMap::new();
    for event in recorded {
        match event {
            Event::Step { case, .. }
            | Event::Look { case, .. }
            | Event::Broken { case, .. }
            | Event::Unmet { case, .. }
            | Event::Act { case, .. }
            | Event::Evidence { case, .. }
            | Event::Verdict { case, .. } => all.entry(case).or_default().push(event.clone()),
            Event::Setting(setting) => all.entry(&setting.case).or_default().push(event.clone()),
            Event::Baseline(baseline) => all.entry(&baseline.case).or_default().push(event.clone()),
            Event::Sample(sample) => all.entry(&sample.case).or_default().push(event.clone()),
            Event::Figures(figures) => all.entry(&figures.case).or_default().push(event.clone()),
            Event::Run { .. }
            | Event::Spec { .. }
            | Event::Case(_)
            | Event::Drift(_)
            | Event::Vanished(_)
            | Event::Proof(_)
            | Event::ProofScore(_)
            | Event::Floor(_)
            | Event::CaseEnd { .. }
            | Event::RunEnd { .. } => {}
        }
    }
    all
}

/// Every recorded case with the spec that it comes of, by id.
pub(super) fn cases(recorded: &[Event]) -> Result<BTreeMap<String, Case>, Error> {
    let files = stored_run::specs(recorded);
    let subjects: Vec<String> = match recorded.first() {
        Some(Event::Run { subjects, .. }) => subjects.iter().map(|subject| subject.name.clone()).collect(),
        Some(_) | None => Vec::new(),
    };
    let mut everything = plan::Selection {
        sabotage: plan::Sabotaging::Prove(plan::Breadth::SetUp),
        ..plan::Selection::default()
    };
    let plan = plan::expand(&files, &everything, &subjects, offer()).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Error::RecordedSpec(faults.join("; "))
    })?;
    let is_of_gate = |event: &Event| matches!(event, Event::Case(header) if header.checks.iter().any(|check| check.about == gate::ABOUT));
    let is_bare =
        |event: &Event| matches!(event, Event::Setting(setting) if setting.gate.is_some_and(|gate| gate.bare));
    // By which rules a gate decides, the record says of each case.
    everything.against = recorded.iter().any(is_of_gate).then(|| gate::Against {
        tolerated: 0.0,
        budget: gate::Budget::Rounds(1),
        bare: recorded.iter().any(is_bare),
    });
    // The same files have no faults this time.
    let benchmarks = plan::benchmarks(&files, &everything, &subjects, offer()).unwrap_or_default();
    let all = plan.cases.iter().chain(benchmarks.cases.iter().flat_map(Case::all));
    let made: BTreeMap<&str, &Case> = all.map(|case| (case.header.id.as_str(), case)).collect();
    let mut cases = BTreeMap::new();
    for event in recorded {
        let Event::Case(header) = event else { continue };
        // A fault of the subject leaves the spec as it is.
        let case = made
            .get(header.id.as_str())
            .or_else(|| made.get(header.healthy().as_str()));
        if let Some(case) = case {
            let header = header.as_ref().clone();
            let mut case = (*case).clone();
            case.be_patient(header.patience);
            cases.insert(header.id.clone(), Case { header, ..case });
        }
    }
    Ok(cases)
}
