//! Defaults of what keeps a number of pods.

use serde_json::{Value, json};

use super::{as_map, fill, inner, pod};
use crate::meta;

pub(super) fn deployment(object: &mut Value) {
    let Some(spec) = inner(object, "spec") else { return };
    replicas(spec);
    let strategy = meta::map_mut(spec, &["strategy"]);
    fill(strategy, "type", "RollingUpdate");
    if strategy.get("type") == Some(&json!("RollingUpdate")) {
        let rolling = meta::map_mut(spec, &["strategy", "rollingUpdate"]);
        fill(rolling, "maxUnavailable", "25%");
        fill(rolling, "maxSurge", "25%");
    }
    fill(as_map(spec), "revisionHistoryLimit", 10);
    fill(as_map(spec), "progressDeadlineSeconds", 600);
}

pub(super) fn replica_set(object: &mut Value) {
    if let Some(spec) = inner(object, "spec") {
        replicas(spec);
    }
}

fn replicas(spec: &mut Value) {
    fill(as_map(spec), "replicas", 1);
    if let Some(spec) = inner(spec, "template").and_then(|template| inner(template, "spec")) {
        pod::apply_spec(spec);
    }
}
