//! The versioned `run.jsonl` format: one JSON object a line, append-only.
//!
//! `spec` owns the format of what goes in, `record` the format of what comes out. A reader meets a newer version with a
//! sentence and not with a guess.

pub mod attempt;
pub mod bench;
pub mod budget;
pub mod event;
pub mod packets;
pub mod pods;
pub mod proof;
pub mod read;
pub mod samples;
pub mod seen;
pub mod verdict;

pub use attempt::{Flaky, Ledger, LedgerCase, LedgerCheck, Settled, settle};
pub use budget::{Account, Allowance, Ending, Overdrawn, SkipBudget, SkipLimit};
pub use event::{CaseHeader, CheckHeader, Drift, Event, Host, SubjectInfo, Vanished};
pub use proof::{CheckProof, Depth, FaultEffect, FaultRow, ProofScore, Resolution, Standing};
pub use read::{ReadError, read};
pub use seen::Seen;
pub use verdict::{Tally, Verdict};

/// The version that this crate writes and the newest that it reads. 2: looks at clusters. 3: looks at
/// packets. 4: samples of benchmarks. 5: arms of a regression gate, floors.
pub const VERSION: u32 = 5;
