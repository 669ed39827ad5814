//! The statistical checks of recorded runs: their samples, and the verdicts of today's judge.

use std::path::{Path, PathBuf};

use harness::plan::{self, SpecFile};
use record::{Event, Seen, Verdict};
use spec::{Check, Subject, Target};

/// Why records could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder or a file.
    #[error("failed to read `{path}`", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// It is no record.
    #[error("failed to understand `{path}`", path = path.display())]
    Record {
        /// Which.
        path: PathBuf,
        /// Cause.
        source: record::ReadError,
    },
    /// The specs in it are refused.
    #[error("the specs in `{path}` have faults: {faults}", path = path.display())]
    Specs {
        /// Which.
        path: PathBuf,
        /// The faults.
        faults: String,
    },
}

/// One statistical check of one case of one run.
#[derive(Debug, Clone)]
pub struct Drawn {
    /// The check.
    pub check: Check,
    /// What it was judged by: samples, unless something went wrong.
    pub seen: Option<Seen>,
    /// The verdict.
    pub verdict: Verdict,
}

/// One case of one run.
#[derive(Debug, Clone)]
pub struct Case {
    /// The test and its variant, without sabotage and subject.
    pub name: String,
    /// Its statistical checks.
    pub drawn: Vec<Drawn>,
    /// Checks of another kind that did not pass: id and verdict.
    pub others: Vec<(String, Verdict)>,
}

/// The cases of all runs that are kept below a state folder; none if there is no such folder.
///
/// # Errors
/// [`Error`].
pub fn cases(state: &Path) -> Result<Vec<Case>, Error> {
    let runs = state.join("runs");
    if !runs.exists() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in fs_err::read_dir(&runs).map_err(reading(&runs))? {
        let path = entry.map_err(reading(&runs))?.path().join("run.jsonl");
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    let mut all = Vec::new();
    for file in files {
        all.extend(of_run(&file)?);
    }
    Ok(all)
}

fn reading(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    |source| Error::Read { path, source }
}

fn of_run(path: &Path) -> Result<Vec<Case>, Error> {
    let file = fs_err::File::open(path).map_err(reading(path))?;
    let events = record::read(std::io::BufReader::new(file)).map_err(|source| Error::Record {
        path: path.to_owned(),
        source,
    })?;
    let (mut files, mut subjects, mut begun) = (Vec::new(), Vec::new(), Vec::new());
    for event in &events {
        if let Event::Run { subjects: all, .. } = event {
            subjects.extend(all.iter().map(|subject| subject.name.clone()));
        } else if let Event::Spec { file, sha256, text } = event {
            files.push(SpecFile {
                path: file.clone(),
                sha256: sha256.clone(),
                loaded: spec::load(text, file),
                text: text.clone(),
            });
        } else if let Event::Case(header) = event {
            begun.push(header.id.clone());
        }
    }
    let everything = plan::Selection {
        sabotage: plan::Sabotaging::Each,
        ..plan::Selection::default()
    };
    let plan = plan::expand(&files, &everything, &subjects, plan::Offer::of(&[Target::Runtime])).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Error::Specs {
            path: path.to_owned(),
            faults: faults.join("; "),
        }
    })?;
    let ran = plan.cases.iter().filter(|case| begun.contains(&case.header.id));
    Ok(ran.map(|case| of_case(case, &events)).collect())
}

fn of_case(case: &plan::Case, events: &[Event]) -> Case {
    let id = &case.header.id;
    let name = id.split(['+', '@']).next().unwrap_or(id).to_owned();
    let steps = case
        .spec
        .setup
        .iter()
        .chain(&case.spec.steps)
        .chain(&case.spec.teardown);
    let checks: Vec<&Check> = steps.flat_map(|step| &step.expect).map(|check| &check.value).collect();
    let (mut drawn, mut others) = (Vec::new(), Vec::new());
    for judged in harness::judge::case(case, events) {
        let check = checks.iter().find(|check| check.id.value == judged.check);
        match check {
            Some(check) if matches!(check.subject, Subject::Statistic(..)) => drawn.push(Drawn {
                check: (*check).clone(),
                seen: seen(id, &judged.check, events),
                verdict: judged.verdict,
            }),
            Some(_) | None if !matches!(judged.verdict, Verdict::Pass { .. }) => {
                others.push((judged.check, judged.verdict));
            }
            Some(_) | None => {}
        }
    }
    Case { name, drawn, others }
}

/// What the last look at a check saw.
fn seen(id: &str, check: &str, events: &[Event]) -> Option<Seen> {
    events.iter().rev().find_map(|event| match event {
        Event::Look { case, seen, .. } if case == id => seen.get(check).cloned(),
        _ => None,
    })
}
