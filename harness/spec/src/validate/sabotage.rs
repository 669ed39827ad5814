//! Sabotage and known failures: they must name checks that there are, and change something.

use super::{Checker, Place, expected_one_of};
use crate::{Spanned, Test, edit, fault::Fault};

impl Checker<'_> {
    pub(super) fn sabotages(&mut self, test: &Test, spec: &Place<'_>) {
        for (n, sabotage) in test.sabotage.iter().enumerate() {
            let place = spec.key("sabotage").index(n);
            let id = &sabotage.id.value;
            if sabotage.set.is_empty() && sabotage.unset.is_empty() && sabotage.inject.is_none() && self.is_whole {
                let fault = Fault::new(place.key("id").extent, format!("sabotage `{id}` changes nothing"));
                self.fault(fault.hint("it needs `set`, `unset` or `inject`"));
            }
            if sabotage.must_fail.is_empty() && self.is_whole {
                let fault = Fault::new(place.key("mustFail").extent, "`mustFail` is empty");
                self.fault(fault.hint("name the checks that must see the fault"));
            }
            self.check_references(&sabotage.must_fail, &place.key("mustFail"));
            let paths = sabotage.set.keys().map(|path| (path, place.key("set").label(path)));
            let unset = sabotage.unset.iter().enumerate();
            let unset = unset.map(|(n, path)| (&path.value, place.key("unset").index(n).extent));
            for (path, extent) in paths.chain(unset) {
                let Ok(segments) = edit::segments(path) else {
                    continue;
                };
                // The checks themselves stay as they are, or their failing would show nothing.
                let first = segments.first().map(String::as_str);
                if matches!(
                    first,
                    Some("sabotage" | "proof" | "knownFailures" | "matrix" | "metadata")
                ) || segments.iter().any(|segment| segment == "expect")
                {
                    let fault = Fault::new(extent, format!("sabotage `{id}` changes `{path}`"));
                    self.fault(fault.hint("a sabotage changes the set-up and leaves the checks alone"));
                }
            }
        }
        self.waivers(test, spec);
        for (n, known) in test.known_failures.iter().enumerate() {
            let place = spec.key("knownFailures").index(n);
            if known.reason.trim().is_empty() {
                let fault = Fault::new(place.key("reason").extent, "`reason` is empty");
                self.fault(fault.hint("say why the checks fail on this subject"));
            }
            if known.subject.is_empty() {
                let fault = Fault::new(place.key("subject").extent, "`subject` is empty");
                self.fault(fault.hint("expected the name of a subject such as `crun`"));
            }
            if known.checks.is_empty() && self.is_whole {
                let fault = Fault::new(place.key("checks").extent, "`checks` is empty");
                self.fault(fault.hint("name the checks that fail"));
            }
            self.check_references(&known.checks, &place.key("checks"));
        }
    }

    /// Checks that need no proof: they must be there, and have a reason.
    pub(super) fn waivers(&mut self, test: &Test, spec: &Place<'_>) {
        for (id, reason) in test.proof.iter().flat_map(|proof| &proof.waive) {
            let waive = spec.key("proof").key("waive");
            if !self.names.checks.contains(id) {
                let fault = Fault::new(waive.label(id), format!("unknown check `{id}`"))
                    .hint(expected_one_of(&self.names.checks, "the spec has no checks"))
                    .suggest(id, self.names.checks.iter().map(String::as_str));
                self.fault(fault);
            }
            if reason.value.trim().is_empty() {
                let fault = Fault::new(waive.label(id), format!("check `{id}` is waived without a reason"));
                self.fault(fault.hint("say why it cannot be shown to fail"));
            }
        }
    }

    fn check_references(&mut self, ids: &[Spanned<String>], list: &Place<'_>) {
        for (n, id) in ids.iter().enumerate() {
            if !self.names.checks.contains(&id.value) {
                let fault = Fault::new(list.index(n).extent, format!("unknown check `{}`", id.value))
                    .hint(expected_one_of(&self.names.checks, "the spec has no checks"))
                    .suggest(&id.value, self.names.checks.iter().map(String::as_str));
                self.fault(fault);
            }
        }
    }
}
