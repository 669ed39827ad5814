//! What an object uses of a quota.
//!
//! See <https://kubernetes.io/docs/concepts/policy/resource-quotas/>.

use std::collections::BTreeMap;
use std::time::SystemTime;

use objects::quantity::Quantity;
use objects::requests::{self, Resources};
use objects::{Kind, meta, qos, time};
use serde_json::{Map, Value};

use crate::kinds::{POD, SERVICE};
use crate::pod;

/// Kinds of the core group that quotas count by their plain name, too.
const PLAIN: [&str; 6] = [
    "configmaps",
    "pods",
    "resourcequotas",
    "secrets",
    "services",
    "replicationcontrollers",
];

/// What an object uses.
pub(crate) fn of(kind: &Kind, object: &Value, now: SystemTime) -> Resources {
    let mut used = Resources::new();
    used.insert(format!("count/{}", kind.resource()), Quantity::whole(1));
    match kind {
        kind if kind == POD => of_pod(object, now, &mut used),
        kind if kind == SERVICE => of_service(object, &mut used),
        kind if kind.group.is_empty() && PLAIN.contains(&kind.plural) => {
            used.insert(kind.plural.into(), Quantity::whole(1));
        }
        _ => {}
    }
    used
}

fn of_pod(found: &Value, now: SystemTime, used: &mut Resources) {
    if pod::has_ended(found) || counts_until(found).is_some_and(|end| end < now) {
        return;
    }
    used.insert("pods".into(), Quantity::whole(1));
    for (name, amount) in requests::requests(found) {
        used.insert(format!("requests.{name}"), amount);
        if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-") {
            used.insert(name, amount);
        }
    }
    for (name, amount) in requests::limits(found) {
        used.insert(format!("limits.{name}"), amount);
    }
}

/// When a pod that is being deleted stops to count, although it may still be there: after twice its grace.
pub(crate) fn counts_until(pod: &Value) -> Option<SystemTime> {
    let end = meta::deletion_timestamp(pod).and_then(time::parse)?;
    end.checked_add(pod::seconds(meta::deletion_grace(pod)?))
}

fn of_service(service: &Value, used: &mut Resources) {
    used.insert("services".into(), Quantity::whole(1));
    let kind = meta::text(service, &["spec", "type"]);
    let balanced = kind == "LoadBalancer";
    let allocates = meta::at(service, &["spec", "allocateLoadBalancerNodePorts"]) != Some(&Value::Bool(false));
    let ports = i64::try_from(meta::list(service, &["spec", "ports"]).len()).unwrap_or(i64::MAX);
    let ports = if kind == "NodePort" || (balanced && allocates) {
        ports
    } else {
        0
    };
    used.insert("services.nodeports".into(), Quantity::whole(ports));
    used.insert("services.loadbalancers".into(), Quantity::whole(balanced.into()));
}

/// Whether a quota counts an object of this kind at all.
pub(crate) fn is_meant(quota: &Value, kind: &Kind, object: &Value) -> bool {
    let scopes = meta::list(quota, &["spec", "scopes"]).iter().filter_map(Value::as_str);
    let expressions = meta::list(quota, &["spec", "scopeSelector", "matchExpressions"]);
    let each = scopes.map(|scope| (scope, "Exists", &[][..]));
    let each = each.chain(expressions.iter().map(|one| {
        let scope = meta::text(one, &["scopeName"]);
        (scope, meta::text(one, &["operator"]), meta::list(one, &["values"]))
    }));
    let mut each = each.peekable();
    // A quota with scopes is about pods alone.
    if each.peek().is_some() && kind != POD {
        return false;
    }
    each.into_iter()
        .all(|(scope, operator, values)| is_in_scope(object, scope, operator, values))
}

fn is_in_scope(pod: &Value, scope: &str, operator: &str, values: &[Value]) -> bool {
    let ends = meta::number(pod, &["spec", "activeDeadlineSeconds"]).is_some();
    let class = meta::text(pod, &["spec", "priorityClassName"]);
    match scope {
        "Terminating" => ends,
        "NotTerminating" => !ends,
        "BestEffort" => qos::of(pod) == qos::Qos::BestEffort,
        "NotBestEffort" => qos::of(pod) != qos::Qos::BestEffort,
        "CrossNamespacePodAffinity" => looks_elsewhere(pod),
        "PriorityClass" => match operator {
            "In" => values.iter().any(|one| one == class),
            "NotIn" => !values.iter().any(|one| one == class),
            "DoesNotExist" => class.is_empty(),
            _ => !class.is_empty(),
        },
        _ => false,
    }
}

fn looks_elsewhere(pod: &Value) -> bool {
    let names = |term: &Value| {
        let term = meta::at(term, &["podAffinityTerm"]).unwrap_or(term);
        !meta::list(term, &["namespaces"]).is_empty() || meta::at(term, &["namespaceSelector"]).is_some()
    };
    ["podAffinity", "podAntiAffinity"].into_iter().any(|side| {
        [
            "requiredDuringSchedulingIgnoredDuringExecution",
            "preferredDuringSchedulingIgnoredDuringExecution",
        ]
        .into_iter()
        .any(|terms| meta::list(pod, &["spec", "affinity", side, terms]).iter().any(names))
    })
}

/// Only what the quota limits.
pub(crate) fn limited(used: &Resources, hard: &Resources) -> Resources {
    let each = hard
        .keys()
        .filter_map(|name| used.get(name).map(|amount| (name.clone(), *amount)));
    each.collect()
}

/// Of everything that there is: what a quota has used, each limited resource named.
pub(crate) fn total<'a>(
    quota: &Value,
    objects: impl Iterator<Item = (&'static Kind, &'a Value)>,
    now: SystemTime,
) -> Resources {
    let hard = hard(quota);
    let mut sum: Resources = hard.keys().map(|name| (name.clone(), Quantity::ZERO)).collect();
    for (kind, object) in objects {
        if is_meant(quota, kind, object) {
            requests::add(&mut sum, &limited(&of(kind, object, now), &hard));
        }
    }
    sum
}

/// What a quota allows.
pub(crate) fn hard(quota: &Value) -> Resources {
    requests::read(meta::at(quota, &["spec", "hard"]))
}

/// Whether a quota's limits speak of objects of this kind.
pub(crate) fn concerns(hard: &Resources, kind: &Kind) -> bool {
    let counted = format!("count/{}", kind.resource());
    hard.keys().any(|name| match kind {
        _ if *name == counted => true,
        kind if kind == POD => {
            !name.starts_with("count/")
                && (name == "pods" || !PLAIN.contains(&name.as_str()))
                && !name.starts_with("services")
        }
        kind if kind == SERVICE => name.starts_with("services"),
        kind => kind.group.is_empty() && PLAIN.contains(&kind.plural) && name == kind.plural,
    })
}

/// Amounts as objects hold them.
pub(crate) fn written(amounts: &Resources) -> Value {
    let each: BTreeMap<&String, String> = amounts
        .iter()
        .map(|(name, amount)| (name, amount.to_string()))
        .collect();
    let map: Map<String, Value> = each
        .into_iter()
        .map(|(name, text)| (name.clone(), text.into()))
        .collect();
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod() -> Value {
        json!({"spec": {"containers": [{"name": "c", "resources": {
            "requests": {"cpu": "100m", "example.com/gpu": "2"}, "limits": {"cpu": "200m"},
        }}]}})
    }

    fn used(kind: &Kind, object: &Value) -> BTreeMap<String, String> {
        let used = of(kind, object, SystemTime::now());
        used.iter()
            .map(|(name, amount)| (name.clone(), amount.to_string()))
            .collect()
    }

    #[test]
    fn a_pod_uses_what_it_asks_for_until_it_has_ended() {
        let found = used(POD, &pod());
        let expected = [
            ("count/pods", "1"),
            ("cpu", "100m"),
            ("limits.cpu", "200m"),
            ("pods", "1"),
            ("requests.cpu", "100m"),
            ("requests.example.com/gpu", "2"),
        ];
        assert_eq!(
            found,
            expected
                .map(|(name, amount)| (name.to_owned(), amount.to_owned()))
                .into()
        );
        let mut ended = pod();
        meta::set(&mut ended, &["status", "phase"], "Failed");
        assert_eq!(used(POD, &ended).into_keys().collect::<Vec<_>>(), ["count/pods"]);
    }

    #[test]
    fn scopes_choose_pods() {
        let quota = |scopes: &[&str]| json!({"spec": {"scopes": scopes, "hard": {"pods": 1}}});
        assert!(is_meant(&quota(&["NotBestEffort", "NotTerminating"]), POD, &pod()));
        assert!(!is_meant(&quota(&["BestEffort"]), POD, &pod()));
        assert!(!is_meant(&quota(&["Terminating"]), POD, &pod()));
        assert!(!is_meant(&quota(&["NotTerminating"]), SERVICE, &json!({})));
        let classed = json!({"spec": {"scopeSelector": {"matchExpressions": [
            {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]},
        ]}}});
        let mut high = pod();
        meta::set(&mut high, &["spec", "priorityClassName"], "high");
        assert!(is_meant(&classed, POD, &high));
        assert!(!is_meant(&classed, POD, &pod()));
    }

    #[test]
    fn a_quota_of_pods_says_nothing_of_services() {
        let hard = hard(&json!({"spec": {"hard": {"requests.cpu": "1", "count/deployments.apps": "2"}}}));
        assert!(concerns(&hard, POD));
        assert!(!concerns(&hard, SERVICE));
        assert!(concerns(&hard, crate::kinds::DEPLOYMENT));
    }
}
