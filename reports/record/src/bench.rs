//! What is kept of benchmarks: samples, what they are compared with, and the figures they come to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Host, SubjectInfo, samples::Conditions};

/// What figures rest on beside samples.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Setting {
    /// The case's id.
    pub case: String,
    /// The clock that all points are read from.
    pub clock: String,
    /// Seed of the order in which cases took their samples.
    pub seed: u64,
    /// The subject is a build for debugging: how fast it is means nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub debug: bool,
    /// What makes figures of this machine worse than they need be, and what to do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The rules of the regression gate, if the case takes part in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
}

/// The rules by which a regression gate decides about a case.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    /// The slowdown that is tolerated, as a share of the reference: 0.02 for 2 %.
    pub tolerated: f64,
    /// How often a row may be called regressed that is not slower than that.
    pub error: f64,
    /// Neighbouring rounds that are handed over, and drawn together by the bootstrap.
    pub block: u64,
    /// The reference is the subject itself when nobody watches it: what is compared is the cost of measuring.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bare: bool,
}

/// An arm of the reference beside the reference itself, by which a gate tests itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Arm {
    /// The reference once more: it must not seem to be slower than itself.
    Again,
    /// The reference with a slowdown that is planted: it must.
    Planted,
}

/// One sample. What failed is a sample, too.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// The case's id.
    pub case: String,
    /// The round, from 0: one sample of each case, in an order drawn anew.
    pub round: u64,
    /// It came before those that count.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub warmup: bool,
    /// The arm of a gate's test of itself that it belongs to; such a sample is none of its case's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arm: Option<Arm>,
    /// The share of the gate's budget that was spent at its end; 1 or more is all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent: Option<f64>,
    /// When what happened, by the names that specs use: milliseconds after the first point.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub points: BTreeMap<String, f64>,
    /// Rates by the names that specs use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rates: BTreeMap<String, f64>,
    /// Sizes by the names that specs use, KiB.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sizes: BTreeMap<String, f64>,
    /// For how long the harness prepared between `created` and `start`, milliseconds, which no point has in it unless the
    /// cost of measuring is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy: Option<f64>,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What the probe in the container attests, of a container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// What the machine did from its beginning to its end.
    pub conditions: Conditions,
}

/// A floor: what the kernel itself took in a round.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FloorSample {
    /// Name of the benchmark in whose rounds it was measured.
    pub test: String,
    /// Its name: `L5`.
    pub floor: String,
    /// The round.
    pub round: u64,
    /// It came before those that count.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub warmup: bool,
    /// What it came to; a floor with parts has a name for each, such as `L4.bind`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, f64>,
    /// Unit of the values.
    pub unit: String,
    /// Why it cannot be measured, if it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// Which of the namespaces that were asked for a container had.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Isolation {
    /// Kinds of which it had one of its own.
    pub own: Vec<String>,
    /// Kinds of which it had that of the host, or none that it could tell of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared: Vec<String>,
}

/// Earlier samples that a case is compared with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Baseline {
    /// The case's id.
    pub case: String,
    /// Where they come from.
    pub source: String,
    /// What there is; `None` if there is nothing, for the reason in `missing`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<BaselineCase>,
    /// Why there is nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub missing: String,
}

/// A file of earlier samples, as `plimsoll bench --save-baseline` writes it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BaselineFile {
    /// Version of this format.
    pub baseline: u32,
    /// Its cases.
    pub cases: Vec<BaselineCase>,
}

/// Version of [`BaselineFile`] that is written, and the newest that is read.
pub const BASELINE_VERSION: u32 = 1;

/// A case of a baseline, with its fingerprint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BaselineCase {
    /// Id of the case.
    pub id: String,
    /// Wall clock at the start of its run, RFC 3339.
    pub started: String,
    /// Version of plimsoll that measured it.
    pub plimsoll: String,
    /// The host.
    pub host: Host,
    /// The subject.
    pub subject: SubjectInfo,
    /// Samples by measure, in the order in which they were taken; `None` is one that failed.
    pub samples: BTreeMap<String, Vec<Option<f64>>>,
}

/// What the samples of a case come to. Computed, like a verdict, from what the record has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// The case's id.
    pub case: String,
    /// Samples that count.
    pub samples: u64,
    /// Of these, those that failed.
    pub failures: u64,
    /// The round of each sample that counts, in the order in which they were taken: what cases took in one round is a pair.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<u64>,
    /// By measure, in the order of their names.
    pub measures: Vec<Measured>,
    /// Floors that were measured in the same rounds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub floors: Vec<Measured>,
    /// What there is to say about them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Figures of a measure.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// Its unit: `ms`, `pods/s`, `x gate`.
    pub unit: String,
    /// By name: `p50`, `p90`, `p99`.
    pub figures: Vec<Figure>,
    /// What each sample came to, in the order of [`Figures::rounds`]; `None` is one that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<Option<f64>>,
    /// The same figures as multiples of a floor's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<Ratio>,
}

/// Figures as multiples of those of a floor in the same rounds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ratio {
    /// The floor: `L5`.
    pub floor: String,
    /// By the names of the figures.
    pub figures: Vec<Figure>,
}

/// Whether more of this unit is better: it counts what was done in a time. Of all others less is.
pub fn more_is_better(unit: &str) -> bool {
    unit.ends_with("/s") || unit == "x gate"
}

/// A figure with the interval in which it lies with 95 % confidence.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Figure {
    /// Its name.
    pub name: String,
    /// As measured; `None` if it falls on a sample that failed.
    #[serde(default)]
    pub value: Option<f64>,
    /// Lower end.
    #[serde(default)]
    pub low: Option<f64>,
    /// Upper end; `None` if samples that failed are in the way.
    #[serde(default)]
    pub high: Option<f64>,
}

impl std::fmt::Display for Figure {
    /// `12.3 [11.9, 12.8]`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [value, low, high] = [self.value, self.low, self.high].map(number);
        write!(f, "{value} [{low}, {high}]")
    }
}

/// A value with as many digits as a person compares; `failed` where there is none.
pub fn number(value: Option<f64>) -> String {
    match value {
        None => "failed".to_owned(),
        Some(n) if n.abs() >= 1000.0 => format!("{n:.0}"),
        Some(n) if n.abs() >= 10.0 => format!("{n:.1}"),
        Some(n) if n.abs() >= 0.1 || n == 0.0 => format!("{n:.2}"),
        Some(n) => format!("{n:.2e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_better_if_they_are_more() {
        let better = ["ms", "s", "ns", "MiB", "pods/s", "Mbit/s", "x gate"].map(more_is_better);
        assert_eq!(better, [false, false, false, false, true, true, true]);
    }

    #[test]
    fn numbers_have_the_digits_that_say_something() {
        let told = [
            None,
            Some(0.0),
            Some(0.001_234),
            Some(1.234),
            Some(56.78),
            Some(12_345.6),
        ]
        .map(number);
        assert_eq!(told, ["failed", "0.00", "1.23e-3", "1.23", "56.8", "12346"]);
    }
}
