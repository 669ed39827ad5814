//! What is concluded about a row.

use std::fmt;

use crate::Estimate;
use crate::effect::Effect;

/// Of the intervals that are told; what is decided is decided at the errors of [`crate::sampler::Rules`].
pub const CONFIDENCE: f64 = 0.95;

/// What is concluded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decision {
    /// The subject is not slower than is tolerated.
    Pass {
        /// How much slower it is, as a share of the reference.
        slowdown: Estimate,
    },
    /// The subject is slower than is tolerated, and a fresh batch confirmed it.
    Regressed {
        /// How much slower it is, as a share of the reference, by the fresh batch alone: the first one was chosen because it
        /// looked bad, and tells too much.
        slowdown: Estimate,
        /// How often a subject that is tolerated looks so bad, adjusted for looks and rows.
        p: f64,
    },
    /// Neither is shown.
    Inconclusive {
        /// How much slower it is, as a share of the reference; none if there was nothing to estimate it from.
        slowdown: Option<Estimate>,
        /// Why.
        why: Open,
        /// The smallest slowdown that would have been seen in four of five runs, as a share of the reference.
        smallest: Option<f64>,
        /// About how many more pairs would decide. None if the slowdown lies on what is tolerated, so that none would.
        more_pairs: Option<u64>,
    },
}

/// Why nothing is concluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// There were too few pairs to look at.
    TooFewPairs,
    /// The budget ended first.
    OutOfBudget,
    /// It looked slower, but a fresh batch did not confirm it before the budget ended.
    NotConfirmed,
    /// The reference was called slower than itself in the same run.
    CriedWolf,
    /// A slowdown that was planted into the same run was not caught.
    Slept,
}

impl Decision {
    /// `pass`, `regressed` or `inconclusive`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Decision::Pass { .. } => "pass",
            Decision::Regressed { .. } => "regressed",
            Decision::Inconclusive { .. } => "inconclusive",
        }
    }

    /// How much slower the subject is, as a share of the reference.
    #[must_use]
    pub fn slowdown(&self) -> Option<Estimate> {
        match self {
            Decision::Pass { slowdown } | Decision::Regressed { slowdown, .. } => Some(*slowdown),
            Decision::Inconclusive { slowdown, .. } => *slowdown,
        }
    }

    /// The same figures with no conclusion.
    #[must_use]
    pub fn opened(self, why: Open) -> Self {
        match self {
            Decision::Pass { slowdown } | Decision::Regressed { slowdown, .. } => Decision::Inconclusive {
                slowdown: Some(slowdown),
                why,
                smallest: None,
                more_pairs: None,
            },
            Decision::Inconclusive {
                slowdown,
                smallest,
                more_pairs,
                ..
            } => Decision::Inconclusive {
                slowdown,
                why,
                smallest,
                more_pairs,
            },
        }
    }
}

impl fmt::Display for Open {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Open::TooFewPairs => "too few pairs",
            Open::OutOfBudget => "the budget ended before anything was shown",
            Open::NotConfirmed => "it looked slower, which a fresh batch did not confirm before the budget ended",
            Open::CriedWolf => "the gate called the reference slower than itself",
            Open::Slept => "the gate did not catch the slowdown that was planted",
        })
    }
}

/// A slowdown with its sign, as `+5.1 % [+4.2, +6.0]`.
#[must_use]
pub fn percent(found: Estimate) -> String {
    let [value, low, high] = [found.value, found.low, found.high].map(|share| share * 100.0);
    format!("{value:+.2} % [{low:+.2}, {high:+.2}]")
}

impl fmt::Display for Decision {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())?;
        if let Some(slowdown) = self.slowdown() {
            write!(out, ": {}", percent(slowdown))?;
        }
        match self {
            Decision::Pass { .. } => Ok(()),
            Decision::Regressed { p, .. } => write!(out, ", p {p:.2e}"),
            Decision::Inconclusive {
                why,
                smallest,
                more_pairs,
                ..
            } => {
                write!(out, "; {why}")?;
                if let Some(smallest) = smallest {
                    write!(out, "; {:+.2} % would have been seen", smallest * 100.0)?;
                }
                if let Some(more) = more_pairs {
                    write!(out, "; about {more} more pairs would decide")?;
                }
                Ok(())
            }
        }
    }
}

/// The interval of an effect as a share of the reference.
pub(crate) fn slowdown(effect: &Effect) -> Estimate {
    effect.interval(CONFIDENCE).map(f64::exp_m1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_tells_what_is_known() {
        let slowdown = Estimate {
            value: 0.05,
            low: 0.04,
            high: 0.06,
        };
        assert_eq!(Decision::Pass { slowdown }.to_string(), "pass: +5.00 % [+4.00, +6.00]");
        let regressed = Decision::Regressed { slowdown, p: 0.0001 };
        assert_eq!(regressed.to_string(), "regressed: +5.00 % [+4.00, +6.00], p 1.00e-4");
        let open = Decision::Inconclusive {
            slowdown: Some(slowdown),
            why: Open::OutOfBudget,
            smallest: Some(0.07),
            more_pairs: Some(12),
        };
        assert_eq!(
            open.to_string(),
            "inconclusive: +5.00 % [+4.00, +6.00]; the budget ended before anything was shown; \
             +7.00 % would have been seen; about 12 more pairs would decide"
        );
        let Decision::Inconclusive { why, smallest, .. } = open.opened(Open::Slept) else {
            panic!("{open}");
        };
        assert_eq!((why, smallest), (Open::Slept, Some(0.07)));
    }
}
