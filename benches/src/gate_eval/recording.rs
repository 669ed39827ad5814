//! Rounds in a file.

use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use statistics::pairs::{Better, log_ratio};

use super::Plant;
use crate::start_latency::arms::{self, Round};

/// Of the files.
const VERSION: u64 = 1;

/// The arms of a recorded round: the reference, the subject that is the same, the reference's twin of the gate's own test,
/// and the slowed ones, each from a start of its own.
const ARMS: [f64; 6] = [0.0, 0.0, 0.0, 0.05, 0.05, 0.02];

/// What was recorded in one go.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// When it began, as RFC 3339.
    pub started: String,
    /// On what.
    pub host: Value,
    /// The rounds.
    pub rounds: Vec<Round>,
}

/// Why there is no recording.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing was measured.
    #[error(transparent)]
    Measure(#[from] crate::start_latency::Error),
    /// The file cannot be used.
    #[error("failed to {act} `{path}`", path = path.display())]
    File {
        /// What was done.
        act: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is something else.
    #[error("failed to read `{path}`: line {line} is no round", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Its number, from 1.
        line: usize,
    },
}

/// Records rounds for `time` into a new file of a directory; how many, and where.
///
/// # Errors
/// What cannot be measured or written. A file that is there already is not written to.
pub fn record(directory: &Path, plimsoll: &Path, time: Duration) -> Result<(usize, PathBuf), Error> {
    let started = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let path = directory.join(format!("{}.rounds", started.replace(':', "")));
    let path = path.as_path();
    let failed = |act| {
        move |source| Error::File {
            act,
            path: path.to_owned(),
            source,
        }
    };
    let program = fs_err::read(plimsoll).map_err(failed("read"))?;
    let sha256: String = Sha256::digest(&program)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let host = harness::host::fingerprint();
    let file = fs_err::OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = BufWriter::new(file.map_err(failed("make"))?);
    let header = json!({
        "version": VERSION, "started": started, "host": host, "plimsoll": sha256, "arms": ARMS,
    });
    writeln!(file, "{header}").map_err(failed("write"))?;
    let (mut rounds, mut refused) = (0, None);
    arms::measure(plimsoll, time, &ARMS, |round| {
        match writeln!(file, "{}", arms::line(&round)) {
            Ok(()) => {
                rounds += 1;
                ControlFlow::Continue(())
            }
            Err(error) => {
                refused = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    match refused {
        Some(error) => Err(failed("write")(error)),
        None => {
            file.flush().map_err(failed("write"))?;
            Ok((rounds, path.to_owned()))
        }
    }
}

impl Recording {
    /// What is in the files of a directory, in the order of their names.
    ///
    /// # Errors
    /// A file that cannot be read, or is something else.
    pub fn all(directory: &Path) -> Result<Vec<Self>, Error> {
        let entries = fs_err::read_dir(directory).map_err(|source| Error::File {
            act: "list",
            path: directory.to_owned(),
            source,
        })?;
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "rounds"));
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    fn read(path: &Path) -> Result<Self, Error> {
        let text = fs_err::read_to_string(path).map_err(|source| Error::File {
            act: "read",
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text).map_err(|line| Error::Line {
            path: path.to_owned(),
            line,
        })
    }

    /// Else the number of the line that is something else.
    fn parse(text: &str) -> Result<Self, usize> {
        let mut lines = text.lines();
        let header: Value = lines
            .next()
            .and_then(|line| serde_json::from_str(line).ok())
            .ok_or(1usize)?;
        if header["version"] != VERSION || header["arms"] != json!(ARMS) {
            return Err(1);
        }
        let round = |(at, line): (usize, &str)| {
            arms::heard(line)
                .filter(|round| round.took.len() == ARMS.len())
                .ok_or(at + 2)
        };
        Ok(Self {
            started: header["started"].as_str().unwrap_or_default().to_owned(),
            host: header["host"].clone(),
            rounds: lines.enumerate().map(round).collect::<Result<_, _>>()?,
        })
    }

    /// As the gate gets them, with this subject.
    pub(super) fn rounds(&self, plant: Plant) -> Vec<statistics::replay::Round> {
        let mut before = Duration::ZERO;
        self.rounds
            .iter()
            .filter_map(|round| {
                let whole = round.ended.saturating_sub(before).as_secs_f64();
                before = round.ended;
                let arm = |arm: usize| round.took.get(arm).map(Duration::as_secs_f64);
                let worse = |of: usize| log_ratio(arm(0)?, arm(of)?, Better::Less);
                let subject = match plant {
                    Plant::Nothing => 1,
                    Plant::FivePercent => 3,
                    Plant::TwoPercent => 5,
                };
                Some(statistics::replay::Round {
                    // A run of the gate starts four of them.
                    took: whole * 4.0 / ARMS.len() as f64,
                    row: worse(subject)?,
                    same: worse(2)?,
                    planted: worse(4)?,
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(arms: &Value, rounds: &str) -> String {
        let header = json!({"version": 1, "started": "then", "host": {"kernel": "6"}, "plimsoll": "ab", "arms": arms});
        format!("{header}\n{rounds}")
    }

    #[test]
    fn rounds_are_read_back_and_paired_with_the_reference_of_their_round() {
        let rounds = "600 0,1,2,3,4,5 100,100,200,105,110,102\n1800 5,4,3,2,1,0 100,50,100,100,100,100\n";
        let recording = Recording::parse(&text(&json!(ARMS), rounds)).unwrap();
        assert_eq!((recording.started.as_str(), recording.rounds.len()), ("then", 2));
        let found = recording.rounds(Plant::FivePercent);
        assert!((found[0].took - 400e-9).abs() < 1e-15 && (found[1].took - 800e-9).abs() < 1e-15);
        assert!((found[0].row - 1.05f64.ln()).abs() < 1e-12);
        assert!((found[0].same - 2f64.ln()).abs() < 1e-12);
        assert!((found[0].planted - 1.1f64.ln()).abs() < 1e-12);
        assert!((recording.rounds(Plant::Nothing)[1].row + 2f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn what_is_no_recording_is_told_by_its_line() {
        assert_eq!(Recording::parse(""), Err(1));
        assert_eq!(Recording::parse(&text(&json!([0.0]), "")), Err(1));
        let odd = text(&json!(ARMS), "600 0,1,2,3,4,5 1,1,1,1,1,1\nnoise\n");
        assert_eq!(Recording::parse(&odd), Err(3));
    }
}
