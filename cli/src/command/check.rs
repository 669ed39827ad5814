//! `plimsoll check`: everything that is wrong with specs.

use harness::{discover::discover, plan};
use spec::lint::{ALLOW, LINTS};

use super::offer;
use crate::{
    arguments::Check,
    complaint::{complain, counted, warn},
    error::Error,
    streams::Streams,
};

pub(super) fn check(check: &Check, streams: &mut Streams) -> Result<u8, Error> {
    if check.list_lints {
        let width = LINTS.iter().map(|lint| lint.name.len()).max().unwrap_or_default();
        let lines = LINTS
            .iter()
            .map(|lint| format!("{:<width$}  {}\n", lint.name, lint.about));
        streams.out(&lines.collect::<String>())?;
        streams.out(&format!(
            "\nmetadata.annotations.\"{ALLOW}\" silences one: `LINT: REASON`, or `LINT(CHECK, CHECK): REASON`, a line each\n"
        ))?;
        return Ok(0);
    }
    let files = discover(&check.paths)?;
    let subjects = super::UNLESS_TOLD.map(str::to_owned);
    match plan::expand(&files, &plan::Selection::default(), &subjects, offer()) {
        Err(faults) => {
            complain(&faults, &files, streams);
            Ok(2)
        }
        Ok(plan) => {
            warn(&files, streams);
            let lints: usize = files.iter().map(|file| file.loaded.lints.len()).sum();
            let benchmarks =
                plan::benchmarks(&files, &plan::Selection::default(), &subjects, offer()).unwrap_or_default();
            let cells: usize = benchmarks.cases.iter().map(|case| case.all().count()).sum();
            let specs: usize = files.iter().map(|file| file.loaded.documents.len()).sum();
            if check.strict && lints > 0 {
                streams.err(&format!("{}, and none may be", counted(lints, "warning")));
                return Ok(2);
            }
            streams.out(&format!(
                "{}, {}, {}: no faults, {}\n",
                counted(files.len(), "file"),
                counted(specs, "spec"),
                counted(plan.cases.len() + cells, "case"),
                counted(lints, "warning")
            ))?;
            Ok(0)
        }
    }
}
