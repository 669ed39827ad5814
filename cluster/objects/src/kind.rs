//! The kinds that are served: one line each. What is not in the table is an honest 404.

/// A kind of object, and where it is found.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Kind {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Version within the group.
    pub version: &'static str,
    /// `kind` of an object.
    pub kind: &'static str,
    /// The resource, as in a path.
    pub plural: &'static str,
    /// One of them, as kubectl takes it.
    pub singular: &'static str,
    /// What kubectl takes, too.
    pub short: &'static [&'static str],
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// `kubectl get all`.
    pub categories: &'static [&'static str],
    /// What can be asked of an object, beside itself.
    pub subresources: &'static [Subresource],
    /// Whether it can be read: a binding can only be made.
    pub stored: bool,
}

/// Something below an object.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Subresource {
    /// As in a path.
    pub name: &'static str,
    /// Group, version and kind of what is sent and answered.
    pub gvk: (&'static str, &'static str, &'static str),
    /// What can be done.
    pub verbs: &'static [&'static str],
}

const fn sub(
    name: &'static str,
    gvk: (&'static str, &'static str, &'static str),
    verbs: &'static [&'static str],
) -> Subresource {
    Subresource { name, gvk, verbs }
}

const READ_WRITE: &[&str] = &["get", "patch", "update"];

const NONE: Kind = Kind {
    group: "",
    version: "v1",
    kind: "",
    plural: "",
    singular: "",
    short: &[],
    namespaced: true,
    categories: &[],
    subresources: &[],
    stored: true,
};

/// Every kind that is served.
pub static KINDS: &[Kind] = &[
    Kind {
        kind: "Binding",
        plural: "bindings",
        singular: "binding",
        stored: false,
        ..NONE
    },
    Kind {
        kind: "ConfigMap",
        plural: "configmaps",
        singular: "configmap",
        short: &["cm"],
        ..NONE
    },
    Kind {
        kind: "Event",
        plural: "events",
        singular: "event",
        short: &["ev"],
        ..NONE
    },
    Kind {
        kind: "LimitRange",
        plural: "limitranges",
        singular: "limitrange",
        short: &["limits"],
        ..NONE
    },
    Kind {
        kind: "Namespace",
        plural: "namespaces",
        singular: "namespace",
        short: &["ns"],
        namespaced: false,
        subresources: &[
            sub("finalize", ("", "v1", "Namespace"), &["update"]),
            sub("status", ("", "v1", "Namespace"), READ_WRITE),
        ],
        ..NONE
    },
    Kind {
        kind: "Node",
        plural: "nodes",
        singular: "node",
        short: &["no"],
        namespaced: false,
        subresources: &[sub("status", ("", "v1", "Node"), READ_WRITE)],
        ..NONE
    },
    Kind {
        kind: "Pod",
        plural: "pods",
        singular: "pod",
        short: &["po"],
        categories: &["all"],
        subresources: &[
            sub("attach", ("", "v1", "PodAttachOptions"), &["create", "get"]),
            sub("binding", ("", "v1", "Binding"), &["create"]),
            sub("eviction", ("policy", "v1", "Eviction"), &["create"]),
            sub("exec", ("", "v1", "PodExecOptions"), &["create", "get"]),
            sub("log", ("", "v1", "Pod"), &["get"]),
            sub("status", ("", "v1", "Pod"), READ_WRITE),
        ],
        ..NONE
    },
    Kind {
        kind: "ResourceQuota",
        plural: "resourcequotas",
        singular: "resourcequota",
        short: &["quota"],
        subresources: &[sub("status", ("", "v1", "ResourceQuota"), READ_WRITE)],
        ..NONE
    },
    Kind {
        kind: "Secret",
        plural: "secrets",
        singular: "secret",
        ..NONE
    },
    Kind {
        kind: "Service",
        plural: "services",
        singular: "service",
        short: &["svc"],
        categories: &["all"],
        subresources: &[sub("status", ("", "v1", "Service"), READ_WRITE)],
        ..NONE
    },
    Kind {
        kind: "ServiceAccount",
        plural: "serviceaccounts",
        singular: "serviceaccount",
        short: &["sa"],
        subresources: &[sub(
            "token",
            ("authentication.k8s.io", "v1", "TokenRequest"),
            &["create"],
        )],
        ..NONE
    },
    Kind {
        group: "apps",
        kind: "Deployment",
        plural: "deployments",
        singular: "deployment",
        short: &["deploy"],
        categories: &["all"],
        subresources: &[
            sub("scale", ("autoscaling", "v1", "Scale"), READ_WRITE),
            sub("status", ("apps", "v1", "Deployment"), READ_WRITE),
        ],
        ..NONE
    },
    Kind {
        group: "apps",
        kind: "ReplicaSet",
        plural: "replicasets",
        singular: "replicaset",
        short: &["rs"],
        categories: &["all"],
        subresources: &[
            sub("scale", ("autoscaling", "v1", "Scale"), READ_WRITE),
            sub("status", ("apps", "v1", "ReplicaSet"), READ_WRITE),
        ],
        ..NONE
    },
    Kind {
        group: "coordination.k8s.io",
        kind: "Lease",
        plural: "leases",
        singular: "lease",
        ..NONE
    },
    Kind {
        group: "discovery.k8s.io",
        kind: "EndpointSlice",
        plural: "endpointslices",
        singular: "endpointslice",
        ..NONE
    },
    Kind {
        group: "networking.k8s.io",
        kind: "NetworkPolicy",
        plural: "networkpolicies",
        singular: "networkpolicy",
        short: &["netpol"],
        ..NONE
    },
    Kind {
        group: "node.k8s.io",
        kind: "RuntimeClass",
        plural: "runtimeclasses",
        singular: "runtimeclass",
        namespaced: false,
        ..NONE
    },
    Kind {
        group: "policy",
        kind: "PodDisruptionBudget",
        plural: "poddisruptionbudgets",
        singular: "poddisruptionbudget",
        short: &["pdb"],
        subresources: &[sub("status", ("policy", "v1", "PodDisruptionBudget"), READ_WRITE)],
        ..NONE
    },
    Kind {
        group: "scheduling.k8s.io",
        kind: "PriorityClass",
        plural: "priorityclasses",
        singular: "priorityclass",
        short: &["pc"],
        namespaced: false,
        ..NONE
    },
];

/// The kind behind a path.
pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static Kind> {
    KINDS
        .iter()
        .find(|one| one.group == group && one.version == version && one.plural == plural)
}

/// The kind that an object says it is.
pub fn named(api_version: &str, kind: &str) -> Option<&'static Kind> {
    KINDS
        .iter()
        .find(|one| one.kind == kind && one.api_version() == api_version)
}

impl Kind {
    /// `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        match self.group {
            "" => self.version.into(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// Plural and group, as refusals name it: `deployments.apps`.
    pub fn resource(&self) -> String {
        self.in_group(self.plural)
    }

    /// Kind and group: `Deployment.apps`.
    pub fn qualified(&self) -> String {
        self.in_group(self.kind)
    }

    fn in_group(&self, name: &str) -> String {
        match self.group {
            "" => name.into(),
            group => format!("{name}.{group}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_kinds_share_a_path_or_a_short_name() {
        let mut paths = BTreeSet::new();
        let mut names = BTreeSet::new();
        for kind in KINDS {
            assert!(paths.insert((kind.group, kind.version, kind.plural)), "{kind:?}");
            for name in kind.short.iter().chain([&kind.plural, &kind.singular]) {
                assert!(names.insert(*name), "{name}");
            }
        }
    }

    #[test]
    fn a_kind_is_found_by_its_path_and_by_what_an_object_says() {
        let by_path = find("apps", "v1", "deployments").expect("served");
        assert_eq!(named("apps/v1", "Deployment"), Some(by_path));
        assert_eq!(by_path.qualified(), "Deployment.apps");
        assert_eq!(find("", "v1", "deployments"), None);
    }
}
