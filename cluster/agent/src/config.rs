//! What a node is to be, and what is around it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use objects::quantity::Quantity;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::image_store::Images;
use crate::network::Underlay;

/// A node as it is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeConfig {
    /// Its name.
    pub name: String,
    /// Labels beside those that every node has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Taints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<Taint>,
    /// Amounts by resource: `cpu`, `memory`, `pods`, `pids`, `nvidia.com/gpu` …
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub capacity: BTreeMap<String, String>,
    /// It only says that it runs pods.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub simulated: bool,
    /// So many of it, called NAME-0 and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
    /// Cordoned from the beginning.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unschedulable: bool,
}

/// A taint of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

/// What nodes need around them.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// All files lie below it.
    pub directory: PathBuf,
    /// A group that exists in every hierarchy.
    pub cgroup: PathBuf,
    /// Argument vector of an OCI runtime.
    pub runtime: Vec<String>,
    /// The wire between nodes.
    pub underlay: Arc<Underlay>,
    /// Images, unpacked once for all nodes.
    pub images: Arc<Images>,
    /// Names of [`crate::FAULTS`]; others are ignored.
    pub faults: BTreeSet<String>,
}

/// What a node has if it does not say.
const CAPACITY: [(&str, &str); 4] = [
    ("cpu", "4"),
    ("memory", "8Gi"),
    ("pods", "110"),
    ("ephemeral-storage", "32Gi"),
];

impl NodeConfig {
    /// Each node that this stands for.
    pub fn expand(&self) -> Vec<Self> {
        let Some(count) = self.count else {
            return vec![self.clone()];
        };
        let numbered = |number| Self {
            name: format!("{}-{number}", self.name),
            count: None,
            ..self.clone()
        };
        (0..count).map(numbered).collect()
    }

    /// Amounts by resource, those that it does not say filled in.
    pub(crate) fn amounts(&self) -> BTreeMap<String, String> {
        let given = CAPACITY.iter().map(|(name, amount)| ((*name).into(), (*amount).into()));
        let mut all: BTreeMap<String, String> = given.collect();
        all.extend(self.capacity.clone());
        all
    }

    /// One amount, in thousandths for `cpu`, else in whole pieces.
    pub(crate) fn amount(&self, resource: &str) -> Option<i64> {
        let amount = Quantity::of(&Value::String(self.amounts().remove(resource)?))?;
        Some(if resource == "cpu" {
            amount.milli()
        } else {
            amount.value()
        })
    }

    /// The object that is registered.
    pub(crate) fn object(&self, pod_cidrs: &[String]) -> Value {
        let mut labels = BTreeMap::from([
            ("kubernetes.io/hostname".to_owned(), self.name.clone()),
            ("kubernetes.io/os".into(), "linux".into()),
            ("kubernetes.io/arch".into(), architecture().into()),
            ("beta.kubernetes.io/os".into(), "linux".into()),
            ("beta.kubernetes.io/arch".into(), architecture().into()),
        ]);
        if self.simulated {
            labels.insert("plimsoll.dev/simulated".into(), "true".into());
        }
        labels.extend(self.labels.clone());
        let mut object = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": self.name, "labels": labels},
            "spec": {"podCIDR": pod_cidrs.first(), "podCIDRs": pod_cidrs, "providerID": format!("plimsoll://{}", self.name)},
        });
        if !self.annotations.is_empty() {
            object["metadata"]["annotations"] = json!(self.annotations);
        }
        if !self.taints.is_empty() {
            object["spec"]["taints"] = json!(self.taints);
        }
        if self.unschedulable {
            object["spec"]["unschedulable"] = json!(true);
        }
        object
    }
}

/// As Go and Kubernetes call it.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_many_nodes_of_the_same_kind() {
        let config: NodeConfig = serde_json::from_value(json!({
            "name": "n", "count": 2, "capacity": {"cpu": "2500m", "nvidia.com/gpu": "1"},
            "taints": [{"key": "gpu", "effect": "NoSchedule"}],
        }))
        .unwrap();
        let all = config.expand();
        assert_eq!(
            all.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(),
            ["n-0", "n-1"]
        );
        assert_eq!((all[0].amount("cpu"), all[0].amount("pods")), (Some(2500), Some(110)));
        let object = all[1].object(&["10.244.2.0/24".into(), "fd00:10:244:2::/64".into()]);
        assert_eq!(object["spec"]["podCIDR"], "10.244.2.0/24");
        assert_eq!(object["spec"]["podCIDRs"][1], "fd00:10:244:2::/64");
        assert_eq!(object["metadata"]["labels"]["kubernetes.io/hostname"], "n-1");
        assert_eq!(
            object["spec"]["taints"],
            json!([{"key": "gpu", "effect": "NoSchedule"}])
        );
    }
}
