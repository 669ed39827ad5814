//! What is remembered of an object. Thousands of pods are held here; most of a pod concerns its node alone.

use objects::{Kind, meta};
use serde_json::{Map, Value};

use crate::kinds;

/// The object without what no controller looks at. It is never written back.
pub(super) fn trim(kind: &Kind, object: &Value) -> Value {
    let mut kept = Map::new();
    for (key, value) in object.as_object().into_iter().flatten() {
        let value = match key.as_str() {
            "metadata" => metadata(value),
            "spec" if kind == kinds::POD => pick(
                value,
                &[
                    "nodeName",
                    "tolerations",
                    "priorityClassName",
                    "overhead",
                    "activeDeadlineSeconds",
                    "hostNetwork",
                    "hostname",
                    "subdomain",
                    "affinity",
                    "containers",
                    "initContainers",
                ],
                &container,
            ),
            "status" if kind == kinds::POD => pick(
                value,
                &["phase", "conditions", "podIP", "podIPs", "containerStatuses", "reason"],
                &container_status,
            ),
            // Of these, nothing but who they are matters.
            "data" | "binaryData" | "stringData" => continue,
            "status" if kind == kinds::NODE => pick(value, &["conditions", "addresses"], &Value::clone),
            _ => value.clone(),
        };
        kept.insert(key.clone(), value);
    }
    Value::Object(kept)
}

fn metadata(metadata: &Value) -> Value {
    let mut kept = metadata.clone();
    meta::remove(&mut kept, &["managedFields"]);
    meta::remove(
        &mut kept,
        &["annotations", "kubectl.kubernetes.io/last-applied-configuration"],
    );
    kept
}

fn pick(map: &Value, keys: &[&str], container_like: &dyn Fn(&Value) -> Value) -> Value {
    let each = map.as_object().into_iter().flatten();
    let kept = each
        .filter(|(key, _)| keys.contains(&key.as_str()))
        .map(|(key, value)| {
            let value = match value {
                Value::Array(list) if key.ends_with("ontainers") || key.ends_with("ontainerStatuses") => {
                    list.iter().map(container_like).collect()
                }
                other => other.clone(),
            };
            (key.clone(), value)
        });
    Value::Object(kept.collect())
}

fn only(map: &Value, keys: &[&str]) -> Value {
    let each = map.as_object().into_iter().flatten();
    let kept = each.filter(|(key, _)| keys.contains(&key.as_str()));
    Value::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect())
}

fn container(container: &Value) -> Value {
    only(container, &["name", "resources", "ports", "restartPolicy"])
}

fn container_status(status: &Value) -> Value {
    only(status, &["restartCount"])
}
