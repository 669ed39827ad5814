//! Which checks changed their verdict from one run to another.

use std::{collections::BTreeMap, fmt::Write as _};

use record::Event;

use crate::{
    ReportError,
    run::{Run, Word, told},
};

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The text, a line for each check that changed.
    pub text: String,
    /// How many checks passed in the base and do not pass in the new run.
    pub worse: usize,
}

/// Compares two runs check by check, by the ids of case and check.
///
/// # Errors
/// [`ReportError::NotARun`] if one of them is no record.
pub fn diff(base: &[Event], new: &[Event]) -> Result<Difference, ReportError> {
    let base = Run::of(base).ok_or(ReportError::NotARun)?;
    let new = Run::of(new).ok_or(ReportError::NotARun)?;
    let mut text = format!(
        "base {} ({}), new {} ({})\n",
        base.id, base.started, new.id, new.started
    );
    for (what, before, after) in [
        ("kernel", &base.host.kernel, &new.host.kernel),
        ("machine", &base.host.machine, &new.host.machine),
        ("CPU", &base.host.cpu, &new.host.cpu),
        ("cgroup", &base.host.cgroup, &new.host.cgroup),
    ] {
        if before != after {
            let _ = writeln!(text, "note: the {what} differs: {before} → {after}");
        }
    }
    let (before, after) = (by_id(&base), by_id(&new));
    let mut worse = 0;
    let mut changed = 0;
    let mut same = 0;
    for (id, (word, seen)) in &after {
        let was = match before.get(id) {
            Some((was, _)) if was == word => {
                same += 1;
                continue;
            }
            Some((was, _)) => {
                worse += usize::from(*was == Word::Pass);
                was.text()
            }
            None => "new",
        };
        changed += 1;
        let _ = writeln!(text, "{was:>5} → {:<5}  {} › {}  {seen}", word.text(), id.0, id.1);
    }
    for (id, (was, _)) in before.iter().filter(|(id, _)| !after.contains_key(*id)) {
        changed += 1;
        let _ = writeln!(text, "{:>5} → gone   {} › {}", was.text(), id.0, id.1);
    }
    let _ = writeln!(text, "{changed} checks changed, {same} did not");
    Ok(Difference { text, worse })
}

fn by_id<'a>(run: &Run<'a>) -> BTreeMap<(&'a str, &'a str), (Word, String)> {
    run.outcomes()
        .map(|(case, outcome)| {
            let said = outcome.failure.or(outcome.verdict).map_or("no verdict".into(), told);
            ((case.header.id.as_str(), outcome.id), (outcome.word(), said))
        })
        .collect()
}
