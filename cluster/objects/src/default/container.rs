//! Defaults of a container, whether app, init or ephemeral.

use serde_json::{Value, json};

use super::{amounts, as_map, each, fill, fill_nought, inner};
use crate::meta;

pub(super) fn apply(container: &mut Value) {
    let image = meta::text(container, &["image"]);
    let policy = pull_policy(image);
    let map = as_map(container);
    fill(map, "resources", json!({}));
    fill(map, "terminationMessagePath", "/dev/termination-log");
    fill(map, "terminationMessagePolicy", "File");
    fill(map, "imagePullPolicy", policy);
    for side in ["limits", "requests"] {
        amounts::at(container, &["resources", side]);
    }
    for port in each(container, "ports") {
        fill(as_map(port), "protocol", "TCP");
    }
    for variable in each(container, "env") {
        if let Some(source) = inner(variable, "valueFrom") {
            downward(source);
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = inner(container, probe) {
            apply_probe(probe);
        }
    }
    for hook in ["postStart", "preStop"] {
        let hook = inner(container, "lifecycle").and_then(|lifecycle| inner(lifecycle, hook));
        if let Some(hook) = hook {
            http_get(hook);
        }
    }
}

/// A field or resource of the pod, as the environment and volumes show it.
pub(super) fn downward(source: &mut Value) {
    if let Some(field) = inner(source, "fieldRef") {
        fill(as_map(field), "apiVersion", "v1");
    }
    if let Some(resource) = inner(source, "resourceFieldRef") {
        let map = as_map(resource);
        fill(map, "divisor", "0");
        if let Some(divisor) = map.get_mut("divisor") {
            amounts::one(divisor);
        }
    }
}

/// An image whose tag moves is asked for again each time.
pub(super) fn pull_policy(image: &str) -> &'static str {
    let is_file = image.starts_with("dir:") || image.starts_with("tar:");
    let last = image.rsplit('/').next().unwrap_or(image);
    let is_moving = match last.split_once('@') {
        Some((tagged, _)) => tagged.ends_with(":latest"),
        None => !last.contains(':') || last.ends_with(":latest"),
    };
    if is_moving && !is_file && !image.is_empty() {
        "Always"
    } else {
        "IfNotPresent"
    }
}

fn apply_probe(probe: &mut Value) {
    http_get(probe);
    if let Some(grpc) = inner(probe, "grpc") {
        fill(as_map(grpc), "service", "");
    }
    let map = as_map(probe);
    for (key, number) in [
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ] {
        fill_nought(map, key, number);
    }
}

fn http_get(action: &mut Value) {
    if let Some(http) = inner(action, "httpGet") {
        let map = as_map(http);
        fill(map, "path", "/");
        fill(map, "scheme", "HTTP");
    }
}

#[cfg(test)]
mod tests {
    use super::pull_policy;

    #[test]
    fn only_a_tag_that_moves_is_pulled_each_time() {
        for (image, policy) in [
            ("a", "Always"),
            ("a:latest", "Always"),
            ("host:5000/a", "Always"),
            ("host:5000/a:1", "IfNotPresent"),
            ("a@sha256:0", "IfNotPresent"),
            ("dir:/a", "IfNotPresent"),
            ("", "IfNotPresent"),
        ] {
            assert_eq!(pull_policy(image), policy, "{image}");
        }
    }
}
