//! EndpointSlices: which pods serve a Service, and whether they are ready to.
//!
//! See <https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/>.

mod plan;

use std::time::{Duration, SystemTime};

use apiserver::{DeleteOptions, Part};
use objects::selector::Labels;
use objects::{Kind, Status, meta};
use plan::Plan;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::fault::{Act, Faults};
use crate::key::{self, Key};
use crate::kinds::{ENDPOINT_SLICE, NODE, POD, SERVICE};
use crate::pod;
use crate::reconcile::Reconcile;
use crate::world::{Change, Object, World};

const ZONE: &str = "topology.kubernetes.io/zone";

pub(crate) struct EndpointSlices {
    pub(crate) faults: Faults,
}

impl Reconcile for EndpointSlices {
    type Key = Key;

    const NAME: &'static str = "endpoint-slice-controller";

    fn kinds(&self) -> Vec<&'static Kind> {
        vec![SERVICE, POD, ENDPOINT_SLICE]
    }

    fn keys(&mut self, world: &World, change: &Change) -> Vec<Key> {
        let Some(object) = change.object() else {
            return Vec::new();
        };
        match change.kind {
            kind if kind == SERVICE => vec![key::of(object)],
            kind if kind == ENDPOINT_SLICE => {
                let ours = meta::label(object, plan::MANAGED_BY) == Some(plan::US);
                let service = meta::label(object, plan::SERVICE_NAME).filter(|_| ours);
                let keys = service.map(|name| (meta::namespace(object).to_owned(), name.to_owned()));
                keys.into_iter().collect()
            }
            _ if !matters(change) => Vec::new(),
            _ => {
                let services = world.list(SERVICE, Some(meta::namespace(object)));
                let serves = |service: &&Object| {
                    selector(service).is_some_and(|selector| change.both().any(|pod| selector.matches_object(pod)))
                };
                services.iter().filter(serves).map(|one| key::of(one)).collect()
            }
        }
    }

    fn reconcile(&mut self, cluster: &Cluster, key: &Key, _: SystemTime) -> Result<Option<Duration>, Status> {
        let (namespace, name) = key;
        if self.faults.has(Act::EndpointsOff) {
            return Ok(None);
        }
        let mut slices = cluster.world.list(ENDPOINT_SLICE, Some(namespace));
        slices.retain(|slice| {
            meta::label(slice, plan::SERVICE_NAME) == Some(name)
                && meta::label(slice, plan::MANAGED_BY) == Some(plan::US)
                && !meta::is_deleting(slice)
        });
        let service = cluster.world.get(SERVICE, namespace, name);
        let selector = service
            .as_ref()
            .filter(|one| !meta::is_deleting(one))
            .and_then(|one| selector(one));
        let (Some(service), Some(selector)) = (service, selector) else {
            // Without a selector, slices are the business of who made the Service; those of one that is gone go.
            return slices
                .iter()
                .try_for_each(|slice| cluster.delete(ENDPOINT_SLICE, slice, DeleteOptions::default()))
                .map(|()| None);
        };
        let mut pods = cluster.world.list(POD, Some(namespace));
        pods.retain(|pod| selector.matches_object(pod));
        let zone = |node: &str| -> Option<String> {
            let node = cluster.world.get(NODE, "", node)?;
            meta::label(&node, ZONE).map(str::to_owned)
        };
        let unready_too = self.faults.has(Act::EndpointsKeepUnready);
        let mut families = plan::families(&service);
        if self.faults.has(Act::EndpointsOfOneFamily) {
            families.truncate(1);
        }
        let family_of = |slice: &Value| meta::text(slice, &["addressType"]).to_owned();
        for family in &families {
            let known: Vec<&Object> = slices.iter().filter(|slice| family_of(slice) == *family).collect();
            let wanted = plan::wanted(&service, family, &pods, unready_too, &zone);
            write(cluster, namespace, plan::plan(&service, family, wanted, &known))?;
        }
        // Of a family that it has no more.
        slices
            .iter()
            .filter(|slice| !families.contains(&family_of(slice).as_str()))
            .try_for_each(|slice| cluster.delete(ENDPOINT_SLICE, slice, DeleteOptions::default()))?;
        Ok(None)
    }
}

fn write(cluster: &Cluster, namespace: &str, plan: Plan) -> Result<(), Status> {
    for slice in plan.create {
        cluster.create(ENDPOINT_SLICE, namespace, slice)?;
    }
    for (slice, changed) in plan.update {
        cluster.edit(ENDPOINT_SLICE, &slice, Part::Main, |found| {
            for path in [&["endpoints"][..], &["ports"], &["metadata", "labels"]] {
                meta::set(found, path, meta::at(&changed, path).cloned());
            }
        })?;
    }
    for slice in plan.delete {
        cluster.delete(ENDPOINT_SLICE, &slice, DeleteOptions::default())?;
    }
    Ok(())
}

/// What a Service selects; nothing where it selects nothing by itself.
fn selector(service: &Value) -> Option<Labels> {
    if meta::text(service, &["spec", "type"]) == "ExternalName" {
        return None;
    }
    let map = meta::map(service, &["spec", "selector"])?;
    Some(Labels::of_map(Some(map)))
}

/// Whether what an endpoint says of a pod is another thing now.
fn matters(change: &Change) -> bool {
    let (Some(old), Some(new)) = (&change.old, &change.new) else {
        return true;
    };
    let seen = |one: &Value| {
        (
            pod::is_ready(one),
            pod::has_ended(one),
            meta::is_deleting(one),
            pod::node(one).to_owned(),
            meta::text(one, &["status", "podIP"]).to_owned(),
            meta::list(one, &["status", "podIPs"]).to_vec(),
            meta::labels(one).cloned(),
        )
    };
    seen(old) != seen(new)
}
