//! A run of the gate on starts that happen now.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use statistics::chance::Chance;
use statistics::gate::{Gate, Judgement, Next, Rounds, planted};
use statistics::pairs::{Better, log_ratio};

use super::Scenario;
use crate::start_latency::{Error, arms};

/// Runs the gate once; what it concluded, and how many seconds it sampled.
///
/// # Errors
/// What cannot be measured.
pub fn live(plimsoll: &Path, scenario: &Scenario, chance: &mut Chance) -> Result<(Judgement, f64), Error> {
    // Reference, subject, reference against itself, plant of the gate's own test.
    let delays = [0.0, scenario.plant.delay(), 0.0, planted(scenario.rules.tolerated)];
    let mut gate = Gate::new(scenario.rules, 1, chance);
    let mut block: [Vec<f64>; 3] = Default::default();
    let mut sampled = Duration::ZERO;
    arms::measure(plimsoll, scenario.budget, &delays, |round| {
        sampled = round.ended;
        let time = |arm: usize| round.took.get(arm).map_or(0.0, Duration::as_secs_f64);
        let worse = |arm| log_ratio(time(0), time(arm), Better::Less);
        let (Some(subject), Some(same), Some(slow)) = (worse(1), worse(2), worse(3)) else {
            return ControlFlow::Continue(());
        };
        for (row, value) in block.iter_mut().zip([subject, same, slow]) {
            row.push(value);
        }
        let share = sampled.as_secs_f64() / scenario.budget.as_secs_f64();
        if block[0].len() < scenario.rules.block && share < 1.0 {
            return ControlFlow::Continue(());
        }
        let [subject, same, slow] = std::mem::take(&mut block);
        let rows = [subject];
        let rounds = Rounds {
            rows: &rows,
            same: &same,
            planted: &slow,
        };
        match gate.add(&rounds, share) {
            Next::More => ControlFlow::Continue(()),
            Next::Decided | Next::OutOfBudget => ControlFlow::Break(()),
        }
    })?;
    Ok((gate.judge(), sampled.as_secs_f64()))
}
