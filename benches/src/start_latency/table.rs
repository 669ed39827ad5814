//! What a measurement says, for people.

use std::fmt::{self, Write};

use statistics::chance::Chance;
use statistics::quantile::{quantile, ratio};

use super::{Measured, Regime, Subject};

/// What else the machine did.
#[derive(Clone, Debug, PartialEq)]
pub struct Weather {
    load: Option<f64>,
    processors: usize,
}

impl Weather {
    /// Now: the load of the last minute (proc_loadavg(5)) and the number of processors.
    #[must_use]
    pub fn now() -> Weather {
        let load = fs_err::read_to_string("/proc/loadavg").ok();
        Weather {
            load: load.and_then(|text| text.split(' ').next()?.parse().ok()),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

impl fmt::Display for Weather {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(load) = self.load else {
            return write!(out, "load unknown");
        };
        // The measurement itself keeps one processor busy.
        let word = if load <= 1.0 { "quiet" } else { "NOT quiet" };
        write!(out, "load {load:.2} on {} processors: {word}", self.processors)
    }
}

/// Fewer pairs decide nothing.
const FEWEST: usize = 10;

/// What a ratio is held against: subject, reference, quantile, largest ratio.
pub(crate) const TARGETS: [(Subject, Subject, f64, f64); 5] = [
    (Subject::Bundled, Subject::Floor, 0.5, 2.0),
    (Subject::Bundled, Subject::Crun, 0.5, 0.4),
    (Subject::Bundled, Subject::Runc, 0.5, 0.15),
    (Subject::Bundled, Subject::Floor, 0.99, 3.0),
    (Subject::Library, Subject::Floor, 0.5, 1.3),
];

fn milliseconds(measured: &Measured, regime: Regime, subject: Subject) -> Vec<f64> {
    let durations = measured.of(regime, subject);
    durations.iter().map(|took| took.as_secs_f64() * 1e3).collect()
}

/// The table: every subject's p50 and p99, and the ratios against the targets of the design with 95 % intervals.
///
/// A target is *met* or *missed* when the whole interval is on one side of it, else, or from less than 10 pairs, *open*.
#[must_use]
pub fn table(measured: &Measured, before: &Weather, after: &Weather) -> String {
    let mut out = String::new();
    let mut chance = Chance::new(2);
    for regime in Regime::ALL {
        let floor = quantile(&milliseconds(measured, regime, Subject::Floor), 0.5);
        let _ = writeln!(
            out,
            "\nstart latency, {}\n{:>10} {:>7} {:>9} {:>9} {:>7}",
            regime.name(),
            "subject",
            "starts",
            "p50 ms",
            "p99 ms",
            "x L5"
        );
        for subject in Subject::ALL {
            let took = milliseconds(measured, regime, subject);
            let (Some(middle), Some(late)) = (quantile(&took, 0.5), quantile(&took, 0.99)) else {
                continue;
            };
            let times = floor.map_or(f64::NAN, |floor| middle / floor);
            let _ = writeln!(
                out,
                "{:>10} {:>7} {middle:>9.3} {late:>9.3} {times:>7.2}",
                subject.name(),
                took.len()
            );
        }
        let _ = writeln!(
            out,
            "{:>21} {:>7} {:>17} {:>8}",
            "ratio", "found", "95 % interval", "target"
        );
        for (subject, reference, share, target) in TARGETS {
            let [ours, theirs] = [subject, reference].map(|subject| milliseconds(measured, regime, subject));
            let name = format!("p{:.0} {}/{}", share * 100.0, subject.name(), reference.name());
            let Some(found) = ratio(&ours, &theirs, share, &mut chance) else {
                let _ = writeln!(out, "{name:>21} not measured");
                continue;
            };
            let interval = format!("{:.3} .. {:.3}", found.low, found.high);
            let verdict = match () {
                () if ours.len() < FEWEST => "open",
                () if found.high <= target => "met",
                () if found.low > target => "missed",
                () => "open",
            };
            let _ = writeln!(
                out,
                "{name:>21} {:>7.3} {interval:>17} {target:>8} {verdict}",
                found.value
            );
        }
    }
    for reason in &measured.skipped {
        let _ = writeln!(out, "skipped: {reason}");
    }
    let _ = writeln!(out, "before: {before}\nafter: {after}");
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn measured(bundled: u64, rounds: usize) -> Measured {
        let mut measured = Measured::default();
        for _ in 0..rounds {
            for (subject, took) in [
                (Subject::Floor, 1000),
                (Subject::Bundled, bundled),
                (Subject::Crun, 10_000),
            ] {
                let sample = (Regime::BackToBack, subject, Duration::from_micros(took));
                measured.samples.push(sample);
            }
        }
        measured
    }

    fn verdicts(bundled: u64, rounds: usize) -> String {
        let weather = Weather {
            load: Some(0.5),
            processors: 2,
        };
        table(&measured(bundled, rounds), &weather, &weather)
    }

    #[test]
    fn targets_are_met_missed_or_not_measured() {
        let text = verdicts(1900, 20);
        assert!(
            text.contains("p50 bundled/L5   1.900    1.900 .. 1.900        2 met"),
            "{text}"
        );
        assert!(
            text.contains("p50 bundled/crun   0.190    0.190 .. 0.190      0.4 met"),
            "{text}"
        );
        assert!(text.contains("p50 bundled/runc not measured"), "{text}");
        let text = verdicts(5000, 20);
        assert!(
            text.contains("p50 bundled/L5   5.000    5.000 .. 5.000        2 missed"),
            "{text}"
        );
        assert!(
            text.contains("p50 bundled/crun   0.500    0.500 .. 0.500      0.4 missed"),
            "{text}"
        );
    }

    #[test]
    fn one_round_decides_nothing() {
        let text = verdicts(1900, 1);
        assert!(text.contains("0.4 open"), "{text}");
        assert!(!text.contains("met") && !text.contains("missed"), "{text}");
    }

    #[test]
    fn a_load_of_more_than_one_is_not_quiet() {
        let weather = |load| Weather {
            load: Some(load),
            processors: 2,
        };
        assert!(weather(1.0).to_string().ends_with(": quiet"));
        assert!(weather(1.1).to_string().ends_with(": NOT quiet"));
    }
}
