//! The rows of what keeps a number of pods.

use serde_json::Value;

use super::{AGE, CONTAINERS, Column, IMAGES, NAME, SELECTOR, count, selector};
use crate::meta;

pub(super) const DEPLOYMENT: &[Column] = &[
    NAME,
    ("Ready", "string", "", 0, "Pods that are ready, of those wanted."),
    ("Up-to-date", "string", "", 0, "Pods made from the present template."),
    (
        "Available",
        "string",
        "",
        0,
        "Pods that have been ready for long enough.",
    ),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) const REPLICA_SET: &[Column] = &[
    NAME,
    ("Desired", "integer", "", 0, "Pods wanted."),
    ("Current", "integer", "", 0, "Pods that are there."),
    ("Ready", "integer", "", 0, "Pods that are ready."),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) fn deployment(object: &Value, age: Value) -> Vec<Value> {
    let number = |path: &[&str]| meta::number(object, path).unwrap_or(0);
    let ready = format!(
        "{}/{}",
        number(&["status", "readyReplicas"]),
        number(&["spec", "replicas"])
    );
    let mut cells = vec![
        meta::name(object).into(),
        ready.into(),
        count(object, &["status", "updatedReplicas"]),
        count(object, &["status", "availableReplicas"]),
        age,
    ];
    cells.extend(template(object, ""));
    cells
}

pub(super) fn replica_set(object: &Value, age: Value) -> Vec<Value> {
    let mut cells = vec![
        meta::name(object).into(),
        count(object, &["spec", "replicas"]),
        count(object, &["status", "replicas"]),
        count(object, &["status", "readyReplicas"]),
        age,
    ];
    cells.extend(template(object, "<none>"));
    cells
}

/// Containers, images and selector.
fn template(object: &Value, without_selector: &str) -> [Value; 3] {
    let containers = meta::list(object, &["spec", "template", "spec", "containers"]);
    let all = |key| -> Vec<&str> { containers.iter().map(|one| meta::text(one, &[key])).collect() };
    let selector = match selector(meta::at(object, &["spec", "selector"])) {
        none if none.is_empty() => without_selector.into(),
        selector => selector,
    };
    [
        all("name").join(",").into(),
        all("image").join(",").into(),
        selector.into(),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::row;

    #[test]
    fn workloads_count_their_pods_and_show_their_template() {
        let mut object = json!({
            "spec": {
                "replicas": 3,
                "selector": {"matchLabels": {"b": "1"}, "matchExpressions": [{"key": "a", "operator": "In", "values": ["y", "x"]}]},
                "template": {"spec": {"containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "j"}]}},
            },
            "status": {"readyReplicas": 1, "updatedReplicas": 2, "replicas": 3},
        });
        assert_eq!(
            row("apps", "deployments", object.clone()),
            ["x", "1/3", "2", "0", "5m", "c,d", "i,j", "a in (x,y),b=1"]
        );
        object["spec"]["selector"] = json!({});
        assert_eq!(
            row("apps", "replicasets", object),
            ["x", "3", "3", "1", "5m", "c,d", "i,j", "<none>"]
        );
    }
}
