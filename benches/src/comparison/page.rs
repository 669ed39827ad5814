//! What was compared, as Markdown.

use std::fmt::Write;

use statistics::Estimate;
use statistics::chance::Chance;
use statistics::quantile::{interval, quantile, ratio};

use super::{Contender, Measure, Measured};

/// The tables: versions, each measure of each contender with a ratio to the bundled runtime, and where that one loses.
///
/// Ratios are of medians, with the 95 % interval of the bootstrap over rounds; a contender that was not measured in all
/// rounds has none.
#[must_use]
pub fn page(measured: &Measured) -> String {
    let mut out = String::from("| | version |\n|---|---|\n");
    for (who, version) in &measured.versions {
        let _ = writeln!(out, "| {} | {version} |", who.name());
    }
    let mut chance = Chance::new(1);
    let mut lost = Vec::new();
    for measure in Measure::ALL {
        let _ = writeln!(out, "\n### {}\n", heading(measure));
        let unit = measure.unit();
        let reference = measured.reference(measure);
        let ours = reference.as_ref().map_or(&[][..], |(_, samples)| samples);
        let _ = writeln!(
            out,
            "| | rounds | p50, {unit} | p90, {unit} | times {} | |\n|---|---|---|---|---|---|",
            reference.as_ref().map_or("", |(name, _)| name)
        );
        for who in Contender::ALL {
            let samples = measured.of(measure, who);
            let Some(row) = row(samples) else { continue };
            let beside = match who {
                Contender::Bundled => None,
                // Of nothing there is no multiple.
                _ if ours.contains(&0.0) || samples.contains(&0.0) => None,
                _ => ratio(samples, ours, 0.5, &mut chance),
            };
            let nothing = || match samples.iter().sum::<f64>() > ours.iter().sum::<f64>() {
                true if who != Contender::Bundled => (String::new(), "ours has none"),
                _ => (String::new(), ""),
            };
            let (times, verdict) = beside.as_ref().map_or_else(nothing, |beside| {
                (
                    format!("{:.2} [{:.2}, {:.2}]", beside.value, beside.low, beside.high),
                    match measure {
                        Measure::Throughput => "",
                        _ => verdict(measure, beside),
                    },
                )
            });
            if verdict == BETTER {
                lost.push(format!("{} of {}", measure.name(), who.name()));
            }
            let _ = writeln!(
                out,
                "| {} | {} | {row} | {times} | {verdict} |",
                who.name(),
                samples.len()
            );
        }
        if let Some((name, samples)) = reference.filter(|_| measure == Measure::Throughput)
            && let Some(row) = row(samples)
        {
            let _ = writeln!(out, "| {name} | {} | {row} | | |", samples.len());
        }
        let commands: Vec<_> = measured.commands.iter().filter(|((of, _), _)| *of == measure).collect();
        if !commands.is_empty() {
            let _ = writeln!(out, "\n```");
            for ((_, _), command) in commands {
                let _ = writeln!(out, "{command}");
            }
            let _ = writeln!(out, "```");
        }
    }
    let _ = writeln!(out, "\n### Where the bundled runtime loses\n");
    match lost.is_empty() {
        true => out.push_str("Nowhere in these tables.\n"),
        false => {
            let _ = writeln!(out, "{}.", lost.join(", "));
        }
    }
    for (who, size) in &measured.daemons {
        let _ = writeln!(
            out,
            "\nBefore there is a container the daemons of {} have {:.1} MiB.",
            who.name(),
            size / 1024.0
        );
    }
    for reason in &measured.skipped {
        let _ = writeln!(out, "\nNot measured: {reason}.");
    }
    out
}

const BETTER: &str = "**better than ours**";

fn heading(measure: Measure) -> &'static str {
    match measure {
        Measure::Run => "A container that ends at once, from the call to its end",
        Measure::Start => "A container that stays: until the call has ended",
        Measure::Exec => "A process in it",
        Measure::Teardown => "From the call that ends it until its control groups and network namespace are gone",
        Measure::Memory => "Memory of all processes that are there because of it",
        Measure::Supervisor => "The same without the container's own process",
        Measure::Rate => "Containers a second, eight callers at once",
        Measure::Throughput => "One TCP connection between two containers in the network that an engine gives them",
    }
}

fn row(samples: &[f64]) -> Option<String> {
    let (middle, late) = (quantile(samples, 0.5)?, quantile(samples, 0.9)?);
    let within = interval(samples, 0.5, 0.95).map_or(String::new(), |found| {
        format!(" [{}, {}]", figure(found.low), figure(found.high))
    });
    Some(format!("{}{within} | {}", figure(middle), figure(late)))
}

/// Three digits that say something, or "open" for an end that too few samples leave open.
pub(super) fn figure(value: f64) -> String {
    match value {
        _ if !value.is_finite() => "open".into(),
        _ if value == 0.0 => "0".into(),
        _ if value.abs() >= 100.0 => format!("{value:.0}"),
        _ if value.abs() >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn verdict(measure: Measure, beside: &Estimate) -> &'static str {
    let (more, less) = (beside.low > 1.0, beside.high < 1.0);
    match (more, less, measure.is_rate()) {
        (true, _, false) | (_, true, true) => "ours is better",
        (_, true, false) | (true, _, true) => BETTER,
        _ => "no difference seen",
    }
}

impl Measured {
    /// The values of a measure, one a round.
    #[must_use]
    pub fn of(&self, measure: Measure, who: Contender) -> &[f64] {
        self.samples.get(&(measure, who)).map_or(&[], Vec::as_slice)
    }

    /// What the others are held against. Runtimes give no network: engines are held against a pair of interfaces with nothing
    /// on it.
    fn reference(&self, measure: Measure) -> Option<(&'static str, &[f64])> {
        let (name, samples) = match measure {
            Measure::Throughput => ("a bare veth pair", self.floor("L11")),
            _ => (Contender::Bundled.name(), self.of(measure, Contender::Bundled)),
        };
        (!samples.is_empty()).then_some((name, samples))
    }

    /// The values of a floor, one a round.
    #[must_use]
    pub fn floor(&self, name: &str) -> &[f64] {
        self.floors.get(name).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_quicker_is_told_and_a_rate_is_the_other_way_round() {
        let mut measured = Measured::default();
        for round in 0..20 {
            let noise = f64::from(round % 3) * 0.01;
            for (measure, who, value) in [
                (Measure::Run, Contender::Bundled, 2.0),
                (Measure::Run, Contender::Runc, 20.0),
                (Measure::Exec, Contender::Bundled, 2.0),
                (Measure::Exec, Contender::Crun, 1.0),
                (Measure::Rate, Contender::Bundled, 400.0),
                (Measure::Rate, Contender::Crun, 100.0),
            ] {
                let samples = measured.samples.entry((measure, who)).or_default();
                samples.push(value + noise);
            }
        }
        let text = page(&measured);
        assert!(
            text.contains("| runc | 20 | 20.0 [20.0, 20.0] | 20.0 | 9.96 ["),
            "{text}"
        );
        assert!(text.contains("| ours is better |"), "{text}");
        assert!(text.contains("\nexec of crun.\n"), "{text}");
    }
}
