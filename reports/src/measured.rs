//! The figures of a run's benchmarks, one after the other, as exports need them.

use std::collections::BTreeMap;

use record::SubjectInfo;
use record::bench::{Figures, Measured};

use crate::ReportError;
use crate::run::{Case, Run};

/// A measure of a case.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    pub(crate) case: &'a Case<'a>,
    pub(crate) figures: &'a Figures,
    pub(crate) measure: &'a Measured,
}

impl<'a> Line<'a> {
    /// Samples with their rounds.
    pub(crate) fn samples(&self) -> impl Iterator<Item = (u64, Option<f64>)> + use<'a> {
        let rounds = self.figures.rounds.iter().copied();
        rounds.zip(self.measure.samples.iter().copied())
    }

    /// The subject's version, as far as it is known.
    pub(crate) fn version(&self, run: &'a Run<'_>) -> &'a str {
        let is = |subject: &&SubjectInfo| subject.name == self.case.header.subject;
        run.subjects.iter().find(is).map_or("", |subject| &subject.version)
    }

    /// The matrix values of the case, as text.
    pub(crate) fn matrix(&self) -> impl Iterator<Item = (&'a str, String)> + use<'a> {
        let matrix = self.case.header.matrix.iter();
        matrix.map(|(key, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (key.as_str(), text)
        })
    }
}

/// What the kernel itself took, by benchmark and floor: cases of one benchmark have the same.
pub(crate) fn floors<'a>(run: &'a Run<'a>) -> BTreeMap<(&'a str, &'a str), &'a Measured> {
    let of = |case: &'a Case<'a>| {
        let floors = case.figures.into_iter().flat_map(|figures| &figures.floors);
        floors.map(|floor| ((case.header.test.as_str(), floor.name.as_str()), floor))
    };
    run.cases.iter().flat_map(of).collect()
}

/// All measures of all cases.
///
/// # Errors
/// [`ReportError::NotMeasured`] if there are none.
pub(crate) fn lines<'a>(run: &'a Run<'a>) -> Result<Vec<Line<'a>>, ReportError> {
    let of = |case: &'a Case<'a>| {
        let figures = case.figures.into_iter();
        figures.flat_map(move |figures| {
            let measures = figures.measures.iter();
            measures.map(move |measure| Line { case, figures, measure })
        })
    };
    let lines: Vec<Line<'a>> = run.cases.iter().flat_map(of).collect();
    if lines.is_empty() {
        return Err(ReportError::NotMeasured);
    }
    Ok(lines)
}
