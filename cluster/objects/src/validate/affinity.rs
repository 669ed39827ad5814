//! Where a pod wants to be: near which nodes and which pods, and how spread.

use serde_json::Value;

use super::{
    faults::{Faults, Path},
    label_selector,
};
use crate::{meta, name};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

pub(super) fn check(faults: &mut Faults, path: &Path<'_>, affinity: &Value) {
    if let Some(nodes) = meta::at(affinity, &["nodeAffinity"]) {
        node_affinity(faults, &path.child("nodeAffinity"), nodes);
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let Some(pods) = meta::at(affinity, &[kind]) else {
            continue;
        };
        let path = path.child(kind);
        let required = path.child(REQUIRED);
        for (index, term) in meta::list(pods, &[REQUIRED]).iter().enumerate() {
            pod_term(faults, &required.index(index), term);
        }
        let preferred = path.child(PREFERRED);
        for (index, weighted) in meta::list(pods, &[PREFERRED]).iter().enumerate() {
            let path = preferred.index(index);
            weight(faults, &path, weighted);
            let term = meta::at(weighted, &["podAffinityTerm"]).unwrap_or(&Value::Null);
            pod_term(faults, &path.child("podAffinityTerm"), term);
        }
    }
}

fn weight(faults: &mut Faults, path: &Path<'_>, weighted: &Value) {
    let weight = meta::number(weighted, &["weight"]).unwrap_or(0);
    if !(1..=100).contains(&weight) {
        faults.invalid(&path.child("weight"), &weight, "must be in the range 1-100");
    }
}

fn node_affinity(faults: &mut Faults, path: &Path<'_>, affinity: &Value) {
    if let Some(required) = meta::at(affinity, &[REQUIRED]) {
        let path = path.child(REQUIRED);
        let path = path.child("nodeSelectorTerms");
        let terms = meta::list(required, &["nodeSelectorTerms"]);
        if terms.is_empty() {
            faults.required(&path, "must have at least one node selector term");
        }
        for (index, term) in terms.iter().enumerate() {
            node_term(faults, &path.index(index), term);
        }
    }
    let path = path.child(PREFERRED);
    for (index, weighted) in meta::list(affinity, &[PREFERRED]).iter().enumerate() {
        let path = path.index(index);
        weight(faults, &path, weighted);
        let term = meta::at(weighted, &["preference"]).unwrap_or(&Value::Null);
        node_term(faults, &path.child("preference"), term);
    }
}

fn node_term(faults: &mut Faults, path: &Path<'_>, term: &Value) {
    let expressions = path.child("matchExpressions");
    for (index, one) in meta::list(term, &["matchExpressions"]).iter().enumerate() {
        let path = expressions.index(index);
        let operator = meta::text(one, &["operator"]);
        let values = meta::list(one, &["values"]).len();
        let values_path = path.child("values");
        match operator {
            "In" | "NotIn" if values == 0 => {
                faults.required(&values_path, "must be specified when `operator` is 'In' or 'NotIn'");
            }
            "Exists" | "DoesNotExist" if values > 0 => faults.forbidden(
                &values_path,
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            ),
            "Gt" | "Lt" if values != 1 => faults.required(
                &values_path,
                "must be specified single value when `operator` is 'Lt' or 'Gt'",
            ),
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
            _ => faults.invalid(&path.child("operator"), operator, "not a valid selector operator"),
        }
        let key = meta::text(one, &["key"]);
        faults.each(&path.child("key"), key, name::qualified(key));
    }
    let fields = path.child("matchFields");
    for (index, one) in meta::list(term, &["matchFields"]).iter().enumerate() {
        let path = fields.index(index);
        let operator = meta::text(one, &["operator"]);
        let values = meta::list(one, &["values"]);
        match operator {
            "In" | "NotIn" if values.len() != 1 => faults.required(
                &path.child("values"),
                "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
            ),
            "In" | "NotIn" => {}
            _ => faults.invalid(&path.child("operator"), operator, "not a valid selector operator"),
        }
        let key = meta::text(one, &["key"]);
        if key != "metadata.name" {
            faults.invalid(&path.child("key"), key, "not a valid field selector key");
            continue;
        }
        let path = path.child("values");
        for (index, value) in values.iter().enumerate() {
            let value = value.as_str().unwrap_or("");
            faults.each(&path.index(index), value, name::dns1123_subdomain(value));
        }
    }
}

fn pod_term(faults: &mut Faults, path: &Path<'_>, term: &Value) {
    let selector = meta::at(term, &["labelSelector"]);
    label_selector::check(faults, &path.child("labelSelector"), selector);
    label_selector::check(
        faults,
        &path.child("namespaceSelector"),
        meta::at(term, &["namespaceSelector"]),
    );
    for namespace in meta::list(term, &["namespaces"]) {
        let namespace = namespace.as_str().unwrap_or("");
        faults.each(&path.child("namespace"), namespace, name::dns1123_label(namespace));
    }
    for list in ["matchLabelKeys", "mismatchLabelKeys"] {
        let path = path.child(list);
        let keys = meta::list(term, &[list]);
        if !keys.is_empty() && selector.is_none() {
            faults.forbidden(&path, "must not be specified when labelSelector is not set");
            continue;
        }
        for (index, key) in keys.iter().enumerate() {
            let key = key.as_str().unwrap_or("");
            faults.each(&path.index(index), key, name::qualified(key));
        }
    }
    let matched = meta::list(term, &["matchLabelKeys"]);
    if let Some(selector) = selector {
        // What was written into the selector for a key is there once; twice means that the sender asked for it, too.
        let known = label_selector::keys(selector);
        for (index, key) in matched.iter().enumerate() {
            let key = key.as_str().unwrap_or("");
            if known.iter().filter(|one| **one == key).count() > 1 {
                faults.invalid(
                    &path.index(index),
                    key,
                    "exists in both matchLabelKeys and labelSelector",
                );
            }
        }
    }
    let mismatched = meta::list(term, &["mismatchLabelKeys"]);
    let path_of_keys = path.child("matchLabelKeys");
    for (index, key) in matched.iter().enumerate().filter(|(_, key)| mismatched.contains(key)) {
        faults.invalid(
            &path_of_keys.index(index),
            key,
            "exists in both matchLabelKeys and mismatchLabelKeys",
        );
    }
    let topology = meta::text(term, &["topologyKey"]);
    let path = path.child("topologyKey");
    if topology.is_empty() {
        faults.required(&path, "can not be empty");
    }
    faults.each(&path, topology, name::qualified(topology));
}

/// `topologySpreadConstraints`.
pub(super) fn spread(faults: &mut Faults, path: &Path<'_>, constraints: &[Value]) {
    for (index, one) in constraints.iter().enumerate() {
        let path = path.index(index);
        let skew = meta::number(one, &["maxSkew"]).unwrap_or(0);
        if skew <= 0 {
            faults.invalid(&path.child("maxSkew"), &skew, "must be greater than zero");
        }
        let (topology, action) = (
            meta::text(one, &["topologyKey"]),
            meta::text(one, &["whenUnsatisfiable"]),
        );
        if topology.is_empty() {
            faults.required(&path.child("topologyKey"), "can not be empty");
        }
        if !matches!(action, "DoNotSchedule" | "ScheduleAnyway") {
            let path = path.child("whenUnsatisfiable");
            faults.unsupported(&path, action, &["DoNotSchedule", "ScheduleAnyway"]);
        }
        let is_repeated = constraints[index + 1..].iter().any(|other| {
            meta::text(other, &["topologyKey"]) == topology && meta::text(other, &["whenUnsatisfiable"]) == action
        });
        if is_repeated {
            let path = path.child("{topologyKey, whenUnsatisfiable}");
            faults.duplicate(&path, &format!("{{{topology}, {action}}}")[..]);
        }
        if let Some(domains) = meta::number(one, &["minDomains"]) {
            let path = path.child("minDomains");
            if domains <= 0 {
                faults.invalid(&path, &domains, "must be greater than zero");
            }
            if action != "DoNotSchedule" {
                let detail = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
                faults.invalid(&path, &domains, &detail);
            }
        }
        for policy in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            let value = meta::text(one, &[policy]);
            if !matches!(value, "" | "Honor" | "Ignore") {
                faults.unsupported(&path.child(policy), value, &["Honor", "Ignore"]);
            }
        }
        let selector = meta::at(one, &["labelSelector"]);
        let keys = meta::list(one, &["matchLabelKeys"]);
        let path_of_keys = path.child("matchLabelKeys");
        if !keys.is_empty() && selector.is_none() {
            faults.forbidden(&path_of_keys, "must not be specified when labelSelector is not set");
        }
        let known = selector.map(label_selector::keys).unwrap_or_default();
        for (index, key) in keys.iter().enumerate() {
            let key = key.as_str().unwrap_or("");
            let path = path_of_keys.index(index);
            faults.each(&path, key, name::qualified(key));
            if known.contains(&key) {
                faults.invalid(&path, key, "exists in both matchLabelKeys and labelSelector");
            }
        }
        label_selector::check(faults, &path.child("labelSelector"), selector);
    }
}
