//! A node with pods, and a machine outside.

use std::net::Ipv4Addr;
use std::sync::Arc;

use netfilter::{Family, Netfilter};
use proxy::{Config, Subnet, Tables};
use serde_json::{Value, json};

use crate::room::{self, Room, connect};

pub(crate) const NODE: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 1);
pub(crate) const OUTSIDE: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 254);

pub(crate) struct Lab {
    pub(crate) node: Room,
    pub(crate) outside: Room,
    pub(crate) pods: Vec<Room>,
    pub(crate) tables: Tables,
}

/// The address of a pod by its place.
pub(crate) fn pod(place: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 244, 1, 2 + u8::try_from(place).unwrap())
}

pub(crate) fn config(faults: &[&str]) -> Config {
    let subnet = |base: [u8; 4], prefix| Subnet {
        base: base.into(),
        prefix,
    };
    Config {
        node: "one".into(),
        zone: None,
        family: Family::Ipv4,
        addresses: vec![NODE.into()],
        pods: vec![subnet([10, 244, 1, 0], 24)],
        direct: vec![subnet([10, 244, 0, 0], 16), subnet([172, 30, 0, 0], 24)],
        services: subnet([10, 96, 0, 0], 16),
        faults: faults.iter().map(|one| (*one).to_owned()).collect(),
    }
}

impl Lab {
    /// `None`, and why, where there cannot be one.
    pub(crate) fn new(pods: usize, faults: &[&str]) -> Option<Self> {
        if !room::is_possible() {
            return None;
        }
        let (node, outside) = (Room::new(), Room::new());
        node.forward();
        node.join("e0", &outside);
        node.ip(&format!("address add {NODE}/24 dev e0"));
        node.ip(&format!("route add default via {OUTSIDE}"));
        outside.ip(&format!("address add {OUTSIDE}/24 dev eth0"));
        outside.ip(&format!("route add 10.0.0.0/8 via {NODE}"));
        outside.ip("address add 198.51.100.1/32 dev lo");
        let pods = (0..pods).map(|place| connect(&node, place, pod(place))).collect();
        let socket = node.run(|| Netfilter::open().unwrap());
        Some(Self {
            node,
            outside,
            pods,
            tables: Tables::new(config(faults), socket),
        })
    }

    /// Writes a Service with these backends, and whatever else there is.
    pub(crate) fn put(&mut self, name: &str, spec: Value, backends: &[(usize, u16)]) {
        self.tables.put_service(service(name, spec).into());
        self.endpoints(name, backends);
    }

    /// Other backends for a Service: pods by place, and their port.
    pub(crate) fn endpoints(&mut self, name: &str, backends: &[(usize, u16)]) {
        let addresses: Vec<_> = backends.iter().map(|(place, _)| pod(*place)).collect();
        let port = backends.first().map_or(8080, |(_, port)| *port);
        self.tables.put_slice(slice(name, &addresses, port, "one"), None);
        self.tables.sync().unwrap();
    }
}

pub(crate) fn service(name: &str, spec: Value) -> Value {
    json!({"metadata": {"name": name, "namespace": "a"}, "spec": spec})
}

/// Backends of a port without a name, by TCP and UDP.
pub(crate) fn slice(service: &str, addresses: &[Ipv4Addr], port: u16, node: &str) -> Arc<Value> {
    let endpoint = |address: &Ipv4Addr| json!({"addresses": [address.to_string()], "nodeName": node});
    Arc::new(json!({
        "metadata": {"name": service, "namespace": "a", "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "ports": [{"port": port, "protocol": "TCP"}, {"port": port, "protocol": "UDP"}],
        "endpoints": addresses.iter().map(endpoint).collect::<Vec<_>>(),
    }))
}
