//! `plimsoll history --import`: adds recorded runs, and what other tools measured.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use history::{
    Stored,
    foreign::{self, Foreign, Started, Text, criterion},
};
use spec::{Fault, node::Extent};

use crate::{
    arguments::History,
    complaint::counted,
    error::Error,
    past,
    stored_run::{self, StoredRun},
    streams::Streams,
};

/// Something to import, read.
enum Found {
    Recorded(StoredRun),
    /// Another tool's, with its path and the time at which it was written.
    Measured(String, Foreign, SystemTime),
}

/// A complaint, and the text that it is about.
type Complaint = (Fault, String);

/// Adds all or, if one of them cannot be read, nothing.
pub(super) fn import(asked: &History, state: &Path, streams: &mut Streams) -> Result<u8, Error> {
    let (mut all, mut complaints) = (Vec::new(), Vec::new());
    for named in &asked.imports {
        find(named, state, &mut all, &mut complaints)?;
    }
    for (fault, text) in &complaints {
        let told = fault.render(text, streams.err_colour);
        streams.err(&told);
        streams.err("");
    }
    if !complaints.is_empty() {
        streams.err(&format!("{}; nothing is imported", counted(complaints.len(), "fault")));
        return Ok(2);
    }
    fs_err::create_dir_all(state).map_err(Error::Write)?;
    let mut history = history::History::open(past::file(state))?;
    let host = harness::host::fingerprint();
    for found in all {
        let (path, stored, thing) = match found {
            Found::Recorded(run) => {
                let specs = past::checks(&stored_run::specs(&run.events));
                let stored = history.store(&run.events, &specs)?;
                (run.path.display().to_string(), stored, "verdict")
            }
            Found::Measured(path, run, written) => {
                let started = humantime::format_rfc3339_seconds(began(&run, written)).to_string();
                let stored = history.store_foreign(&run, &host, &started, &asked.revision)?;
                (path, stored, "figure")
            }
        };
        let told = match stored {
            Stored::New(count) => counted(count, thing),
            Stored::Known => "in the history already".into(),
        };
        streams.out(&format!("{path}: {told}\n"))?;
    }
    history.prune(usize::MAX, history::KEPT_VERDICTS)?;
    Ok(0)
}

/// What is meant by a name: a run that is kept, a record, a folder of criterion, or a file of another tool.
fn find(named: &str, state: &Path, all: &mut Vec<Found>, complaints: &mut Vec<Complaint>) -> Result<(), Error> {
    let path = Path::new(named);
    if path.is_dir() && stored_run::find(named, state).is_none() {
        let mut folders = Vec::new();
        folders_of_criterion(path, &mut folders).map_err(Error::Open)?;
        if !folders.is_empty() {
            folders.sort();
            for folder in folders {
                take(of_criterion(&folder)?, all, complaints);
            }
            return Ok(());
        }
    }
    if path.is_file() {
        let text = String::from_utf8_lossy(&fs_err::read(path).map_err(Error::Open)?).into_owned();
        if !is_record(&text) {
            let stem = path
                .file_stem()
                .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
            let read = foreign::read(
                Text {
                    path: named,
                    text: &text,
                },
                &stem,
            );
            let found = read.map_err(|fault| (complaint(fault), text.clone()));
            let written = fs_err::metadata(path)
                .and_then(|facts| facts.modified())
                .map_err(Error::Open)?;
            take(
                found.map(|run| Found::Measured(named.to_owned(), run, written)),
                all,
                complaints,
            );
            return Ok(());
        }
    }
    all.push(Found::Recorded(stored_run::read(named, state)?));
    Ok(())
}

fn take(found: Result<Found, Complaint>, all: &mut Vec<Found>, complaints: &mut Vec<Complaint>) {
    match found {
        Ok(found) => all.push(found),
        Err(complaint) => complaints.push(complaint),
    }
}

/// Whether a text is a record: its first line is an event. What is empty may have been one.
fn is_record(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    let event: Result<serde_json::Value, _> = serde_json::from_str(first);
    text.is_empty() || event.is_ok_and(|event| event.get("event").is_some())
}

/// The folders `new` below one in which criterion wrote what it estimated.
fn folders_of_criterion(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            continue;
        }
        let path = entry.path();
        if entry.file_name() == "new" && path.join("estimates.json").is_file() {
            found.push(path);
        } else {
            folders_of_criterion(&path, found)?;
        }
    }
    Ok(())
}

fn of_criterion(folder: &Path) -> Result<Result<Found, Complaint>, Error> {
    let [benchmark, estimates, sample] = ["benchmark.json", "estimates.json", "sample.json"].map(|name| {
        let path = folder.join(name);
        fs_err::read_to_string(&path).map(|text| (path.display().to_string(), text))
    });
    let (benchmark, estimates, sample) = (
        benchmark.map_err(Error::Open)?,
        estimates.map_err(Error::Open)?,
        sample.map_err(Error::Open)?,
    );
    let facts = fs_err::metadata(folder.join("estimates.json"));
    let written = facts.and_then(|facts| facts.modified()).map_err(Error::Open)?;
    let all = [&benchmark, &estimates, &sample];
    let [one, two, three] = all.map(|(path, text)| Text { path, text });
    let read = criterion::read(criterion::Files {
        benchmark: one,
        estimates: two,
        sample: three,
    });
    Ok(match read {
        Ok(run) => Ok(Found::Measured(folder.display().to_string(), run, written)),
        Err(fault) => {
            let about = all.iter().find(|(path, _)| *path == fault.path);
            let text = about.map_or_else(String::new, |(_, text)| text.clone());
            Err((complaint(fault), text))
        }
    })
}

fn complaint(fault: foreign::Fault) -> Fault {
    let mut told = Fault::new(Extent::at(fault.line, fault.column, 1), fault.message);
    told.file = fault.path;
    told
}

/// When a run began: as it says, or else when its file was written.
fn began(run: &Foreign, written: SystemTime) -> SystemTime {
    match &run.started {
        Some(Started::Seconds(seconds)) => UNIX_EPOCH + Duration::from_secs(*seconds),
        Some(Started::Text(text)) => humantime::parse_rfc3339_weak(text).unwrap_or(written),
        None => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_told_from_what_other_tools_write() {
        assert!(is_record("{\"event\":\"run\"}\n{}"));
        assert!(is_record(""));
        assert!(!is_record("{\n  \"results\": []\n}"));
        assert!(!is_record("{\"start\": {}, \"end\": {}}"));
        assert!(!is_record("no JSON"));
    }
}
