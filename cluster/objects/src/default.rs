//! What an object means where it says nothing: the values that the API server writes into it.
//!
//! As Kubernetes 1.33 does it; what needs to know other objects (addresses, tokens, limits) is done elsewhere.

mod amounts;
mod container;
mod endpoint_slice;
mod limit_range;
mod namespace;
mod network_policy;
mod pod;
mod secret;
mod service;
mod volume;
mod workload;

use serde_json::{Map, Value, json};

use crate::{Kind, meta};

/// Writes out what an object leaves unsaid, and amounts in their shortest form. Doing it again changes nothing.
pub fn apply(kind: &Kind, object: &mut Value) {
    drop_nulls(object);
    match kind.kind {
        "Deployment" => workload::deployment(object),
        "EndpointSlice" => endpoint_slice::apply(object),
        "LimitRange" => limit_range::apply(object),
        "Namespace" => namespace::apply(object),
        "NetworkPolicy" => network_policy::apply(object),
        "Node" => node(object),
        "Pod" => pod::apply(object),
        "PriorityClass" => fill(as_map(object), "preemptionPolicy", "PreemptLowerPriority"),
        "ReplicaSet" => workload::replica_set(object),
        "ResourceQuota" => {
            for path in [["spec", "hard"], ["status", "hard"], ["status", "used"]] {
                amounts::at(object, &path);
            }
        }
        "RuntimeClass" => amounts::at(object, &["overhead", "podFixed"]),
        "Secret" => secret::apply(object),
        "Service" => service::apply(object),
        _ => {}
    }
}

fn node(object: &mut Value) {
    if let Some(capacity) = meta::at(object, &["status", "capacity"]).cloned() {
        fill(meta::map_mut(object, &["status"]), "allocatable", capacity);
    }
    for list in ["capacity", "allocatable"] {
        amounts::at(object, &["status", list]);
    }
}

/// What the API server writes into a new object beside its defaults: its first status, which the sender cannot choose.
pub fn begin(kind: &Kind, object: &mut Value) {
    match kind.kind {
        "Pod" => pod::begin(object),
        "Namespace" => namespace::begin(object),
        "Service" => service::begin(object),
        "Deployment" | "ResourceQuota" => meta::set(object, &["status"], json!({})),
        "ReplicaSet" => meta::set(object, &["status"], json!({"replicas": 0})),
        "PodDisruptionBudget" => meta::set(
            object,
            &["status"],
            json!({"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}),
        ),
        _ => {}
    }
}

/// Sets a field that is missing, or empty text.
fn fill(map: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    let is_missing = match map.get(key) {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    };
    if is_missing {
        map.insert(key.into(), value.into());
    }
}

/// Sets a number that is missing or nought.
fn fill_nought(map: &mut Map<String, Value>, key: &str, number: i64) {
    if map.get(key).is_none_or(|value| value.is_null() || value == 0) {
        map.insert(key.into(), number.into());
    }
}

fn as_map(value: &mut Value) -> &mut Map<String, Value> {
    meta::map_mut(value, &[])
}

/// Each map of a list, if there is one.
fn each<'a>(value: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Value> {
    let list = value.get_mut(key).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter(|one| one.is_object())
}

/// The map in a field, if there is one.
fn inner<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    value.get_mut(key).filter(|one| one.is_object())
}

/// A field that is null is a field that is not there.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind;

    fn applied(group: &str, plural: &str, mut object: Value) -> Value {
        let kind = kind::find(group, "v1", plural).expect("served");
        apply(kind, &mut object);
        let once = object.clone();
        apply(kind, &mut object);
        assert_eq!(object, once, "a second time changes nothing");
        object
    }

    #[test]
    fn a_pod_of_one_line_becomes_whole() {
        let object = applied(
            "",
            "pods",
            json!({"spec": {"nodeName": null, "containers": [{"name": "a", "image": "b:1"}]}}),
        );
        assert_eq!(
            object["spec"],
            json!({
                "containers": [{
                    "name": "a", "image": "b:1", "imagePullPolicy": "IfNotPresent", "resources": {},
                    "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                }],
                "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "securityContext": {},
                "terminationGracePeriodSeconds": 30, "schedulerName": "default-scheduler", "enableServiceLinks": true,
            })
        );
    }

    #[test]
    fn limits_become_requests_in_a_pod_but_not_in_a_template() {
        let spec = json!({"containers": [{"name": "a", "image": "b", "resources":
            {"limits": {"cpu": "0.5", "memory": "1024Mi"}, "requests": {"cpu": 0.1}}}]});
        let pod = applied("", "pods", json!({"spec": spec}));
        assert_eq!(
            pod["spec"]["containers"][0]["resources"],
            json!({"limits": {"cpu": "500m", "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "1Gi"}})
        );
        let deployment = applied("apps", "deployments", json!({"spec": {"template": {"spec": spec}}}));
        let template = &deployment["spec"]["template"]["spec"];
        assert_eq!(
            template["containers"][0]["resources"]["requests"],
            json!({"cpu": "100m"})
        );
        assert!(template.get("enableServiceLinks").is_none());
        assert_eq!(template["containers"][0]["imagePullPolicy"], "Always");
    }

    #[test]
    fn probes_volumes_and_environment_are_filled_in() {
        let pod = applied(
            "",
            "pods",
            json!({"spec": {
                "hostNetwork": true, "serviceAccountName": "me",
                "containers": [{
                    "name": "a", "image": "b@sha256:1", "ports": [{"containerPort": 80}],
                    "livenessProbe": {"httpGet": {"port": 80}, "periodSeconds": 3},
                    "lifecycle": {"preStop": {"httpGet": {"port": 80, "scheme": "HTTPS"}}},
                    "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                }],
                "volumes": [
                    {"name": "e"}, {"name": "s", "secret": {"secretName": "x"}},
                    {"name": "m", "emptyDir": {"sizeLimit": "1024Ki"}},
                    {"name": "p", "projected": {"sources": [
                        {"serviceAccountToken": {"path": "t"}},
                        {"downwardAPI": {"items": [{"path": "a", "fieldRef": {"fieldPath": "metadata.name"}},
                            {"path": "b", "resourceFieldRef": {"containerName": "a", "resource": "limits.cpu"}}]}},
                    ]}},
                ],
            }}),
        );
        let container = &pod["spec"]["containers"][0];
        assert_eq!(pod["spec"]["serviceAccount"], "me");
        assert_eq!(container["imagePullPolicy"], "IfNotPresent");
        assert_eq!(
            container["ports"],
            json!([{"containerPort": 80, "protocol": "TCP", "hostPort": 80}])
        );
        assert_eq!(
            container["livenessProbe"],
            json!({"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "periodSeconds": 3,
                "timeoutSeconds": 1, "successThreshold": 1, "failureThreshold": 3})
        );
        assert_eq!(container["lifecycle"]["preStop"]["httpGet"]["scheme"], "HTTPS");
        assert_eq!(container["env"][0]["valueFrom"]["fieldRef"]["apiVersion"], "v1");
        let volumes = &pod["spec"]["volumes"];
        assert_eq!(volumes[0]["emptyDir"], json!({}));
        assert_eq!(volumes[1]["secret"]["defaultMode"], 0o644);
        assert_eq!(volumes[2]["emptyDir"]["sizeLimit"], "1Mi");
        let sources = &volumes[3]["projected"]["sources"];
        assert_eq!(sources[0]["serviceAccountToken"]["expirationSeconds"], 3600);
        let items = &sources[1]["downwardAPI"]["items"];
        assert_eq!(items[0]["fieldRef"]["apiVersion"], "v1");
        assert_eq!(items[1]["resourceFieldRef"]["divisor"], "0");
    }

    #[test]
    fn workloads_roll_a_quarter_at_a_time() {
        let object = applied("apps", "deployments", json!({"spec": {"template": {}}}));
        for (field, value) in [
            ("replicas", json!(1)),
            ("revisionHistoryLimit", json!(10)),
            ("progressDeadlineSeconds", json!(600)),
            (
                "strategy",
                json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}),
            ),
        ] {
            assert_eq!(object["spec"][field], value, "{field}");
        }
        let object = applied(
            "apps",
            "deployments",
            json!({"spec": {"replicas": 0, "strategy": {"type": "Recreate"}}}),
        );
        assert_eq!(object["spec"]["strategy"], json!({"type": "Recreate"}));
        assert_eq!(object["spec"]["replicas"], 0);
        assert_eq!(
            applied("apps", "replicasets", json!({"spec": {}}))["spec"]["replicas"],
            1
        );
    }

    #[test]
    fn services_get_what_their_type_has() {
        let object = applied(
            "",
            "services",
            json!({"spec": {"ports": [{"port": 80}], "clusterIP": "10.96.0.9"}}),
        );
        assert_eq!(
            object["spec"],
            json!({
                "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}], "clusterIP": "10.96.0.9",
                "type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
            }),
            "addresses and their families are handed out by somebody who knows them"
        );
        let object = applied(
            "",
            "services",
            json!({"spec": {"type": "NodePort", "sessionAffinity": "ClientIP"}}),
        );
        assert_eq!(
            object["spec"]["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"],
            10800
        );
        assert_eq!(object["spec"]["externalTrafficPolicy"], "Cluster");
    }

    #[test]
    fn small_kinds_get_their_one_default() {
        let namespace = applied("", "namespaces", json!({"metadata": {"name": "a"}}));
        assert_eq!(meta::label(&namespace, "kubernetes.io/metadata.name"), Some("a"));
        let secret = applied(
            "",
            "secrets",
            json!({"stringData": {"a": "hello", "b": "hi!?"}, "data": {"b": "eA=="}}),
        );
        assert_eq!(
            secret,
            json!({"data": {"b": "aGkhPw==", "a": "aGVsbG8="}, "type": "Opaque"})
        );
        let class = applied("scheduling.k8s.io", "priorityclasses", json!({"value": 1}));
        assert_eq!(class["preemptionPolicy"], "PreemptLowerPriority");
        let range = applied(
            "",
            "limitranges",
            json!({"spec": {"limits": [{"type": "Container", "max": {"cpu": "2000m"}, "min": {"cpu": "1", "memory": "1Ki"}}]}}),
        );
        assert_eq!(
            range["spec"]["limits"][0],
            json!({"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "1", "memory": "1Ki"},
                "default": {"cpu": "2"}, "defaultRequest": {"cpu": "2", "memory": "1Ki"}})
        );
        let slice = applied("discovery.k8s.io", "endpointslices", json!({"ports": [{"port": 1}]}));
        assert_eq!(slice["ports"], json!([{"port": 1, "name": "", "protocol": "TCP"}]));
        let policy = applied(
            "networking.k8s.io",
            "networkpolicies",
            json!({"spec": {"egress": [{"ports": [{"port": 53}, {"port": 53, "protocol": "UDP"}]}]}}),
        );
        assert_eq!(
            policy["spec"],
            json!({
                "egress": [{"ports": [{"port": 53, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]}],
                "podSelector": {},
                "policyTypes": ["Ingress", "Egress"],
            })
        );
        let policy = applied("networking.k8s.io", "networkpolicies", json!({"spec": {"egress": []}}));
        assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress"]));
        let node = applied("", "nodes", json!({"status": {"capacity": {"memory": "1024Ki"}}}));
        assert_eq!(node["status"]["allocatable"], json!({"memory": "1Mi"}));
    }

    #[test]
    fn a_new_pod_begins_pending_whatever_it_says() {
        let kind = kind::find("", "v1", "pods").expect("served");
        let mut pod = json!({"metadata": {"labels": {"v": "1"}}, "status": {"phase": "Running"}, "spec": {
            "schedulingGates": [{"name": "g"}], "containers": [{"name": "a"}],
            "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                {"labelSelector": {}, "topologyKey": "h", "matchLabelKeys": ["v", "w"]}]}},
        }});
        begin(kind, &mut pod);
        assert_eq!(pod["status"]["phase"], "Pending");
        assert_eq!(pod["status"]["qosClass"], "BestEffort");
        assert_eq!(
            meta::condition(&pod, "PodScheduled").expect("set")["reason"],
            "SchedulingGated"
        );
        let terms = &pod["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
        assert_eq!(
            terms[0]["labelSelector"]["matchExpressions"],
            json!([{"key": "v", "operator": "In", "values": ["1"]}])
        );
    }
}
