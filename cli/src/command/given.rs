//! What `bench --baseline` names: a file of samples, a stored run, or a revision of the spec's own file.

use std::path::Path;

use harness::baseline::{self, Given};
use harness::plan::Case;

use super::judge;
use crate::{error::Error, stored_run};

/// Finds it, in this order.
pub(super) fn given(text: &str, state: &Path) -> Result<Given, Error> {
    let path = Path::new(text);
    let is_record = path.extension().is_some_and(|extension| extension == "jsonl");
    if path.is_file() && !is_record {
        return Ok(Given::Samples {
            source: text.to_owned(),
            file: baseline::read(path)?,
        });
    }
    if stored_run::find(text, state).is_some() {
        let stored = stored_run::read(text, state)?;
        // Each is told once, and none tells of those that took turns with it.
        let alone = judge::cases(&stored.events)?.into_values().map(|case| Case {
            beside: Vec::new(),
            ..case
        });
        let cases: Vec<Case> = alone.filter(|case| case.measured.is_some()).collect();
        let file = baseline::of_run(&cases, &stored.events);
        if file.cases.is_empty() {
            return Err(Error::NoSamples(text.to_owned()));
        }
        return Ok(Given::Samples {
            source: text.to_owned(),
            file,
        });
    }
    match baseline::revision(text) {
        Some(revision) => Ok(Given::Revision(revision)),
        None => Err(Error::NoBaseline {
            given: text.to_owned(),
            state: state.to_owned(),
        }),
    }
}
