//! criterion's `benchmark.json`, `estimates.json` and `sample.json`, which stand in a folder `new` for each benchmark below
//! `target/criterion`. Times are nanoseconds of one iteration.

use record::bench::{Figure, Figures};
use serde::Deserialize;

use super::{Fault, Foreign, ForeignCase, Text, measured, name, parse, whole};

const TOOL: &str = "criterion";

/// What stands in a folder `new`.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    /// `benchmark.json`.
    pub benchmark: Text<'a>,
    /// `estimates.json`.
    pub estimates: Text<'a>,
    /// `sample.json`.
    pub sample: Text<'a>,
}

#[derive(Deserialize)]
struct Benchmark {
    group_id: String,
    #[serde(default)]
    function_id: Option<String>,
    #[serde(default)]
    value_str: Option<String>,
}

#[derive(Deserialize)]
struct Estimates {
    mean: Estimate,
    median: Estimate,
    /// Of linear sampling only.
    #[serde(default)]
    slope: Option<Estimate>,
}

#[derive(Deserialize)]
struct Estimate {
    confidence_interval: ConfidenceInterval,
    point_estimate: f64,
}

#[derive(Deserialize)]
struct ConfidenceInterval {
    lower_bound: f64,
    upper_bound: f64,
}

#[derive(Deserialize)]
struct Sample {
    iters: Vec<f64>,
    times: Vec<f64>,
}

/// Reads one benchmark: its group is the name, function and value are the variant.
///
/// # Errors
/// [`Fault`] of the file that is not as criterion writes it.
pub fn read(files: Files<'_>) -> Result<Foreign, Fault> {
    let benchmark: Benchmark = parse(files.benchmark, "criterion's `benchmark.json`")?;
    let estimates: Estimates = parse(files.estimates, "criterion's `estimates.json`")?;
    let sample: Sample = parse(files.sample, "criterion's `sample.json`")?;
    if sample.iters.is_empty() || sample.iters.len() != sample.times.len() {
        let told = format!(
            "there are {} `times` of {} `iters`",
            sample.times.len(),
            sample.iters.len()
        );
        return Err(whole(files.sample, told));
    }
    let figure = |name: &str, estimate: &Estimate| Figure {
        name: name.into(),
        value: Some(estimate.point_estimate),
        low: Some(estimate.confidence_interval.lower_bound),
        high: Some(estimate.confidence_interval.upper_bound),
    };
    let mut figures = vec![figure("p50", &estimates.median), figure("mean", &estimates.mean)];
    figures.extend(estimates.slope.iter().map(|slope| figure("slope", slope)));
    let variant = [benchmark.function_id, benchmark.value_str].into_iter().flatten();
    Ok(Foreign {
        tool: TOOL,
        version: String::new(),
        name: name(TOOL, &[files.benchmark.text, files.estimates.text, files.sample.text]),
        started: None,
        kernel: None,
        cases: vec![ForeignCase {
            bench: benchmark.group_id,
            variant: variant.collect::<Vec<_>>().join("/"),
            subject: TOOL.into(),
            figures: Figures {
                samples: sample.times.len() as u64,
                measures: vec![measured("time", "ns", figures)],
                ..Figures::default()
            },
        }],
    })
}
