//! The records of a pod: `1-2-3-4.NAMESPACE.pod`.
//!
//! The specification has them as deprecated (section 2.6), CoreDNS has them still. As its mode `pods verified` we say
//! them of addresses that pods have.

use std::net::IpAddr;

use objects::meta;
use serde_json::Value;

use crate::zone::{Entry, below, of_address};

/// What is to be found of a pod.
pub(crate) fn entries(pod: &Value) -> Vec<Entry> {
    // The address of one that has ended may be another's by now.
    if matches!(meta::text(pod, &["status", "phase"]), "Succeeded" | "Failed") {
        return Vec::new();
    }
    let namespace = meta::namespace(pod);
    let mut addresses: Vec<&str> = meta::list(pod, &["status", "podIPs"])
        .iter()
        .map(|one| meta::text(one, &["ip"]))
        .collect();
    if addresses.is_empty() {
        addresses.push(meta::text(pod, &["status", "podIP"]));
    }
    let entry = |text: &str| {
        let address: IpAddr = text.parse().ok()?;
        let name = below(&format!("{}.{namespace}.pod", dashed(address)))?;
        Some(Entry {
            name,
            data: of_address(address),
        })
    };
    addresses.into_iter().filter_map(entry).collect()
}

/// An address as a label.
pub(crate) fn dashed(address: IpAddr) -> String {
    address.to_string().replace(['.', ':'], "-")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(status: Value) -> Vec<String> {
        let pod = json!({"metadata": {"name": "p", "namespace": "shop"}, "status": status});
        let each = entries(&pod).into_iter();
        each.map(|entry| format!("{} {}", entry.name, entry.data)).collect()
    }

    #[test]
    fn a_pod_is_found_by_its_address_as_long_as_it_has_it() {
        assert_eq!(
            found(json!({"podIP": "10.244.1.2", "podIPs": [{"ip": "10.244.1.2"}, {"ip": "fd00::1"}]})),
            [
                "10-244-1-2.shop.pod.cluster.local. 10.244.1.2",
                "fd00--1.shop.pod.cluster.local. fd00::1"
            ]
        );
        assert_eq!(found(json!({"podIP": "10.244.1.2"})).len(), 1);
        assert!(found(json!({"podIP": "10.244.1.2", "phase": "Failed"})).is_empty());
        assert!(found(json!({})).is_empty());
    }
}
