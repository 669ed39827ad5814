//! The row of an endpoint slice.

use serde_json::Value;

use super::{AGE, Column, NAME, first_three, text};
use crate::meta;

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    ("AddressType", "string", "", 0, "Kind of its addresses."),
    ("Ports", "string", "", 0, "Ports of its endpoints."),
    ("Endpoints", "string", "", 0, "Addresses of its endpoints."),
    AGE,
];

pub(super) fn cells(slice: &Value, age: Value) -> Vec<Value> {
    let ports = meta::list(slice, &["ports"])
        .iter()
        .map(|port| match meta::number(port, &["port"]) {
            Some(number) => number.to_string(),
            None => match meta::text(port, &["name"]) {
                "" => "*".into(),
                name => name.into(),
            },
        });
    let addresses = meta::list(slice, &["endpoints"])
        .iter()
        .flat_map(|endpoint| meta::list(endpoint, &["addresses"]))
        .map(|address| address.as_str().unwrap_or("").into());
    vec![
        meta::name(slice).into(),
        text(slice, &["addressType"]),
        first_three(ports.collect()),
        first_three(addresses.collect()),
        age,
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::row;

    #[test]
    fn a_slice_shows_three_endpoints_and_how_many_more() {
        let slice = json!({
            "addressType": "IPv4", "ports": [{"port": 80}],
            "endpoints": [{"addresses": ["10.0.0.1", "10.0.0.2"]}, {"addresses": ["10.0.0.3"]}, {"addresses": ["10.0.0.4"]}],
        });
        assert_eq!(
            row("discovery.k8s.io", "endpointslices", slice),
            ["x", "IPv4", "80", "10.0.0.1,10.0.0.2,10.0.0.3 + 1 more...", "5m"]
        );
        let empty = row("discovery.k8s.io", "endpointslices", json!({}));
        assert_eq!(empty[2..4], ["<unset>", "<unset>"]);
    }
}
