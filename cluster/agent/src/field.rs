//! The downward API: what a pod may be told of itself.

use objects::quantity::Quantity;
use objects::{meta, requests};
use serde_json::Value;

/// What only the node knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) node: &'a str,
    /// All of them, the first one first, with commas between.
    pub(crate) host_ips: &'a str,
    pub(crate) pod_ips: &'a str,
    /// Allocatable millicores: the limit of a container that has none.
    pub(crate) cpu: i64,
    /// Allocatable bytes.
    pub(crate) memory: i64,
}

/// The value behind a `fieldPath`.
pub(crate) fn of_pod(pod: &Value, path: &str, facts: &Facts<'_>) -> Option<String> {
    if let Some((map, key)) = path.strip_suffix("']").and_then(|path| path.split_once("['")) {
        let found = match map {
            "metadata.labels" => meta::label(pod, key),
            "metadata.annotations" => meta::annotation(pod, key),
            _ => return None,
        };
        return Some(found.unwrap_or_default().to_owned());
    }
    let text = match path {
        "metadata.name" => meta::name(pod),
        "metadata.namespace" => meta::namespace(pod),
        "metadata.uid" => meta::uid(pod),
        "metadata.labels" => return Some(lines(meta::labels(pod))),
        "metadata.annotations" => return Some(lines(meta::annotations(pod))),
        "spec.nodeName" => facts.node,
        "spec.serviceAccountName" => meta::text(pod, &["spec", "serviceAccountName"]),
        "status.hostIP" => first(facts.host_ips),
        "status.hostIPs" => facts.host_ips,
        "status.podIP" => first(facts.pod_ips),
        "status.podIPs" => facts.pod_ips,
        _ => return None,
    };
    Some(text.to_owned())
}

fn first(addresses: &str) -> &str {
    addresses.split_once(',').map_or(addresses, |(first, _)| first)
}

/// `key="value"` lines, sorted, as the files of a downward volume show maps.
fn lines(map: Option<&serde_json::Map<String, Value>>) -> String {
    let mut all: Vec<String> = map
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={:?}", value.as_str().unwrap_or_default()))
        .collect();
    all.sort();
    all.join("\n")
}

/// The value behind a `resourceFieldRef`. A limit that is not set is what the node has to give.
pub(crate) fn of_resources(pod: &Value, container: &Value, reference: &Value, facts: &Facts<'_>) -> Option<String> {
    let named = meta::text(reference, &["containerName"]);
    let container = if named.is_empty() {
        container
    } else {
        let mut all = ["containers", "initContainers"]
            .into_iter()
            .flat_map(|key| meta::list(pod, &["spec", key]));
        all.find(|one| meta::text(one, &["name"]) == named)?
    };
    let (side, resource) = meta::text(reference, &["resource"]).split_once('.')?;
    let amounts = requests::of_container(container, side);
    let divisor = reference.get("divisor").and_then(Quantity::of);
    let (milli, own_divisor) = match (amounts.get(resource), resource) {
        (Some(amount), "cpu") => (i128::from(amount.milli()), 1000),
        (Some(amount), _) => (i128::from(amount.value()) * 1000, 1000),
        (None, "cpu") if side == "limits" => (i128::from(facts.cpu), 1000),
        (None, "memory") if side == "limits" => (i128::from(facts.memory) * 1000, 1000),
        (None, _) => (0, 1000),
    };
    let divisor = divisor
        .map(|d| i128::from(d.milli()))
        .filter(|d| *d > 0)
        .unwrap_or(own_divisor);
    // Rounded up, as a whole number.
    Some(((milli + divisor - 1) / divisor).to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FACTS: Facts<'static> = Facts {
        node: "n1",
        host_ips: "172.30.0.1",
        pod_ips: "10.244.1.2,fd00:10:244:1::2",
        cpu: 4000,
        memory: 1 << 30,
    };

    #[test]
    fn fields_of_the_pod_are_told() {
        let pod = json!({"metadata": {"name": "a", "labels": {"b": "2", "a": "1\"x"}}, "spec": {}});
        assert_eq!(of_pod(&pod, "metadata.labels['a']", &FACTS).as_deref(), Some("1\"x"));
        assert_eq!(of_pod(&pod, "metadata.labels['z']", &FACTS).as_deref(), Some(""));
        assert_eq!(
            of_pod(&pod, "metadata.labels", &FACTS).as_deref(),
            Some("a=\"1\\\"x\"\nb=\"2\"")
        );
        assert_eq!(of_pod(&pod, "status.podIP", &FACTS).as_deref(), Some("10.244.1.2"));
        let both = Some("10.244.1.2,fd00:10:244:1::2");
        assert_eq!(of_pod(&pod, "status.podIPs", &FACTS).as_deref(), both);
        assert_eq!(of_pod(&pod, "spec.containers", &FACTS), None);
    }

    #[test]
    fn a_limit_that_is_not_set_is_what_the_node_has() {
        let container = json!({"name": "c", "resources": {"limits": {"cpu": "1500m"}, "requests": {"memory": "64Mi"}}});
        let ask = |resource: &str, divisor: &str| {
            of_resources(
                &json!({}),
                &container,
                &json!({"resource": resource, "divisor": divisor}),
                &FACTS,
            )
        };
        assert_eq!(ask("limits.cpu", "0").as_deref(), Some("2"), "rounded up");
        assert_eq!(ask("limits.cpu", "1m").as_deref(), Some("1500"));
        assert_eq!(ask("limits.memory", "1Mi").as_deref(), Some("1024"));
        assert_eq!(ask("requests.memory", "1Ki").as_deref(), Some("65536"));
    }
}
