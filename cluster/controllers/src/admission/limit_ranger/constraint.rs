//! How little and how much may be asked for, in Kubernetes' words.

use objects::meta;
use objects::quantity::Quantity;
use objects::requests::{self, Resources};
use serde_json::Value;

/// What is asked for, and up to what.
struct Claim {
    requests: Resources,
    limits: Resources,
}

/// What a pod asks for and may not, by one item of a range.
pub(super) fn faults(pod: &Value, item: &Value) -> Vec<String> {
    let kind = meta::text(item, &["type"]);
    let claims: Vec<Claim> = match kind {
        "Container" => ["containers", "initContainers"]
            .into_iter()
            .flat_map(|list| meta::list(pod, &["spec", list]))
            .map(claim)
            .collect(),
        "Pod" => vec![whole(pod)],
        _ => Vec::new(),
    };
    let mut faults = Vec::new();
    for claim in claims {
        for (rule, check) in [
            ("min", minimum as fn(&str, &str, Quantity, &Claim) -> Option<String>),
            ("max", maximum),
            ("maxLimitRequestRatio", ratio),
        ] {
            let enforced = requests::read(meta::at(item, &[rule]));
            faults.extend(
                enforced
                    .iter()
                    .filter_map(|(name, amount)| check(kind, name, *amount, &claim)),
            );
        }
    }
    faults
}

fn claim(container: &Value) -> Claim {
    Claim {
        requests: requests::of_container(container, "requests"),
        limits: requests::of_container(container, "limits"),
    }
}

/// Of a pod counts only what each of its containers says, beside the largest init container.
fn whole(pod: &Value) -> Claim {
    let side = |side: &str| -> Resources {
        let each = |list: &str| -> Vec<Resources> {
            let containers = meta::list(pod, &["spec", list]).iter();
            containers.map(|one| requests::of_container(one, side)).collect()
        };
        let own = each("containers");
        let mut sum = Resources::new();
        for amounts in &own {
            requests::add(&mut sum, amounts);
        }
        sum.retain(|name, _| own.iter().all(|amounts| amounts.contains_key(name)));
        for amounts in each("initContainers") {
            requests::raise(&mut sum, &amounts);
        }
        sum
    };
    Claim {
        requests: side("requests"),
        limits: side("limits"),
    }
}

fn minimum(kind: &str, name: &str, least: Quantity, claim: &Claim) -> Option<String> {
    let rule = format!("minimum {name} usage per {kind} is {least}");
    let limit = claim.limits.get(name);
    match claim.requests.get(name) {
        None => Some(format!("{rule}.  No request is specified")),
        Some(asked) if *asked < least => Some(format!("{rule}, but request is {asked}")),
        Some(_) => limit
            .filter(|limit| **limit < least)
            .map(|limit| format!("{rule}, but limit is {limit}")),
    }
}

fn maximum(kind: &str, name: &str, most: Quantity, claim: &Claim) -> Option<String> {
    let rule = format!("maximum {name} usage per {kind} is {most}");
    match claim.limits.get(name) {
        None => Some(format!("{rule}.  No limit is specified")),
        Some(limit) if *limit > most => Some(format!("{rule}, but limit is {limit}")),
        Some(_) => claim
            .requests
            .get(name)
            .filter(|asked| **asked > most)
            .map(|asked| format!("{rule}, but request is {asked}")),
    }
}

fn ratio(kind: &str, name: &str, most: Quantity, claim: &Claim) -> Option<String> {
    let rule = format!("{name} max limit to request ratio per {kind} is {most}, but");
    let some = |amounts: &Resources| amounts.get(name).copied().filter(|amount| !amount.is_zero());
    let Some(asked) = some(&claim.requests) else {
        return Some(format!("{rule} no request is specified or request is 0"));
    };
    let Some(limit) = some(&claim.limits) else {
        return Some(format!("{rule} no limit is specified or limit is 0"));
    };
    let ratio = limit.float() / asked.float();
    (ratio > most.float()).then(|| format!("{rule} provided ratio is {ratio:.6}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(item: Value, containers: Value) -> Vec<String> {
        faults(&json!({"spec": {"containers": containers}}), &item)
    }

    fn container(asked: &str, limit: &str) -> Value {
        json!({"name": "c", "resources": {"requests": {"cpu": asked}, "limits": {"cpu": limit}}})
    }

    #[test]
    fn too_little_and_too_much_are_told_with_both_amounts() {
        let item = json!({"type": "Container", "min": {"cpu": "100m"}, "max": {"cpu": "1"}});
        assert_eq!(
            said(item.clone(), json!([container("100m", "1")])),
            Vec::<String>::new()
        );
        assert_eq!(
            said(item.clone(), json!([container("50m", "1500m")])),
            [
                "minimum cpu usage per Container is 100m, but request is 50m",
                "maximum cpu usage per Container is 1, but limit is 1500m"
            ]
        );
        assert_eq!(
            said(item, json!([{"name": "c"}])),
            [
                "minimum cpu usage per Container is 100m.  No request is specified",
                "maximum cpu usage per Container is 1.  No limit is specified"
            ]
        );
    }

    #[test]
    fn a_pod_is_the_sum_of_its_containers_where_all_of_them_say_something() {
        let item = json!({"type": "Pod", "max": {"cpu": "1"}});
        assert_eq!(
            said(item.clone(), json!([container("1m", "600m"), container("1m", "600m")])),
            ["maximum cpu usage per Pod is 1, but limit is 1200m"]
        );
        assert_eq!(
            said(item, json!([container("1m", "600m"), {"name": "d"}])),
            ["maximum cpu usage per Pod is 1.  No limit is specified"]
        );
    }

    #[test]
    fn a_limit_may_be_only_so_many_times_the_request() {
        let item = json!({"type": "Container", "maxLimitRequestRatio": {"cpu": "2"}});
        assert_eq!(
            said(item.clone(), json!([container("500m", "1")])),
            Vec::<String>::new()
        );
        assert_eq!(
            said(item, json!([container("500m", "1500m")])),
            ["cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000"]
        );
    }
}
