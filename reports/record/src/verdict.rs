//! The five verdicts, and counts of them.

use serde::{Deserialize, Serialize};

/// What became of a check. Only `Pass` is green.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Verdict {
    /// It holds, and this was seen.
    Pass {
        /// The evidence.
        seen: String,
    },
    /// It does not hold.
    Fail {
        /// What was expected.
        want: String,
        /// What was observed.
        got: String,
        /// The cause, as far as the evidence tells.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<String>,
    },
    /// It was not looked at.
    Skip {
        /// The unmet requirement, or the step it comes after.
        requirement: String,
        /// What the probe of the requirement saw.
        seen: String,
        /// It was not come to after a step that did not pass; else a requirement is not met.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        after_step: bool,
    },
    /// The samples do not decide.
    Inconclusive {
        /// How many samples there were.
        n: u64,
        /// The confidence interval.
        interval: [f64; 2],
        /// What would decide.
        more: String,
    },
    /// The harness or host could not measure.
    Error {
        /// What went wrong.
        message: String,
    },
}

impl Verdict {
    /// The word in reports.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pass { .. } => "pass",
            Self::Fail { .. } => "fail",
            Self::Skip { .. } => "skip",
            Self::Inconclusive { .. } => "inconclusive",
            Self::Error { .. } => "error",
        }
    }

    /// Which of two verdicts speaks for both: error, fail, inconclusive, skip, pass.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Pass { .. } => 0,
            Self::Skip { .. } => 1,
            Self::Inconclusive { .. } => 2,
            Self::Fail { .. } => 3,
            Self::Error { .. } => 4,
        }
    }
}

/// How many checks ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Passed.
    pub pass: u64,
    /// Failed.
    pub fail: u64,
    /// Failed as the spec says that this subject does.
    pub known: u64,
    /// Passed although the spec says that this subject fails.
    pub unexpected: u64,
    /// Not looked at, because a requirement is not met.
    pub skip: u64,
    /// Not come to, after a step that did not pass.
    #[serde(default)]
    pub after: u64,
    /// Not decided.
    pub inconclusive: u64,
    /// Not measured.
    pub error: u64,
    /// Passed only in a later attempt.
    #[serde(default, skip_serializing_if = "zero")]
    pub flaky: u64,
    /// Passed only in a later attempt, which the spec allows.
    #[serde(default, skip_serializing_if = "zero")]
    pub flaky_allowed: u64,
    /// Not shown to be able to fail, where a proof is required.
    #[serde(default, skip_serializing_if = "zero")]
    pub unproven: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn zero(number: &u64) -> bool {
    *number == 0
}

impl Tally {
    /// Counts one verdict. `known` says that the spec lists the check as a known failure of the subject.
    pub fn count(&mut self, verdict: &Verdict, known: bool) {
        match (verdict, known) {
            (Verdict::Pass { .. }, false) => self.pass += 1,
            (Verdict::Pass { .. }, true) => self.unexpected += 1,
            (Verdict::Fail { .. }, false) => self.fail += 1,
            (Verdict::Fail { .. }, true) => self.known += 1,
            (Verdict::Skip { after_step: false, .. }, _) => self.skip += 1,
            (Verdict::Skip { after_step: true, .. }, _) => self.after += 1,
            (Verdict::Inconclusive { .. }, _) => self.inconclusive += 1,
            (Verdict::Error { .. }, _) => self.error += 1,
        }
    }

    /// Counts what the attempts at a check came to.
    pub fn settle(&mut self, settled: &crate::Settled<'_>, known: bool) {
        match settled.flaky {
            Some(flaky) if flaky.allowed => self.flaky_allowed += 1,
            Some(_) => self.flaky += 1,
            None => self.count(settled.verdict, known),
        }
    }
}
