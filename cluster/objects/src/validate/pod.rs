//! Pods: new ones, and what their status may become.

use serde_json::Value;

use super::{
    address,
    faults::{Faults, Path},
    metadata, pod_spec,
};
use crate::{Kind, meta, name, requests};

const SPEC: Path<'_> = Path::of("spec");
const STATUS: Path<'_> = Path::of("status");
const META: Path<'_> = Path::of("metadata");
const MIRROR: &str = "kubernetes.io/config.mirror";

pub(super) fn create(faults: &mut Faults, kind: &Kind, pod: &Value) {
    metadata::create(faults, kind, pod);
    whole(faults, pod);
    if !meta::list(pod, &["spec", "ephemeralContainers"]).is_empty() {
        faults.forbidden(&SPEC.child("ephemeralContainers"), "cannot be set on create");
    }
    let is_bound = !meta::text(pod, &["spec", "nodeName"]).is_empty();
    if is_bound && !meta::list(pod, &["spec", "schedulingGates"]).is_empty() {
        faults.forbidden(
            &SPEC.child("nodeName"),
            "cannot be set until all schedulingGates have been cleared",
        );
    }
}

/// What is wrong whether the pod is new or not.
pub(super) fn whole(faults: &mut Faults, pod: &Value) {
    let spec = meta::at(pod, &["spec"]).unwrap_or(&Value::Null);
    pod_spec::own_annotations(faults, &META.child("annotations"), pod);
    pod_spec::check(faults, &SPEC, spec, Some(meta::name(pod)));
    if meta::text(spec, &["serviceAccountName"]).is_empty() {
        let volumes = SPEC.child("volumes");
        for (index, volume) in meta::list(spec, &["volumes"]).iter().enumerate() {
            let path = volumes.index(index);
            let path = path.child("projected");
            let path = path.child("sources");
            for (index, source) in meta::list(volume, &["projected", "sources"]).iter().enumerate() {
                if meta::at(source, &["serviceAccountToken"]).is_some() {
                    let path = path.index(index);
                    faults.forbidden(
                        &path.child("serviceAccountToken"),
                        "must not be specified when serviceAccountName is not set",
                    );
                }
            }
        }
    }
}

/// Nobody but a node's agent makes mirrors of what it runs by itself.
pub(super) fn annotations_kept(faults: &mut Faults, old: &Value, new: &Value) {
    let path = META.child("annotations");
    let (before, after) = (meta::annotation(old, MIRROR), meta::annotation(new, MIRROR));
    if before != after {
        let detail = match before {
            None => "may not add mirror pod annotation",
            Some(_) => "may not remove or update mirror pod annotation",
        };
        faults.forbidden(&path.key(MIRROR), detail);
    }
}

pub(super) fn status(faults: &mut Faults, old: &Value, new: &Value) {
    metadata::update(faults, old, new);
    annotations_kept(faults, old, new);
    let conditions = META.child("conditions");
    for (index, condition) in meta::conditions(new).iter().enumerate() {
        let own = meta::text(condition, &["type"]);
        let path = conditions.index(index);
        faults.each(&path.child("Type"), own, name::qualified(own));
    }
    let node = |pod| meta::text(pod, &["spec", "nodeName"]);
    if node(old) != node(new) {
        faults.forbidden(&STATUS.child("nodeName"), "may not be changed directly");
    }
    let nominated = meta::text(new, &["status", "nominatedNodeName"]);
    if !nominated.is_empty() {
        faults.each(
            &STATUS.child("nominatedNodeName"),
            nominated,
            name::dns1123_subdomain(nominated),
        );
    }
    let policy = meta::text(old, &["spec", "restartPolicy"]);
    for (list, policy) in [
        ("containerStatuses", policy),
        ("initContainerStatuses", policy),
        ("ephemeralContainerStatuses", "Never"),
    ] {
        restarts(faults, old, new, list, policy);
    }
    for key in ["podIPs", "hostIPs"] {
        let all: Vec<&str> = meta::list(new, &["status", key])
            .iter()
            .map(|one| meta::text(one, &["ip"]))
            .collect();
        address::one_of_each_family(faults, &STATUS.child(key), &all);
    }
}

/// What has ended for good stays ended.
fn restarts(faults: &mut Faults, old: &Value, new: &Value, list: &str, policy: &str) {
    if policy == "Always" {
        return;
    }
    let path = STATUS.child(list);
    for (index, before) in meta::list(old, &["status", list]).iter().enumerate() {
        let Some(end) = meta::at(before, &["state", "terminated"]) else {
            continue;
        };
        let has_failed = meta::number(end, &["exitCode"]).unwrap_or(0) != 0;
        let own = meta::text(before, &["name"]);
        let is_named = |one: &&Value| meta::text(one, &["name"]) == own;
        let mut init = meta::list(old, &["spec", "initContainers"]).iter();
        let is_sidecar = list == "initContainerStatuses" && init.find(is_named).is_some_and(requests::is_sidecar);
        if is_sidecar || (has_failed && policy == "OnFailure") {
            continue;
        }
        let after = meta::list(new, &["status", list]).iter().find(is_named);
        if after.is_some_and(|after| meta::at(after, &["state", "terminated"]).is_none()) {
            let path = path.index(index);
            faults.forbidden(&path.child("state"), "may not be transitioned to non-terminated state");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::told;
    use super::*;

    fn pod() -> Value {
        json!({
            "metadata": {"name": "p", "namespace": "n"},
            "spec": {"containers": [{"name": "a", "image": "i:1"}]},
        })
    }

    fn with(path: &[&str], value: Value) -> Value {
        let mut pod = pod();
        meta::set(&mut pod, path, value);
        pod
    }

    fn of_container(path: &[&str], value: Value) -> Vec<String> {
        let mut pod = pod();
        meta::set(&mut pod["spec"]["containers"][0], path, value);
        told("", "pods", pod)
    }

    #[test]
    fn a_plain_pod_is_good() {
        assert_eq!(told("", "pods", pod()), [""; 0]);
    }

    #[test]
    fn a_pod_without_containers_is_told_so() {
        assert_eq!(
            told("", "pods", with(&["spec", "containers"], json!([]))),
            ["spec.containers: Required value"]
        );
        assert_eq!(
            told("", "pods", with(&["spec", "containers"], json!([{"name": "A_b"}])))[1],
            "spec.containers[0].image: Required value"
        );
    }

    #[test]
    fn faults_of_a_container_name_their_field() {
        for (path, value, fault) in [
            (
                &["resources"][..],
                json!({"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
                "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
            ),
            (
                &["resources"],
                json!({"limits": {"cpus": "1"}}),
                "spec.containers[0].resources.limits[cpus]: Invalid value: \"cpus\": must be a standard resource type or fully qualified",
            ),
            (
                &["resources"],
                json!({"limits": {"memory": "-1"}}),
                "spec.containers[0].resources.limits[memory]: Invalid value: \"-1\": must be greater than or equal to 0",
            ),
            (
                &["imagePullPolicy"],
                json!("Sometimes"),
                "spec.containers[0].imagePullPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"IfNotPresent\", \"Never\"",
            ),
            (
                &["ports"],
                json!([{"containerPort": 70000}]),
                "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
            ),
            (
                &["ports"],
                json!([{"containerPort": 1, "hostPort": 5}, {"containerPort": 2, "hostPort": 5}]),
                "spec.containers[0].ports[1].hostPort: Duplicate value: \"TCP//5\"",
            ),
            (
                &["env"],
                json!([{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.phase"}}}]),
                "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: \"status.phase\": supported values: \"metadata.name\", \"metadata.namespace\", \"metadata.uid\", \"spec.nodeName\", \"spec.serviceAccountName\", \"status.hostIP\", \"status.hostIPs\", \"status.podIP\", \"status.podIPs\"",
            ),
            (
                &["env"],
                json!([{"name": "A=B"}]),
                "spec.containers[0].env[0].name: Invalid value: \"A=B\": a valid environment variable name must consist only of printable ASCII characters other than '='",
            ),
            (
                &["volumeMounts"],
                json!([{"name": "v", "mountPath": "/a"}]),
                "spec.containers[0].volumeMounts[0].name: Not found: \"v\"",
            ),
            (
                &["livenessProbe"],
                json!({"exec": {"command": ["a"]}, "successThreshold": 2}),
                "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
            ),
            (
                &["readinessProbe"],
                json!({}),
                "spec.containers[0].readinessProbe: Required value: must specify a handler type",
            ),
            (
                &["lifecycle"],
                json!({"preStop": {"exec": {"command": ["a"]}, "sleep": {"seconds": 1}}}),
                "spec.containers[0].lifecycle.preStop.sleep: Forbidden: may not specify more than 1 handler type",
            ),
            (
                &["securityContext"],
                json!({"runAsUser": -1}),
                "spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 4294967295, inclusive",
            ),
            (
                &["restartPolicy"],
                json!("Always"),
                "spec.containers[0].restartPolicy: Forbidden: may not be set for non-init containers",
            ),
        ] {
            // What is wrong with limits is wrong with the requests made of them, too.
            assert_eq!(of_container(path, value.clone())[0], fault, "{value}");
        }
    }

    #[test]
    fn paths_cannot_leave_the_place_they_begin_at() {
        let mut pod = with(
            &["spec", "volumes"],
            json!([{"name": "v", "emptyDir": {}}, {"name": "h", "hostPath": {"path": "/a/../etc"}},
                {"name": "c", "configMap": {"name": "x", "items": [{"key": "k", "path": "..x"}]}}]),
        );
        meta::set(
            &mut pod["spec"]["containers"][0],
            &["volumeMounts"],
            json!([{"name": "v", "mountPath": "/m", "subPath": "a/../../b"}, {"name": "v", "mountPath": "/n", "subPath": "/b"}]),
        );
        assert_eq!(
            told("", "pods", pod),
            [
                "spec.volumes[1].hostPath.path: Invalid value: \"/a/../etc\": must not contain '..'",
                "spec.volumes[2].configMap.items[0].path: Invalid value: \"..x\": must not start with '..'",
                "spec.containers[0].volumeMounts.subPath: Invalid value: \"a/../../b\": must not contain '..'",
                "spec.containers[0].volumeMounts.subPath: Invalid value: \"/b\": must be a relative path",
            ]
        );
    }

    #[test]
    fn faults_of_the_spec_name_their_field() {
        for (path, value, fault) in [
            (
                &["spec", "restartPolicy"][..],
                json!("Maybe"),
                "spec.restartPolicy: Unsupported value: \"Maybe\": supported values: \"Always\", \"OnFailure\", \"Never\"",
            ),
            (
                &["spec", "tolerations"],
                json!([{"operator": "Equal", "value": "a"}]),
                "spec.tolerations[0].operator: Invalid value: \"Equal\": operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            ),
            (
                &["spec", "schedulingGates"],
                json!([{"name": "a"}, {"name": "a"}]),
                "spec.schedulingGates[1]: Duplicate value: \"a\"",
            ),
            (
                &["spec", "topologySpreadConstraints"],
                json!([{"maxSkew": 0, "topologyKey": "k", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}]),
                "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
            ),
            (
                &["spec", "affinity"],
                json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}),
                "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must have at least one node selector term",
            ),
            (
                &["spec", "affinity"],
                json!({"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution":
                    [{"weight": 101, "podAffinityTerm": {"topologyKey": "k"}}]}}),
                "spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 101: must be in the range 1-100",
            ),
            (
                &["spec", "initContainers"],
                json!([{"name": "a", "image": "i"}]),
                "spec.initContainers[0].name: Duplicate value: \"a\"",
            ),
            (
                &["spec", "initContainers"],
                json!([{"name": "b", "image": "i", "livenessProbe": {"exec": {"command": ["a"]}}}]),
                "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always",
            ),
            (
                &["spec", "dnsPolicy"],
                json!("None"),
                "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None",
            ),
            (
                &["spec", "volumes"],
                json!([{"name": "a", "secret": {}}]),
                "spec.volumes[0].secret.secretName: Required value",
            ),
            (
                &["metadata", "labels"],
                json!({"a": "b c"}),
                "metadata.labels: Invalid value: \"b c\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
            ),
            (
                &["metadata", "finalizers"],
                json!(["x"]),
                "metadata.finalizers[0]: Invalid value: \"x\": name is neither a standard finalizer name nor is it fully qualified",
            ),
        ] {
            assert_eq!(told("", "pods", with(path, value.clone())), [fault], "{value}");
        }
    }

    #[test]
    fn a_container_that_ended_for_good_stays_ended() {
        let mut old = with(&["spec", "restartPolicy"], json!("Never"));
        let mut new = old.clone();
        let path = ["status", "containerStatuses"];
        meta::set(
            &mut old,
            &path,
            json!([{"name": "a", "state": {"terminated": {"exitCode": 0}}}]),
        );
        meta::set(&mut new, &path, json!([{"name": "a", "state": {"running": {}}}]));
        let mut faults = Faults::default();
        status(&mut faults, &old, &new);
        assert_eq!(faults.causes[0].field, "status.containerStatuses[0].state");
        meta::set(&mut old, &["spec", "restartPolicy"], "Always");
        let mut faults = Faults::default();
        status(&mut faults, &old, &new);
        assert!(faults.causes.is_empty());
    }
}
