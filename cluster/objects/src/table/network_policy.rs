//! The row of a network policy.

use serde_json::Value;

use super::{AGE, Column, NAME, selector};
use crate::meta;

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    ("Pod-Selector", "string", "", 0, "Labels by which its pods are found."),
    AGE,
];

pub(super) fn cells(policy: &Value, age: Value) -> Vec<Value> {
    let pods = match selector(meta::at(policy, &["spec", "podSelector"])) {
        all if all.is_empty() => "<none>".into(),
        some => some,
    };
    vec![meta::name(policy).into(), pods.into(), age]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::row;

    #[test]
    fn a_policy_shows_which_pods_it_is_about() {
        let policy = |selector| {
            row(
                "networking.k8s.io",
                "networkpolicies",
                json!({"spec": {"podSelector": selector}}),
            )
        };
        assert_eq!(policy(json!({})), ["x", "<none>", "5m"]);
        assert_eq!(
            policy(json!({"matchLabels": {"app": "db"}, "matchExpressions": [{"key": "a", "operator": "Exists"}]})),
            ["x", "a,app=db", "5m"]
        );
    }
}
