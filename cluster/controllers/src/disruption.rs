//! PodDisruptionBudgets: how many pods may be disrupted now. The API refuses evictions by it.
//!
//! See <https://kubernetes.io/docs/concepts/workloads/pods/disruptions/>.

mod plan;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use objects::{Kind, Status, meta};

use crate::cluster::Cluster;
use crate::fault::Faults;
use crate::key::{self, Key};
use crate::kinds::{DEPLOYMENT, POD, POD_DISRUPTION_BUDGET, REPLICA_SET};
use crate::reconcile::Reconcile;
use crate::world::{Change, Object, World};
use crate::{owner, replica_set};
use plan::Scale;

pub(crate) struct DisruptionBudgets {
    pub(crate) faults: Faults,
}

impl Reconcile for DisruptionBudgets {
    type Key = Key;

    const NAME: &'static str = "disruption-controller";

    fn kinds(&self) -> Vec<&'static Kind> {
        vec![POD_DISRUPTION_BUDGET, POD, REPLICA_SET, DEPLOYMENT]
    }

    fn keys(&mut self, world: &World, change: &Change) -> Vec<Key> {
        let Some(object) = change.object() else {
            return Vec::new();
        };
        if change.kind == POD_DISRUPTION_BUDGET {
            return vec![key::of(object)];
        }
        let replicas = |one: &Option<Object>| one.as_ref().and_then(|one| meta::number(one, &["spec", "replicas"]));
        if change.kind != POD && replicas(&change.old) == replicas(&change.new) {
            return Vec::new();
        }
        let budgets = world.list(POD_DISRUPTION_BUDGET, Some(meta::namespace(object)));
        let concerned = |budget: &&Object| {
            change.kind != POD || {
                let selector = owner::selector(budget);
                change.both().any(|pod| selector.matches_object(pod))
            }
        };
        budgets.iter().filter(concerned).map(|one| key::of(one)).collect()
    }

    fn reconcile(&mut self, cluster: &Cluster, key: &Key, now: SystemTime) -> Result<Option<Duration>, Status> {
        let Some(budget) = cluster.world.get(POD_DISRUPTION_BUDGET, &key.0, &key.1) else {
            return Ok(None);
        };
        let selector = owner::selector(&budget);
        let mut pods = cluster.world.list(POD, Some(&key.0));
        pods.retain(|pod| selector.matches_object(pod));
        // Pods that nothing makes anew are not expected to be there.
        let scales: BTreeMap<String, Scale> = pods
            .iter()
            .filter_map(|pod| scale(&cluster.world, pod))
            .map(|scale| (scale.uid.clone(), scale))
            .collect();
        let scales: Vec<Scale> = scales.into_values().collect();
        let (status, again) = plan::status(&budget, &pods, &scales, &self.faults, now);
        // The API writes evictions into the same status: none of them may be lost.
        cluster.replace_status(POD_DISRUPTION_BUDGET, &budget, &status)?;
        Ok(again)
    }
}

/// How many pods whoever made this one is to have.
fn scale(world: &World, pod: &Object) -> Option<Scale> {
    let reference = meta::controller(pod)?;
    let set = world.by_uid(REPLICA_SET, meta::text(reference, &["uid"]))?;
    let top = match replica_set::manager(&set) {
        Some(name) => world.get(DEPLOYMENT, meta::namespace(&set), name).unwrap_or(set),
        None => set,
    };
    Some(Scale {
        uid: meta::uid(&top).to_owned(),
        replicas: meta::number(&top, &["spec", "replicas"]).unwrap_or(1),
    })
}
