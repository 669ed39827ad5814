//! Whether a check was shown to be able to fail: what became of it under each fault.

use serde::{Deserialize, Serialize};

/// What became of one check under faults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckProof {
    /// The case without a fault.
    pub case: String,
    /// Id of the check.
    pub check: String,
    /// `file:line:column`.
    pub at: String,
    /// What is concluded.
    pub standing: Standing,
    /// One row for each fault that the case was run under.
    pub faults: Vec<FaultRow>,
    /// How fine a difference of a number it tells; one for each number that was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolution: Vec<Resolution>,
    /// Nothing was run for it: an unchanged proof was found.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stored: bool,
}

/// What is concluded about a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "standing", rename_all = "camelCase")]
pub enum Standing {
    /// At least one fault made it fail, and every fault that must do so did.
    Proven,
    /// No fault made it fail, or one that must did not.
    Unproven {
        /// Which.
        why: String,
    },
    /// The spec says why it need not be proven.
    Waived {
        /// The reason given.
        reason: String,
    },
    /// It does not pass without a fault, so that nothing can be concluded.
    Unjudged {
        /// Its verdict without a fault.
        healthy: String,
    },
}

/// One fault and what the check said under it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FaultRow {
    /// Name of the fault.
    pub fault: String,
    /// Where it was put in.
    pub depth: Depth,
    /// What became of the check.
    pub effect: FaultEffect,
    /// The spec says that it must fail under it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub promised: bool,
    /// What the fault changed, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<String>,
    /// What the check observed, if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
    /// Of a near miss: by how much the number was wrong, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<i32>,
}

/// Where a fault was put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Depth {
    /// In what the spec asks for.
    SetUp,
    /// In the subject: the request is as it was.
    Subject,
}

/// What became of a check under a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FaultEffect {
    /// It failed by what it saw.
    Caught,
    /// It failed because there was nothing to look at.
    Gone,
    /// It passed.
    Survived,
    /// It was inconclusive.
    Open,
    /// It was skipped, or an earlier step of its case broke.
    Skipped,
    /// It could not be measured.
    Error,
    /// The fault found nothing to change.
    NotApplied,
}

impl FaultEffect {
    /// One letter for a matrix.
    pub fn letter(self) -> char {
        match self {
            Self::Caught => 'x',
            Self::Gone => 'g',
            Self::Survived => '.',
            Self::Open => '?',
            Self::Skipped => 's',
            Self::Error => 'E',
            Self::NotApplied => ' ',
        }
    }
}

/// How fine a difference of a number a check tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resolution {
    /// The number that was made wrong.
    pub of: String,
    /// The smallest difference that was caught, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tells: Option<i32>,
    /// What that difference was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tells_what: Option<String>,
    /// The largest difference that was not caught, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub misses: Option<i32>,
    /// What that difference was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub misses_what: Option<String>,
}

/// How many checks are proven.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProofScore {
    /// Shown to be able to fail.
    pub proven: u64,
    /// Not shown to.
    pub unproven: u64,
    /// Let off by the spec, with a reason.
    pub waived: u64,
    /// Skipped without a fault: there is nothing to prove here.
    pub skipped: u64,
    /// Without a proof that still holds, or not passing without a fault.
    pub unknown: u64,
}

impl ProofScore {
    /// Counts one check.
    pub fn count(&mut self, standing: &Standing) {
        match standing {
            Standing::Proven => self.proven += 1,
            Standing::Unproven { .. } => self.unproven += 1,
            Standing::Waived { .. } => self.waived += 1,
            Standing::Unjudged { healthy } if healthy == "skip" => self.skipped += 1,
            Standing::Unjudged { .. } => self.unknown += 1,
        }
    }

    /// Proven of those that need to be and can be, between 0 and 1; `None` if there is none.
    pub fn share(&self) -> Option<f64> {
        let all = self.proven + self.unproven;
        (all > 0).then(|| self.proven as f64 / all as f64)
    }
}
