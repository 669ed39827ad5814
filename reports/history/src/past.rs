//! Reading what became of checks.

use std::collections::BTreeSet;

use rusqlite::Row;
use serde::Serialize;

use crate::{Error, History};

/// The runs that count as lately, and the looks at a check in which flakes are looked for.
const LATELY: usize = 20;

/// Which check.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct CheckName {
    /// Name of the test.
    pub test: String,
    /// Its matrix values, as in the id of a case; empty without a matrix.
    pub case: String,
    /// Id of the check.
    pub check: String,
}

impl CheckName {
    /// Every name by which it may be asked for: `test`, `test.case`, `test.case.check`, and what stands in reports.
    pub fn names(&self) -> Vec<String> {
        let Self { test, case, check } = self;
        let mut names = vec![
            test.clone(),
            format!("{test}.{case}"),
            format!("{test}.{case}.{check}"),
            self.to_string(),
        ];
        if case.is_empty() {
            names.push(format!("{test}.{check}"));
        } else {
            names.push(format!("{test}[{case}]"));
        }
        names
    }
}

impl std::fmt::Display for CheckName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.case.as_str() {
            "" => write!(f, "{} › {}", self.test, self.check),
            case => write!(f, "{}[{case}] › {}", self.test, self.check),
        }
    }
}

/// What one run saw of a check.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Id of the run.
    pub run: String,
    /// When the run began, RFC 3339.
    pub started: String,
    /// Name of the subject.
    pub subject: String,
    /// Its version.
    pub version: String,
    /// The verdict; `flaky`, `known` and `unexpected` where they say more, `after` for a skip behind a failed step.
    pub verdict: String,
    /// How many attempts did not pass.
    pub failed: u32,
    /// How many attempts there were.
    pub attempts: u32,
    /// What was seen.
    pub seen: String,
    /// How long its case took, milliseconds.
    pub took: Option<f64>,
    /// SHA-256 of the spec.
    pub spec: Option<String>,
    /// Fingerprint of the host.
    pub host: String,
}

impl Entry {
    fn was_looked_at(&self) -> bool {
        !matches!(self.verdict.as_str(), "skip" | "after")
    }

    fn passed(&self) -> bool {
        matches!(self.verdict.as_str(), "pass" | "unexpected")
    }
}

/// How often a check passed, and what that says about how often it does: Wilson's interval of 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rate {
    /// Runs in which it passed.
    pub passed: usize,
    /// Runs that looked at it.
    pub of: usize,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Rate {
    /// Of so many. Nothing seen leaves everything open.
    pub fn new(passed: usize, of: usize) -> Self {
        const Z: f64 = 1.959_963_984_540_054;
        let (mut low, mut high) = (0.0, 1.0);
        if of > 0 {
            let (n, share) = (of as f64, passed as f64 / of as f64);
            let scale = 1.0 + Z * Z / n;
            let centre = (share + Z * Z / (2.0 * n)) / scale;
            let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt() / scale;
            (low, high) = ((centre - half).max(0.0), (centre + half).min(1.0));
        }
        Self { passed, of, low, high }
    }
}

/// From one verdict to another.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The verdict before.
    pub from: String,
    /// The verdict since.
    pub to: String,
    /// The first run with it.
    pub run: String,
    /// When that run began, RFC 3339.
    pub started: String,
}

/// A check on one subject.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Series {
    /// Name of the subject.
    pub subject: String,
    /// How often it passed.
    pub rate: Rate,
    /// Runs in which it was flaky.
    pub flaky: usize,
    /// Runs in which it was skipped.
    pub skipped: usize,
    /// When it was first seen, RFC 3339.
    pub first: String,
    /// When it was last seen, RFC 3339.
    pub last: String,
    /// The verdict then.
    pub verdict: String,
    /// When its verdict last changed; what it was not come to does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// It both passed and did not with the same spec, subject and host, or in attempts of one run, within its last looks.
    pub wavers: bool,
}

/// The past of one check.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Past {
    /// The check.
    #[serde(flatten)]
    pub name: CheckName,
    /// By subject.
    pub series: Vec<Series>,
    /// Newest first.
    pub entries: Vec<Entry>,
}

/// What stands out of all pasts.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    /// How many runs are kept.
    pub runs: usize,
    /// How many checks.
    pub checks: usize,
    /// When the oldest and the newest run began, RFC 3339.
    pub between: Option<(String, String)>,
    /// Checks of which the verdict changed in one of the newest runs: the name, and its past on the subject.
    pub changed: Vec<(CheckName, Series)>,
    /// Checks that waver.
    pub wavering: Vec<(CheckName, Series)>,
    /// Names of benchmarks.
    pub benchmarks: Vec<String>,
}

impl History {
    /// The pasts of the checks that are wanted, in the order of their names.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn pasts(&self, wanted: &dyn Fn(&CheckName) -> bool) -> Result<Vec<Past>, Error> {
        let read = || -> rusqlite::Result<Vec<Past>> {
            let mut checks = self
                .connection
                .prepare("SELECT id, test, variant, name FROM checked ORDER BY test, variant, name")?;
            let mut entries = self.connection.prepare(
                "SELECT run.name, run.started, subject.name, subject.version, word, failed, attempts, seen, verdict.took,
                        spec.sha256, host.fingerprint
                 FROM verdict
                 JOIN run ON run.id = verdict.run
                 JOIN host ON host.id = run.host
                 JOIN subject ON subject.id = verdict.subject
                 LEFT JOIN spec ON spec.id = verdict.spec
                 WHERE verdict.checked = ?1
                 ORDER BY run.started DESC, run.id DESC, subject.name",
            )?;
            let names = checks.query_map([], |row| {
                let name = CheckName {
                    test: row.get(1)?,
                    case: row.get(2)?,
                    check: row.get(3)?,
                };
                Ok((row.get::<_, i64>(0)?, name))
            })?;
            let mut pasts = Vec::new();
            for named in names {
                let (id, name) = named?;
                if wanted(&name) {
                    let entries: Vec<Entry> = entries.query_map([id], entry)?.collect::<Result<_, _>>()?;
                    pasts.push(Past {
                        series: series(&entries),
                        name,
                        entries,
                    });
                }
            }
            Ok(pasts)
        };
        read().map_err(Error::Read)
    }

    /// When the runs that are kept began, RFC 3339, oldest first.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn runs(&self) -> Result<Vec<String>, Error> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let mut runs = self
                .connection
                .prepare("SELECT started FROM run ORDER BY started, id")?;
            runs.query_map([], |row| row.get(0))?.collect()
        };
        read().map_err(Error::Read)
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        run: row.get(0)?,
        started: row.get(1)?,
        subject: row.get(2)?,
        version: row.get(3)?,
        verdict: row.get(4)?,
        failed: row.get(5)?,
        attempts: row.get(6)?,
        seen: row.get(7)?,
        took: row.get(8)?,
        spec: row.get(9)?,
        host: row.get(10)?,
    })
}

/// Entries, newest first, by subject.
fn series(entries: &[Entry]) -> Vec<Series> {
    let subjects: BTreeSet<&str> = entries.iter().map(|entry| entry.subject.as_str()).collect();
    subjects
        .into_iter()
        .filter_map(|subject| {
            let own: Vec<&Entry> = entries.iter().filter(|entry| entry.subject == subject).collect();
            let (newest, oldest) = (own.first()?, own.last()?);
            let count = |is: &dyn Fn(&Entry) -> bool| own.iter().filter(|entry| is(entry)).count();
            Some(Series {
                subject: subject.to_owned(),
                rate: Rate::new(count(&Entry::passed), count(&Entry::was_looked_at)),
                flaky: count(&|entry| entry.verdict == "flaky"),
                skipped: count(&|entry| entry.verdict == "skip"),
                first: oldest.started.clone(),
                last: newest.started.clone(),
                verdict: newest.verdict.clone(),
                change: change(&own),
                wavers: wavers(&own),
            })
        })
        .collect()
}

fn change(own: &[&Entry]) -> Option<Change> {
    let told: Vec<&&Entry> = own.iter().filter(|entry| entry.verdict != "after").collect();
    told.windows(2)
        .find(|pair| pair[0].verdict != pair[1].verdict)
        .map(|pair| Change {
            from: pair[1].verdict.clone(),
            to: pair[0].verdict.clone(),
            run: pair[0].run.clone(),
            started: pair[0].started.clone(),
        })
}

fn wavers(own: &[&Entry]) -> bool {
    let looked = || own.iter().filter(|entry| entry.was_looked_at()).take(LATELY);
    let same =
        |a: &Entry, b: &Entry| a.spec.is_some() && (&a.spec, &a.version, &a.host) == (&b.spec, &b.version, &b.host);
    looked().any(|entry| {
        entry.verdict == "flaky" || entry.passed() && looked().any(|other| !other.passed() && same(entry, other))
    })
}

/// What stands out. `runs` are the times of the runs, oldest first, `benchmarks` the names of all.
pub fn overview(pasts: &[Past], runs: &[String], benchmarks: Vec<String>) -> Overview {
    let all = || {
        pasts.iter().flat_map(|past| {
            past.series
                .iter()
                .map(move |series| (past.name.clone(), series.clone()))
        })
    };
    let lately = runs.len().checked_sub(LATELY).map_or("", |at| runs[at].as_str());
    let mut changed: Vec<_> = all()
        .filter(|(_, series)| {
            series
                .change
                .as_ref()
                .is_some_and(|change| change.started.as_str() >= lately)
        })
        .collect();
    changed.sort_by(|(_, a), (_, b)| {
        let when = |series: &Series| series.change.as_ref().map(|change| change.started.clone());
        when(b).cmp(&when(a))
    });
    Overview {
        runs: runs.len(),
        checks: pasts.len(),
        between: runs.first().cloned().zip(runs.last().cloned()),
        changed,
        wavering: all().filter(|(_, series)| series.wavers).collect(),
        benchmarks,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_wilsons() {
        // Computed with another implementation: 8 of 10, and the two ends.
        for (passed, of, low, high) in [
            (8, 10, 0.490_162_48, 0.943_317_81),
            (0, 10, 0.0, 0.277_532_8),
            (10, 10, 0.722_467_2, 1.0),
            (0, 0, 0.0, 1.0),
        ] {
            let rate = Rate::new(passed, of);
            assert!((rate.low - low).abs() < 1e-6, "{rate:?}");
            assert!((rate.high - high).abs() < 1e-6, "{rate:?}");
        }
    }

    fn entries(words: &str) -> Vec<Entry> {
        let newest_first = words.split(' ').rev().enumerate();
        newest_first
            .map(|(n, word)| Entry {
                run: format!("{n}"),
                started: format!("2026-01-{:02}T00:00:00Z", 31 - n),
                subject: "bundled".into(),
                version: "1".into(),
                verdict: word.into(),
                failed: 0,
                attempts: 1,
                seen: String::new(),
                took: None,
                spec: Some("s".into()),
                host: "h".into(),
            })
            .collect()
    }

    #[test]
    fn counts_change_and_wavering_of_a_check() {
        for (words, passed, of, change, wavers) in [
            ("pass pass", 2, 2, None, false),
            ("fail pass", 1, 2, Some(("fail", "pass")), true),
            ("pass skip skip", 1, 1, Some(("pass", "skip")), false),
            ("pass after pass", 2, 2, None, false),
            ("pass flaky", 1, 2, Some(("pass", "flaky")), true),
            ("known known", 0, 2, None, false),
            ("skip", 0, 0, None, false),
        ] {
            let series = &series(&entries(words))[0];
            assert_eq!((series.rate.passed, series.rate.of), (passed, of), "{words}");
            let told = series.change.as_ref().map(|c| (c.from.as_str(), c.to.as_str()));
            assert_eq!(told, change, "{words}");
            assert_eq!(series.wavers, wavers, "{words}");
        }
    }

    #[test]
    fn a_verdict_that_changed_with_the_spec_does_not_waver() {
        let mut all = entries("fail pass");
        all[0].spec = Some("other".into());
        assert!(!series(&all)[0].wavers);
    }

    #[test]
    fn a_check_is_asked_for_as_in_only() {
        let name = |case: &str| CheckName {
            test: "oom".into(),
            case: case.into(),
            check: "killed".into(),
        };
        let with = name("limit=32Mi").names();
        assert!(with.contains(&"oom.limit=32Mi.killed".into()) && with.contains(&"oom[limit=32Mi]".into()));
        assert!(name("").names().contains(&"oom.killed".into()));
        assert_eq!(name("limit=32Mi").to_string(), "oom[limit=32Mi] › killed");
    }
}
