//! Deployments and replica sets: a selector, a template that it selects, and how one follows another.

use serde_json::Value;

use super::{
    faults::{Faults, Path, Plain, go_int_or_string, go_map, go_selector},
    label_selector, pod_spec,
};
use crate::{Kind, meta, name, selector::Labels};

const SPEC: Path<'_> = Path::of("spec");
const STATUS: Path<'_> = Path::of("status");

pub(super) fn check(faults: &mut Faults, kind: &Kind, object: &Value) {
    let spec = meta::at(object, &["spec"]).unwrap_or(&Value::Null);
    faults.not_negative(&SPEC.child("replicas"), meta::number(spec, &["replicas"]));
    if kind.kind == "ReplicaSet" {
        faults.not_negative(&SPEC.child("minReadySeconds"), meta::number(spec, &["minReadySeconds"]));
    }
    let selector = meta::at(spec, &["selector"]);
    let path = SPEC.child("selector");
    if selector.is_none() {
        faults.required(&path, "");
    }
    label_selector::check(faults, &path, selector);
    match Labels::of(selector) {
        Ok(labels) => {
            if labels.is_everything() {
                faults.invalid(
                    &path,
                    &go_selector(selector),
                    "empty selector is invalid for deployment",
                );
            }
            template(faults, spec, &labels);
        }
        Err(_) => faults.invalid(&path, &go_selector(selector), "invalid label selector"),
    }
    if kind.kind == "Deployment" {
        roll_out(faults, spec);
    }
}

fn template(faults: &mut Faults, spec: &Value, labels: &Labels) {
    let path = SPEC.child("template");
    let template = meta::at(spec, &["template"]).unwrap_or(&Value::Null);
    if !labels.is_everything() && !labels.matches_map(meta::labels(template)) {
        let path = path.child("metadata");
        faults.invalid(
            &path.child("labels"),
            &go_map(meta::labels(template)),
            "`selector` does not match template `labels`",
        );
    }
    pod_spec::template(faults, &path, template);
    let path = path.child("spec");
    let policy = meta::text(template, &["spec", "restartPolicy"]);
    if policy != "Always" {
        faults.unsupported(&path.child("restartPolicy"), policy, &["Always"]);
    }
    if meta::at(template, &["spec", "activeDeadlineSeconds"]).is_some() {
        faults.forbidden(
            &path.child("activeDeadlineSeconds"),
            "activeDeadlineSeconds in ReplicaSet is not Supported",
        );
    }
}

fn roll_out(faults: &mut Faults, spec: &Value) {
    let path = SPEC.child("strategy");
    let rolling = meta::at(spec, &["strategy", "rollingUpdate"]);
    match (meta::text(spec, &["strategy", "type"]), rolling) {
        ("Recreate", None) => {}
        ("Recreate", Some(_)) => faults.forbidden(
            &path.child("rollingUpdate"),
            "may not be specified when strategy `type` is 'Recreate'",
        ),
        ("RollingUpdate", None) => faults.required(
            &path.child("rollingUpdate"),
            "this should be defaulted and never be nil",
        ),
        ("RollingUpdate", Some(rolling)) => {
            let path = path.child("rollingUpdate");
            let (down, up) = ("maxUnavailable", "maxSurge");
            for key in [down, up] {
                number_or_share(faults, &path.child(key), meta::at(rolling, &[key]));
            }
            let unavailable = meta::at(rolling, &[down]).unwrap_or(&Value::Null);
            if amount(meta::at(rolling, &[up])) == 0 && amount(Some(unavailable)) == 0 {
                faults.invalid(
                    &path.child(down),
                    &go_int_or_string(unavailable),
                    "may not be 0 when `maxSurge` is 0",
                );
            }
            no_more_than_all(faults, &path.child(down), unavailable);
        }
        (other, _) => {
            let shown = format!(
                "apps.DeploymentStrategy{{Type:{other:?}, RollingUpdate:(*apps.RollingUpdateDeployment)(nil)}}"
            );
            faults.unsupported(&path, &Plain(shown), &["Recreate", "RollingUpdate"]);
        }
    }
    let number = |key: &str| meta::number(spec, &[key]);
    for key in ["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"] {
        faults.not_negative(&SPEC.child(key), number(key));
    }
    let deadline = number("progressDeadlineSeconds");
    if let Some(deadline) = deadline.filter(|deadline| *deadline <= number("minReadySeconds").unwrap_or(0)) {
        faults.invalid(
            &SPEC.child("progressDeadlineSeconds"),
            &deadline,
            "must be greater than minReadySeconds",
        );
    }
}

pub(super) fn update(faults: &mut Faults, old: &Value, new: &Value) {
    let (before, after) = (
        meta::at(old, &["spec", "selector"]),
        meta::at(new, &["spec", "selector"]),
    );
    if before != after {
        faults.invalid(&SPEC.child("selector"), &go_selector(after), "field is immutable");
    }
}

pub(super) fn status(faults: &mut Faults, object: &Value) {
    let number = |key: &str| meta::number(object, &["status", key]).unwrap_or(0);
    let counts = [
        "fullyLabeledReplicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
    ];
    for key in ["replicas", "unavailableReplicas", "observedGeneration"]
        .into_iter()
        .chain(counts)
    {
        faults.not_negative(&STATUS.child(key), Some(number(key)));
    }
    for key in counts {
        if number(key) > number("replicas") {
            faults.invalid(
                &STATUS.child(key),
                &number(key),
                "cannot be greater than status.replicas",
            );
        }
    }
    let available = number("availableReplicas");
    if available > number("readyReplicas") {
        faults.invalid(
            &STATUS.child("availableReplicas"),
            &available,
            "cannot be greater than readyReplicas",
        );
    }
}

/// `3` or `25%`.
pub(super) fn number_or_share(faults: &mut Faults, path: &Path<'_>, value: Option<&Value>) {
    match value {
        Some(Value::String(share)) => {
            let shown = go_int_or_string(&Value::from(share.as_str()));
            for sentence in name::percent(share) {
                faults.invalid(path, &shown, &sentence);
            }
        }
        number => faults.not_negative(path, number.and_then(Value::as_i64)),
    }
}

pub(super) fn no_more_than_all(faults: &mut Faults, path: &Path<'_>, value: &Value) {
    if value.is_string() && amount(Some(value)) > 100 {
        faults.invalid(path, &go_int_or_string(value), "must not be greater than 100%");
    }
}

fn amount(value: Option<&Value>) -> i64 {
    match value {
        Some(Value::String(share)) => share.trim_end_matches('%').parse().unwrap_or(0),
        number => number.and_then(Value::as_i64).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{told, updated};
    use super::*;

    fn deployment() -> Value {
        json!({"spec": {
            "selector": {"matchLabels": {"app": "a"}},
            "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
        }})
    }

    fn with(path: &[&str], value: Value) -> Vec<String> {
        let mut object = deployment();
        meta::set(&mut object, path, value);
        told("apps", "deployments", object)
    }

    #[test]
    fn the_selector_selects_the_template() {
        assert_eq!(told("apps", "deployments", deployment()), [""; 0]);
        assert_eq!(told("apps", "replicasets", deployment()), [""; 0]);
        assert_eq!(
            with(&["spec", "template", "metadata", "labels"], json!({"app": "b"})),
            [
                "spec.template.metadata.labels: Invalid value: map[string]string{\"app\":\"b\"}: `selector` does not match template `labels`"
            ]
        );
        assert_eq!(
            with(&["spec", "selector"], json!(null)),
            [
                "spec.selector: Required value",
                "spec.template.metadata.labels: Invalid value: map[string]string{\"app\":\"a\"}: `selector` does not match template `labels`"
            ]
        );
        assert_eq!(
            with(&["spec", "selector"], json!({})),
            [
                "spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string(nil), MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: empty selector is invalid for deployment"
            ]
        );
    }

    #[test]
    fn a_roll_out_must_be_able_to_move() {
        assert_eq!(
            with(
                &["spec", "strategy"],
                json!({"rollingUpdate": {"maxUnavailable": 0, "maxSurge": "0%"}})
            ),
            [
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: intstr.IntOrString{Type:0, IntVal:0, StrVal:\"\"}: may not be 0 when `maxSurge` is 0"
            ]
        );
        assert_eq!(
            with(&["spec", "strategy"], json!({"type": "Recreate", "rollingUpdate": {}})),
            ["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"]
        );
        assert_eq!(
            with(&["spec", "minReadySeconds"], json!(600)),
            ["spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds"]
        );
        assert_eq!(
            with(&["spec", "template", "spec", "restartPolicy"], json!("Never")),
            ["spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\""]
        );
        assert_eq!(
            with(&["spec", "replicas"], json!(-1)),
            ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"]
        );
    }

    #[test]
    fn the_selector_cannot_change() {
        let mut other = deployment();
        meta::set(&mut other, &["spec", "selector", "matchLabels", "b"], "c");
        meta::set(&mut other, &["spec", "template", "metadata", "labels", "b"], "c");
        let faults = updated("apps", "deployments", deployment(), other);
        assert_eq!(faults.len(), 1);
        assert!(faults[0].ends_with("field is immutable"), "{}", faults[0]);
    }

    #[test]
    fn a_status_adds_up() {
        let mut faults = Faults::default();
        status(
            &mut faults,
            &json!({"status": {"replicas": 1, "readyReplicas": 2, "availableReplicas": 1}}),
        );
        assert_eq!(faults.causes.len(), 1);
        assert_eq!(faults.causes[0].field, "status.readyReplicas");
    }
}
