//! Faults of an agent, chosen on purpose to see whether somebody notices.

use std::collections::BTreeSet;

/// Name, the dimension of specs that it is near, and what it does.
pub const FAULTS: &[(&str, &str, &str)] = &[
    (
        "readiness-always-true",
        "pod",
        "containers are ready whatever their readiness probe says",
    ),
    ("liveness-ignored", "pod", "a failed liveness probe restarts nothing"),
    (
        "startup-ignored",
        "pod",
        "other probes do not wait for the startup probe",
    ),
    (
        "init-order-reversed",
        "pod",
        "init containers run from the last to the first",
    ),
    ("env-dropped", "pod", "containers get no environment of their pod's"),
    ("args-dropped", "pod", "containers get no arguments"),
    (
        "volume-not-updated",
        "pod",
        "volumes keep what they held when the pod began",
    ),
    ("volume-mode-ignored", "pod", "files of volumes have the mode 0644"),
    (
        "volume-writable",
        "pod",
        "volume mounts that are to be read-only can be written",
    ),
    (
        "empty-dir-on-disk",
        "pod",
        "emptyDir in memory is a directory without a limit",
    ),
    (
        "grace-ignored",
        "pod",
        "containers are killed at once when they are to end",
    ),
    ("pre-stop-skipped", "pod", "preStop hooks are not run"),
    ("post-start-skipped", "pod", "postStart hooks are not run"),
    ("share-pid-ignored", "pod", "shareProcessNamespace shares nothing"),
    (
        "sandbox-not-shared",
        "pod",
        "each container has network, host name and IPC of its own",
    ),
    (
        "oom-reported-as-error",
        "pod",
        "a container that the kernel killed for want of memory is told as Error",
    ),
    ("memory-limit-dropped", "pod", "containers have no memory limit"),
    ("cpu-limit-dropped", "pod", "containers have no CPU quota"),
    ("exit-code-zero", "pod", "every container is told to have ended with 0"),
    ("restart-never", "pod", "containers that ended are not begun again"),
    (
        "backoff-dropped",
        "pod",
        "containers are begun again at once, however often they end",
    ),
    (
        "termination-message-dropped",
        "pod",
        "what a container left as its last words is not told",
    ),
    ("run-as-root", "pod", "runAsUser and runAsGroup are ignored"),
    ("capabilities-kept", "pod", "capabilities.drop is ignored"),
    (
        "privilege-escalation-allowed",
        "pod",
        "allowPrivilegeEscalation: false is ignored",
    ),
    ("root-writable", "pod", "readOnlyRootFilesystem is ignored"),
    (
        "qos-flat",
        "pod",
        "the groups of pods stand beside each other whatever their class",
    ),
    (
        "sidecar-ends-first",
        "pod",
        "sidecars end together with the containers they serve",
    ),
    (
        "search-list-dropped",
        "names",
        "pods get no search list, so that only whole names are found",
    ),
    ("dns-config-ignored", "names", "dnsConfig is ignored"),
    (
        "dns-policy-ignored",
        "names",
        "every pod asks the DNS of the cluster, whatever its dnsPolicy",
    ),
    ("host-aliases-dropped", "names", "hostAliases are not in /etc/hosts"),
    ("host-name-short", "names", "setHostnameAsFQDN is ignored"),
    (
        "host-port-ignored",
        "network",
        "ports of the node do not lead to the pods that ask for them",
    ),
    (
        "host-ip-ignored",
        "network",
        "a hostPort is open on every address of the node, whatever its hostIP",
    ),
    (
        "host-port-left-behind",
        "network",
        "a hostPort leads on to where a pod was that is gone, and whoever asks for it next does not get it",
    ),
    (
        "bandwidth-ignored",
        "network",
        "pods send and receive as fast as they can, whatever their annotations say",
    ),
    (
        "bandwidth-swapped",
        "network",
        "the bandwidth for what a pod receives holds for what it sends, and the other way around",
    ),
    (
        "lease-stopped",
        "node",
        "the node's lease is renewed once and never again",
    ),
    (
        "capacity-ignored",
        "node",
        "the node's group is not limited to its capacity",
    ),
];

/// Those that were chosen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults(BTreeSet<String>);

impl Faults {
    /// Names that are nobody's here are somebody else's.
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
