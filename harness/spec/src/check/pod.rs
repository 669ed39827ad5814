//! The status of the pods of a workload, and what their containers wrote.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::Matcher;

/// The status of the pods of a workload. It holds for every pod, and there must be one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodCheck {
    /// How many pods it has, those that are being deleted left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<Matcher>,
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Matcher>,
    /// Why it is in this phase (`Evicted` …).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Matcher>,
    /// More about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Matcher>,
    /// Whether it is ready: its condition `Ready`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
    /// Restarts of all its containers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarts: Option<Matcher>,
    /// By type, the status of a condition (`True`, `False`, `Unknown`), or more of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub conditions: BTreeMap<String, ConditionCheck>,
    /// By name, containers, init containers among them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub containers: BTreeMap<String, ContainerCheck>,
    /// `Guaranteed`, `Burstable` or `BestEffort`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qos_class: Option<Matcher>,
    /// Its address.
    #[serde(default, rename = "podIP", skip_serializing_if = "Option::is_none")]
    pub pod_ip: Option<Matcher>,
    /// Whether it is being deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleting: Option<bool>,
}

/// A condition: its status, or a map.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConditionCheck {
    /// `True`, `False` or `Unknown`; a condition that is not there has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Matcher>,
    /// Its reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Matcher>,
    /// Its message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Matcher>,
}

/// The map form.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ConditionFields")]
struct ConditionFields {
    /// `True`, `False` or `Unknown`; a condition that is not there has none.
    #[serde(default)]
    status: Option<Matcher>,
    /// Its reason.
    #[serde(default)]
    reason: Option<Matcher>,
    /// Its message.
    #[serde(default)]
    message: Option<Matcher>,
}

impl<'de> Deserialize<'de> for ConditionCheck {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = ConditionCheck;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a status such as `True`, or a map")
            }
            // To YAML `True` is no text.
            fn visit_bool<E: de::Error>(self, status: bool) -> Result<ConditionCheck, E> {
                self.visit_str(if status { "True" } else { "False" })
            }
            fn visit_str<E: de::Error>(self, status: &str) -> Result<ConditionCheck, E> {
                Ok(ConditionCheck {
                    status: Some(Matcher::eq(status)),
                    ..ConditionCheck::default()
                })
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<ConditionCheck, A::Error> {
                let fields = ConditionFields::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(ConditionCheck {
                    status: fields.status,
                    reason: fields.reason,
                    message: fields.message,
                })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for ConditionCheck {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ConditionCheck".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let fields = generator.subschema_for::<ConditionFields>();
        schemars::json_schema!({
            "description": "The status of a condition, or more of it.",
            "anyOf": [{"type": ["string", "boolean"]}, fields],
        })
    }
}

/// A container of a pod.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContainerCheck {
    /// `waiting`, `running` or `terminated`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Matcher>,
    /// Why it waits or ended (`CrashLoopBackOff`, `Completed`, `OOMKilled` …).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Matcher>,
    /// Its message, such as that of the file `terminationMessagePath`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Matcher>,
    /// Exit status, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<Matcher>,
    /// How often it was started again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_count: Option<Matcher>,
    /// Whether it is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
    /// Whether it has started, by its startup probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<bool>,
    /// How it ended the last time before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<LastCheck>,
}

/// How a container ended the last time before it was started again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LastCheck {
    /// `Completed`, `Error`, `OOMKilled` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Matcher>,
    /// Its message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Matcher>,
    /// Exit status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<Matcher>,
}

/// What a container of a pod wrote. It holds for every pod, and there must be one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogsCheck {
    /// The container (the only one unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// That of its run before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub previous: bool,
    /// The text, standard output and error as they came (last 64 KiB).
    pub text: Matcher,
}
