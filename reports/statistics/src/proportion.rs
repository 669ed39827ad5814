//! k of n, and what rate that is compatible with.

use statrs::distribution::{Beta, ContinuousCDF as _, Normal};

use crate::Estimate;

/// The greatest rate that is compatible, at `confidence` of one side, with `k` of `n` (Clopper and Pearson 1934).
#[must_use]
pub fn upper(k: u64, n: u64, confidence: f64) -> f64 {
    if k >= n {
        return 1.0;
    }
    beta(k as f64 + 1.0, (n - k) as f64, confidence)
}

/// The smallest rate that is compatible, at `confidence` of one side, with `k` of `n`.
#[must_use]
pub fn lower(k: u64, n: u64, confidence: f64) -> f64 {
    if k == 0 {
        return 0.0;
    }
    beta(k as f64, (n - k.min(n)) as f64 + 1.0, 1.0 - confidence)
}

/// The exact interval of Clopper and Pearson (1934): it holds the rate at least as often as promised. None of none.
#[must_use]
pub fn clopper_pearson(k: u64, n: u64, confidence: f64) -> Option<Estimate> {
    let side = 0.5 + confidence / 2.0;
    (n > 0).then(|| Estimate {
        value: k as f64 / n as f64,
        low: lower(k, n, side),
        high: upper(k, n, side),
    })
}

/// The score interval of Wilson (1927): narrower, and on the average over rates it holds as often as promised. None of none.
#[must_use]
pub fn wilson(k: u64, n: u64, confidence: f64) -> Option<Estimate> {
    if n == 0 {
        return None;
    }
    let z = Normal::standard().inverse_cdf(0.5 + confidence / 2.0);
    let (n, share) = (n as f64, k as f64 / n as f64);
    let middle = (share + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    Some(Estimate {
        value: share,
        low: (middle - half).max(0.0),
        high: (middle + half).min(1.0),
    })
}

/// The quantile of a beta distribution, by halving.
fn beta(a: f64, b: f64, share: f64) -> f64 {
    let Ok(beta) = Beta::new(a, b) else { return f64::NAN };
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..64 {
        let middle = (low + high) / 2.0;
        if beta.cdf(middle) < share {
            low = middle
        } else {
            high = middle
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_are_those_of_clopper_and_pearson() {
        // 1 - 0.05^(1/299) and the like; 3 of 10 from a table.
        let (upper, lower) = (|k, n| upper(k, n, 0.95), |k, n| lower(k, n, 0.95));
        assert!((upper(0, 299) - 0.009_969).abs() < 1e-5, "{}", upper(0, 299));
        assert!((lower(299, 299) - 0.990_031).abs() < 1e-5, "{}", lower(299, 299));
        assert!((upper(3, 10) - 0.6066).abs() < 1e-3, "{}", upper(3, 10));
        assert!((lower(3, 10) - 0.0873).abs() < 1e-3, "{}", lower(3, 10));
        assert_eq!((lower(0, 5), upper(5, 5), upper(0, 0)), (0.0, 1.0, 1.0));
    }

    #[test]
    fn the_intervals_are_those_of_newcombes_table() {
        // Newcombe, Two-sided confidence intervals for the single proportion, 1998, table I: exact, and score.
        for (k, n, exact, score) in [
            (81, 263, [0.2527, 0.3676], [0.2553, 0.3662]),
            (15, 148, [0.0578, 0.1617], [0.0624, 0.1605]),
            (0, 20, [0.0, 0.1684], [0.0, 0.1611]),
            (1, 29, [0.0009, 0.1776], [0.0061, 0.1718]),
        ] {
            for (found, [low, high]) in [(clopper_pearson(k, n, 0.95), exact), (wilson(k, n, 0.95), score)] {
                let found = found.unwrap();
                assert!(
                    (found.low - low).abs() < 6e-5 && (found.high - high).abs() < 6e-5,
                    "{k} of {n}: {found:?}"
                );
            }
        }
        assert_eq!((clopper_pearson(0, 0, 0.95), wilson(0, 0, 0.95)), (None, None));
    }
}
