//! Services that belong to the cluster itself: they select nothing, and somebody who knows keeps their endpoints.

use apiserver::Part;
use objects::{Kind, Reason, Status, meta};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::kinds::{ENDPOINT_SLICE, SERVICE};
use crate::world::{Change, Object};

/// The one key of a controller that looks after a Service, if a change was of the Service or of its slice of the same name.
pub(crate) fn keys(change: &Change, namespace: &str, name: &str) -> Vec<()> {
    match change.object() {
        Some(one) if meta::namespace(one) == namespace && meta::name(one) == name => vec![()],
        _ => Vec::new(),
    }
}

/// Makes a Service if it is not there. Whatever else became of it is left alone.
pub(crate) fn service(cluster: &Cluster, wanted: Value) -> Result<(), Status> {
    if find(cluster, SERVICE, &wanted).is_some() {
        return Ok(());
    }
    make(cluster, SERVICE, wanted)
}

/// Makes an EndpointSlice, or gives it its endpoints and ports back.
pub(crate) fn slice(cluster: &Cluster, wanted: Value) -> Result<(), Status> {
    let Some(slice) = find(cluster, ENDPOINT_SLICE, &wanted) else {
        return make(cluster, ENDPOINT_SLICE, wanted);
    };
    cluster.edit(ENDPOINT_SLICE, &slice, Part::Main, |found| {
        for key in ["endpoints", "ports"] {
            meta::set(found, &[key], wanted[key].clone());
        }
    })
}

fn find(cluster: &Cluster, kind: &'static Kind, wanted: &Value) -> Option<Object> {
    cluster.world.get(kind, meta::namespace(wanted), meta::name(wanted))
}

fn make(cluster: &Cluster, kind: &'static Kind, wanted: Value) -> Result<(), Status> {
    let namespace = meta::namespace(&wanted).to_owned();
    match cluster.create(kind, &namespace, wanted) {
        Err(status) if status.reason != Reason::AlreadyExists => Err(status),
        _ => Ok(()),
    }
}
