//! Faults of network policies, chosen on purpose to see whether somebody notices.

use std::collections::BTreeSet;

/// Name, the dimension of specs that it is near, and what it does.
pub const FAULTS: &[(&str, &str, &str)] = &[
    ("policies-ignored", "policy", "no NetworkPolicy has any effect"),
    (
        "ingress-ignored",
        "policy",
        "NetworkPolicies have no effect on connections to pods",
    ),
    (
        "egress-ignored",
        "policy",
        "NetworkPolicies have no effect on connections that pods begin",
    ),
    (
        "default-deny-forgotten",
        "policy",
        "a NetworkPolicy without rules for a direction isolates no pod in it",
    ),
    (
        "policy-types-ignored",
        "policy",
        "policyTypes is ignored: a NetworkPolicy is about ingress, and about egress if it has a rule for it",
    ),
    (
        "one-policy-only",
        "policy",
        "of several NetworkPolicies that select a pod only the first counts",
    ),
    (
        "pod-selector-ignored",
        "policy",
        "a podSelector among peers finds every pod of its namespaces",
    ),
    (
        "namespace-selector-ignored",
        "policy",
        "a namespaceSelector finds every namespace",
    ),
    (
        "selectors-either",
        "policy",
        "of a peer with podSelector and namespaceSelector either is enough",
    ),
    (
        "except-ignored",
        "policy",
        "the exceptions of ipBlocks are allowed, too",
    ),
    (
        "policy-ports-ignored",
        "policy",
        "rules of NetworkPolicies allow every port",
    ),
    (
        "policy-protocol-ignored",
        "policy",
        "a port of a NetworkPolicy is allowed by TCP and by UDP",
    ),
    (
        "end-port-ignored",
        "policy",
        "of a range of ports only the first is allowed",
    ),
    (
        "named-port-unresolved",
        "policy",
        "ports that NetworkPolicies name are allowed nowhere",
    ),
    (
        "policy-update-late",
        "policy",
        "changes of policies, pods and namespaces have their effect five seconds late",
    ),
    (
        "live-connections-spared",
        "policy",
        "connections go on though policies allow them no more",
    ),
    (
        "replies-dropped",
        "policy",
        "answers are judged as if they were connections of their own",
    ),
    (
        "node-judged",
        "policy",
        "a node reaches its own pods only where policies allow it, and so do its probes",
    ),
];

/// Those that were chosen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults(BTreeSet<String>);

impl Faults {
    pub(crate) fn new(chosen: &BTreeSet<String>) -> Self {
        let known = |name: &&String| FAULTS.iter().any(|(known, _, _)| known == name);
        Self(chosen.iter().filter(known).cloned().collect())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        debug_assert!(
            FAULTS.iter().any(|(known, _, _)| *known == name),
            "{name} is in no table"
        );
        self.0.contains(name)
    }
}
