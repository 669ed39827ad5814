//! The figures: k of n, with exact bounds.

use statrs::distribution::{Beta, ContinuousCDF as _};

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

/// The greatest rate that is compatible, at 95 % of one side, with `k` of `n` (Clopper and Pearson 1934).
#[must_use]
pub fn upper(k: u64, n: u64) -> f64 {
    if k >= n {
        return 1.0;
    }
    beta(k as f64 + 1.0, (n - k) as f64, 0.95)
}

/// The smallest rate that is compatible, at 95 % of one side, with `k` of `n`.
#[must_use]
pub fn lower(k: u64, n: u64) -> f64 {
    if k == 0 {
        return 0.0;
    }
    beta(k as f64, (n - k.min(n)) as f64 + 1.0, 0.05)
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
                let bound = upper(count.fail, n) * 100.0;
                format!("false alarms {}/{n}, at most {bound:.2} %", count.fail)
            } else {
                let bound = lower(count.fail, n) * 100.0;
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
    fn the_bounds_are_those_of_clopper_and_pearson() {
        // 1 - 0.05^(1/299) and the like; 3 of 10 from a table.
        assert!((upper(0, 299) - 0.009_969).abs() < 1e-5, "{}", upper(0, 299));
        assert!((lower(299, 299) - 0.990_031).abs() < 1e-5, "{}", lower(299, 299));
        assert!((upper(3, 10) - 0.6066).abs() < 1e-3, "{}", upper(3, 10));
        assert!((lower(3, 10) - 0.0873).abs() < 1e-3, "{}", lower(3, 10));
        assert_eq!((lower(0, 5), upper(5, 5), upper(0, 0)), (0.0, 1.0, 1.0));
    }

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
