//! `plimsoll bench`: what subjects take, measured in turns.

use std::path::Path;

use harness::plan::benchmark::gate::Against;
use harness::subject::Subject;
use harness::{Options, baseline, plan};
use record::{Event, SkipBudget};

use super::{asked, given, offer, run, subjects};
use crate::{
    arguments::Bench,
    complaint::{self, counted},
    error::Error,
    past::Keeper,
    progress::Progress,
    report_file,
    streams::Streams,
};

pub(super) fn bench(bench: &Bench, state: &Path, streams: &mut Streams) -> Result<u8, Error> {
    let own = std::env::current_exe().map_err(Error::Own)?;
    let mut subjects = subjects(&bench.selection, &own)?;
    let names: Vec<String> = subjects.iter().map(|subject| subject.name.clone()).collect();
    let mut wanted = asked(&bench.selection);
    if let Some(text) = &bench.against {
        let path = std::env::var("PATH").unwrap_or_default();
        let reference = Subject::reference(text, &own, &path)?;
        if names.contains(&reference.name) {
            return Err(Error::SameSubject(reference.name));
        }
        subjects.push(reference);
        wanted.against = Some(Against {
            tolerated: bench.tolerate.share(),
            budget: bench.budget,
            bare: false,
        });
    }
    if bench.overhead {
        let [subject] = subjects.as_slice() else {
            return Err(Error::OneSubject);
        };
        subjects.push(subject.clone().unwatched());
        wanted.against = Some(Against {
            tolerated: bench.tolerate.share(),
            budget: bench.budget,
            bare: true,
        });
    }
    let files = harness::discover::discover(&bench.selection.paths)?;
    let plan = match plan::benchmarks(&files, &wanted, &names, offer()) {
        Ok(plan) => plan,
        Err(faults) => {
            complaint::complain(&faults, &files, streams);
            return Ok(2);
        }
    };
    complaint::warn(&files, streams);
    if plan.cases.is_empty() {
        streams.err(&format!(
            "nothing selected: {} not asked for or not for this subject",
            counted(plan.not_selected, "case")
        ));
        return Ok(4);
    }
    run::used_only(&mut subjects, &plan.cases);
    run::collect_garbage(state, streams);
    let total = plan.cases.iter().map(|case| case.all().count()).sum();
    let given = bench
        .baseline
        .as_ref()
        .map(|text| given::given(text, state))
        .transpose()?;
    let mut progress = Progress::new(total, streams);
    let options = Options {
        baselines: baseline::find(&plan.cases, given.as_ref())?,
        cases: plan.cases,
        files,
        subjects,
        // What is measured has the machine for itself.
        jobs: 1,
        timeout: None,
        retries: Some(0),
        fail_fast: false,
        skip_budget: SkipBudget::default(),
        keep: false,
        seed: match bench.seed {
            Some(seed) => seed,
            None => harness::run::seed().map_err(Error::Seed)?,
        },
        state: state.to_owned(),
        own,
        argv: run::argv(),
        started: run::started(),
    };
    let (mut told, mut measured) = (Vec::new(), Vec::new());
    let mut hear = |event: &Event| {
        progress.tell(event, streams);
        if run::told(event) {
            told.push(event.clone());
        }
        if matches!(event, Event::Run { .. } | Event::Sample(_)) {
            measured.push(event.clone());
        }
    };
    let outcome = harness::run(&options, &mut hear);
    progress.end();
    let summary = outcome?;
    if summary.interrupted {
        streams.err("interrupted: what did not run has no verdict");
    } else {
        // Not of files that were read and not measured: what was run of them when is another run's to tell.
        let is_measured = |path: &str| options.cases.iter().any(|case| case.header.file == path);
        let files = options.files.iter().filter(|file| is_measured(&file.path));
        Keeper::new(state, files).store(&told, streams);
    }
    if let Some(path) = bench.save_baseline.as_ref().filter(|_| !summary.interrupted) {
        let file = baseline::of_run(&options.cases, &measured);
        baseline::save(&file, path)?;
        streams.err(&format!(
            "samples of {} kept in `{}`",
            counted(file.cases.len(), "case"),
            path.display()
        ));
    }
    let record = run::here(&summary.dir.join("run.jsonl"));
    let form = &bench.report;
    let written = report_file::write_all(&told, form, &record);
    report_file::print(form.format.unwrap_or_default(), &told, form.verbose, &record, streams)?;
    written.map(|()| summary.exit)
}
