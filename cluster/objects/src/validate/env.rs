//! Environment of a container, and the fields of a pod that it and volumes can show.

use serde_json::Value;

use super::faults::{Faults, Path};
use crate::{meta, name, quantity::Quantity};

/// Fields of a pod by which something can be asked for at all.
const FIELDS: [&str; 14] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.phase",
    "status.podIP",
    "status.podIPs",
];
/// Those that a variable can hold.
pub(super) const OF_VARIABLES: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];
const DIVISORS: [&str; 13] = [
    "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei",
];

pub(super) fn variables(faults: &mut Faults, path: &Path<'_>, variables: &[Value]) {
    for (index, one) in variables.iter().enumerate() {
        let path = path.index(index);
        let own = meta::text(one, &["name"]);
        if own.is_empty() {
            faults.required(&path.child("name"), "");
        } else {
            faults.each(&path.child("name"), own, name::env(own));
        }
        if let Some(source) = meta::at(one, &["valueFrom"]) {
            let has_value = !meta::text(one, &["value"]).is_empty();
            value_from(faults, &path.child("valueFrom"), source, has_value);
        }
    }
}

fn value_from(faults: &mut Faults, path: &Path<'_>, source: &Value, has_value: bool) {
    let mut sources = 0;
    if let Some(field) = meta::at(source, &["fieldRef"]) {
        sources += 1;
        pod_field(faults, &path.child("fieldRef"), field, &OF_VARIABLES);
    }
    if let Some(resource) = meta::at(source, &["resourceFieldRef"]) {
        sources += 1;
        resource_field(faults, &path.child("resourceFieldRef"), resource, false);
    }
    for kind in ["configMapKeyRef", "secretKeyRef"] {
        let Some(reference) = meta::at(source, &[kind]) else {
            continue;
        };
        sources += 1;
        let path = path.child(kind);
        let object = meta::text(reference, &["name"]);
        faults.each(&path.child("name"), object, name::dns1123_subdomain(object));
        let key = meta::text(reference, &["key"]);
        if key.is_empty() {
            faults.required(&path.child("key"), "");
        } else {
            faults.each(&path.child("key"), key, name::config_key(key));
        }
    }
    if sources == 0 {
        faults.invalid(
            path,
            "",
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
        );
    } else if has_value {
        faults.invalid(path, "", "may not be specified when `value` is not empty");
    } else if sources > 1 {
        faults.invalid(path, "", "may not have more than one field specified at a time");
    }
}

pub(super) fn from(faults: &mut Faults, path: &Path<'_>, sources: &[Value]) {
    for (index, one) in sources.iter().enumerate() {
        let each = path.index(index);
        let prefix = meta::text(one, &["prefix"]);
        if !prefix.is_empty() {
            faults.each(&each.child("prefix"), prefix, name::env(prefix));
        }
        let mut count = 0;
        for kind in ["configMapRef", "secretRef"] {
            let Some(reference) = meta::at(one, &[kind]) else {
                continue;
            };
            count += 1;
            let each = each.child(kind);
            let object = meta::text(reference, &["name"]);
            if object.is_empty() {
                faults.required(&each.child("name"), "");
            } else {
                faults.each(&each.child("name"), object, name::dns1123_subdomain(object));
            }
        }
        match count {
            0 => faults.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"),
            1 => {}
            _ => faults.invalid(path, "", "may not have more than one field specified at a time"),
        }
    }
}

/// A field of the pod itself.
pub(super) fn pod_field(faults: &mut Faults, path: &Path<'_>, reference: &Value, supported: &[&str]) {
    if meta::text(reference, &["apiVersion"]).is_empty() {
        return faults.required(&path.child("apiVersion"), "");
    }
    let field = meta::text(reference, &["fieldPath"]);
    let path_of_field = path.child("fieldPath");
    if field.is_empty() {
        return faults.required(&path_of_field, "");
    }
    let subscript = field.strip_suffix("']").and_then(|field| field.split_once("['"));
    match subscript {
        Some(("metadata.annotations", key)) => {
            let key = key.to_lowercase();
            faults.each(path, &key, name::qualified(&key));
        }
        Some(("metadata.labels", key)) => faults.each(path, key, name::qualified(key)),
        Some((field_of_key, _)) => {
            let detail = format!("error converting fieldPath: field label does not support subscript: {field_of_key}");
            faults.invalid(&path_of_field, field, &detail);
        }
        None if !FIELDS.contains(&field) => {
            let detail = format!("error converting fieldPath: field label not supported: {field}");
            faults.invalid(&path_of_field, field, &detail);
        }
        None if !supported.contains(&field) => faults.unsupported(&path_of_field, field, supported),
        None => {}
    }
}

/// What a container asks for or may use.
pub(super) fn resource_field(faults: &mut Faults, path: &Path<'_>, reference: &Value, is_in_volume: bool) {
    let resource = meta::text(reference, &["resource"]);
    let is_huge = resource.starts_with("requests.hugepages-") || resource.starts_with("limits.hugepages-");
    if is_in_volume && meta::text(reference, &["containerName"]).is_empty() {
        faults.required(&path.child("containerName"), "");
    } else if resource.is_empty() {
        faults.required(&path.child("resource"), "");
    } else if !RESOURCES.contains(&resource) && !is_huge {
        faults.unsupported(&path.child("resource"), resource, &RESOURCES);
    }
    let divisor = meta::at(reference, &["divisor"]).and_then(Quantity::of);
    let Some(divisor) = divisor.filter(|divisor| !divisor.is_zero()) else {
        return;
    };
    let divisor = divisor.to_string();
    let sizes = "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei";
    let (is_good, values, of) = match resource.split_once('.').map_or("", |(_, name)| name) {
        "cpu" => (matches!(divisor.as_str(), "1m" | "1"), "1m and 1", "cpu"),
        "memory" => (DIVISORS.contains(&divisor.as_str()), sizes, "memory"),
        "ephemeral-storage" => (DIVISORS.contains(&divisor.as_str()), sizes, "local ephemeral storage"),
        _ if is_huge => (DIVISORS.contains(&divisor.as_str()), sizes, "hugepages"),
        _ => return,
    };
    if !is_good {
        let detail = format!("only divisor's values {values} are supported with the {of} resource");
        faults.invalid(&path.child("divisor"), resource, &detail);
    }
}
