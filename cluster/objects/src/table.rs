//! What `kubectl get` shows: clients ask the server for a table and print it as it comes.
//!
//! See <https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables>.

mod endpoint_slice;
mod event;
mod network_policy;
mod node;
mod pod;
mod quota;
mod service;
mod workload;

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::{Kind, meta, time};

/// Name, type, format and priority; those of priority 1 are for `-o wide`. Then what the column says.
type Column = (&'static str, &'static str, &'static str, u8, &'static str);

const NAME: Column = (
    "Name",
    "string",
    "name",
    0,
    "Name of the object, unique in its namespace.",
);
const AGE: Column = ("Age", "string", "", 0, "Time since the object was made.");
const CONTAINERS: Column = (
    "Containers",
    "string",
    "",
    1,
    "Names of the containers in the template.",
);
const IMAGES: Column = ("Images", "string", "", 1, "Images of the containers in the template.");
const SELECTOR: Column = ("Selector", "string", "", 1, "Labels by which pods are found.");

/// Columns of a kind, as `TableColumnDefinition` objects.
pub fn columns(kind: &Kind) -> Vec<Value> {
    let object = |(name, column_type, format, priority, description): &Column| {
        json!({
            "name": name, "type": column_type, "format": format, "description": description, "priority": priority,
        })
    };
    layout(kind).iter().map(object).collect()
}

/// What stands in the row of an object: one cell for each column.
pub fn cells(kind: &Kind, object: &Value, now: SystemTime) -> Vec<Value> {
    let name = meta::name(object);
    let age = since(meta::creation_timestamp(object), now);
    match kind.kind {
        "ConfigMap" => {
            let size = size(object, &["data"]) + size(object, &["binaryData"]);
            vec![name.into(), size.into(), age]
        }
        "Deployment" => workload::deployment(object, age),
        "EndpointSlice" => endpoint_slice::cells(object, age),
        "Event" => event::cells(object, now),
        "Lease" => vec![name.into(), text(object, &["spec", "holderIdentity"]), age],
        "Namespace" => vec![name.into(), text(object, &["status", "phase"]), age],
        "NetworkPolicy" => network_policy::cells(object, age),
        "Node" => node::cells(object, age),
        "Pod" => pod::cells(object, now),
        "PodDisruptionBudget" => vec![
            name.into(),
            number_or_share(meta::at(object, &["spec", "minAvailable"])),
            number_or_share(meta::at(object, &["spec", "maxUnavailable"])),
            count(object, &["status", "disruptionsAllowed"]),
            age,
        ],
        "PriorityClass" => vec![
            name.into(),
            count(object, &["value"]),
            meta::flag(object, &["globalDefault"]).into(),
            age,
            text(object, &["preemptionPolicy"]),
        ],
        "ReplicaSet" => workload::replica_set(object, age),
        "ResourceQuota" => quota::cells(object, age),
        "RuntimeClass" => vec![name.into(), text(object, &["handler"]), age],
        "Secret" => vec![
            name.into(),
            text(object, &["type"]),
            size(object, &["data"]).into(),
            age,
        ],
        "Service" => service::cells(object, age),
        "ServiceAccount" => vec![name.into(), meta::list(object, &["secrets"]).len().into(), age],
        _ => vec![
            name.into(),
            meta::creation_timestamp(object).unwrap_or("<unknown>").into(),
        ],
    }
}

/// `conditions` of a row: whether the object has run to its end.
pub fn row_conditions(kind: &Kind, object: &Value) -> Option<Value> {
    let phase = meta::text(object, &["status", "phase"]);
    let message = match phase {
        "Succeeded" => "The pod has completed successfully.",
        "Failed" => "The pod failed.",
        _ => return None,
    };
    (kind.kind == "Pod").then(|| json!([{"type": "Completed", "status": "True", "reason": phase, "message": message}]))
}

fn layout(kind: &Kind) -> &'static [Column] {
    match kind.kind {
        "ConfigMap" => &[NAME, ("Data", "string", "", 0, "Number of its entries."), AGE],
        "Deployment" => workload::DEPLOYMENT,
        "EndpointSlice" => endpoint_slice::COLUMNS,
        "Event" => event::COLUMNS,
        "Lease" => &[NAME, ("Holder", "string", "", 0, "Who holds the lease."), AGE],
        "Namespace" => &[
            NAME,
            ("Status", "string", "", 0, "Whether it is in use or on its way out."),
            AGE,
        ],
        "NetworkPolicy" => network_policy::COLUMNS,
        "Node" => node::COLUMNS,
        "Pod" => pod::COLUMNS,
        "PodDisruptionBudget" => &[
            NAME,
            ("Min Available", "string", "", 0, "Pods that must stay available."),
            ("Max Unavailable", "string", "", 0, "Pods that may be unavailable."),
            ("Allowed Disruptions", "integer", "", 0, "Pods that may be evicted now."),
            AGE,
        ],
        "PriorityClass" => &[
            NAME,
            ("Value", "integer", "", 0, "Priority of pods of this class."),
            (
                "Global-Default",
                "boolean",
                "",
                0,
                "Whether pods that name no class are of this one.",
            ),
            AGE,
            (
                "PreemptionPolicy",
                "string",
                "",
                0,
                "Whether pods of this class push others out.",
            ),
        ],
        "ReplicaSet" => workload::REPLICA_SET,
        "ResourceQuota" => quota::COLUMNS,
        "RuntimeClass" => &[
            NAME,
            ("Handler", "string", "", 0, "Which runtime of the node is meant."),
            AGE,
        ],
        "Secret" => &[
            NAME,
            ("Type", "string", "", 0, "What its data are for."),
            ("Data", "string", "", 0, "Number of its entries."),
            AGE,
        ],
        "Service" => service::COLUMNS,
        "ServiceAccount" => &[
            NAME,
            ("Secrets", "string", "", 0, "Number of secrets that its pods may mount."),
            AGE,
        ],
        _ => &[NAME, ("Created At", "date", "", 0, "When the object was made.")],
    }
}

/// Time since a point in time, as far as that is known.
fn since(point: Option<&str>, now: SystemTime) -> Value {
    let Some(point) = point.and_then(time::parse) else {
        return "<unknown>".into();
    };
    match now.duration_since(point) {
        Ok(span) => time::human(span).into(),
        Err(ahead) if ahead.duration() < Duration::from_secs(2) => "0s".into(),
        Err(_) => "<invalid>".into(),
    }
}

fn text(object: &Value, path: &[&str]) -> Value {
    meta::text(object, path).into()
}

fn text_or(object: &Value, path: &[&str], other: &str) -> Value {
    match meta::text(object, path) {
        "" => other.into(),
        text => text.into(),
    }
}

fn count(object: &Value, path: &[&str]) -> Value {
    meta::number(object, path).unwrap_or(0).into()
}

fn size(object: &Value, path: &[&str]) -> usize {
    meta::map(object, path).map_or(0, serde_json::Map::len)
}

fn number_or_share(value: Option<&Value>) -> Value {
    match value {
        Some(Value::String(share)) => share.as_str().into(),
        Some(number) => number.to_string().into(),
        None => "N/A".into(),
    }
}

/// Up to three things, and how many more there are.
fn first_three(each: Vec<String>) -> Value {
    let shown = each.iter().take(3).cloned().collect::<Vec<_>>().join(",");
    match each.len() {
        0 => "<unset>".into(),
        1..=3 => shown.into(),
        all => format!("{shown} + {} more...", all - 3).into(),
    }
}

/// Labels as `a=b,c=d`, in order.
fn equalities(labels: Option<&serde_json::Map<String, Value>>) -> Value {
    let mut each: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or("")))
        .collect();
    each.sort_unstable();
    match each.join(",") {
        none if none.is_empty() => "<none>".into(),
        all => all.into(),
    }
}

/// A label selector in one line: its requirements in the order of their keys.
fn selector(selector: Option<&Value>) -> String {
    let none = Value::Null;
    let selector = selector.unwrap_or(&none);
    let mut each: Vec<(&str, String)> = Vec::new();
    let labels = meta::map(selector, &["matchLabels"]);
    for (key, value) in labels.into_iter().flatten() {
        each.push((key, format!("{key}={}", value.as_str().unwrap_or(""))));
    }
    for one in meta::list(selector, &["matchExpressions"]) {
        let key = meta::text(one, &["key"]);
        let mut values: Vec<&str> = meta::list(one, &["values"]).iter().filter_map(Value::as_str).collect();
        values.sort_unstable();
        let values = values.join(",");
        let text = match meta::text(one, &["operator"]) {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.into(),
        };
        each.push((key, text));
    }
    each.sort_by_key(|(key, _)| *key);
    let each: Vec<String> = each.into_iter().map(|(_, text)| text).collect();
    each.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind;

    pub(super) fn row(group: &str, plural: &str, mut object: Value) -> Vec<String> {
        let kind = kind::find(group, "v1", plural).expect("served");
        let now = time::parse("2026-01-02T00:00:00Z").expect("a time");
        meta::set(&mut object, &["metadata", "name"], "x");
        meta::set(&mut object, &["metadata", "creationTimestamp"], "2026-01-01T23:55:00Z");
        let cells = cells(kind, &object, now);
        assert_eq!(cells.len(), columns(kind).len(), "a cell for each column");
        let text = |cell: Value| cell.as_str().map_or_else(|| cell.to_string(), String::from);
        cells.into_iter().map(text).collect()
    }

    #[test]
    fn every_kind_has_a_cell_for_each_column() {
        for kind in kind::KINDS.iter().filter(|kind| kind.stored) {
            let empty = cells(kind, &json!({}), SystemTime::UNIX_EPOCH);
            assert_eq!(empty.len(), columns(kind).len(), "{}", kind.kind);
        }
    }

    #[test]
    fn small_kinds_show_their_few_facts() {
        assert_eq!(
            row("", "configmaps", json!({"data": {"a": "1"}, "binaryData": {"b": ""}})),
            ["x", "2", "5m"]
        );
        assert_eq!(
            row("", "secrets", json!({"type": "Opaque"})),
            ["x", "Opaque", "0", "5m"]
        );
        assert_eq!(row("", "limitranges", json!({})), ["x", "2026-01-01T23:55:00Z"]);
        assert_eq!(
            row(
                "policy",
                "poddisruptionbudgets",
                json!({"spec": {"maxUnavailable": "30%"}, "status": {"disruptionsAllowed": 2}})
            ),
            ["x", "N/A", "30%", "2", "5m"]
        );
        assert_eq!(
            row(
                "scheduling.k8s.io",
                "priorityclasses",
                json!({"value": -5, "preemptionPolicy": "Never"})
            ),
            ["x", "-5", "false", "5m", "Never"]
        );
    }
}
