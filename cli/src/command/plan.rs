//! `plimsoll plan`: the cases that a run would consist of.

use std::fmt::Write as _;

use super::{planned, subjects};
use crate::{arguments::Plan, complaint::counted, error::Error, streams::Streams};

pub(super) fn plan(plan: &Plan, streams: &mut Streams) -> Result<u8, Error> {
    let own = std::env::current_exe().map_err(Error::Own)?;
    let names: Vec<String> = subjects(&plan.selection, &own)?
        .into_iter()
        .map(|subject| subject.name)
        .collect();
    let Some((plan, _)) = planned(&plan.selection, &names, streams)? else {
        return Ok(2);
    };
    let width = plan.cases.iter().map(|case| case.header.id.chars().count()).max();
    let mut text = String::new();
    for case in &plan.cases {
        let _ = writeln!(
            text,
            "{:<width$}  {}  {}",
            case.header.id,
            case.header.file,
            counted(case.header.checks.len(), "check"),
            width = width.unwrap_or(0)
        );
    }
    let _ = writeln!(
        text,
        "{}, {} not selected",
        counted(plan.cases.len(), "case"),
        plan.not_selected
    );
    streams.out(&text)?;
    Ok(0)
}
