//! A run as reports see it: events sorted into cases and checks.

use std::collections::BTreeSet;

use record::bench::Figures;
use record::{
    Account, CaseHeader, CheckHeader, Drift, Event, Flaky, Host, Overdrawn, ProofScore, SkipBudget, SubjectInfo, Tally,
    Vanished, Verdict, settle,
};

/// A run.
#[derive(Debug, Clone)]
pub struct Run<'a> {
    /// Its id.
    pub id: &'a str,
    /// Wall clock at its start, RFC 3339.
    pub started: &'a str,
    /// Version of plimsoll.
    pub plimsoll: &'a str,
    /// Its command line.
    pub argv: &'a [String],
    /// The host.
    pub host: &'a Host,
    /// The subjects.
    pub subjects: &'a [SubjectInfo],
    /// Its cases, as they began.
    pub cases: Vec<Case<'a>>,
    /// Counts of the verdicts.
    pub tally: Tally,
    /// Checks that are skipped although they ran on this machine before.
    pub drifts: Vec<&'a Drift>,
    /// Checks that are gone from their spec files.
    pub vanished: Vec<&'a Vanished>,
    /// How many checks may be skipped.
    pub skip_budget: &'a SkipBudget,
    /// How many of its checks were shown to be able to fail; `None` if nobody asked.
    pub proof: Option<ProofScore>,
    /// Exit code; `None` if the run never came to its end.
    pub exit: Option<u8>,
    /// How long it took, milliseconds; `None` if the run never came to its end.
    pub took: Option<f64>,
}

/// A case.
#[derive(Debug, Clone)]
pub struct Case<'a> {
    /// What it is; of the first attempt.
    pub header: &'a CaseHeader,
    /// Ids of its attempts.
    pub attempts: Vec<&'a str>,
    /// What became of its checks, in the order of the spec.
    pub outcomes: Vec<Outcome<'a>>,
    /// Names of the evidence kept.
    pub evidence: Vec<&'a str>,
    /// What its samples come to, of a case of a benchmark.
    pub figures: Option<&'a Figures>,
    /// Duration and overhead of all attempts in milliseconds; `None` if the case never came to its end.
    pub took: Option<(f64, f64)>,
    /// What could not be removed.
    pub leftovers: Vec<&'a str>,
}

/// What became of a check.
#[derive(Debug, Clone)]
pub struct Outcome<'a> {
    /// Id of the check.
    pub id: &'a str,
    /// `file:line:column`; empty for a failure that belongs to no check of the spec.
    pub at: &'a str,
    /// The subject key; empty for a failure that belongs to no check of the spec.
    pub about: &'a str,
    /// The verdict that its attempts come to; `None` if the run ended before there was one.
    pub verdict: Option<&'a Verdict>,
    /// It passed in a later attempt only.
    pub flaky: Option<Flaky>,
    /// Of a flaky check, the last verdict that was no pass.
    pub failure: Option<&'a Verdict>,
    /// How many looks it rests on.
    pub looks: u64,
    /// The reason for which the spec expects a failure.
    pub known: Option<&'a str>,
    /// The verdict of each attempt.
    pub(crate) verdicts: Vec<&'a Verdict>,
}

/// The word that a report puts in front of a check or a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Word {
    /// Passed.
    Pass,
    /// Not looked at.
    Skip,
    /// Passed only in a later attempt, which the spec allows.
    Allowed,
    /// Failed as the spec says that this subject does.
    Known,
    /// The samples do not decide.
    Inconclusive,
    /// Passed only in a later attempt.
    Flaky,
    /// Passed although the spec says that this subject fails.
    Unexpected,
    /// Failed.
    Fail,
    /// Not measured.
    Error,
}

impl Word {
    /// As printed.
    pub fn text(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Skip => "SKIP",
            Self::Known => "KNOWN",
            Self::Inconclusive => "OPEN",
            Self::Allowed | Self::Flaky => "FLAKY",
            Self::Unexpected => "XPASS",
            Self::Fail => "FAIL",
            Self::Error => "ERROR",
        }
    }
}

/// What a verdict says, on one line.
pub(crate) fn told(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Pass { seen } => seen.clone(),
        Verdict::Fail { want, got, .. } => format!("expected {want}, observed {got}"),
        Verdict::Skip { requirement, .. } => requirement.clone(),
        Verdict::Inconclusive { more, .. } => more.clone(),
        Verdict::Error { message } => message.clone(),
    }
}

impl Outcome<'_> {
    /// The cause of a failure, as far as one is known; what the author of the spec had to say follows it on other lines.
    fn cause(&self) -> Option<&str> {
        match self.verdict {
            Some(Verdict::Fail { because, .. }) => because.as_deref()?.lines().next(),
            _ => None,
        }
    }

    /// The word for it. A check without a verdict was not measured.
    pub fn word(&self) -> Word {
        match self.flaky {
            Some(Flaky { allowed: true, .. }) => return Word::Allowed,
            Some(Flaky { allowed: false, .. }) => return Word::Flaky,
            None => {}
        }
        match (self.verdict, self.known) {
            (Some(Verdict::Pass { .. }), None) => Word::Pass,
            (Some(Verdict::Pass { .. }), Some(_)) => Word::Unexpected,
            (Some(Verdict::Fail { .. }), None) => Word::Fail,
            (Some(Verdict::Fail { .. }), Some(_)) => Word::Known,
            (Some(Verdict::Skip { .. }), _) => Word::Skip,
            (Some(Verdict::Inconclusive { .. }), _) => Word::Inconclusive,
            (Some(Verdict::Error { .. }) | None, _) => Word::Error,
        }
    }
}

impl Case<'_> {
    /// The word for the case: the worst of its checks, but a skip among passes is a pass.
    pub fn word(&self) -> Word {
        let worst = self.outcomes.iter().map(Outcome::word).max();
        match worst {
            Some(Word::Skip) if self.count(Word::Pass) > 0 => Word::Pass,
            Some(word) => word,
            // Nothing looked, nothing passed.
            None => Word::Error,
        }
    }

    /// Other failed checks of the case with the same cause, which is the first line of their `because`.
    pub fn also(&self, outcome: &Outcome<'_>) -> Vec<&str> {
        let Some(cause) = outcome.cause() else {
            return Vec::new();
        };
        self.outcomes
            .iter()
            .filter(|other| other.id != outcome.id && other.cause() == Some(cause))
            .map(|other| other.id)
            .collect()
    }

    /// The area of its test, by label; `none` if it has none.
    pub fn area(&self) -> &str {
        self.header.labels.get("area").map_or("none", String::as_str)
    }

    /// How many checks have this word.
    pub fn count(&self, word: Word) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.word() == word).count()
    }
}

impl<'a> Run<'a> {
    /// Sorts the events of a record. `None` if they do not begin with `run`.
    pub fn of(events: &'a [Event]) -> Option<Self> {
        let Some(Event::Run {
            id,
            started,
            plimsoll,
            argv,
            host,
            subjects,
            skip_budget,
            version: _,
        }) = events.first()
        else {
            return None;
        };
        let mut run = Self {
            id,
            started,
            plimsoll,
            argv,
            host,
            subjects,
            cases: Vec::new(),
            tally: Tally::default(),
            drifts: Vec::new(),
            vanished: Vec::new(),
            skip_budget,
            proof: None,
            exit: None,
            took: None,
        };
        // Of cases that were broken on purpose nothing is a result; a proof tells of them.
        let mut broken: BTreeSet<&str> = BTreeSet::new();
        for event in &events[1..] {
            match event {
                Event::Case(header) if header.broken_on_purpose() => {
                    broken.insert(&header.id);
                }
                Event::Verdict { case, .. } if broken.contains(case.as_str()) => {}
                Event::Case(header) => run.begin(header),
                Event::Verdict {
                    case,
                    check,
                    verdict,
                    looks,
                    known,
                    absent: _,
                } => {
                    if let Some(case) = run.case(case) {
                        case.judged(check, verdict, *looks, known.as_deref());
                    }
                }
                Event::Evidence { case, name, .. } => {
                    if let Some(case) = run.case(case)
                        && !case.evidence.contains(&name.as_str())
                    {
                        case.evidence.push(name);
                    }
                }
                Event::CaseEnd {
                    case,
                    took,
                    overhead,
                    leftovers,
                } => {
                    if let Some(case) = run.case(case) {
                        let (before, overhead_before) = case.took.unwrap_or_default();
                        case.took = Some((before + took, overhead_before + overhead));
                        case.leftovers.extend(leftovers.iter().map(String::as_str));
                    }
                }
                Event::Figures(figures) => {
                    if let Some(case) = run.case(&figures.case) {
                        case.figures = Some(figures);
                    }
                }
                Event::Drift(drift) => run.drifts.push(drift),
                Event::Vanished(vanished) => run.vanished.push(vanished),
                Event::RunEnd { exit, took, .. } => {
                    run.exit = Some(*exit);
                    run.took = Some(*took);
                }
                Event::Run { .. }
                | Event::Spec { .. }
                | Event::Step { .. }
                | Event::Act { .. }
                | Event::Look { .. }
                | Event::Broken { .. }
                | Event::Unmet { .. }
                | Event::Setting(_)
                | Event::Baseline(_)
                | Event::Sample(_)
                | Event::Floor(_)
                | Event::Proof(_) => {}
                Event::ProofScore(score) => run.proof = Some(*score),
            }
        }
        run.settle();
        Some(run)
    }

    fn begin(&mut self, header: &'a CaseHeader) {
        let base = header.base();
        let mut earlier = self.cases.iter_mut().rev().filter(|_| header.attempt > 1);
        match earlier.find(|case| case.header.id == base) {
            Some(case) => case.attempts.push(&header.id),
            None => self.cases.push(Case {
                header,
                attempts: vec![&header.id],
                outcomes: header.checks.iter().map(unjudged).collect(),
                evidence: Vec::new(),
                figures: None,
                took: None,
                leftovers: Vec::new(),
            }),
        }
    }

    fn case(&mut self, id: &str) -> Option<&mut Case<'a>> {
        let mut newest = self.cases.iter_mut().rev();
        newest.find(|case| case.attempts.contains(&id))
    }

    /// Makes one verdict and one count of the attempts at each check.
    fn settle(&mut self) {
        for case in &mut self.cases {
            for outcome in &mut case.outcomes {
                let known = outcome.known.is_some();
                if let Some(settled) = settle(&outcome.verdicts, known, case.header.flaky_allowed) {
                    self.tally.settle(&settled, known);
                    outcome.verdict = Some(settled.verdict);
                    outcome.flaky = settled.flaky;
                    outcome.failure = settled.failure;
                }
            }
        }
    }

    /// Whether it is a skip, and none may be.
    pub fn forbids(&self, outcome: &Outcome<'_>) -> bool {
        self.skip_budget.strict && matches!(outcome.verdict, Some(Verdict::Skip { after_step: false, .. }))
    }

    /// Whether a run that has it is not green.
    pub fn is_red(&self, outcome: &Outcome<'_>) -> bool {
        match outcome.word() {
            Word::Fail | Word::Error | Word::Unexpected | Word::Flaky | Word::Inconclusive => true,
            Word::Skip => self.forbids(outcome),
            Word::Pass | Word::Allowed | Word::Known => false,
        }
    }

    /// Every limit of skips that is exceeded.
    pub fn overdrawn(&self) -> Vec<Overdrawn> {
        let mut account = Account::new(self.skip_budget.clone());
        for (case, outcome) in self.outcomes() {
            if let Some(verdict) = outcome.verdict {
                account.count(&case.header.labels, verdict);
            }
        }
        account.overdrawn()
    }

    /// That a check ran on this machine before, if it is skipped now.
    pub fn drift(&self, case: &Case<'_>, outcome: &Outcome<'_>) -> Option<&'a Drift> {
        let here = |drift: &&&Drift| drift.case == case.header.id && drift.check == outcome.id;
        self.drifts.iter().find(here).copied()
    }

    /// Every check with its case.
    pub fn outcomes(&self) -> impl Iterator<Item = (&Case<'a>, &Outcome<'a>)> {
        self.cases
            .iter()
            .flat_map(|case| case.outcomes.iter().map(move |outcome| (case, outcome)))
    }
}

fn unjudged(header: &CheckHeader) -> Outcome<'_> {
    Outcome {
        id: &header.id,
        at: &header.at,
        about: &header.about,
        verdict: None,
        flaky: None,
        failure: None,
        looks: 0,
        known: None,
        verdicts: Vec::new(),
    }
}

impl<'a> Case<'a> {
    fn judged(&mut self, check: &'a str, verdict: &'a Verdict, looks: u64, known: Option<&'a str>) {
        let found = self.outcomes.iter().position(|outcome| outcome.id == check);
        let at = found.unwrap_or_else(|| {
            self.outcomes.push(Outcome {
                id: check,
                at: "",
                about: "",
                verdict: None,
                flaky: None,
                failure: None,
                looks: 0,
                known: None,
                verdicts: Vec::new(),
            });
            self.outcomes.len() - 1
        });
        let outcome = &mut self.outcomes[at];
        outcome.verdicts.push(verdict);
        outcome.looks = looks;
        outcome.known = known;
    }
}
