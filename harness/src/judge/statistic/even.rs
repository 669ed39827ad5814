//! Whether counts are spread evenly: Pearson's chi-square test, and whether there were enough to see it if they were not.
//!
//! A test that does not reject shows nothing by itself: with three responses any spread looks even. So an even spread is
//! only told if a server with too small a share would have been seen, by the power of the test (Cohen, Statistical Power
//! Analysis, chapter 7: the noncentral chi-square distribution, here as its Poisson mixture of central ones).

use statrs::distribution::{ChiSquared, ContinuousCDF, Discrete, Poisson};

/// How surely an even spread is not called uneven, unless the check says otherwise.
pub const CONFIDENCE: f64 = 0.99;

/// The part of a share that must not be missing unseen, unless the check says otherwise.
pub const DETECT: f64 = 0.5;

/// In how many runs a lack of that size is seen at least.
const POWER: f64 = 0.8;

/// Responses that each must be expected to get, or the distribution is no chi-square (Cochran 1954).
const EXPECTED: u64 = 5;

/// Most responses that a look has.
const MOST: u64 = spec::step::MOST_ATTEMPTS as u64;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Question {
    /// Among how many.
    pub over: u32,
    /// One less the probability that an even spread is called uneven.
    pub confidence: f64,
    /// The part of its share that one may lack without being seen in fewer than four of five runs.
    pub detect: f64,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// Even, and an uneven one would have been seen.
    Even,
    /// Uneven.
    Uneven,
    /// Too few to tell.
    Open {
        /// How many would tell, if one look may have so many.
        least: Option<u64>,
    },
}

/// A test and what it rests on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// What came of it.
    pub verdict: Spread,
    /// How often an even spread is as uneven as this one.
    pub p: f64,
    /// How many were counted.
    pub n: u64,
}

/// Tests counts; those that are not in `counts` are 0.
///
/// # Errors
/// A sentence, if there is nothing to test.
pub fn test(asked: &Question, counts: &[u64]) -> Result<Found, String> {
    if asked.over < 2 || counts.len() as u64 > u64::from(asked.over) {
        return Err(format!("{} counts are not spread over {}", counts.len(), asked.over));
    }
    let distribution = ChiSquared::new(f64::from(asked.over - 1)).map_err(|error| error.to_string())?;
    let n: u64 = counts.iter().sum();
    let expected = n as f64 / f64::from(asked.over);
    let absent = f64::from(asked.over) - counts.len() as f64;
    let squares: f64 = counts.iter().map(|count| (*count as f64 - expected).powi(2)).sum();
    let statistic = if n == 0 {
        0.0
    } else {
        squares / expected + absent * expected
    };
    let p = distribution.sf(statistic);
    let enough = n >= EXPECTED * u64::from(asked.over);
    let verdict = if enough && p < 1.0 - asked.confidence {
        Spread::Uneven
    } else if enough && power(asked, n) >= POWER {
        Spread::Even
    } else {
        Spread::Open { least: least(asked) }
    };
    Ok(Found { verdict, p, n })
}

/// The probability that `n` responses show that one server lacks the part `detect` of its share, the others sharing it.
fn power(asked: &Question, n: u64) -> f64 {
    let degrees = f64::from(asked.over - 1);
    let Ok(even) = ChiSquared::new(degrees) else {
        return 0.0;
    };
    let critical = even.inverse_cdf(asked.confidence);
    let noncentrality = n as f64 * asked.detect.powi(2) / degrees;
    let half = noncentrality / 2.0;
    if half == 0.0 {
        return even.sf(critical);
    }
    let Ok(weights) = Poisson::new(half) else {
        return 0.0;
    };
    let last = (half + 10.0 * half.sqrt() + 20.0) as u64;
    (0..=last)
        .filter_map(|j| {
            let part = ChiSquared::new(degrees + 2.0 * j as f64).ok()?;
            Some(weights.pmf(j) * part.sf(critical))
        })
        .sum()
}

/// The least number of responses that tell.
fn least(asked: &Question) -> Option<u64> {
    let (mut low, mut high) = (EXPECTED * u64::from(asked.over), MOST);
    if low > high || power(asked, high) < POWER {
        return None;
    }
    while low < high {
        let middle = low.midpoint(high);
        if power(asked, middle) >= POWER {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OVER_THREE: Question = Question {
        over: 3,
        confidence: CONFIDENCE,
        detect: DETECT,
    };

    fn verdict(counts: &[u64]) -> Spread {
        test(&OVER_THREE, counts).unwrap().verdict
    }

    #[test]
    fn the_statistic_is_pearsons() {
        // 88 throws of a die: 2.0 with five degrees of freedom.
        let die = Question { over: 6, ..OVER_THREE };
        let found = test(&die, &[16, 18, 16, 14, 12, 12]).unwrap();
        assert!((found.p - 0.8491).abs() < 5e-4, "{found:?}");
        assert_eq!(found.n, 88);
    }

    #[test]
    fn a_silent_server_is_uneven_and_few_responses_are_open() {
        assert_eq!(verdict(&[66, 67, 67]), Spread::Even);
        assert_eq!(verdict(&[60]), Spread::Uneven);
        assert_eq!(verdict(&[30, 30]), Spread::Uneven);
        assert!(matches!(verdict(&[3, 3, 3]), Spread::Open { least: Some(_) }));
        assert!(matches!(verdict(&[]), Spread::Open { .. }));
        assert!(test(&OVER_THREE, &[1, 1, 1, 1]).is_err());
    }

    #[test]
    fn power_grows_with_responses_and_the_least_number_reaches_it() {
        assert!(power(&OVER_THREE, 60) < power(&OVER_THREE, 120));
        let enough = least(&OVER_THREE).unwrap();
        assert!(power(&OVER_THREE, enough) >= POWER && power(&OVER_THREE, enough - 1) < POWER);
        // With no lack to see, the test rejects as often as it errs.
        let blind = Question {
            detect: 0.0,
            ..OVER_THREE
        };
        assert!((power(&blind, 500) - 0.01).abs() < 1e-3);
        assert_eq!(least(&blind), None);
    }

    #[test]
    fn an_even_draw_is_seldom_called_uneven() {
        // A linear congruential generator (Knuth, MMIX): the same numbers every time.
        let mut state: u64 = 7;
        let mut draw = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % 3
        };
        let mut uneven = 0;
        for _ in 0..1000 {
            let mut counts = [0; 3];
            (0..200).for_each(|_| counts[draw() as usize] += 1);
            uneven += u32::from(verdict(&counts) == Spread::Uneven);
        }
        assert!((1..=25).contains(&uneven), "{uneven} of 1000");
    }
}
