//! Deployment: moves pods from one template to the next, and back.
//!
//! See <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/>.

mod bounds;
mod plan;
mod progress;
mod rolling;
mod scale;
mod sets;

use std::time::{Duration, SystemTime};

use apiserver::{DeleteOptions, Part};
use objects::{Kind, Reason, Status, meta};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::fault::Faults;
use crate::key::{self, Key};
use crate::kinds::{DEPLOYMENT, POD, REPLICA_SET};
use crate::owner::{self, Claim};
use crate::reconcile::Reconcile;
use crate::replica_set;
use crate::world::{Change, Object, World};

pub(crate) struct Deployments {
    pub(crate) faults: Faults,
}

impl Reconcile for Deployments {
    type Key = Key;

    const NAME: &'static str = "deployment-controller";

    fn kinds(&self) -> Vec<&'static Kind> {
        vec![DEPLOYMENT, REPLICA_SET, POD]
    }

    fn keys(&mut self, world: &World, change: &Change) -> Vec<Key> {
        if change.kind == DEPLOYMENT {
            return change.object().map(|one| key::of(one)).into_iter().collect();
        }
        if change.kind == REPLICA_SET {
            return key::of_managers(world, change, DEPLOYMENT);
        }
        // Pods matter only where all old ones must be gone before the first new one.
        let over = |pod: &Object| crate::pod::has_ended(pod);
        if change.new.as_ref().is_some_and(|pod| !over(pod)) {
            return Vec::new();
        }
        recreated_by(world, change).into_iter().collect()
    }

    fn reconcile(&mut self, cluster: &Cluster, key: &Key, now: SystemTime) -> Result<Option<Duration>, Status> {
        let Some(deployment) = cluster.world.get(DEPLOYMENT, &key.0, &key.1) else {
            return Ok(None);
        };
        claim(cluster, &deployment)?;
        let mut sets = cluster.world.owned(REPLICA_SET, meta::uid(&deployment));
        sets.retain(|set| meta::is_controlled_by(set, &deployment));
        let of_set = |set: &Object| cluster.world.owned(POD, meta::uid(set));
        let pods: Vec<Object> = match is_recreated(&deployment) {
            true => sets.iter().flat_map(of_set).collect(),
            false => Vec::new(),
        };
        let observed = plan::Observed {
            deployment: &deployment,
            sets: &sets.iter().map(AsRef::as_ref).collect::<Vec<&Value>>(),
            pods: &pods.iter().map(AsRef::as_ref).collect::<Vec<&Value>>(),
        };
        let plan = plan::plan(&observed, &self.faults, now);
        let again = plan.again;
        act(cluster, &deployment, &sets, plan)?;
        Ok(again)
    }
}

fn is_recreated(deployment: &Value) -> bool {
    meta::text(deployment, &["spec", "strategy", "type"]) == "Recreate"
}

/// The Deployment that waits for the end of a pod.
fn recreated_by(world: &World, change: &Change) -> Option<Key> {
    let pod = change.object()?;
    let set = meta::controller(pod).filter(|owner| meta::text(owner, &["kind"]) == REPLICA_SET.kind)?;
    let set = world.get(REPLICA_SET, meta::namespace(pod), meta::text(set, &["name"]))?;
    let name = replica_set::manager(&set)?;
    let deployment = world.get(DEPLOYMENT, meta::namespace(pod), name)?;
    is_recreated(&deployment).then(|| key::of(&deployment))
}

fn claim(cluster: &Cluster, deployment: &Object) -> Result<(), Status> {
    let selector = owner::selector(deployment);
    let owned = cluster.world.owned(REPLICA_SET, meta::uid(deployment));
    let orphans = cluster.world.unmanaged(REPLICA_SET, meta::namespace(deployment));
    for set in owned.iter().chain(&orphans) {
        match owner::claim(deployment, &selector, set) {
            Claim::Adopt => cluster.edit(REPLICA_SET, set, Part::Main, |set| {
                if meta::controller(set).is_none() {
                    owner::adopt(DEPLOYMENT, deployment, set);
                }
            })?,
            Claim::Release => {
                cluster.edit(REPLICA_SET, set, Part::Main, |set| {
                    owner::disown(set, meta::uid(deployment));
                })?;
            }
            Claim::Owned | Claim::Foreign => {}
        }
    }
    Ok(())
}

fn act(cluster: &Cluster, deployment: &Object, sets: &[Object], plan: plan::Plan) -> Result<(), Status> {
    let named = |name: &str| sets.iter().find(|set| meta::name(set) == name);
    if let Some(set) = plan.create {
        make(cluster, deployment, set)?;
    }
    for changed in &plan.update {
        let Some(set) = named(meta::name(changed)) else {
            continue;
        };
        cluster.edit(REPLICA_SET, set, Part::Main, |set| {
            for path in [
                &["spec", "replicas"],
                &["spec", "minReadySeconds"],
                &["metadata", "annotations"],
            ] {
                if let Some(value) = meta::at(changed, path) {
                    meta::set(set, path, value.clone());
                }
            }
        })?;
    }
    for text in &plan.scaled {
        cluster.tell(deployment, "ScalingReplicaSet", text);
    }
    for set in plan.delete.iter().filter_map(|name| named(name)) {
        cluster.delete(REPLICA_SET, set, DeleteOptions::default())?;
    }
    if let Some(revision) = &plan.revision {
        cluster.edit(DEPLOYMENT, deployment, Part::Main, |found| {
            meta::set_annotation(found, sets::REVISION, revision);
        })?;
    }
    cluster.set_status(DEPLOYMENT, deployment, &plan.status)
}

/// Makes the newest set. If its name is taken by another, the next hash is another one.
fn make(cluster: &Cluster, deployment: &Object, set: Value) -> Result<(), Status> {
    match cluster.create(REPLICA_SET, meta::namespace(deployment), set.clone()) {
        Err(status) if status.reason == Reason::AlreadyExists => {
            let taken = cluster.ask(REPLICA_SET, meta::namespace(deployment), meta::name(&set))?;
            if taken.is_some_and(|one| !meta::is_controlled_by(&one, deployment)) {
                cluster.edit(DEPLOYMENT, deployment, Part::Status, |found| {
                    let count = meta::number(found, &["status", "collisionCount"]).unwrap_or_default();
                    meta::set(found, &["status", "collisionCount"], count + 1);
                })?;
            }
            Err(status)
        }
        Err(status) => {
            let message = format!(
                "Failed to create new replica set \"{}\": {}",
                meta::name(&set),
                status.message
            );
            cluster.warn(deployment, "ReplicaSetCreateError", &message);
            Err(status)
        }
        Ok(_) => Ok(()),
    }
}
