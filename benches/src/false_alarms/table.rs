//! The figures: k of n, with exact bounds.

use statistics::proportion::{lower, upper};

/// Of one side of a bound.
const CONFIDENCE: f64 = 0.95;

/// How many runs ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Passed.
    pub pass: u64,
    /// Failed.
    pub fail: u64,
    /// Not decided.
    pub inconclusive: u64,
    /// Anything else: not measured, not looked at.
    pub other: u64,
}

impl Count {
    /// Counts one verdict.
    pub fn add(&mut self, verdict: &record::Verdict) {
        *match verdict.word() {
            "pass" => &mut self.pass,
            "fail" => &mut self.fail,
            "inconclusive" => &mut self.inconclusive,
            _ => &mut self.other,
        } += 1;
    }

    /// Counts another's runs, too.
    pub fn merge(&mut self, other: Self) {
        self.pass += other.pass;
        self.fail += other.fail;
        self.inconclusive += other.inconclusive;
        self.other += other.other;
    }

    fn all(self) -> u64 {
        self.pass + self.fail + self.inconclusive + self.other
    }
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// Nothing was wrong: a failure is a false alarm.
    pub healthy: bool,
    /// Real runs.
    pub runs: Count,
    /// Resampled runs.
    pub resampled: Count,
}

/// All lines.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        text.push_str(&format!("{}\n", row.name));
        for (kind, count) in [("runs", row.runs), ("resampled", row.resampled)] {
            let n = count.all();
            if n == 0 {
                continue;
            }
            let figure = if row.healthy {
                let bound = upper(count.fail, n, CONFIDENCE) * 100.0;
                format!("false alarms {}/{n}, at most {bound:.2} %", count.fail)
            } else {
                let bound = lower(count.fail, n, CONFIDENCE) * 100.0;
                format!(
                    "caught {}/{n}, at least {bound:.2} %; passed {}",
                    count.fail, count.pass
                )
            };
            let mut line = format!("  {kind:<10} {figure}; inconclusive {}/{n}", count.inconclusive);
            if count.other > 0 {
                line.push_str(&format!("; not measured {}", count.other));
            }
            text.push_str(&format!("{line}\n"));
        }
    }
    text.push_str("Bounds are exact, at 95 % of one side. Resampled runs know only what the recorded ones met.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_was_counted() {
        let mut runs = Count::default();
        for _ in 0..299 {
            runs.add(&record::Verdict::Pass { seen: String::new() });
        }
        let row = |healthy| Row {
            name: "quota".into(),
            healthy,
            runs,
            resampled: Count::default(),
        };
        let text = table(&[row(true), row(false)]);
        assert!(
            text.contains("runs       false alarms 0/299, at most 1.00 %; inconclusive 0/299"),
            "{text}"
        );
        assert!(text.contains("caught 0/299, at least 0.00 %; passed 299"), "{text}");
    }
}
