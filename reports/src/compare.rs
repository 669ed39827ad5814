//! The same specs on several subjects: first what they disagree about, with what was seen on each side, then the rest.

use std::{collections::BTreeMap, fmt, fmt::Write as _, str::FromStr};

use record::{Event, SubjectInfo, Verdict};
use serde::Serialize;

use crate::{
    Look, ReportError,
    junit::junit,
    markdown::{cell, code},
    run::{Case, Outcome, Run, Word},
    table::{flaky_text, listed, paint, rerun},
};

/// A form in which a comparison is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CompareFormat {
    /// A table for people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// JUnit XML: a suite for each subject; a check that the subjects disagree about says so in a property.
    Junit,
    /// Markdown, for a pull request.
    Markdown,
}

impl CompareFormat {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Table, Self::Json, Self::Junit, Self::Markdown];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::Junit => "junit",
            Self::Markdown => "markdown",
        }
    }
}

impl fmt::Display for CompareFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no format of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown format `{0}`: expected `table`, `json`, `junit` or `markdown`")]
pub struct UnknownCompareFormat(String);

impl FromStr for CompareFormat {
    type Err = UnknownCompareFormat;
    fn from_str(text: &str) -> Result<Self, UnknownCompareFormat> {
        Self::ALL
            .into_iter()
            .find(|format| format.name() == text)
            .ok_or_else(|| UnknownCompareFormat(text.to_owned()))
    }
}

/// What a check shows of a subject, known failures and allowances aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Holds,
    Wavers,
    Fails,
    /// Not measured, or not decided.
    Open,
    /// Skipped.
    Absent,
}

/// A check on every subject.
#[derive(Debug)]
pub(crate) struct Row<'r, 'a> {
    /// Id of the case without its subject.
    case: &'r str,
    check: &'r str,
    pub(crate) at: &'r str,
    /// In the order of the subjects; none where the case was not run.
    pub(crate) cells: Vec<Option<Cell<'r, 'a>>>,
}

/// A check on one subject.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell<'r, 'a> {
    pub(crate) case: &'r Case<'a>,
    pub(crate) outcome: &'r Outcome<'a>,
}

impl Cell<'_, '_> {
    fn standing(self) -> Standing {
        match (self.outcome.word(), self.outcome.verdict) {
            (Word::Flaky, _) => Standing::Wavers,
            (_, Some(Verdict::Pass { .. })) => Standing::Holds,
            (_, Some(Verdict::Fail { .. })) => Standing::Fails,
            (_, Some(Verdict::Skip { .. })) => Standing::Absent,
            (_, Some(Verdict::Inconclusive { .. } | Verdict::Error { .. }) | None) => Standing::Open,
        }
    }
}

impl<'r, 'a> Row<'r, 'a> {
    /// Case and check.
    pub(crate) fn name(&self) -> String {
        format!("{} › {}", self.case, self.check)
    }

    fn standings(&self) -> impl Iterator<Item = Standing> {
        self.cells.iter().flatten().map(|cell| cell.standing())
    }

    /// On how many subjects it was looked at, to an end.
    fn looked(&self) -> usize {
        self.standings().filter(|s| *s < Standing::Open).count()
    }

    fn disagrees(&self) -> bool {
        let mut looked = self.standings().filter(|standing| *standing < Standing::Open);
        looked.next().is_some_and(|first| looked.any(|other| other != first))
    }

    fn is_open(&self) -> bool {
        self.standings().any(|standing| standing == Standing::Open)
    }

    /// Whether known failures account for all of a disagreement.
    fn is_known(&self) -> bool {
        self.cells.iter().flatten().all(|cell| match cell.standing() {
            Standing::Holds | Standing::Absent => cell.outcome.word() != Word::Unexpected,
            Standing::Fails => cell.outcome.word() == Word::Known,
            Standing::Wavers | Standing::Open => false,
        })
    }

    fn words(&self) -> Vec<&'static str> {
        let word = |cell: &Option<Cell<'r, 'a>>| cell.map_or("-", |cell| cell.outcome.word().text());
        self.cells.iter().map(word).collect()
    }
}

/// Names of checks, by the requirement that is not met and what its probe saw.
type Skips<'r> = BTreeMap<(&'r str, &'r str), Vec<String>>;

/// What the subjects of a run agree and disagree about.
#[derive(Debug)]
pub(crate) struct Comparison<'r, 'a> {
    pub(crate) run: &'r Run<'a>,
    pub(crate) subjects: &'a [SubjectInfo],
    /// In the order in which they were run.
    pub(crate) rows: Vec<Row<'r, 'a>>,
}

/// A comparison as text, and what it comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// The text.
    pub text: String,
    /// The exit code: that of the run; where that is 0, 1 if subjects disagree beyond their known failures, and 4 if no
    /// check was looked at on two subjects.
    pub exit: u8,
    /// On how many checks subjects disagree.
    pub disagreements: usize,
}

/// Compares the subjects of a run. `look` is for the table alone.
///
/// # Errors
/// [`ReportError::NotARun`], [`ReportError::OneSubject`], and what the format itself refuses.
pub fn compare(format: CompareFormat, events: &[Event], look: &Look) -> Result<Compared, ReportError> {
    let run = Run::of(events).ok_or(ReportError::NotARun)?;
    if run.subjects.len() < 2 {
        return Err(ReportError::OneSubject);
    }
    let comparison = Comparison::of(&run);
    let text = match format {
        CompareFormat::Table => comparison.table(look),
        CompareFormat::Json => comparison.json()?,
        CompareFormat::Junit => comparison.junit()?,
        CompareFormat::Markdown => comparison.markdown(),
    };
    Ok(Compared {
        text,
        exit: comparison.exit_code(),
        disagreements: comparison.disagreements().len(),
    })
}

impl<'r, 'a> Comparison<'r, 'a> {
    /// That of a run's subjects.
    pub(crate) fn of(run: &'r Run<'a>) -> Self {
        let mut rows: Vec<Row<'r, 'a>> = Vec::new();
        let mut index: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for (case, outcome) in run.outcomes() {
            // Tests of the host have no subject that could differ.
            let Some(column) = run.subjects.iter().position(|s| s.name == case.header.subject) else {
                continue;
            };
            let id = case.header.id.strip_suffix(case.header.subject.as_str());
            let id = id.and_then(|id| id.strip_suffix('@')).unwrap_or(&case.header.id);
            let at = *index.entry((id, outcome.id)).or_insert_with(|| {
                rows.push(Row {
                    case: id,
                    check: outcome.id,
                    at: outcome.at,
                    cells: vec![None; run.subjects.len()],
                });
                rows.len() - 1
            });
            rows[at].cells[column] = Some(Cell { case, outcome });
        }
        Self {
            run,
            subjects: run.subjects,
            rows,
        }
    }

    /// Those that known failures do not account for come first.
    pub(crate) fn disagreements(&self) -> Vec<&Row<'r, 'a>> {
        let mut rows: Vec<_> = self.rows.iter().filter(|row| row.disagrees()).collect();
        rows.sort_by_key(|row| row.is_known());
        rows
    }

    /// Checks that are looked at on two subjects at least and come to the same on all of those.
    fn agreements(&self, standing: Standing) -> Vec<&Row<'r, 'a>> {
        let agree =
            |row: &&Row<'r, 'a>| row.looked() > 1 && !row.disagrees() && row.standings().any(|other| other == standing);
        self.rows.iter().filter(agree).collect()
    }

    fn alone(&self) -> Vec<&Row<'r, 'a>> {
        self.rows.iter().filter(|row| row.looked() == 1).collect()
    }

    fn open(&self) -> Vec<&Row<'r, 'a>> {
        self.rows.iter().filter(|row| row.is_open()).collect()
    }

    /// Skips of each subject, by requirement and what was seen.
    fn skips(&self) -> Vec<(&'a str, Skips<'r>)> {
        let of = |column: usize| {
            let mut skips: Skips<'r> = BTreeMap::new();
            for row in &self.rows {
                if let Some(cell) = row.cells[column]
                    && let Some(Verdict::Skip { requirement, seen, .. }) = cell.outcome.verdict
                {
                    skips.entry((requirement, seen)).or_default().push(row.name());
                }
            }
            skips
        };
        let subjects = self.subjects.iter().enumerate();
        subjects.map(|(n, subject)| (subject.name.as_str(), of(n))).collect()
    }

    fn exit_code(&self) -> u8 {
        match self.run.exit {
            // Cut short, it proves nothing.
            None => 3,
            Some(0) if self.disagreements().iter().any(|row| !row.is_known()) => 1,
            Some(0) if self.rows.iter().all(|row| row.looked() < 2) => 4,
            Some(exit) => exit,
        }
    }

    fn table(&self, look: &Look) -> String {
        let run = self.run;
        let subjects: Vec<String> = self
            .subjects
            .iter()
            .map(|subject| format!("{} ({})", subject.name, subject.version))
            .collect();
        let mut out = format!(
            "run {} · Linux {} {}, cgroup {} · {}\n",
            run.id,
            run.host.kernel,
            run.host.machine,
            run.host.cgroup,
            subjects.join(", ")
        );
        let rows = self.disagreements();
        if rows.is_empty() {
            out.push_str("\nthe subjects disagree about nothing\n");
        } else {
            self.matrix(&mut out, &rows, look);
            for row in &rows {
                self.both_sides(&mut out, row, look);
            }
        }
        out.push('\n');
        self.rest(&mut out, look);
        let _ = writeln!(
            out,
            "\n{} checks on {} subjects: {} · exit {}",
            self.rows.len(),
            self.subjects.len(),
            self.counts(),
            self.exit_code()
        );
        out
    }

    /// How many checks they agree and disagree about, in words.
    pub(crate) fn counts(&self) -> String {
        let disagreements = self.disagreements();
        let known = disagreements.iter().filter(|row| row.is_known()).count();
        let agree = [Standing::Holds, Standing::Wavers, Standing::Fails].map(|s| self.agreements(s).len());
        let mut parts = vec![format!("{} disagree", disagreements.len())];
        if known > 0 {
            parts[0] = format!("{} ({known} as known)", parts[0]);
        }
        parts.push(format!("{} agree", agree.iter().sum::<usize>()));
        for (count, words) in [
            (self.alone().len(), "looked at on one subject only"),
            (self.open().len(), "not measured or not decided somewhere"),
            (
                self.rows
                    .iter()
                    .filter(|row| row.looked() == 0 && !row.is_open())
                    .count(),
                "looked at nowhere",
            ),
        ] {
            if count > 0 {
                parts.push(format!("{count} {words}"));
            }
        }
        parts.join(", ")
    }

    /// Check by subject.
    fn matrix(&self, out: &mut String, rows: &[&Row<'r, 'a>], look: &Look) {
        let names: Vec<String> = rows.iter().map(|row| row.name()).collect();
        let first = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = self.subjects.iter().map(|s| s.name.chars().count().max(5)).collect();
        let mut line = format!("\n{:first$}", "");
        for (subject, width) in self.subjects.iter().zip(&widths) {
            let _ = write!(line, "  {:<width$}", subject.name);
        }
        let _ = writeln!(out, "{}", line.trim_end());
        for (row, name) in rows.iter().zip(&names) {
            let mut line = format!("{name:<first$}");
            for ((word, cell), width) in row.words().iter().zip(&row.cells).zip(&widths) {
                let padded = format!("{word:<width$}");
                let padded = cell.map_or(padded.clone(), |cell| {
                    padded.replacen(word, &paint(cell.outcome.word(), word, look), 1)
                });
                let _ = write!(line, "  {padded}");
            }
            let _ = writeln!(out, "{}", line.trim_end());
        }
    }

    /// What each subject showed.
    fn both_sides(&self, out: &mut String, row: &Row<'r, 'a>, look: &Look) {
        let known = if row.is_known() { "  (as known)" } else { "" };
        let _ = writeln!(out, "\n{}  {}{known}", row.name(), row.at);
        let width = self.subjects.iter().map(|s| s.name.chars().count()).max().unwrap_or(0);
        for (subject, cell) in self.subjects.iter().zip(&row.cells) {
            let Some(cell) = cell else {
                let _ = writeln!(out, "  {:<width$}  -      not run", subject.name);
                continue;
            };
            let word = cell.outcome.word();
            let mut start = format!(
                "{:<width$}  {}{:pad$}",
                subject.name,
                paint(word, word.text(), look),
                "",
                pad = 5 - word.text().len()
            );
            for (what, text) in evidence(self.run, *cell) {
                let text = text.replace('\n', " ");
                let _ = writeln!(out, "  {start}  {what:<8}  {text}");
                start = format!("{:width$}  {:5}", "", "");
            }
        }
    }

    /// What they do not disagree about.
    fn rest(&self, out: &mut String, look: &Look) {
        let names = |rows: &[&Row<'r, 'a>]| rows.iter().map(|row| row.name()).collect::<Vec<_>>();
        for (word, what, rows) in [
            (Word::Pass, "hold on all", self.agreements(Standing::Holds)),
            (Word::Flaky, "are flaky on all", self.agreements(Standing::Wavers)),
            (Word::Fail, "fail on all", self.agreements(Standing::Fails)),
        ] {
            match rows.len() {
                0 => {}
                count if word == Word::Pass => {
                    let _ = writeln!(out, "{}  {count} {what}", paint(word, "AGREE", look));
                }
                count => {
                    let _ = writeln!(
                        out,
                        "{}  {count} {what}: {}",
                        paint(word, "AGREE", look),
                        listed(&names(&rows))
                    );
                }
            }
        }
        for row in self.open() {
            for cell in row
                .cells
                .iter()
                .flatten()
                .filter(|cell| cell.standing() == Standing::Open)
            {
                let word = cell.outcome.word();
                let _ = writeln!(
                    out,
                    "{:<5}  {} on {}: {}",
                    paint(word, word.text(), look),
                    row.name(),
                    cell.case.header.subject,
                    said(cell.outcome)
                );
            }
        }
        for (subject, skips) in self.skips() {
            for ((requirement, seen), checks) in skips {
                let _ = writeln!(
                    out,
                    "{}   {} × on {subject}: {requirement} ({seen}): {}",
                    paint(Word::Skip, "SKIP", look),
                    checks.len(),
                    listed(&checks)
                );
            }
        }
    }

    fn markdown(&self) -> String {
        let mut out = format!("**{}**\n", self.counts());
        let rows = self.disagreements();
        if !rows.is_empty() {
            let names: Vec<String> = self.subjects.iter().map(|subject| cell(&subject.name)).collect();
            let _ = writeln!(out, "\n| check | {} |", names.join(" | "));
            let _ = writeln!(out, "|---|{}", "---|".repeat(names.len()));
            for row in &rows {
                let _ = writeln!(out, "| {} | {} |", cell(&row.name()), row.words().join(" | "));
            }
            for row in &rows {
                let _ = writeln!(out, "\n{} ({})\n", code(&row.name()), code(row.at));
                for (subject, one) in self.subjects.iter().zip(&row.cells) {
                    let Some(one) = one else { continue };
                    let told: Vec<String> = evidence(self.run, *one)
                        .into_iter()
                        .filter(|(what, _)| *what != "re-run")
                        .map(|(what, text)| format!("{what} {}", code(&text)))
                        .collect();
                    let word = one.outcome.word().text();
                    let _ = writeln!(out, "* {}: {word}: {}", code(&subject.name), told.join("; "));
                }
            }
        }
        for (subject, skips) in self.skips() {
            let count: usize = skips.values().map(Vec::len).sum();
            if count > 0 {
                let _ = writeln!(out, "\n{count} skipped on {}", code(subject));
            }
        }
        out
    }

    fn junit(&self) -> Result<String, ReportError> {
        let others: BTreeMap<(&str, &str), String> = self
            .disagreements()
            .into_iter()
            .flat_map(|row| {
                let cells = row.cells.iter().flatten();
                let told: Vec<String> = cells
                    .clone()
                    .map(|cell| format!("{} {}", cell.case.header.subject, cell.outcome.word().text()))
                    .collect();
                let told = told.join(", ");
                cells
                    .map(move |cell| ((cell.case.header.id.as_str(), cell.outcome.id), told.clone()))
                    .collect::<Vec<_>>()
            })
            .collect();
        junit(self.run, &|case, outcome| {
            others.get(&(case.header.id.as_str(), outcome.id)).cloned()
        })
    }

    fn json(&self) -> Result<String, ReportError> {
        let document = Document {
            version: 1,
            run: self.run.id,
            started: self.run.started,
            subjects: self.subjects,
            exit: self.exit_code(),
            disagreements: self.disagreements().into_iter().map(|row| self.row(row)).collect(),
            hold_on_all: self.agreements(Standing::Holds).len(),
            flaky_on_all: self
                .agreements(Standing::Wavers)
                .iter()
                .map(|row| self.row(row))
                .collect(),
            fail_on_all: self
                .agreements(Standing::Fails)
                .iter()
                .map(|row| self.row(row))
                .collect(),
            undecided: self.open().into_iter().map(|row| self.row(row)).collect(),
            on_one_only: self.alone().iter().map(|row| row.name()).collect(),
            skips: self
                .skips()
                .into_iter()
                .map(|(subject, skips)| {
                    let skips = skips.into_iter().map(|((requirement, seen), checks)| SkipDocument {
                        requirement,
                        seen,
                        checks,
                    });
                    (subject, skips.collect())
                })
                .collect(),
        };
        let mut text = serde_json::to_string_pretty(&document).map_err(ReportError::Json)?;
        text.push('\n');
        Ok(text)
    }

    fn row<'x>(&'x self, row: &'x Row<'r, 'a>) -> RowDocument<'x> {
        RowDocument {
            case: row.case,
            check: row.check,
            at: row.at,
            known: row.is_known(),
            subjects: self
                .subjects
                .iter()
                .zip(&row.cells)
                .filter_map(|(subject, cell)| {
                    let cell = (*cell)?;
                    let document = CellDocument {
                        word: cell.outcome.word().text(),
                        known: cell.outcome.known,
                        outcome: cell.outcome.failure.or(cell.outcome.verdict),
                    };
                    Some((subject.name.as_str(), document))
                })
                .collect(),
        }
    }
}

fn said(outcome: &Outcome<'_>) -> String {
    outcome
        .verdict
        .map_or_else(|| "the run ended before there was a verdict".into(), crate::run::told)
}

/// What there is to say for one side.
fn evidence(run: &Run<'_>, cell: Cell<'_, '_>) -> Vec<(&'static str, String)> {
    let Cell { case, outcome } = cell;
    let mut lines = Vec::new();
    lines.extend(outcome.flaky.map(|flaky| ("attempts", flaky_text(flaky))));
    match outcome.failure.or(outcome.verdict) {
        Some(Verdict::Fail { want, got, because }) => {
            lines.push(("expected", want.clone()));
            lines.push(("observed", got.clone()));
            lines.extend(because.clone().map(|because| ("because", because)));
        }
        Some(Verdict::Pass { seen }) => lines.push(("observed", seen.clone())),
        Some(Verdict::Skip { requirement, seen, .. }) => lines.push(("needs", format!("{requirement} ({seen})"))),
        Some(Verdict::Inconclusive { .. } | Verdict::Error { .. }) | None => lines.push(("open", said(outcome))),
    }
    lines.extend(outcome.known.map(|reason| ("known as", reason.to_owned())));
    if matches!(outcome.word(), Word::Fail | Word::Flaky | Word::Unexpected) {
        lines.push(("re-run", rerun(run, case)));
    }
    lines
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    version: u32,
    run: &'a str,
    started: &'a str,
    subjects: &'a [SubjectInfo],
    exit: u8,
    disagreements: Vec<RowDocument<'a>>,
    hold_on_all: usize,
    flaky_on_all: Vec<RowDocument<'a>>,
    fail_on_all: Vec<RowDocument<'a>>,
    undecided: Vec<RowDocument<'a>>,
    on_one_only: Vec<String>,
    skips: BTreeMap<&'a str, Vec<SkipDocument<'a>>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RowDocument<'a> {
    case: &'a str,
    check: &'a str,
    at: &'a str,
    /// Known failures account for all of it.
    known: bool,
    subjects: BTreeMap<&'a str, CellDocument<'a>>,
}

#[derive(Serialize)]
struct CellDocument<'a> {
    word: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    known: Option<&'a str>,
    outcome: Option<&'a Verdict>,
}

#[derive(Serialize)]
struct SkipDocument<'a> {
    requirement: &'a str,
    seen: &'a str,
    checks: Vec<String>,
}
