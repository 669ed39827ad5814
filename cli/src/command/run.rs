//! `plimsoll run`: drive, observe, judge and record.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    num::NonZero,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use harness::{
    Options,
    plan::{Breadth, Case, Sabotaging},
    prove::Store,
};
use record::{CheckProof, Event, Ledger, ProofScore, SkipBudget, Standing, Tally};
use statistics::chance::Chance;

use super::{asked, offer, planned, subjects};
use crate::{
    arguments::{Driving, Run, Selection},
    complaint::counted,
    error::Error,
    past::Keeper,
    progress::Progress,
    report_file,
    streams::Streams,
};

pub(super) fn run(run: &Run, state: &Path, streams: &mut Streams) -> Result<u8, Error> {
    let driven = match drive(&run.selection, &run.driving, state, streams)? {
        ControlFlow::Continue(driven) => driven,
        ControlFlow::Break(code) => return Ok(code),
    };
    let Driven {
        summary,
        events,
        record,
    } = &driven;
    let format = run.report.format.unwrap_or_default();
    if format != reports::Format::Table {
        for limit in &summary.ending.overdrawn {
            streams.err(&format!("skip budget exceeded: {limit}"));
        }
    }
    let written = report_file::write_all(events, &run.report, record);
    report_file::print(format, events, run.report.verbose, record, streams)?;
    written.map(|()| summary.exit)
}

/// What was run.
pub(super) struct Driven {
    pub(super) summary: harness::Summary,
    /// Those of its events that reports need.
    pub(super) events: Vec<Event>,
    /// Where its record lies.
    pub(super) record: PathBuf,
}

/// Runs the cases of a selection, with all that is told of it while it goes on. Breaks with an exit code if there is
/// nothing to run.
pub(super) fn drive(
    selection: &Selection,
    driving: &Driving,
    state: &Path,
    streams: &mut Streams,
) -> Result<ControlFlow<u8, Driven>, Error> {
    let own = std::env::current_exe().map_err(Error::Own)?;
    let mut subjects = subjects(selection, &own)?;
    let names: Vec<String> = subjects.iter().map(|subject| subject.name.clone()).collect();
    let Some((plan, files)) = planned(selection, &names, streams)? else {
        return Ok(ControlFlow::Break(2));
    };
    let mut cases = plan.cases;
    let left_out = harness::plan::benchmark::count(&files);
    if left_out > 0 {
        streams.err(&format!(
            "{} left out: `plimsoll bench` measures",
            counted(left_out, "benchmark")
        ));
    }
    used_only(&mut subjects, &cases);
    if cases.is_empty() {
        streams.err(&format!(
            "nothing selected: {} not asked for or not for this subject",
            counted(plan.not_selected, "case")
        ));
        return Ok(ControlFlow::Break(4));
    }
    if driving.patience > 1 {
        cases.iter_mut().for_each(|case| case.be_patient(driving.patience));
    }
    if let Some(seed) = driving.seed {
        Chance::new(seed).shuffle(&mut cases);
    }
    collect_garbage(state, streams);
    let mut progress = Progress::new(cases.len(), streams);
    let mut keeper = Keeper::new(state, &files);
    let options = Options {
        cases,
        files,
        subjects,
        jobs: driving.jobs.map_or_else(
            || std::thread::available_parallelism().map_or(1, NonZero::get),
            usize::from,
        ),
        timeout: driving.timeout,
        retries: driving.retries,
        fail_fast: driving.fail_fast,
        skip_budget: SkipBudget {
            strict: driving.strict,
            limits: driving.max_skips.clone(),
        },
        keep: driving.keep,
        seed: 0,
        baselines: BTreeMap::new(),
        state: state.to_owned(),
        own,
        argv: argv(),
        started: started(),
    };
    let mut events: Vec<Event> = Vec::new();
    let names: Vec<String> = options.subjects.iter().map(|subject| subject.name.clone()).collect();
    let ledger = RefCell::new(Ledger::default());
    let mut unknown_proof = None;
    let mut epilogue = |tally: &mut Tally| {
        let mut last = keeper.drift(&ledger.borrow());
        match proof(selection, &options, &names, state) {
            Ok((proofs, score)) => {
                if driving.require_proof {
                    tally.unproven = score.unproven + score.unknown;
                }
                last.extend(proofs.into_iter().map(|proof| Event::Proof(Box::new(proof))));
                last.push(Event::ProofScore(score));
            }
            Err(error) => {
                unknown_proof = Some(error);
                tally.unproven = u64::from(driving.require_proof);
            }
        }
        last
    };
    let mut hear = |event: &Event| {
        progress.tell(event, streams);
        ledger.borrow_mut().take(event);
        if told(event) {
            events.push(event.clone());
        }
    };
    let outcome = harness::run_with(&options, &mut hear, &mut epilogue);
    progress.end();
    if let Some(error) = unknown_proof {
        streams.err(&format!("warning: {}", harness::chain(&error)));
    }
    let summary = outcome?;
    if summary.interrupted {
        streams.err("interrupted: what did not run has no verdict");
    } else {
        keeper.store(&events, streams);
    }
    for line in reports::drift(&events) {
        streams.err(&format!("drift: {line}"));
    }
    for (key, value) in &summary.idle {
        streams.err(&format!(
            "warning: no check has the label {key}={value}: its limit of skips holds for nothing"
        ));
    }
    let record = here(&summary.dir.join("run.jsonl"));
    Ok(ControlFlow::Continue(Driven {
        summary,
        events,
        record,
    }))
}

/// Leaves out the subjects that no case is for. A case of the host itself has the first.
pub(super) fn used_only(subjects: &mut Vec<harness::subject::Subject>, cases: &[Case]) {
    let is_used = |name: &str| cases.iter().flat_map(Case::all).any(|case| case.header.subject == name);
    let mut for_host = is_used(harness::plan::HOST);
    subjects.retain(|subject| is_used(&subject.name) || std::mem::take(&mut for_host));
}

/// What is known of the checks' ability to fail, without running anything for it. Checks of which nothing is known are
/// counted and not listed.
fn proof(
    asked_for: &Selection,
    options: &Options,
    subjects: &[String],
    state: &Path,
) -> Result<(Vec<CheckProof>, ProofScore), Error> {
    let mut score = ProofScore::default();
    if Store::is_empty(state) {
        score.unknown = options.cases.iter().map(|case| case.header.checks.len() as u64).sum();
        return Ok((Vec::new(), score));
    }
    let store = Store::open(state, &options.own, &options.subjects)?;
    let selection = harness::plan::Selection {
        sabotage: Sabotaging::Prove(Breadth::Own),
        ..asked(asked_for)
    };
    let plan = harness::plan::expand(&options.files, &selection, subjects, offer()).unwrap_or_default();
    let mut proofs = harness::prove::recall(&plan.cases, &store);
    for proof in &proofs {
        score.count(&proof.standing);
    }
    proofs.retain(|proof| !matches!(proof.standing, Standing::Unjudged { .. }));
    Ok((proofs, score))
}

/// Removes what killed runs left: it must not be in the way. What cannot be removed now is tried again by the next.
pub(super) fn collect_garbage(state: &Path, streams: &mut Streams) {
    match harness::gc::collect(state) {
        Ok(removed) => removed
            .iter()
            .for_each(|what| streams.err(&format!("removed what an earlier run left: {what}"))),
        Err(error) => streams.err(&format!("warning: {}", harness::chain(&error))),
    }
}

/// The command line, for the record.
pub(super) fn argv() -> Vec<String> {
    std::env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .collect()
}

/// The wall clock, for the record.
pub(super) fn started() -> String {
    humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string()
}

/// The path as seen from the working directory, if it lies below.
pub(super) fn here(path: &Path) -> PathBuf {
    std::env::current_dir()
        .ok()
        .and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned))
        .unwrap_or_else(|| path.to_owned())
}

/// Reports need the verdicts; what they rest on stays in the record.
pub(super) fn told(event: &Event) -> bool {
    match event {
        Event::Run { .. }
        | Event::Case(_)
        | Event::Verdict { .. }
        | Event::Evidence { .. }
        | Event::Proof(_)
        | Event::ProofScore(_)
        | Event::CaseEnd { .. }
        | Event::Drift(_)
        | Event::Vanished(_)
        | Event::Figures(_)
        | Event::RunEnd { .. } => true,
        Event::Spec { .. }
        | Event::Step { .. }
        | Event::Act { .. }
        | Event::Look { .. }
        | Event::Broken { .. }
        | Event::Unmet { .. }
        | Event::Setting(_)
        | Event::Baseline(_)
        | Event::Sample(_)
        | Event::Floor(_) => false,
    }
}
