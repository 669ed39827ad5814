//! One row, sampled until it is decided or the budget is spent.
//!
//! A row goes through two stages, each on pairs of its own. The *screening* looks, at planned shares of the budget, whether
//! the subject is shown to be within what is tolerated (then it passes) or seems to be beyond. In the latter case a *fresh*
//! batch must show it again, in what is left of the budget.
//!
//! What is true however often one looks: a subject that is tolerated is called regressed with a probability of at most
//! [`Rules::error`]. The fresh batch knows nothing of the screening, so that the screening cannot raise that probability; and
//! within the fresh batch each look `k` uses the part `g_k` of the error, all parts together being 1 ([`crate::spending`]).
//! With `p_k` for the p-value of the look, `min p_k/g_k` is therefore a p-value itself: it is at most `a` with a probability
//! of at most `Σ a·g_k = a`, whatever depends on what. `p_k` is the greater one of two, of Wilcoxon's test and of the block
//! bootstrap: the first is exact if an identical subject is delayed by nothing but chance and order was thrown, the second
//! sees slowdowns that come and go. In the same way a row that is slower than tolerated passes with a probability of at
//! most [`Rules::screening`], of which each stage has half.

use crate::chance::Chance;
use crate::decision::{Decision, Open, slowdown};
use crate::effect::Effect;
use crate::spending::{Clock, Spending};
use crate::wilcoxon::signed_rank;

/// Blocks from which on a look is worth having.
const FEWEST: usize = 8;

/// What is tolerated, and how often the gate may err.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// The slowdown that is tolerated, as a share of the reference: 0.02 for 2 %.
    pub tolerated: f64,
    /// How often a run may call any row regressed if none is slower than tolerated.
    pub error: f64,
    /// How often a row that is slower than tolerated may pass.
    pub screening: f64,
    /// How often the screening may ask for a fresh batch without need, which costs time only; one that is asked for late has
    /// little time left.
    pub suspicion: f64,
    /// Neighbouring pairs that are drawn together by the bootstrap.
    pub block: usize,
    /// Resamples of a bootstrap.
    pub resamples: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            tolerated: 0.02,
            error: 0.01,
            screening: 0.05,
            suspicion: 0.5,
            block: 10,
            resamples: 200,
        }
    }
}

impl Rules {
    /// The log-ratio that is tolerated.
    fn bound(&self) -> f64 {
        self.tolerated.ln_1p()
    }
}

/// Pairs of one stage, and what was seen in them.
#[derive(Debug, Clone)]
struct Batch {
    log_ratios: Vec<f64>,
    /// The share of the whole budget that was spent before.
    began: f64,
    clock: Clock,
    /// How often a tolerated subject looks so bad, looks accounted for.
    worse: f64,
    /// How often a regressed subject looks so good, looks accounted for.
    better: f64,
}

impl Batch {
    fn new(began: f64, spending: Spending) -> Self {
        Self {
            log_ratios: Vec::new(),
            began,
            clock: Clock::new(spending),
            worse: 1.0,
            better: 1.0,
        }
    }

    /// Takes the look that is due, if one is.
    fn look(&mut self, share: f64, rules: &Rules, chance: &mut Chance) {
        let own = if self.began < 1.0 {
            (share - self.began) / (1.0 - self.began)
        } else {
            1.0
        };
        if !self.clock.is_due(own) || self.log_ratios.len() < FEWEST * rules.block {
            return;
        }
        let part = self.clock.look(own);
        let ranks = signed_rank(&self.log_ratios, rules.bound());
        let (mut worse, mut better) = (ranks.greater / part, ranks.less / part);
        // The bootstrap takes time, and can only make these greater: it is asked where they are small.
        if worse.min(better) <= rules.error.max(rules.screening).max(rules.suspicion)
            && let Some(effect) = self.effect(rules, chance)
        {
            worse = worse.max(effect.above(rules.bound()) / part);
            better = better.max(effect.below(rules.bound()) / part);
        }
        self.worse = self.worse.min(worse);
        self.better = self.better.min(better);
    }

    fn effect(&self, rules: &Rules, chance: &mut Chance) -> Option<Effect> {
        Effect::of(&self.log_ratios, rules.block, rules.resamples, chance)
    }
}

/// Where a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Nothing is shown yet.
    Screening,
    /// It looked slower than tolerated, which a fresh batch has to show.
    Confirming,
    /// Shown to be within what is tolerated.
    Passed,
    /// Shown twice to be slower than tolerated.
    Regressed,
}

/// A row that is being sampled.
#[derive(Debug, Clone)]
pub struct Sampler {
    rules: Rules,
    /// The error with which this row alone may stop.
    alone: f64,
    chance: Chance,
    stage: Stage,
    screening: Batch,
    fresh: Option<Batch>,
}

impl Sampler {
    /// A row among `rows` of a run: it stops at the error that it may use whatever becomes of the others.
    #[must_use]
    pub fn new(rules: Rules, rows: usize, chance: Chance) -> Self {
        Self {
            rules,
            alone: rules.error / rows.max(1) as f64,
            chance,
            stage: Stage::Screening,
            screening: Batch::new(0.0, Spending::Evenly),
            fresh: None,
        }
    }

    /// Takes the log-ratios of more pairs ([`crate::pairs::log_ratio`]), in the order in which they were measured, when
    /// `share` of the budget is spent (1 or more: all of it). A row that is decided ignores them.
    ///
    /// When to hand over pairs must not depend on what they say; a block at a time will do.
    pub fn add(&mut self, log_ratios: &[f64], share: f64) -> Stage {
        if matches!(self.stage, Stage::Passed | Stage::Regressed) {
            return self.stage;
        }
        let Self {
            rules, chance, stage, ..
        } = self;
        let batch = self.fresh.as_mut().unwrap_or(&mut self.screening);
        batch.log_ratios.extend_from_slice(log_ratios);
        batch.look(share, rules, chance);
        // Half of what both stages may do together.
        if batch.better <= rules.screening / 2.0 {
            *stage = Stage::Passed;
        } else if *stage == Stage::Confirming && batch.worse <= self.alone {
            *stage = Stage::Regressed;
        } else if *stage == Stage::Screening && batch.worse <= rules.suspicion {
            *stage = Stage::Confirming;
            self.fresh = Some(Batch::new(share, Spending::Late));
        }
        self.stage
    }

    /// Where the row is.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// How often a subject that is tolerated looks so bad in the fresh batch, looks accounted for; 1 without one.
    #[must_use]
    pub fn p(&self) -> f64 {
        self.fresh.as_ref().map_or(1.0, |fresh| fresh.worse.min(1.0))
    }

    /// Pairs taken so far.
    #[must_use]
    pub fn pairs(&self) -> usize {
        self.screening.log_ratios.len() + self.fresh.as_ref().map_or(0, |fresh| fresh.log_ratios.len())
    }

    /// What is concluded, with `p` for [`Sampler::p`] adjusted for all rows of the run
    /// ([`crate::multiple::holm`]).
    #[must_use]
    pub fn decision(&self, p: f64) -> Decision {
        let mut chance = self.chance.clone();
        let fresh = self
            .fresh
            .as_ref()
            .and_then(|fresh| fresh.effect(&self.rules, &mut chance));
        let all: Vec<f64> = self
            .screening
            .log_ratios
            .iter()
            .chain(self.fresh.iter().flat_map(|fresh| &fresh.log_ratios))
            .copied()
            .collect();
        let Some(whole) = Effect::of(&all, self.rules.block, self.rules.resamples, &mut chance) else {
            return Decision::Inconclusive {
                slowdown: None,
                why: Open::TooFewPairs,
                smallest: None,
                more_pairs: None,
            };
        };
        match (self.stage, fresh) {
            (Stage::Passed, _) => Decision::Pass {
                slowdown: slowdown(&whole),
            },
            (_, Some(fresh)) if p <= self.rules.error => Decision::Regressed {
                slowdown: slowdown(&fresh),
                p,
            },
            (stage, _) => Decision::Inconclusive {
                slowdown: Some(slowdown(&whole)),
                why: match stage {
                    Stage::Screening if all.len() < FEWEST * self.rules.block => Open::TooFewPairs,
                    Stage::Screening => Open::OutOfBudget,
                    _ => Open::NotConfirmed,
                },
                smallest: Some(whole.smallest(self.rules.bound(), self.alone).exp_m1()),
                more_pairs: whole.more_pairs(self.rules.bound(), self.alone),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rules whose bootstraps are quick.
    const RULES: Rules = Rules {
        tolerated: 0.02,
        error: 0.01,
        screening: 0.05,
        suspicion: 0.5,
        block: 5,
        resamples: 60,
    };

    /// Pairs on a machine that is slow for a while and quick for a while, some of them far off; who is first is slower, and
    /// who is first is thrown.
    struct Machine {
        chance: Chance,
        weather: f64,
        noise: f64,
    }

    impl Machine {
        fn new(seed: u64, noise: f64) -> Self {
            Self {
                chance: Chance::new(seed),
                weather: 0.0,
                noise,
            }
        }

        fn pair(&mut self, slower: f64) -> f64 {
            let chance = &mut self.chance;
            self.weather = 0.95 * self.weather + chance.normal(0.0, 0.3);
            let mut run = |late: f64| {
                let hiccup = if chance.below(40) == 0 { chance.uniform() } else { 0.0 };
                late + hiccup + chance.normal(0.0, self.noise * self.weather.exp().min(4.0))
            };
            let (first, second) = (run(0.01), run(0.0));
            let difference = if self.chance.below(2) == 0 {
                second - first
            } else {
                first - second
            };
            difference + slower
        }
    }

    /// A row of at most `pairs` pairs, looked at after each block.
    fn sampled(machine: &mut Machine, slower: f64, pairs: usize, rules: Rules) -> Sampler {
        let mut row = Sampler::new(rules, 1, machine.chance.split());
        for done in (0..pairs).step_by(rules.block) {
            let block: Vec<f64> = (0..rules.block).map(|_| machine.pair(slower)).collect();
            let share = (done + rules.block) as f64 / pairs as f64;
            if matches!(row.add(&block, share), Stage::Passed | Stage::Regressed) {
                break;
            }
        }
        row
    }

    /// As [`Sampler::decision`] does, without its estimates.
    fn regressed(row: &Sampler) -> bool {
        row.stage() != Stage::Passed && row.p() <= RULES.error
    }

    #[test]
    fn a_subject_that_is_just_tolerated_is_seldom_called_regressed_however_often_one_looks() {
        // The worst case of the promise: the slowdown is exactly what is tolerated.
        let trials = 1000;
        let (mut cried, mut asked, mut passed) = (0u64, 0, 0u64);
        for seed in 0..trials {
            let row = sampled(&mut Machine::new(seed, 0.1), 0.02f64.ln_1p(), 400, RULES);
            cried += u64::from(regressed(&row));
            passed += u64::from(row.stage() == Stage::Passed);
            asked += u64::from(row.fresh.is_some());
        }
        assert!(cried <= trials / 100, "{cried} of {trials}");
        // So are the promise of 5 %, and how often the screening asks at most.
        assert!(
            asked > 0 && asked as f64 <= trials as f64 * RULES.suspicion,
            "{asked} of {trials}"
        );
        assert!(passed <= trials / 20, "{passed} of {trials}");
    }

    #[test]
    fn without_the_fresh_batch_and_without_spending_it_would_cry_wolf() {
        let trials = 300;
        let cried = (0..trials).filter(|seed| {
            let mut machine = Machine::new(*seed, 0.1);
            let mut seen = Vec::new();
            (0..400usize).any(|done| {
                seen.push(machine.pair(0.02f64.ln_1p()));
                done >= 40 && done % 5 == 0 && signed_rank(&seen, 0.02f64.ln_1p()).greater <= 0.01
            })
        });
        let cried = cried.count() as f64 / trials as f64;
        assert!(cried > 0.04, "{cried}");
    }

    #[test]
    fn an_identical_subject_passes_and_one_that_is_much_slower_is_caught_early() {
        let (mut passed, mut caught, mut pairs) = (0, 0, 0);
        let trials = 100;
        for seed in 0..trials {
            passed += u64::from(sampled(&mut Machine::new(seed, 0.06), 0.0, 1500, RULES).stage() == Stage::Passed);
            let slow = sampled(&mut Machine::new(seed, 0.06), 0.05f64.ln_1p(), 1500, RULES);
            caught += u64::from(regressed(&slow));
            pairs += slow.pairs() as u64;
        }
        assert!(passed >= trials * 95 / 100, "{passed} of {trials}");
        assert!(caught >= trials * 95 / 100, "{caught} of {trials}");
        assert!(pairs / trials < 1000, "{}", pairs / trials);
    }

    #[test]
    fn what_lies_on_the_bound_stays_open_and_says_what_would_decide() {
        let row = sampled(&mut Machine::new(3, 0.2), 0.035f64.ln_1p(), 200, RULES);
        let Decision::Inconclusive {
            slowdown: Some(slowdown),
            smallest: Some(smallest),
            ..
        } = row.decision(row.p())
        else {
            panic!("{}", row.decision(row.p()));
        };
        assert!(slowdown.low < 0.02 && slowdown.high > 0.02, "{slowdown:?}");
        assert!(smallest > 0.035, "{smallest}");
    }

    #[test]
    fn few_pairs_decide_nothing_however_bad_they_look() {
        let mut row = Sampler::new(RULES, 1, Chance::new(1));
        assert_eq!(row.add(&[0.9; 39], 1.0), Stage::Screening);
        let Decision::Inconclusive { why, .. } = row.decision(row.p()) else {
            panic!("39 pairs decided");
        };
        assert_eq!(why, Open::TooFewPairs);
    }

    #[test]
    fn a_suspicion_at_the_end_of_the_budget_is_no_regression() {
        let mut row = Sampler::new(RULES, 1, Chance::new(1));
        let mut machine = Machine::new(4, 0.05);
        let slow: Vec<f64> = (0..400).map(|_| machine.pair(0.2)).collect();
        assert_eq!(row.add(&slow, 1.0), Stage::Confirming);
        let Decision::Inconclusive { why, .. } = row.decision(row.p()) else {
            panic!("one batch decided");
        };
        assert_eq!(why, Open::NotConfirmed);
    }

    #[test]
    fn a_row_among_many_needs_more() {
        let slow: Vec<f64> = (0..60).map(|at| 0.05 + f64::from(at % 7) * 0.01).collect();
        let stage = |rows| {
            let mut row = Sampler::new(RULES, rows, Chance::new(1));
            assert_eq!(row.add(&slow, 0.5), Stage::Confirming);
            row.add(&slow, 1.0)
        };
        assert_eq!(stage(1), Stage::Regressed);
        assert_eq!(stage(100_000_000_000_000), Stage::Confirming);
    }
}
