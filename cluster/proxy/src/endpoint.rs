//! Backends, as EndpointSlices tell of them, and which of them a node sends connections to.

use std::collections::BTreeMap;
use std::net::IpAddr;

use netfilter::{Family, Protocol};
use objects::meta;
use serde_json::Value;

use crate::service::{number, protocol};

/// Label of a slice that names its Service.
const SERVICE: &str = "kubernetes.io/service-name";

/// Where a Service's port leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) ready: bool,
    /// It answers, though it may be about to end.
    pub(crate) serving: bool,
    pub(crate) terminating: bool,
    pub(crate) node: String,
    /// Zones, and nodes, whose clients are to come here; if there are none, anybody's.
    pub(crate) zones: Vec<String>,
    pub(crate) nodes: Vec<String>,
}

/// Backends by the name and protocol of the port that they serve.
pub(crate) type Endpoints = BTreeMap<(String, Protocol), Vec<Endpoint>>;

/// Namespace and name of the Service that a slice belongs to.
pub(crate) fn service_of(slice: &Value) -> Option<(String, String)> {
    let name = meta::label(slice, SERVICE)?;
    Some((meta::namespace(slice).to_owned(), name.to_owned()))
}

/// The backends of some slices that have addresses of a family. One that several slices tell of counts once.
pub(crate) fn read<'a>(slices: impl Iterator<Item = &'a Value>, family: Family) -> Endpoints {
    let mut all = Endpoints::new();
    let kind = family.to_string();
    for slice in slices.filter(|slice| meta::text(slice, &["addressType"]) == kind) {
        for port in meta::list(slice, &["ports"]) {
            let (Some(protocol), Some(number)) = (protocol(port), number(port, "port")) else {
                continue;
            };
            let name = meta::text(port, &["name"]).to_owned();
            let found = all.entry((name, protocol)).or_default();
            for endpoint in meta::list(slice, &["endpoints"]) {
                found.extend(Endpoint::read(endpoint, number));
            }
        }
    }
    for found in all.values_mut() {
        // Of two that tell of the same, that one is believed that says it is ready.
        found.sort_by_key(|one| (one.address, one.port, !one.ready));
        found.dedup_by_key(|one| (one.address, one.port));
    }
    all
}

impl Endpoint {
    fn read(object: &Value, port: u16) -> Option<Self> {
        let condition = |name: &str| meta::at(object, &["conditions", name]).and_then(Value::as_bool);
        let ready = condition("ready").unwrap_or(true);
        let hints = |field: &str| -> Vec<String> {
            let all = meta::list(object, &["hints", field]).iter();
            all.map(|one| meta::text(one, &["name"]).to_owned()).collect()
        };
        Some(Self {
            // All addresses of an endpoint are the same backend; the first is enough.
            address: meta::list(object, &["addresses"]).first()?.as_str()?.parse().ok()?,
            port,
            ready,
            serving: condition("serving").unwrap_or(ready),
            terminating: condition("terminating").unwrap_or(false),
            node: meta::text(object, &["nodeName"]).to_owned(),
            zones: hints("forZones"),
            nodes: hints("forNodes"),
        })
    }

    pub(crate) fn backend(&self) -> (IpAddr, u16) {
        (self.address, self.port)
    }
}

/// Those that get connections: the ready ones, or if there are none, those that still answer while they end. See
/// <https://github.com/kubernetes/enhancements/tree/master/keps/sig-network/1669-proxy-terminating-endpoints>.
pub(crate) fn serving(endpoints: &[Endpoint], chosen: impl Fn(&Endpoint) -> bool) -> Vec<&Endpoint> {
    let of = |wanted: &dyn Fn(&Endpoint) -> bool| -> Vec<&Endpoint> {
        endpoints.iter().filter(|one| chosen(one) && wanted(one)).collect()
    };
    let ready = of(&|one| one.ready);
    match ready.is_empty() {
        true => of(&|one| one.serving && one.terminating),
        false => ready,
    }
}

/// Those among them that hints say are this node's or this zone's, if all have hints and one is for us; else all. See
/// <https://kubernetes.io/docs/concepts/services-networking/topology-aware-routing/>.
pub(crate) fn near<'a>(endpoints: Vec<&'a Endpoint>, node: &str, zone: Option<&str>) -> Vec<&'a Endpoint> {
    let by = |hinted: &dyn Fn(&Endpoint) -> bool, ours: &dyn Fn(&Endpoint) -> bool| -> Option<Vec<&'a Endpoint>> {
        let near: Vec<_> = endpoints.iter().copied().filter(|one| ours(one)).collect();
        (endpoints.iter().all(|one| hinted(one)) && !near.is_empty()).then_some(near)
    };
    let of_node = by(&|one| !one.nodes.is_empty(), &|one| {
        one.nodes.iter().any(|name| name == node)
    });
    let of_zone = || {
        by(&|one| !one.zones.is_empty(), &|one| {
            one.zones.iter().any(|name| Some(name.as_str()) == zone)
        })
    };
    of_node.or_else(of_zone).unwrap_or(endpoints)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn endpoint(last: u8, ready: bool, serving: bool, terminating: bool) -> Endpoint {
        Endpoint {
            address: [10, 244, 1, last].into(),
            port: 80,
            ready,
            serving,
            terminating,
            node: "n".into(),
            zones: Vec::new(),
            nodes: Vec::new(),
        }
    }

    fn last(endpoint: &Endpoint) -> u8 {
        match endpoint.address {
            IpAddr::V4(address) => address.octets()[3],
            IpAddr::V6(address) => panic!("{address}"),
        }
    }

    fn lasts(endpoints: Vec<&Endpoint>) -> Vec<u8> {
        endpoints.into_iter().map(last).collect()
    }

    #[test]
    fn those_that_end_serve_only_when_no_other_is_ready() {
        let (ready, ending) = (endpoint(1, true, true, false), endpoint(2, false, true, true));
        let (starting, silent) = (endpoint(3, false, false, false), endpoint(4, false, false, true));
        let all = [ready, ending, starting, silent];
        assert_eq!(lasts(serving(&all, |_| true)), [1]);
        assert_eq!(lasts(serving(&all[1..], |_| true)), [2]);
        assert_eq!(lasts(serving(&all[2..], |_| true)), [] as [u8; 0]);
        assert_eq!(lasts(serving(&all, |one| last(one) != 1)), [2]);
    }

    #[test]
    fn hints_count_only_when_all_have_them_and_one_is_ours() {
        let mut all = [endpoint(1, true, true, false), endpoint(2, true, true, false)];
        all[0].zones = vec!["a".into()];
        let near_of = |all: &[Endpoint], zone| lasts(near(all.iter().collect(), "n", zone));
        assert_eq!(near_of(&all, Some("a")), [1, 2]);
        all[1].zones = vec!["b".into()];
        assert_eq!(near_of(&all, Some("a")), [1]);
        assert_eq!(near_of(&all, Some("c")), [1, 2]);
        assert_eq!(near_of(&all, None), [1, 2]);
        all[0].nodes = vec!["m".into()];
        all[1].nodes = vec!["n".into()];
        assert_eq!(near_of(&all, Some("a")), [2], "the node is nearer than the zone");
    }

    #[test]
    fn slices_are_put_together_by_port() {
        let slice = |port: i64, last: u8, ready: bool| {
            json!({
                "metadata": {"namespace": "a", "labels": {SERVICE: "web"}}, "addressType": "IPv4",
                "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
                "endpoints": [{"addresses": [format!("10.244.1.{last}")], "conditions": {"ready": ready}, "nodeName": "n"}],
            })
        };
        let slices = [slice(80, 1, true), slice(81, 2, false), slice(80, 1, false)];
        let read = |family| read(slices.iter(), family);
        assert!(read(Family::Ipv6).is_empty());
        let read = read(Family::Ipv4);
        let found = &read[&("http".to_owned(), Protocol::Tcp)];
        let found: Vec<_> = found.iter().map(|one| (one.port, one.ready, one.serving)).collect();
        assert_eq!(found, [(80, true, true), (81, false, false)]);
        assert_eq!(service_of(&slices[0]), Some(("a".into(), "web".into())));
    }
}
