//! Reports from one record: terminal table, JSON, JUnit XML, TAP 14, a page for browsers, Markdown, annotations of GitHub,
//! SARIF, metrics for Prometheus; of benchmarks also CSV, OpenMetrics, Go's format, and what a GitHub action draws; the difference between two records, and what the subjects of one disagree about.
//!
//! Everything here is a pure function of the events of a `run.jsonl`: no files, no clock.

mod annotations;
mod benchstat;
mod compare;
mod csv;
mod diff;
mod drift;
mod floors;
mod github_benchmark;
mod html;
mod json;
mod junit;
mod markdown;
mod measured;
mod openmetrics;
mod past;
mod place;
mod prometheus;
pub mod proof;
mod run;
mod sarif;
mod table;
mod tap;
mod telling;
mod visible;

use std::{fmt, str::FromStr};

use record::Event;

pub use compare::{CompareFormat, Compared, UnknownCompareFormat, compare};
pub use diff::{Difference, diff};
pub use drift::drift;
pub use past::{Past, PastChange, PastPoint};
pub use run::{Case, Outcome, Run, Word};
pub use table::Look;

/// A form in which a run is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// A table for people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// JUnit XML: a suite for each subject, a test case for each check.
    Junit,
    /// TAP version 14: a subtest for each case.
    Tap,
    /// One page for browsers, with all that it needs in it.
    Html,
    /// Markdown, for a comment on a pull request.
    Markdown,
    /// Workflow commands of GitHub Actions, which show failures beside the lines of the specs.
    GithubAnnotations,
    /// SARIF 2.1.0: failed checks as findings.
    Sarif,
    /// Metrics for the textfile collector of Prometheus' node exporter.
    Prometheus,
    /// Samples and figures of benchmarks as comma-separated values.
    Csv,
    /// Figures of benchmarks in the text format of OpenMetrics.
    Openmetrics,
    /// Samples of benchmarks in the text format of Go's benchmarks.
    Benchstat,
    /// Figures of benchmarks of which less is better, for github-action-benchmark.
    GithubBenchmarkSmaller,
    /// The same of those of which more is better.
    GithubBenchmarkBigger,
}

/// Why a report cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The events are not those of a run.
    #[error("the record does not begin with a `run` event")]
    NotARun,
    /// There is nothing to export.
    #[error("the run has no figures of benchmarks")]
    NotMeasured,
    /// There is nothing to compare.
    #[error("the run has one subject, and a comparison needs two")]
    OneSubject,
    /// The document cannot be serialised.
    #[error("failed to write the report as JSON")]
    Json(#[source] serde_json::Error),
    /// The document cannot be serialised.
    #[error("failed to write the report as JUnit XML")]
    Junit(#[source] quick_junit::SerializeError),
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 14] = [
        Self::Table,
        Self::Json,
        Self::Junit,
        Self::Tap,
        Self::Html,
        Self::Markdown,
        Self::GithubAnnotations,
        Self::Sarif,
        Self::Prometheus,
        Self::Csv,
        Self::Openmetrics,
        Self::Benchstat,
        Self::GithubBenchmarkSmaller,
        Self::GithubBenchmarkBigger,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::Junit => "junit",
            Self::Tap => "tap",
            Self::Html => "html",
            Self::Markdown => "markdown",
            Self::GithubAnnotations => "github-annotations",
            Self::Sarif => "sarif",
            Self::Prometheus => "prometheus",
            Self::Csv => "csv",
            Self::Openmetrics => "openmetrics",
            Self::Benchstat => "benchstat",
            Self::GithubBenchmarkSmaller => "github-benchmark-smaller",
            Self::GithubBenchmarkBigger => "github-benchmark-bigger",
        }
    }

    /// Whether it tells of steps and looks, too, and not of verdicts and evidence alone.
    pub fn tells_all(self) -> bool {
        self == Self::Html
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown format `{0}`: expected one of {list}", list = Format::ALL.map(|format| format!("`{format}`")).join(", "))]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;
    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        Self::ALL
            .into_iter()
            .find(|format| format.name() == text)
            .ok_or_else(|| UnknownFormat(text.to_owned()))
    }
}

/// The events of a run in a format. `look` is for the table, but for its pasts, which are for the page.
///
/// # Errors
/// [`ReportError`] if the events are not those of a run or the document cannot be serialised.
pub fn render(format: Format, events: &[Event], look: &Look) -> Result<String, ReportError> {
    let run = Run::of(events).ok_or(ReportError::NotARun)?;
    match format {
        Format::Table => Ok(table::table(&run, look)),
        Format::Json => json::json(&run),
        Format::Junit => junit::junit(&run, &|_, _| None),
        Format::Tap => Ok(tap::tap(&run)),
        Format::Html => Ok(html::html(&run, events, &look.pasts)),
        Format::Markdown => Ok(markdown::markdown(&run)),
        Format::GithubAnnotations => Ok(annotations::annotations(&run)),
        Format::Sarif => sarif::sarif(&run),
        Format::Prometheus => Ok(prometheus::prometheus(&run)),
        Format::Csv => csv::csv(&run),
        Format::Openmetrics => openmetrics::openmetrics(&run),
        Format::Benchstat => benchstat::benchstat(&run),
        Format::GithubBenchmarkSmaller => github_benchmark::github_benchmark(&run, false),
        Format::GithubBenchmarkBigger => github_benchmark::github_benchmark(&run, true),
    }
}
