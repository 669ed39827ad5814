//! `plimsoll history`: the past of checks and of benchmarks on this machine.

mod import;

use std::path::Path;

use harness::plan::Pattern;
use history::table;

use crate::{
    arguments::{History, HistoryForm},
    complaint::counted,
    error::Error,
    past,
    streams::Streams,
};

pub(super) fn history(asked: &History, state: &Path, streams: &mut Streams) -> Result<u8, Error> {
    let path = past::file(state);
    if !asked.imports.is_empty() {
        return import::import(asked, state, streams);
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
    if let Some(bench) = &asked.bench {
        let text = courses(&history, bench, asked)?;
        streams.out(&text)?;
        return Ok(0);
    }
    let text = match &asked.check {
        None => {
            let overview = history::overview(&history.pasts(&|_| true)?, &history.runs()?, history.benches()?);
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

/// What a benchmark measured from run to run.
fn courses(history: &history::History, bench: &str, asked: &History) -> Result<String, Error> {
    let matches = |pattern: &Option<Pattern>, names: &[String]| {
        let is = |pattern: &Pattern| names.iter().any(|name| pattern.matches(name));
        pattern.as_ref().is_none_or(is)
    };
    let pattern = |name: &String| Pattern::new(name);
    let (metric, subject) = (asked.metric.as_ref().map(pattern), asked.subject.as_ref().map(pattern));
    let bench_pattern = Some(Pattern::new(bench));
    let mut courses = history.courses(&|name, on| {
        matches(&bench_pattern, &name.benches())
            && matches(&metric, &name.metrics())
            && matches(&subject, &[on.to_owned()])
    })?;
    if metric.is_none() {
        courses = history::foremost(courses);
    }
    if courses.is_empty() {
        let more = [&asked.metric, &asked.subject].into_iter().flatten();
        let all: Vec<&str> = std::iter::once(bench).chain(more.map(String::as_str)).collect();
        return Err(Error::NoFigure(all.join(" ")));
    }
    match asked.format {
        HistoryForm::Table => Ok(table::courses(&courses, asked.last)),
        HistoryForm::Json => json(&courses),
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    let mut text = serde_json::to_string_pretty(value).map_err(|error| Error::Write(error.into()))?;
    text.push('\n');
    Ok(text)
}
