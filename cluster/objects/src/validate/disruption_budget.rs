//! Disruption budgets.

use serde_json::Value;

use super::{
    faults::{Faults, Path},
    label_selector, workload,
};
use crate::meta;

const SPEC: Path<'_> = Path::of("spec");
const STATUS: Path<'_> = Path::of("status");

pub(super) fn check(faults: &mut Faults, budget: &Value) {
    let field = |key| meta::at(budget, &["spec", key]);
    let (least, most) = ("minAvailable", "maxUnavailable");
    if field(least).is_some() && field(most).is_some() {
        faults.invalid(
            &SPEC,
            &budget["spec"],
            "minAvailable and maxUnavailable cannot be both set",
        );
    }
    for key in [least, most] {
        if let Some(value) = field(key) {
            let path = SPEC.child(key);
            workload::number_or_share(faults, &path, Some(value));
            workload::no_more_than_all(faults, &path, value);
        }
    }
    label_selector::check(faults, &SPEC.child("selector"), field("selector"));
    let policy = meta::text(budget, &["spec", "unhealthyPodEvictionPolicy"]);
    if !policy.is_empty() {
        let path = SPEC.child("unhealthyPodEvictionPolicy");
        faults.word(&path, policy, &["AlwaysAllow", "IfHealthyBudget"]);
    }
}

pub(super) fn status(faults: &mut Faults, budget: &Value) {
    for key in ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"] {
        faults.not_negative(&STATUS.child(key), meta::number(budget, &["status", key]));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::told;

    #[test]
    fn a_budget_says_one_thing_and_no_more_than_all() {
        let told = |spec| told("policy", "poddisruptionbudgets", json!({"spec": spec}));
        assert_eq!(told(json!({"minAvailable": "100%", "selector": {}})), [""; 0]);
        assert_eq!(
            told(json!({"minAvailable": 1, "maxUnavailable": 1})),
            [
                "spec: Invalid value: {\"minAvailable\":1,\"maxUnavailable\":1}: minAvailable and maxUnavailable cannot be both set"
            ]
        );
        assert_eq!(
            told(json!({"maxUnavailable": "101%"})),
            [
                "spec.maxUnavailable: Invalid value: intstr.IntOrString{Type:1, IntVal:0, StrVal:\"101%\"}: must not be greater than 100%"
            ]
        );
        assert_eq!(
            told(json!({"selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}})),
            [
                "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"
            ]
        );
    }
}
