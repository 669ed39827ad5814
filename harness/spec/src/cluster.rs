//! The cluster that a test is for: its nodes, how they are connected, the seed of its scheduler, and its faults.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::{Families, Spanned};

/// The cluster that a test is for. The bundled one is made so; a real one must have nodes that match, or the test is
/// skipped.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cluster {
    /// The nodes (three real ones without labels unless told).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<Spanned<NodeConfig>>,
    /// How pods and nodes of the bundled cluster are connected; a real one has the network that it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// Decides ties of the bundled scheduler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Faults of the bundled cluster that are there from the start, by the names of `plimsoll cluster faults`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Spanned<String>>,
}

/// How the pods and the nodes of a cluster are connected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Network {
    /// Pods with their node (`ptp` unless told).
    #[serde(default)]
    pub pods: PodNetwork,
    /// Nodes with pods of other nodes (`host-gw` unless told).
    #[serde(default)]
    pub routes: Routes,
    /// Families of the addresses of nodes, pods and Services (`[IPv4]` unless told).
    #[serde(default, skip_serializing_if = "Families::is_usual")]
    pub families: Families,
}

/// How pods are connected with their node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PodNetwork {
    /// Each by a wire of its own, over which all it sends is routed.
    #[default]
    Ptp,
    /// By a bridge of the node.
    Bridge,
}

/// How nodes lead to pods of other nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Routes {
    /// By plain routes.
    #[default]
    HostGw,
    /// In datagrams between the nodes.
    Vxlan,
}

/// One node, or several that are alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeConfig {
    /// Its name; of several, the names are `NAME-0`, `NAME-1` ….
    pub name: String,
    /// Labels beside those that every node has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Taints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<Taint>,
    /// What it claims to have, as Kubernetes quantities: `cpu`, `memory`, `pods`, `ephemeral-storage`, `pids` and
    /// extended resources such as `nvidia.com/gpu`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub capacity: BTreeMap<String, Quantity>,
    /// Nothing runs on it: its pods are said to run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub simulated: bool,
    /// How many of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Cordoned from the start.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unschedulable: bool,
}

/// A taint of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What it does to pods that do not tolerate it.
    pub effect: TaintEffect,
}

/// What a taint does to pods that do not tolerate it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TaintEffect {
    /// They do not get there.
    NoSchedule,
    /// They get there only if nothing else is left.
    PreferNoSchedule,
    /// They do not get there, and leave.
    NoExecute,
}

impl Cluster {
    /// Names of its nodes; empty if none are declared.
    pub fn names(&self) -> Vec<String> {
        self.nodes.iter().flat_map(|node| node.names()).collect()
    }
}

impl NodeConfig {
    /// The names that it stands for.
    pub fn names(&self) -> Vec<String> {
        match self.count {
            None | Some(1) => vec![self.name.clone()],
            Some(count) => (0..count).map(|n| format!("{}-{n}", self.name)).collect(),
        }
    }
}

/// An amount as Kubernetes writes it: `4`, `500m`, `8Gi`. Kept as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Quantity(pub String);

impl Quantity {
    /// Whether Kubernetes reads it as an amount: a decimal number with a suffix or an exponent.
    pub fn is_one(&self) -> bool {
        let number = self.0.trim_start_matches(['+', '-']);
        let end = number.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (digits, suffix) = number.split_at(end.unwrap_or(number.len()));
        let digits_fit = digits.bytes().any(|b| b.is_ascii_digit()) && digits.matches('.').count() <= 1;
        let exponent = |text: &str| {
            text.strip_prefix(['e', 'E'])
                .is_some_and(|rest| rest.parse::<i32>().is_ok())
        };
        const SUFFIXES: [&str; 16] = [
            "", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
        ];
        digits_fit && (SUFFIXES.contains(&suffix) || exponent(suffix))
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Quantity;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quantity such as `4`, `500m` or `8Gi`")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Quantity, E> {
                Ok(Quantity(text.to_owned()))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "KubernetesQuantity".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": ["string", "number"],
            "description": "An amount as Kubernetes writes it: `4`, `500m`, `8Gi`.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_those_of_kubernetes() {
        for amount in ["4", "500m", "8Gi", "1.5", "1e3", "100k", "0"] {
            assert!(Quantity(amount.into()).is_one(), "{amount}");
        }
        for wrong in ["", "four", "8GiB", "1..5", "Gi", "5 Gi", "1e"] {
            assert!(!Quantity(wrong.into()).is_one(), "{wrong}");
        }
    }

    #[test]
    fn nodes_that_are_alike_are_counted_from_zero() {
        let cluster: Cluster = serde_json::from_str(
            r#"{"nodes": [{"at": {"line": 0, "column": 0}, "value": {"name": "n", "count": 2}}]}"#,
        )
        .unwrap();
        assert_eq!(cluster.names(), ["n-0", "n-1"]);
    }
}
