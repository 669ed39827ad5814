//! `plimsoll compare`: what several subjects disagree about, of a run made now or of one that is there already.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use reports::Look;

use super::run::drive;
use crate::{arguments::Compare, error::Error, stored_run, streams::Streams};

pub(super) fn compare(asked: &Compare, state: &Path, streams: &mut Streams) -> Result<u8, Error> {
    let (events, record) = match recorded(asked, state) {
        Some(run) => {
            let stored = stored_run::read(run, state)?;
            (stored.events, stored.path)
        }
        None if asked.selection.subjects.len() < 2 => return Err(reports::ReportError::OneSubject.into()),
        None => match drive(&asked.selection, &asked.driving, state, streams)? {
            ControlFlow::Continue(driven) => (driven.events, driven.record),
            ControlFlow::Break(code) => return Ok(code),
        },
    };
    let look = Look {
        colour: streams.out_colour,
        passes: false,
        record: Some(record.display().to_string()),
        ..Look::default()
    };
    let compared = reports::compare(asked.format, &events, &look)?;
    streams.out(&compared.text)?;
    Ok(compared.exit)
}

/// The run that is asked for, if what is named is no spec but the record of a run.
fn recorded<'c>(asked: &'c Compare, state: &Path) -> Option<&'c str> {
    let [path] = asked.selection.paths.as_slice() else {
        return None;
    };
    let is_spec = |path: &PathBuf| path.extension().is_some_and(|end| end == "yaml" || end == "yml");
    let run = path.to_str().filter(|_| !is_spec(path))?;
    stored_run::find(run, state).is_some().then_some(run)
}
