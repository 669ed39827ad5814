//! Resource quotas.

use serde_json::Value;

use super::{
    faults::{Faults, Path, Plain, go_list},
    resources,
};
use crate::meta;

const SPEC: Path<'_> = Path::of("spec");
const SCOPES: [&str; 6] = [
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
];
const CONFLICTS: [[&str; 2]; 2] = [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]];
const OF_PODS: [&str; 7] = [
    "pods",
    "cpu",
    "memory",
    "limits.cpu",
    "limits.memory",
    "requests.cpu",
    "requests.memory",
];

pub(super) fn check(faults: &mut Faults, quota: &Value) {
    amounts(faults, quota, "spec");
    scopes(faults, quota);
    selector(faults, quota);
}

/// `hard` of the spec, or `hard` and `used` of the status.
pub(super) fn amounts(faults: &mut Faults, quota: &Value, part: &str) {
    let root = Path::of(part);
    for list in ["hard", "used"] {
        let path = root.child(list);
        for (resource, amount) in meta::map(quota, &[part, list]).into_iter().flatten() {
            let path = path.key(resource);
            resources::quota_name(faults, &path, resource);
            resources::quantity(faults, &path, resource, amount);
        }
    }
}

fn scopes(faults: &mut Faults, quota: &Value) {
    let scopes = meta::list(quota, &["spec", "scopes"]);
    let path = SPEC.child("scopes");
    let shown = go_list("[]core.ResourceQuotaScope", scopes);
    for scope in scopes {
        let scope = scope.as_str().unwrap_or("");
        if !SCOPES.contains(&scope) {
            faults.invalid(&path, &shown, "unsupported scope");
        }
        misplaced(faults, &path, quota, scope, &shown);
    }
    let has = |name: &str| scopes.iter().any(|one| one == name);
    if CONFLICTS.iter().any(|[one, other]| has(one) && has(other)) {
        faults.invalid(&path, &shown, "conflicting scopes");
    }
}

/// Resources that a scope says nothing about.
fn misplaced(faults: &mut Faults, path: &Path<'_>, quota: &Value, scope: &str, shown: &Plain) {
    let hard = meta::map(quota, &["spec", "hard"]).into_iter().flatten();
    for (resource, _) in hard.filter(|(resource, _)| resources::is_quota(resource)) {
        let fits = match scope {
            "BestEffort" => resource == "pods",
            scope if SCOPES.contains(&scope) => OF_PODS.contains(&resource.as_str()),
            _ => true,
        };
        if !fits {
            faults.invalid(path, shown, "unsupported scope applied to resource");
        }
    }
}

fn selector(faults: &mut Faults, quota: &Value) {
    let path = SPEC.child("scopeSelector");
    let path = path.child("matchExpressions");
    let expressions = meta::list(quota, &["spec", "scopeSelector", "matchExpressions"]);
    for one in expressions {
        let text = |key| meta::text(one, &[key]);
        let (scope, operator) = (text("scopeName"), text("operator"));
        let values = meta::list(one, &["values"]);
        if !SCOPES.contains(&scope) {
            faults.invalid(&path.child("scopeName"), scope, "unsupported scope");
        }
        let shown = Plain(quota["spec"]["scopeSelector"].to_string());
        misplaced(faults, &path, quota, scope, &shown);
        if scope != "PriorityClass" && SCOPES.contains(&scope) && operator != "Exists" {
            faults.invalid(
                &path.child("operator"),
                operator,
                "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity",
            );
        }
        match operator {
            "In" | "NotIn" if values.is_empty() => faults.required(
                &path.child("values"),
                "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
            ),
            "Exists" | "DoesNotExist" if !values.is_empty() => faults.invalid(
                &path.child("values"),
                &go_list("[]string", values),
                "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
            ),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => faults.invalid(&path.child("operator"), operator, "not a valid selector operator"),
        }
    }
}

pub(super) fn update(faults: &mut Faults, old: &Value, new: &Value) {
    let sorted = |quota| {
        let mut scopes: Vec<&str> = meta::list(quota, &["spec", "scopes"])
            .iter()
            .filter_map(Value::as_str)
            .collect();
        scopes.sort_unstable();
        scopes
    };
    if sorted(old) != sorted(new) {
        let shown = go_list("[]core.ResourceQuotaScope", meta::list(new, &["spec", "scopes"]));
        faults.invalid(&SPEC.child("scopes"), &shown, "field is immutable");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{told, updated};

    #[test]
    fn a_quota_limits_what_it_knows() {
        let told = |spec| told("", "resourcequotas", json!({"spec": spec}));
        assert_eq!(
            told(json!({"hard": {"pods": "10", "requests.nvidia.com/gpu": "4", "count/deployments.apps": "3"}})),
            [""; 0]
        );
        assert_eq!(
            told(json!({"hard": {"storage": "1"}})),
            ["spec.hard[storage]: Invalid value: \"storage\": must be a standard resource for quota"]
        );
        assert_eq!(
            told(json!({"hard": {"cpu": "1"}, "scopes": ["BestEffort"]})),
            [
                "spec.scopes: Invalid value: []core.ResourceQuotaScope{\"BestEffort\"}: unsupported scope applied to resource"
            ]
        );
    }

    #[test]
    fn scopes_stay() {
        assert_eq!(
            updated(
                "",
                "resourcequotas",
                json!({"spec": {}}),
                json!({"spec": {"scopes": ["BestEffort"]}})
            ),
            ["spec.scopes: Invalid value: []core.ResourceQuotaScope{\"BestEffort\"}: field is immutable"]
        );
    }
}
