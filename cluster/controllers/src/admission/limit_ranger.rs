//! LimitRanger: what containers ask for where they say nothing, and how little or much they may ask for.
//!
//! See <https://kubernetes.io/docs/concepts/policy/limit-range/>.

mod constraint;

use apiserver::{Admission, Attempt};
use objects::requests::{self, Resources};
use objects::{Status, meta};
use serde_json::Value;

use super::{forbidden, new_pod};
use crate::fault::{Act, Faults};
use crate::kinds::LIMIT_RANGE;

const ANNOTATION: &str = "kubernetes.io/limit-ranger";

pub(super) struct LimitRanger {
    pub(super) faults: Faults,
}

impl Admission for LimitRanger {
    fn admit(&self, attempt: &mut Attempt<'_>) -> Result<(), Status> {
        let (store, namespace) = (attempt.store, attempt.namespace);
        let Some(pod) = new_pod(attempt) else { return Ok(()) };
        let ranges: Vec<_> = store.list(LIMIT_RANGE, Some(namespace)).collect();
        if !self.faults.has(Act::LimitDefaultsDropped) {
            for range in &ranges {
                complete(pod, meta::list(range, &["spec", "limits"]));
            }
        }
        if self.faults.has(Act::LimitsNotEnforced) {
            return Ok(());
        }
        let limits = ranges.iter().flat_map(|range| meta::list(range, &["spec", "limits"]));
        let faults: Vec<String> = limits.flat_map(|item| constraint::faults(pod, item)).collect();
        match faults.as_slice() {
            [] => Ok(()),
            [one] => Err(forbidden(attempt, one)),
            many => Err(forbidden(attempt, &format!("[{}]", many.join(", ")))),
        }
    }
}

/// What a range gives a container.
fn defaults(limits: &[Value]) -> [(&'static str, Resources); 2] {
    let (mut asked, mut limited) = (Resources::new(), Resources::new());
    for item in limits.iter().filter(|item| item["type"] == "Container") {
        let of = |key: &str| requests::read(meta::at(item, &[key]));
        let mut limit = of("max");
        limit.extend(of("default"));
        // What is not said follows from what is.
        let mut request = of("min");
        request.extend(limit.clone());
        request.extend(of("defaultRequest"));
        asked.extend(request);
        limited.extend(limit);
    }
    [("requests", asked), ("limits", limited)]
}

fn complete(pod: &mut Value, limits: &[Value]) {
    let defaults = defaults(limits);
    let mut said = Vec::new();
    for (list, what) in [("containers", "container"), ("initContainers", "init container")] {
        let mut containers = meta::list(pod, &["spec", list]).to_vec();
        for container in &mut containers {
            for (side, amounts) in &defaults {
                let missing: Vec<&str> = amounts
                    .keys()
                    .map(String::as_str)
                    .filter(|name| meta::at(container, &["resources", side, name]).is_none())
                    .collect();
                for name in &missing {
                    meta::set(container, &["resources", side, name], amounts[*name].to_string());
                }
                if !missing.is_empty() {
                    let (names, of) = (missing.join(", "), meta::text(container, &["name"]));
                    said.push(format!("{names} {} for {what} {of}", side.trim_end_matches('s')));
                }
            }
        }
        if !containers.is_empty() {
            meta::set(pod, &["spec", list], containers);
        }
    }
    if !said.is_empty() {
        let text = format!("LimitRanger plugin set: {}", said.join("; "));
        meta::set_annotation(pod, ANNOTATION, &text);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn containers_that_say_nothing_are_told_what_they_ask_for() {
        let limits = [json!({
            "type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"}, "max": {"memory": "1Gi"},
        })];
        let mut pod = json!({"spec": {"containers": [
            {"name": "a"}, {"name": "b", "resources": {"requests": {"cpu": "50m"}}},
        ]}});
        complete(&mut pod, &limits);
        let of = |index: usize| pod["spec"]["containers"][index]["resources"].clone();
        assert_eq!(
            of(0),
            json!({"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"cpu": "500m", "memory": "1Gi"}})
        );
        assert_eq!(of(1)["requests"]["cpu"], "50m");
        assert_eq!(
            meta::annotation(&pod, ANNOTATION),
            Some(
                "LimitRanger plugin set: cpu, memory request for container a; cpu, memory limit for container a; \
                 memory request for container b; cpu, memory limit for container b"
            )
        );
    }
}
