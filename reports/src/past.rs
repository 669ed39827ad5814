//! What benchmarks measured in earlier runs, as the page draws it. It comes from the history and not from the record.

/// A figure of a case, from run to run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Past {
    /// Id of the case.
    pub case: String,
    /// Name of the measure.
    pub measure: String,
    /// Name of the figure.
    pub figure: String,
    /// Its unit.
    pub unit: String,
    /// Oldest first.
    pub points: Vec<PastPoint>,
    /// Where it changed, oldest first.
    pub changes: Vec<PastChange>,
}

/// What one run measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PastPoint {
    /// Id of the run.
    pub run: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// The figure; `None` if it falls on a sample that failed.
    pub value: Option<f64>,
    /// Lower end of its interval.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

/// A change.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PastChange {
    /// Index of the first point after it.
    pub at: usize,
    /// It became worse.
    pub worse: bool,
    /// What it was, and what else changed then, in words.
    pub told: String,
}
