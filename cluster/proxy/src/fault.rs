//! Faults of a proxy, chosen on purpose to see whether somebody notices.

use std::collections::BTreeSet;

/// Name, the dimension of specs that it is near, and what it does.
pub const FAULTS: &[(&str, &str, &str)] = &[
    (
        "backend-lost",
        "service",
        "of several backends of a Service the last gets no connections",
    ),
    (
        "one-backend-only",
        "service",
        "all connections to a Service go to one backend",
    ),
    (
        "stale-endpoints-kept",
        "service",
        "backends that are gone still get connections",
    ),
    (
        "unready-served",
        "service",
        "backends that are not ready get connections",
    ),
    (
        "affinity-ignored",
        "service",
        "sessionAffinity is ignored: each connection may go to another backend",
    ),
    (
        "affinity-forever",
        "service",
        "the timeout of sessionAffinity is a day whatever the Service says",
    ),
    ("node-port-closed", "service", "nobody answers on node ports"),
    (
        "external-address-closed",
        "service",
        "nobody answers on the externalIPs of Services",
    ),
    (
        "no-endpoints-dropped",
        "service",
        "connections to a Service without backends are dropped and not refused",
    ),
    (
        "wrong-port-dropped",
        "service",
        "connections to a port that a Service does not have are dropped and not refused",
    ),
    (
        "hairpin-not-masqueraded",
        "service",
        "a pod that reaches itself through its Service gets packets from its own address",
    ),
    (
        "local-policy-ignored",
        "service",
        "internalTrafficPolicy and externalTrafficPolicy are Cluster whatever the Service says",
    ),
    (
        "source-lost",
        "service",
        "whoever reaches a pod through a Service seems to be its node",
    ),
    ("udp-dropped", "service", "UDP ports of Services are not served"),
    (
        "udp-flows-kept",
        "service",
        "packets of UDP go on to the backend that they went to, though it is gone",
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
