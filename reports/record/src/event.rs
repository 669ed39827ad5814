//! The lines of a record.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{CheckProof, ProofScore, Seen, SkipBudget, Tally, Verdict, bench};

/// One line. Times are milliseconds of the monotonic clock since the run began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// The first line.
    Run {
        /// Version of the format.
        version: u32,
        /// Id of the run.
        id: String,
        /// Wall clock at the start, RFC 3339.
        started: String,
        /// Version of plimsoll.
        plimsoll: String,
        /// Its command line.
        argv: Vec<String>,
        /// The host.
        host: Host,
        /// The subjects.
        subjects: Vec<SubjectInfo>,
        /// How many checks may be skipped.
        #[serde(default, skip_serializing_if = "SkipBudget::is_empty")]
        skip_budget: SkipBudget,
    },
    /// A spec file, whole, so that the record can be judged again.
    Spec {
        /// Path as given.
        file: String,
        /// SHA-256 of the text, hex.
        sha256: String,
        /// The text.
        text: String,
    },
    /// A case begins.
    Case(Box<CaseHeader>),
    /// A step begins.
    Step {
        /// The case's id.
        case: String,
        /// Phase: `setup`, `steps`, `teardown` or `onFailure`.
        phase: String,
        /// Index within the phase.
        index: usize,
        /// Its name, or its action in words.
        name: String,
        /// When.
        t: f64,
    },
    /// A command of the subject ended, or an effect was applied.
    Act {
        /// The case's id.
        case: String,
        /// What was done, in words or as the command line.
        what: String,
        /// Exit status, if it was a command.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<i64>,
        /// Standard output (first 16 KiB).
        #[serde(default, skip_serializing_if = "String::is_empty")]
        stdout: String,
        /// Standard error (first 16 KiB).
        #[serde(default, skip_serializing_if = "String::is_empty")]
        stderr: String,
        /// Began.
        t0: f64,
        /// Ended.
        t1: f64,
    },
    /// One look: what every check of the step saw.
    Look {
        /// The case's id.
        case: String,
        /// Phase of the step.
        phase: String,
        /// Index of the step.
        index: usize,
        /// Number of the look in its step, from 0.
        n: u64,
        /// When.
        t: f64,
        /// By check id.
        seen: BTreeMap<String, Seen>,
    },
    /// A step could not go on: a refused action that no check looks at, or a time-out.
    Broken {
        /// The case's id.
        case: String,
        /// Phase of the step.
        phase: String,
        /// Index of the step.
        index: usize,
        /// Whether the subject is to blame (the step fails) or the harness or host (it ends in error).
        subject: bool,
        /// What happened.
        message: String,
    },
    /// A requirement is not met: what it stands for is skipped. Without step and check it is the whole case.
    Unmet {
        /// The case's id.
        case: String,
        /// Phase and index of the step that needs it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<(String, usize)>,
        /// The check that needs it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        check: Option<String>,
        /// The requirement, as written.
        requirement: String,
        /// What its probe saw, or why it saw nothing.
        seen: String,
        /// The probe itself went wrong: what needs it ends in error, for nobody knows whether it is met.
        #[serde(default)]
        fault: bool,
    },
    /// Something kept for people who look into a failure.
    Evidence {
        /// The case's id.
        case: String,
        /// What it is.
        name: String,
        /// The text.
        text: String,
    },
    /// What became of a check.
    Verdict {
        /// The case's id.
        case: String,
        /// Id of the check.
        check: String,
        /// The verdict.
        #[serde(flatten)]
        verdict: Verdict,
        /// How many looks it rests on.
        looks: u64,
        /// The spec lists it as a known failure of the subject, for this reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        known: Option<String>,
        /// It failed or ended in error because what it is about was not there or its step could not be done: no value was
        /// compared.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        absent: bool,
    },
    /// What a check was shown to be able to tell.
    Proof(Box<CheckProof>),
    /// How many checks of a run have a stored proof.
    ProofScore(ProofScore),
    /// A case of a benchmark begins to take samples.
    Setting(Box<bench::Setting>),
    /// What a case of a benchmark is compared with.
    Baseline(Box<bench::Baseline>),
    /// One sample of a benchmark.
    Sample(Box<bench::Sample>),
    /// What the kernel itself took in a round of a benchmark.
    Floor(Box<bench::FloorSample>),
    /// What the samples of a case come to.
    Figures(Box<bench::Figures>),
    /// A case ended.
    CaseEnd {
        /// The case's id.
        case: String,
        /// How long it took, milliseconds.
        took: f64,
        /// Of that, time that is not a wait which a window, a sample or a settling time asks for.
        overhead: f64,
        /// What could not be removed afterwards.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        leftovers: Vec<String>,
    },
    /// A check that an earlier run on this machine looked at is skipped now.
    Drift(Box<Drift>),
    /// A check is gone from a spec file that still is there.
    Vanished(Box<Vanished>),
    /// The last line.
    RunEnd {
        /// Exit code of the run.
        exit: u8,
        /// Counts of checks.
        tally: Tally,
        /// How long it took, milliseconds.
        took: f64,
    },
}

/// What a case is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CaseHeader {
    /// Unique in the run: `test[limit=32Mi]@bundled`, with `+sabotage` if one is applied, and `#2` behind it if it is
    /// the second attempt.
    pub id: String,
    /// Name of the test.
    pub test: String,
    /// Spec file.
    pub file: String,
    /// What it shows.
    pub description: String,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Values of the matrix.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub matrix: BTreeMap<String, Value>,
    /// Name of the subject.
    pub subject: String,
    /// The kind of target it runs as.
    pub target: String,
    /// The sabotage applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sabotage: Option<String>,
    /// The fault by which the subject disobeys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// It is run to see which checks fail: a failed check does not keep the next steps from being done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proving: bool,
    /// Its checks, in order.
    pub checks: Vec<CheckHeader>,
    /// Which attempt at the case it is, from 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub attempt: u32,
    /// By what the bounds of time of its spec were multiplied.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub patience: u32,
    /// A check that passes in a later attempt only is green, as the spec says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub flaky_allowed: bool,
    /// When it began.
    pub t: f64,
}

impl CaseHeader {
    /// Id of the same case without a fault.
    pub fn healthy(&self) -> String {
        let mark = match (&self.sabotage, &self.fault) {
            (Some(sabotage), _) => format!("+{sabotage}@"),
            (None, Some(fault)) => format!("!{fault}@"),
            (None, None) => return self.id.clone(),
        };
        self.id.replacen(&mark, "@", 1)
    }

    /// Whether a fault was put in so that checks fail: what becomes of them is no result of the run.
    pub fn broken_on_purpose(&self) -> bool {
        self.proving && (self.sabotage.is_some() || self.fault.is_some())
    }
}

fn one() -> u32 {
    1
}

fn is_one(number: &u32) -> bool {
    *number == 1
}

/// What a check is, for reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckHeader {
    /// Its id.
    pub id: String,
    /// `file:line:column`.
    pub at: String,
    /// The subject key (`namespace`, `cgroup` …).
    pub about: String,
}

/// A check that is skipped although an earlier run on this machine looked at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drift {
    /// The case's id.
    pub case: String,
    /// Id of the check.
    pub check: String,
    /// The requirement that is not met now.
    pub requirement: String,
    /// What its probe saw.
    pub seen: String,
    /// The last run that looked at it.
    pub run: String,
    /// When that run began, RFC 3339.
    pub last: String,
    /// The verdict then.
    pub verdict: String,
    /// What of the host is not as it was then, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host: Vec<String>,
}

/// A check that stood in a spec file when it was last run, and does not any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Vanished {
    /// Name of the test.
    pub test: String,
    /// Id of the check.
    pub check: String,
    /// The spec file.
    pub file: String,
    /// The last run with that file.
    pub run: String,
    /// When that run began, RFC 3339.
    pub last: String,
}

/// The host on which a run took place.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Host {
    /// `uname -r`.
    pub kernel: String,
    /// `uname -m`.
    pub machine: String,
    /// CPU model.
    pub cpu: String,
    /// CPUs that the harness may use.
    pub cpus: u64,
    /// Memory, bytes.
    pub memory: u64,
    /// `v1`, `v2` or `hybrid`.
    pub cgroup: String,
    /// Effective user id of the harness.
    pub uid: u32,
}

/// A subject.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubjectInfo {
    /// Name: `bundled`, or the runtime's.
    pub name: String,
    /// Command line.
    pub argv: Vec<String>,
    /// What `--version` said, first line.
    pub version: String,
    /// Which build of the program it was: the id that the linker gave it, or a hash of the file; empty if nobody can tell.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub build: String,
}

impl SubjectInfo {
    /// Most characters of a build that are told.
    const TOLD: usize = 12;

    /// Version and build, as a person compares them: `plimsoll-oci 0.1.0, build 3f2a91c0b7de`.
    pub fn version_and_build(&self) -> String {
        let build = self.build.strip_prefix("sha256:").unwrap_or(&self.build);
        match build.get(..Self::TOLD).unwrap_or(build) {
            "" => self.version.clone(),
            told => format!("{}, build {told}", self.version),
        }
    }
}
