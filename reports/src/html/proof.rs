//! Whether checks were shown to be able to fail, and by which faults.

use std::collections::BTreeMap;

use record::{CheckProof, Event, FaultEffect, FaultRow, Standing};

use super::markup::Page;
use crate::telling::counted;

/// What the record has of proofs, by case and check.
pub(super) struct Proofs<'a> {
    all: BTreeMap<(&'a str, &'a str), &'a CheckProof>,
}

impl<'a> Proofs<'a> {
    pub(super) fn of(events: &'a [Event]) -> Self {
        let all = events.iter().filter_map(|event| match event {
            Event::Proof(proof) => Some(((proof.case.as_str(), proof.check.as_str()), proof.as_ref())),
            _ => None,
        });
        Self { all: all.collect() }
    }

    /// Whether there is something to tell beside the checks themselves.
    pub(super) fn is_told(&self) -> bool {
        self.unproven().next().is_some()
    }

    fn unproven(&self) -> impl Iterator<Item = (&'a CheckProof, &'a str)> {
        self.all.values().filter_map(|proof| match &proof.standing {
            Standing::Unproven { why } => Some((*proof, why.as_str())),
            Standing::Proven | Standing::Waived { .. } | Standing::Unjudged { .. } => None,
        })
    }

    /// The checks that may pass whatever happens.
    pub(super) fn write(&self, page: &mut Page) {
        page.raw("<div class=\"wide\"><table>\n<caption>Checks that were not shown to be able to fail</caption>\n");
        page.columns(&["check", "because", "passes under"]);
        page.raw("<tbody>\n");
        for (proof, why) in self.unproven() {
            let missed = names(proof, |row| row.effect == FaultEffect::Survived);
            let name = format!("{} › {}", proof.case, proof.check);
            page.row(&name, &[why, &missed.join(", ")]);
        }
        page.raw("</tbody></table></div>\n");
    }

    /// Lines of a check's list.
    pub(super) fn of_check(&self, page: &mut Page, case: &str, check: &str) {
        if self.all.is_empty() {
            return;
        }
        page.element("dt", &[], "proof");
        let Some(proof) = self.all.get(&(case, check)) else {
            page.element("dd", &[], "none that still holds");
            return;
        };
        let caught = names(proof, |row| {
            matches!(row.effect, FaultEffect::Caught | FaultEffect::Gone)
        });
        let missed = names(proof, |row| row.effect == FaultEffect::Survived);
        let told = match &proof.standing {
            Standing::Proven => "proven".to_owned(),
            Standing::Unproven { why } => format!("unproven: {why}"),
            Standing::Waived { reason } => format!("waived: {reason}"),
            Standing::Unjudged { healthy } => format!("not judged: without a fault it came to `{healthy}`"),
        };
        page.open("dd", &[]);
        page.text(&told);
        for (word, faults) in [("fails under", caught), ("passes under", missed)] {
            if !faults.is_empty() {
                page.raw("<details><summary>");
                page.text(&format!("{word} {}", counted(faults.len() as u64, "fault")));
                page.raw("</summary>");
                page.text(&faults.join(", "));
                page.raw("</details>");
            }
        }
        page.close("dd");
        page.raw("\n");
    }
}

fn names(proof: &CheckProof, wanted: impl Fn(&FaultRow) -> bool) -> Vec<&str> {
    let rows = proof.faults.iter().filter(|row| wanted(row));
    rows.map(|row| row.fault.as_str()).collect()
}
