//! Means with Student's interval. Samples are taken as independent.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::Estimate;

/// Mean and sample standard deviation (0 for fewer than two samples).
#[must_use]
pub fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    if values.is_empty() {
        return (0.0, 0.0);
    }
    let mean = values.iter().sum::<f64>() / n;
    if values.len() < 2 {
        return (mean, 0.0);
    }
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0)).sqrt())
}

/// The two-sided critical value of Student's distribution for `n` samples; none for fewer than two.
#[must_use]
pub fn student(n: usize, confidence: f64) -> Option<f64> {
    let degrees = n.checked_sub(1).filter(|d| *d > 0)? as f64;
    let distribution = StudentsT::new(0.0, 1.0, degrees).ok()?;
    Some(distribution.inverse_cdf(0.5 + confidence / 2.0))
}

/// The mean with its interval, open for one sample; none without samples.
#[must_use]
pub fn interval(values: &[f64], confidence: f64) -> Option<Estimate> {
    if values.is_empty() {
        return None;
    }
    let (value, deviation) = moments(values);
    let half = match student(values.len(), confidence) {
        Some(critical) => critical * deviation / (values.len() as f64).sqrt(),
        None => f64::INFINITY,
    };
    Some(Estimate {
        value,
        low: value - half,
        high: value + half,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_the_mean_is_students() {
        // 1..=10: mean 5.5, sd 3.0277, t(9, 97.5 %) 2.2622, half width 2.1659.
        let values: Vec<f64> = (1..=10).map(f64::from).collect();
        let found = interval(&values, 0.95).unwrap();
        assert!((found.low - 3.3341).abs() < 1e-3, "{found:?}");
        assert!((found.high - 7.6659).abs() < 1e-3, "{found:?}");
    }

    #[test]
    fn one_sample_bounds_nothing() {
        assert_eq!(interval(&[2.0], 0.95).unwrap().high, f64::INFINITY);
        assert_eq!(interval(&[], 0.95), None);
    }
}
