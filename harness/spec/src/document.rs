//! A spec document: the Kubernetes header and the typed body.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Cluster, Proof, Requirement, Sabotage, Span, Spanned, Step, Workload};

/// A whole document of `kind: Test`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Document {
    /// `plimsoll.dev/v1`.
    pub api_version: Spanned<String>,
    /// `Test`.
    pub kind: Spanned<String>,
    /// Name and labels.
    pub metadata: Metadata,
    /// The body.
    pub spec: Test,
}

/// Name and labels of a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// Name, a DNS label, unique in a run.
    pub name: Spanned<String>,
    /// Labels for selection (`-l area=cgroup`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Notes that select nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// The body of a test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Test {
    /// What behaviour it shows, in one sentence.
    pub description: String,
    /// Kinds of subjects it is for.
    pub targets: Vec<Spanned<Target>>,
    /// What it needs; unmet, it is skipped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<Requirement>,
    /// Each combination is a case; use as `${matrix.NAME}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub matrix: BTreeMap<String, Vec<Value>>,
    /// Names for values; use as `${vars.NAME}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, Value>,
    /// Bounds.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// Whether a case that does not pass is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// What may run beside it.
    #[serde(default)]
    pub concurrency: Concurrency,
    /// The cluster that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Cluster>,
    /// What runs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub workloads: BTreeMap<String, Spanned<Workload>>,
    /// Steps that prepare.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub setup: Vec<Spanned<Step>>,
    /// The steps.
    pub steps: Vec<Spanned<Step>>,
    /// Steps that always run at the end; what was created is removed anyway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teardown: Vec<Spanned<Step>>,
    /// Further evidence to collect when a check failed; the standard set is automatic.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on_failure: Vec<Spanned<Step>>,
    /// Faults of the set-up and the checks that must see them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sabotage: Vec<Sabotage>,
    /// What is asked of its proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// Subjects on which named checks are known to fail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known_failures: Vec<KnownFailure>,
}

/// What a test is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// An OCI runtime.
    Runtime,
    /// A Kubernetes cluster.
    Cluster,
    /// The host itself.
    Host,
}

/// Bounds of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Timeouts {
    /// The whole case (60s unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Span>,
    /// All of `setup`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup: Option<Span>,
    /// Each command of the subject (10s unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Span>,
    /// All of `teardown` (10s unless told, 60s in a cluster).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teardown: Option<Span>,
}

/// Further attempts at a case of which a check failed, was inconclusive or could not be measured. A check that passes
/// only in a later attempt is told as flaky.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retries {
    /// How many attempts at most after the first; `plimsoll run --retries` takes its place.
    #[schemars(range(min = 1, max = 10))]
    pub count: u32,
    /// What a flaky check means (`fail` unless told).
    #[serde(default)]
    pub flaky: FlakyMeans,
}

/// What it means that a check passed in a later attempt only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FlakyMeans {
    /// The check is red.
    #[default]
    Fail,
    /// The check is green, with a note.
    Allow,
}

/// What may run beside a case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Concurrency {
    /// Nothing may run beside it.
    #[serde(default)]
    pub exclusive: bool,
    /// No other case of this group may run beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// Checks known to fail on a subject, with the reason; an unexpected pass is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KnownFailure {
    /// Name of the subject: `runc`, `crun`, `bundled` or the file name of another runtime.
    pub subject: String,
    /// Ids of the checks.
    pub checks: Vec<Spanned<String>>,
    /// Why.
    pub reason: String,
}
