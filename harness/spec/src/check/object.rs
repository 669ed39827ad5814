//! What the API tells of an object: events about it, and the counts of replicas.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Matcher;

/// Events about a workload: its object, what that owns, and its pods.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventsCheck {
    /// Reason of those that are meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Matcher>,
    /// `Normal` or `Warning`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<Matcher>,
    /// Message of those that are meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Matcher>,
    /// How often it happened (at least once unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<Matcher>,
}

/// Counts of replicas, as the controller tells them; what it does not tell is none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplicasCheck {
    /// Asked for in `spec`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<Matcher>,
    /// There, ready or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Matcher>,
    /// Ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Matcher>,
    /// Of the newest template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated: Option<Matcher>,
    /// Ready for as long as `minReadySeconds` asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<Matcher>,
    /// The controller has seen the newest `spec`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<bool>,
}
