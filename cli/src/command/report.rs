//! `plimsoll report`: a recorded run in another form.

use std::path::Path;

use super::tell;
use crate::{arguments::Report, error::Error, stored_run, streams::Streams};

pub(super) fn report(report: &Report, state: &Path, streams: &mut Streams) -> Result<u8, Error> {
    let stored = stored_run::read(&report.run, state)?;
    tell(&stored.events, &report.report, &stored.path, streams)?;
    Ok(0)
}
