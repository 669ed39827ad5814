//! What containers ask for and may use; names of resources.

use serde_json::{Map, Value};

use super::faults::{Faults, Path};
use crate::{meta, name, quantity::Quantity};

const CONTAINER: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
const HUGE_PAGES: &str = "hugepages-";
const COUNTED: [&str; 9] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];
const QUOTA: [&str; 12] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
];

/// `resources` of a container.
pub(super) fn requirements(faults: &mut Faults, path: &Path<'_>, resources: &Value) {
    let limits = meta::map(resources, &["limits"]);
    let requests = meta::map(resources, &["requests"]);
    limits_of(faults, &path.child("limits"), limits);
    let requests_path = path.child("requests");
    for (resource, amount) in requests.into_iter().flatten() {
        let path_of_one = requests_path.key(resource);
        container_name(faults, &path_of_one, resource);
        let Some(request) = quantity(faults, &path_of_one, resource, amount) else {
            continue;
        };
        let limit = limits.and_then(|limits| Quantity::of(limits.get(resource)?));
        match limit {
            Some(limit) if request != limit && !may_overcommit(resource) => {
                let detail = format!("must be equal to {resource} limit of {limit}");
                faults.invalid(&requests_path, &request.to_string()[..], &detail);
            }
            Some(limit) if request > limit => {
                let detail = format!("must be less than or equal to {resource} limit of {limit}");
                faults.invalid(&requests_path, &request.to_string()[..], &detail);
            }
            None if !may_overcommit(resource) => faults.required(
                &path.child("limits"),
                "Limit must be set for non overcommitable resources",
            ),
            _ => {}
        }
        huge_pages(faults, &path_of_one, resource, request);
    }
    let has = |test: fn(&str) -> bool| {
        [limits, requests]
            .into_iter()
            .flatten()
            .flatten()
            .any(|(name, _)| test(name))
    };
    if has(|name| name.starts_with(HUGE_PAGES)) && !has(|name| matches!(name, "cpu" | "memory")) {
        faults.forbidden(path, "HugePages require cpu or memory");
    }
}

/// `limits` of a container, or the overhead of a pod.
pub(super) fn limits_of(faults: &mut Faults, path: &Path<'_>, limits: Option<&Map<String, Value>>) {
    for (resource, amount) in limits.into_iter().flatten() {
        let path = path.key(resource);
        container_name(faults, &path, resource);
        if let Some(limit) = quantity(faults, &path, resource, amount) {
            huge_pages(faults, &path, resource, limit);
        }
    }
}

/// An amount of a resource: not negative, and whole where it is counted.
pub(super) fn quantity(faults: &mut Faults, path: &Path<'_>, resource: &str, amount: &Value) -> Option<Quantity> {
    let Some(known) = Quantity::of(amount) else {
        let text = amount.as_str().unwrap_or("");
        let fault = text.parse::<Quantity>().err().map(|fault| fault.to_string());
        faults.invalid(path, amount, &fault.unwrap_or_default());
        return None;
    };
    if known.is_negative() {
        faults.invalid(path, &known.to_string()[..], "must be greater than or equal to 0");
    }
    if is_counted(resource) && !known.is_whole() {
        faults.invalid(path, &known.to_string()[..], "must be an integer");
    }
    Some(known)
}

fn huge_pages(faults: &mut Faults, path: &Path<'_>, resource: &str, amount: Quantity) {
    let Some(size) = resource.strip_prefix(HUGE_PAGES) else {
        return;
    };
    let size = size.parse::<Quantity>().map_or(0, Quantity::value);
    if size <= 0 || amount.value() % size != 0 {
        let detail = format!("{amount} is not positive integer multiple of {resource}");
        faults.invalid(path, &amount.to_string()[..], &detail);
    }
}

/// A resource that a container may ask for.
pub(super) fn container_name(faults: &mut Faults, path: &Path<'_>, resource: &str) {
    any_name(faults, path, resource);
    if !resource.contains('/') {
        if !CONTAINER.contains(&resource) && !resource.starts_with(HUGE_PAGES) {
            faults.invalid(path, resource, "must be a standard resource for containers");
        }
    } else if !is_native(resource) && !is_extended(resource) {
        faults.invalid(path, resource, "doesn't follow extended resource name standard");
    }
}

/// A resource that a quota may limit.
pub(super) fn quota_name(faults: &mut Faults, path: &Path<'_>, resource: &str) {
    any_name(faults, path, resource);
    if !resource.contains('/') && !is_quota(resource) {
        faults.invalid(path, resource, "must be a standard resource for quota");
    }
}

/// A resource of any kind.
pub(super) fn any_name(faults: &mut Faults, path: &Path<'_>, resource: &str) {
    let before = faults.len();
    faults.each(path, resource, name::qualified(resource));
    let is_known = is_quota(resource) || resource == "storage";
    if faults.len() == before && !resource.contains('/') && !is_known {
        faults.invalid(path, resource, "must be a standard resource type or fully qualified");
    }
}

/// Whether a quota knows the resource.
pub(super) fn is_quota(resource: &str) -> bool {
    QUOTA.contains(&resource)
        || COUNTED.contains(&resource)
        || resource
            .strip_prefix("requests.")
            .unwrap_or(resource)
            .starts_with(HUGE_PAGES)
}

/// Whether limits may be higher than requests.
pub(super) fn may_overcommit(resource: &str) -> bool {
    is_native(resource) && !resource.starts_with(HUGE_PAGES)
}

fn is_counted(resource: &str) -> bool {
    COUNTED.contains(&resource) || is_extended(resource)
}

fn is_native(resource: &str) -> bool {
    !resource.contains('/') || resource.contains("kubernetes.io/")
}

fn is_extended(resource: &str) -> bool {
    !is_native(resource)
        && !resource.starts_with("requests.")
        && name::qualified(&format!("requests.{resource}")).is_empty()
}
