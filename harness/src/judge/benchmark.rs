//! Thresholds of a benchmark: what the samples of a case say about each, and the figures that reports show.
//!
//! A figure is accepted if the whole interval around it is, not accepted if none of it is, and else the samples do not
//! decide. A sample that failed, or of which the probe does not attest that it was isolated, counts as the slowest of all: what
//! fails never makes a subject faster.

mod floors;
pub(crate) mod gate;
mod spread;

use std::collections::BTreeMap;

use record::bench::{Baseline, BaselineCase, Figures, Sample, Setting};
use record::{Event, Host, SubjectInfo, Verdict};
use spec::benchmark::{CONFIDENCE, Figure, Likeness, Load, Measure, Metric, OfFloor, Regression, Threshold};
use spec::quantity::Bound;

use self::floors::Floors;
use self::spread::{Interval, Spread, ratio};
use super::Judged;
use crate::plan::{Case, Measured};

/// Fewer samples decide nothing, unless the spec asks for fewer.
const FEWEST: usize = 10;

/// Figures that are shown of every measure.
const SHOWN: [&str; 3] = ["p50", "p90", "p99"];

/// What is known of a case.
struct Known<'e> {
    measured: &'e Measured,
    /// The samples that count.
    samples: Vec<&'e Sample>,
    setting: Option<&'e Setting>,
    baseline: Option<&'e Baseline>,
    /// The samples of the healthy case beside which a slowdown is planted.
    healthy: Option<Vec<&'e Sample>>,
    /// Why there are no samples.
    ended: Option<Verdict>,
    host: Option<(&'e Host, &'e [SubjectInfo])>,
    subject: &'e str,
    /// What the kernel itself took in the same rounds.
    floors: Floors<'e>,
}

/// The final verdicts of a case, from the events that carry its id and that of the healthy case beside it.
pub(super) fn case(case: &Case, measured: &Measured, events: &[Event]) -> Vec<Judged> {
    let known = Known::of(case, measured, events);
    let of = |threshold: &Threshold| Judged {
        check: threshold.id.value.clone(),
        verdict: match &known.ended {
            Some(verdict) if known.samples.is_empty() => verdict.clone(),
            _ => known.judge(threshold),
        },
        looks: known.samples.len() as u64,
        // Of samples that all failed there is nothing to look at but that they failed.
        absent: !matches!(threshold.about(), Some(Metric::Failures))
            && known.samples.iter().all(|sample| failure(sample).is_some()),
    };
    let thresholds = measured.benchmark.thresholds.iter();
    // The reference is there for the others; nobody asks what is accepted of it.
    let is_reference = measured.gate.as_ref().is_some_and(|gate| gate.reference.is_none());
    let mut judged: Vec<Judged> = thresholds
        .filter(|_| !is_reference)
        .map(|threshold| of(threshold))
        .collect();
    judged.extend(gate::verdicts(&known, &case.header.id, events));
    judged
}

/// The figures of a case; `None` without samples.
pub(super) fn figures(case: &Case, measured: &Measured, events: &[Event]) -> Option<Event> {
    let known = Known::of(case, measured, events);
    if known.samples.is_empty() {
        return None;
    }
    let floors = &known.floors;
    let measures = measured.benchmark.measure.iter().map(|(name, measure)| {
        let values = values(&known.samples, measure);
        let shown = Figure::ALL.iter().filter(|(name, _)| SHOWN.contains(name));
        record::bench::Measured {
            name: name.clone(),
            unit: unit(measure).into(),
            samples: known.samples.iter().map(|sample| value(sample, measure)).collect(),
            figures: shown
                .filter_map(|(name, figure)| {
                    let found = Spread::of(*figure, &values)?.interval(CONFIDENCE);
                    Some(figure_of(name, found))
                })
                .collect(),
            ratio: floors.ratio(measure, &values),
        }
    });
    let failures = known.failures();
    Some(Event::Figures(Box::new(Figures {
        case: case.header.id.clone(),
        samples: known.samples.len() as u64,
        failures: failures.len() as u64,
        rounds: known.samples.iter().map(|sample| sample.round).collect(),
        measures: measures.collect(),
        floors: floors.figures(),
        notes: known.notes(&failures).into_iter().chain(floors.notes()).collect(),
    })))
}

/// A figure as the record keeps it.
fn figure_of(name: &str, found: Interval) -> record::bench::Figure {
    let finite = |end: f64| end.is_finite().then_some(end);
    record::bench::Figure {
        name: name.into(),
        value: finite(found.value),
        low: finite(found.low),
        high: finite(found.high),
    }
}

/// Samples by measure, as a baseline keeps them.
pub fn samples_of(case: &Case, events: &[Event]) -> BTreeMap<String, Vec<Option<f64>>> {
    let Some(measured) = &case.measured else {
        return BTreeMap::new();
    };
    let samples = samples(&case.header.id, events);
    let of = |measure: &Measure| samples.iter().map(|sample| value(sample, measure)).collect();
    let measures = measured.benchmark.measure.iter();
    measures.map(|(name, measure)| (name.clone(), of(measure))).collect()
}

/// The samples of a case that count.
fn samples<'e>(case: &str, events: &'e [Event]) -> Vec<&'e Sample> {
    let of = |event: &'e Event| match event {
        Event::Sample(sample) if sample.case == case && !sample.warmup && sample.arm.is_none() => Some(sample.as_ref()),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

/// Why a sample counts as failed.
fn failure(sample: &Sample) -> Option<String> {
    if let Some(failure) = &sample.failure {
        return Some(failure.clone());
    }
    let shared = sample.isolation.as_ref().map(|isolation| isolation.shared.as_slice());
    match shared {
        Some(shared) if !shared.is_empty() => Some(format!(
            "not isolated: its {} namespace is the host's",
            shared.join(", ")
        )),
        _ => None,
    }
}

/// What a measure of a sample is: milliseconds, or a rate; `None` if it failed.
fn value(sample: &Sample, measure: &Measure) -> Option<f64> {
    if failure(sample).is_some() {
        return None;
    }
    match (&measure.from, &measure.to, &measure.rate) {
        (Some(from), Some(to), _) => {
            let at = |name: &str| sample.points.get(name);
            Some(at(to.value.name())? - at(from.value.name())?)
        }
        (_, _, Some(rate)) => sample.rates.get(rate.value.name()).copied(),
        _ => sample.sizes.get(measure.size.as_ref()?.value.name()).copied(),
    }
}

/// As [`value`], with the worst that there is for what failed.
fn values(samples: &[&Sample], measure: &Measure) -> Vec<f64> {
    let worst = worst(measure);
    samples
        .iter()
        .map(|sample| value(sample, measure).unwrap_or(worst))
        .collect()
}

fn worst(measure: &Measure) -> f64 {
    if measure.rate.is_some() { 0.0 } else { f64::INFINITY }
}

fn unit(measure: &Measure) -> &'static str {
    match measure.rate.as_ref().map(|rate| rate.value) {
        None if measure.size.is_some() => "KiB",
        None => "ms",
        Some(rate) => rate.unit(),
    }
}

/// A number with as many digits as mean something.
fn number(number: f64) -> String {
    match number {
        n if !n.is_finite() => "failed".into(),
        n if n.abs() >= 1000.0 => format!("{n:.0}"),
        n if n.abs() >= 10.0 => format!("{n:.1}"),
        n => format!("{n:.3}"),
    }
}

fn shown(found: Interval, unit: &str) -> String {
    format!(
        "{} {unit} [{}, {}]",
        number(found.value),
        number(found.low),
        number(found.high)
    )
}

/// A change in words: `4.2% slower`.
fn change(slowdown: f64) -> String {
    if slowdown >= 1.0 {
        format!("{:.1}% worse", (slowdown - 1.0) * 100.0)
    } else {
        format!("{:.1}% better", (1.0 - slowdown) * 100.0)
    }
}

impl<'e> Known<'e> {
    fn of(case: &'e Case, measured: &'e Measured, events: &'e [Event]) -> Self {
        let id = case.header.id.as_str();
        let mut known = Self {
            measured,
            samples: samples(id, events),
            setting: None,
            baseline: None,
            healthy: measured.healthy.as_ref().map(|healthy| samples(healthy, events)),
            ended: None,
            host: None,
            subject: &case.header.subject,
            floors: Floors::of(&case.header.test, events),
        };
        for event in events {
            match event {
                Event::Run { host, subjects, .. } => known.host = Some((host, subjects.as_slice())),
                Event::Setting(setting) if setting.case == id => known.setting = Some(setting),
                Event::Baseline(baseline) if baseline.case == id => known.baseline = Some(baseline),
                Event::Unmet {
                    case,
                    requirement,
                    seen,
                    fault,
                    ..
                } if case == id => {
                    known.ended = Some(if *fault {
                        Verdict::Error {
                            message: format!("nobody can tell whether {requirement} holds: {seen}"),
                        }
                    } else {
                        Verdict::Skip {
                            requirement: requirement.clone(),
                            seen: seen.clone(),
                            after_step: false,
                        }
                    });
                }
                Event::Broken {
                    case, subject, message, ..
                } if case == id => {
                    let is_reference = measured.gate.as_ref().is_some_and(|gate| gate.reference.is_none());
                    known.ended = Some(if *subject && !is_reference {
                        Verdict::Fail {
                            want: "something that can be measured".into(),
                            got: message.clone(),
                            because: None,
                        }
                    } else {
                        Verdict::Error {
                            message: message.clone(),
                        }
                    });
                }
                _ => {}
            }
        }
        known
    }

    fn failures(&self) -> Vec<String> {
        self.samples.iter().filter_map(|sample| failure(sample)).collect()
    }

    /// What the figures do not say themselves.
    fn notes(&self, failures: &[String]) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(first) = failures.first() {
            notes.push(format!(
                "{} of {} failed, the first: {first}",
                failures.len(),
                self.samples.len()
            ));
        }
        let sampling = &self.measured.benchmark.sampling;
        let wanted = sampling.samples as usize * sampling.arrival.of_a_round() as usize;
        // A gate ends when it has decided.
        if self.samples.len() < wanted && self.measured.gate.is_none() {
            notes.push(format!("cut short: {} of {wanted} samples", self.samples.len()));
        }
        let conditions: Vec<_> = self.samples.iter().map(|sample| &sample.conditions).collect();
        let seconds: f64 = conditions.iter().map(|conditions| conditions.seconds()).sum();
        let stolen: f64 = conditions.iter().filter_map(|conditions| conditions.steal).sum();
        let waited: f64 = conditions
            .iter()
            .filter_map(|conditions| Some(conditions.pressure?.some))
            .sum();
        for (what, time) in [
            ("the hypervisor took", stolen),
            ("some task waited for a CPU for", waited),
        ] {
            // Less than this is in every measurement.
            if seconds > 0.0 && time / seconds > 0.02 {
                notes.push(format!(
                    "{what} {:.0}% of the time of the samples",
                    time / seconds * 100.0
                ));
            }
        }
        let is_of_measuring = self.measured.gate.as_ref().is_some_and(|gate| gate.against.bare);
        let busy: Vec<f64> = self.samples.iter().filter_map(|sample| sample.busy).collect();
        if let Some(busy) = Spread::of(Figure::Quantile(50), &busy).filter(|_| is_of_measuring) {
            notes.push(format!(
                "of each start the harness took {} ms (median) between `created` and `start`, which figures of other runs leave out",
                number(busy.interval(CONFIDENCE).value)
            ));
        }
        notes.extend(self.setting.iter().flat_map(|setting| setting.warnings.iter().cloned()));
        notes
    }

    fn judge(&self, threshold: &Threshold) -> Verdict {
        let error = |message: &str| Verdict::Error {
            message: message.to_owned(),
        };
        if self.samples.is_empty() {
            return error("not one sample was taken");
        }
        let least = FEWEST.min(self.measured.benchmark.sampling.samples as usize);
        if self.samples.len() < least {
            return self.open(
                [f64::MIN, f64::MAX],
                format!("at least {least} samples; the time was up before"),
            );
        }
        match threshold.about() {
            Some(Metric::Failures) => self.of_failures(threshold),
            Some(Metric::Of(name, figure)) => match self.measured.benchmark.measure.get(name) {
                Some(measure) => self.of_measure(threshold, name, measure, figure),
                None => error("nothing is measured by this name"),
            },
            None => error("this is no metric"),
        }
    }

    fn open(&self, interval: [f64; 2], more: String) -> Verdict {
        let end = |end: f64| end.clamp(f64::MIN, f64::MAX);
        Verdict::Inconclusive {
            n: self.samples.len() as u64,
            interval: interval.map(end),
            more,
        }
    }

    /// The share of failures is what it is: no interval, because one that failed did fail.
    fn of_failures(&self, threshold: &Threshold) -> Verdict {
        let failures = self.failures();
        let share = failures.len() as f64 / self.samples.len() as f64;
        let got = match failures.first() {
            None => format!("0 of {} failed", self.samples.len()),
            Some(first) => format!(
                "{} of {} failed, the first: {first}",
                failures.len(),
                self.samples.len()
            ),
        };
        let share_of = |bound: Option<Bound>| match bound {
            Some(Bound::Percent(share)) => Some(share.share()),
            _ => None,
        };
        let is_too_many = share_of(threshold.max).is_some_and(|max| share > max);
        let is_too_few = share_of(threshold.min).is_some_and(|min| share < min);
        if is_too_many || is_too_few {
            Verdict::Fail {
                want: wanted(threshold),
                got,
                because: None,
            }
        } else {
            Verdict::Pass { seen: got }
        }
    }

    fn of_measure(&self, threshold: &Threshold, name: &str, measure: &Measure, figure: Figure) -> Verdict {
        let values = values(&self.samples, measure);
        let Some(spread) = Spread::of(figure, &values) else {
            return Verdict::Error {
                message: "not one sample was taken".into(),
            };
        };
        let mut verdicts = Vec::new();
        if threshold.max.is_some() || threshold.min.is_some() {
            verdicts.push(self.absolute(threshold, measure, &spread));
        }
        if let Some(bounds) = threshold.of_floor {
            verdicts.push(self.of_floor(threshold, bounds, measure, figure, &spread));
        }
        if let Some(regression) = threshold.regression {
            verdicts.push(self.against(threshold, regression, name, measure, figure, &spread));
        }
        // The worst of both speaks for the threshold, and of two passes the last.
        let worst = verdicts.into_iter().max_by_key(Verdict::rank);
        worst.unwrap_or(Verdict::Error {
            message: "the threshold accepts every figure".into(),
        })
    }

    /// Why a debug build is not held against a bound, if that is what was measured.
    fn of_debug(&self) -> Option<Verdict> {
        self.setting
            .is_some_and(|setting| setting.debug)
            .then(|| Verdict::Skip {
                requirement: "a release build".into(),
                seen: "debug build: how fast it is means nothing; build with `--release`".into(),
                after_step: false,
            })
    }

    fn absolute(&self, threshold: &Threshold, measure: &Measure, spread: &Spread) -> Verdict {
        if let Some(verdict) = self.of_debug() {
            return verdict;
        }
        let found = spread.interval(CONFIDENCE);
        let amount = |bound: Option<Bound>| match bound? {
            Bound::Time(time) => Some(time.0.as_secs_f64() * 1e3),
            Bound::Number(number) => Some(number),
            Bound::Percent(_) => None,
        };
        let got = format!("{}: {}", threshold.metric.value, shown(found, unit(measure)));
        self.within(threshold, found, [amount(threshold.min), amount(threshold.max)], &got)
    }

    fn of_floor(
        &self,
        threshold: &Threshold,
        bounds: OfFloor,
        measure: &Measure,
        figure: Figure,
        spread: &Spread,
    ) -> Verdict {
        // Packets are carried by the kernel, whoever made its rules.
        let is_kernels = matches!(self.measured.benchmark.workload.value, Load::Network(_));
        if let Some(verdict) = self.of_debug().filter(|_| !is_kernels) {
            return verdict;
        }
        let Some((floor, found)) = self.floors.multiple(measure, figure, spread) else {
            let why: Vec<String> = self.floors.notes().collect();
            return Verdict::Skip {
                requirement: "a floor in the same rounds".into(),
                seen: match why.is_empty() {
                    true => "none of this measure was taken; `sampling: {floors: …}` names some".into(),
                    false => why.join("; "),
                },
                after_step: false,
            };
        };
        let got = format!(
            "{} / {floor}: {}, {}",
            threshold.metric.value,
            shown(found, "x"),
            shown(spread.interval(CONFIDENCE), unit(measure))
        );
        self.within(threshold, found, [bounds.min, bounds.max], &got)
    }

    /// Whether the whole interval lies between two bounds, or none of it.
    fn within(&self, threshold: &Threshold, found: Interval, [min, max]: [Option<f64>; 2], got: &str) -> Verdict {
        let got = format!("{got}, {} samples", self.samples.len());
        if max.is_some_and(|max| found.low > max) || min.is_some_and(|min| found.high < min) {
            return Verdict::Fail {
                want: wanted(threshold),
                got,
                because: self.failures().first().map(|first| format!("samples failed: {first}")),
            };
        }
        if max.is_none_or(|max| found.high <= max) && min.is_none_or(|min| found.low >= min) {
            return Verdict::Pass { seen: got };
        }
        let bound = max.filter(|max| found.high > *max).or(min).unwrap_or_default();
        let more = format!(
            "{got}; the bound lies within the interval{}",
            enough(self.samples.len(), found, bound)
        );
        self.open([found.low, found.high], more)
    }

    fn against(
        &self,
        threshold: &Threshold,
        regression: Regression,
        name: &str,
        measure: &Measure,
        figure: Figure,
        spread: &Spread,
    ) -> Verdict {
        let (then, whose) = match self.reference(name, measure) {
            Ok(reference) => reference,
            Err(verdict) => return *verdict,
        };
        let least = FEWEST.min(self.measured.benchmark.sampling.samples as usize);
        let Some(before) = Spread::of(figure, &then).filter(|_| then.len() >= least) else {
            let more = format!("at least {least} samples of `{name}` in {whose}; it has {}", then.len());
            return self.open([f64::MIN, f64::MAX], more);
        };
        // More than 1 is worse, of a time and of a rate.
        let slowdown = if measure.rate.is_some() {
            ratio(&before, spread, regression.confidence)
        } else {
            ratio(spread, &before, regression.confidence)
        };
        let bound = 1.0 + regression.rel.share();
        let unit = unit(measure);
        let got = format!(
            "{}: {} [{}, {}], now {}, in {whose} {}",
            threshold.metric.value,
            change(slowdown.value),
            change(slowdown.low),
            change(slowdown.high),
            shown(spread.interval(CONFIDENCE), unit),
            shown(before.interval(CONFIDENCE), unit),
        );
        if slowdown.low > bound {
            Verdict::Fail {
                want: wanted(threshold),
                got,
                because: None,
            }
        } else if slowdown.high <= bound {
            Verdict::Pass { seen: got }
        } else {
            let more = format!(
                "{got}; a slowdown of less than {:.1}% cannot be told from none with as many samples{}",
                (slowdown.high / slowdown.value - 1.0) * 100.0,
                enough(self.samples.len(), slowdown, bound)
            );
            self.open([slowdown.low, slowdown.high], more)
        }
    }

    /// What is compared with, and its name; or what that there is nothing comes to.
    fn reference(&self, name: &str, measure: &Measure) -> Result<(Vec<f64>, String), Box<Verdict>> {
        if let Some(healthy) = &self.healthy {
            return Ok((values(healthy, measure), "the healthy subject".into()));
        }
        let source = self.baseline.map_or("", |baseline| baseline.source.as_str());
        let Some(baseline) = self.baseline.and_then(|baseline| baseline.found.as_ref()) else {
            let missing = self.baseline.map(|baseline| baseline.missing.clone());
            return Err(Box::new(Verdict::Skip {
                requirement: "a baseline".into(),
                seen: missing.unwrap_or_else(|| "none is named; `--baseline` names one".into()),
                after_step: false,
            }));
        };
        let differences = self.differences(baseline);
        if !differences.is_empty() {
            let more = format!("incomparable: {}", differences.join("; "));
            return Err(Box::new(self.open([f64::MIN, f64::MAX], more)));
        }
        let samples = baseline.samples.get(name).map(Vec::as_slice).unwrap_or_default();
        let worst = worst(measure);
        let values = samples.iter().map(|sample| sample.unwrap_or(worst)).collect();
        Ok((values, format!("`{source}`")))
    }

    /// What is not as it was when the baseline was taken, of what the spec asks to be.
    fn differences(&self, baseline: &BaselineCase) -> Vec<String> {
        let asked = self.measured.benchmark.baseline.as_ref();
        let asked = asked
            .map(|baseline| baseline.comparable_when.as_slice())
            .unwrap_or_default();
        let Some((host, subjects)) = self.host else {
            return vec!["the record does not say where it was made".into()];
        };
        let unknown = SubjectInfo::default();
        let subject = subjects
            .iter()
            .find(|subject| subject.name == self.subject)
            .unwrap_or(&unknown);
        let of = |host: &Host, subject: &SubjectInfo, likeness: Likeness| match likeness {
            Likeness::CpuModel => host.cpu.clone(),
            Likeness::Cpus => host.cpus.to_string(),
            Likeness::Memory => host.memory.to_string(),
            Likeness::Machine => host.machine.clone(),
            Likeness::Kernel => host.kernel.clone(),
            Likeness::CgroupVersion => host.cgroup.clone(),
            Likeness::RuntimeBackend => subject.name.clone(),
            Likeness::RuntimeVersion => subject.version.clone(),
            Likeness::RuntimeBuild => subject.build.clone(),
        };
        let mut differences = Vec::new();
        for likeness in asked.iter().map(|likeness| likeness.value) {
            let (now, then) = (
                of(host, subject, likeness),
                of(&baseline.host, &baseline.subject, likeness),
            );
            if now != then {
                differences.push(format!("{} is `{now}`, of the baseline `{then}`", likeness.name()));
            }
        }
        differences
    }
}

fn wanted(threshold: &Threshold) -> String {
    let mut parts = Vec::new();
    parts.extend(threshold.max.map(|max| format!("at most {max}")));
    parts.extend(threshold.min.map(|min| format!("at least {min}")));
    if let Some(OfFloor { max, min }) = threshold.of_floor {
        parts.extend(max.map(|max| format!("at most {max} times its floor")));
        parts.extend(min.map(|min| format!("at least {min} times its floor")));
    }
    if let Some(Regression { rel, confidence }) = threshold.regression {
        parts.push(format!(
            "not more than {rel} worse ({:.0}% confidence)",
            confidence * 100.0
        ));
    }
    format!("{} {}", threshold.metric.value, parts.join(" and "))
}

/// About how many samples would bring the interval to one side of the bound: it narrows with the root of their number.
fn enough(n: usize, found: Interval, bound: f64) -> String {
    let half = if bound > found.value {
        found.high - found.value
    } else {
        found.value - found.low
    };
    let distance = (bound - found.value).abs();
    let factor = (half / distance).powi(2);
    if factor.is_finite() && factor < 1e4 {
        format!("; about {:.0} samples would decide", (n as f64 * factor).ceil())
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests;
