//! The endpoints of a service.

use record::packets::EndpointSeen;
use record::{Seen, Verdict};
use serde_json::Value;
use spec::check::EndpointsCheck;

use super::super::{evidence::Evidence, matcher::Unit};

pub(in crate::judge) fn judge(want: &EndpointsCheck, seen: &Seen) -> Option<Verdict> {
    let Seen::Endpoints { list, source, .. } = seen else {
        return None;
    };
    let addresses = |of: fn(&EndpointSeen) -> bool| -> Value {
        let fitting = list.iter().filter(|endpoint| of(endpoint));
        fitting.map(|endpoint| endpoint.address.as_str()).collect()
    };
    let ready = list.iter().filter(|endpoint| endpoint.ready);
    let mut nodes: Vec<&str> = ready.filter_map(|endpoint| endpoint.node.as_deref()).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let mut ports: Vec<&str> = list
        .iter()
        .flat_map(|endpoint| &endpoint.ports)
        .map(String::as_str)
        .collect();
    ports.sort_unstable();
    ports.dedup();
    let mut evidence = Evidence::default();
    for (what, want, value) in [
        ("ready endpoints", &want.ready, addresses(|endpoint| endpoint.ready)),
        (
            "endpoints not ready",
            &want.not_ready,
            addresses(|endpoint| !endpoint.ready),
        ),
        (
            "terminating endpoints",
            &want.terminating,
            addresses(|endpoint| endpoint.terminating),
        ),
        ("nodes of ready endpoints", &want.nodes, Value::from(nodes)),
        ("ports", &want.ports, Value::from(ports)),
    ] {
        if let Some(want) = want {
            evidence.compare(what, want, Some(&value), Unit::Plain, source);
        }
    }
    Some(evidence.verdict())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_list_is_compared() {
        let endpoint = |address: &str, ready, terminating| EndpointSeen {
            address: address.into(),
            ready,
            terminating,
            node: Some("a".into()),
            ports: vec!["http:8080/TCP".into()],
        };
        let seen = Seen::Endpoints {
            list: vec![endpoint("10.244.0.2", true, false), endpoint("10.244.0.3", false, true)],
            references: [].into(),
            source: "GET".into(),
        };
        for (want, holds) in [
            (
                json!({"ready": {"exactly": ["10.244.0.2"]}, "nodes": {"exactly": ["a"]}}),
                true,
            ),
            (json!({"ready": {"count": 2}}), false),
            (
                json!({"notReady": {"count": 1}, "terminating": {"contains": "10.244.0.3"}}),
                true,
            ),
            (json!({"ports": {"exactly": ["http:8080/TCP"]}}), true),
            (json!({"ports": {"contains": "8080/TCP"}}), false),
        ] {
            let verdict = judge(&serde_json::from_value(want.clone()).unwrap(), &seen).unwrap();
            assert_eq!(matches!(verdict, Verdict::Pass { .. }), holds, "{want} {verdict:?}");
        }
    }
}
