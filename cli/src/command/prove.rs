//! `plimsoll prove`: each case healthy and under faults, and what that shows of each check.

use std::{collections::BTreeMap, num::NonZero, path::Path};

use harness::{
    Options,
    plan::{Breadth, Case, Sabotaging},
    prove::{self, Standings, Store, host::Snapshot},
};
use record::{Event, ProofScore, Tally};

use super::{asked, offer, subjects};
use crate::{
    arguments::Prove, command::run, complaint, complaint::counted, error::Error, progress::Progress, streams::Streams,
};

pub(super) fn prove(prove: &Prove, state: &Path, streams: &mut Streams) -> Result<u8, Error> {
    let own = std::env::current_exe().map_err(Error::Own)?;
    let mut subjects = subjects(&prove.selection, &own)?;
    let names: Vec<String> = subjects.iter().map(|subject| subject.name.clone()).collect();
    let files = harness::discover::discover(&prove.selection.paths)?;
    let breadth = if prove.all_faults { Breadth::All } else { Breadth::Own };
    let selection = harness::plan::Selection {
        sabotage: Sabotaging::Prove(breadth),
        ..asked(&prove.selection)
    };
    let planned = harness::plan::expand(&files, &selection, &names, offer()).and_then(|mut plan| {
        plan.cases
            .extend(harness::plan::benchmarks(&files, &selection, &names, offer())?.cases);
        Ok(plan)
    });
    let plan = match planned {
        Ok(plan) => plan,
        Err(faults) => {
            complaint::complain(&faults, &files, streams);
            return Ok(2);
        }
    };
    complaint::warn(&files, streams);
    if plan.cases.is_empty() {
        streams.err("nothing selected");
        return Ok(4);
    }
    run::used_only(&mut subjects, &plan.cases);
    run::collect_garbage(state, streams);
    let store = Store::open(state, &own, &subjects)?;
    // One by one: what takes its samples in turns is proven together, and told apart.
    let single: Vec<Case> = plan.cases.iter().flat_map(Case::all).cloned().collect();
    let known = if prove.afresh {
        BTreeMap::new()
    } else {
        store.find(&single)
    };
    let cases = order(&plan.cases, |case| {
        case.all().any(|case| !known.contains_key(&case.header.id))
    });
    streams.err(&format!(
        "{} to run, {} stored",
        counted(cases.len(), "case"),
        counted(known.len(), "case")
    ));
    let total = cases.iter().map(|case| case.all().count()).sum();
    let mut progress = Progress::new(total, streams);
    let options = Options {
        cases,
        files,
        subjects,
        // A case under a fault mostly waits for what does not come.
        jobs: prove.jobs.map_or_else(
            || 4 * std::thread::available_parallelism().map_or(1, NonZero::get),
            usize::from,
        ),
        timeout: None,
        retries: Some(0),
        fail_fast: false,
        skip_budget: record::SkipBudget::default(),
        keep: false,
        seed: harness::run::seed().map_err(Error::Seed)?,
        baselines: BTreeMap::new(),
        state: state.to_owned(),
        own,
        argv: run::argv(),
        started: run::started(),
    };
    // Broken runtimes are at work: what is to stay as it is, is looked at before and after.
    let before = (!options.cases.is_empty()).then(Snapshot::take);
    let standings = std::cell::RefCell::new(Standings { cases: known.clone() });
    let mut told: Vec<Event> = Vec::new();
    let mut kept = Ok(());
    let outcome = {
        let mut tell = |event: &Event| {
            progress.tell(event, streams);
            standings.borrow_mut().tell(event);
            if run::told(event) {
                told.push(event.clone());
            }
        };
        let mut epilogue = |tally: &mut Tally| {
            let standings = standings.borrow();
            kept = store.keep(&single, &standings.cases);
            let mut events = Vec::new();
            for difference in before.iter().flat_map(|before| before.differences(&Snapshot::take())) {
                tally.error += 1;
                events.push(Event::Evidence {
                    case: String::new(),
                    name: "host".into(),
                    text: difference,
                });
            }
            events.extend(conclude(&single, &standings, &known, prove.require_proof, tally));
            events
        };
        harness::run_with(&options, &mut tell, &mut epilogue)
    };
    progress.end();
    let summary = outcome?;
    kept?;
    if summary.interrupted {
        streams.err("interrupted: what did not run proves nothing");
    }
    let form = reports::proof::Form {
        verbose: prove.verbose,
        colour: streams.out_colour && prove.format == "table",
        record: Some(run::here(&summary.dir.join("run.jsonl")).display().to_string()),
    };
    let text = match prove.format.as_str() {
        "json" => reports::proof::json(&told)?,
        _ => reports::proof::table(&told, &form),
    };
    streams.out(&text)?;
    Ok(summary.exit)
}

/// The cases to run: healthy ones first, so that the first thing told is whether there is anything to prove.
fn order(cases: &[Case], wanted: impl Fn(&Case) -> bool) -> Vec<Case> {
    let (broken, healthy): (Vec<&Case>, Vec<&Case>) = cases
        .iter()
        .filter(|case| wanted(case))
        .partition(|case| case.header.broken_on_purpose());
    healthy.into_iter().chain(broken).cloned().collect()
}

/// The events that tell the standing of each check, and the score.
fn conclude(
    cases: &[Case],
    standings: &Standings,
    known: &BTreeMap<String, prove::Seen>,
    required: bool,
    tally: &mut Tally,
) -> Vec<Event> {
    // Stored passes are passes: nothing ran for them because nothing changed.
    for case in cases.iter().filter(|case| !case.header.broken_on_purpose()) {
        if let Some(seen) = known.get(&case.header.id) {
            for said in seen.checks.values() {
                match said.verdict.as_str() {
                    "pass" => tally.pass += 1,
                    _ => tally.skip += 1,
                }
            }
        }
    }
    let mut score = ProofScore::default();
    let mut events = Vec::new();
    for proof in prove::fold(cases, standings, &|id| known.contains_key(id)) {
        score.count(&proof.standing);
        events.push(Event::Proof(Box::new(proof)));
    }
    if required {
        tally.unproven = prove::required(cases, &events);
    }
    events.push(Event::ProofScore(score));
    events
}
