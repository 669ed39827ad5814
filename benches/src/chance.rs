//! Random order, and the intervals that random resampling gives.

/// Xorshift: a new order for every seed, the same order for the same seed.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// Begins from a seed, of which 0 counts as 1.
    #[must_use]
    pub fn new(seed: u64) -> Chance {
        Chance(seed.max(1))
    }

    /// A number below `limit`, which must not be 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // The low bits of xorshift are its weak ones; the remainder is below `limit`, so it fits.
        ((self.0 >> 16) % limit as u64) as usize
    }

    /// Shuffles by Fisher and Yates.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// The smallest value that at least `share` (0 to 1) of all values do not exceed; none of no values.
#[must_use]
pub fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied()
}

/// A figure with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// As measured.
    pub value: f64,
    /// 2.5 % of the resamples lie below.
    pub low: f64,
    /// 2.5 % of the resamples lie above.
    pub high: f64,
}

/// The ratio of two quantiles of paired samples, with a percentile bootstrap interval over the pairs.
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
    fn a_shuffle_keeps_what_it_moves() {
        let mut items: Vec<usize> = (0..50).collect();
        Chance::new(7).shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
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
