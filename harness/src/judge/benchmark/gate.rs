//! Rows of a regression gate, from samples: one subject's measure against the reference's, round by round.
//!
//! The same rounds come to the same decisions, whether they are heard one after the other as they are measured, which is
//! how the drive knows when it may end, or all at once from a record.

use std::collections::BTreeMap;

use record::bench::{Arm, Gate as Asked, Sample};
use record::{Event, Verdict};
use spec::benchmark::Measure;
use statistics::chance::Chance;
use statistics::decision::{Decision, Open, percent};
use statistics::gate::{Gate, Judgement, Next, Rounds, planted};
use statistics::pairs::{Better, log_ratio};
use statistics::sampler::Rules;
use statrs::distribution::{Binomial, DiscreteCDF};

use super::super::Judged;
use super::{Known, failure, value};
use crate::plan::benchmark::gate::{self as plan, can_be_slowed};

/// How often a row may be called regressed that is not, if it is one of so many.
pub(crate) fn error(rows: u64) -> f64 {
    Rules::default().error / rows.max(1) as f64
}

/// A measure of a subject beside that of the reference.
pub(crate) struct Row {
    subject: String,
    reference: String,
    measure: Measure,
    asked: Asked,
    gate: Gate,
    next: Next,
    /// Log-ratios that are not handed over yet: of the subject, of the reference against itself, and with the plant.
    waiting: [Vec<f64>; 3],
    /// Rounds since the last were handed over.
    rounds: u64,
    /// Pairs that were handed over, of each.
    pairs: [u64; 3],
    /// Rounds in which the subject alone failed, and in which the reference alone did.
    failed: [u64; 2],
    /// The first failure of the subject.
    first: Option<String>,
}

impl Row {
    /// The rows of a case whose samples are paired with those of `reference`. `seed` is that of the order of samples.
    pub(crate) fn all<'m>(
        measures: impl IntoIterator<Item = (&'m String, &'m Measure)>,
        subject: &str,
        reference: &str,
        asked: Asked,
        seed: u64,
    ) -> Vec<(String, Self)> {
        let rules = Rules {
            tolerated: asked.tolerated,
            error: asked.error,
            block: usize::try_from(asked.block).unwrap_or(1).max(1),
            ..Rules::default()
        };
        let of = |measure: &Measure| Self {
            subject: subject.into(),
            reference: reference.into(),
            measure: measure.clone(),
            asked,
            gate: Gate::new(rules, 1, &mut Chance::new(seed)),
            next: Next::More,
            waiting: Default::default(),
            rounds: 0,
            pairs: [0; 3],
            failed: [0; 2],
            first: None,
        };
        let rows = measures.into_iter().filter(|(_, measure)| can_be_slowed(measure));
        rows.map(|(name, measure)| (name.clone(), of(measure))).collect()
    }

    /// Takes what was measured in a round; samples of other cases may be among it.
    pub(crate) fn round<'s>(&mut self, samples: impl IntoIterator<Item = &'s Sample>) {
        let mut own = [None; 4];
        let mut spent = 0.0f64;
        for sample in samples {
            let place = match sample.arm {
                None if sample.case == self.reference => 0,
                // The reference's own rows have it for their subject, too.
                None if sample.case == self.subject => 1,
                Some(Arm::Again) if sample.case == self.reference => 2,
                Some(Arm::Planted) if sample.case == self.reference => 3,
                _ => continue,
            };
            own[place] = Some(sample);
            spent = spent.max(sample.spent.unwrap_or_default());
        }
        let [reference, subject, again, planted] = own;
        self.count_failures(subject, reference);
        let time = |sample: Option<&Sample>| value(sample?, &self.measure);
        let worse = |sample| log_ratio(time(reference)?, time(sample)?, Better::Less);
        let found = [worse(subject), worse(again), worse(planted)];
        for (waiting, found) in self.waiting.iter_mut().zip(found) {
            waiting.extend(found);
        }
        self.rounds += 1;
        if self.rounds >= self.asked.block || spent >= 1.0 {
            self.hand_over(spent);
        }
    }

    fn count_failures(&mut self, subject: Option<&Sample>, reference: Option<&Sample>) {
        let why = subject.and_then(failure);
        match (&why, reference.and_then(failure)) {
            (Some(_), None) => self.failed[0] += 1,
            (None, Some(_)) => self.failed[1] += 1,
            _ => {}
        }
        self.first = self.first.take().or(why);
    }

    fn hand_over(&mut self, spent: f64) {
        let [row, same, planted] = std::mem::take(&mut self.waiting);
        self.rounds = 0;
        for (pairs, more) in self.pairs.iter_mut().zip([&row, &same, &planted]) {
            *pairs += more.len() as u64;
        }
        let rounds = Rounds {
            rows: &[row],
            same: &same,
            planted: &planted,
        };
        self.next = self.gate.add(&rounds, spent);
    }

    /// Whether more rounds may decide.
    pub(crate) fn is_open(&self) -> bool {
        self.next == Next::More
    }

    /// Whether its samples are those of this case.
    pub(crate) fn is_of(&self, case: &str) -> bool {
        self.subject == case || self.reference == case
    }

    /// How probable it is that of the rounds in which one of both failed it is so often the subject, if both fail alike.
    fn chance_of_failures(&self) -> f64 {
        let [own, other] = self.failed;
        match Binomial::new(0.5, own + other) {
            Ok(even) if own > 0 => even.sf(own - 1),
            _ => 1.0,
        }
    }

    /// What becomes of the subject's measure.
    fn verdict(&self, name: &str) -> Verdict {
        let Judgement { rows, planted, .. } = self.gate.judge();
        let Some(decision) = rows.first() else {
            return Verdict::Error {
                message: "the gate has no row".into(),
            };
        };
        let tolerated = self.asked.tolerated * 100.0;
        let want = format!("{name} at most {tolerated} % slower than the reference");
        if self.chance_of_failures() <= self.asked.error {
            return Verdict::Fail {
                want,
                got: self.failures(),
                because: self.first.clone(),
            };
        }
        let told = Self::told(name, decision, self.pairs[0]);
        match decision {
            Decision::Regressed { p, .. } => Verdict::Fail {
                want,
                got: format!("regressed: {told}, p {p:.1e}"),
                because: None,
            },
            Decision::Pass { .. } if self.failed[0] > 0 => {
                self.open(decision, format!("{told}, but {}", self.failures()))
            }
            Decision::Pass { .. } => {
                let seen = planted.slowdown().map(percent).unwrap_or_default();
                Verdict::Pass {
                    seen: format!("{told}, {tolerated} % tolerated; what was planted was seen as {seen}"),
                }
            }
            Decision::Inconclusive { .. } => self.open(decision, told),
        }
    }

    /// Whether the gate is quiet about the reference against itself.
    fn verdict_of_same(&self, name: &str) -> Verdict {
        let same = self.gate.judge().same;
        let told = Self::told(name, &same, self.pairs[1]);
        match same {
            Decision::Regressed { .. } => self.open(
                &same,
                format!(
                    "the reference seems to be slower than itself: {told}; nothing that it calls slower is believed"
                ),
            ),
            Decision::Pass { .. } | Decision::Inconclusive { .. } => Verdict::Pass {
                seen: format!("not called slower than itself: {told}"),
            },
        }
    }

    /// Whether the gate sees what was planted.
    fn verdict_of_planted(&self, name: &str) -> Verdict {
        let slow = planted(self.asked.tolerated) * 100.0;
        let planted = self.gate.judge().planted;
        let told = Self::told(name, &planted, self.pairs[2]);
        match planted {
            Decision::Regressed { .. } => Verdict::Pass {
                seen: format!("{slow} % were planted, and seen: {told}"),
            },
            Decision::Pass { .. } | Decision::Inconclusive { .. } => {
                self.open(&planted, format!("{slow} % were planted, and not seen: {told}"))
            }
        }
    }

    fn failures(&self) -> String {
        let [own, other] = self.failed;
        format!("it failed in {own} rounds in which the reference did not, and the reference in {other} others")
    }

    fn told(name: &str, decision: &Decision, pairs: u64) -> String {
        let slowdown = decision.slowdown().map_or_else(|| "unknown".into(), percent);
        let mut text = format!("{name} {slowdown}, {pairs} pairs");
        if let Decision::Inconclusive {
            why,
            smallest,
            more_pairs,
            ..
        } = decision
        {
            // What the gate cannot tell of itself, its own rows say.
            if !matches!(why, Open::OutOfBudget) {
                text.push_str(&format!("; {why}"));
            }
            if let Some(smallest) = smallest {
                text.push_str(&format!("; {:+.2} % would have been seen", smallest * 100.0));
            }
            if let Some(more) = more_pairs {
                text.push_str(&format!("; about {more} more pairs would decide"));
            }
        }
        text
    }

    fn open(&self, decision: &Decision, more: String) -> Verdict {
        let interval = decision
            .slowdown()
            .map_or([f64::MIN, f64::MAX], |found| [1.0 + found.low, 1.0 + found.high]);
        Verdict::Inconclusive {
            n: self.pairs[0].max(self.pairs[1]),
            interval: interval.map(|end| end.clamp(f64::MIN, f64::MAX)),
            more,
        }
    }
}

/// The verdicts of a case about its part in a gate.
pub(super) fn verdicts(known: &Known<'_>, id: &str, events: &[Event]) -> Vec<Judged> {
    let Some(part) = &known.measured.gate else {
        return Vec::new();
    };
    let measures = known.measured.benchmark.measure.iter();
    let measures: Vec<_> = measures.map(|(name, measure)| (name, &measure.value)).collect();
    let checks: &[fn(&str) -> String] = match part.reference {
        Some(_) => &[plan::row],
        None => &[plan::quiet, plan::caught],
    };
    let ids = measures
        .iter()
        .filter(|(_, measure)| can_be_slowed(measure))
        .flat_map(|(name, _)| checks.iter().map(|check| check(name)));
    let asked = known.setting.and_then(|setting| Some((setting.gate?, setting.seed)));
    let (Some((asked, seed)), None) = (asked, known.ended.as_ref()) else {
        let ended = known.ended.clone().unwrap_or(Verdict::Error {
            message: "not one round was measured".into(),
        });
        let judged = |check| Judged {
            check,
            verdict: ended.clone(),
            looks: 0,
            absent: false,
        };
        return ids.map(judged).collect();
    };
    let reference = part.reference.as_deref().unwrap_or(id);
    let mut rounds: BTreeMap<u64, Vec<&Sample>> = BTreeMap::new();
    for event in events {
        if let Event::Sample(sample) = event
            && !sample.warmup
        {
            rounds.entry(sample.round).or_default().push(sample);
        }
    }
    let mut judged = Vec::new();
    for (name, mut row) in Row::all(measures, id, reference, asked, seed) {
        for samples in rounds.values() {
            row.round(samples.iter().copied());
        }
        let [own, same, planted] = row.pairs;
        let told = if part.reference.is_some() {
            vec![(plan::row(&name), row.verdict(&name), own)]
        } else {
            vec![
                (plan::quiet(&name), row.verdict_of_same(&name), same),
                (plan::caught(&name), row.verdict_of_planted(&name), planted),
            ]
        };
        judged.extend(told.into_iter().map(|(check, verdict, looks)| Judged {
            check,
            verdict,
            looks,
            absent: false,
        }));
    }
    judged
}
