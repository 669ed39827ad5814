//! The row of a resource quota.

use serde_json::Value;

use super::{AGE, Column, NAME};
use crate::meta;

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    ("Request", "string", "", 0, "What is asked for, of what may be."),
    ("Limit", "string", "", 0, "What the limits add up to, of what they may."),
    AGE,
];

pub(super) fn cells(quota: &Value, age: Value) -> Vec<Value> {
    let hard = meta::map(quota, &["status", "hard"]);
    let mut each: Vec<(&String, &Value)> = hard.into_iter().flatten().collect();
    each.sort_by_key(|(name, _)| *name);
    let shown = |is_limit: bool| -> Value {
        let each = each
            .iter()
            .filter(|(name, _)| name.starts_with("limits.") == is_limit)
            .map(|(name, most)| {
                let used = match meta::text(quota, &["status", "used", name]) {
                    "" => "0",
                    used => used,
                };
                format!("{name}: {used}/{}", most.as_str().unwrap_or(""))
            });
        each.collect::<Vec<_>>().join(", ").into()
    };
    vec![meta::name(quota).into(), shown(false), shown(true), age]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::row;

    #[test]
    fn a_quota_shows_requests_beside_limits() {
        let status = json!({
            "hard": {"requests.cpu": "2", "limits.cpu": "4", "pods": "10"},
            "used": {"requests.cpu": "500m", "limits.cpu": "1"},
        });
        assert_eq!(
            row("", "resourcequotas", json!({"status": status})),
            ["x", "pods: 0/10, requests.cpu: 500m/2", "limits.cpu: 1/4", "5m"]
        );
    }
}
