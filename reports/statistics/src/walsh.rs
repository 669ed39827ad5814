//! The averages of all pairs of values (Walsh 1949), and their median: the estimate of Hodges and Lehmann (1963).
//!
//! There are `n(n + 1)/2` of them, too many to write down. How many are at most `t` is counted in one walk over the sorted
//! values from both ends, and the one of a rank is found by halving the range.

/// Values, ascending, each with how often it is there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weighed<'v> {
    pub(crate) sorted: &'v [f64],
    pub(crate) weights: &'v [u32],
}

impl Weighed<'_> {
    /// How many averages are at most `bound`.
    fn at_most(&self, bound: f64) -> u64 {
        let twice = 2.0 * bound;
        let mut below: u64 = self.weights.iter().map(|weight| u64::from(*weight)).sum();
        let mut end = self.sorted.len();
        let (mut ordered, mut alone) = (0, 0);
        for (value, weight) in self.sorted.iter().zip(self.weights) {
            while end > 0 && value + self.sorted[end - 1] > twice {
                end -= 1;
                below -= u64::from(self.weights[end]);
            }
            if end == 0 {
                break;
            }
            ordered += u64::from(*weight) * below;
            if value + value <= twice {
                alone += u64::from(*weight);
            }
        }
        // Each pair was met in both orders, each value with itself once.
        (ordered + alone) / 2
    }

    /// The smallest average above `bound`.
    fn next_above(&self, bound: f64) -> f64 {
        let twice = 2.0 * bound;
        let there = |at: &usize| self.weights[*at] > 0;
        let places: Vec<usize> = (0..self.sorted.len()).filter(there).collect();
        let mut end = places.len();
        let mut least = f64::INFINITY;
        for at in &places {
            let value = self.sorted[*at];
            while end > 0 && value + self.sorted[places[end - 1]] > twice {
                end -= 1;
            }
            if let Some(partner) = places.get(end) {
                least = least.min((value + self.sorted[*partner]) / 2.0);
            }
        }
        least
    }

    /// The average of this rank, from 1, to within `precision`.
    fn ranked(&self, rank: u64, mut low: f64, mut high: f64, precision: f64) -> (f64, f64) {
        while high - low > precision {
            let middle = low + (high - low) / 2.0;
            if middle <= low || middle >= high {
                break;
            }
            if self.at_most(middle) >= rank {
                high = middle;
            } else {
                low = middle;
            }
        }
        (low, high)
    }

    fn averages(&self) -> u64 {
        let n: u64 = self.weights.iter().map(|weight| u64::from(*weight)).sum();
        n * (n + 1) / 2
    }

    /// The median of the averages to within `precision`, looked for around `near`, a guess that is at most about `reach` off.
    pub(crate) fn median_near(&self, near: f64, reach: f64, precision: f64) -> f64 {
        let rank = self.averages().div_ceil(2);
        let (mut low, mut high) = (near - reach, near + reach);
        let mut step = reach;
        while self.at_most(low) >= rank && step.is_finite() {
            step *= 2.0;
            (low, high) = (low - step, low);
        }
        while self.at_most(high) < rank && step.is_finite() {
            step *= 2.0;
            (low, high) = (high, high + step);
        }
        let (low, high) = self.ranked(rank, low, high, precision);
        low + (high - low) / 2.0
    }
}

/// The median of the averages of all pairs of values, a value and itself being a pair, too. None without values or if one
/// of them is no finite number.
#[must_use]
pub fn hodges_lehmann(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (first, last) = (*sorted.first()?, *sorted.last()?);
    if !(first.is_finite() && last.is_finite()) {
        return None;
    }
    let weights = vec![1; sorted.len()];
    let all = Weighed {
        sorted: &sorted,
        weights: &weights,
    };
    let exact = |rank: u64| {
        if all.at_most(first) >= rank {
            return first;
        }
        let precision = (last - first) * 1e-13;
        let (low, _) = all.ranked(rank, first, last, precision);
        all.next_above(low)
    };
    let n = all.averages();
    Some(if n % 2 == 1 {
        exact(n.div_ceil(2))
    } else {
        (exact(n / 2) + exact(n / 2 + 1)) / 2.0
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    /// All averages, written down.
    fn plainly(values: &[f64]) -> f64 {
        let mut all: Vec<f64> = (0..values.len())
            .flat_map(|i| (i..values.len()).map(move |j| (values[i] + values[j]) / 2.0))
            .collect();
        all.sort_by(f64::total_cmp);
        let n = all.len();
        if n % 2 == 1 {
            all[n / 2]
        } else {
            (all[n / 2 - 1] + all[n / 2]) / 2.0
        }
    }

    #[test]
    #[expect(clippy::approx_constant, reason = "a depression factor of 3.14 is not pi")]
    fn the_estimate_of_a_published_example() {
        // Hollander and Wolfe, Nonparametric Statistical Methods, table 3.1 (depression factors before and after): the
        // 23rd of 45 averages is 0.46.
        let before = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30];
        let after = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29];
        let differences: Vec<f64> = before.iter().zip(after).map(|(x, y)| x - y).collect();
        let found = hodges_lehmann(&differences).unwrap();
        assert!((found - 0.46).abs() < 1e-9, "{found}");
    }

    #[test]
    fn small_ones_by_hand() {
        // 1, 2, 6: averages 1, 1.5, 2, 3.5, 4, 6; the middle two are 2 and 3.5.
        assert_eq!(hodges_lehmann(&[6.0, 1.0, 2.0]), Some(2.75));
        assert_eq!(hodges_lehmann(&[5.0]), Some(5.0));
        assert_eq!(hodges_lehmann(&[3.0, 3.0, 3.0]), Some(3.0));
        assert_eq!(hodges_lehmann(&[]), None);
        assert_eq!(hodges_lehmann(&[1.0, f64::INFINITY]), None);
    }

    #[test]
    fn counting_agrees_with_writing_down() {
        let mut chance = Chance::new(9);
        for n in 1..60 {
            // Few different values, so that there are ties.
            let values: Vec<f64> = (0..n).map(|_| chance.below(12) as f64 - 5.0).collect();
            assert_eq!(hodges_lehmann(&values), Some(plainly(&values)), "{values:?}");
            let values: Vec<f64> = (0..n).map(|_| chance.normal(0.0, 1.0)).collect();
            let found = hodges_lehmann(&values).unwrap();
            assert!((found - plainly(&values)).abs() < 1e-12, "{values:?}");
        }
    }

    #[test]
    fn a_weight_is_so_many_of_the_same() {
        let mut chance = Chance::new(10);
        for _ in 0..40 {
            let mut sorted: Vec<f64> = (0..20).map(|_| chance.normal(0.0, 1.0)).collect();
            sorted.sort_by(f64::total_cmp);
            let weights: Vec<u32> = sorted.iter().map(|_| chance.below(4) as u32).collect();
            let many: Vec<f64> = sorted
                .iter()
                .zip(&weights)
                .flat_map(|(value, weight)| std::iter::repeat_n(*value, *weight as usize))
                .collect();
            let weighed = Weighed {
                sorted: &sorted,
                weights: &weights,
            };
            assert_eq!(weighed.averages(), (many.len() * (many.len() + 1) / 2) as u64);
            for near in [0.0, 30.0, -30.0] {
                let found = weighed.median_near(near, 0.1, 1e-9);
                // With an even number of averages the lower of the two in the middle is found.
                assert!((found - plainly(&many)).abs() < 0.2, "{found}");
                let middle = weighed.averages().div_ceil(2);
                assert!(weighed.at_most(found + 1e-9) >= middle && weighed.at_most(found - 1e-9) < middle);
            }
        }
    }
}
