//! An expectation that holds for every value there can be.

use super::{Doubt, Lens, Lint};
use crate::{
    Op, Subject,
    fault::Fault,
    validate::{Admits, Field, admits},
};

pub(super) const LINT: Lint = Lint {
    name: "vacuous-expectation",
    about: "an expectation that holds for every value there can be",
    look,
};

fn look(lens: &Lens<'_>, doubts: &mut Vec<Doubt>) {
    for (seat, look) in lens.looks() {
        let only_exists = look.always && look.matcher.0 == [Op::Exists(true)];
        let is_empty_text = |value: &serde_json::Value| value.as_str() == Some("");
        let empty_part = matches!(look.field, Field::Text | Field::Any)
            && look.matcher.0.iter().any(|op| match op {
                Op::Contains(part) => is_empty_text(part),
                Op::ContainsAll(parts) => parts.iter().any(is_empty_text),
                _ => false,
            });
        let (message, hint) = if only_exists {
            ("this exists always".to_owned(), "say which value it must have")
        } else if empty_part {
            (
                "every text contains the empty one".to_owned(),
                "say what it must contain",
            )
        } else if admits(look.matcher, look.field) == Admits::Everything {
            (
                format!("`{}` holds for every value there can be", look.matcher),
                "a value at which it would fail is missing",
            )
        } else {
            continue;
        };
        doubts.push(Doubt::of(seat, Fault::new(look.place.extent, message).hint(hint)));
    }
    for seat in &lens.seats {
        let (all, says) = match &seat.check.subject {
            Subject::Process(process) => (process.filter.all == Some(true), !seat.looks.is_empty()),
            Subject::Mounts(mounts) => (mounts.filter.all == Some(true), !seat.looks.is_empty()),
            _ => continue,
        };
        if all && !says {
            let key = seat.check.subject.key();
            let lint = Fault::new(seat.place.label(key), format!("`{key}` asks only for one of all"))
                .hint("there is always one: say how many, or which");
            doubts.push(Doubt::of(seat, lint));
        }
    }
}
