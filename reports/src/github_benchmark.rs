//! Figures of benchmarks for the GitHub action of benchmark-action
//! (<https://github.com/benchmark-action/github-action-benchmark>), which draws and watches them: a list of names with a unit
//! and a value, for its tools `customSmallerIsBetter` and `customBiggerIsBetter`. It takes one kind at a time.

use record::bench::{more_is_better, number};
use serde::Serialize;

use crate::{ReportError, measured::lines, run::Run};

#[derive(Serialize)]
struct Entry {
    name: String,
    unit: String,
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<String>,
    extra: String,
}

/// The figures of which more is better, or of which less is. One that falls on a sample that failed has no value and is
/// left out.
pub(crate) fn github_benchmark(run: &Run<'_>, bigger: bool) -> Result<String, ReportError> {
    let mut entries = Vec::new();
    for line in lines(run)? {
        let measure = line.measure;
        if more_is_better(&measure.unit) != bigger {
            continue;
        }
        for figure in &measure.figures {
            let Some(value) = figure.value else { continue };
            let ends = figure.low.zip(figure.high);
            entries.push(Entry {
                name: format!("{} › {}.{}", line.case.header.id, measure.name, figure.name),
                unit: measure.unit.clone(),
                value,
                range: ends.map(|(low, high)| format!("{} to {}", number(Some(low)), number(Some(high)))),
                extra: format!(
                    "{} samples, {} failed\n{}\nkernel {}, {}\nplimsoll {}, run {}",
                    line.figures.samples,
                    line.figures.failures,
                    line.version(run),
                    run.host.kernel,
                    run.host.cpu,
                    run.plimsoll,
                    run.id
                ),
            });
        }
    }
    let mut text = serde_json::to_string_pretty(&entries).map_err(ReportError::Json)?;
    text.push('\n');
    Ok(text)
}
