//! Statistics of samples as equivalence tests: the confidence interval must lie inside the bounds.
//!
//! The mean has Student's interval, percentiles have the distribution-free interval of order statistics (binomial
//! counts below the quantile). Both take samples as independent; windows of one process are not quite, so the evidence
//! tells n, mean and standard deviation for whoever wants to look closer.
//!
//! Samples are drawn until the interval decides. Each time it is looked at is a chance to err, and [`statistics::spending`] shares
//! the error that the confidence allows among them. What the samples of a container with a CPU quota say, and what they
//! do not say on a machine that is busy with other things, is in [`evidence`].

pub mod even;
pub mod evidence;

use record::samples::{Conditions, SamplePlan};
use record::{Seen, Verdict};
use serde_json::Value;
use spec::{Matcher, Op, check::Statistic};
use statistics::mean::{self, moments, student};
use statistics::spending::{self, Look};
use statistics::{Estimate, quantile};

use self::evidence::Evidence;
use super::matcher::{Unit, approx_bounds, rounded};

/// Confidence of the interval unless the check tells another: over all looks together, the verdict is wrong about a
/// statistic that lies on a bound at most once in twenty.
pub const CONFIDENCE: f64 = 0.95;

/// How many samples an interval rests on at least where others say nothing.
const MIN_EVIDENCE: usize = 3;

/// The estimate of a statistic. `None` without samples.
pub fn estimate(which: Statistic, values: &[f64], confidence: f64) -> Option<Estimate> {
    match which {
        Statistic::Mean => mean::interval(values, confidence),
        Statistic::P50 => quantile::interval(values, 0.5, confidence),
        Statistic::P95 => quantile::interval(values, 0.95, confidence),
        Statistic::P99 => quantile::interval(values, 0.99, confidence),
    }
}

pub(super) fn judge(which: Statistic, want: &Matcher, seen: &Seen) -> Option<Verdict> {
    let Seen::Samples {
        values,
        unit,
        complete,
        plan,
        conditions,
    } = seen
    else {
        return None;
    };
    let error = |message: String| Some(Verdict::Error { message });
    if let Some(bad) = values.iter().find(|v| !v.is_finite()) {
        return error(format!("a sample is {bad}: that is no measurement"));
    }
    if values.is_empty() && *complete {
        return error("not one sample was drawn".into());
    }
    let bounds = match bounds(want, unit_of(unit)) {
        Ok(bounds) => bounds,
        Err(why) => return error(why),
    };
    let check = Question {
        which,
        want,
        bounds,
        unit,
        plan: plan.as_ref(),
    };
    let n = values.len();
    let looks = match plan {
        Some(plan) => spending::looks(plan.count, plan.max_count, 1.0 - check.bounds.confidence),
        None => vec![Look {
            n,
            error: 1.0 - check.bounds.confidence,
        }],
    };
    let mut last = None;
    for look in looks.iter().filter(|look| look.n <= n && look.n > 0) {
        let conditions = conditions.get(..look.n).unwrap_or_default();
        let verdict = check.at(&values[..look.n], conditions, look.error);
        if !matches!(verdict, Verdict::Inconclusive { .. }) {
            return Some(verdict);
        }
        last = Some(verdict);
    }
    Some(last.unwrap_or(Verdict::Inconclusive {
        n: n as u64,
        interval: [f64::MIN, f64::MAX],
        more: if *complete {
            "the sampling was cut short".into()
        } else {
            "samples are still to be drawn".into()
        },
    }))
}

fn unit_of(name: &str) -> Unit {
    match name {
        "%" => Unit::Share,
        "bytes" | "bytes/s" => Unit::Bytes,
        _ => Unit::Plain,
    }
}

/// What is asked of samples.
struct Question<'q> {
    which: Statistic,
    want: &'q Matcher,
    bounds: Bounds,
    unit: &'q str,
    plan: Option<&'q SamplePlan>,
}

impl Question<'_> {
    /// The verdict of one look that may err with probability `error`.
    fn at(&self, values: &[f64], conditions: &[Conditions], error: f64) -> Verdict {
        let confidence = 1.0 - error;
        let evidence = Evidence::of(values, conditions);
        let (used, n) = (evidence.values(), values.len());
        // What a container used, it was allowed to use, however busy the machine was.
        if let Some(all) = estimate(self.which, values, confidence).filter(|all| all.low > self.bounds.high) {
            return self.fail(self.summary(&all, values, values, conditions), conditions);
        }
        let least = if evidence.is_whole() { 1 } else { MIN_EVIDENCE };
        let found = (used.len() >= least)
            .then(|| estimate(self.which, used, confidence))
            .flatten();
        let Some(found) = found else {
            let seen = estimate(self.which, values, confidence).unwrap_or(Estimate {
                value: 0.0,
                low: f64::NEG_INFINITY,
                high: f64::INFINITY,
            });
            let summary = self.summary(&seen, values, values, conditions);
            let more = evidence.missing(conditions, self.plan);
            return self.open(n, &seen, format!("{more}: {summary}, wanted {}", self.want));
        };
        let summary = self.summary(&found, used, values, conditions);
        if found.low >= self.bounds.low && found.high <= self.bounds.high {
            return Verdict::Pass { seen: summary };
        }
        if found.high < self.bounds.low || found.low > self.bounds.high {
            // A workload that seldom reaches its quota may use less than the quota by itself.
            if found.low > self.bounds.high && !evidence.mostly_limited() {
                let more = "the container was allowed more in the few periods in which its quota decided, \
                            and less in the others: an idle machine decides";
                return self.open(n, &found, format!("{more}: {summary}, wanted {}", self.want));
            }
            return self.fail(summary, conditions);
        }
        let (_, deviation) = moments(used);
        let more = match more_samples(self.which, &found, &self.bounds, used.len(), deviation, confidence) {
            Some(more) => {
                let drawn = (more as f64 * n as f64 / used.len() as f64).ceil();
                let load = evidence.load_in_the_way(conditions).unwrap_or_default();
                format!("about {drawn} more samples would decide{load}")
            }
            None => format!(
                "the {} lies on a bound: no reasonable number of samples decides; widen the bounds or steady the load",
                name(self.which)
            ),
        };
        self.open(n, &found, format!("{more}: {summary}, wanted {}", self.want))
    }

    fn fail(&self, got: String, conditions: &[Conditions]) -> Verdict {
        Verdict::Fail {
            want: format!("{} {}", name(self.which), self.want),
            got,
            because: evidence::cause(conditions, self.plan),
        }
    }

    fn open(&self, n: usize, found: &Estimate, more: String) -> Verdict {
        Verdict::Inconclusive {
            n: n as u64,
            interval: [found.low.max(f64::MIN), found.high.min(f64::MAX)],
            more,
        }
    }

    fn summary(&self, found: &Estimate, used: &[f64], values: &[f64], conditions: &[Conditions]) -> String {
        let show = |number: f64| show(number, self.unit);
        let (mean, deviation) = moments(used);
        let n = if used.len() == values.len() {
            used.len().to_string()
        } else {
            format!("{} of {}", used.len(), values.len())
        };
        let mut text = format!(
            "{} {} in [{}, {}] at {} % confidence (n {n}, mean {}, sd {})",
            name(self.which),
            show(found.value),
            show(found.low),
            show(found.high),
            rounded(self.bounds.confidence * 100.0),
            show(mean),
            show(deviation)
        );
        if let Some(around) = evidence::around(conditions, self.plan) {
            text.push_str("; ");
            text.push_str(&around);
        }
        text
    }
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

/// About how many more samples would bring the interval to one side of each bound, if the statistic stays where it is.
/// `None` when there is no end in sight.
fn more_samples(
    which: Statistic,
    found: &Estimate,
    bounds: &Bounds,
    n: usize,
    deviation: f64,
    confidence: f64,
) -> Option<u64> {
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
                let critical = student((needed as usize).max(n).max(2), confidence)?;
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
            let tail = (1.0 - confidence) / 2.0;
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
    use record::samples::Bandwidth;
    use serde_json::json;
    use statistics::chance::Chance;

    use super::*;

    fn normals(chance: &mut Chance, n: usize, mean: f64, deviation: f64) -> Vec<f64> {
        (0..n).map(|_| chance.normal(mean, deviation)).collect()
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
                plan: None,
                conditions: vec![],
            },
        )
        .unwrap()
    }

    fn share(trials: usize, mut one: impl FnMut() -> bool) -> f64 {
        (0..trials).filter(|_| one()).count() as f64 / trials as f64
    }

    #[test]
    fn the_interval_of_the_mean_covers_as_often_as_promised() {
        let mut chance = Chance::new(1);
        for confidence in [0.9, 0.95] {
            let covered = share(4000, || {
                let values = normals(&mut chance, 20, 0.2, 0.01);
                let found = estimate(Statistic::Mean, &values, confidence).unwrap();
                found.low <= 0.2 && 0.2 <= found.high
            });
            assert!((covered - confidence).abs() < 0.015, "{confidence}: {covered}");
        }
    }

    #[test]
    fn the_interval_of_a_percentile_covers_at_least_as_often_as_promised() {
        let mut chance = Chance::new(2);
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
                plan: None,
                conditions: vec![],
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
        let mut chance = Chance::new(3);
        let passes_at_20 = share(500, || {
            matches!(quota_held(normals(&mut chance, 20, 0.20, 0.02)), Verdict::Pass { .. })
        });
        assert!(passes_at_20 > 0.95, "{passes_at_20}");
        let fails_at_24 = share(500, || {
            matches!(quota_held(normals(&mut chance, 20, 0.24, 0.02)), Verdict::Fail { .. })
        });
        assert!(fails_at_24 > 0.95, "{fails_at_24}");
    }

    #[test]
    fn on_the_bound_a_pass_is_as_rare_as_the_confidence_promises() {
        let mut chance = Chance::new(4);
        let passes = share(2000, || {
            matches!(quota_held(normals(&mut chance, 20, 0.22, 0.01)), Verdict::Pass { .. })
        });
        assert!(passes < 0.04, "{passes}");
    }

    #[test]
    fn an_open_verdict_tells_how_many_samples_would_decide() {
        let mut chance = Chance::new(5);
        let verdict = quota_held(normals(&mut chance, 5, 0.21, 0.015));
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
            plan: None,
            conditions: vec![],
        };
        assert!(matches!(
            judge(Statistic::Mean, &want, &samples),
            Some(Verdict::Error { .. })
        ));
    }

    const PLAN: SamplePlan = SamplePlan {
        count: 4,
        max_count: 24,
        window: 0.5,
        asked: Some(0.2),
    };

    /// Draws as `drive` does: one sample after the other, until the verdict is no longer open.
    fn drawn(plan: SamplePlan, mut window: impl FnMut() -> (f64, Conditions)) -> Verdict {
        let want: Matcher = serde_json::from_value(json!({"approx": "20%", "rel": "10%"})).unwrap();
        let (mut values, mut conditions) = (Vec::new(), Vec::new());
        loop {
            let (value, meanwhile) = window();
            values.push(value);
            conditions.push(meanwhile);
            let complete = values.len() as u64 >= plan.max_count;
            if !spending::looks(plan.count, plan.max_count, 0.05)
                .iter()
                .any(|look| look.n == values.len())
            {
                continue;
            }
            let seen = Seen::Samples {
                values: values.clone(),
                unit: "%".into(),
                complete,
                plan: Some(plan),
                conditions: conditions.clone(),
            };
            let verdict = judge(Statistic::Mean, &want, &seen).unwrap();
            if complete || !matches!(verdict, Verdict::Inconclusive { .. }) {
                return verdict;
            }
        }
    }

    fn word(verdict: &Verdict) -> &'static str {
        verdict.word()
    }

    #[test]
    fn looking_again_and_again_does_not_make_a_pass_of_what_lies_on_the_bound() {
        let mut chance = Chance::new(11);
        let mut on_the_bound = |plan| {
            share(1500, || {
                let verdict = drawn(plan, || (chance.normal(0.22, 0.008), Conditions::default()));
                word(&verdict) == "pass"
            })
        };
        // A mean on the bound passes by error of one side: half of 5 %, however often it is looked at.
        let spent = on_the_bound(PLAN);
        assert!(spent <= 0.025, "{spent}");

        // The same samples with all of the error at every look: what the spending is for.
        let peeking = share(1500, || {
            let mut values = normals(&mut chance, 3, 0.22, 0.008);
            (4..=24).any(|_| {
                values.push(chance.normal(0.22, 0.008));
                mean::interval(&values, 0.95).is_some_and(|found| found.high <= 0.22)
            })
        });
        assert!(peeking > 0.06, "{peeking}");
    }

    #[test]
    fn a_quota_that_is_held_never_fails_and_one_that_is_a_fifth_off_nearly_always_does() {
        let mut chance = Chance::new(12);
        let mut of = |mean: f64, wanted: &str| {
            share(600, || {
                let verdict = drawn(PLAN, || (chance.normal(mean, 0.01), Conditions::default()));
                word(&verdict) == wanted
            })
        };
        assert!(of(0.20, "pass") > 0.99);
        assert!(of(0.20, "fail") == 0.0);
        assert!(of(0.24, "fail") > 0.99);
        assert!(of(0.16, "fail") > 0.99);
        assert!(of(0.24, "pass") == 0.0 && of(0.16, "pass") == 0.0);
    }

    /// A window of five periods of a container whose quota is `quota`. In each period others leave it a random part of
    /// the time up to `left`; it is throttled where that is more than its quota.
    fn starved(chance: &mut Chance, quota: f64, left: f64) -> (f64, Conditions) {
        let mut b = Bandwidth {
            period: 0.1,
            quota: quota * 0.1,
            periods: 5,
            ..Bandwidth::default()
        };
        let mut usage = 0.0;
        for _ in 0..5 {
            let most = chance.uniform() * left;
            let used = quota.min(most) * 0.1 + chance.normal(0.0, 0.0005);
            usage += used;
            if most >= quota {
                b.throttled += 1;
                b.limited.periods += 1;
                b.limited.time += 0.1;
                b.limited.usage += used;
            } else {
                b.open.periods += 1;
                b.open.time += 0.1;
                b.open.pressure = Some(b.open.pressure.unwrap_or(0.0) + 0.1);
            }
        }
        let conditions = Conditions {
            t1: 500.0,
            usage: Some(usage),
            aligned: true,
            bandwidth: Some(b),
            steal: Some(0.0),
            busy: Some(1.0),
            ..Conditions::default()
        };
        (usage / 0.5, conditions)
    }

    #[test]
    fn a_container_that_others_starve_is_never_blamed_for_too_little() {
        let mut chance = Chance::new(13);
        for left in [0.05, 0.19, 0.25, 0.4, 1.0] {
            let fails = share(300, || {
                let verdict = drawn(PLAN, || starved(&mut chance, 0.2, left));
                word(&verdict) == "fail"
            });
            assert!(fails == 0.0, "{left}: {fails}");
        }
        let Verdict::Inconclusive { more, .. } = drawn(PLAN, || starved(&mut chance, 0.2, 0.19)) else {
            panic!("nothing was ever limited");
        };
        assert!(
            more.starts_with("no number of samples decides") && more.contains("in 0 of 120 periods, others used"),
            "{more}"
        );
        // The quota decides often enough to be known, though the mean is far below it.
        assert_eq!(word(&drawn(PLAN, || starved(&mut chance, 0.2, 0.4))), "pass");
    }

    #[test]
    fn a_wrong_quota_does_not_hide_behind_a_busy_machine() {
        let mut chance = Chance::new(14);
        for (quota, left) in [(0.24, 0.6), (0.24, 1.0), (0.16, 0.6), (0.16, 1.0)] {
            let caught = share(300, || {
                let verdict = drawn(PLAN, || starved(&mut chance, quota, left));
                word(&verdict) == "fail"
            });
            assert!(caught > 0.99, "{quota} {left}: {caught}");
        }
        // Seldom limited, and with a mean within the bounds: neither passed nor blamed.
        let passes = share(300, || {
            let verdict = drawn(PLAN, || starved(&mut chance, 0.28, 0.4));
            word(&verdict) == "pass"
        });
        assert!(passes == 0.0, "{passes}");
    }

    #[test]
    fn between_two_looks_nothing_is_decided_and_what_was_decided_stays() {
        let want: Matcher = serde_json::from_value(json!({"approx": "20%", "rel": "10%"})).unwrap();
        let of = |values: Vec<f64>| {
            let seen = Seen::Samples {
                values,
                unit: "%".into(),
                complete: false,
                plan: Some(PLAN),
                conditions: vec![],
            };
            judge(Statistic::Mean, &want, &seen).unwrap()
        };
        assert_eq!(word(&of(vec![0.2, 0.2, 0.2])), "inconclusive");
        assert_eq!(word(&of(vec![0.2, 0.201, 0.2, 0.199])), "pass");
        assert_eq!(word(&of(vec![0.2, 0.201, 0.2, 0.199, 9.0, 9.0, 9.0])), "pass");
        // The fifth sample is not looked at before the sixth.
        assert_eq!(word(&of(vec![0.1, 0.3, 0.1, 0.3, 9.0])), "inconclusive");
    }
}
