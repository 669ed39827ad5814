//! The figures, as Markdown.

use std::fmt::Write as _;
use std::time::Duration;

use statistics::proportion::clopper_pearson;
use statistics::quantile::quantile;

use super::{Counted, Plant, Recording, Scenario};

/// A question with its answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What was asked.
    pub scenario: Scenario,
    /// Runs from recorded rounds.
    pub replayed: Counted,
    /// Live runs.
    pub live: Counted,
}

/// The table and what it rests on.
#[must_use]
pub fn table(recordings: &[Recording], rows: &[Row]) -> String {
    let mut text =
        String::from("| what | must be | in runs from recorded rounds | in live runs |\n|---|---|---|---|\n");
    for row in rows {
        let Scenario {
            plant,
            budget,
            rules,
            must,
            ..
        } = row.scenario;
        let (what, bound) = match plant {
            Plant::Nothing => ("identical code called regressed".to_owned(), "≤"),
            slow => (format!("+{} % called regressed", slow.delay() * 100.0), "≥"),
        };
        let _ = writeln!(
            text,
            "| {what}, {} % tolerated, at most {} | {bound} {} % | {} | {} |",
            rules.tolerated * 100.0,
            seconds(budget.as_secs_f64()),
            must * 100.0,
            cell(&row.replayed),
            cell(&row.live)
        );
    }
    text.push_str(
        "\nIntervals are those of Clopper and Pearson at 95 %. Runs from recorded rounds know only what these met.\n",
    );
    if !recordings.is_empty() {
        text.push_str(
            "\n| recorded | rounds | minutes | start, p50 | a pair's log-ratio, half within | kernel, CPU |\n",
        );
        text.push_str("|---|---|---|---|---|---|\n");
    }
    for recording in recordings {
        let starts: Vec<f64> = recording
            .rounds
            .iter()
            .filter_map(|round| Some(round.took.first()?.as_secs_f64() * 1e3))
            .collect();
        let around: Vec<f64> = recording
            .rounds(Plant::Nothing)
            .iter()
            .map(|round| round.row.abs())
            .collect();
        let minutes = recording
            .rounds
            .last()
            .map_or(Duration::ZERO, |round| round.ended)
            .as_secs_f64()
            / 60.0;
        let _ = writeln!(
            text,
            "| {} | {} | {minutes:.1} | {:.2} ms | ±{:.1} % | {}, {} × {} |",
            recording.started,
            recording.rounds.len(),
            quantile(&starts, 0.5).unwrap_or_default(),
            quantile(&around, 0.5).unwrap_or_default() * 100.0,
            recording.host["kernel"].as_str().unwrap_or("?"),
            recording.host["cpus"],
            recording.host["cpu"].as_str().unwrap_or("?"),
        );
    }
    text
}

fn seconds(time: f64) -> String {
    if time >= 120.0 {
        format!("{} min", (time / 6.0).round() / 10.0)
    } else {
        format!("{} s", (time * 10.0).round() / 10.0)
    }
}

fn cell(counted: &Counted) -> String {
    let n = counted.all();
    let Some(rate) = clopper_pearson(counted.regressed, n, 0.95) else {
        return "not run".into();
    };
    let [value, low, high] = [rate.value, rate.low, rate.high].map(|share| share * 100.0);
    let mut text = format!("{}/{n} = {value:.1} % [{low:.2}, {high:.2}]", counted.regressed);
    let _ = write!(text, "; passed {}, open {}", counted.pass, counted.inconclusive);
    for (count, what) in [
        (counted.cried, "A/A arm not quiet"),
        (counted.slept, "own plant not caught"),
    ] {
        if count > 0 {
            let _ = write!(text, "; {what} {count}");
        }
    }
    if let (Some(middle), Some(late)) = (quantile(&counted.took, 0.5), quantile(&counted.took, 0.95)) {
        let _ = write!(text, "; after {} (p50), {} (p95)", seconds(middle), seconds(late));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate_eval::Budgets;

    #[test]
    fn a_row_has_rates_with_intervals() {
        let budgets = Budgets {
            short: Duration::from_secs(60),
            long: Duration::from_secs(300),
        };
        let scenarios = Scenario::all(&budgets);
        let row = |scenario| Row {
            scenario,
            replayed: Counted {
                regressed: 0,
                pass: 298,
                inconclusive: 1,
                cried: 1,
                slept: 0,
                took: vec![12.0; 299],
            },
            live: Counted::default(),
        };
        let text = table(&[], &scenarios.map(row));
        assert!(
            text.contains(
                "| identical code called regressed, 2 % tolerated, at most 60 s | ≤ 1 % | 0/299 = 0.0 % [0.00, 1.23]; \
                 passed 298, open 1; A/A arm not quiet 1; after 12 s (p50), 12 s (p95) | not run |"
            ),
            "{text}"
        );
        assert!(
            text.contains("| +2 % called regressed, 0.5 % tolerated, at most 5 min | ≥ 80 % |"),
            "{text}"
        );
    }
}
