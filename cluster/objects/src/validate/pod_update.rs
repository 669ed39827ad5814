//! What may change about a pod once it is there: next to nothing.

use serde_json::Value;

use super::{
    container,
    faults::{Faults, Path, go_map},
    metadata, pod, tolerations,
};
use crate::{meta, name, qos};

const SPEC: Path<'_> = Path::of("spec");
const META: Path<'_> = Path::of("metadata");
const CHANGEABLE: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

pub(super) fn check(faults: &mut Faults, old: &Value, new: &Value) {
    metadata::update(faults, old, new);
    pod::whole(faults, new);
    pod::annotations_kept(faults, old, new);
    for key in ["containers", "initContainers"] {
        let (before, after) = (meta::list(old, &["spec", key]), meta::list(new, &["spec", key]));
        let path = SPEC.child(key);
        if before.len() != after.len() {
            return faults.forbidden(&path, "pod updates may not add or remove containers");
        }
        for (index, one) in after.iter().enumerate() {
            container::padded_image(faults, &path.index(index), meta::text(one, &["image"]));
        }
    }
    if !deadline(faults, old, new) {
        return;
    }
    only_more_tolerations(faults, old, new);
    only_fewer_gates(faults, old, new);
    let (before, after) = (spec_of(old), spec_of(new));
    if before == after {
        return;
    }
    if qos::of(old) != qos::of(new) {
        let class = meta::text(new, &["status", "qosClass"]);
        faults.invalid(&META, class, "Pod QoS is immutable");
    }
    let like_old = with_changeable_of(old, new, faults);
    if like_old != before {
        let mut differences = Vec::new();
        tell(&mut differences, "spec", &before, &like_old);
        faults.forbidden(&SPEC, &format!("{CHANGEABLE}\n{}\n", differences.join("\n")));
    }
}

fn spec_of(pod: &Value) -> Value {
    meta::at(pod, &["spec"]).cloned().unwrap_or_default()
}

/// A deadline may come, and may come closer. Says whether it makes sense to look on.
fn deadline(faults: &mut Faults, old: &Value, new: &Value) -> bool {
    let key = "activeDeadlineSeconds";
    let path = SPEC.child(key);
    match (meta::number(old, &["spec", key]), meta::number(new, &["spec", key])) {
        (before, Some(after)) => {
            let sentences = name::in_range(after, 0, i64::from(i32::MAX));
            if let Some(sentence) = sentences.first() {
                faults.invalid(&path, &after, sentence);
                return false;
            }
            if before.is_some_and(|before| before < after) {
                faults.invalid(&path, &after, "must be less than or equal to previous value");
                return false;
            }
        }
        (Some(_), None) => {
            let detail = "must not update from a positive integer to nil value";
            faults.invalid(&path, &Value::Null, detail);
        }
        (None, None) => {}
    }
    true
}

fn only_more_tolerations(faults: &mut Faults, old: &Value, new: &Value) {
    let path = SPEC.child("tolerations");
    let untimed = |one: &Value| {
        let mut one = one.clone();
        meta::remove(&mut one, &["tolerationSeconds"]);
        one
    };
    let after: Vec<Value> = meta::list(new, &["spec", "tolerations"]).iter().map(untimed).collect();
    let before = meta::list(old, &["spec", "tolerations"]);
    if before.iter().any(|one| !after.contains(&untimed(one))) {
        let detail = "existing toleration can not be modified except its tolerationSeconds";
        return faults.forbidden(&path, detail);
    }
    tolerations::check(faults, &path, meta::list(new, &["spec", "tolerations"]));
}

fn only_fewer_gates(faults: &mut Faults, old: &Value, new: &Value) {
    let before = meta::list(old, &["spec", "schedulingGates"]);
    let path = SPEC.child("schedulingGates");
    for (index, gate) in meta::list(new, &["spec", "schedulingGates"]).iter().enumerate() {
        let own = meta::text(gate, &["name"]);
        if !before.iter().any(|one| meta::text(one, &["name"]) == own) {
            let path = path.index(index);
            let detail = format!("only deletion is allowed, but found new scheduling gate '{own}'");
            faults.forbidden(&path.child("name"), &detail);
        }
    }
}

/// The new spec, with everything that may change put back to what it was.
fn with_changeable_of(old: &Value, new: &Value, faults: &mut Faults) -> Value {
    let before = spec_of(old);
    let mut spec = spec_of(new);
    for key in ["containers", "initContainers"] {
        let images = meta::list(&before, &[key]).iter().map(|one| one.get("image"));
        let containers = spec.get_mut(key).and_then(Value::as_array_mut);
        for (container, image) in containers.into_iter().flatten().zip(images) {
            restore(container, "image", image);
        }
    }
    for key in ["activeDeadlineSeconds", "schedulingGates", "tolerations"] {
        restore(&mut spec, key, before.get(key));
    }
    let key = "terminationGracePeriodSeconds";
    let was_negative = meta::number(&before, &[key]).is_some_and(|grace| grace < 0);
    if was_negative && meta::number(&spec, &[key]) == Some(1) {
        restore(&mut spec, key, before.get(key));
    }
    if !meta::list(&before, &["schedulingGates"]).is_empty() {
        gated(faults, &before, &mut spec);
    }
    spec
}

fn restore(map: &mut Value, key: &str, value: Option<&Value>) {
    match value {
        Some(value) => meta::set(map, &[key], value.clone()),
        None => {
            meta::remove(map, &[key]);
        }
    }
}

/// While a pod is held back, it may still be told more narrowly where to go.
fn gated(faults: &mut Faults, before: &Value, spec: &mut Value) {
    let selectors = (meta::map(before, &["nodeSelector"]), meta::map(spec, &["nodeSelector"]));
    let is_kept = |(key, value): (&String, &Value)| selectors.1.and_then(|after| after.get(key)) == Some(value);
    if !selectors.0.into_iter().flatten().all(is_kept) {
        faults.invalid(
            &SPEC.child("nodeSelector"),
            &go_map(selectors.1),
            "only additions to spec.nodeSelector are allowed (no mutations or deletions)",
        );
    }
    restore(spec, "nodeSelector", before.get("nodeSelector"));
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    let path = ["affinity", "nodeAffinity", required, "nodeSelectorTerms"];
    let old_terms = meta::list(before, &path).to_vec();
    let new_terms = meta::list(spec, &path).to_vec();
    let path = SPEC.child("affinity");
    let path = path.child("nodeAffinity");
    let path = path.child(required);
    let path = path.child("nodeSelectorTerms");
    if !old_terms.is_empty() && old_terms.len() != new_terms.len() {
        faults.invalid(
            &path,
            &Value::from(new_terms),
            "no additions/deletions to non-empty NodeSelectorTerms list are allowed",
        );
    } else {
        for (index, (old, new)) in old_terms.iter().zip(&new_terms).enumerate() {
            if !only_additions(old, new) {
                let detail = "only additions are allowed (no mutations or deletions)";
                faults.invalid(&path.index(index), new, detail);
            }
        }
    }
    let old_affinity = meta::at(before, &["affinity", "nodeAffinity"]).cloned();
    match old_affinity {
        Some(affinity) => meta::set(spec, &["affinity", "nodeAffinity"], affinity),
        None => {
            meta::remove(spec, &["affinity", "nodeAffinity"]);
            let is_empty = meta::map(spec, &["affinity"]).is_some_and(serde_json::Map::is_empty);
            if is_empty && before.get("affinity").is_none() {
                meta::remove(spec, &["affinity"]);
            }
        }
    }
}

fn only_additions(old: &Value, new: &Value) -> bool {
    let lists = ["matchExpressions", "matchFields"].map(|key| (meta::list(old, &[key]), meta::list(new, &[key])));
    let was_empty = lists.iter().all(|(old, _)| old.is_empty());
    let is_empty = lists.iter().all(|(_, new)| new.is_empty());
    (!was_empty || is_empty) && lists.iter().all(|(old, new)| new.starts_with(old))
}

/// Where two values differ, as lines.
fn tell(lines: &mut Vec<String>, path: &str, old: &Value, new: &Value) {
    match (old, new) {
        (Value::Object(before), Value::Object(after)) => {
            for (key, old) in before {
                let new = after.get(key).unwrap_or(&Value::Null);
                tell(lines, &format!("{path}.{key}"), old, new);
            }
            for (key, new) in after.iter().filter(|(key, _)| !before.contains_key(*key)) {
                tell(lines, &format!("{path}.{key}"), &Value::Null, new);
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (index, (old, new)) in before.iter().zip(after).enumerate() {
                tell(lines, &format!("{path}[{index}]"), old, new);
            }
        }
        _ if old == new => {}
        _ => {
            for (sign, value) in [("-", old), ("+", new)] {
                if !value.is_null() {
                    lines.push(format!("{sign} {path}: {value}"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::tests::updated, *};

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

    #[test]
    fn a_pod_keeps_all_but_a_few_fields() {
        let change = |path: &[&str], value: Value| updated("", "pods", pod(), with(path, value));
        let mut image = pod();
        meta::set(&mut image["spec"]["containers"][0], &["image"], "i:2");
        assert_eq!(updated("", "pods", pod(), image), [""; 0]);
        assert_eq!(
            change(&["spec", "tolerations"], json!([{"key": "a", "operator": "Exists"}])),
            [""; 0]
        );
        assert_eq!(change(&["spec", "activeDeadlineSeconds"], json!(5)), [""; 0]);
        assert_eq!(change(&["metadata", "labels"], json!({"a": "b"})), [""; 0]);
        let faults = change(&["spec", "nodeName"], json!("n1"));
        assert_eq!(
            faults,
            [format!("spec: Forbidden: {CHANGEABLE}\n+ spec.nodeName: \"n1\"\n")]
        );
        assert_eq!(
            change(&["spec", "schedulingGates"], json!([{"name": "g"}])),
            ["spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'g'"]
        );
        assert_eq!(
            change(
                &["spec", "containers"],
                json!([{"name": "a", "image": "i:1"}, {"name": "b", "image": "i"}])
            ),
            ["spec.containers: Forbidden: pod updates may not add or remove containers"]
        );
    }

    #[test]
    fn a_gated_pod_may_be_told_more_narrowly_where_to_go() {
        let gated = with(&["spec", "schedulingGates"], json!([{"name": "g"}]));
        let mut narrower = gated.clone();
        meta::set(&mut narrower, &["spec", "nodeSelector"], json!({"a": "b"}));
        assert_eq!(updated("", "pods", gated.clone(), narrower.clone()), [""; 0]);
        assert_eq!(
            updated("", "pods", narrower, gated)[0],
            "spec.nodeSelector: Invalid value: map[string]string(nil): only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        );
    }
}
