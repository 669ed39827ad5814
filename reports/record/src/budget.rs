//! How many checks may be skipped, and what the verdicts of a run come to: the one place where its exit code is decided.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Tally, Verdict};

/// How many checks may be skipped because a requirement is not met. Stands in the record, so that whoever judges it again
/// comes to the same exit code.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SkipBudget {
    /// None at all.
    #[serde(default)]
    pub strict: bool,
    /// At most so many of some; all of these must hold.
    #[serde(default)]
    pub limits: Vec<SkipLimit>,
}

/// One limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SkipLimit {
    /// Key and value of the label whose tests are counted; every test without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<(String, String)>,
    /// How many.
    pub most: Allowance,
}

/// How many skips are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Allowance {
    /// So many checks.
    Count(u64),
    /// So much of a hundred of the checks that are counted.
    Percent(f64),
}

/// A text that is no [`SkipLimit`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a limit of skips such as `3`, `5%`, `area=cgroup:0` or `area=cgroup:5%`")]
pub struct ParseSkipLimit(String);

impl FromStr for SkipLimit {
    type Err = ParseSkipLimit;
    fn from_str(text: &str) -> Result<Self, ParseSkipLimit> {
        let fault = || ParseSkipLimit(text.to_owned());
        let (label, most) = match text.rsplit_once(':') {
            None => (None, text),
            Some((label, most)) => {
                let (key, value) = label.split_once('=').ok_or_else(fault)?;
                if key.trim().is_empty() || value.trim().is_empty() {
                    return Err(fault());
                }
                (Some((key.trim().to_owned(), value.trim().to_owned())), most)
            }
        };
        let most = match most.trim().strip_suffix('%') {
            Some(share) => share
                .trim()
                .parse()
                .ok()
                .filter(|share| (0.0..=100.0).contains(share))
                .map(Allowance::Percent),
            None => most.trim().parse().ok().map(Allowance::Count),
        };
        Ok(Self {
            label,
            most: most.ok_or_else(fault)?,
        })
    }
}

impl SkipBudget {
    /// Nothing is asked for.
    pub fn is_empty(&self) -> bool {
        !self.strict && self.limits.is_empty()
    }
}

/// What was skipped of what a budget counts, while verdicts come in.
#[derive(Debug, Clone, Default)]
pub struct Account {
    budget: SkipBudget,
    /// Skipped and all checks: of the whole run, then of each limit.
    counts: Vec<(u64, u64)>,
}

impl Account {
    /// An account on which nothing was spent.
    pub fn new(budget: SkipBudget) -> Self {
        let counts = vec![(0, 0); budget.limits.len() + 1];
        Self { budget, counts }
    }

    /// Counts one verdict on a check of a test with these labels.
    pub fn count(&mut self, labels: &BTreeMap<String, String>, verdict: &Verdict) {
        // What was not come to after a failure says nothing about the host.
        let skipped = matches!(verdict, Verdict::Skip { after_step: false, .. });
        let scopes = std::iter::once(None).chain(self.budget.limits.iter().map(|limit| limit.label.as_ref()));
        for (label, (skips, all)) in scopes.zip(&mut self.counts) {
            if label.is_none_or(|(key, value)| labels.get(key) == Some(value)) {
                *skips += u64::from(skipped);
                *all += 1;
            }
        }
    }

    /// Every limit that is exceeded.
    pub fn overdrawn(&self) -> Vec<Overdrawn> {
        let strict = SkipLimit {
            label: None,
            most: Allowance::Count(0),
        };
        let of_all = self.budget.strict.then_some(&strict).into_iter();
        let of_all = of_all.zip(self.counts.iter().take(1));
        let of_each = self.budget.limits.iter().zip(self.counts.iter().skip(1));
        of_all
            .chain(of_each)
            .filter(|(limit, (skipped, all))| match limit.most {
                Allowance::Count(most) => *skipped > most,
                Allowance::Percent(most) => *skipped as f64 * 100.0 > most * *all as f64,
            })
            .map(|(limit, (skipped, all))| Overdrawn {
                limit: limit.clone(),
                skipped: *skipped,
                all: *all,
            })
            .collect()
    }

    /// Labels of limits that count no check at all.
    pub fn idle(&self) -> impl Iterator<Item = &(String, String)> {
        let counted = self.budget.limits.iter().zip(self.counts.iter().skip(1));
        counted
            .filter(|(_, (_, all))| *all == 0)
            .filter_map(|(limit, _)| limit.label.as_ref())
    }
}

/// A limit of skips that is exceeded.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overdrawn {
    /// The limit.
    pub limit: SkipLimit,
    /// How many checks were skipped of those that it counts.
    pub skipped: u64,
    /// How many it counts.
    pub all: u64,
}

impl fmt::Display for Overdrawn {
    /// As a sentence: `7 of 90 checks of area=cgroup were skipped, at most 3 may be`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, skipped, all } = self;
        let checks = if *all == 1 { "check" } else { "checks" };
        write!(f, "{skipped} of {all} {checks}")?;
        if let Some((key, value)) = &limit.label {
            write!(f, " of {key}={value}")?;
        }
        let were = if *skipped == 1 { "was" } else { "were" };
        match limit.most {
            Allowance::Count(0) => write!(f, " {were} skipped, none may be"),
            Allowance::Count(most) => write!(f, " {were} skipped, at most {most} may be"),
            Allowance::Percent(most) => write!(f, " {were} skipped, at most {most} % may be"),
        }
    }
}

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ending {
    /// The verdicts.
    pub tally: Tally,
    /// Limits of skips that are exceeded.
    pub overdrawn: Vec<Overdrawn>,
    /// Checks without proof where proof is required.
    pub unproven: u64,
    /// How much could not be removed.
    pub leftovers: u64,
}

impl Ending {
    /// The exit code (design: verdicts and exit codes). 2 is told by other means, and so is a run that was cut short.
    ///
    /// 0 all passed · 1 a check failed, was flaky, or passed against its known failure · 3 not measured, or left behind · 4 nothing ran or
    /// everything was skipped · 5 inconclusive · 6 more was skipped than may be · 7 unproven where proof is required. Of 3, 1, 7, 5, 6
    /// and 4 the first wins.
    pub fn exit_code(&self) -> u8 {
        let tally = &self.tally;
        if tally.error + self.leftovers > 0 {
            3
        } else if tally.fail + tally.unexpected + tally.flaky > 0 {
            1
        } else if self.unproven > 0 {
            7
        } else if tally.inconclusive > 0 {
            5
        } else if !self.overdrawn.is_empty() {
            6
        } else if tally.pass + tally.known + tally.flaky_allowed == 0 {
            4
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(area: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("area".to_owned(), area.to_owned())])
    }

    fn skip(after_step: bool) -> Verdict {
        Verdict::Skip {
            requirement: "swap: true".into(),
            seen: "no swap is configured".into(),
            after_step,
        }
    }

    fn pass() -> Verdict {
        Verdict::Pass { seen: "it".into() }
    }

    /// Of 10 checks, 6 of area=cgroup, 3 are skipped, 2 of them of area=cgroup.
    fn sentences(budget: SkipBudget) -> Vec<String> {
        let mut account = Account::new(budget);
        for (area, verdict, times) in [
            ("cgroup", pass(), 4),
            ("cgroup", skip(false), 2),
            ("security", pass(), 2),
            ("security", skip(false), 1),
            ("security", skip(true), 1),
        ] {
            for _ in 0..times {
                account.count(&labels(area), &verdict);
            }
        }
        account.overdrawn().iter().map(ToString::to_string).collect()
    }

    fn limited(limits: &[&str]) -> SkipBudget {
        SkipBudget {
            strict: false,
            limits: limits.iter().map(|limit| limit.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn a_budget_is_exceeded_by_one_skip_more_and_not_by_the_last_that_is_allowed() {
        for (limit, told) in [
            ("3", ""),
            ("2", "3 of 10 checks were skipped, at most 2 may be"),
            ("30%", ""),
            ("29.9%", "3 of 10 checks were skipped, at most 29.9 % may be"),
            ("area=cgroup:2", ""),
            (
                "area=cgroup:1",
                "2 of 6 checks of area=cgroup were skipped, at most 1 may be",
            ),
            (
                "area=cgroup:33%",
                "2 of 6 checks of area=cgroup were skipped, at most 33 % may be",
            ),
            ("area=cgroup:34%", ""),
            (
                "area=security:0",
                "1 of 4 checks of area=security was skipped, none may be",
            ),
            ("area=none:0", ""),
        ] {
            assert_eq!(sentences(limited(&[limit])).join("; "), told, "{limit}");
        }
    }

    #[test]
    fn each_limit_is_told_by_itself() {
        assert_eq!(sentences(limited(&["1", "area=cgroup:9", "area=security:0"])).len(), 2);
        assert_eq!(sentences(SkipBudget::default()), [""; 0]);
    }

    #[test]
    fn strict_allows_no_skip_but_those_after_a_failed_step() {
        let strict = SkipBudget {
            strict: true,
            limits: Vec::new(),
        };
        assert_eq!(sentences(strict.clone()), ["3 of 10 checks were skipped, none may be"]);
        let mut account = Account::new(strict);
        account.count(&labels("x"), &skip(true));
        assert_eq!(account.overdrawn(), []);
    }

    #[test]
    fn a_limit_that_counts_nothing_is_told() {
        let mut account = Account::new(limited(&["area=cgorup:0", "area=cgroup:0", "1"]));
        account.count(&labels("cgroup"), &pass());
        let idle: Vec<_> = account.idle().map(|(_, value)| value.as_str()).collect();
        assert_eq!(idle, ["cgorup"]);
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for text in [
            "", "x", "-1", "101%", "-1%", "area:3", "area=:3", "=x:3", "area=x:", "NaN%", "1.5",
        ] {
            assert!(text.parse::<SkipLimit>().is_err(), "{text}");
        }
    }

    #[test]
    fn nothing_ran_means_nothing_passed() {
        let of = |tally| Ending {
            tally,
            ..Ending::default()
        };
        let skipped = Tally {
            skip: 3,
            ..Tally::default()
        };
        assert_eq!(Ending::default().exit_code(), 4);
        assert_eq!(of(skipped).exit_code(), 4);
        assert_eq!(of(Tally { pass: 1, ..skipped }).exit_code(), 0);
    }

    #[test]
    fn of_3_1_7_5_6_and_4_the_first_wins() {
        let overdrawn = {
            let mut account = Account::new(limited(&["0"]));
            account.count(&labels("x"), &skip(false));
            account.overdrawn()
        };
        let mut ending = Ending {
            tally: Tally {
                skip: 1,
                fail: 1,
                unexpected: 1,
                inconclusive: 1,
                error: 1,
                ..Tally::default()
            },
            overdrawn,
            unproven: 1,
            leftovers: 1,
        };
        let mut codes = vec![ending.exit_code()];
        ending.tally.error = 0;
        codes.push(ending.exit_code());
        ending.leftovers = 0;
        codes.push(ending.exit_code());
        ending.tally.fail = 0;
        codes.push(ending.exit_code());
        ending.tally.unexpected = 0;
        codes.push(ending.exit_code());
        ending.unproven = 0;
        codes.push(ending.exit_code());
        ending.tally.inconclusive = 0;
        codes.push(ending.exit_code());
        ending.overdrawn.clear();
        codes.push(ending.exit_code());
        ending.tally.pass = 1;
        codes.push(ending.exit_code());
        assert_eq!(codes, [3, 3, 1, 1, 7, 5, 6, 4, 0]);
    }
}
