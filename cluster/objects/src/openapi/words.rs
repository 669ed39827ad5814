//! What `kubectl explain` says of messages and of fields that every kind has.

/// A sentence about a message, by its name in the table.
pub(super) fn message(name: &str) -> Option<&'static str> {
    find(&MESSAGES, name)
}

/// A sentence about a field that means the same wherever it is.
pub(super) fn field(name: &str) -> Option<&'static str> {
    find(&FIELDS, name)
}

fn find(table: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    table.iter().find(|(key, _)| *key == name).map(|(_, words)| *words)
}

const FIELDS: [(&str, &str); 5] = [
    ("apiVersion", "Group and version of the object."),
    ("kind", "What the object is."),
    (
        "metadata",
        "Name, namespace, labels, annotations, owners, and what the server notes about the object.",
    ),
    ("spec", "What is wanted."),
    ("status", "What is, as the controller in charge saw it last."),
];

const MESSAGES: [(&str, &str); 43] = [
    ("core/v1.Binding", "Puts a pod onto a node. It can only be made."),
    ("core/v1.ConfigMap", "Text and bytes for pods to read."),
    ("core/v1.Event", "Something that happened to an object."),
    (
        "core/v1.LimitRange",
        "Defaults and bounds for what pods and containers of a namespace ask for.",
    ),
    (
        "core/v1.Namespace",
        "A room for names. When it goes, all that is in it goes first.",
    ),
    ("core/v1.Node", "A machine, or what stands for one, on which pods run."),
    (
        "core/v1.Pod",
        "Containers that run together on one node and share its network address.",
    ),
    (
        "core/v1.ResourceQuota",
        "How much the objects of a namespace may ask for together.",
    ),
    ("core/v1.Secret", "Bytes for pods to read that are not for every eye."),
    ("core/v1.Service", "One address for the pods that a selector finds."),
    ("core/v1.ServiceAccount", "Whom the processes of a pod act as."),
    (
        "apps/v1.Deployment",
        "Keeps a number of equal pods, and replaces them step by step when their template changes.",
    ),
    ("apps/v1.ReplicaSet", "Keeps a number of equal pods."),
    (
        "coordination.k8s.io/v1.Lease",
        "Who holds something, and since when: nodes renew theirs to say that they live.",
    ),
    ("discovery.k8s.io/v1.EndpointSlice", "Addresses behind a service."),
    (
        "networking.k8s.io/v1.NetworkPolicy",
        "Who may reach the pods that a selector finds, and whom they may reach.",
    ),
    (
        "node.k8s.io/v1.RuntimeClass",
        "Which runtime runs the containers of a pod.",
    ),
    (
        "policy/v1.PodDisruptionBudget",
        "How many pods of a group may be away by intent.",
    ),
    ("scheduling.k8s.io/v1.PriorityClass", "A name for a priority of pods."),
    (
        "core/v1.PodSpec",
        "What a pod is made of, where it may run, and how it ends.",
    ),
    (
        "core/v1.PodStatus",
        "Phase, conditions, addresses, and the state of each container.",
    ),
    ("core/v1.PodTemplateSpec", "Of what pods are made."),
    ("core/v1.Container", "An image, its command, and what it may use."),
    (
        "core/v1.Probe",
        "How often, and for how long, a container is asked whether it is well.",
    ),
    (
        "core/v1.Lifecycle",
        "What is done after a container has started and before it is stopped.",
    ),
    (
        "core/v1.Volume",
        "A directory that containers of a pod can mount; exactly one source says what is in it.",
    ),
    ("core/v1.VolumeMount", "Where a container sees a volume."),
    (
        "core/v1.EnvVar",
        "A variable of the environment: a value, or where it comes from.",
    ),
    ("core/v1.ContainerPort", "A port on which a container listens."),
    (
        "core/v1.ResourceRequirements",
        "Requests are what the scheduler sets aside, limits what is not exceeded.",
    ),
    (
        "core/v1.SecurityContext",
        "Privileges of a container. They take precedence over those of its pod.",
    ),
    ("core/v1.PodSecurityContext", "Privileges of all containers of a pod."),
    (
        "core/v1.Affinity",
        "Near which nodes and pods a pod may, must, or must not run.",
    ),
    (
        "core/v1.Toleration",
        "A taint in spite of which a pod may run on a node.",
    ),
    ("core/v1.Taint", "Keeps pods that do not tolerate it off a node."),
    (
        "core/v1.TopologySpreadConstraint",
        "How evenly pods are spread over zones, nodes, or any label of nodes.",
    ),
    (
        "core/v1.NodeSpec",
        "What is wanted of a node: taints, its range of addresses, whether it takes pods.",
    ),
    (
        "core/v1.NodeStatus",
        "What a node has, its addresses, and its conditions.",
    ),
    ("core/v1.ServiceSpec", "Ports, selector and kind of a service."),
    (
        "apps/v1.DeploymentSpec",
        "How many pods of which template, and how they are replaced.",
    ),
    (
        "apps/v1.DeploymentStrategy",
        "Whether pods are replaced step by step or all at once.",
    ),
    (
        "meta/v1.ObjectMeta",
        "Name, namespace, labels, annotations, owners, and what the server notes about the object.",
    ),
    (
        "meta/v1.LabelSelector",
        "Which objects are meant: all of the labels and all of the expressions have to match.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{kind::KINDS, schema};

    #[test]
    fn every_kind_is_explained_and_every_explanation_is_of_a_message() {
        for kind in KINDS {
            assert!(message(schema::message(kind).name).is_some(), "{}", kind.kind);
        }
        for (name, _) in MESSAGES {
            assert!(schema::messages().any(|message| message.name == name), "{name}");
        }
    }
}
