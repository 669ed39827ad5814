//! ReplicaSet: as many pods as asked for.
//!
//! See <https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/>.

mod plan;
mod rank;

use std::time::{Duration, SystemTime};

use apiserver::{DeleteOptions, Part};
use objects::{Kind, Status, meta};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::fault::{Act, Faults};
use crate::key::{self, Key};
use crate::kinds::{DEPLOYMENT, POD, REPLICA_SET};
use crate::owner::{self, Claim};
use crate::pod;
use crate::reconcile::Reconcile;
use crate::world::{Change, Object, World};
use plan::Failure;

pub(crate) struct ReplicaSets {
    pub(crate) faults: Faults,
}

impl Reconcile for ReplicaSets {
    type Key = Key;

    const NAME: &'static str = "replicaset-controller";

    fn kinds(&self) -> Vec<&'static Kind> {
        vec![REPLICA_SET, POD]
    }

    fn keys(&mut self, world: &World, change: &Change) -> Vec<Key> {
        if change.kind == REPLICA_SET {
            return change.object().map(|set| key::of(set)).into_iter().collect();
        }
        key::of_managers(world, change, REPLICA_SET)
    }

    fn reconcile(&mut self, cluster: &Cluster, key: &Key, now: SystemTime) -> Result<Option<Duration>, Status> {
        let Some(set) = cluster.world.get(REPLICA_SET, &key.0, &key.1) else {
            return Ok(None);
        };
        self.claim(cluster, &set)?;
        let pods = active(cluster, &set);
        let siblings = siblings(cluster, &set);
        let plan = plan::plan(&set, &views(&pods), &views(&siblings), &self.faults, now);
        let failure = act(cluster, &set, &pods, &plan);
        let failure = failure.as_ref();
        let pods = active(cluster, &set);
        let told = failure.map(|(failure, _)| failure);
        let (status, again) = plan::status(&set, &views(&pods), told, now);
        cluster.set_status(REPLICA_SET, &set, &status)?;
        match failure {
            Some((_, status)) if !is_namespace_ending(status) => Err(status.clone()),
            _ => Ok(again),
        }
    }
}

impl ReplicaSets {
    fn claim(&self, cluster: &Cluster, set: &Object) -> Result<(), Status> {
        let selector = match self.faults.has(Act::SelectorIgnoredOnAdoption) {
            true => objects::selector::Labels::nothing(),
            false => owner::selector(set),
        };
        let owned = cluster.world.owned(POD, meta::uid(set));
        let orphans = cluster.world.unmanaged(POD, meta::namespace(set));
        for found in owned.iter().chain(&orphans) {
            match owner::claim(set, &selector, found) {
                Claim::Adopt if pod::is_active(found) => {
                    cluster.edit(POD, found, Part::Main, |pod| {
                        if meta::controller(pod).is_none() {
                            owner::adopt(REPLICA_SET, set, pod);
                        }
                    })?;
                }
                Claim::Release if !self.faults.has(Act::SelectorIgnoredOnAdoption) => {
                    cluster.edit(POD, found, Part::Main, |pod| owner::disown(pod, meta::uid(set)))?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn views(objects: &[Object]) -> Vec<&Value> {
    objects.iter().map(AsRef::as_ref).collect()
}

fn active(cluster: &Cluster, set: &Value) -> Vec<Object> {
    let mut pods = cluster.world.owned(POD, meta::uid(set));
    pods.retain(|found| pod::is_active(found) && meta::is_controlled_by(found, set));
    pods
}

/// The active pods of all sets that have the same manager.
fn siblings(cluster: &Cluster, set: &Value) -> Vec<Object> {
    let Some(manager) = meta::controller(set) else {
        return active(cluster, set);
    };
    let sets = cluster.world.owned(REPLICA_SET, meta::text(manager, &["uid"]));
    sets.iter().flat_map(|set| active(cluster, set)).collect()
}

/// Makes and deletes. What failed is told, with what the API said.
fn act(cluster: &Cluster, set: &Object, pods: &[Object], plan: &plan::Plan) -> Option<(Failure, Status)> {
    let mut failure = None;
    let mut left = plan.create;
    let mut batch = 1;
    // One, two, four …: if the first is refused, the others are not even tried.
    while left > 0 && failure.is_none() {
        for _ in 0..batch.min(left) {
            match cluster.create(POD, meta::namespace(set), plan::pod(set)) {
                Ok(pod) => {
                    cluster.tell(set, "SuccessfulCreate", &format!("Created pod: {}", meta::name(&pod)));
                }
                Err(status) => failure = Some((Failure::creating(&status), status)),
            }
        }
        left -= batch.min(left);
        batch *= 2;
    }
    if let Some((failure, status)) = &failure
        && !is_namespace_ending(status)
    {
        cluster.warn(set, failure.reason, &failure.message);
    }
    for victim in pods
        .iter()
        .filter(|pod| plan.delete.iter().any(|name| name == meta::name(pod)))
    {
        match cluster.delete(POD, victim, DeleteOptions::default()) {
            Ok(()) => cluster.tell(set, "SuccessfulDelete", &format!("Deleted pod: {}", meta::name(victim))),
            Err(status) => {
                let found = Failure::deleting(&status);
                cluster.warn(set, found.reason, &found.message);
                failure = Some((found, status));
            }
        }
    }
    failure
}

/// Nothing is made in a namespace that ends; that is no failure to be tried again.
fn is_namespace_ending(status: &Status) -> bool {
    let details = status.details.iter();
    details
        .flat_map(|all| &all.causes)
        .any(|cause| cause.reason == "NamespaceTerminating")
}

/// A Deployment, for its name in keys.
pub(crate) fn manager(set: &Value) -> Option<&str> {
    let owner = meta::controller(set)?;
    (meta::text(owner, &["kind"]) == DEPLOYMENT.kind).then(|| meta::text(owner, &["name"]))
}
