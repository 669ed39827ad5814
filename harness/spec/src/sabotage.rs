//! A fault in the set-up under which named checks must fail.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Spanned;

/// The same case again with one fault in its set-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sabotage {
    /// Name of the fault, unique in the spec.
    pub id: Spanned<String>,
    /// Paths below `spec` and the values to put there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, Spanned<Value>>,
    /// Paths below `spec` to take away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unset: Vec<Spanned<String>>,
    /// A fault of the subject: the request stays as it is, and the subject disobeys it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inject: Option<Inject>,
    /// Ids of the checks that must fail.
    pub must_fail: Vec<Spanned<String>>,
}

/// Where a subject disobeys: one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Inject {
    /// Name of a fault of `plimsoll saboteur --list`.
    Runtime(Spanned<String>),
    /// Name of a fault of the bundled cluster, of `plimsoll cluster faults`.
    Cluster(Spanned<String>),
}

/// What is asked of the proof of a test.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Proof {
    /// Whether an unproven check is felt under `--require-proof`.
    #[serde(default)]
    pub policy: ProofPolicy,
    /// Checks that need no proof, with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub waive: BTreeMap<String, Spanned<String>>,
}

/// Whether an unproven check is felt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ProofPolicy {
    /// It is.
    #[default]
    Required,
    /// It is told, and nothing more.
    Advisory,
}
