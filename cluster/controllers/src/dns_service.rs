//! The Service `kube-dns` in `kube-system`, by which pods find the names of the cluster.
//!
//! Its address is one that every node has for itself, with a server behind it: its endpoint is that address again. A proxy
//! that sends packets for the Service to its endpoint leaves them where they are.

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use objects::{Kind, Status, meta};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::kinds::{ENDPOINT_SLICE, SERVICE};
use crate::reconcile::Reconcile;
use crate::standing;
use crate::world::{Change, World};

const NAMESPACE: &str = "kube-system";
const NAME: &str = "kube-dns";
const PORT: u16 = 53;

pub(crate) struct DnsService {
    /// Where the nodes' servers are. Without one there is no Service.
    pub(crate) address: Option<Ipv4Addr>,
}

impl Reconcile for DnsService {
    type Key = ();

    const NAME: &'static str = "dns-service-controller";

    fn kinds(&self) -> Vec<&'static Kind> {
        vec![SERVICE, ENDPOINT_SLICE]
    }

    fn keys(&mut self, _: &World, change: &Change) -> Vec<()> {
        standing::keys(change, NAMESPACE, NAME)
    }

    fn first(&self) -> Vec<()> {
        vec![()]
    }

    fn reconcile(&mut self, cluster: &Cluster, (): &(), _: SystemTime) -> Result<Option<Duration>, Status> {
        if let Some(address) = self.address {
            standing::service(cluster, service(address))?;
            standing::slice(cluster, slice(address))?;
        }
        Ok(None)
    }
}

fn service(address: Ipv4Addr) -> Value {
    let address = address.to_string();
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {
            "k8s-app": NAME, "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS",
        }},
        "spec": {
            "type": "ClusterIP", "clusterIP": address, "clusterIPs": [address], "sessionAffinity": "None",
            "ports": ports(|port| json!({"targetPort": port})),
        },
    })
}

fn slice(address: Ipv4Addr) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {"kubernetes.io/service-name": NAME}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address.to_string()], "conditions": {"ready": true}}],
        "ports": ports(|_| json!({})),
    })
}

/// By both protocols, each with `more`.
fn ports(more: impl Fn(u16) -> Value) -> Vec<Value> {
    let port = |(name, protocol): (&str, &str)| {
        let mut port = more(PORT);
        for (key, value) in [
            ("name", json!(name)),
            ("protocol", json!(protocol)),
            ("port", json!(PORT)),
        ] {
            meta::set(&mut port, &[key], value);
        }
        port
    };
    [("dns", "UDP"), ("dns-tcp", "TCP")].map(port).to_vec()
}
