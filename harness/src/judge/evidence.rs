//! What a check found, part by part, until it comes to one verdict.

use record::Verdict;
use serde_json::Value;
use spec::Matcher;

use super::matcher::{self, Finding, Unit};

/// The parts of one check. All must hold.
#[derive(Default)]
pub(super) struct Evidence {
    held: Vec<String>,
    missed: Vec<(String, String)>,
    faults: Vec<String>,
    because: Option<String>,
}

impl Evidence {
    /// Compares one value. `what` names it; `source` is where it was read, if that is worth telling.
    pub(super) fn compare(&mut self, what: &str, want: &Matcher, value: Option<&Value>, unit: Unit, source: &str) {
        let shown = value.map_or_else(|| "is not there".to_owned(), |v| unit.show(v));
        let mut got = format!("{what} {shown}");
        if !source.is_empty() {
            got.push_str(&format!(" ({source})"));
        }
        match matcher::holds(want, value, unit) {
            Finding::Holds => self.held(got),
            Finding::Misses => self.missed(format!("{what} {want}"), got),
            Finding::Unfit(why) => self.fault(format!("{what}: {why}")),
        }
    }

    /// A part that holds.
    pub(super) fn held(&mut self, got: String) {
        self.held.push(got);
    }

    /// A part that does not hold.
    pub(super) fn missed(&mut self, want: String, got: String) {
        self.missed.push((want, got));
    }

    /// A part that cannot be judged.
    pub(super) fn fault(&mut self, message: String) {
        self.faults.push(message);
    }

    /// Whether no part fails and none is at fault so far.
    pub(super) fn stands(&self) -> bool {
        self.missed.is_empty() && self.faults.is_empty()
    }

    /// The cause of a failure, as far as the evidence tells.
    pub(super) fn because(&mut self, cause: impl Into<String>) {
        self.because = Some(cause.into());
    }

    /// One verdict: a part that cannot be judged is an error, else a part that does not hold a failure; and without any
    /// part there was no observation, which is never a pass.
    pub(super) fn verdict(self) -> Verdict {
        if !self.faults.is_empty() {
            return Verdict::Error {
                message: self.faults.join("; "),
            };
        }
        if !self.missed.is_empty() {
            let (want, got): (Vec<_>, Vec<_>) = self.missed.into_iter().unzip();
            return Verdict::Fail {
                want: want.join(", "),
                got: got.join(", "),
                because: self.because,
            };
        }
        if self.held.is_empty() {
            return Verdict::Error {
                message: "the check observed nothing".into(),
            };
        }
        Verdict::Pass {
            seen: self.held.join(", "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_observed_nothing_is_an_error_and_never_a_pass() {
        assert!(matches!(Evidence::default().verdict(), Verdict::Error { .. }));
    }

    #[test]
    fn what_cannot_be_judged_outweighs_what_does_not_hold() {
        let mut evidence = Evidence::default();
        evidence.held("a".into());
        evidence.missed("b".into(), "c".into());
        evidence.fault("d".into());
        assert_eq!(evidence.verdict(), Verdict::Error { message: "d".into() });
    }
}
