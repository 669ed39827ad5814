//! What the verdicts of a check come to when its case was tried more than once, and what the verdicts of a run come to.

use serde::{Deserialize, Serialize};

use crate::{Account, CaseHeader, Ending, Event, SkipBudget, Tally, Verdict};

/// A check that passed in its last attempt and did not in an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Flaky {
    /// How many attempts did not pass.
    pub failed: u32,
    /// How many attempts looked at it.
    pub of: u32,
    /// The spec allows it: it is green, and told.
    pub allowed: bool,
}

/// What the attempts at a check come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settled<'v> {
    /// The verdict that speaks for all.
    pub verdict: &'v Verdict,
    /// It did not pass each time.
    pub flaky: Option<Flaky>,
    /// Of a flaky check, the last verdict that was no pass.
    pub failure: Option<&'v Verdict>,
}

/// Settles the verdicts of one check, in the order of the attempts. `None` if there are none.
///
/// The last attempt that looked at the check decides, so that a failure is not covered by a later attempt that did not
/// come so far. A check that is known to fail is judged by its failure, and passes unexpectedly only if it always does.
pub fn settle<'v>(attempts: &[&'v Verdict], known: bool, allowed: bool) -> Option<Settled<'v>> {
    let plain = |verdict: &'v Verdict| Settled {
        verdict,
        flaky: None,
        failure: None,
    };
    let looked: Vec<&'v Verdict> = attempts
        .iter()
        .copied()
        .filter(|verdict| !matches!(verdict, Verdict::Skip { .. }))
        .collect();
    let Some(last) = looked.last() else {
        return attempts.last().map(|skip| plain(skip));
    };
    if known && let Some(failure) = looked.iter().find(|verdict| matches!(verdict, Verdict::Fail { .. })) {
        return Some(plain(failure));
    }
    let is_pass = |verdict: &Verdict| matches!(verdict, Verdict::Pass { .. });
    let failures = looked.iter().filter(|verdict| !is_pass(verdict));
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let failure = failures.clone().next_back().copied();
    if !is_pass(last) || failure.is_none() {
        return Some(plain(last));
    }
    Some(Settled {
        verdict: last,
        flaky: Some(Flaky {
            failed: count(failures.count()),
            of: count(looked.len()),
            allowed,
        }),
        failure,
    })
}

impl CaseHeader {
    /// The id that all attempts at the case have in common: that of the first.
    pub fn base(&self) -> &str {
        let suffix = format!("#{}", self.attempt);
        match self.id.strip_suffix(&suffix) {
            Some(base) if self.attempt > 1 => base,
            Some(_) | None => &self.id,
        }
    }

    /// The header of a later attempt at the same case.
    #[must_use]
    pub fn again(&self, attempt: u32) -> Self {
        let base = self.base();
        Self {
            id: if attempt > 1 {
                format!("{base}#{attempt}")
            } else {
                base.to_owned()
            },
            attempt,
            ..self.clone()
        }
    }
}

/// The verdicts of a run by case and check, with all attempts.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    cases: Vec<LedgerCase>,
    leftovers: u64,
}

/// A case of a run.
#[derive(Debug, Clone)]
pub struct LedgerCase {
    /// What it is; of the first attempt.
    pub header: CaseHeader,
    /// What became of its checks, in the order in which they were judged.
    pub checks: Vec<LedgerCheck>,
    /// How long the last attempt took, milliseconds; `None` if it did not come to its end.
    pub took: Option<f64>,
    /// Ids of its attempts.
    ids: Vec<String>,
}

/// A check of a run.
#[derive(Debug, Clone)]
pub struct LedgerCheck {
    /// Its id.
    pub id: String,
    /// The reason for which the spec expects a failure.
    pub known: Option<String>,
    /// A verdict of each attempt that came to one.
    pub verdicts: Vec<Verdict>,
    allowed: bool,
}

impl LedgerCheck {
    /// What its attempts come to.
    pub fn settled(&self) -> Option<Settled<'_>> {
        let verdicts: Vec<&Verdict> = self.verdicts.iter().collect();
        settle(&verdicts, self.known.is_some(), self.allowed)
    }
}

impl Ledger {
    /// That of a record.
    pub fn of<'e>(events: impl IntoIterator<Item = &'e Event>) -> Self {
        let mut ledger = Self::default();
        for event in events {
            ledger.take(event);
        }
        ledger
    }

    /// Enters what concerns it of an event.
    pub fn take(&mut self, event: &Event) {
        match event {
            // What becomes of a case that was broken on purpose is no result.
            Event::Case(header) if header.broken_on_purpose() => {}
            Event::Case(header) => {
                let base = header.base();
                let mut earlier = self.cases.iter_mut().rev().filter(|_| header.attempt > 1);
                match earlier.find(|case| case.header.id == base) {
                    Some(case) => case.ids.push(header.id.clone()),
                    None => self.cases.push(LedgerCase {
                        header: header.again(1),
                        checks: Vec::new(),
                        took: None,
                        ids: vec![header.id.clone()],
                    }),
                }
            }
            Event::Verdict {
                case,
                check,
                verdict,
                known,
                ..
            } => {
                if let Some(case) = self.case(case) {
                    case.enter(check, verdict, known.as_ref());
                }
            }
            Event::CaseEnd {
                case, took, leftovers, ..
            } => {
                if let Some(case) = self.case(case) {
                    case.took = Some(*took);
                    self.leftovers += leftovers.len() as u64;
                }
            }
            _ => {}
        }
    }

    fn case(&mut self, id: &str) -> Option<&mut LedgerCase> {
        let mut newest = self.cases.iter_mut().rev();
        newest.find(|case| case.ids.iter().any(|own| own == id))
    }

    /// The cases, as they began.
    pub fn cases(&self) -> &[LedgerCase] {
        &self.cases
    }

    /// Every check with its case.
    pub fn checks(&self) -> impl Iterator<Item = (&LedgerCase, &LedgerCheck)> {
        self.cases
            .iter()
            .flat_map(|case| case.checks.iter().map(move |check| (case, check)))
    }

    /// Whether a check of a case failed, was flaky or could not be measured, and neither was known or allowed.
    pub fn failed(&self, base: &str) -> bool {
        let mut newest = self.cases.iter().rev();
        newest.find(|case| case.header.id == base).is_some_and(|case| {
            case.checks.iter().any(|check| {
                check.settled().is_some_and(|settled| match settled.flaky {
                    Some(flaky) => !flaky.allowed,
                    None => settled.verdict.rank() >= 3 && check.known.is_none(),
                })
            })
        })
    }

    /// What was skipped of what a budget counts.
    pub fn account(&self, budget: &SkipBudget) -> Account {
        let mut account = Account::new(budget.clone());
        for (case, check) in self.checks() {
            if let Some(settled) = check.settled() {
                account.count(&case.header.labels, settled.verdict);
            }
        }
        account
    }

    /// What the run comes to, as far as verdicts and a budget of skips decide.
    pub fn ending(&self, budget: &SkipBudget) -> Ending {
        Ending {
            tally: self.tally(),
            overdrawn: self.account(budget).overdrawn(),
            unproven: 0,
            leftovers: self.leftovers,
        }
    }

    /// Counts of what the checks come to.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for (_, check) in self.checks() {
            if let Some(settled) = check.settled() {
                tally.settle(&settled, check.known.is_some());
            }
        }
        tally
    }
}

impl LedgerCase {
    fn enter(&mut self, id: &str, verdict: &Verdict, known: Option<&String>) {
        let at = self.checks.iter().position(|check| check.id == id).unwrap_or_else(|| {
            self.checks.push(LedgerCheck {
                id: id.to_owned(),
                known: known.cloned(),
                verdicts: Vec::new(),
                allowed: self.header.flaky_allowed,
            });
            self.checks.len() - 1
        });
        self.checks[at].verdicts.push(verdict.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(word: &str) -> Verdict {
        match word {
            "pass" => Verdict::Pass { seen: "s".into() },
            "fail" => Verdict::Fail {
                want: "w".into(),
                got: "g".into(),
                because: None,
            },
            "skip" => Verdict::Skip {
                requirement: "after step x".into(),
                seen: "that step did not pass".into(),
                after_step: true,
            },
            _ => Verdict::Error { message: "m".into() },
        }
    }

    fn settled(words: &str, known: bool) -> (String, Option<(u32, u32)>) {
        let all: Vec<Verdict> = words.split(' ').map(verdict).collect();
        let all: Vec<&Verdict> = all.iter().collect();
        let settled = settle(&all, known, false).unwrap();
        let flaky = settled.flaky.map(|flaky| (flaky.failed, flaky.of));
        assert_eq!(settled.failure.is_some(), flaky.is_some());
        (settled.verdict.word().to_owned(), flaky)
    }

    #[test]
    fn the_last_attempt_that_looked_decides_and_earlier_failures_are_not_hidden() {
        for (words, word, flaky) in [
            ("pass", "pass", None),
            ("skip", "skip", None),
            ("pass pass", "pass", None),
            ("fail pass", "pass", Some((1, 2))),
            ("fail error pass", "pass", Some((2, 3))),
            ("pass fail pass", "pass", Some((1, 3))),
            ("fail fail", "fail", None),
            ("pass fail", "fail", None),
            ("fail skip", "fail", None),
            ("skip pass", "pass", None),
            ("fail skip pass", "pass", Some((1, 2))),
            ("skip error", "error", None),
        ] {
            assert_eq!(settled(words, false), (word.to_owned(), flaky), "{words}");
        }
        assert_eq!(settle(&[], false, false), None);
    }

    #[test]
    fn a_known_failure_stays_one_and_passes_unexpectedly_only_if_it_always_does() {
        for (words, word) in [("fail pass", "fail"), ("pass fail", "fail"), ("pass pass", "pass")] {
            assert_eq!(settled(words, true), (word.to_owned(), None), "{words}");
        }
    }

    fn header(attempt: u32, flaky_allowed: bool) -> CaseHeader {
        CaseHeader {
            id: "t@bundled".into(),
            test: "t".into(),
            file: "t.yaml".into(),
            description: String::new(),
            labels: std::collections::BTreeMap::new(),
            matrix: std::collections::BTreeMap::new(),
            subject: "bundled".into(),
            target: "runtime".into(),
            sabotage: None,
            fault: None,
            proving: false,
            checks: Vec::new(),
            attempt: 1,
            patience: 1,
            flaky_allowed,
            t: 0.0,
        }
        .again(attempt)
    }

    fn attempt(number: u32, allowed: bool, words: [&str; 2]) -> Vec<Event> {
        let header = header(number, allowed);
        let id = header.id.clone();
        let judged = |check: &str, word| Event::Verdict {
            case: id.clone(),
            check: check.into(),
            verdict: verdict(word),
            looks: 1,
            known: None,
            absent: false,
        };
        vec![
            Event::Case(Box::new(header)),
            judged("a", words[0]),
            judged("b", words[1]),
            Event::CaseEnd {
                case: id.clone(),
                took: f64::from(number),
                overhead: 0.0,
                leftovers: Vec::new(),
            },
        ]
    }

    #[test]
    fn attempts_have_ids_of_their_own_and_one_base() {
        assert_eq!(header(1, false).id, "t@bundled");
        let third = header(3, false);
        assert_eq!((third.id.as_str(), third.base()), ("t@bundled#3", "t@bundled"));
        assert_eq!(third.again(2).id, "t@bundled#2");
        // An id that ends like one of an attempt is not taken for one.
        let mut other = header(1, false);
        other.id = "t[x=#1]@b#1".into();
        assert_eq!(other.base(), "t[x=#1]@b#1");
    }

    #[test]
    fn a_flaky_check_is_red_unless_the_spec_allows_it() {
        for (allowed, exit) in [(false, 1), (true, 0)] {
            let mut events = attempt(1, allowed, ["pass", "fail"]);
            events.extend(attempt(2, allowed, ["pass", "pass"]));
            let ledger = Ledger::of(&events);
            assert_eq!(ledger.cases().len(), 1);
            assert_eq!(ledger.cases()[0].took, Some(2.0));
            let ending = ledger.ending(&SkipBudget::default());
            let tally = ending.tally;
            let wanted = Tally {
                pass: 1,
                flaky: u64::from(!allowed),
                flaky_allowed: u64::from(allowed),
                ..Tally::default()
            };
            assert_eq!((tally, ending.exit_code()), (wanted, exit));
        }
    }

    #[test]
    fn what_is_left_behind_fails_a_run_in_which_all_passed() {
        let mut events = attempt(1, false, ["pass", "pass"]);
        let budget = SkipBudget::default();
        assert_eq!(Ledger::of(&events).ending(&budget).exit_code(), 0);
        if let Some(Event::CaseEnd { leftovers, .. }) = events.last_mut() {
            leftovers.push("namespace plimsoll-1".into());
        }
        assert_eq!(Ledger::of(&events).ending(&budget).exit_code(), 3);
    }

    #[test]
    fn a_check_that_never_passed_has_failed_once() {
        let mut events = attempt(1, true, ["pass", "fail"]);
        events.extend(attempt(2, true, ["pass", "fail"]));
        let ending = Ledger::of(&events).ending(&SkipBudget::default());
        assert_eq!((ending.tally.pass, ending.tally.fail, ending.exit_code()), (1, 1, 1));
    }
}
