//! Densities, as smooth curves through samples (B. W. Silverman, Density Estimation for Statistics and Data Analysis, 1986,
//! section 2.4).

use crate::ecdf::Ecdf;
use crate::mean::moments;

/// A Gaussian kernel on each sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Density {
    values: Vec<f64>,
    width: f64,
}

impl Density {
    /// Of finite samples, with the width of Silverman's rule of thumb (his equation 3.31). None of fewer than two, or if all
    /// are the same: there is no width that they would speak for.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let ecdf = Ecdf::of(values);
        let (_, deviation) = moments(values);
        let between = ecdf.quantile(0.75)? - ecdf.quantile(0.25)?;
        let spread = if between > 0.0 {
            deviation.min(between / 1.34)
        } else {
            deviation
        };
        let width = 0.9 * spread * (values.len() as f64).powf(-0.2);
        (width > 0.0 && width.is_finite()).then(|| Self {
            values: ecdf.values().to_vec(),
            width,
        })
    }

    /// The density at a value.
    #[must_use]
    pub fn at(&self, value: f64) -> f64 {
        let scale = self.values.len() as f64 * self.width * std::f64::consts::TAU.sqrt();
        let kernel = |sample: &f64| (-0.5 * ((value - sample) / self.width).powi(2)).exp();
        self.values.iter().map(kernel).sum::<f64>() / scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    #[test]
    fn the_curve_has_an_area_of_one_and_is_highest_where_the_samples_are() {
        let mut chance = Chance::new(8);
        let values: Vec<f64> = (0..200).map(|_| chance.normal(5.0, 1.0)).collect();
        let density = Density::of(&values).unwrap();
        let step = 0.01;
        let area: f64 = (0..2000).map(|n| density.at(-5.0 + f64::from(n) * step) * step).sum();
        assert!((area - 1.0).abs() < 1e-3, "{area}");
        assert!(density.at(5.0) > 2.0 * density.at(7.0));
        // The normal distribution's own is 0.399; a kernel flattens it.
        assert!((0.3..0.45).contains(&density.at(5.0)), "{}", density.at(5.0));
    }

    #[test]
    fn what_does_not_spread_has_no_curve() {
        assert_eq!(Density::of(&[]), None);
        assert_eq!(Density::of(&[1.0]), None);
        assert_eq!(Density::of(&[1.0; 9]), None);
        // Most are the same, but not all.
        let mut values = vec![1.0; 9];
        values.push(2.0);
        assert!(Density::of(&values).is_some());
    }
}
