//! How much worse, and how surely.
//!
//! Neighbouring pairs resemble each other: what slows one down slows down the next. Resampling single pairs would call that
//! certainty; so whole stretches of neighbours are drawn (the circular block bootstrap of Politis and Romano 1992). What is
//! taken from the resamples is the standard error: a look of a gate may err once in a thousand times, and of a few hundred
//! resamples nobody can tell that percentile. The interval is Student's with as many degrees of freedom as there are blocks
//! less one.

use statrs::distribution::{ContinuousCDF as _, Normal, StudentsT};

use crate::Estimate;
use crate::chance::Chance;
use crate::walsh::{Weighed, hodges_lehmann};

/// How often a difference of just the size that is told as detectable is detected.
pub const POWER: f64 = 0.8;

/// Beyond so many pairs nobody waits.
const SIGHT: f64 = 1e7;

/// The centre of log-ratios and its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effect {
    /// Pairs it rests on.
    pub pairs: usize,
    /// Blocks they are in.
    pub blocks: usize,
    /// Hodges–Lehmann estimate of the log-ratio.
    pub estimate: f64,
    /// Its standard error.
    pub error: f64,
}

impl Effect {
    /// Of log-ratios in the order in which they were measured, from `resamples` resamples of blocks of `block` neighbours.
    /// None from fewer than two blocks, or if a value is no finite number.
    #[must_use]
    pub fn of(log_ratios: &[f64], block: usize, resamples: usize, chance: &mut Chance) -> Option<Self> {
        let blocks = log_ratios.len() / block.max(1);
        if blocks < 2 {
            return None;
        }
        let estimate = hodges_lehmann(log_ratios)?;
        let spread = bootstrap(log_ratios, estimate, block.max(1), resamples.max(2), chance);
        Some(Self {
            pairs: log_ratios.len(),
            blocks,
            estimate,
            // Resamples of k blocks scatter by the share (k - 1)/k too little.
            error: spread * (blocks as f64 / (blocks - 1) as f64).sqrt(),
        })
    }

    /// How probable an estimate so far above `bound` is if the truth is `bound`.
    #[must_use]
    pub fn above(&self, bound: f64) -> f64 {
        self.beyond(self.estimate - bound)
    }

    /// How probable an estimate so far below `bound` is if the truth is `bound`.
    #[must_use]
    pub fn below(&self, bound: f64) -> f64 {
        self.beyond(bound - self.estimate)
    }

    fn beyond(&self, distance: f64) -> f64 {
        if self.error > 0.0 {
            self.student().map_or(1.0, |student| student.sf(distance / self.error))
        } else if distance > 0.0 {
            0.0
        } else {
            1.0
        }
    }

    /// The two-sided interval, of log-ratios.
    #[must_use]
    pub fn interval(&self, confidence: f64) -> Estimate {
        let half = self.error * self.critical((1.0 - confidence) / 2.0);
        Estimate {
            value: self.estimate,
            low: self.estimate - half,
            high: self.estimate + half,
        }
    }

    /// The smallest log-ratio that would have been told from `bound` in [`POWER`] of all runs, at one side's `error`.
    #[must_use]
    pub fn smallest(&self, bound: f64, error: f64) -> f64 {
        bound + self.error * (self.critical(error) + Normal::standard().inverse_cdf(POWER))
    }

    /// About how many more pairs would tell this estimate from `bound` in [`POWER`] of all runs, at one side's `error`. None
    /// if it lies so near that nobody would wait.
    #[must_use]
    pub fn more_pairs(&self, bound: f64, error: f64) -> Option<u64> {
        let reach = self.smallest(0.0, error);
        let needed = self.pairs as f64 * (reach / (self.estimate - bound)).powi(2);
        let more = (needed - self.pairs as f64).ceil().max(1.0);
        (more < SIGHT).then_some(more as u64)
    }

    fn critical(&self, error: f64) -> f64 {
        self.student()
            .map_or(f64::INFINITY, |student| student.inverse_cdf(1.0 - error))
    }

    fn student(&self) -> Option<StudentsT> {
        StudentsT::new(0.0, 1.0, self.blocks.saturating_sub(1) as f64).ok()
    }
}

/// The standard deviation of the estimates of resamples.
fn bootstrap(values: &[f64], estimate: f64, block: usize, resamples: usize, chance: &mut Chance) -> f64 {
    let n = values.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let sorted: Vec<f64> = order.iter().map(|at| values[*at]).collect();
    // Half of all values lie within this; the standard error of a centre is about that by the root of n.
    let reach = ((sorted[n * 3 / 4] - sorted[n / 4]) * 2.0 / (n as f64).sqrt()).max(f64::EPSILON * estimate.abs());
    if reach <= 0.0 {
        return 0.0;
    }
    let mut squares = 0.0;
    let mut drawn = vec![0u32; n];
    for _ in 0..resamples {
        drawn.fill(0);
        let mut left = n;
        while left > 0 {
            let from = chance.below(n);
            for step in 0..block.min(left) {
                drawn[(from + step) % n] += 1;
            }
            left -= block.min(left);
        }
        let weights: Vec<u32> = order.iter().map(|at| drawn[*at]).collect();
        let resampled = Weighed {
            sorted: &sorted,
            weights: &weights,
        };
        // A hundredth of the standard error is precise enough to estimate it.
        squares += (resampled.median_near(estimate, reach, reach / 100.0) - estimate).powi(2);
    }
    (squares / resamples as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Log-ratios of which each resembles the one before by `memory`, with deviation 1 each, some far off.
    fn resembling(chance: &mut Chance, n: usize, memory: f64) -> Vec<f64> {
        let fresh = (1.0 - memory * memory).sqrt();
        let mut value = chance.normal(0.0, 1.0);
        (0..n)
            .map(|_| {
                value = memory * value + chance.normal(0.0, fresh);
                let far = chance.below(50) == 0;
                if far { value * 8.0 } else { value }
            })
            .collect()
    }

    fn coverage(memory: f64, block: usize, seed: u64) -> f64 {
        let mut chance = Chance::new(seed);
        let trials = 300;
        let covered = (0..trials).filter(|_| {
            let values = resembling(&mut chance, 240, memory);
            let found = Effect::of(&values, block, 80, &mut chance).unwrap().interval(0.95);
            found.low <= 0.0 && 0.0 <= found.high
        });
        covered.count() as f64 / f64::from(trials)
    }

    #[test]
    fn the_interval_covers_as_often_as_promised() {
        let alone = coverage(0.0, 10, 1);
        assert!((0.91..=0.98).contains(&alone), "{alone}");
    }

    #[test]
    fn where_neighbours_resemble_each_other_blocks_are_what_makes_it_cover() {
        let (pairs, blocks) = (coverage(0.6, 1, 2), coverage(0.6, 15, 3));
        assert!(pairs < 0.75, "{pairs}");
        assert!(blocks > 0.89, "{blocks}");
    }

    #[test]
    fn the_error_of_a_normal_sample_is_that_of_theory() {
        // The estimate has the efficiency 3/π on normal values: sqrt(π/3 / 400) = 0.0512.
        let mut chance = Chance::new(4);
        let mut errors: Vec<f64> = (0..25)
            .map(|_| {
                let values: Vec<f64> = (0..400).map(|_| chance.normal(7.0, 1.0)).collect();
                Effect::of(&values, 10, 200, &mut chance).unwrap().error
            })
            .collect();
        errors.sort_by(f64::total_cmp);
        assert!((errors[12] - 0.0512).abs() < 0.006, "{errors:?}");
    }

    #[test]
    fn what_would_be_detected_is_detected_as_often_as_is_said() {
        let mut chance = Chance::new(5);
        let known = Effect {
            pairs: 200,
            blocks: 20,
            estimate: 0.0,
            error: (std::f64::consts::FRAC_PI_3 / 200.0).sqrt(),
        };
        let smallest = known.smallest(0.02, 0.025);
        let trials = 300;
        let detected = (0..trials).filter(|_| {
            let values: Vec<f64> = (0..200).map(|_| chance.normal(smallest, 1.0)).collect();
            Effect::of(&values, 10, 80, &mut chance).unwrap().above(0.02) <= 0.025
        });
        let share = detected.count() as f64 / f64::from(trials);
        assert!((0.72..=0.88).contains(&share), "{share}");
        // As many pairs more as make the standard error half: three times as many again.
        let half = Effect {
            estimate: 0.02 + (smallest - 0.02) / 2.0,
            ..known
        };
        assert!((595..=605).contains(&half.more_pairs(0.02, 0.025).unwrap()));
        let near = Effect {
            estimate: 0.02,
            ..known
        };
        assert_eq!(near.more_pairs(0.02, 0.025), None);
    }

    #[test]
    fn values_without_spread_are_certain_and_too_few_are_nothing() {
        let mut chance = Chance::new(6);
        let same = Effect::of(&[0.05; 40], 4, 50, &mut chance).unwrap();
        assert!(
            (same.error, same.estimate) == (0.0, 0.05) || same.error < 1e-12,
            "{same:?}"
        );
        assert!(same.above(0.02) < 1e-9 && same.below(0.02) > 1.0 - 1e-9);
        assert_eq!(Effect::of(&[0.05; 7], 4, 50, &mut chance), None);
        assert_eq!(Effect::of(&[f64::NAN; 8], 4, 50, &mut chance), None);
    }
}
