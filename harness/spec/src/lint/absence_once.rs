//! Absence that is looked for in one single look.

use super::{Doubt, Lens, Lint};
use crate::{Subject, Window, fault::Fault, validate::is_zero};

pub(super) const LINT: Lint = Lint {
    name: "absence-once",
    about: "something absent that is looked for only once, perhaps too early",
    look,
};

fn look(lens: &Lens<'_>, doubts: &mut Vec<Doubt>) {
    for seat in lens.seats.iter().filter(|seat| seat.step.window == Window::Once) {
        let (absent, key) = match &seat.check.subject {
            Subject::Process(process) => (process.count.as_ref().is_some_and(is_zero), "count"),
            Subject::Mounts(mounts) => (mounts.count.as_ref().is_some_and(is_zero), "count"),
            Subject::File(file) => (file.exists == Some(false), "exists"),
            Subject::Events(events) => (events.count.as_ref().is_some_and(is_zero), "count"),
            Subject::Placement(placement) => {
                let nowhere = |node: &crate::Matcher| node.0 == [crate::Op::Exists(false)];
                let told = placement.unschedulable.is_some() || !placement.rejected_by.is_empty();
                (!told && placement.node.as_ref().is_some_and(nowhere), "node")
            }
            _ => continue,
        };
        if absent {
            let at = seat.place.key(seat.check.subject.key());
            let lint = Fault::new(at.label(key), "absence is looked for only once")
                .hint("what is not there yet is not there either")
                .help("give the step `consistently: {for: 1s}`");
            doubts.push(Doubt::of(seat, lint));
        }
    }
}
