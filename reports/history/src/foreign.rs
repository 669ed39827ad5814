//! What other tools measured: criterion, hyperfine and iperf3, read from the JSON that they write, so that changes of it are
//! found as of benchmarks of our own. Texts come in, nothing is opened here.

pub mod criterion;
mod hyperfine;
mod iperf3;

use record::Host;
use record::bench::{Figure, Figures, Measured};
use rusqlite::{OptionalExtension, TransactionBehavior, params};
use serde::Deserialize;
use serde_json::Value;
use statistics::quantile;

use crate::store::{self, Measurement};
use crate::{Error, History, Stored, hash};

/// A file as it was read.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    /// Its path as it is told.
    pub path: &'a str,
    /// What is in it.
    pub text: &'a str,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its path.
    pub path: String,
    /// The line, from 1; 0 if the file as a whole is meant.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// What it is.
    pub message: String,
}

/// A run of another tool.
#[derive(Debug, Clone, PartialEq)]
pub struct Foreign {
    /// `criterion`, `hyperfine` or `iperf3`.
    pub tool: &'static str,
    /// Version of the tool; empty if it does not say.
    pub version: String,
    /// Follows from what it measured: the same files are the same run.
    pub name: String,
    /// When it began, as the file says.
    pub started: Option<Started>,
    /// The kernel that it ran on, as the file says.
    pub kernel: Option<String>,
    /// What it measured.
    pub cases: Vec<ForeignCase>,
}

/// A point in time as a tool writes it.
#[derive(Debug, Clone, PartialEq)]
pub enum Started {
    /// Seconds since 1970.
    Seconds(u64),
    /// In words.
    Text(String),
}

/// What another tool measured of one thing.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeignCase {
    /// What stands for the name of the benchmark.
    pub bench: String,
    /// What stands for the values of a matrix.
    pub variant: String,
    /// What was measured.
    pub subject: String,
    /// The figures; their `case` is empty.
    pub figures: Figures,
}

/// Reads what hyperfine or iperf3 wrote; which of them is told by its shape. `stem` is the name of the file without its
/// ending, which becomes the name of the benchmark, for neither tool gives one.
///
/// # Errors
/// [`Fault`] if it is neither, or not as that tool writes it.
pub fn read(file: Text<'_>, stem: &str) -> Result<Foreign, Fault> {
    let shape: Value = parse(file, "JSON")?;
    let has = |key: &str| shape.get(key).is_some();
    if has("results") {
        hyperfine::read(file, stem)
    } else if has("start") && (has("end") || has("error")) {
        iperf3::read(file, stem)
    } else {
        let message = "neither `results` of hyperfine nor `start` and `end` of iperf3 are in it".to_owned();
        Err(whole(file, message))
    }
}

impl History {
    /// Stores what another tool measured on a host, at a time (RFC 3339) that is known otherwise if the file does not say
    /// it; `revision` is the version of what was measured. A run that is stored already stays as it is.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn store_foreign(
        &mut self,
        foreign: &Foreign,
        host: &Host,
        started: &str,
        revision: &str,
    ) -> Result<Stored, Error> {
        let host = Host {
            kernel: foreign.kernel.clone().unwrap_or_else(|| host.kernel.clone()),
            ..host.clone()
        };
        let mut work = || -> rusqlite::Result<Stored> {
            let transaction = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            let known = transaction
                .query_row(
                    "SELECT id FROM run WHERE name = ?1 AND origin = ?2",
                    [foreign.name.as_str(), foreign.tool],
                    |row| row.get::<_, i64>(0),
                )
                .optional()?;
            if known.is_some() {
                return Ok(Stored::Known);
            }
            let host = store::host(&transaction, &host)?;
            transaction.execute(
                "INSERT INTO run (name, started, plimsoll, host, origin) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![foreign.name, started, foreign.version, host, foreign.tool],
            )?;
            let run = transaction.last_insert_rowid();
            let mut count = 0;
            for case in &foreign.cases {
                let of = Measurement {
                    run,
                    spec: None,
                    bench: &case.bench,
                    variant: &case.variant,
                    subject: &case.subject,
                    version: revision,
                };
                count += store::measured(&transaction, &of, &case.figures)?;
            }
            transaction.commit()?;
            Ok(Stored::New(count))
        };
        work().map_err(Error::Write)
    }
}

/// Reads a file as a tool writes it.
fn parse<T: for<'de> Deserialize<'de>>(file: Text<'_>, what: &str) -> Result<T, Fault> {
    serde_json::from_str(file.text).map_err(|error| {
        let told = error.to_string();
        // The place is told apart.
        let message = told
            .rsplit_once(" at line ")
            .map_or(told.as_str(), |(message, _)| message);
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Fault {
            path: file.path.to_owned(),
            line: number(error.line()),
            column: number(error.column()).max(1),
            message: format!("this is not {what}: {message}"),
        }
    })
}

fn whole(file: Text<'_>, message: String) -> Fault {
    Fault {
        path: file.path.to_owned(),
        line: 0,
        column: 0,
        message,
    }
}

/// A name that is the same for the same text.
fn name(tool: &str, texts: &[&str]) -> String {
    format!("{tool}-{}", &hash(texts)[..8])
}

/// A figure without an interval.
fn bare(name: &str, value: f64) -> Figure {
    Figure {
        name: name.into(),
        value: Some(value),
        low: None,
        high: None,
    }
}

/// The median of samples with its interval of 95 %, and their mean.
fn of_samples(samples: &[f64]) -> Vec<Figure> {
    let finite = |end: f64| end.is_finite().then_some(end);
    let median = quantile::interval(samples, 0.5, 0.95).map(|found| Figure {
        name: "p50".into(),
        value: finite(found.value),
        low: finite(found.low),
        high: finite(found.high),
    });
    let mean = samples.iter().sum::<f64>() / samples.len() as f64;
    median.into_iter().chain([bare("mean", mean)]).collect()
}

fn measured(name: &str, unit: &str, figures: Vec<Figure>) -> Measured {
    Measured {
        name: name.into(),
        unit: unit.into(),
        figures,
        samples: Vec::new(),
        ratio: None,
    }
}
