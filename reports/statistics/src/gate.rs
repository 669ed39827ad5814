//! All rows of a run, and the gate's test of itself.
//!
//! Beside the rows that are asked about, every run measures two more, in the same rounds: the reference against itself, which
//! must stay quiet, and the reference with a slowdown that was planted, which must be caught. A gate that called the
//! reference slower than itself is not believed when it calls anything else slower; one that did not catch what was planted
//! is not believed when it lets anything pass.

use crate::chance::Chance;
use crate::decision::{Decision, Open};
use crate::multiple::holm;
use crate::sampler::{Rules, Sampler, Stage};

/// What a planted slowdown is at least, as a share of the reference.
pub const PLANTED: f64 = 0.05;

/// By how much a planted slowdown exceeds what is tolerated at least.
const BEYOND: f64 = 0.03;

/// The slowdown to be planted where `tolerated` is tolerated, as a share of the reference.
#[must_use]
pub fn planted(tolerated: f64) -> f64 {
    PLANTED.max(tolerated + BEYOND)
}

/// Log-ratios ([`crate::pairs::log_ratio`]) of some rounds, one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Rounds<'r> {
    /// Of each row. One that is decided needs none.
    pub rows: &'r [Vec<f64>],
    /// Of the reference against itself.
    pub same: &'r [f64],
    /// Of the reference with a planted slowdown against itself.
    pub planted: &'r [f64],
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// More rounds are needed, and there is budget for them.
    More,
    /// Everything is decided.
    Decided,
    /// The budget is spent.
    OutOfBudget,
}

/// A run of the gate.
#[derive(Debug, Clone)]
pub struct Gate {
    rules: Rules,
    rows: Vec<Sampler>,
    same: Sampler,
    planted: Sampler,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// Of each row.
    pub rows: Vec<Decision>,
    /// Of the reference against itself: regressed is a false alarm.
    pub same: Decision,
    /// Of what was planted: regressed is what it should be.
    pub planted: Decision,
}

impl Gate {
    /// A run of so many rows.
    #[must_use]
    pub fn new(rules: Rules, rows: usize, chance: &mut Chance) -> Self {
        Self {
            rules,
            rows: (0..rows).map(|_| Sampler::new(rules, rows, chance.split())).collect(),
            same: Sampler::new(rules, 1, chance.split()),
            planted: Sampler::new(rules, 1, chance.split()),
        }
    }

    /// Takes some rounds, when `share` of the budget of time is spent (1 or more: all of it).
    pub fn add(&mut self, rounds: &Rounds<'_>, share: f64) -> Next {
        for (row, log_ratios) in self.rows.iter_mut().zip(rounds.rows) {
            row.add(log_ratios, share);
        }
        self.same.add(rounds.same, share);
        self.planted.add(rounds.planted, share);
        let open = |row: &Sampler| matches!(row.stage(), Stage::Screening | Stage::Confirming);
        // That the reference is quiet need not be shown; that it seems not to be must be looked into.
        let disquiet = self.same.stage() == Stage::Confirming;
        if !(self.rows.iter().any(open) || open(&self.planted) || disquiet) {
            Next::Decided
        } else if share >= 1.0 {
            Next::OutOfBudget
        } else {
            Next::More
        }
    }

    /// Where each row is: one that is decided need not be measured any more.
    pub fn stages(&self) -> impl Iterator<Item = Stage> {
        self.rows.iter().map(Sampler::stage)
    }

    /// Pairs of each row.
    pub fn pairs(&self) -> impl Iterator<Item = usize> {
        self.rows.iter().map(Sampler::pairs)
    }

    /// What is concluded from the rounds so far.
    #[must_use]
    pub fn judge(&self) -> Judgement {
        let p: Vec<f64> = self.rows.iter().map(Sampler::p).collect();
        let (same, planted) = (
            self.same.decision(self.same.p()),
            self.planted.decision(self.planted.p()),
        );
        let cried = matches!(same, Decision::Regressed { .. });
        let slept = !matches!(planted, Decision::Regressed { .. });
        let rows = self.rows.iter().zip(holm(&p)).map(|(row, p)| {
            let decision = row.decision(p);
            match decision {
                Decision::Regressed { .. } if cried => decision.opened(Open::CriedWolf),
                Decision::Pass { .. } if slept => decision.opened(Open::Slept),
                other => other,
            }
        });
        Judgement {
            rows: rows.collect(),
            same,
            planted,
        }
    }

    /// The rules of the run.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        tolerated: 0.02,
        error: 0.01,
        screening: 0.05,
        suspicion: 0.5,
        block: 5,
        resamples: 60,
    };

    /// Runs a gate of rows that are slower by these, on a reference that is slower than itself by `same`.
    fn run(rows: &[f64], same: f64, planted: f64, rounds: usize, seed: u64) -> (Judgement, Next) {
        let mut chance = Chance::new(seed);
        let mut gate = Gate::new(RULES, rows.len(), &mut chance);
        let mut next = Next::More;
        let mut done = 0;
        while next == Next::More {
            let mut block = |slower: f64| -> Vec<f64> { (0..5).map(|_| chance.normal(slower, 0.05)).collect() };
            let measured: Vec<Vec<f64>> = rows.iter().map(|slower| block(*slower)).collect();
            let (same, planted) = (block(same), block(planted));
            done += 5;
            let taken = Rounds {
                rows: &measured,
                same: &same,
                planted: &planted,
            };
            next = gate.add(&taken, done as f64 / rounds as f64);
        }
        (gate.judge(), next)
    }

    fn words(judgement: &Judgement) -> Vec<&'static str> {
        judgement.rows.iter().map(Decision::word).collect()
    }

    #[test]
    fn rows_are_told_apart_and_the_run_ends_early() {
        let (judgement, next) = run(&[0.0, 0.06, -0.1], 0.0, 0.05, 2000, 1);
        assert_eq!(words(&judgement), ["pass", "regressed", "pass"]);
        assert_eq!(judgement.planted.word(), "regressed");
        assert_ne!(judgement.same.word(), "regressed");
        assert_eq!(next, Next::Decided);
    }

    #[test]
    fn a_gate_that_cries_wolf_is_not_believed_in_its_alarms() {
        let (judgement, _) = run(&[0.0, 0.06], 0.06, 0.06, 2000, 2);
        assert_eq!(judgement.same.word(), "regressed");
        assert_eq!(words(&judgement), ["pass", "inconclusive"]);
        let Decision::Inconclusive { why, .. } = judgement.rows[1] else {
            panic!("believed");
        };
        assert_eq!(why, Open::CriedWolf);
    }

    #[test]
    fn a_gate_that_sleeps_is_not_believed_in_what_it_lets_pass() {
        let (judgement, next) = run(&[0.0, 0.06], 0.0, 0.0, 1000, 3);
        assert_eq!(words(&judgement), ["inconclusive", "regressed"]);
        let Decision::Inconclusive { why, .. } = judgement.rows[0] else {
            panic!("believed");
        };
        assert_eq!(why, Open::Slept);
        assert_ne!(next, Next::More);
    }

    #[test]
    fn among_many_identical_rows_none_is_called_regressed() {
        let cried = (0..30).filter(|seed| {
            let (judgement, _) = run(&[0.0; 8], 0.0, 0.05, 300, 100 + seed);
            words(&judgement).contains(&"regressed") || judgement.same.word() == "regressed"
        });
        assert_eq!(cried.count(), 0);
    }

    #[test]
    fn rows_that_share_a_reference_and_end_each_other_seldom_cry_wolf() {
        // The worst case: each row is slower by just what is tolerated, and all are compared with the same noisy reference.
        const RUNS: u64 = 60;
        let bound = RULES.tolerated.ln_1p();
        let cried = (0..RUNS).filter(|seed| {
            let mut chance = Chance::new(1000 + seed);
            let mut gate = Gate::new(RULES, 6, &mut chance);
            for done in (5..=300).step_by(5) {
                let shared: Vec<f64> = (0..5).map(|_| chance.normal(0.0, 0.05)).collect();
                let mut row =
                    |slower: f64| -> Vec<f64> { shared.iter().map(|s| s + chance.normal(slower, 0.05)).collect() };
                let rows: Vec<Vec<f64>> = (0..6).map(|_| row(bound)).collect();
                let (same, planted) = (row(0.0), row(0.05));
                let taken = Rounds {
                    rows: &rows,
                    same: &same,
                    planted: &planted,
                };
                if gate.add(&taken, f64::from(done) / 300.0) != Next::More {
                    break;
                }
            }
            words(&gate.judge()).contains(&"regressed")
        });
        // One in a hundred, and what chance may add to that.
        assert!(cried.count() <= 3);
    }

    #[test]
    fn what_is_planted_lies_beyond_what_is_tolerated() {
        assert_eq!(planted(0.02), 0.05);
        assert_eq!(planted(0.005), 0.05);
        assert!((planted(0.1) - 0.13).abs() < 1e-12);
    }
}
