//! `plimsoll diff`: which checks changed their verdict.

use std::path::Path;

use crate::{arguments::Diff, error::Error, stored_run, streams::Streams};

pub(super) fn diff(diff: &Diff, state: &Path, streams: &mut Streams) -> Result<u8, Error> {
    let base = stored_run::read(&diff.base, state)?;
    let new = stored_run::read(&diff.run, state)?;
    let difference = reports::diff(&base.events, &new.events)?;
    streams.out(&difference.text)?;
    Ok(u8::from(difference.worse > 0))
}
