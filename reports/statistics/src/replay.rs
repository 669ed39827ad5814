//! Runs of a gate that are put together from recorded rounds, to count how often it errs.
//!
//! Rounds are drawn as stretches of neighbours, so that what lasts stays together. What no recorded round met, no replayed
//! run meets.

use crate::chance::Chance;
use crate::gate::{Gate, Judgement, Next, Rounds};
use crate::sampler::Rules;

/// A recorded round with one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Round {
    /// How long it took, in seconds.
    pub took: f64,
    /// Log-ratio of the row.
    pub row: f64,
    /// Log-ratio of the reference against itself.
    pub same: f64,
    /// Log-ratio of the reference with a planted slowdown against itself.
    pub planted: f64,
}

/// What came of a replayed run.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    /// What was concluded.
    pub judgement: Judgement,
    /// How long the run would have sampled, in seconds.
    pub took: f64,
}

/// One run of at most `budget` seconds, from stretches of `stretch` rounds that begin anywhere in `recorded`. None without
/// rounds, or if they took no time.
#[must_use]
pub fn replay(recorded: &[Round], stretch: usize, budget: f64, rules: Rules, chance: &mut Chance) -> Option<Replayed> {
    if recorded.is_empty() || !recorded.iter().any(|round| round.took > 0.0) {
        return None;
    }
    let mut gate = Gate::new(rules, 1, chance);
    let mut took = 0.0;
    let mut place = 0;
    let mut left = 0;
    loop {
        let mut rows = vec![Vec::with_capacity(rules.block)];
        let (mut same, mut planted) = (Vec::new(), Vec::new());
        for _ in 0..rules.block.max(1) {
            if took >= budget {
                break;
            }
            if left == 0 {
                (place, left) = (chance.below(recorded.len()), stretch.max(1));
            }
            let round = recorded[place % recorded.len()];
            (place, left) = (place + 1, left - 1);
            took += round.took;
            rows[0].push(round.row);
            same.push(round.same);
            planted.push(round.planted);
        }
        let rounds = Rounds {
            rows: &rows,
            same: &same,
            planted: &planted,
        };
        if gate.add(&rounds, took / budget) != Next::More {
            let judgement = gate.judge();
            return Some(Replayed { judgement, took });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(slower: f64) -> Vec<Round> {
        let mut chance = Chance::new(7);
        let mut around = |centre: f64| chance.normal(centre, 0.05);
        (0..3000)
            .map(|_| Round {
                took: 0.01,
                row: around(slower),
                same: around(0.0),
                planted: around(0.05),
            })
            .collect()
    }

    #[test]
    fn replayed_runs_end_as_real_ones_would_and_within_the_budget() {
        let mut chance = Chance::new(8);
        for (slower, wanted) in [(0.0, "pass"), (0.06, "regressed")] {
            let rounds = recorded(slower);
            for _ in 0..4 {
                let run = replay(&rounds, 50, 15.0, Rules::default(), &mut chance).unwrap();
                assert_eq!(run.judgement.rows[0].word(), wanted);
                assert!(run.took < 15.02, "{}", run.took);
            }
        }
        assert_eq!(replay(&[], 50, 15.0, Rules::default(), &mut chance), None);
    }

    #[test]
    fn a_budget_that_is_too_small_decides_nothing() {
        let run = replay(&recorded(0.06), 50, 0.055, Rules::default(), &mut Chance::new(9)).unwrap();
        assert_eq!(run.judgement.rows[0].word(), "inconclusive");
        // The sixth round ends it, in the middle of a block.
        assert!((run.took - 0.06).abs() < 1e-9, "{}", run.took);
    }
}
