//! A Kubernetes manifest: kept as it was written, with a header that must make sense.

use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A Kubernetes manifest, as JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Manifest(pub Map<String, Value>);

impl Deref for Manifest {
    type Target = Map<String, Value>;
    fn deref(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl Manifest {
    fn text(&self, pointer: &[&str]) -> Option<&str> {
        let (first, rest) = pointer.split_first()?;
        rest.iter()
            .try_fold(self.0.get(*first)?, |value, key| value.get(key))?
            .as_str()
    }

    /// `apiVersion`; empty if it is not there.
    pub fn api_version(&self) -> &str {
        self.text(&["apiVersion"]).unwrap_or_default()
    }

    /// `kind`; empty if it is not there.
    pub fn kind(&self) -> &str {
        self.text(&["kind"]).unwrap_or_default()
    }

    /// `metadata.name`.
    pub fn name(&self) -> Option<&str> {
        self.text(&["metadata", "name"])
    }

    /// `metadata.namespace`.
    pub fn namespace(&self) -> Option<&str> {
        self.text(&["metadata", "namespace"])
    }

    /// The built-in kind that it is of, if it is of one.
    pub fn known(&self) -> Option<&'static Known> {
        KINDS
            .iter()
            .find(|known| known.kind == self.kind() && known.api_version == self.api_version())
    }

    /// Whether pods come of it; of a kind that is not built in, nobody knows.
    pub fn has_pods(&self) -> bool {
        self.known().is_none_or(|known| known.pods)
    }

    /// Whether it has replicas.
    pub fn has_replicas(&self) -> bool {
        self.known().is_none_or(|known| known.pods && known.kind != "Pod")
    }
}

impl JsonSchema for Manifest {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Manifest".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "object",
            "description": "A Kubernetes manifest.",
            "required": ["apiVersion", "kind", "metadata"],
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"type": "object"},
            },
        })
    }
}

/// A kind that Kubernetes itself serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Group and version.
    pub api_version: &'static str,
    /// Name of the kind.
    pub kind: &'static str,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Whether pods come of it.
    pub pods: bool,
}

const fn kind(api_version: &'static str, kind: &'static str) -> Known {
    Known {
        api_version,
        kind,
        namespaced: true,
        pods: false,
    }
}

const fn cluster(api_version: &'static str, name: &'static str) -> Known {
    Known {
        namespaced: false,
        ..kind(api_version, name)
    }
}

const fn pods(api_version: &'static str, name: &'static str) -> Known {
    Known {
        pods: true,
        ..kind(api_version, name)
    }
}

/// The kinds that Kubernetes itself serves and that a test may have as objects.
pub const KINDS: [Known; 39] = [
    pods("v1", "Pod"),
    pods("v1", "ReplicationController"),
    pods("apps/v1", "ReplicaSet"),
    pods("apps/v1", "Deployment"),
    pods("apps/v1", "StatefulSet"),
    pods("apps/v1", "DaemonSet"),
    pods("batch/v1", "Job"),
    pods("batch/v1", "CronJob"),
    kind("v1", "ConfigMap"),
    kind("v1", "Secret"),
    kind("v1", "Service"),
    kind("v1", "Endpoints"),
    kind("v1", "ServiceAccount"),
    kind("v1", "LimitRange"),
    kind("v1", "ResourceQuota"),
    kind("v1", "PersistentVolumeClaim"),
    kind("v1", "PodTemplate"),
    kind("v1", "Event"),
    cluster("v1", "Namespace"),
    cluster("v1", "Node"),
    cluster("v1", "PersistentVolume"),
    kind("apps/v1", "ControllerRevision"),
    kind("events.k8s.io/v1", "Event"),
    kind("coordination.k8s.io/v1", "Lease"),
    kind("discovery.k8s.io/v1", "EndpointSlice"),
    kind("policy/v1", "PodDisruptionBudget"),
    cluster("scheduling.k8s.io/v1", "PriorityClass"),
    cluster("node.k8s.io/v1", "RuntimeClass"),
    kind("networking.k8s.io/v1", "NetworkPolicy"),
    kind("networking.k8s.io/v1", "Ingress"),
    cluster("networking.k8s.io/v1", "IngressClass"),
    cluster("storage.k8s.io/v1", "StorageClass"),
    cluster("storage.k8s.io/v1", "CSIDriver"),
    cluster("storage.k8s.io/v1", "CSINode"),
    kind("autoscaling/v2", "HorizontalPodAutoscaler"),
    kind("rbac.authorization.k8s.io/v1", "Role"),
    kind("rbac.authorization.k8s.io/v1", "RoleBinding"),
    cluster("rbac.authorization.k8s.io/v1", "ClusterRole"),
    cluster("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
];
