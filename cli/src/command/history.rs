//! `plimsoll history`: the past of checks on this machine.

use std::path::Path;

use harness::plan::Pattern;
use history::{Stored, table};

use crate::{
    arguments::{History, HistoryForm},
    complaint::counted,
    error::Error,
    past, stored_run,
    streams::Streams,
};

pub(super) fn history(asked: &History, state: &Path, streams: &mut Streams) -> Result<u8, Error> {
    let path = past::file(state);
    if !asked.imports.is_empty() {
        return import(&asked.imports, state, streams);
    }
    if !path.is_file() {
        return Err(Error::NoHistory(path));
    }
    let mut history = history::History::open(path)?;
    if let Some(keep) = asked.keep {
        let forgotten = history.prune(keep, usize::MAX)?;
        streams.out(&format!("forgot {}\n", counted(forgotten, "run")))?;
        return Ok(0);
    }
    let text = match &asked.check {
        None => {
            let overview = history::overview(&history.pasts(&|_| true)?, &history.runs()?);
            match asked.format {
                HistoryForm::Table => table::overview(&overview),
                HistoryForm::Json => json(&overview)?,
            }
        }
        Some(name) => {
            let pattern = Pattern::new(name);
            let wanted = |check: &history::CheckName| check.names().iter().any(|name| pattern.matches(name));
            let pasts = history.pasts(&wanted)?;
            if pasts.is_empty() {
                return Err(Error::NoPast(name.clone()));
            }
            match asked.format {
                HistoryForm::Table => table::table(&pasts, asked.last),
                HistoryForm::Json => json(&pasts)?,
            }
        }
    };
    streams.out(&text)?;
    Ok(0)
}

fn import(runs: &[String], state: &Path, streams: &mut Streams) -> Result<u8, Error> {
    let mut stored = Vec::new();
    for run in runs {
        stored.push(stored_run::read(run, state)?);
    }
    fs_err::create_dir_all(state).map_err(Error::Write)?;
    let mut history = history::History::open(past::file(state))?;
    for run in stored {
        let specs = past::checks(&stored_run::specs(&run.events));
        let told = match history.store(&run.events, &specs)? {
            Stored::New(count) => counted(count, "verdict"),
            Stored::Known => "in the history already".into(),
        };
        streams.out(&format!("{}: {told}\n", run.path.display()))?;
    }
    history.prune(usize::MAX, history::KEPT_VERDICTS)?;
    Ok(0)
}

fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    let mut text = serde_json::to_string_pretty(value).map_err(|error| Error::Write(error.into()))?;
    text.push('\n');
    Ok(text)
}
