//! Endpoint slices.

use std::net::IpAddr;

use serde_json::Value;

use super::{
    address, container,
    faults::{Faults, Path},
};
use crate::{meta, name};

const ENDPOINTS: usize = 1000;
const ADDRESSES: usize = 100;
const PORTS: usize = 100;

pub(super) fn check(faults: &mut Faults, slice: &Value) {
    let kind = meta::text(slice, &["addressType"]);
    faults.word(&Path::of("addressType"), kind, &["FQDN", "IPv4", "IPv6"]);
    endpoints(faults, slice, kind);
    ports(faults, slice);
}

fn endpoints(faults: &mut Faults, slice: &Value, kind: &str) {
    let path = Path::of("endpoints");
    let endpoints = meta::list(slice, &["endpoints"]);
    if endpoints.len() > ENDPOINTS {
        return faults.too_many(&path, endpoints.len(), ENDPOINTS);
    }
    for (index, endpoint) in endpoints.iter().enumerate() {
        let path = path.index(index);
        let addresses = meta::list(endpoint, &["addresses"]);
        let path_of_all = path.child("addresses");
        match addresses.len() {
            0 => faults.required(&path_of_all, "must contain at least 1 address"),
            count if count > ADDRESSES => faults.too_many(&path_of_all, count, ADDRESSES),
            _ => {}
        }
        for (index, address) in addresses.iter().enumerate() {
            of_kind(faults, &path_of_all.index(index), kind, address.as_str().unwrap_or(""));
        }
        let host = meta::text(endpoint, &["hostname"]);
        if !host.is_empty() {
            faults.each(&path.child("hostname"), host, name::dns1123_label(host));
        }
        let node = meta::text(endpoint, &["nodeName"]);
        if !node.is_empty() {
            faults.each(&path.child("nodeName"), node, name::dns1123_subdomain(node));
        }
    }
}

fn of_kind(faults: &mut Faults, path: &Path<'_>, kind: &str, address: &str) {
    let known = address.parse::<IpAddr>();
    match kind {
        "IPv4" | "IPv6" => {
            let is_good = known.is_ok_and(|known| known.is_ipv4() == (kind == "IPv4"));
            if !is_good {
                faults.invalid(path, address, &format!("must be a valid {kind} address"));
            }
            address::ordinary(faults, path, address);
        }
        "FQDN" => {
            let host = address.strip_suffix('.').unwrap_or(address);
            if host.is_empty() {
                return faults.required(path, "");
            }
            let sentences = name::dns1123_subdomain(host);
            if sentences.is_empty() && !host.contains('.') {
                let detail = "should be a domain with at least two segments separated by dots";
                return faults.invalid(path, address, detail);
            }
            faults.each(path, address, sentences);
        }
        _ => {}
    }
}

fn ports(faults: &mut Faults, slice: &Value) {
    let path = Path::of("ports");
    let ports = meta::list(slice, &["ports"]);
    if ports.len() > PORTS {
        return faults.too_many(&path, ports.len(), PORTS);
    }
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        let own = meta::text(port, &["name"]);
        if !own.is_empty() {
            faults.each(&path.child("name"), own, name::dns1123_label(own));
        }
        if ports[..index].iter().any(|one| meta::text(one, &["name"]) == own) {
            faults.duplicate(&path.child("name"), own);
        }
        let protocol = meta::text(port, &["protocol"]);
        faults.word(&path.child("protocol"), protocol, &container::PROTOCOLS);
        let application = meta::text(port, &["appProtocol"]);
        if !application.is_empty() {
            faults.each(&path.child("appProtocol"), application, name::qualified(application));
        }
    }
}

pub(super) fn update(faults: &mut Faults, old: &Value, new: &Value) {
    let key = "addressType";
    faults.immutable(&Path::of(key), meta::at(old, &[key]), meta::at(new, &[key]));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{told, updated};

    const KIND: (&str, &str) = ("discovery.k8s.io", "endpointslices");

    #[test]
    fn addresses_are_of_the_slices_kind() {
        let slice = |kind: &str, address: &str| json!({"addressType": kind, "endpoints": [{"addresses": [address]}]});
        let told = |object| told(KIND.0, KIND.1, object);
        assert_eq!(told(slice("IPv4", "10.0.0.1")), [""; 0]);
        assert_eq!(told(slice("FQDN", "a.b.")), [""; 0]);
        assert_eq!(
            told(slice("IPv4", "::2")),
            ["endpoints[0].addresses[0]: Invalid value: \"::2\": must be a valid IPv4 address"]
        );
        assert_eq!(
            told(slice("IPv4", "127.0.0.1")),
            [
                "endpoints[0].addresses[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)"
            ]
        );
        assert_eq!(
            told(json!({"endpoints": [{"addresses": []}]})),
            [
                "addressType: Required value",
                "endpoints[0].addresses: Required value: must contain at least 1 address"
            ]
        );
    }

    #[test]
    fn the_kind_of_addresses_stays() {
        assert_eq!(
            updated(
                KIND.0,
                KIND.1,
                json!({"addressType": "IPv4"}),
                json!({"addressType": "IPv6"})
            ),
            ["addressType: Invalid value: \"IPv6\": field is immutable"]
        );
    }
}
