//! Quantiles, with intervals that suppose nothing about the distribution.

use statrs::distribution::{Binomial, DiscreteCDF};

use crate::Estimate;
use crate::chance::Chance;

/// The smallest value that at least `share` (0 to 1) of all values do not exceed; none of no values.
#[must_use]
pub fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    of_sorted(&sorted, share)
}

/// [`quantile`] of values that ascend.
#[must_use]
pub fn of_sorted(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (share * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank.min(sorted.len()).checked_sub(1)?).copied()
}

/// The interval between two order statistics that holds the quantile with at least this confidence, equal tails. An end
/// for which there are too few samples is open.
#[must_use]
pub fn interval(values: &[f64], share: f64, confidence: f64) -> Option<Estimate> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let value = of_sorted(&sorted, share)?;
    let n = sorted.len();
    let tail = (1.0 - confidence) / 2.0;
    let below = Binomial::new(share, n as u64).ok()?;
    // The k-th smallest (from 1) lies above the quantile with probability P(count below it < k).
    let low = (1..=n)
        .take_while(|k| below.cdf(*k as u64 - 1) <= tail)
        .last()
        .map_or(f64::NEG_INFINITY, |k| sorted[k - 1]);
    let high = (1..=n)
        .find(|k| 1.0 - below.cdf(*k as u64 - 1) <= tail)
        .map_or(f64::INFINITY, |k| sorted[k - 1]);
    Some(Estimate { value, low, high })
}

/// The ratio of two quantiles of paired samples, with a percentile bootstrap interval at 95 % over the pairs.
///
/// None without pairs, or where the samples are not paired.
#[must_use]
pub fn ratio(subject: &[f64], reference: &[f64], share: f64, chance: &mut Chance) -> Option<Estimate> {
    const RESAMPLES: usize = 2000;
    if subject.len() != reference.len() {
        return None;
    }
    let value = quantile(subject, share)? / quantile(reference, share)?;
    let mut resampled = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        let picks: Vec<usize> = (0..subject.len()).map(|_| chance.below(subject.len())).collect();
        let pick = |from: &[f64]| -> Vec<f64> { picks.iter().map(|&at| from[at]).collect() };
        resampled.push(quantile(&pick(subject), share)? / quantile(&pick(reference), share)?);
    }
    Some(Estimate {
        value,
        low: quantile(&resampled, 0.025)?,
        high: quantile(&resampled, 0.975)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let values = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!(quantile(&values, 0.5), Some(3.0));
        assert_eq!(quantile(&values, 0.99), Some(5.0));
        assert_eq!(quantile(&values, 0.0), Some(1.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn a_median_of_ten_lies_between_the_second_and_the_ninth() {
        let values: Vec<f64> = (1..=10).map(f64::from).collect();
        let found = interval(&values, 0.5, 0.95).unwrap();
        assert_eq!((found.low, found.high), (2.0, 9.0));
    }

    #[test]
    fn a_percentile_that_the_samples_do_not_bound_is_open() {
        assert_eq!(interval(&[1.0; 50], 0.99, 0.95).unwrap().high, f64::INFINITY);
    }

    #[test]
    fn a_constant_factor_has_an_interval_without_width() {
        let reference: Vec<f64> = (1..=40).map(f64::from).collect();
        let subject: Vec<f64> = reference.iter().map(|value| value * 2.0).collect();
        let found = ratio(&subject, &reference, 0.5, &mut Chance::new(3)).unwrap();
        assert_eq!((found.value, found.low, found.high), (2.0, 2.0, 2.0));
    }

    #[test]
    fn noise_widens_the_interval_around_the_value() {
        let mut chance = Chance::new(11);
        let mut noisy = || (0..60).map(|_| 100.0 + chance.below(50) as f64).collect::<Vec<f64>>();
        let found = ratio(&noisy(), &noisy(), 0.5, &mut Chance::new(3)).unwrap();
        assert!(found.low < found.value && found.value < found.high, "{found:?}");
        assert!(found.low > 0.5 && found.high < 2.0, "{found:?}");
    }

    #[test]
    fn samples_that_are_not_paired_have_no_ratio() {
        assert_eq!(ratio(&[1.0], &[1.0, 2.0], 0.5, &mut Chance::new(1)), None);
    }
}
