//! A tolerance as wide as the value.

use super::{Doubt, Lens, Lint};
use crate::{
    Op,
    check::cgroup::Unit,
    fault::Fault,
    validate::{Field, number},
};

pub(super) const LINT: Lint = Lint {
    name: "wide-tolerance",
    about: "a tolerance of `approx` that is as wide as the value itself, so that nothing at all is near enough",
    look,
};

fn look(lens: &Lens<'_>, doubts: &mut Vec<Doubt>) {
    for (seat, look) in lens.looks() {
        // What a sample of another step measures is not known here, but that it is a plain number or a share.
        let unit = match look.field {
            Field::Number(unit) => unit,
            _ => Unit::Share,
        };
        for op in &look.matcher.0 {
            let Op::Approx { value, abs, rel, .. } = op else {
                continue;
            };
            let Some(aim) = number(value, unit).filter(|aim| *aim > 0.0) else {
                continue;
            };
            let wide_abs = abs
                .as_ref()
                .is_some_and(|abs| number(abs, unit).is_some_and(|abs| abs >= aim));
            let wide_rel = rel
                .as_ref()
                .is_some_and(|rel| number(rel, Unit::Share).is_some_and(|rel| rel >= 1.0));
            if wide_abs || wide_rel {
                let key = if wide_abs { "abs" } else { "rel" };
                let lint = Fault::new(
                    look.place.key(key).extent,
                    format!("the tolerance is as wide as the value: `{}`", look.matcher),
                )
                .hint("nothing at all would be near enough")
                .help("make the tolerance smaller than the difference that a fault would make");
                doubts.push(Doubt::of(seat, lint));
            }
        }
    }
}
