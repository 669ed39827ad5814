//! How a figure would spread if the same number of samples were drawn again from those that there are: the bootstrap.
//!
//! Of a quantile that distribution is known without drawing (B. Efron, Bootstrap methods, Ann. Statist. 7, 1979, section 3):
//! the k-th smallest of n resampled values is at most the j-th smallest sample with the probability that at least k of n
//! draws fall on the j smallest. A sample that failed counts as one that is worse than all others.
//! Samples are taken as independent; their order is not looked at.

use spec::benchmark::Figure;
use statistics::chance::Chance;
use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, Normal};

/// The values that a figure may come to, in order, each with the probability of at most this.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spread {
    /// As measured.
    pub(super) value: f64,
    steps: Vec<(f64, f64)>,
}

/// A figure and the ends of an interval around it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Interval {
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Spread {
    /// Of these samples; `None` without any.
    pub(super) fn of(figure: Figure, samples: &[f64]) -> Option<Self> {
        match figure {
            Figure::Quantile(percent) => Self::of_quantile(f64::from(percent) / 100.0, samples),
            Figure::Mean => Self::of_mean(samples),
        }
    }

    fn of_quantile(share: f64, samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        let rank = ((share * n as f64).ceil() as usize).clamp(1, n.max(1));
        let value = *sorted.get(rank - 1)?;
        let mut steps = Vec::with_capacity(n);
        for (at, value) in sorted.iter().enumerate() {
            let chance = (at + 1) as f64 / n as f64;
            let below = Binomial::new(chance.min(1.0), n as u64).ok()?.cdf(rank as u64 - 1);
            steps.push((*value, 1.0 - below));
        }
        // All draws fall on the samples that there are.
        steps.last_mut()?.1 = 1.0;
        Some(Self { value, steps })
    }

    /// The mean is nearly normal for as many samples as are taken here.
    fn of_mean(samples: &[f64]) -> Option<Self> {
        const STEPS: u32 = 400;
        let n = samples.len() as f64;
        if samples.is_empty() {
            return None;
        }
        let value = samples.iter().sum::<f64>() / n;
        let squares: f64 = samples.iter().map(|sample| (sample - value).powi(2)).sum();
        let error = (squares / n / n).sqrt();
        if !value.is_finite() || error == 0.0 {
            return Some(Self {
                value,
                steps: vec![(value, 1.0)],
            });
        }
        let normal = Normal::new(value, error).ok()?;
        let steps = (1..=STEPS).map(|step| {
            let upto = f64::from(step) / f64::from(STEPS);
            (normal.inverse_cdf(upto - 0.5 / f64::from(STEPS)), upto)
        });
        Some(Self {
            value,
            steps: steps.collect(),
        })
    }

    /// The value that is not exceeded with this probability.
    fn at(&self, probability: f64) -> f64 {
        let step = self.steps.partition_point(|(_, upto)| *upto < probability);
        let last = self.steps.len().saturating_sub(1);
        self.steps.get(step.min(last)).map_or(self.value, |(value, _)| *value)
    }

    /// The interval that leaves out as much at either end.
    pub(super) fn interval(&self, confidence: f64) -> Interval {
        let tail = (1.0 - confidence) / 2.0;
        Interval {
            value: self.value,
            low: self.at(tail),
            high: self.at(1.0 - tail),
        }
    }
}

/// How many times as large a figure is as another one, drawn from both spreads.
pub(super) fn ratio(of: &Spread, to: &Spread, confidence: f64) -> Interval {
    const DRAWS: usize = 4000;
    // The same samples have the same interval, whoever judges them.
    let mut chance = Chance::new(4);
    let mut draws: Vec<f64> = (0..DRAWS)
        .map(|_| quotient(of.at(chance.uniform()), to.at(chance.uniform())))
        .collect();
    draws.sort_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    let at = |share: f64| draws[((share * DRAWS as f64) as usize).min(DRAWS - 1)];
    Interval {
        value: quotient(of.value, to.value),
        low: at(tail),
        high: at(1.0 - tail),
    }
}

/// What failed on both sides is as bad on both.
fn quotient(of: f64, to: f64) -> f64 {
    if of == to { 1.0 } else { of / to }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEDIAN: Figure = Figure::Quantile(50);

    fn even(n: u32) -> Vec<f64> {
        (1..=n).map(f64::from).collect()
    }

    #[test]
    fn the_spread_of_a_quantile_is_that_of_resampling() {
        let samples = even(25);
        let spread = Spread::of(MEDIAN, &samples).unwrap();
        let mut chance = Chance::new(9);
        let mut medians: Vec<f64> = (0..4000)
            .map(|_| {
                let mut drawn: Vec<f64> = (0..25).map(|_| samples[chance.below(25)]).collect();
                drawn.sort_by(f64::total_cmp);
                drawn[12]
            })
            .collect();
        medians.sort_by(f64::total_cmp);
        let known = spread.interval(0.95);
        assert_eq!(known.value, 13.0);
        assert!((known.low - medians[100]).abs() <= 1.0, "{known:?} {}", medians[100]);
        assert!((known.high - medians[3900]).abs() <= 1.0, "{known:?} {}", medians[3900]);
    }

    #[test]
    fn more_samples_narrow_the_interval() {
        for figure in [MEDIAN, Figure::Quantile(90), Figure::Mean] {
            let width = |n: u32| {
                let samples: Vec<f64> = even(n).iter().map(|value| value / f64::from(n)).collect();
                let interval = Spread::of(figure, &samples).unwrap().interval(0.95);
                interval.high - interval.low
            };
            assert!(width(400) < width(25), "{figure:?}");
        }
    }

    #[test]
    fn a_sample_that_failed_is_worse_than_all_others() {
        let mut samples = even(99);
        samples.push(f64::INFINITY);
        let median = Spread::of(MEDIAN, &samples).unwrap().interval(0.95);
        assert!(median.high.is_finite());
        let late = Spread::of(Figure::Quantile(99), &samples).unwrap().interval(0.95);
        assert!(late.high.is_infinite());
    }

    #[test]
    fn the_same_samples_are_as_good_as_themselves() {
        let spread = Spread::of(MEDIAN, &even(50)).unwrap();
        let same = ratio(&spread, &spread, 0.95);
        assert_eq!(same.value, 1.0);
        assert!(same.low < 1.0 && same.high > 1.0, "{same:?}");
        let slow: Vec<f64> = even(50).iter().map(|value| value + 100.0).collect();
        let slower = ratio(&Spread::of(MEDIAN, &slow).unwrap(), &spread, 0.95);
        assert!(slower.low > 2.0, "{slower:?}");
    }

    #[test]
    fn one_sample_has_an_interval_without_width() {
        let one = Spread::of(MEDIAN, &[7.0]).unwrap().interval(0.95);
        assert_eq!((one.value, one.low, one.high), (7.0, 7.0, 7.0));
        assert_eq!(Spread::of(MEDIAN, &[]), None);
    }
}
