//! The history of this machine: what a run asks it and adds to it. It never changes a verdict, and what is wrong with it
//! is a warning.

use std::path::{Path, PathBuf};

use harness::plan::{self, SpecFile};
use history::{Course, History, Machine, SpecChecks, table};
use record::{Event, Ledger};
use reports::{Past, PastChange, PastPoint, Run};

use crate::streams::Streams;

/// The file below the folder where runs are kept.
pub(crate) fn file(state: &Path) -> PathBuf {
    state.join("history.db")
}

/// The history as a run sees it.
pub(crate) struct Keeper {
    path: PathBuf,
    /// Opened when it is asked for the first time.
    history: Option<Result<History, history::Error>>,
    specs: Vec<SpecChecks>,
    warnings: Vec<String>,
}

impl Keeper {
    /// For a run of these spec files.
    pub(crate) fn new<'f>(state: &Path, files: impl IntoIterator<Item = &'f SpecFile>) -> Self {
        Self {
            path: file(state),
            history: None,
            specs: checks(files),
            warnings: Vec::new(),
        }
    }

    /// What ran here before and does not now.
    pub(crate) fn drift(&mut self, ledger: &Ledger) -> Vec<Event> {
        let host = harness::host::fingerprint();
        let history = self.history.get_or_insert_with(|| History::open(&self.path));
        let drift = match history {
            Ok(history) => history.drift(&host, ledger, &self.specs),
            // Told when the run is to be stored.
            Err(_) => return Vec::new(),
        };
        drift.unwrap_or_else(|error| {
            self.warnings.push(harness::chain(&error));
            Vec::new()
        })
    }

    /// Adds the run, and forgets the oldest if there are too many.
    pub(crate) fn store(mut self, events: &[Event], streams: &mut Streams) {
        let history = self.history.take().unwrap_or_else(|| History::open(&self.path));
        let stored = history.and_then(|mut history| {
            history.store(events, &self.specs)?;
            history.prune(usize::MAX, history::KEPT_VERDICTS)
        });
        let lost = stored.err().map(|error| harness::chain(&error));
        self.warnings
            .extend(lost.map(|why| format!("this run is not in the history: {why}")));
        for warning in self.warnings {
            streams.err(&format!("warning: {warning}"));
        }
    }
}

/// The medians of a run's benchmarks in earlier runs on its machine, from the history beside its record; none if there is no
/// history, or it cannot be read: a page without it is better than none.
pub(crate) fn of_benchmarks(events: &[Event], record: &Path) -> Vec<Past> {
    let Some(run) = Run::of(events) else {
        return Vec::new();
    };
    let path = record.ancestors().nth(3).map(file).filter(|path| path.is_file());
    let is_measured = run.cases.iter().any(|case| case.figures.is_some());
    let Some(history) = path.filter(|_| is_measured).and_then(|path| History::open(path).ok()) else {
        return Vec::new();
    };
    let cases = || run.cases.iter().filter(|case| case.figures.is_some());
    let courses = history.courses(&|name, subject| {
        name.figure == "p50"
            && cases().any(|case| {
                let header = case.header;
                (header.test.as_str(), history::variant(header), header.subject.as_str())
                    == (name.bench.as_str(), name.case.as_str(), subject)
            })
    });
    let is_here = |course: &Course| {
        let machine = Machine::of(run.host);
        course
            .points
            .first()
            .is_some_and(|point| Machine::of(&point.host) == machine)
    };
    let courses = courses.unwrap_or_default();
    courses.iter().filter(|course| is_here(course)).map(past_of).collect()
}

fn past_of(course: &Course) -> Past {
    let name = &course.name;
    let variant = if name.case.is_empty() {
        String::new()
    } else {
        format!("[{}]", name.case)
    };
    let point = |point: &history::Point| PastPoint {
        run: point.run.clone(),
        started: point.started.clone(),
        value: point.value,
        low: point.low,
        high: point.high,
    };
    let change = |shift: &history::Shift| PastChange {
        at: shift.at,
        worse: shift.worse,
        told: format!("{}; {}", table::step(course, shift), table::beside(shift)),
    };
    Past {
        case: format!("{}{variant}@{}", name.bench, course.subject),
        measure: name.measure.clone(),
        figure: name.figure.clone(),
        unit: name.unit.clone(),
        points: course.points.iter().map(point).collect(),
        changes: course.shifts.iter().map(change).collect(),
    }
}

/// The checks of spec files, whether they are selected or not; none of a file that this version cannot read.
pub(crate) fn checks<'f>(files: impl IntoIterator<Item = &'f SpecFile>) -> Vec<SpecChecks> {
    let of = |file: &SpecFile| -> Vec<(String, String)> {
        if !file.loaded.faults.is_empty() {
            return Vec::new();
        }
        let mut checks: Vec<(String, String)> = Vec::new();
        for document in &file.loaded.documents {
            for variant in document.variants() {
                let Ok(decoded) = document.decode(&variant, None) else {
                    continue;
                };
                for id in plan::checks(&decoded.spec) {
                    let check = (document.name.clone(), id.to_owned());
                    if !checks.contains(&check) {
                        checks.push(check);
                    }
                }
            }
        }
        checks
    };
    files
        .into_iter()
        .map(|file| SpecChecks {
            file: file.path.clone(),
            sha256: file.sha256.clone(),
            checks: of(file),
        })
        .collect()
}
