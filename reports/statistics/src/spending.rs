//! How much of the allowed error each look at growing samples may use.
//!
//! An interval that is looked at again and again misses far more often than its confidence says. The error is therefore
//! spent by the function of Lan and DeMets (1983) that resembles Pocock's boundary, `α·ln(1 + (e − 1)·t)` at the share `t`
//! of all samples, and each look uses what was spent since the one before. The shares add up to `α`, so that by the
//! union bound the looks together err no more often than one look would, however much they depend on each other.

/// The share of the allowed error that may be spent by the time that the share `t` of all samples, or of the time for them,
/// is spent.
#[must_use]
pub fn spent_by(t: f64) -> f64 {
    ((std::f64::consts::E - 1.0) * t.clamp(0.0, 1.0)).ln_1p()
}

/// One look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// Samples at that time.
    pub n: usize,
    /// Probability with which it may err.
    pub error: f64,
}

/// The looks from `count` samples to `most`, each at half as many samples again as the one before: a look costs error, and
/// so fewer decide sooner than many.
#[must_use]
pub fn looks(count: u64, most: u64, error: f64) -> Vec<Look> {
    let first = usize::try_from(count.max(1)).unwrap_or(usize::MAX);
    let most = usize::try_from(most).unwrap_or(usize::MAX).max(first);
    let mut all = Vec::new();
    let (mut n, mut spent) = (first, 0.0);
    loop {
        let share = n as f64 / most as f64;
        let until = error * spent_by(share);
        all.push(Look {
            n,
            error: until - spent,
        });
        if n == most {
            return all;
        }
        spent = until;
        n = n.saturating_add(n.div_ceil(2)).min(most);
    }
}

/// How a budget of time is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spending {
    /// As [`spent_by`] says: what is clear is decided soon.
    Evenly,
    /// By the power family of Kim and DeMets (1987), `t³`: what is hard to see has most of the error left at the end.
    Late,
}

impl Spending {
    fn by(self, share: f64) -> f64 {
        match self {
            Spending::Evenly => spent_by(share),
            Spending::Late => share.clamp(0.0, 1.0).powi(3),
        }
    }
}

/// Looks at shares of a budget of time: when they are due, and what share of the allowed error each may use.
///
/// The time of a look may not be chosen by what was seen. A share of a budget of time is not: were the programs the same, it
/// would be the same whichever of a pair bears which name.
#[derive(Debug, Clone, PartialEq)]
pub struct Clock {
    spending: Spending,
    due: f64,
    spent: f64,
}

/// When the first look is due.
const FIRST: f64 = 0.04;

/// How much later the next one is due.
const LATER: f64 = 1.35;

impl Clock {
    /// At the beginning of a budget.
    #[must_use]
    pub fn new(spending: Spending) -> Self {
        Self {
            spending,
            due: FIRST,
            spent: 0.0,
        }
    }

    /// Whether a look is due when this share of the budget is spent.
    #[must_use]
    pub fn is_due(&self, share: f64) -> bool {
        share >= self.due && self.spent < 1.0
    }

    /// Takes a look at this share: the part of the allowed error that it may use. All parts together are at most 1.
    pub fn look(&mut self, share: f64) -> f64 {
        while self.due <= share && self.due < 1.0 {
            self.due = (self.due * LATER).min(1.0);
        }
        let until = self.spending.by(share);
        let part = until - self.spent;
        self.spent = until;
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_looks_spend_the_error_and_no_more() {
        for (count, most) in [(4, 24), (20, 60), (2, 1000), (1, 1)] {
            let looks = looks(count, most, 0.05);
            let spent: f64 = looks.iter().map(|look| look.error).sum();
            assert!((spent - 0.05).abs() < 1e-12, "{count} {most}: {spent}");
            assert!(looks.iter().all(|look| look.error > 0.0), "{looks:?}");
            assert_eq!(looks.first().map(|l| l.n as u64), Some(count));
            assert_eq!(looks.last().map(|l| l.n as u64), Some(most));
        }
    }

    #[test]
    fn one_look_has_all_of_it() {
        assert_eq!(looks(5, 5, 0.05), [Look { n: 5, error: 0.05 }]);
        assert_eq!(looks(5, 3, 0.05).len(), 1);
    }

    #[test]
    fn looks_are_few() {
        let n: Vec<usize> = looks(4, 24, 0.05).iter().map(|look| look.n).collect();
        assert_eq!(n, [4, 6, 9, 14, 21, 24]);
    }

    #[test]
    fn a_clock_spends_all_by_the_end_whenever_it_is_asked() {
        let all = [Spending::Evenly, Spending::Late];
        for (step, spending) in [0.001, 0.013, 0.3, 1.0]
            .into_iter()
            .flat_map(|step| all.map(|how| (step, how)))
        {
            let mut clock = Clock::new(spending);
            let (mut parts, mut share) = (Vec::new(), 0.0);
            while share < 1.0 {
                share = f64::min(share + step, 1.0);
                if clock.is_due(share) {
                    parts.push(clock.look(share));
                }
            }
            assert!(
                (parts.iter().sum::<f64>() - 1.0).abs() < 1e-9,
                "{step} {spending:?}: {parts:?}"
            );
            assert!(
                parts.len() <= 13 && parts.iter().all(|part| *part > 0.0),
                "{step} {spending:?}: {parts:?}"
            );
            assert!(!clock.is_due(1.0), "{step}");
        }
    }
}
