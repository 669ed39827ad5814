//! The row of a service.

use serde_json::Value;

use super::{AGE, Column, NAME, SELECTOR, equalities, text};
use crate::meta;

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    ("Type", "string", "", 0, "How the service is reached."),
    ("Cluster-IP", "string", "", 0, "Its address inside the cluster."),
    ("External-IP", "string", "", 0, "Its addresses outside the cluster."),
    ("Port(s)", "string", "", 0, "Its ports, with those of the nodes."),
    AGE,
    SELECTOR,
];

pub(super) fn cells(service: &Value, age: Value) -> Vec<Value> {
    let first = meta::list(service, &["spec", "clusterIPs"]).first();
    let address = match first.and_then(Value::as_str) {
        Some(address) => address,
        None => meta::text(service, &["spec", "clusterIP"]),
    };
    vec![
        meta::name(service).into(),
        text(service, &["spec", "type"]),
        or_none(address.into()),
        external(service),
        or_none(ports(service)),
        age,
        equalities(meta::map(service, &["spec", "selector"])),
    ]
}

fn or_none(text: String) -> Value {
    if text.is_empty() { "<none>".into() } else { text.into() }
}

fn external(service: &Value) -> Value {
    let addresses: Vec<&str> = meta::list(service, &["spec", "externalIPs"])
        .iter()
        .filter_map(Value::as_str)
        .collect();
    match meta::text(service, &["spec", "type"]) {
        "ClusterIP" | "NodePort" => or_none(addresses.join(",")),
        "ExternalName" => text(service, &["spec", "externalName"]),
        "LoadBalancer" => {
            let ingress = meta::list(service, &["status", "loadBalancer", "ingress"]).iter();
            let mut all: Vec<&str> = ingress
                .map(|one| match meta::text(one, &["ip"]) {
                    "" => meta::text(one, &["hostname"]),
                    address => address,
                })
                .filter(|one| !one.is_empty())
                .collect();
            all.extend(addresses);
            match all.join(",") {
                none if none.is_empty() => "<pending>".into(),
                all => all.into(),
            }
        }
        _ => "<unknown>".into(),
    }
}

fn ports(service: &Value) -> String {
    let each = meta::list(service, &["spec", "ports"]).iter().map(|port| {
        let number = |key| meta::number(port, &[key]).unwrap_or(0);
        let protocol = meta::text(port, &["protocol"]);
        match number("nodePort") {
            0 => format!("{}/{protocol}", number("port")),
            node => format!("{}:{node}/{protocol}", number("port")),
        }
    });
    each.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::row;

    #[test]
    fn a_service_shows_where_it_is_reached() {
        let service = json!({"spec": {
            "type": "NodePort", "clusterIP": "10.96.0.9", "selector": {"b": "2", "a": "1"},
            "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}],
        }});
        assert_eq!(
            row("", "services", service),
            [
                "x",
                "NodePort",
                "10.96.0.9",
                "<none>",
                "80:30080/TCP,53/UDP",
                "5m",
                "a=1,b=2"
            ]
        );
        let service = json!({"spec": {"type": "LoadBalancer", "clusterIPs": ["None"]}});
        assert_eq!(row("", "services", service)[2..5], ["None", "<pending>", "<none>"]);
    }
}
