//! Writing runs, and forgetting old ones.

use std::collections::BTreeMap;

use record::bench::{Figure, Figures};
use record::{CaseHeader, Event, Flaky, Host, Ledger, LedgerCase, LedgerCheck, Verdict};
use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};

use crate::{Error, History, Machine, SpecChecks, fingerprint};

/// Beyond so many verdicts and figures the oldest runs are forgotten (about 50 MB).
pub const KEPT_VERDICTS: usize = 200_000;

/// So many of the newest runs are kept however many verdicts they have.
pub const KEPT_RUNS: usize = 20;

/// Most of what was seen that is kept of a verdict, characters.
const SEEN: usize = 400;

/// What became of a run that was to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is there now, with so many verdicts, or, if another tool measured it, figures.
    New(usize),
    /// It was there already.
    Known,
}

/// The word under which a verdict is kept.
pub(crate) fn word(verdict: &Verdict, known: bool, flaky: Option<Flaky>) -> &'static str {
    match (verdict, flaky) {
        (_, Some(_)) => "flaky",
        (Verdict::Fail { .. }, None) if known => "known",
        (Verdict::Pass { .. }, None) if known => "unexpected",
        (Verdict::Skip { after_step: true, .. }, None) => "after",
        (verdict, None) => verdict.word(),
    }
}

fn seen(verdict: &Verdict) -> String {
    let text = match verdict {
        Verdict::Pass { seen } => seen.clone(),
        Verdict::Fail { want, got, .. } => format!("expected {want}, observed {got}"),
        Verdict::Skip { requirement, seen, .. } => format!("{requirement} ({seen})"),
        Verdict::Inconclusive { n, more, .. } => format!("{n} samples: {more}"),
        Verdict::Error { message } => message.clone(),
    };
    match text.char_indices().nth(SEEN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// What stands in brackets in the id of a case.
pub fn variant(header: &CaseHeader) -> &str {
    let id = header.id.strip_prefix(header.test.as_str());
    let rest = id.and_then(|rest| rest.strip_prefix('[')).unwrap_or_default();
    rest.rsplit_once(']').map_or("", |(label, _)| label)
}

impl History {
    /// Stores what the checks and the samples of a run came to. `events` are those of its record, of which only the first
    /// line, the cases, their verdicts, figures and ends and the last line matter; `specs` are its spec files. Cases under
    /// sabotage are left out: they are meant to fail. A run that is stored already stays as it is.
    ///
    /// # Errors
    /// [`Error::NotARun`] and [`Error::Write`].
    pub fn store<'e>(
        &mut self,
        events: impl IntoIterator<Item = &'e Event> + Clone,
        specs: &[SpecChecks],
    ) -> Result<Stored, Error> {
        let first = events.clone().into_iter().next();
        let Some(Event::Run {
            id,
            started,
            plimsoll,
            host,
            subjects,
            ..
        }) = first
        else {
            return Err(Error::NotARun);
        };
        let end = events.clone().into_iter().find_map(|event| match event {
            Event::RunEnd { exit, took, .. } => Some((*exit, *took)),
            _ => None,
        });
        let ledger = Ledger::of(events.clone());
        let headers: BTreeMap<&str, &CaseHeader> = events
            .clone()
            .into_iter()
            .filter_map(|event| match event {
                Event::Case(header) => Some((header.id.as_str(), header.as_ref())),
                _ => None,
            })
            .collect();
        let figures: Vec<&Figures> = events
            .into_iter()
            .filter_map(|event| match event {
                Event::Figures(figures) => Some(figures.as_ref()),
                _ => None,
            })
            .collect();
        // Versions often stay what they are from build to build.
        let versions: BTreeMap<&str, String> = subjects
            .iter()
            .map(|subject| (subject.name.as_str(), subject.version_and_build()))
            .collect();
        let mut work = || -> rusqlite::Result<Stored> {
            let transaction = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            let host = self::host(&transaction, host)?;
            let stored = transaction.execute(
                "INSERT OR IGNORE INTO run (name, started, plimsoll, host, exit, took) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![id, started, plimsoll, host, end.map(|e| e.0), end.map(|e| e.1)],
            )?;
            if stored == 0 {
                return Ok(Stored::Known);
            }
            let run = transaction.last_insert_rowid();
            let mut files: BTreeMap<&str, i64> = BTreeMap::new();
            for spec in specs {
                let checks = serde_json::to_string(&spec.checks).unwrap_or_default();
                let id = row(
                    &transaction,
                    "spec",
                    &[("sha256", &spec.sha256), ("checks", &checks)],
                    1,
                )?;
                files.insert(&spec.file, id);
                transaction.execute(
                    "INSERT OR IGNORE INTO run_spec (run, file, spec) VALUES (?1, ?2, ?3)",
                    params![run, normal(&spec.file), id],
                )?;
            }
            let mut count = 0;
            for (case, check) in ledger.checks() {
                if case.header.sabotage.is_none() && case.header.fault.is_none() {
                    let version = versions.get(case.header.subject.as_str()).map_or("", String::as_str);
                    let spec = files.get(case.header.file.as_str()).copied();
                    count += enter(&transaction, run, spec, version, case, check)?;
                }
            }
            for figures in &figures {
                let Some(header) = headers.get(figures.case.as_str()) else {
                    continue;
                };
                if header.sabotage.is_none() && header.fault.is_none() {
                    let version = versions.get(header.subject.as_str()).map_or("", String::as_str);
                    let of = Measurement {
                        run,
                        spec: files.get(header.file.as_str()).copied(),
                        bench: &header.test,
                        variant: variant(header),
                        subject: &header.subject,
                        version,
                    };
                    measured(&transaction, &of, figures)?;
                }
            }
            transaction.commit()?;
            Ok(Stored::New(count))
        };
        work().map_err(Error::Write)
    }

    /// Forgets the oldest runs: all but the newest `runs`, and, of those beyond the newest [`KEPT_RUNS`], as many as it
    /// takes to keep no more than `verdicts` verdicts and figures. Answers how many are forgotten.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn prune(&mut self, runs: usize, verdicts: usize) -> Result<usize, Error> {
        let mut work = || -> rusqlite::Result<usize> {
            let transaction = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut sum = 0usize;
            let mut old: Vec<i64> = Vec::new();
            {
                let mut newest = transaction.prepare(
                    "SELECT run.id, (SELECT count(*) FROM verdict WHERE verdict.run = run.id)
                         + (SELECT count(*) FROM figure WHERE figure.run = run.id)
                     FROM run ORDER BY started DESC, id DESC",
                )?;
                let all = newest.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
                for (n, one) in all.enumerate() {
                    let (id, count) = one?;
                    sum += usize::try_from(count).unwrap_or(0);
                    if n >= runs || (n >= KEPT_RUNS && sum > verdicts) {
                        old.push(id);
                    }
                }
            }
            for id in &old {
                transaction.execute("DELETE FROM run WHERE id = ?1", [id])?;
            }
            if !old.is_empty() {
                transaction.execute_batch(
                    "DELETE FROM checked WHERE id NOT IN (SELECT checked FROM verdict);
                     DELETE FROM metric WHERE id NOT IN (SELECT metric FROM figure);
                     DELETE FROM subject WHERE id NOT IN (SELECT subject FROM verdict)
                         AND id NOT IN (SELECT subject FROM figure);
                     DELETE FROM spec WHERE id NOT IN (SELECT spec FROM run_spec)
                         AND id NOT IN (SELECT spec FROM verdict WHERE spec IS NOT NULL)
                         AND id NOT IN (SELECT spec FROM figure WHERE spec IS NOT NULL);
                     DELETE FROM host WHERE id NOT IN (SELECT host FROM run);",
                )?;
            }
            transaction.commit()?;
            Ok(old.len())
        };
        work().map_err(Error::Write)
    }
}

/// A path without `./` in it, so that `specs` and `./specs` have one past.
pub(crate) fn normal(file: &str) -> String {
    let path: std::path::PathBuf = std::path::Path::new(file)
        .components()
        .filter(|part| !matches!(part, std::path::Component::CurDir))
        .collect();
    path.display().to_string()
}

/// The id of a host's row.
pub(crate) fn host(transaction: &Transaction<'_>, host: &Host) -> rusqlite::Result<i64> {
    let facts = serde_json::to_string(host).unwrap_or_default();
    row(
        transaction,
        "host",
        &[
            ("fingerprint", &fingerprint(host)),
            ("place", &Machine::of(host).0),
            ("facts", &facts),
        ],
        1,
    )
}

/// The id of the row with these values; made if it is not there. The first `key` columns tell rows apart.
fn row(transaction: &Transaction<'_>, table: &str, columns: &[(&str, &str)], key: usize) -> rusqlite::Result<i64> {
    let condition: Vec<String> = (1..=key).map(|n| format!("{} = ?{n}", columns[n - 1].0)).collect();
    let condition = condition.join(" AND ");
    let keys = columns[..key].iter().map(|column| column.1);
    let found = transaction
        .prepare_cached(&format!("SELECT id FROM {table} WHERE {condition}"))?
        .query_row(rusqlite::params_from_iter(keys), |row| row.get(0))
        .optional()?;
    if let Some(id) = found {
        return Ok(id);
    }
    let names: Vec<&str> = columns.iter().map(|column| column.0).collect();
    let places: Vec<String> = (1..=columns.len()).map(|n| format!("?{n}")).collect();
    transaction
        .prepare_cached(&format!(
            "INSERT INTO {table} ({}) VALUES ({})",
            names.join(", "),
            places.join(", ")
        ))?
        .execute(rusqlite::params_from_iter(columns.iter().map(|column| column.1)))?;
    Ok(transaction.last_insert_rowid())
}

/// Of what figures are.
pub(crate) struct Measurement<'a> {
    /// Id of the row of its run.
    pub(crate) run: i64,
    /// Id of the row of its spec.
    pub(crate) spec: Option<i64>,
    pub(crate) bench: &'a str,
    pub(crate) variant: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) version: &'a str,
}

/// The measure under which the share of samples that failed is kept, as thresholds call it.
const FAILURES: &str = "failures";

/// Stores the figures of a case, and of those of plimsoll the share of failures.
pub(crate) fn measured(
    transaction: &Transaction<'_>,
    of: &Measurement<'_>,
    figures: &Figures,
) -> rusqlite::Result<usize> {
    let subject = row(
        transaction,
        "subject",
        &[("name", of.subject), ("version", of.version)],
        2,
    )?;
    let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let mut stored = 0;
    let mut keep = |measure: &str, unit: &str, figure: &Figure| -> rusqlite::Result<()> {
        let metric = row(
            transaction,
            "metric",
            &[
                ("bench", of.bench),
                ("variant", of.variant),
                ("measure", measure),
                ("figure", &figure.name),
                ("unit", unit),
            ],
            5,
        )?;
        stored += transaction
            .prepare_cached(
                "INSERT OR IGNORE INTO figure (metric, subject, run, spec, value, low, high, samples, failures)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                metric,
                subject,
                of.run,
                of.spec,
                figure.value,
                figure.low,
                figure.high,
                count(figures.samples),
                count(figures.failures),
            ])?;
        Ok(())
    };
    for measure in &figures.measures {
        for figure in &measure.figures {
            keep(&measure.name, &measure.unit, figure)?;
        }
    }
    if of.spec.is_some() && figures.samples > 0 {
        let share = 100.0 * figures.failures as f64 / figures.samples as f64;
        let of_failures = Figure {
            name: "share".into(),
            value: Some(share),
            low: Some(share),
            high: Some(share),
        };
        keep(FAILURES, "%", &of_failures)?;
    }
    Ok(stored)
}

fn enter(
    transaction: &Transaction<'_>,
    run: i64,
    spec: Option<i64>,
    version: &str,
    case: &LedgerCase,
    check: &LedgerCheck,
) -> rusqlite::Result<usize> {
    let Some(settled) = check.settled() else {
        return Ok(0);
    };
    let test = case.header.test.as_str();
    let checked = row(
        transaction,
        "checked",
        &[("test", test), ("variant", variant(&case.header)), ("name", &check.id)],
        3,
    )?;
    let subject = row(
        transaction,
        "subject",
        &[("name", &case.header.subject), ("version", version)],
        2,
    )?;
    let is_bad = |verdict: &&Verdict| !matches!(verdict, Verdict::Pass { .. } | Verdict::Skip { .. });
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    transaction
        .prepare_cached(
            "INSERT INTO verdict (checked, subject, run, spec, word, failed, attempts, seen, took)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            checked,
            subject,
            run,
            spec,
            word(settled.verdict, check.known.is_some(), settled.flaky),
            count(check.verdicts.iter().filter(is_bad).count()),
            count(check.verdicts.len()),
            seen(settled.failure.unwrap_or(settled.verdict)),
            case.took,
        ])
}
