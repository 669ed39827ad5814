//! The history of this machine: what a run asks it and adds to it. It never changes a verdict, and what is wrong with it
//! is a warning.

use std::path::{Path, PathBuf};

use harness::plan::{self, SpecFile};
use history::{History, SpecChecks};
use record::{Event, Ledger};

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
