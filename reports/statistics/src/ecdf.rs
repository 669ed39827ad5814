//! What share of samples is at most as large as a value.

use crate::quantile;

/// The empirical distribution function of samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Ecdf {
    sorted: Vec<f64>,
}

impl Ecdf {
    /// Of samples; those that are no numbers are left out.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
        sorted.sort_by(f64::total_cmp);
        Self { sorted }
    }

    /// The samples, ascending.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.sorted
    }

    /// The share of samples that are at most `value`; 0 of none.
    #[must_use]
    pub fn at(&self, value: f64) -> f64 {
        let below = self.sorted.partition_point(|sample| *sample <= value);
        below as f64 / self.sorted.len().max(1) as f64
    }

    /// See [`quantile::quantile`].
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        quantile::of_sorted(&self.sorted, share)
    }

    /// Each value at which the function rises, with what it rises to.
    #[must_use]
    pub fn steps(&self) -> Vec<(f64, f64)> {
        let n = self.sorted.len();
        let rises = |at: &usize| self.sorted.get(at + 1).is_none_or(|next| *next > self.sorted[*at]);
        (0..n)
            .filter(rises)
            .map(|at| (self.sorted[at], (at + 1) as f64 / n as f64))
            .collect()
    }

    /// Half the width of the band that holds the whole true function with at least this confidence
    /// (Dvoretzky, Kiefer and Wolfowitz 1956, with the constant of Massart 1990); 1 without samples.
    #[must_use]
    pub fn band(&self, confidence: f64) -> f64 {
        if self.sorted.is_empty() {
            return 1.0;
        }
        ((2.0 / (1.0 - confidence)).ln() / (2.0 * self.sorted.len() as f64))
            .sqrt()
            .min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    #[test]
    fn it_rises_at_each_value_by_how_often_it_is_there() {
        let ecdf = Ecdf::of(&[2.0, 1.0, 2.0, f64::NAN, 4.0]);
        assert_eq!(ecdf.steps(), [(1.0, 0.25), (2.0, 0.75), (4.0, 1.0)]);
        assert_eq!([0.5, 1.0, 3.0, 9.0].map(|at| ecdf.at(at)), [0.0, 0.25, 0.75, 1.0]);
        assert_eq!(ecdf.quantile(0.5), Some(2.0));
        assert_eq!((Ecdf::of(&[]).at(1.0), Ecdf::of(&[]).band(0.9)), (0.0, 1.0));
    }

    #[test]
    fn the_band_holds_the_whole_function_as_often_as_promised() {
        // sqrt(ln(40) / 200) = 0.1358, the value that tables of Kolmogorov's test have for n = 100 as 1.358 / sqrt(n).
        let mut chance = Chance::new(1);
        let trials = 600;
        let held = (0..trials).filter(|_| {
            let values: Vec<f64> = (0..100).map(|_| chance.uniform()).collect();
            let ecdf = Ecdf::of(&values);
            let band = ecdf.band(0.95);
            assert!((band - 0.1358).abs() < 1e-4, "{band}");
            let steps = ecdf.steps();
            steps
                .iter()
                .all(|(value, share)| share - value <= band && value - (share - 0.01) <= band)
        });
        let held = held.count() as f64 / f64::from(trials);
        assert!(held >= 0.93, "{held}");
    }
}
