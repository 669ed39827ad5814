//! What a record keeps of cases beside their verdicts.

use std::collections::BTreeMap;

use record::{Event, Seen};

/// By id of the attempt.
#[derive(Debug, Default)]
pub(super) struct Traces<'a>(BTreeMap<&'a str, Trace<'a>>);

/// What one attempt at a case did and saw.
#[derive(Debug, Default)]
pub(super) struct Trace<'a> {
    pub(super) steps: Vec<Step<'a>>,
    pub(super) acts: Vec<Act<'a>>,
    /// Name and text.
    pub(super) evidence: Vec<(&'a str, &'a str)>,
    /// What the last look of each check saw.
    pub(super) last: BTreeMap<&'a str, &'a Seen>,
    /// Steps that could not go on, in words.
    pub(super) broken: Vec<&'a str>,
    /// When it began and ended, milliseconds since the run began.
    pub(super) span: (f64, f64),
}

/// A step, from its beginning.
#[derive(Debug)]
pub(super) struct Step<'a> {
    pub(super) phase: &'a str,
    pub(super) name: &'a str,
    /// Milliseconds since the run began.
    pub(super) t: f64,
    /// Times of its looks.
    pub(super) looks: Vec<f64>,
}

/// What was done.
#[derive(Debug)]
pub(super) struct Act<'a> {
    pub(super) what: &'a str,
    pub(super) code: Option<i64>,
    pub(super) stdout: &'a str,
    pub(super) stderr: &'a str,
    pub(super) t0: f64,
    pub(super) t1: f64,
}

impl<'a> Traces<'a> {
    pub(super) fn of(events: &'a [Event]) -> Self {
        let mut all = Self::default();
        for event in events {
            all.take(event);
        }
        all
    }

    /// That of an attempt.
    pub(super) fn get(&self, attempt: &str) -> Option<&Trace<'a>> {
        self.0.get(attempt)
    }

    fn take(&mut self, event: &'a Event) {
        match event {
            Event::Case(header) if !header.broken_on_purpose() => {
                let trace = Trace {
                    span: (header.t, header.t),
                    ..Trace::default()
                };
                self.0.insert(&header.id, trace);
            }
            Event::Step {
                case, phase, name, t, ..
            } => self.enter(case, *t, |trace| {
                trace.steps.push(Step {
                    phase,
                    name,
                    t: *t,
                    looks: Vec::new(),
                });
            }),
            Event::Act {
                case,
                what,
                code,
                stdout,
                stderr,
                t0,
                t1,
            } => self.enter(case, *t1, |trace| {
                trace.acts.push(Act {
                    what,
                    code: *code,
                    stdout,
                    stderr,
                    t0: *t0,
                    t1: *t1,
                });
            }),
            Event::Look { case, t, seen, .. } => self.enter(case, *t, |trace| {
                if let Some(step) = trace.steps.last_mut() {
                    step.looks.push(*t);
                }
                trace
                    .last
                    .extend(seen.iter().map(|(check, seen)| (check.as_str(), seen)));
            }),
            Event::Broken { case, message, .. } => self.enter(case, 0.0, |trace| trace.broken.push(message)),
            Event::Evidence { case, name, text } => {
                self.enter(case, 0.0, |trace| trace.evidence.push((name, text)));
            }
            Event::CaseEnd { case, took, .. } => {
                self.enter(case, 0.0, |trace| trace.span.1 = trace.span.1.max(trace.span.0 + took));
            }
            Event::Run { .. }
            | Event::Spec { .. }
            | Event::Case(_)
            | Event::Unmet { .. }
            | Event::Verdict { .. }
            | Event::Proof(_)
            | Event::ProofScore(_)
            | Event::Drift(_)
            | Event::Vanished(_)
            | Event::Setting(_)
            | Event::Baseline(_)
            | Event::Sample(_)
            | Event::Floor(_)
            | Event::Figures(_)
            | Event::RunEnd { .. } => {}
        }
    }

    /// Adds to a case that is told of; `t` is when.
    fn enter(&mut self, case: &str, t: f64, add: impl FnOnce(&mut Trace<'a>)) {
        if let Some(trace) = self.0.get_mut(case) {
            trace.span.1 = trace.span.1.max(t);
            add(trace);
        }
    }
}
