//! Floors beside the figures of a case, and figures as multiples of them.

use std::collections::BTreeMap;

use record::Event;
use record::bench::{FloorSample, Measured, Ratio};
use spec::benchmark::{CONFIDENCE, Counted, Figure, Measure, Point};

use super::spread::{Interval, Spread, ratio};
use super::{SHOWN, figure_of};

/// The floors of a start, the one that does most first.
const OF_START: [&str; 6] = ["L5", "L4.overlay", "L4.bind", "L3", "L2.pid", "L1"];

/// The floor of an end.
const OF_END: &str = "L9";

/// The floor of a request and its answer, and of a name that is asked for.
const OF_REQUEST: &str = "L12.veth";

/// The floor of a connection with a request.
const OF_CONNECTION: &str = "L12.connect";

/// What the kernel itself took in the rounds of a benchmark.
#[derive(Default)]
pub(super) struct Floors<'e> {
    /// By name, with their units.
    values: BTreeMap<&'e str, (&'e str, Vec<f64>)>,
    /// Why some could not be measured, by name.
    refused: BTreeMap<&'e str, &'e str>,
}

impl<'e> Floors<'e> {
    /// Those of the benchmark with this name.
    pub(super) fn of(test: &str, events: &'e [Event]) -> Self {
        let mut floors = Self::default();
        let samples = events.iter().filter_map(|event| match event {
            Event::Floor(sample) if sample.test == test => Some(sample.as_ref()),
            _ => None,
        });
        for sample in samples {
            floors.take(sample);
        }
        floors
    }

    fn take(&mut self, sample: &'e FloorSample) {
        if let Some(failure) = &sample.failure {
            self.refused.entry(&sample.floor).or_insert(failure);
        }
        if sample.warmup {
            return;
        }
        for (name, value) in &sample.values {
            let (_, values) = self.values.entry(name).or_insert((&sample.unit, Vec::new()));
            values.push(*value);
        }
    }

    /// Their own figures.
    pub(super) fn figures(&self) -> Vec<Measured> {
        let of = |(name, (unit, values)): (&&str, &(&str, Vec<f64>))| Measured {
            name: (*name).to_owned(),
            unit: (*unit).to_owned(),
            figures: shown(|figure| Some(Spread::of(figure, values)?.interval(CONFIDENCE))),
            ..Measured::default()
        };
        self.values.iter().map(of).collect()
    }

    /// The figures of a measure as multiples of those of its floor, if it has one.
    pub(super) fn ratio(&self, measure: &Measure, values: &[f64]) -> Option<Ratio> {
        let (name, floor) = self.floor(measure)?;
        Some(Ratio {
            floor: name.into(),
            figures: shown(|figure| multiple(figure, &Spread::of(figure, values)?, &floor)),
        })
    }

    /// One figure of a measure as a multiple of its floor's, and the name of the floor.
    pub(super) fn multiple(
        &self,
        measure: &Measure,
        figure: Figure,
        spread: &Spread,
    ) -> Option<(&'static str, Interval)> {
        let (name, floor) = self.floor(measure)?;
        Some((name, multiple(figure, spread, &floor)?))
    }

    /// The floor of a measure, and its values in the measure's unit.
    fn floor(&self, measure: &Measure) -> Option<(&'static str, Vec<f64>)> {
        let name = match measure.rate.as_ref().map(|rate| rate.value) {
            Some(Counted::Bits) => "L11",
            Some(Counted::Connections) => OF_CONNECTION,
            Some(_) => return None,
            None => match (measure.from.as_ref()?.value, measure.to.as_ref()?.value) {
                (Point::Create, to) if to <= Point::Exit => self.of_start()?,
                (Point::Exit, Point::Deleted) => OF_END,
                (Point::Request | Point::Query, _) => OF_REQUEST,
                (Point::Change, Point::Effective) => OF_CONNECTION,
                (Point::Apply, Point::Ready) => self.of_start()?,
                _ => return None,
            },
        };
        let (unit, floor) = self.values.get(name)?;
        let is_rate = measure.rate.is_some();
        let convert = |value: &f64| match (*unit, is_rate) {
            // So many in a second.
            ("us", true) => 1e6 / value,
            ("us", false) => value / 1e3,
            _ => *value,
        };
        Some((name, floor.iter().map(convert).collect()))
    }

    fn of_start(&self) -> Option<&'static str> {
        OF_START.into_iter().find(|name| self.values.contains_key(name))
    }

    /// Which could not be measured, and why.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        self.refused
            .iter()
            .map(|(floor, why)| format!("floor {floor} cannot be measured here: {why}"))
    }
}

fn multiple(figure: Figure, spread: &Spread, floor: &[f64]) -> Option<Interval> {
    Some(ratio(spread, &Spread::of(figure, floor)?, CONFIDENCE))
}

/// The figures that reports show, as far as there are any.
fn shown(of: impl Fn(Figure) -> Option<Interval>) -> Vec<record::bench::Figure> {
    let figures = Figure::ALL.iter().filter(|(name, _)| SHOWN.contains(name));
    figures
        .filter_map(|(name, figure)| Some(figure_of(name, of(*figure)?)))
        .collect()
}
