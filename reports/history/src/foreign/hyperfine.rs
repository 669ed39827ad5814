//! What `hyperfine --export-json` writes: in version 1 of its format figures and times in seconds for each command, in
//! version 2 measurements, each with its unit. Commands that it compares are subjects.

use std::collections::BTreeMap;

use record::bench::{Figures, Measured};
use serde::Deserialize;

use super::{Fault, Foreign, ForeignCase, Started, Text, bare, measured, name, of_samples, parse, whole};

const TOOL: &str = "hyperfine";

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    schema_version: u32,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Deserialize, Default)]
struct Metadata {
    #[serde(default)]
    hyperfine_version: String,
    #[serde(default)]
    start_time: Option<String>,
}

#[derive(Deserialize)]
struct Export<T> {
    results: Vec<T>,
}

/// A command in version 1.
#[derive(Deserialize)]
struct Command {
    command: String,
    mean: f64,
    median: f64,
    user: f64,
    system: f64,
    /// Not with `--export-json` of summaries alone.
    #[serde(default)]
    times: Vec<f64>,
    /// `null` for what a signal ended.
    #[serde(default)]
    exit_codes: Vec<Option<i64>>,
    #[serde(default)]
    parameters: BTreeMap<String, String>,
}

/// A command in version 2.
#[derive(Deserialize)]
struct Measuring {
    command: String,
    #[serde(default)]
    name: Option<String>,
    measurements: Vec<Measurement>,
    #[serde(default)]
    parameters: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Measurement {
    #[serde(default)]
    exit_code: Option<i64>,
    #[serde(default)]
    time_wall_clock: Option<Quantity>,
    #[serde(default)]
    time_user: Option<Quantity>,
    #[serde(default)]
    time_system: Option<Quantity>,
    #[serde(default)]
    memory_peak_resident: Option<Quantity>,
}

#[derive(Deserialize)]
struct Quantity {
    value: f64,
    unit: String,
}

/// What is taken of a measurement, and the name it gets.
type Taken = (&'static str, fn(&Measurement) -> Option<&Quantity>);

const TAKEN: [Taken; 4] = [
    ("time", |one| one.time_wall_clock.as_ref()),
    ("user", |one| one.time_user.as_ref()),
    ("system", |one| one.time_system.as_ref()),
    ("memory", |one| one.memory_peak_resident.as_ref()),
];

pub(super) fn read(file: Text<'_>, stem: &str) -> Result<Foreign, Fault> {
    let document: Document = parse(file, "an export of hyperfine")?;
    let cases: Vec<ForeignCase> = match document.schema_version {
        0 | 1 => {
            let export: Export<Command> = parse(file, "an export of hyperfine")?;
            export
                .results
                .into_iter()
                .map(|command| of_first(command, stem))
                .collect()
        }
        2 => {
            let export: Export<Measuring> = parse(file, "an export of hyperfine")?;
            export
                .results
                .into_iter()
                .map(|command| of_second(command, stem))
                .collect()
        }
        newer => {
            let told = format!("hyperfine's format has version {newer}, and up to 2 are known");
            return Err(whole(file, told));
        }
    };
    if cases.is_empty() {
        return Err(whole(file, "hyperfine measured no command".into()));
    }
    Ok(Foreign {
        tool: TOOL,
        version: document.metadata.hyperfine_version,
        name: name(TOOL, &[file.text]),
        started: document.metadata.start_time.map(Started::Text),
        kernel: None,
        cases,
    })
}

fn of_first(command: Command, stem: &str) -> ForeignCase {
    let milliseconds: Vec<f64> = command.times.iter().map(|time| time * 1e3).collect();
    let time = if milliseconds.is_empty() {
        vec![bare("p50", command.median * 1e3), bare("mean", command.mean * 1e3)]
    } else {
        of_samples(&milliseconds)
    };
    let mean = |name: &str, seconds: f64| measured(name, "ms", vec![bare("mean", seconds * 1e3)]);
    ForeignCase {
        bench: stem.to_owned(),
        variant: variant(&command.parameters),
        subject: command.command,
        figures: Figures {
            samples: milliseconds.len() as u64,
            failures: failures(command.exit_codes.iter()),
            measures: vec![
                mean("system", command.system),
                measured("time", "ms", time),
                mean("user", command.user),
            ],
            ..Figures::default()
        },
    }
}

fn of_second(command: Measuring, stem: &str) -> ForeignCase {
    let measures = TAKEN.iter().filter_map(|(name, take)| {
        let taken: Vec<&Quantity> = command.measurements.iter().filter_map(take).collect();
        let (unit, factor) = match taken.first()?.unit.as_str() {
            "second" => ("ms", 1e3),
            "byte" => ("MiB", 1.0 / 1_048_576.0),
            other => (other, 1.0),
        };
        let values: Vec<f64> = taken.iter().map(|quantity| quantity.value * factor).collect();
        Some(measured(name, unit, of_samples(&values)))
    });
    let measures: Vec<Measured> = measures.collect();
    ForeignCase {
        bench: stem.to_owned(),
        variant: variant(&command.parameters),
        figures: Figures {
            samples: command.measurements.len() as u64,
            failures: failures(command.measurements.iter().map(|one| &one.exit_code)),
            measures,
            ..Figures::default()
        },
        subject: command.name.unwrap_or(command.command),
    }
}

fn failures<'c>(codes: impl Iterator<Item = &'c Option<i64>>) -> u64 {
    codes.filter(|code| **code != Some(0)).count() as u64
}

fn variant(parameters: &BTreeMap<String, String>) -> String {
    let all = parameters.iter().map(|(name, value)| format!("{name}={value}"));
    all.collect::<Vec<_>>().join(",")
}
