//! ResourceQuota: no more than is allowed. What is there is counted while nobody else writes, so that two who come at once
//! cannot both have the last of it.
//!
//! See <https://kubernetes.io/docs/concepts/policy/resource-quotas/>.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use apiserver::{Admission, Attempt, Part, Verb};
use objects::kind::KINDS;
use objects::requests::{self, Resources};
use objects::{Status, meta};
use serde_json::Value;

use super::forbidden;
use crate::fault::{Act, Faults};
use crate::kinds::{POD, RESOURCE_QUOTA};
use crate::usage;

/// Where a quota limits one of these, every container must say how much of it.
const SAID: [&str; 6] = [
    "cpu",
    "memory",
    "requests.cpu",
    "requests.memory",
    "limits.cpu",
    "limits.memory",
];

pub(super) struct ResourceQuota {
    pub(super) faults: Faults,
}

impl Admission for ResourceQuota {
    fn admit(&self, attempt: &mut Attempt<'_>) -> Result<(), Status> {
        let counts = attempt.part == Part::Main && attempt.verb != Verb::Delete && attempt.kind.namespaced;
        if !counts || attempt.kind.kind == "Event" || self.faults.has(Act::QuotaNotEnforced) {
            return Ok(());
        }
        let Some(object) = attempt.object.as_deref() else {
            return Ok(());
        };
        for quota in attempt.store.list(RESOURCE_QUOTA, Some(attempt.namespace)) {
            check(attempt, &quota, object).map_err(|why| forbidden(attempt, &why))?;
        }
        Ok(())
    }
}

fn check(attempt: &Attempt<'_>, quota: &Value, object: &Value) -> Result<(), String> {
    let (now, hard, kind) = (SystemTime::now(), usage::hard(quota), attempt.kind);
    if !usage::concerns(&hard, kind) || !usage::is_meant(quota, kind, object) {
        return Ok(());
    }
    let name = meta::name(quota);
    if kind == POD && attempt.verb == Verb::Create {
        unsaid(object, &hard).map_err(|what| format!("failed quota: {name}: must specify {what}"))?;
    }
    let mut more = usage::limited(&usage::of(kind, object, now), &hard);
    if let Some(old) = attempt.old.filter(|old| usage::is_meant(quota, kind, old)) {
        for (resource, amount) in usage::of(kind, old, now) {
            if let Some(asked) = more.get_mut(&resource) {
                *asked -= amount;
            }
        }
    }
    more.retain(|_, amount| !amount.is_zero() && !amount.is_negative());
    if more.is_empty() {
        return Ok(());
    }
    let counted = KINDS
        .iter()
        .filter(|one| one.stored && one.namespaced && usage::concerns(&hard, one));
    let all: Vec<_> = counted
        .flat_map(|one| {
            let objects = attempt.store.list(one, Some(attempt.namespace));
            objects.map(move |object| (one, object))
        })
        .collect();
    let used = usage::total(quota, all.iter().map(|(kind, one)| (*kind, one.as_ref())), now);
    let is_exceeded = |resource: &&String| {
        let sum = used
            .get(*resource)
            .zip(more.get(*resource))
            .map(|(used, more)| *used + *more);
        sum.zip(hard.get(*resource)).is_some_and(|(sum, hard)| sum > *hard)
    };
    let exceeded: BTreeSet<&String> = more.keys().filter(is_exceeded).collect();
    if exceeded.is_empty() {
        return Ok(());
    }
    Err(format!(
        "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
        only(&more, &exceeded),
        only(&used, &exceeded),
        only(&hard, &exceeded)
    ))
}

fn only(amounts: &Resources, names: &BTreeSet<&String>) -> String {
    let each = amounts.iter().filter(|(name, _)| names.contains(name));
    each.map(|(name, amount)| format!("{name}={amount}"))
        .collect::<Vec<_>>()
        .join(",")
}

/// What containers must say and do not: `limits.cpu for: a,b; memory for: a`.
fn unsaid(pod: &Value, hard: &Resources) -> Result<(), String> {
    let mut missing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let containers = ["containers", "initContainers"]
        .into_iter()
        .flat_map(|list| meta::list(pod, &["spec", list]));
    for container in containers {
        for name in SAID.into_iter().filter(|name| hard.contains_key(*name)) {
            let (side, resource) = name.split_once('.').unwrap_or(("requests", name));
            if !requests::of_container(container, side).contains_key(resource) {
                missing
                    .entry(name)
                    .or_default()
                    .insert(meta::text(container, &["name"]));
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let each = missing.into_iter().map(|(name, containers)| {
        let containers: Vec<&str> = containers.into_iter().collect();
        format!("{name} for: {}", containers.join(","))
    });
    Err(each.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_quota_of_cpu_wants_to_hear_of_cpu() {
        let hard = usage::hard(&json!({"spec": {"hard": {"limits.cpu": "1", "memory": "1Gi", "pods": "3"}}}));
        let pod = json!({"spec": {"containers": [
            {"name": "b", "resources": {"requests": {"memory": "1Mi"}}}, {"name": "a"},
        ]}});
        assert_eq!(unsaid(&pod, &hard), Err("limits.cpu for: a,b; memory for: a".into()));
    }
}
