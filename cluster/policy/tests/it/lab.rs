//! A node with two pods, a pod of another node, and a machine outside.

use std::net::Ipv4Addr;
use std::sync::Arc;

use netfilter::{Family, Netfilter};
use policy::{Config, Tables};
use serde_json::{Value, json};

use crate::room::{self, Room, connect};

pub(crate) const NODE: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 1);
pub(crate) const NAMES: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
pub(crate) const WEB: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 2);
pub(crate) const DB: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 3);
pub(crate) const FAR: Ipv4Addr = Ipv4Addr::new(10, 244, 2, 2);
pub(crate) const WORLD: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);

pub(crate) struct Lab {
    pub(crate) node: Room,
    pub(crate) web: Room,
    pub(crate) db: Room,
    pub(crate) far: Room,
    pub(crate) world: Room,
    pub(crate) tables: Tables,
}

pub(crate) fn config(faults: &[&str]) -> Config {
    Config {
        node: "one".into(),
        family: Family::Ipv4,
        name_server: Some(NAMES.into()),
        faults: faults.iter().map(|one| (*one).to_owned()).collect(),
    }
}

/// A pod that runs, with a label `app` and a port `http`.
pub(crate) fn pod(namespace: &str, name: &str, address: Ipv4Addr, node: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "labels": {"app": name}},
        "spec": {"nodeName": node, "containers": [
            {"name": "c", "image": "i", "ports": [{"name": "http", "containerPort": 80, "protocol": "TCP"}]}]},
        "status": {"phase": "Running", "podIP": address.to_string()},
    })
}

pub(crate) fn policy(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"namespace": "shop", "name": name}, "spec": spec,
    })
}

/// Nobody may reach these pods, nor they anybody.
pub(crate) fn deny(app: &str) -> Value {
    json!({"podSelector": {"matchLabels": {"app": app}}, "policyTypes": ["Ingress", "Egress"]})
}

impl Lab {
    /// `None`, and why, where there cannot be one. Everybody listens on 80 and 81 by TCP, and on 53 by UDP.
    pub(crate) fn new(faults: &[&str]) -> Option<Self> {
        if !room::is_possible() {
            return None;
        }
        let node = Room::new();
        node.forward();
        for address in [NODE, NAMES] {
            node.ip(&format!("address add {address}/32 dev lo"));
        }
        let [web, db, far, world] =
            [(0, WEB), (1, DB), (2, FAR), (3, WORLD)].map(|(place, address)| connect(&node, place, address));
        for (room, name) in [
            (&node, "node"),
            (&web, "web"),
            (&db, "db"),
            (&far, "far"),
            (&world, "world"),
        ] {
            room.serve(name, 80);
            room.serve(name, 81);
            room.answer(name, 53);
        }
        let socket = node.run(|| Netfilter::open().unwrap());
        let mut tables = Tables::new(&config(faults), socket);
        for namespace in ["shop", "bank", "kube-system"] {
            let labels = json!({"kubernetes.io/metadata.name": namespace});
            tables.put_namespace(&Arc::new(json!({"metadata": {"name": namespace, "labels": labels}})));
        }
        tables.put_pod(&pod("shop", "web", WEB, "one").into());
        tables.put_pod(&pod("shop", "db", DB, "one").into());
        tables.put_pod(&pod("bank", "far", FAR, "two").into());
        Some(Self {
            node,
            web,
            db,
            far,
            world,
            tables,
        })
    }

    /// These policies, and no others.
    pub(crate) fn only(&mut self, policies: &[Value]) {
        for number in 0..4 {
            self.tables
                .remove_policy(&policy(&format!("p{number}"), json!({})).into());
        }
        for (number, spec) in policies.iter().enumerate() {
            self.tables
                .put_policy(&policy(&format!("p{number}"), spec.clone()).into());
        }
        self.tables.sync().unwrap();
    }
}
