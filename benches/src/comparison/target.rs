//! What the bundled parts are to reach, and whether they do.

use std::fmt::Write;

use statistics::Estimate;

use super::page::figure;

/// A bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aim {
    /// No more.
    AtMost(f64),
    /// No less.
    AtLeast(f64),
    /// From one to the other.
    Within(f64, f64),
}

impl Aim {
    /// *met* and *missed* if the whole interval is on one side, else *open*.
    fn verdict(self, seen: &Estimate) -> &'static str {
        let (met, missed) = match self {
            Aim::AtMost(bound) => (seen.high <= bound, seen.low > bound),
            Aim::AtLeast(bound) => (seen.low >= bound, seen.high < bound),
            Aim::Within(least, most) => (
                seen.low >= least && seen.high <= most,
                seen.high < least || seen.low > most,
            ),
        };
        match (met, missed) {
            (true, _) => "met",
            (_, true) => "**missed**",
            _ => "open",
        }
    }
}

/// A line of the table.
#[derive(Debug)]
pub struct Target {
    /// What is held against what.
    pub what: String,
    /// What was seen, or why it was not.
    pub seen: Result<Estimate, String>,
    /// What it is counted in; empty for ratios.
    pub unit: &'static str,
    /// What it is to be.
    pub aim: Aim,
}

/// The table, as Markdown.
#[must_use]
pub fn table(targets: &[Target]) -> String {
    let mut out = String::from("| | seen | to be | |\n|---|---|---|---|\n");
    for target in targets {
        let unit = match target.unit {
            "" => String::new(),
            unit => format!(" {unit}"),
        };
        let aim = match target.aim {
            Aim::AtMost(bound) => format!("≤ {bound}{unit}"),
            Aim::AtLeast(bound) => format!("≥ {bound}{unit}"),
            Aim::Within(least, most) => format!("{least} to {most}{unit}"),
        };
        let (seen, verdict) = match &target.seen {
            Ok(seen) => (
                format!(
                    "{}{unit} [{}, {}]",
                    figure(seen.value),
                    figure(seen.low),
                    figure(seen.high)
                ),
                target.aim.verdict(seen),
            ),
            Err(reason) => (reason.clone(), "not measured"),
        };
        let _ = writeln!(out, "| {} | {seen} | {aim} | {verdict} |", target.what);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_missed_or_open() {
        let seen = |low, value, high| Estimate { value, low, high };
        let verdict = |seen, aim| {
            let target = Target {
                what: "start".into(),
                seen,
                unit: "ms",
                aim,
            };
            table(&[target])
        };
        let near = Aim::AtMost(2.0);
        assert!(verdict(Ok(seen(1.0, 1.5, 1.9)), near).contains("| start | 1.50 ms [1.00, 1.90] | ≤ 2 ms | met |"));
        assert!(verdict(Ok(seen(1.0, 1.5, 2.1)), near).ends_with("| open |\n"));
        assert!(verdict(Ok(seen(2.1, 2.5, 3.1)), near).ends_with("| **missed** |\n"));
        assert!(verdict(Ok(seen(2.1, 2.5, 3.1)), Aim::AtLeast(2.0)).ends_with("| met |\n"));
        let between = Aim::Within(0.95, 1.05);
        assert!(verdict(Ok(seen(0.96, 1.0, 1.04)), between).ends_with("| met |\n"));
        assert!(verdict(Ok(seen(0.9, 1.0, 1.04)), between).ends_with("| open |\n"));
        assert!(verdict(Ok(seen(1.1, 1.6, 2.0)), between).ends_with("| **missed** |\n"));
        assert!(verdict(Ok(seen(0.5, 0.6, 0.7)), between).ends_with("| **missed** |\n"));
        assert!(verdict(Err("no crun".into()), near).contains("| no crun | ≤ 2 ms | not measured |"));
    }
}
