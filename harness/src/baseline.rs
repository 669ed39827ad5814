//! Earlier samples: read before a benchmark runs, written when somebody asks for it after one.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
    /// A revision does not have it.
    #[error("failed to read `{file}` of the revision `{revision}`: {said}")]
    Revision {
        /// The file, as the spec names it.
        file: PathBuf,
        /// The revision.
        revision: String,
        /// What git said.
        said: String,
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

/// What to compare with, in place of the files that specs name.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// These samples.
    Samples {
        /// Where they come from.
        source: String,
        /// The samples.
        file: BaselineFile,
    },
    /// The files that specs name, as they were in this git revision.
    Revision(String),
}

/// What each case of benchmarks is compared with: `given`, or else the file that its spec names. That a spec's file is not
/// there is no error: then there is nothing to compare with.
///
/// # Errors
/// [`Error`] of a file that is there and is no baseline, or that a revision does not have.
pub fn find(cases: &[Case], given: Option<&Given>) -> Result<BTreeMap<String, Baseline>, Error> {
    let mut files: BTreeMap<PathBuf, Option<BaselineFile>> = BTreeMap::new();
    let mut found = BTreeMap::new();
    for case in cases.iter().flat_map(Case::all) {
        let Some(measured) = case.measured.as_ref().filter(|measured| measured.healthy.is_none()) else {
            continue;
        };
        let named = measured.benchmark.baseline.as_ref();
        let named = named.map(|baseline| case.base.join(&baseline.file.value));
        let (source, file) = match (given, named) {
            (Some(Given::Samples { source, file }), _) => (source.clone(), Some(file)),
            (_, None) => continue,
            (other, Some(path)) => {
                let source = match other {
                    Some(Given::Revision(revision)) => format!("{revision}:{}", path.display()),
                    _ => path.display().to_string(),
                };
                let file = match files.entry(path) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(unknown) => {
                        let file = match other {
                            Some(Given::Revision(revision)) => Some(read_at(revision, unknown.key())?),
                            _ if unknown.key().exists() => Some(read(unknown.key())?),
                            _ => None,
                        };
                        unknown.insert(file)
                    }
                };
                (source, file.as_ref())
            }
        };
        let id = &case.header.id;
        let cell = file.and_then(|file| of_case(file, id).cloned());
        let missing = match (&file, &cell) {
            (None, _) => format!("`{source}` is not there; `--save-baseline FILE` writes one"),
            (Some(_), None) => format!("`{source}` has no samples of `{id}`"),
            (Some(_), Some(_)) => String::new(),
        };
        let baseline = Baseline {
            case: id.clone(),
            source,
            found: cell,
            missing,
        };
        found.insert(id.clone(), baseline);
    }
    Ok(found)
}

/// The git revision that a text names in the repository of the current directory, if it names one.
pub fn revision(text: &str) -> Option<String> {
    // What looks like an option is none.
    if text.is_empty() || text.starts_with('-') {
        return None;
    }
    let commit = format!("{text}^{{commit}}");
    let mut git = Command::new("git");
    git.args(["rev-parse", "--verify", "--quiet", &commit]);
    let output = git.stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| text.to_owned())
}

/// Reads a file as it was in a revision.
fn read_at(revision: &str, path: &Path) -> Result<BaselineFile, Error> {
    let failed = |said: String| Error::Revision {
        file: path.to_owned(),
        revision: revision.to_owned(),
        said,
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut git = Command::new("git");
    // The folder may be newer or older than the revision: git finds its repository from the nearest that is there.
    let mut there = folder.unwrap_or(Path::new("."));
    let mut below = PathBuf::new();
    while !there.exists() {
        below = Path::new(there.file_name().unwrap_or_default()).join(below);
        there = there
            .parent()
            .filter(|above| !above.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
    }
    let object = format!("{revision}:./{}", below.join(&*name).display());
    let output = git
        .arg("-C")
        .arg(there)
        .arg("show")
        .arg(object)
        .stdin(Stdio::null())
        .output();
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    parse(&output.stdout, Path::new(&format!("{revision}:{}", path.display())))
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

/// Reads a file of samples.
///
/// # Errors
/// [`Error`] if it cannot be read, is none, or is newer than this program.
pub fn read(path: &Path) -> Result<BaselineFile, Error> {
    let text = std::fs::read(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(&text, path)
}

fn parse(text: &[u8], path: &Path) -> Result<BaselineFile, Error> {
    let file: BaselineFile = serde_json::from_slice(text).map_err(|source| Error::Parse {
        path: path.to_owned(),
        source,
    })?;
    if file.baseline > BASELINE_VERSION {
        return Err(Error::Newer {
            path: path.to_owned(),
            found: file.baseline,
        });
    }
    Ok(file)
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
        let is_healthy = case
            .measured
            .as_ref()
            .is_some_and(|measured| measured.healthy.is_none());
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
        assert!(matches!(read(&path), Err(Error::Read { .. })));
        save(&file(&["a@b"]), &path).unwrap();
        assert_eq!(read(&path).unwrap(), file(&["a@b"]));
        std::fs::write(&path, "{}").unwrap();
        assert!(matches!(read(&path), Err(Error::Parse { .. })));
        std::fs::write(&path, r#"{"baseline": 99, "cases": []}"#).unwrap();
        assert!(matches!(read(&path), Err(Error::Newer { found: 99, .. })));
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
