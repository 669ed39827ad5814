//! Statistics of samples as equivalence tests: the confidence interval must lie inside the bounds.
//!
//! The mean has Student's interval, percentiles have the distribution-free interval of order statistics (binomial
//! counts below the quantile). Both take samples as independent; windows of one process are not quite, so the evidence
//! tells n, mean and standard deviation for whoever wants to look closer.

use record::{Seen, Verdict};
use serde_json::Value;
use spec::{Matcher, Op, check::Statistic};
use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, StudentsT};

use super::matcher::{Unit, approx_bounds, rounded};

/// Confidence of the interval unless the check tells another.
pub const CONFIDENCE: f64 = 0.95;

/// An estimate and its confidence interval; an end that the samples do not bound is infinite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The statistic of the samples.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The estimate of a statistic. `None` without samples.
pub fn estimate(which: Statistic, values: &[f64], confidence: f64) -> Option<Estimate> {
    match which {
        Statistic::Mean => mean_interval(values, confidence),
        Statistic::P50 => quantile_interval(values, 0.5, confidence),
        Statistic::P95 => quantile_interval(values, 0.95, confidence),
        Statistic::P99 => quantile_interval(values, 0.99, confidence),
    }
}

pub(super) fn judge(which: Statistic, want: &Matcher, seen: &Seen) -> Option<Verdict> {
    let Seen::Samples {
        values,
        unit: unit_name,
        complete,
    } = seen
    else {
        return None;
    };
    let unit = match unit_name.as_str() {
        "%" => Unit::Share,
        "bytes" | "bytes/s" => Unit::Bytes,
        _ => Unit::Plain,
    };
    let show = |number: f64| show(number, unit_name);
    let error = |message: String| Some(Verdict::Error { message });
    if let Some(bad) = values.iter().find(|v| !v.is_finite()) {
        return error(format!("a sample is {bad}: that is no measurement"));
    }
    let bounds = match bounds(want, unit) {
        Ok(bounds) => bounds,
        Err(why) => return error(why),
    };
    let Some(found) = estimate(which, values, bounds.confidence) else {
        return Some(if *complete {
            Verdict::Error {
                message: "not one sample was drawn".into(),
            }
        } else {
            Verdict::Inconclusive {
                n: 0,
                interval: [f64::MIN, f64::MAX],
                more: "samples are still to be drawn".into(),
            }
        });
    };
    let n = values.len();
    let (mean, deviation) = moments(values);
    let name = name(which);
    let summary = format!(
        "{name} {} in [{}, {}] at {} % confidence (n {n}, mean {}, sd {})",
        show(found.value),
        show(found.low),
        show(found.high),
        rounded(bounds.confidence * 100.0),
        show(mean),
        show(deviation)
    );
    Some(if found.low >= bounds.low && found.high <= bounds.high {
        Verdict::Pass { seen: summary }
    } else if found.high < bounds.low || found.low > bounds.high {
        Verdict::Fail {
            want: format!("{name} {want}"),
            got: summary,
            because: None,
        }
    } else {
        let more = match more_samples(which, &found, &bounds, n, deviation) {
            Some(more) => format!("about {more} more samples would decide"),
            None => format!(
                "the {name} lies on a bound: no reasonable number of samples decides; widen the bounds or steady the load"
            ),
        };
        Verdict::Inconclusive {
            n: n as u64,
            interval: [found.low.max(f64::MIN), found.high.min(f64::MAX)],
            more: format!("{more}: {summary}, wanted {want}"),
        }
    })
}

fn name(which: Statistic) -> &'static str {
    match which {
        Statistic::Mean => "mean",
        Statistic::P50 => "p50",
        Statistic::P95 => "p95",
        Statistic::P99 => "p99",
    }
}

/// A number with the unit of a sample; shares of one as per cent, an open end as such.
fn show(number: f64, unit: &str) -> String {
    match (number.is_finite(), unit) {
        (false, _) => "open".into(),
        (true, "%") => format!("{} %", rounded((number * 1e6).round() / 1e4)),
        (true, "ratio" | "") => rounded(number),
        (true, unit) => format!("{} {unit}", rounded(number)),
    }
}

struct Bounds {
    low: f64,
    high: f64,
    confidence: f64,
}

fn bounds(want: &Matcher, unit: Unit) -> Result<Bounds, String> {
    let number = |value: &Value| {
        unit.number(value)
            .ok_or_else(|| format!("`{}` is not a number to compare a sample with", unit.show(value)))
    };
    let mut all = Bounds {
        low: f64::NEG_INFINITY,
        high: f64::INFINITY,
        confidence: CONFIDENCE,
    };
    for op in &want.0 {
        let (low, high) = match op {
            Op::Eq(value) => (number(value)?, number(value)?),
            Op::Gt(value) | Op::Gte(value) => (number(value)?, f64::INFINITY),
            Op::Lt(value) | Op::Lte(value) => (f64::NEG_INFINITY, number(value)?),
            Op::Between(low, high) => (number(low)?, number(high)?),
            Op::Approx {
                value,
                abs,
                rel,
                confidence,
            } => {
                all.confidence = confidence.unwrap_or(CONFIDENCE);
                approx_bounds(value, abs.as_ref(), rel.as_ref(), unit)
                    .ok_or("`approx` needs numbers, and `abs` or `rel`")?
            }
            Op::Ne(_)
            | Op::Matches(_)
            | Op::Contains(_)
            | Op::ContainsAll(_)
            | Op::Exactly(_)
            | Op::OneOf(_)
            | Op::Exists(_)
            | Op::Count(_)
            | Op::DiffersFrom(_)
            | Op::SameAs(_) => {
                return Err(format!(
                    "a statistic is compared by `approx`, `between` or bounds, not `{want}`"
                ));
            }
        };
        all.low = all.low.max(low);
        all.high = all.high.min(high);
    }
    if want.0.is_empty() || all.low > all.high {
        return Err(format!("no value lies within `{want}`"));
    }
    Ok(all)
}

/// Mean and sample standard deviation (0 for fewer than two samples).
fn moments(values: &[f64]) -> (f64, f64) {
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

/// The two-sided critical value of Student's distribution.
fn student(n: usize, confidence: f64) -> Option<f64> {
    let degrees = n.checked_sub(1).filter(|d| *d > 0)? as f64;
    let distribution = StudentsT::new(0.0, 1.0, degrees).ok()?;
    Some(distribution.inverse_cdf(0.5 + confidence / 2.0))
}

fn mean_interval(values: &[f64], confidence: f64) -> Option<Estimate> {
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

/// The interval between two order statistics that holds the quantile with at least this confidence, equal tails. An end
/// for which there are too few samples is open.
fn quantile_interval(values: &[f64], quantile: f64, confidence: f64) -> Option<Estimate> {
    if values.is_empty() {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let tail = (1.0 - confidence) / 2.0;
    let below = Binomial::new(quantile, n as u64).ok()?;
    // The k-th smallest (from 1) lies above the quantile with probability P(count below it < k).
    let low = (1..=n)
        .take_while(|k| below.cdf(*k as u64 - 1) <= tail)
        .last()
        .map_or(f64::NEG_INFINITY, |k| sorted[k - 1]);
    let high = (1..=n)
        .find(|k| 1.0 - below.cdf(*k as u64 - 1) <= tail)
        .map_or(f64::INFINITY, |k| sorted[k - 1]);
    let rank = (quantile * n as f64).ceil().clamp(1.0, n as f64) as usize;
    Some(Estimate {
        value: sorted[rank - 1],
        low,
        high,
    })
}

/// About how many more samples would bring the interval to one side of each bound, if the statistic stays where it is.
/// `None` when there is no end in sight.
fn more_samples(which: Statistic, found: &Estimate, bounds: &Bounds, n: usize, deviation: f64) -> Option<u64> {
    const SIGHT: f64 = 1e6;
    let room = [found.value - bounds.low, bounds.high - found.value]
        .into_iter()
        .map(f64::abs)
        .filter(|distance| distance.is_finite())
        .fold(f64::INFINITY, f64::min);
    let needed = match which {
        Statistic::Mean => {
            // The critical value falls with n: three rounds settle it.
            let mut needed = (n.max(2)) as f64;
            for _ in 0..3 {
                if needed > SIGHT {
                    return None;
                }
                let critical = student((needed as usize).max(n).max(2), bounds.confidence)?;
                needed = (critical * deviation / room).powi(2).ceil();
            }
            needed
        }
        Statistic::P50 | Statistic::P95 | Statistic::P99 => {
            let quantile: f64 = match which {
                Statistic::P50 => 0.5,
                Statistic::P95 => 0.95,
                Statistic::P99 | Statistic::Mean => 0.99,
            };
            let tail = (1.0 - bounds.confidence) / 2.0;
            // An end exists only from this many samples on.
            let least = (tail.ln() / quantile.ln()).ceil();
            let half = [found.value - found.low, found.high - found.value]
                .into_iter()
                .filter(|half| half.is_finite())
                .fold(0.0, f64::max);
            (n as f64 * (half / room).powi(2)).ceil().max(least)
        }
    };
    let more = (needed - n as f64).max(1.0);
    (more.is_finite() && more < SIGHT).then_some(more as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Numbers that look drawn by chance and are the same every time (xorshift64*).
    struct Chance(u64);

    impl Chance {
        fn uniform(&mut self) -> f64 {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            ((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
        }

        /// Normal, by Box and Muller.
        fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
            let (a, b) = (self.uniform(), self.uniform());
            mean + deviation * (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
        }

        fn normals(&mut self, n: usize, mean: f64, deviation: f64) -> Vec<f64> {
            (0..n).map(|_| self.normal(mean, deviation)).collect()
        }
    }

    fn quota_held(values: Vec<f64>) -> Verdict {
        let want: Matcher = serde_json::from_value(json!({"approx": "20%", "abs": "2%", "confidence": 0.95})).unwrap();
        judge(
            Statistic::Mean,
            &want,
            &Seen::Samples {
                values,
                unit: "%".into(),
                complete: true,
            },
        )
        .unwrap()
    }

    fn share(trials: usize, mut one: impl FnMut() -> bool) -> f64 {
        (0..trials).filter(|_| one()).count() as f64 / trials as f64
    }

    #[test]
    fn the_interval_of_the_mean_is_students() {
        // 1..=10: mean 5.5, sd 3.0277, t(9, 97.5 %) 2.2622, half width 2.1659.
        let values: Vec<f64> = (1..=10).map(f64::from).collect();
        let found = estimate(Statistic::Mean, &values, 0.95).unwrap();
        assert!((found.low - 3.3341).abs() < 1e-3, "{found:?}");
        assert!((found.high - 7.6659).abs() < 1e-3, "{found:?}");
    }

    #[test]
    fn the_interval_of_the_mean_covers_as_often_as_promised() {
        let mut chance = Chance(1);
        for confidence in [0.9, 0.95] {
            let covered = share(4000, || {
                let values = chance.normals(20, 0.2, 0.01);
                let found = estimate(Statistic::Mean, &values, confidence).unwrap();
                found.low <= 0.2 && 0.2 <= found.high
            });
            assert!((covered - confidence).abs() < 0.015, "{confidence}: {covered}");
        }
    }

    #[test]
    fn the_interval_of_a_percentile_covers_at_least_as_often_as_promised() {
        let mut chance = Chance(2);
        for (which, quantile, n) in [
            (Statistic::P50, 0.5, 25),
            (Statistic::P95, 0.95, 120),
            (Statistic::P99, 0.99, 600),
        ] {
            let covered = share(1500, || {
                let values: Vec<f64> = (0..n).map(|_| chance.uniform()).collect();
                let found = estimate(which, &values, 0.95).unwrap();
                found.low <= quantile && quantile <= found.high
            });
            assert!((0.94..=0.995).contains(&covered), "{quantile}: {covered}");
        }
    }

    #[test]
    fn a_median_of_ten_lies_between_the_second_and_the_ninth() {
        let values: Vec<f64> = (1..=10).map(f64::from).collect();
        let found = estimate(Statistic::P50, &values, 0.95).unwrap();
        assert_eq!((found.low, found.high), (2.0, 9.0));
    }

    #[test]
    fn a_percentile_that_the_samples_do_not_bound_is_open_and_never_passes() {
        let values: Vec<f64> = vec![1.0; 50];
        let found = estimate(Statistic::P99, &values, 0.95).unwrap();
        assert_eq!(found.high, f64::INFINITY);
        let want: Matcher = serde_json::from_value(json!({"lte": 2})).unwrap();
        let verdict = judge(
            Statistic::P99,
            &want,
            &Seen::Samples {
                values,
                unit: "ratio".into(),
                complete: true,
            },
        );
        let Some(Verdict::Inconclusive { n: 50, interval, more }) = verdict else {
            panic!("{verdict:?}");
        };
        assert!(interval.iter().all(|end| end.is_finite()));
        assert!(more.contains("318 more"), "{more}");
    }

    #[test]
    fn a_quota_of_20_percent_is_told_from_24() {
        let mut chance = Chance(3);
        let passes_at_20 = share(500, || {
            matches!(quota_held(chance.normals(20, 0.20, 0.02)), Verdict::Pass { .. })
        });
        assert!(passes_at_20 > 0.95, "{passes_at_20}");
        let fails_at_24 = share(500, || {
            matches!(quota_held(chance.normals(20, 0.24, 0.02)), Verdict::Fail { .. })
        });
        assert!(fails_at_24 > 0.95, "{fails_at_24}");
    }

    #[test]
    fn on_the_bound_a_pass_is_as_rare_as_the_confidence_promises() {
        let mut chance = Chance(4);
        let passes = share(2000, || {
            matches!(quota_held(chance.normals(20, 0.22, 0.01)), Verdict::Pass { .. })
        });
        assert!(passes < 0.04, "{passes}");
    }

    #[test]
    fn an_open_verdict_tells_how_many_samples_would_decide() {
        let mut chance = Chance(5);
        let verdict = quota_held(chance.normals(5, 0.21, 0.015));
        let Verdict::Inconclusive { n: 5, interval, more } = verdict else {
            panic!("{verdict:?}");
        };
        assert!(
            interval[0] < 0.22 && interval[1] > 0.22 || interval[0] < 0.18,
            "{interval:?}"
        );
        assert!(more.starts_with("about ") && more.contains("sd "), "{more}");
    }

    #[test]
    fn a_pass_tells_n_mean_and_deviation() {
        let Verdict::Pass { seen } = quota_held(vec![0.2, 0.2, 0.21, 0.19]) else {
            panic!("must pass");
        };
        assert_eq!(
            seen,
            "mean 20 % in [18.7008 %, 21.2992 %] at 95 % confidence (n 4, mean 20 %, sd 0.8165 %)"
        );
    }

    #[test]
    fn no_sample_is_an_error_and_one_decides_nothing() {
        assert!(matches!(quota_held(vec![]), Verdict::Error { .. }));
        assert!(matches!(quota_held(vec![f64::NAN]), Verdict::Error { .. }));
        assert!(matches!(quota_held(vec![0.2]), Verdict::Inconclusive { n: 1, .. }));
    }

    #[test]
    fn a_statistic_is_not_compared_by_chance() {
        let want: Matcher = serde_json::from_value(json!({"ne": 1})).unwrap();
        let samples = Seen::Samples {
            values: vec![2.0, 2.0],
            unit: "ratio".into(),
            complete: true,
        };
        assert!(matches!(
            judge(Statistic::Mean, &want, &samples),
            Some(Verdict::Error { .. })
        ));
    }
}
