//! The Service `kubernetes` in `default`, by which pods find the API.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use objects::{Kind, Status};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::kinds::{ENDPOINT_SLICE, SERVICE};
use crate::reconcile::Reconcile;
use crate::standing;
use crate::world::{Change, World};

const NAMESPACE: &str = "default";
const NAME: &str = "kubernetes";
/// The first address of the range.
const ADDRESS: &str = "10.96.0.1";

pub(crate) struct KubernetesService {
    /// Where the API is to be had.
    pub(crate) server: Option<SocketAddr>,
}

impl Reconcile for KubernetesService {
    type Key = ();

    const NAME: &'static str = "kubernetes-service-controller";

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
        standing::service(cluster, service(self.server))?;
        // Elsewhere than here, a loopback address is another machine's, or none.
        let Some(server) = self.server.filter(|server| !server.ip().is_loopback()) else {
            return Ok(None);
        };
        standing::slice(cluster, slice(server))?;
        Ok(None)
    }
}

fn service(server: Option<SocketAddr>) -> Value {
    let port = server.map_or(6443, |server| server.port());
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {
            "type": "ClusterIP", "clusterIP": ADDRESS, "clusterIPs": [ADDRESS], "sessionAffinity": "None",
            "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": port}],
        },
    })
}

fn slice(server: SocketAddr) -> Value {
    let family = if server.is_ipv4() { "IPv4" } else { "IPv6" };
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {"kubernetes.io/service-name": NAME}},
        "addressType": family,
        "endpoints": [{"addresses": [server.ip().to_string()], "conditions": {"ready": true}}],
        "ports": [{"name": "https", "protocol": "TCP", "port": server.port()}],
    })
}
