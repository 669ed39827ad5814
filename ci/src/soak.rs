//! The whole catalogue again and again on healthy runtimes: whatever does not pass is a false alarm.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use record::{Event, Verdict};

use crate::command::{self, CommandError};
use crate::executable::{self, Profile};

/// What to run, and how often.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Rounds.
    #[arg(long, default_value_t = 20)]
    runs: u32,
    /// What is under test: `bundled` or `oci:ARGV…`; may be repeated (bundled, and runc and crun if installed, unless told).
    #[arg(long = "subject", value_name = "SUBJECT")]
    subjects: Vec<String>,
    /// Where the records go.
    #[arg(long, default_value = ".plimsoll/soak", value_name = "DIR")]
    state: PathBuf,
    /// Words for `plimsoll run`; without any, the whole catalogue.
    #[arg(last = true, value_name = "ARGUMENT")]
    arguments: Vec<String>,
}

/// Why it could not be counted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No executable.
    #[error("failed to build plimsoll")]
    Build(#[from] executable::Error),
    /// It did not start.
    #[error(transparent)]
    Run(#[from] CommandError),
    /// A folder or file of the records.
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
    /// A run left no record.
    #[error("`plimsoll run` ended with {0} and left no record")]
    NoRecord(u8),
}

/// What the rounds of one subject came to.
#[derive(Debug, Default)]
struct Tally {
    rounds: u32,
    rounds_with_alarms: u32,
    verdicts: u64,
    /// By check: how often, and the first of them with its record.
    alarms: BTreeMap<String, Alarm>,
}

#[derive(Debug)]
struct Alarm {
    count: BTreeMap<&'static str, u32>,
    first: String,
    record: PathBuf,
}

/// Ends with 1 if there was any alarm.
pub(crate) fn stage(workspace: &Path, options: &Options) -> Result<ExitCode, Error> {
    let plimsoll = executable::build(workspace, Profile::Dev, None, "plimsoll")?;
    let mut subjects = options.subjects.clone();
    if subjects.is_empty() {
        subjects.push("bundled".into());
        let installed = ["runc", "crun"]
            .into_iter()
            .filter(|name| command::find(name).is_some());
        subjects.extend(installed.map(|name| format!("oci:{name}")));
    }
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for round in 1..=options.runs {
        for subject in &subjects {
            let tally = tallies.entry(subject).or_default();
            let before = tally
                .alarms
                .values()
                .flat_map(|alarm| alarm.count.values())
                .sum::<u32>();
            tally.count(&run(workspace, &plimsoll, options, subject)?)?;
            let after = tally
                .alarms
                .values()
                .flat_map(|alarm| alarm.count.values())
                .sum::<u32>();
            println!(
                "round {round} of {}: {subject}, {} alarms",
                options.runs,
                after - before
            );
        }
    }
    for (subject, tally) in &tallies {
        print!("{}", tally.text(subject));
    }
    let quiet = tallies.values().all(|tally| tally.alarms.is_empty());
    Ok(ExitCode::from(u8::from(!quiet)))
}

/// One round; its record.
fn run(workspace: &Path, plimsoll: &Path, options: &Options, subject: &str) -> Result<PathBuf, Error> {
    let state = workspace.join(&options.state);
    let before = newest(&state)?;
    let mut run = Command::new(plimsoll);
    run.current_dir(workspace).arg("--state").arg(&state);
    run.args(["run", "--subject", subject]);
    if options.arguments.is_empty() {
        run.arg("specs/");
    }
    run.args(&options.arguments).stdout(Stdio::null()).stderr(Stdio::null());
    let code = command::exit_code(&mut run)?;
    match newest(&state)? {
        Some(after) if before.as_ref() != Some(&after) => Ok(after),
        Some(_) | None => Err(Error::NoRecord(code)),
    }
}

/// The last record of a state folder, by its number.
fn newest(state: &Path) -> Result<Option<PathBuf>, Error> {
    let runs = state.join("runs");
    if !runs.exists() {
        return Ok(None);
    }
    let read = |source| Error::Read {
        path: runs.clone(),
        source,
    };
    let mut last: Option<(u64, PathBuf)> = None;
    for entry in std::fs::read_dir(&runs).map_err(read)? {
        let entry = entry.map_err(read)?;
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let record = entry.path().join("run.jsonl");
        if let Some(number) = number.filter(|_| record.is_file())
            && last.as_ref().is_none_or(|(most, _)| number > *most)
        {
            last = Some((number, record));
        }
    }
    Ok(last.map(|(_, record)| record))
}

impl Tally {
    fn count(&mut self, record: &Path) -> Result<(), Error> {
        let file = std::fs::File::open(record).map_err(|source| Error::Read {
            path: record.to_owned(),
            source,
        })?;
        let events = record::read(BufReader::new(file)).map_err(|source| Error::Record {
            path: record.to_owned(),
            source,
        })?;
        self.events(&events, record);
        Ok(())
    }

    fn events(&mut self, events: &[Event], record: &Path) {
        self.rounds += 1;
        let mut any = false;
        for event in events {
            let Event::Verdict {
                case,
                check,
                verdict,
                known,
                ..
            } = event
            else {
                continue;
            };
            self.verdicts += 1;
            let Some((word, told)) = alarm(verdict, known.is_some()) else {
                continue;
            };
            any = true;
            let alarm = self.alarms.entry(format!("{case} › {check}")).or_insert_with(|| Alarm {
                count: BTreeMap::new(),
                first: told,
                record: record.to_owned(),
            });
            *alarm.count.entry(word).or_default() += 1;
        }
        self.rounds_with_alarms += u32::from(any);
    }

    fn text(&self, subject: &str) -> String {
        let mut text = format!(
            "{subject}: {} rounds, {} verdicts; {} checks gave an alarm, in {} rounds\n",
            self.rounds,
            self.verdicts,
            self.alarms.len(),
            self.rounds_with_alarms
        );
        for (check, alarm) in &self.alarms {
            let counts: Vec<String> = alarm.count.iter().map(|(word, n)| format!("{word} {n}")).collect();
            text.push_str(&format!(
                "  {check}: {} of {}\n    {}\n    {}\n",
                counts.join(", "),
                self.rounds,
                alarm.first,
                alarm.record.display()
            ));
        }
        text
    }
}

/// What a verdict alarms of, and in which words. A known failure does not, its absence does.
fn alarm(verdict: &Verdict, known: bool) -> Option<(&'static str, String)> {
    match (verdict, known) {
        (Verdict::Pass { .. }, false) | (Verdict::Skip { .. }, _) | (Verdict::Fail { .. }, true) => None,
        (Verdict::Pass { seen }, true) => Some(("unexpected pass", seen.clone())),
        (Verdict::Fail { want, got, .. }, false) => Some(("fail", format!("expected {want}, observed {got}"))),
        (Verdict::Inconclusive { more, .. }, _) => Some(("inconclusive", more.clone())),
        (Verdict::Error { message }, _) => Some(("error", message.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(check: &str, verdict: Verdict, known: bool) -> Event {
        Event::Verdict {
            case: "a@b".into(),
            check: check.into(),
            verdict,
            looks: 1,
            known: known.then(|| "it is so".into()),
            absent: false,
        }
    }

    fn failed() -> Verdict {
        Verdict::Fail {
            want: "1".into(),
            got: "2".into(),
            because: None,
        }
    }

    #[test]
    fn what_does_not_pass_is_counted_by_check() {
        let mut tally = Tally::default();
        let error = Verdict::Error {
            message: "broke".into(),
        };
        let pass = Verdict::Pass { seen: "it".into() };
        for second in [failed(), error] {
            let events = [
                verdict("quota", second, false),
                verdict("known", failed(), true),
                verdict("fine", pass.clone(), false),
            ];
            tally.events(&events, Path::new("run.jsonl"));
        }
        tally.events(&[verdict("known", pass, true)], Path::new("run.jsonl"));
        assert_eq!((tally.rounds, tally.rounds_with_alarms, tally.verdicts), (3, 3, 7));
        assert_eq!(
            tally.text("bundled"),
            "bundled: 3 rounds, 7 verdicts; 2 checks gave an alarm, in 3 rounds\n  \
             a@b › known: unexpected pass 1 of 3\n    it\n    run.jsonl\n  \
             a@b › quota: error 1, fail 1 of 3\n    expected 1, observed 2\n    run.jsonl\n"
        );
    }

    #[test]
    fn the_newest_record_is_the_one_with_the_greatest_number() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(newest(state.path()).unwrap(), None);
        for (name, whole) in [("0009", true), ("0010", true), ("0011", false), ("last", true)] {
            let run = state.path().join("runs").join(name);
            std::fs::create_dir_all(&run).unwrap();
            if whole {
                std::fs::write(run.join("run.jsonl"), "").unwrap();
            }
        }
        let newest = newest(state.path()).unwrap().unwrap();
        assert!(newest.ends_with("0010/run.jsonl"), "{}", newest.display());
    }
}
