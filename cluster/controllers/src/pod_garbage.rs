//! Pods whose node is gone: nobody else would ever end them.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use apiserver::{DeleteOptions, Part};
use objects::{Kind, Status, meta, time};

use crate::cluster::Cluster;
use crate::fault::{Act, Faults};
use crate::key::{self, Key};
use crate::kinds::{NODE, POD};
use crate::pod;
use crate::reconcile::Reconcile;
use crate::world::{Change, World};

pub(crate) struct PodGarbage {
    /// A node may come back for so long.
    grace: Duration,
    faults: Faults,
    /// Nodes that are gone, and since when.
    gone: HashMap<String, Instant>,
}

impl PodGarbage {
    pub(crate) fn new(grace: Duration, faults: Faults) -> Self {
        Self {
            grace,
            faults,
            gone: HashMap::new(),
        }
    }
}

impl Reconcile for PodGarbage {
    type Key = Key;

    const NAME: &'static str = "pod-garbage-collector";

    fn kinds(&self) -> Vec<&'static Kind> {
        vec![NODE, POD]
    }

    fn keys(&mut self, world: &World, change: &Change) -> Vec<Key> {
        let Some(object) = change.object() else {
            return Vec::new();
        };
        if change.kind == NODE {
            let name = meta::name(object);
            if change.new.is_some() {
                self.gone.remove(name);
                return Vec::new();
            }
            return world.on_node(name).iter().map(|pod| key::of(pod)).collect();
        }
        let node = pod::node(object);
        let lost = change.new.is_some() && !node.is_empty() && world.get(NODE, "", node).is_none();
        lost.then(|| key::of(object)).into_iter().collect()
    }

    fn reconcile(&mut self, cluster: &Cluster, key: &Key, now: SystemTime) -> Result<Option<Duration>, Status> {
        let Some(found) = cluster.world.get(POD, &key.0, &key.1) else {
            return Ok(None);
        };
        let node = pod::node(&found);
        if node.is_empty() || self.faults.has(Act::GarbageStays) || cluster.ask(NODE, "", node)?.is_some() {
            return Ok(None);
        }
        let since = self.gone.entry(node.to_owned()).or_insert_with(Instant::now);
        let left = self.grace.saturating_sub(since.elapsed());
        if !left.is_zero() {
            return Ok(Some(left));
        }
        if !pod::has_ended(&found) {
            cluster.edit(POD, &found, Part::Status, |pod| {
                let now = time::seconds(now);
                let message = "PodGC: node no longer exists";
                meta::set(pod, &["status", "phase"], "Failed");
                meta::set_condition(pod, "DisruptionTarget", "True", "DeletionByPodGC", message, &now);
            })?;
        }
        cluster.delete(POD, &found, DeleteOptions::now())?;
        Ok(None)
    }
}
