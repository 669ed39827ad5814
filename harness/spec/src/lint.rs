//! What is doubtful: a check that holds for nearly everything, or shows less than it seems to.
//!
//! What can never be meant is a fault ([`crate::validate`]); what somebody may mean is a warning with a name, and
//! `metadata.annotations."plimsoll.dev/allow"` silences it with a reason. One file a lint.

use std::collections::BTreeSet;

use crate::{
    Check, Matcher, Spanned, Step, Test,
    fault::Fault,
    node::Node,
    validate::{Field, PHASES, Place},
};

mod absence_once;
mod allow;
mod looks;
mod negative_without_control;
mod period_alias;
mod sabotage_without_change;
mod text_over_type;
mod unused_name;
mod vacuous_expectation;
mod vacuous_regex;
mod wide_tolerance;

pub use allow::ALLOW;
pub(crate) use allow::Allowed;
pub(crate) use sabotage_without_change::sabotage_without_change;

/// A kind of doubt.
#[derive(Debug, Clone, Copy)]
pub struct Lint {
    /// Its stable name.
    pub name: &'static str,
    /// What it finds.
    pub about: &'static str,
    look: fn(&Lens<'_>, &mut Vec<Doubt>),
}

/// Every lint, by name.
pub const LINTS: [Lint; 12] = [
    absence_once::LINT,
    negative_without_control::LINT,
    period_alias::LINT,
    sabotage_without_change::LINT,
    text_over_type::LINT,
    allow::UNUSED,
    unused_name::MATRIX,
    unused_name::VARS,
    vacuous_expectation::LINT,
    vacuous_regex::LINT,
    wide_tolerance::LINT,
    YAML_1_1,
];

/// Found by the reader of the text itself.
pub(crate) const YAML_1_1: Lint = Lint {
    name: "yaml-1-1",
    about: "a bare word that older readers of YAML take for a boolean or a number",
    look: |_, _| {},
};

/// One thing that is doubtful, and the check that it is about, if it is about one.
#[derive(Debug, Clone)]
pub(crate) struct Doubt {
    pub(crate) fault: Fault,
    pub(crate) check: Option<String>,
}

impl Doubt {
    fn of(seat: &Seat<'_>, fault: Fault) -> Self {
        Self {
            fault,
            check: Some(seat.check.id.value.clone()),
        }
    }

    pub(crate) fn of_spec(fault: Fault) -> Self {
        Self { fault, check: None }
    }
}

/// A valid test, taken apart as lints need it.
pub(crate) struct Lens<'a> {
    test: &'a Test,
    /// `spec`, with matrix values and variables put in.
    spec: Place<'a>,
    /// `spec` as it was written.
    written: Option<&'a Node>,
    seats: Vec<Seat<'a>>,
}

/// A check where it stands.
struct Seat<'a> {
    check: &'a Check,
    step: &'a Step,
    place: Place<'a>,
    /// Everything that it compares.
    looks: Vec<Look<'a>>,
}

/// One matcher of a check.
struct Look<'a> {
    matcher: &'a Matcher,
    field: Field,
    place: Place<'a>,
    /// Whatever is looked at has one: that it exists says nothing.
    always: bool,
}

/// Everything that is doubtful in a test that has no faults.
pub(crate) fn doubts(test: &Test, tree: &Node, written: Option<&Node>) -> Vec<Doubt> {
    let spec = Place::of(tree).key("spec");
    let mut seats = Vec::new();
    for (phase, steps) in PHASES
        .into_iter()
        .zip([&test.setup, &test.steps, &test.teardown, &test.on_failure])
    {
        for (n, step) in steps.iter().enumerate() {
            let place = spec.key(phase).index(n).key("expect");
            for (n, check) in step.expect.iter().enumerate() {
                let place = place.index(n);
                seats.push(Seat {
                    check,
                    step,
                    place,
                    looks: looks::of(check, step, &place),
                });
            }
        }
    }
    let lens = Lens {
        test,
        spec,
        written,
        seats,
    };
    let mut all = Vec::new();
    for lint in &LINTS {
        let before = all.len();
        (lint.look)(&lens, &mut all);
        all[before..]
            .iter_mut()
            .for_each(|doubt| doubt.fault.lint = Some(lint.name));
    }
    all
}

impl<'a> Lens<'a> {
    /// Every matcher with the check that it belongs to.
    fn looks(&self) -> impl Iterator<Item = (&Seat<'a>, &Look<'a>)> {
        self.seats
            .iter()
            .flat_map(|seat| seat.looks.iter().map(move |look| (seat, look)))
    }

    fn steps(&self) -> impl Iterator<Item = (&'a Spanned<Step>, Place<'a>)> {
        let test = self.test;
        PHASES
            .into_iter()
            .zip([&test.setup, &test.steps, &test.teardown, &test.on_failure])
            .flat_map(move |(phase, steps)| {
                let place = self.spec.key(phase);
                steps.iter().enumerate().map(move |(n, step)| (step, place.index(n)))
            })
    }
}

/// Names that stand as `${KIND.NAME}` in any text below a node.
fn references<'n>(node: &'n Node, kind: &str, found: &mut BTreeSet<&'n str>) {
    use crate::node::Value;
    match &node.value {
        Value::Text(text) => {
            for part in text.split("${").skip(1) {
                let name = part.split('}').next().unwrap_or_default();
                found.extend(name.strip_prefix(kind).and_then(|rest| rest.strip_prefix('.')));
            }
        }
        Value::List(elements) => elements.iter().for_each(|element| references(element, kind, found)),
        // Nothing is put into keys.
        Value::Map(entries) => entries.iter().for_each(|entry| references(&entry.node, kind, found)),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => {}
    }
}
