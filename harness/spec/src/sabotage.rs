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
    /// Ids of the checks that must fail.
    pub must_fail: Vec<Spanned<String>>,
}
