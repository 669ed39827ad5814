//! Files of earlier samples: read before a benchmark runs, written when somebody asks for it after one.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use record::Event;
use record::bench::{BASELINE_VERSION, Baseline, BaselineCase, BaselineFile};

use crate::judge;
use crate::plan::Case;

/// Why a baseline cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("failed to read the baseline `{path}`", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// It is none.
    #[error("`{path}` is no baseline", path = path.display())]
    Parse {
        /// Which.
        path: PathBuf,
        /// Cause.
        source: serde_json::Error,
    },
    /// It is newer than this program.
    #[error("the baseline `{path}` has version {found}, this plimsoll reads up to {BASELINE_VERSION}", path = path.display())]
    Newer {
        /// Which.
        path: PathBuf,
        /// Version found.
        found: u32,
    },
    /// It cannot be written.
    #[error("failed to write the baseline `{path}`", path = path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
}

/// What each case of benchmarks is compared with: `given`, or else the file that its spec names. That a spec's file is not
/// there is no error: then there is nothing to compare with.
///
/// # Errors
/// [`Error`] of a file that is there and is no baseline, or that was given and is not there.
pub fn find(cases: &[Case], given: Option<&Path>) -> Result<BTreeMap<String, Baseline>, Error> {
    let mut files: BTreeMap<PathBuf, Option<BaselineFile>> = BTreeMap::new();
    let mut found = BTreeMap::new();
    for case in cases.iter().flat_map(Case::all) {
        let Some(measured) = case.measured.as_ref().filter(|measured| measured.healthy.is_none()) else {
            continue;
        };
        let named = measured
            .benchmark
            .baseline
            .as_ref()
            .map(|baseline| &baseline.file.value);
        let path = match (given, named) {
            (Some(path), _) => path.to_owned(),
            (None, Some(name)) => case.base.join(name),
            (None, None) => continue,
        };
        let file = match files.entry(path.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(read(&path, given.is_some())?),
        };
        let (id, file) = (&case.header.id, file.as_ref());
        let cell = file.and_then(|file| of_case(file, id).cloned());
        let missing = match (&file, &cell) {
            (None, _) => format!("`{}` is not there; `--save-baseline FILE` writes one", path.display()),
            (Some(_), None) => format!("`{}` has no samples of `{id}`", path.display()),
            (Some(_), Some(_)) => String::new(),
        };
        let baseline = Baseline {
            case: id.clone(),
            source: path.display().to_string(),
            found: cell,
            missing,
        };
        found.insert(id.clone(), baseline);
    }
    Ok(found)
}

/// The same case, or else the same variant of another subject: whether that may be compared is for the spec to say.
fn of_case<'f>(file: &'f BaselineFile, id: &str) -> Option<&'f BaselineCase> {
    let without_subject = |id: &str| id.rsplit_once('@').map(|(variant, _)| variant.to_owned());
    let same = file.cases.iter().find(|case| case.id == id);
    same.or_else(|| {
        let mut others = file.cases.iter();
        others.find(|case| without_subject(&case.id) == without_subject(id))
    })
}

fn read(path: &Path, must_be: bool) -> Result<Option<BaselineFile>, Error> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_be => return Ok(None),
        Err(source) => {
            return Err(Error::Read {
                path: path.to_owned(),
                source,
            });
        }
    };
    let file: BaselineFile = serde_json::from_slice(&text).map_err(|source| Error::Parse {
        path: path.to_owned(),
        source,
    })?;
    if file.baseline > BASELINE_VERSION {
        return Err(Error::Newer {
            path: path.to_owned(),
            found: file.baseline,
        });
    }
    Ok(Some(file))
}

/// The healthy cases of a run as a baseline, from its events.
pub fn of_run(cases: &[Case], events: &[Event]) -> BaselineFile {
    let mut file = BaselineFile {
        baseline: BASELINE_VERSION,
        cases: Vec::new(),
    };
    let Some(Event::Run {
        started,
        plimsoll,
        host,
        subjects,
        ..
    }) = events.first()
    else {
        return file;
    };
    for case in cases.iter().flat_map(Case::all) {
        let samples = judge::samples_of(case, events);
        let is_healthy = case.measured.as_ref().is_some_and(|measured| measured.delay.is_none());
        if !is_healthy || samples.values().all(Vec::is_empty) {
            continue;
        }
        let subject = subjects.iter().find(|subject| subject.name == case.header.subject);
        file.cases.push(BaselineCase {
            id: case.header.id.clone(),
            started: started.clone(),
            plimsoll: plimsoll.clone(),
            host: host.clone(),
            subject: subject.cloned().unwrap_or_default(),
            samples,
        });
    }
    file
}

/// Writes a baseline, and the folder for it if there is none. A reader sees the old file or the new one.
///
/// # Errors
/// [`Error::Write`].
pub fn save(file: &BaselineFile, path: &Path) -> Result<(), Error> {
    let failed = |source| Error::Write {
        path: path.to_owned(),
        source,
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut text = serde_json::to_vec(file).unwrap_or_default();
    text.push(b'\n');
    let unborn = path.with_extension(format!("{}.new", std::process::id()));
    std::fs::write(&unborn, text).map_err(failed)?;
    std::fs::rename(&unborn, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(ids: &[&str]) -> BaselineFile {
        BaselineFile {
            baseline: BASELINE_VERSION,
            cases: ids
                .iter()
                .map(|id| BaselineCase {
                    id: (*id).into(),
                    samples: [("total".to_owned(), vec![Some(1.5), None])].into(),
                    ..BaselineCase::default()
                })
                .collect(),
        }
    }

    #[test]
    fn what_is_saved_is_read_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("baselines/a.json");
        assert!(matches!(read(&path, false), Ok(None)));
        assert!(matches!(read(&path, true), Err(Error::Read { .. })));
        save(&file(&["a@b"]), &path).unwrap();
        assert_eq!(read(&path, true).unwrap(), Some(file(&["a@b"])));
        std::fs::write(&path, "{}").unwrap();
        assert!(matches!(read(&path, false), Err(Error::Parse { .. })));
        std::fs::write(&path, r#"{"baseline": 99, "cases": []}"#).unwrap();
        assert!(matches!(read(&path, false), Err(Error::Newer { found: 99, .. })));
    }

    #[test]
    fn the_same_variant_of_another_subject_is_the_next_best() {
        let file = file(&["a[x=1]@runc", "a[x=1]@bundled", "a[x=2]@bundled"]);
        let found = |id: &str| of_case(&file, id).map(|case| case.id.as_str());
        assert_eq!(found("a[x=1]@bundled"), Some("a[x=1]@bundled"));
        assert_eq!(found("a[x=1]@crun"), Some("a[x=1]@runc"));
        assert_eq!(found("a[x=3]@runc"), None);
    }
}
