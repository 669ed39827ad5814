//! What earlier runs looked at and this one did not, in words.

use std::collections::BTreeMap;

use record::{Drift, Event};

use crate::{run::Run, table::listed};

/// What ran on this machine before and was skipped in this run, and what is gone from its specs: a line for each cause.
/// Nothing if the events are not those of a run.
pub fn drift(events: &[Event]) -> Vec<String> {
    Run::of(events).map_or_else(Vec::new, |run| drift_lines(&run))
}

pub(crate) fn drift_lines(run: &Run<'_>) -> Vec<String> {
    let mut groups: BTreeMap<(&str, &str, String), Vec<String>> = BTreeMap::new();
    for drift in &run.drifts {
        groups
            .entry((&drift.requirement, &drift.seen, ran_before(drift)))
            .or_default()
            .push(format!("{} › {}", drift.case, drift.check));
    }
    let skipped = groups.into_iter().map(|((requirement, seen, before), checks)| {
        let checks = (checks.len(), listed(&checks));
        format!(
            "{} × skipped for {requirement} ({seen}); {before}: {}",
            checks.0, checks.1
        )
    });
    let gone = vanished(run).into_iter().map(|line| format!("gone: {line}"));
    skipped.chain(gone).collect()
}

/// When a check was last looked at, and what of the host has changed since.
pub(crate) fn ran_before(drift: &Drift) -> String {
    let Drift { run, last, verdict, .. } = drift;
    let since = match drift.host.as_slice() {
        [] => String::new(),
        changes => format!(", since then {}", changes.join(", ")),
    };
    format!("ran here last in {run} of {last} ({verdict}){since}")
}

/// The checks that are gone.
pub(crate) fn vanished(run: &Run<'_>) -> Vec<String> {
    run.vanished
        .iter()
        .map(|gone| {
            format!(
                "{} › {} from {}, where it stood in run {} of {}",
                gone.test, gone.check, gone.file, gone.run, gone.last
            )
        })
        .collect()
}
