//! What benchmarks measured from run to run.

use record::Host;
use rusqlite::Row;
use serde::Serialize;

use crate::{Error, History, Shift, shift};

/// Which figure of which benchmark.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricName {
    /// Name of the benchmark.
    pub bench: String,
    /// Its matrix values, as in the id of a case; empty without a matrix.
    pub case: String,
    /// Name of the measure.
    pub measure: String,
    /// Name of the figure: `p50`, `mean`.
    pub figure: String,
    /// Its unit.
    pub unit: String,
}

impl MetricName {
    /// The names of its benchmark, and of the variant that it is of.
    pub fn benches(&self) -> Vec<String> {
        let Self { bench, case, .. } = self;
        match case.as_str() {
            "" => vec![bench.clone()],
            case => vec![bench.clone(), format!("{bench}.{case}"), format!("{bench}[{case}]")],
        }
    }

    /// The names of what was measured: with the figure and without.
    pub fn metrics(&self) -> [String; 2] {
        [self.measure.clone(), format!("{}.{}", self.measure, self.figure)]
    }
}

impl std::fmt::Display for MetricName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            bench,
            case,
            measure,
            figure,
            ..
        } = self;
        match case.as_str() {
            "" => write!(f, "{bench} › {measure}.{figure}"),
            case => write!(f, "{bench}[{case}] › {measure}.{figure}"),
        }
    }
}

/// What one run measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Point {
    /// Id of the run.
    pub run: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// The figure; `None` if it falls on a sample that failed.
    pub value: Option<f64>,
    /// Lower end of its interval of 95 %.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Samples it rests on.
    pub samples: u64,
    /// Of these, those that failed.
    pub failures: u64,
    /// What measured it: `plimsoll`, or another tool.
    pub origin: String,
    /// The version of that.
    pub tool: String,
    /// Version of the subject.
    pub version: String,
    /// SHA-256 of the spec.
    pub spec: Option<String>,
    /// The host.
    pub host: Host,
}

/// A figure of one subject on one machine, from run to run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Course {
    /// Which figure.
    #[serde(flatten)]
    pub name: MetricName,
    /// Name of the subject.
    pub subject: String,
    /// More of it is better.
    pub more_is_better: bool,
    /// Oldest first.
    pub points: Vec<Point>,
    /// Where it changed, oldest first.
    pub shifts: Vec<Shift>,
}

impl History {
    /// The courses of the figures that are wanted, by name, subject and machine. Figures of different machines are never in
    /// one course: what a machine with another CPU or another user takes is no change.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn courses(&self, wanted: &dyn Fn(&MetricName, &str) -> bool) -> Result<Vec<Course>, Error> {
        let read = || -> rusqlite::Result<Vec<Course>> {
            let mut lines = self.connection.prepare(
                "SELECT DISTINCT metric.id, bench, variant, measure, figure, unit, subject.name, host.place
                 FROM figure
                 JOIN metric ON metric.id = figure.metric
                 JOIN subject ON subject.id = figure.subject
                 JOIN run ON run.id = figure.run
                 JOIN host ON host.id = run.host
                 ORDER BY bench, variant, subject.name, measure, figure, unit, host.place",
            )?;
            let mut points = self.connection.prepare(
                "SELECT run.name, run.started, value, low, high, samples, failures, run.origin, run.plimsoll,
                        subject.version, spec.sha256, host.facts
                 FROM figure
                 JOIN subject ON subject.id = figure.subject
                 JOIN run ON run.id = figure.run
                 JOIN host ON host.id = run.host
                 LEFT JOIN spec ON spec.id = figure.spec
                 WHERE figure.metric = ?1 AND subject.name = ?2 AND host.place = ?3
                 ORDER BY run.started, run.id",
            )?;
            let found = lines.query_map([], |row| {
                let name = MetricName {
                    bench: row.get(1)?,
                    case: row.get(2)?,
                    measure: row.get(3)?,
                    figure: row.get(4)?,
                    unit: row.get(5)?,
                };
                Ok((row.get::<_, i64>(0)?, name, row.get(6)?, row.get::<_, String>(7)?))
            })?;
            let mut courses = Vec::new();
            for line in found {
                let (id, name, subject, place): (_, _, String, _) = line?;
                if !wanted(&name, &subject) {
                    continue;
                }
                let points: Vec<Point> = points
                    .query_map((id, &subject, place), point)?
                    .collect::<Result<_, _>>()?;
                let more_is_better = record::bench::more_is_better(&name.unit);
                courses.push(Course {
                    shifts: shift::shifts(&points, more_is_better),
                    name,
                    subject,
                    more_is_better,
                    points,
                });
            }
            Ok(courses)
        };
        read().map_err(Error::Read)
    }

    /// The names of the benchmarks that are kept.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn benches(&self) -> Result<Vec<String>, Error> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let mut benches = self
                .connection
                .prepare("SELECT DISTINCT bench FROM metric ORDER BY bench")?;
            benches.query_map([], |row| row.get(0))?.collect()
        };
        read().map_err(Error::Read)
    }
}

fn point(row: &Row<'_>) -> rusqlite::Result<Point> {
    let facts: String = row.get(11)?;
    Ok(Point {
        run: row.get(0)?,
        started: row.get(1)?,
        value: row.get(2)?,
        low: row.get(3)?,
        high: row.get(4)?,
        samples: row.get::<_, u32>(5)?.into(),
        failures: row.get::<_, u32>(6)?.into(),
        origin: row.get(7)?,
        tool: row.get(8)?,
        version: row.get(9)?,
        spec: row.get(10)?,
        host: serde_json::from_str(&facts).unwrap_or_default(),
    })
}

/// Of figures that were asked for without a name, those that a person looks at first: of each measure the median, and all
/// where there is none; failures where something failed.
pub fn foremost(courses: Vec<Course>) -> Vec<Course> {
    let with_median: Vec<(String, String, String)> = courses
        .iter()
        .filter(|course| course.name.figure == "p50")
        .map(key)
        .collect();
    let is_foremost = |course: &Course| match course.name.figure.as_str() {
        "p50" => true,
        "share" => course.points.iter().any(|point| point.failures > 0),
        _ => !with_median.contains(&key(course)),
    };
    courses.into_iter().filter(is_foremost).collect()
}

fn key(course: &Course) -> (String, String, String) {
    let MetricName {
        bench, case, measure, ..
    } = &course.name;
    (bench.clone(), case.clone(), measure.clone())
}
