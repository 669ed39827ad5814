//! `plimsoll check`: everything that is wrong with specs.

use harness::{discover::discover, plan};

use super::OFFERED;
use crate::{
    arguments::Check,
    complaint::{complain, counted, warn},
    error::Error,
    streams::Streams,
};

pub(super) fn check(check: &Check, streams: &mut Streams) -> Result<u8, Error> {
    let files = discover(&check.paths)?;
    match plan::expand(&files, &plan::Selection::default(), &["bundled".to_owned()], &OFFERED) {
        Err(faults) => {
            complain(&faults, &files, streams);
            Ok(2)
        }
        Ok(plan) => {
            warn(&files, streams);
            let lints: usize = files.iter().map(|file| file.loaded.lints.len()).sum();
            let specs: usize = files.iter().map(|file| file.loaded.documents.len()).sum();
            streams.out(&format!(
                "{}, {}, {}: no faults, {}\n",
                counted(files.len(), "file"),
                counted(specs, "spec"),
                counted(plan.cases.len(), "case"),
                counted(lints, "warning")
            ))?;
            Ok(0)
        }
    }
}
