//! The regression gate of a benchmark: its rows, and the reference beside each variant. Pure.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use record::CheckHeader;
use serde::{Deserialize, Serialize};
use spec::Benchmark;
use spec::benchmark::{Measure, Point};
use spec::quantity::{ParseQuantity, Span};

use crate::plan::SpecFile;

/// Name of the subject that the others are compared with.
pub const REFERENCE: &str = "reference";

/// What its checks are about, as their headers say.
pub const ABOUT: &str = "gate";

/// Fewer neighbouring rounds are not handed over together.
const FEWEST: u64 = 2;

/// Nor are more.
const MOST: u64 = 10;

/// Blocks that a budget should have: a look needs eight, and there are two stages.
const BLOCKS: u64 = 40;

/// What a gate is to decide, and in which time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Against {
    /// The slowdown that is tolerated, as a share of the reference: 0.02 for 2 %.
    pub tolerated: f64,
    /// After how much it ends undecided.
    pub budget: Budget,
    /// The reference is the subject itself when nobody watches it, so that what measuring adds is what it is slower by.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bare: bool,
}

/// How long one benchmark may sample for a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Budget {
    /// So long.
    Time(Duration),
    /// So many rounds.
    Rounds(u32),
}

impl Budget {
    /// The share of it that is spent after some time and some rounds.
    pub fn spent(self, time: Duration, rounds: u64) -> f64 {
        match self {
            Self::Time(all) => time.as_secs_f64() / all.as_secs_f64(),
            Self::Rounds(all) => rounds as f64 / f64::from(all),
        }
    }

    /// How long it may be at most; rounds are not bounded more than other samples are.
    pub fn most(self) -> Duration {
        match self {
            Self::Time(all) => all,
            Self::Rounds(_) => Duration::from_secs(6 * 3600),
        }
    }

    /// How many neighbouring rounds are handed over at once, if a round takes this long: ten, but fewer of a budget that has
    /// few, because a look needs eight blocks.
    pub fn block(self, round: Duration) -> u64 {
        let rounds = match self {
            Self::Time(all) => (all.as_secs_f64() / round.as_secs_f64().max(1e-6)) as u64,
            Self::Rounds(all) => u64::from(all),
        };
        (rounds / BLOCKS).clamp(FEWEST, MOST)
    }
}

impl FromStr for Budget {
    type Err = ParseQuantity;

    /// `60s`, or `200rounds`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rounds = text
            .strip_suffix("rounds")
            .and_then(|number| number.trim().parse().ok());
        match rounds.filter(|rounds| *rounds > 0) {
            Some(rounds) => Ok(Self::Rounds(rounds)),
            None => text.parse::<Span>().map(|span| Self::Time(span.0)),
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(all) => Span(*all).fmt(out),
            Self::Rounds(all) => write!(out, "{all}rounds"),
        }
    }
}

/// The part of a case in a gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    /// What is to be decided.
    pub against: Against,
    /// Rows of the whole run, which share the error.
    pub rows: u64,
    /// Id of the case that the samples of this one are paired with; `None` of the reference itself, which has two arms more.
    pub reference: Option<String>,
}

/// Whether a slowdown can be planted into a measure: a command of the runtime is within.
pub fn can_be_slowed(measure: &Measure) -> bool {
    let (Some(from), Some(to)) = (&measure.from, &measure.to) else {
        return false;
    };
    let called = [
        (Point::Create, Point::Created),
        (Point::Start, Point::ProcessStarted),
        (Point::Exec, Point::Execed),
        (Point::Exit, Point::Deleted),
    ];
    called
        .iter()
        .any(|(before, after)| from.value <= *before && *after <= to.value)
}

/// Points that are noted of a start that nobody watches.
const UNWATCHED: [Point; 3] = [Point::Create, Point::Start, Point::FirstByte];

/// Makes a gate of a benchmark: the reference stands in the place of a baseline. What cannot be compared with a reference that
/// nobody watches is left out.
pub(super) fn prepare(benchmark: &mut Benchmark, against: Against) {
    if against.bare {
        let is_seen = |point: &Option<spec::Spanned<Point>>| {
            let point = point.as_ref();
            point.is_some_and(|point| UNWATCHED.contains(&point.value))
        };
        if benchmark.lives() {
            benchmark.measure.clear();
        }
        benchmark
            .measure
            .retain(|_, measure| is_seen(&measure.from) && is_seen(&measure.to));
        // What is accepted of a start is not asked of the cost of looking at it.
        benchmark.thresholds.clear();
        benchmark.sampling.background = 0;
    }
    benchmark.baseline = None;
    // A pair is one sample of each, and how long a round is must not depend on anything else.
    benchmark.sampling.arrival = spec::benchmark::Arrival::default();
    for threshold in &mut benchmark.thresholds {
        threshold.value.regression = None;
    }
    let still = |threshold: &spec::benchmark::Threshold| threshold.max.is_some() || threshold.min.is_some();
    benchmark.thresholds.retain(|threshold| still(&threshold.value));
}

/// What becomes of a measure in the subject's case.
pub fn row(measure: &str) -> String {
    format!("against-{measure}")
}

/// Whether the gate is quiet about the reference itself.
pub fn quiet(measure: &str) -> String {
    format!("quiet-{measure}")
}

/// Whether the gate sees what is planted.
pub fn caught(measure: &str) -> String {
    format!("caught-{measure}")
}

/// The checks of a subject's case, or of the reference's.
pub(super) fn checks<'b>(
    file: &'b SpecFile,
    benchmark: &'b Benchmark,
    is_reference: bool,
) -> impl Iterator<Item = CheckHeader> + 'b {
    let names: &[fn(&str) -> String] = if is_reference { &[quiet, caught] } else { &[row] };
    let measures = benchmark
        .measure
        .iter()
        .filter(move |(_, measure)| can_be_slowed(measure));
    measures.flat_map(move |(name, measure)| {
        names.iter().map(move |id| CheckHeader {
            id: id(name),
            at: format!("{}:{}:{}", file.path, measure.at.line, measure.at.column),
            about: ABOUT.into(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_time_or_rounds() {
        let budget = |text: &str| text.parse::<Budget>().map(|budget| (budget, budget.to_string()));
        let minute = Budget::Time(Duration::from_secs(60));
        assert_eq!(budget("60s").map(|(budget, _)| budget), Ok(minute));
        assert_eq!(budget("40rounds"), Ok((Budget::Rounds(40), "40rounds".into())));
        for odd in ["rounds", "0rounds", "x", ""] {
            assert!(budget(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_small_budget_has_small_blocks() {
        let block = |text: &str, round: u64| text.parse::<Budget>().unwrap().block(Duration::from_millis(round));
        assert_eq!((block("40rounds", 1), block("4000rounds", 1)), (2, 10));
        assert_eq!((block("60s", 100), block("60s", 300), block("60s", 9000)), (10, 5, 2));
    }

    #[test]
    fn what_is_spent_is_a_share_of_what_may_be() {
        let spent = |text: &str| text.parse::<Budget>().unwrap().spent(Duration::from_secs(15), 10);
        assert_eq!((spent("60s"), spent("40rounds")), (0.25, 0.25));
    }
}
