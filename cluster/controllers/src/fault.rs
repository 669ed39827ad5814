//! Ways in which controllers and admission can be broken on purpose, so that specs prove what they would notice.

/// One way to disobey.
#[derive(Debug)]
pub struct Fault {
    /// Its name, in kebab-case.
    pub name: &'static str,
    /// The `dimension` labels of the specs that could be expected to notice; the first is what it breaks.
    pub dimensions: &'static [&'static str],
    /// What happens, in one sentence.
    pub what: &'static str,
    pub(crate) act: Act,
}

/// What is done wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    DeploymentIgnoresPause,
    DeploymentKeepsHistory,
    DeploymentOvershoots,
    DeploymentUndershoots,
    DisruptionsUnlimited,
    EndpointsKeepUnready,
    EndpointsOfOneFamily,
    EndpointsOff,
    ForegroundForgotten,
    GarbageStays,
    LimitDefaultsDropped,
    LimitsNotEnforced,
    NamespaceNeverEnds,
    NodeLossUnseen,
    OrphansDeleted,
    OverheadDropped,
    PriorityDropped,
    QuotaNotEnforced,
    QuotaStatusStale,
    RecreateOverlaps,
    ReplicaTooFew,
    ReplicaTooMany,
    SecondFamilyDropped,
    SelectorIgnoredOnAdoption,
    TaintEvictionOff,
    TokenNotMounted,
    TolerationSecondsIgnored,
    TolerationsNotDefaulted,
    UnreadyDeletedLast,
}

const fn fault(name: &'static str, dimensions: &'static [&'static str], what: &'static str, act: Act) -> Fault {
    Fault {
        name,
        dimensions,
        what,
        act,
    }
}

/// Every fault.
pub static FAULTS: &[Fault] = &[
    fault(
        "deployment-overshoots-surge",
        &["rollout"],
        "a rolling update makes all new pods at once, whatever maxSurge says",
        Act::DeploymentOvershoots,
    ),
    fault(
        "deployment-undershoots-available",
        &["rollout"],
        "a rolling update takes all old pods away at once, whatever maxUnavailable says",
        Act::DeploymentUndershoots,
    ),
    fault(
        "deployment-recreate-overlaps",
        &["rollout"],
        "strategy Recreate makes new pods while old ones still run",
        Act::RecreateOverlaps,
    ),
    fault(
        "deployment-ignores-pause",
        &["rollout"],
        "a paused Deployment is rolled out all the same",
        Act::DeploymentIgnoresPause,
    ),
    fault(
        "deployment-keeps-history",
        &["rollout"],
        "old ReplicaSets stay, whatever revisionHistoryLimit says",
        Act::DeploymentKeepsHistory,
    ),
    fault(
        "replicaset-one-too-few",
        &["replicas", "rollout"],
        "a ReplicaSet has one pod less than asked for",
        Act::ReplicaTooFew,
    ),
    fault(
        "replicaset-one-too-many",
        &["replicas", "rollout"],
        "a ReplicaSet has one pod more than asked for",
        Act::ReplicaTooMany,
    ),
    fault(
        "replicaset-adoption-off",
        &["replicas"],
        "pods that match are not adopted, and those that no longer match are not released",
        Act::SelectorIgnoredOnAdoption,
    ),
    fault(
        "replicaset-deletes-ready-first",
        &["replicas"],
        "of too many pods, those go first that should go last",
        Act::UnreadyDeletedLast,
    ),
    fault(
        "gc-off",
        &["garbage-collection"],
        "what belongs to something that is gone stays",
        Act::GarbageStays,
    ),
    fault(
        "gc-foreground-does-not-wait",
        &["garbage-collection"],
        "an owner that is deleted in the foreground goes before what belongs to it",
        Act::ForegroundForgotten,
    ),
    fault(
        "gc-orphans-deleted",
        &["garbage-collection"],
        "what was to be orphaned goes with its owner",
        Act::OrphansDeleted,
    ),
    fault(
        "namespace-never-ends",
        &["namespace"],
        "a namespace that is deleted stays Terminating, and so does what is in it",
        Act::NamespaceNeverEnds,
    ),
    fault(
        "endpoints-keep-unready",
        &["endpoints"],
        "pods that are not ready are endpoints like any other",
        Act::EndpointsKeepUnready,
    ),
    fault(
        "endpoints-off",
        &["endpoints"],
        "EndpointSlices are not kept",
        Act::EndpointsOff,
    ),
    fault(
        "endpoints-of-one-family",
        &["endpoints", "service"],
        "a Service of two families has endpoints of its first one only",
        Act::EndpointsOfOneFamily,
    ),
    fault(
        "service-second-family-dropped",
        &["service"],
        "a Service of two families gets an address of its first one only",
        Act::SecondFamilyDropped,
    ),
    fault(
        "disruptions-unlimited",
        &["disruption", "drain"],
        "a PodDisruptionBudget allows every eviction",
        Act::DisruptionsUnlimited,
    ),
    fault(
        "quota-not-enforced",
        &["quota"],
        "more is admitted than a ResourceQuota allows",
        Act::QuotaNotEnforced,
    ),
    fault(
        "quota-status-stale",
        &["quota"],
        "a ResourceQuota says once what is used, and then no more",
        Act::QuotaStatusStale,
    ),
    fault(
        "limitrange-defaults-dropped",
        &["limit-range"],
        "containers that say nothing get no requests and limits from a LimitRange",
        Act::LimitDefaultsDropped,
    ),
    fault(
        "limitrange-not-enforced",
        &["limit-range"],
        "containers may ask for less or more than a LimitRange allows",
        Act::LimitsNotEnforced,
    ),
    fault(
        "taint-eviction-off",
        &["taint-eviction", "node-loss"],
        "pods stay on nodes whose NoExecute taints they do not tolerate",
        Act::TaintEvictionOff,
    ),
    fault(
        "taint-eviction-ignores-tolerationSeconds",
        &["taint-eviction", "node-loss"],
        "pods that tolerate a NoExecute taint for a time leave at once",
        Act::TolerationSecondsIgnored,
    ),
    fault(
        "tolerations-not-defaulted",
        &["taint-eviction", "node-loss"],
        "pods get no tolerations of 300 s for nodes that are lost",
        Act::TolerationsNotDefaulted,
    ),
    fault(
        "node-loss-unseen",
        &["node-loss"],
        "a silent node stays Ready",
        Act::NodeLossUnseen,
    ),
    fault(
        "priority-dropped",
        &["priority", "preemption"],
        "the class of a pod gives it no priority",
        Act::PriorityDropped,
    ),
    fault(
        "overhead-dropped",
        &["overhead", "resources"],
        "the RuntimeClass of a pod gives it no overhead",
        Act::OverheadDropped,
    ),
    fault(
        "token-not-mounted",
        &["service-account"],
        "pods get no token volume",
        Act::TokenNotMounted,
    ),
];

/// The fault of a name.
pub fn named(name: &str) -> Option<&'static Fault> {
    FAULTS.iter().find(|one| one.name == name)
}

/// The faults that were chosen; as a rule none.
#[derive(Debug, Clone, Default)]
pub struct Faults(Vec<&'static Fault>);

impl Faults {
    /// Breaks one more thing.
    pub fn choose(&mut self, fault: &'static Fault) {
        self.0.push(fault);
    }

    pub(crate) fn has(&self, act: Act) -> bool {
        self.0.iter().any(|one| one.act == act)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_faults_share_a_name_or_an_act() {
        let names: BTreeSet<_> = FAULTS.iter().map(|one| one.name).collect();
        let acts: BTreeSet<_> = FAULTS.iter().map(|one| format!("{:?}", one.act)).collect();
        assert_eq!((names.len(), acts.len()), (FAULTS.len(), FAULTS.len()));
        assert!(
            FAULTS
                .iter()
                .all(|one| !one.dimensions.is_empty() && !one.what.ends_with('.'))
        );
    }
}
