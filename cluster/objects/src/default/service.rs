//! Defaults of a service. Addresses, their families and node ports are not among them: somebody has to hand them out.

use serde_json::{Value, json};

use super::{as_map, each, fill, inner};
use crate::meta;

/// Seconds for which a client stays with its endpoint.
const STICKY: i64 = 10_800;

pub(super) fn apply(service: &mut Value) {
    let Some(spec) = inner(service, "spec") else { return };
    fill(as_map(spec), "type", "ClusterIP");
    fill(as_map(spec), "sessionAffinity", "None");
    match meta::text(spec, &["sessionAffinity"]) {
        "None" => {
            meta::remove(spec, &["sessionAffinityConfig"]);
        }
        "ClientIP" => {
            let client = meta::map_mut(spec, &["sessionAffinityConfig", "clientIP"]);
            fill(client, "timeoutSeconds", STICKY);
        }
        _ => {}
    }
    for port in each(spec, "ports") {
        let number = port.get("port").cloned();
        let map = as_map(port);
        fill(map, "protocol", "TCP");
        if map.get("targetPort") == Some(&json!(0)) {
            map.shift_remove("targetPort");
        }
        if let Some(number) = number {
            fill(map, "targetPort", number);
        }
    }
    let kind = meta::text(spec, &["type"]).to_owned();
    let has_external_addresses = !meta::list(spec, &["externalIPs"]).is_empty();
    let is_reached_from_outside =
        matches!(kind.as_str(), "NodePort" | "LoadBalancer") || (kind == "ClusterIP" && has_external_addresses);
    if is_reached_from_outside {
        fill(as_map(spec), "externalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        fill(as_map(spec), "allocateLoadBalancerNodePorts", true);
    }
    if matches!(kind.as_str(), "ClusterIP" | "NodePort" | "LoadBalancer") {
        fill(as_map(spec), "internalTrafficPolicy", "Cluster");
    }
}

/// A new Service has been given to no load balancer, and its only address is the first of its addresses.
pub(super) fn begin(service: &mut Value) {
    meta::set(service, &["status"], json!({"loadBalancer": {}}));
    let Some(spec) = inner(service, "spec") else { return };
    let map = as_map(spec);
    let address = map.get("clusterIP").and_then(Value::as_str).unwrap_or("").to_owned();
    if !address.is_empty() {
        fill(map, "clusterIPs", json!([address]));
    }
}
