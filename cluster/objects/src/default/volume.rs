//! Defaults of a volume.

use serde_json::{Value, json};

use super::{amounts, as_map, container, each, fill, inner};
use crate::meta;

const MODE: i64 = 0o644;

pub(super) fn apply(volume: &mut Value) {
    if as_map(volume).keys().all(|key| key == "name") {
        as_map(volume).insert("emptyDir".into(), json!({}));
    }
    let Some((source, inside)) = as_map(volume).iter_mut().find(|(key, _)| *key != "name") else {
        return;
    };
    if !inside.is_object() {
        return;
    }
    match source.as_str() {
        "emptyDir" => {
            if let Some(limit) = inside.get_mut("sizeLimit") {
                amounts::one(limit);
            }
        }
        "secret" | "configMap" => fill(as_map(inside), "defaultMode", MODE),
        "downwardAPI" => {
            fill(as_map(inside), "defaultMode", MODE);
            each(inside, "items").for_each(container::downward);
        }
        "projected" => {
            fill(as_map(inside), "defaultMode", MODE);
            each(inside, "sources").for_each(projected);
        }
        "hostPath" => {
            as_map(inside).entry("type").or_insert_with(|| "".into());
        }
        "image" => {
            let policy = container::pull_policy(meta::text(inside, &["reference"]));
            fill(as_map(inside), "pullPolicy", policy);
        }
        "ephemeral" => {
            let spec = inner(inside, "volumeClaimTemplate").and_then(|template| inner(template, "spec"));
            if let Some(spec) = spec {
                fill(as_map(spec), "volumeMode", "Filesystem");
                for side in ["limits", "requests"] {
                    amounts::at(spec, &["resources", side]);
                }
            }
        }
        _ => {}
    }
}

fn projected(source: &mut Value) {
    if let Some(token) = inner(source, "serviceAccountToken") {
        fill(as_map(token), "expirationSeconds", 3600);
    }
    if let Some(downward) = inner(source, "downwardAPI") {
        each(downward, "items").for_each(container::downward);
    }
}
