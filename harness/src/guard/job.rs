//! What the harness asks of a guard, and what the guard answers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use record::Event;
use serde::{Deserialize, Serialize};

use crate::guard::cgroup::Limits;
use crate::plan::Case;
use crate::subject::Subject;

/// One case to run, on one line of standard input. The end of that input is the end of the guard.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// The case.
    pub case: Case,
    /// What is under test.
    pub subject: Subject,
    /// What is under test in the cases beside it, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<Subject>,
    /// Seed of what is drawn by chance.
    #[serde(default)]
    pub seed: u64,
    /// Unique on the host; names the cgroups.
    pub token: String,
    /// What the workload must repeat to be believed.
    pub nonce: String,
    /// Directory of the case on disk, of the harness; writable inside as `HOME/work`.
    pub work: PathBuf,
    /// The unpacked probe image; read-only inside as `HOME/image`.
    pub image: PathBuf,
    /// Every image of the case, unpacked, by its name in the spec.
    pub images: BTreeMap<String, PathBuf>,
    /// The guard ends its case after this.
    pub deadline: Duration,
    /// Limits of the guard's cgroup, above any sabotage.
    pub limits: Limits,
    /// Do not show the unified hierarchy to the subject: crun refuses a hybrid host.
    pub hide_unified: bool,
    /// The monotonic clock when the run began, so that times of all cases compare.
    pub epoch: Duration,
    /// This machine is emulated: its clocks mean nothing.
    pub emulated: bool,
}

/// One line of a guard's standard output.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Line {
    /// Something for the record.
    Event(Box<Event>),
    /// The case came to its end.
    Done {
        /// How long it took.
        took: Duration,
        /// Of that, waits that the spec asks for and commands of the subject.
        waited: Duration,
        /// What could not be removed from a cluster that others use, too.
        leftovers: Vec<String>,
    },
    /// The case could not begin.
    Failed {
        /// Why.
        message: String,
    },
    /// The last line: the guard is gone.
    Closed {
        /// Why, if not because the case came to its end.
        reason: Option<String>,
        /// What could not be removed.
        leftovers: Vec<String>,
    },
}
