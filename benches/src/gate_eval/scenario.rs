//! What is asked of the gate.

use std::time::Duration;

use statistics::chance::Chance;
use statistics::decision::Decision;
use statistics::gate::Judgement;
use statistics::replay::replay;
use statistics::sampler::Rules;

use super::Recording;

/// What is different about the subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    /// It is the reference.
    Nothing,
    /// It takes 5 % longer.
    FivePercent,
    /// It takes 2 % longer.
    TwoPercent,
}

impl Plant {
    /// As a share of the reference.
    #[must_use]
    pub fn delay(self) -> f64 {
        match self {
            Plant::Nothing => 0.0,
            Plant::FivePercent => 0.05,
            Plant::TwoPercent => 0.02,
        }
    }
}

/// How long a run may sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budgets {
    /// For 5 %.
    pub short: Duration,
    /// For 2 %.
    pub long: Duration,
}

/// One question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scenario {
    /// The subject.
    pub plant: Plant,
    /// How long a run may sample.
    pub budget: Duration,
    /// The rules of the gate.
    pub rules: Rules,
    /// The share of runs that must be called regressed at least, or, without a plant, at most.
    pub must: f64,
}

impl Scenario {
    /// All of them. What is tolerated is not reported, hence whoever wants to see 2 % tolerates less: half a per cent.
    #[must_use]
    pub fn all(budgets: &Budgets) -> [Self; 4] {
        let usual = Rules::default();
        let narrow = Rules {
            tolerated: 0.005,
            ..usual
        };
        [
            (Plant::Nothing, budgets.short, usual, 0.01),
            (Plant::Nothing, budgets.long, narrow, 0.01),
            (Plant::FivePercent, budgets.short, usual, 0.95),
            (Plant::TwoPercent, budgets.long, narrow, 0.80),
        ]
        .map(|(plant, budget, rules, must)| Self {
            plant,
            budget,
            rules,
            must,
        })
    }
}

/// How runs ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counted {
    /// Called regressed.
    pub regressed: u64,
    /// Passed.
    pub pass: u64,
    /// Not decided.
    pub inconclusive: u64,
    /// Runs in which the gate called the reference slower than itself.
    pub cried: u64,
    /// Runs in which the gate did not catch its own plant.
    pub slept: u64,
    /// How long each run sampled, in seconds.
    pub took: Vec<f64>,
}

impl Counted {
    /// Counts a run of one row that took so many seconds.
    pub fn add(&mut self, judgement: &Judgement, took: f64) {
        *match judgement.rows.first() {
            Some(Decision::Regressed { .. }) => &mut self.regressed,
            Some(Decision::Pass { .. }) => &mut self.pass,
            Some(Decision::Inconclusive { .. }) | None => &mut self.inconclusive,
        } += 1;
        self.cried += u64::from(matches!(judgement.same, Decision::Regressed { .. }));
        self.slept += u64::from(!matches!(judgement.planted, Decision::Regressed { .. }));
        self.took.push(took);
    }

    /// How many there were.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.regressed + self.pass + self.inconclusive
    }
}

/// How long neighbouring rounds stay together.
const STRETCH: Duration = Duration::from_secs(3);

/// `count` runs put together from what was recorded, each from one recording.
#[must_use]
pub fn replayed(recordings: &[Recording], scenario: &Scenario, count: usize, chance: &mut Chance) -> Counted {
    let recorded: Vec<Vec<statistics::replay::Round>> = recordings
        .iter()
        .map(|recording| recording.rounds(scenario.plant))
        .filter(|rounds| !rounds.is_empty())
        .collect();
    let mut counted = Counted::default();
    for _ in 0..count {
        let Some(rounds) = recorded.get(chance.below(recorded.len())) else {
            break;
        };
        let mean = rounds.iter().map(|round| round.took).sum::<f64>() / rounds.len() as f64;
        let stretch = (STRETCH.as_secs_f64() / mean).ceil().max(1.0) as usize;
        let budget = scenario.budget.as_secs_f64();
        if let Some(run) = replay(rounds, stretch, budget, scenario.rules, chance) {
            counted.add(&run.judgement, run.took);
        }
    }
    counted
}
