//! Network policies.

use std::net::IpAddr;

use serde_json::Value;

use super::{
    address,
    faults::{Faults, Path},
    label_selector, probe,
};
use crate::{meta, name};

const SPEC: Path<'_> = Path::of("spec");
const TYPES: [&str; 2] = ["Ingress", "Egress"];
/// In Kubernetes' order of this kind, which is not that of others.
const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];

pub(super) fn check(faults: &mut Faults, policy: &Value) {
    label_selector::check(
        faults,
        &SPEC.child("podSelector"),
        meta::at(policy, &["spec", "podSelector"]),
    );
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        let path = SPEC.child(direction);
        for (index, rule) in meta::list(policy, &["spec", direction]).iter().enumerate() {
            let path = path.index(index);
            let of_ports = path.child("ports");
            for (index, one) in meta::list(rule, &["ports"]).iter().enumerate() {
                port(faults, &of_ports.index(index), one);
            }
            let of_peers = path.child(peers);
            for (index, one) in meta::list(rule, &[peers]).iter().enumerate() {
                peer(faults, &of_peers.index(index), one);
            }
        }
    }
    types(faults, meta::list(policy, &["spec", "policyTypes"]));
}

fn port(faults: &mut Faults, path: &Path<'_>, port: &Value) {
    let protocol = meta::text(port, &["protocol"]);
    if !PROTOCOLS.contains(&protocol) {
        faults.unsupported(&path.child("protocol"), protocol, &PROTOCOLS);
    }
    let end_path = path.child("endPort");
    let (first, end) = (meta::at(port, &["port"]), meta::number(port, &["endPort"]));
    match (first, end) {
        (None, Some(end)) => faults.invalid(&end_path, &end, "may not be specified when `port` is not specified"),
        (Some(Value::String(_)), Some(end)) => {
            faults.invalid(&end_path, &end, "may not be specified when `port` is non-numeric");
        }
        _ => {}
    }
    if first.is_none() {
        return;
    }
    probe::port(faults, &path.child("port"), first);
    if let (Some(first), Some(end)) = (first.and_then(Value::as_i64), end) {
        if end < first {
            faults.invalid(&end_path, &end, "must be greater than or equal to `port`");
        }
        for sentence in name::port_number(end) {
            faults.invalid(&end_path, &end, &sentence);
        }
    }
}

fn peer(faults: &mut Faults, path: &Path<'_>, peer: &Value) {
    let selectors = ["podSelector", "namespaceSelector"].map(|key| (key, peer.get(key)));
    for (key, selector) in selectors {
        label_selector::check(faults, &path.child(key), selector);
    }
    let is_selected = selectors.iter().any(|(_, selector)| selector.is_some());
    match peer.get("ipBlock") {
        Some(block) => {
            ip_block(faults, &path.child("ipBlock"), block);
            if is_selected {
                faults.forbidden(path, "may not specify both ipBlock and another peer");
            }
        }
        None if !is_selected => faults.required(path, "must specify a peer"),
        None => {}
    }
}

fn ip_block(faults: &mut Faults, path: &Path<'_>, block: &Value) {
    let cidr = meta::text(block, &["cidr"]);
    let path_of_cidr = path.child("cidr");
    if cidr.is_empty() {
        return faults.required(&path_of_cidr, "");
    }
    let Some(whole) = address::range(faults, &path_of_cidr, cidr) else {
        return;
    };
    let excepts = path.child("except");
    for (index, except) in meta::list(block, &["except"]).iter().enumerate() {
        let (path, except) = (excepts.index(index), except.as_str().unwrap_or(""));
        let known = address::range(faults, &path, except);
        if known.is_some_and(|known| !is_strictly_within(known, whole)) {
            faults.invalid(&path, except, "must be a strict subset of `cidr`");
        }
    }
}

/// Whether a range is a part of another, and smaller.
fn is_strictly_within(part: (IpAddr, u8), whole: (IpAddr, u8)) -> bool {
    let (length, differs) = match (part.0, whole.0) {
        (IpAddr::V4(part), IpAddr::V4(whole)) => (32, u128::from(u32::from(part) ^ u32::from(whole))),
        (IpAddr::V6(part), IpAddr::V6(whole)) => (128, u128::from(part) ^ u128::from(whole)),
        _ => return false,
    };
    let beyond = differs.checked_shr(length - u32::from(whole.1)).unwrap_or(0);
    beyond == 0 && part.1 > whole.1
}

fn types(faults: &mut Faults, types: &[Value]) {
    let path = SPEC.child("policyTypes");
    if types.len() > TYPES.len() {
        let all = Value::from(types);
        return faults.invalid(&path, &all, "may not specify more than two policyTypes");
    }
    for (index, one) in types.iter().filter_map(Value::as_str).enumerate() {
        if !TYPES.contains(&one) {
            faults.unsupported(&path.index(index), one, &TYPES);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::told;
    use super::*;

    fn faults(spec: Value) -> Vec<String> {
        told("networking.k8s.io", "networkpolicies", json!({"spec": spec}))
    }

    fn ports(ports: Value) -> Vec<String> {
        faults(json!({"ingress": [{"ports": ports}]}))
    }

    fn blocks(cidr: &str, except: &[&str]) -> Vec<String> {
        faults(json!({"egress": [{"to": [{"ipBlock": {"cidr": cidr, "except": except}}]}]}))
    }

    #[test]
    fn ports_are_numbers_with_an_end_or_names_without() {
        let good = json!([{"port": 80, "endPort": 80}, {"port": "http"}, {"protocol": "SCTP"}, {}]);
        assert_eq!(ports(good), [""; 0]);
        let bad = json!([
            {"port": 80, "endPort": 79}, {"port": "http", "endPort": 1}, {"endPort": 5}, {"port": 0},
            {"port": 1, "endPort": 65536}, {"protocol": "ICMP"}, {"port": "a--b"},
        ]);
        assert_eq!(
            ports(bad),
            [
                "spec.ingress[0].ports[0].endPort: Invalid value: 79: must be greater than or equal to `port`",
                "spec.ingress[0].ports[1].endPort: Invalid value: 1: may not be specified when `port` is non-numeric",
                "spec.ingress[0].ports[2].endPort: Invalid value: 5: may not be specified when `port` is not specified",
                "spec.ingress[0].ports[3].port: Invalid value: 0: must be between 1 and 65535, inclusive",
                "spec.ingress[0].ports[4].endPort: Invalid value: 65536: must be between 1 and 65535, inclusive",
                "spec.ingress[0].ports[5].protocol: Unsupported value: \"ICMP\": supported values: \"TCP\", \"UDP\", \"SCTP\"",
                "spec.ingress[0].ports[6].port: Invalid value: \"a--b\": must not contain consecutive hyphens",
            ]
        );
    }

    #[test]
    fn a_peer_is_pods_or_addresses() {
        let peers = |peers: Value| faults(json!({"ingress": [{"from": peers}]}));
        assert_eq!(
            peers(json!([{"podSelector": {}}, {"namespaceSelector": {}, "podSelector": {}}])),
            [""; 0]
        );
        assert_eq!(
            peers(json!([{}, {"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}}, {"ipBlock": {"cidr": ""}}])),
            [
                "spec.ingress[0].from[0]: Required value: must specify a peer",
                "spec.ingress[0].from[1]: Forbidden: may not specify both ipBlock and another peer",
                "spec.ingress[0].from[2].ipBlock.cidr: Required value",
            ]
        );
        assert_eq!(
            peers(json!([{"podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}])),
            [
                "spec.ingress[0].from[0].podSelector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"
            ]
        );
    }

    #[test]
    fn an_exception_is_a_part_of_its_block() {
        assert_eq!(blocks("10.0.0.0/8", &["10.1.0.0/16", "10.255.255.255/32"]), [""; 0]);
        assert_eq!(blocks("0.0.0.0/0", &["10.0.0.0/8"]), [""; 0]);
        assert_eq!(blocks("2001:db8::/32", &["2001:db8:1::/48"]), [""; 0]);
        let subset = "must be a strict subset of `cidr`";
        assert_eq!(
            blocks("10.0.0.0/8", &["11.0.0.0/16", "10.0.0.0/8", "2001:db8::/32", "x"]),
            [
                format!("spec.egress[0].to[0].ipBlock.except[0]: Invalid value: \"11.0.0.0/16\": {subset}"),
                format!("spec.egress[0].to[0].ipBlock.except[1]: Invalid value: \"10.0.0.0/8\": {subset}"),
                format!("spec.egress[0].to[0].ipBlock.except[2]: Invalid value: \"2001:db8::/32\": {subset}"),
                "spec.egress[0].to[0].ipBlock.except[3]: Invalid value: \"x\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)".to_owned(),
            ]
        );
    }

    #[test]
    fn a_policy_is_about_ingress_and_egress() {
        assert_eq!(faults(json!({"policyTypes": ["Egress"]})), [""; 0]);
        assert_eq!(
            faults(json!({"policyTypes": ["ingress"]})),
            ["spec.policyTypes[0]: Unsupported value: \"ingress\": supported values: \"Ingress\", \"Egress\""]
        );
        assert_eq!(
            faults(json!({"policyTypes": ["Egress", "Ingress", "Egress"]})),
            [
                "spec.policyTypes: Invalid value: [\"Egress\",\"Ingress\",\"Egress\"]: may not specify more than two policyTypes"
            ]
        );
    }
}
