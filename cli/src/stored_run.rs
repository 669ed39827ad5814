//! Finding and reading the record of a run.

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

use harness::plan::SpecFile;
use record::Event;

use crate::error::Error;

/// A record and where it lies.
pub(crate) struct StoredRun {
    pub(crate) path: PathBuf,
    pub(crate) events: Vec<Event>,
}

/// Reads the record of a run that is named by id, path or `last`.
pub(crate) fn read(run: &str, state: &Path) -> Result<StoredRun, Error> {
    let path = find(run, state).ok_or_else(|| Error::NoSuchRun {
        run: run.to_owned(),
        state: state.to_owned(),
    })?;
    let events = read_file(&path)?;
    Ok(StoredRun { path, events })
}

/// Reads a record.
pub(crate) fn read_file(path: &Path) -> Result<Vec<Event>, Error> {
    let file = fs_err::File::open(path).map_err(Error::Open)?;
    let (file, _): (File, PathBuf) = file.into_parts();
    record::read(BufReader::new(file)).map_err(|source| Error::Record {
        path: path.to_owned(),
        source,
    })
}

/// The spec files in a record, read again.
pub(crate) fn specs(recorded: &[Event]) -> Vec<SpecFile> {
    let specs = recorded.iter().filter_map(|event| match event {
        Event::Spec { file, sha256, text } => Some(SpecFile {
            path: file.clone(),
            sha256: sha256.clone(),
            loaded: spec::load(text, file),
            text: text.clone(),
        }),
        _ => None,
    });
    specs.collect()
}

/// Where the record of a run lies that is named by id, path or `last`.
pub(crate) fn find(run: &str, state: &Path) -> Option<PathBuf> {
    let runs = state.join("runs");
    if run == "last" {
        return last(&runs);
    }
    let named = Path::new(run);
    if named.is_file() {
        return Some(named.to_owned());
    }
    let numbered = run.parse::<u32>().map(|number| format!("{number:04}"));
    [
        Some(named.to_owned()),
        Some(runs.join(run)),
        numbered.ok().map(|number| runs.join(number)),
    ]
    .into_iter()
    .flatten()
    .map(|folder| folder.join("run.jsonl"))
    .find(|path| path.is_file())
}

fn last(runs: &Path) -> Option<PathBuf> {
    fs_err::read_dir(runs)
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let number: u32 = entry.file_name().to_str()?.parse().ok()?;
            let path = entry.path().join("run.jsonl");
            path.is_file().then_some((number, path))
        })
        .max()
        .map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> tempfile::TempDir {
        let state = tempfile::tempdir().unwrap();
        for id in ["0009", "0010", "0011", "notes"] {
            let folder = state.path().join("runs").join(id);
            fs_err::create_dir_all(&folder).unwrap();
            if id != "0011" {
                fs_err::write(folder.join("run.jsonl"), "").unwrap();
            }
        }
        state
    }

    #[test]
    fn a_run_is_found_by_number_path_folder_and_last() {
        let state = state();
        let of = |id: &str| state.path().join("runs").join(id).join("run.jsonl");
        for (run, id) in [("last", "0010"), ("9", "0009"), ("0009", "0009"), ("10", "0010")] {
            assert_eq!(find(run, state.path()), Some(of(id)), "{run}");
        }
        for path in [of("0009"), of("0009").parent().unwrap().to_owned()] {
            assert_eq!(find(path.to_str().unwrap(), state.path()), Some(of("0009")));
        }
        for run in ["11", "12", "nothing", ""] {
            assert_eq!(find(run, state.path()), None, "{run}");
        }
    }
}
