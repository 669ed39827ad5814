//! The kinds that controllers deal with, found in the table when this is compiled.

use objects::Kind;
use objects::kind::KINDS;

const fn of(group: &str, kind: &str) -> &'static Kind {
    let mut at = 0;
    while at < KINDS.len() {
        if same(KINDS[at].group, group) && same(KINDS[at].kind, kind) {
            return &KINDS[at];
        }
        at += 1;
    }
    panic!("a kind that is not served")
}

const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

pub(crate) const CONFIG_MAP: &Kind = of("", "ConfigMap");
pub(crate) const DEPLOYMENT: &Kind = of("apps", "Deployment");
pub(crate) const ENDPOINT_SLICE: &Kind = of("discovery.k8s.io", "EndpointSlice");
pub(crate) const LEASE: &Kind = of("coordination.k8s.io", "Lease");
pub(crate) const LIMIT_RANGE: &Kind = of("", "LimitRange");
pub(crate) const NAMESPACE: &Kind = of("", "Namespace");
pub(crate) const NODE: &Kind = of("", "Node");
pub(crate) const POD: &Kind = of("", "Pod");
pub(crate) const POD_DISRUPTION_BUDGET: &Kind = of("policy", "PodDisruptionBudget");
pub(crate) const PRIORITY_CLASS: &Kind = of("scheduling.k8s.io", "PriorityClass");
pub(crate) const REPLICA_SET: &Kind = of("apps", "ReplicaSet");
pub(crate) const RESOURCE_QUOTA: &Kind = of("", "ResourceQuota");
pub(crate) const RUNTIME_CLASS: &Kind = of("node.k8s.io", "RuntimeClass");
pub(crate) const SERVICE: &Kind = of("", "Service");
pub(crate) const SERVICE_ACCOUNT: &Kind = of("", "ServiceAccount");
