//! The PriorityClasses that every cluster has.

use std::time::{Duration, SystemTime};

use objects::{Kind, Reason, Status};
use serde_json::json;

use crate::cluster::Cluster;
use crate::kinds::PRIORITY_CLASS;
use crate::reconcile::Reconcile;
use crate::world::{Change, World};

/// Name, value, and what it is for.
pub(crate) const SYSTEM: [(&str, i64, &str); 2] = [
    (
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
    (
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
];

pub(crate) struct PriorityClasses;

impl Reconcile for PriorityClasses {
    type Key = ();

    const NAME: &'static str = "priority-class-controller";

    fn kinds(&self) -> Vec<&'static Kind> {
        vec![PRIORITY_CLASS]
    }

    fn keys(&mut self, _: &World, change: &Change) -> Vec<()> {
        change.new.is_none().then_some(()).into_iter().collect()
    }

    fn first(&self) -> Vec<()> {
        vec![()]
    }

    fn reconcile(&mut self, cluster: &Cluster, (): &(), _: SystemTime) -> Result<Option<Duration>, Status> {
        for (name, value, description) in SYSTEM {
            if cluster.world.get(PRIORITY_CLASS, "", name).is_some() {
                continue;
            }
            let class = json!({
                "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name},
                "value": value, "description": description, "globalDefault": false,
            });
            match cluster.create(PRIORITY_CLASS, "", class) {
                Err(status) if status.reason != Reason::AlreadyExists => return Err(status),
                _ => {}
            }
        }
        Ok(None)
    }
}
