//! Pods leave nodes whose `NoExecute` taints they do not tolerate, or no longer.
//!
//! See <https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions>.

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
use crate::taint::{self, Stay};
use crate::world::{Change, Object, World};

pub(crate) struct TaintEviction {
    pub(crate) faults: Faults,
    /// Pods whose time runs, and since when, by uid.
    running: HashMap<String, Instant>,
}

impl TaintEviction {
    pub(crate) fn new(faults: Faults) -> Self {
        Self {
            faults,
            running: HashMap::new(),
        }
    }

    fn cancel(&mut self, cluster: &Cluster, pod: &Object) {
        if self.running.remove(meta::uid(pod)).is_some() {
            let (namespace, name) = key::of(pod);
            cluster.tell(
                pod,
                "TaintManagerEviction",
                &format!("Cancelling deletion of Pod {namespace}/{name}"),
            );
        }
    }
}

impl Reconcile for TaintEviction {
    type Key = Key;

    const NAME: &'static str = "taint-eviction-controller";

    fn kinds(&self) -> Vec<&'static Kind> {
        vec![NODE, POD]
    }

    fn keys(&mut self, world: &World, change: &Change) -> Vec<Key> {
        if change.kind == NODE {
            let taints = |node: &Option<Object>| -> Vec<_> {
                let taints = node.iter().flat_map(|node| taint::driving(node));
                taints.map(|one| (one["key"].clone(), one["value"].clone())).collect()
            };
            let Some(node) = change.object().filter(|_| taints(&change.old) != taints(&change.new)) else {
                return Vec::new();
            };
            return world.on_node(meta::name(node)).iter().map(|pod| key::of(pod)).collect();
        }
        if let (None, Some(gone)) = (&change.new, &change.old) {
            self.running.remove(meta::uid(gone));
        }
        let decisive = |one: &Option<Object>| {
            let one = one.as_ref()?;
            Some((
                pod::node(one).to_owned(),
                meta::list(one, &["spec", "tolerations"]).to_vec(),
            ))
        };
        let Some(new) = change
            .new
            .as_ref()
            .filter(|_| decisive(&change.old) != decisive(&change.new))
        else {
            return Vec::new();
        };
        let is_driven = |node: Object| taint::driving(&node).next().is_some();
        let tainted = world.get(NODE, "", pod::node(new)).is_some_and(is_driven);
        tainted.then(|| key::of(new)).into_iter().collect()
    }

    fn reconcile(&mut self, cluster: &Cluster, key: &Key, now: SystemTime) -> Result<Option<Duration>, Status> {
        let Some(found) = cluster.world.get(POD, &key.0, &key.1).filter(|one| pod::is_active(one)) else {
            return Ok(None);
        };
        if self.faults.has(Act::TaintEvictionOff) {
            return Ok(None);
        }
        let node = cluster.world.get(NODE, "", pod::node(&found));
        let taints = node.iter().flat_map(|node| taint::driving(node));
        let stay = taint::stay(taints, meta::list(&found, &["spec", "tolerations"]));
        let left = match stay {
            Stay::ForGood => {
                self.cancel(cluster, &found);
                return Ok(None);
            }
            Stay::No => Duration::ZERO,
            Stay::For(_) if self.faults.has(Act::TolerationSecondsIgnored) => Duration::ZERO,
            Stay::For(time) => {
                let since = self
                    .running
                    .entry(meta::uid(&found).to_owned())
                    .or_insert_with(Instant::now);
                time.saturating_sub(since.elapsed())
            }
        };
        if !left.is_zero() {
            return Ok(Some(left));
        }
        let (namespace, name) = key;
        cluster.tell(
            &found,
            "TaintManagerEviction",
            &format!("Marking for deletion Pod {namespace}/{name}"),
        );
        cluster.edit(POD, &found, Part::Status, |pod| {
            let message = "Taint manager: deleting due to NoExecute taint";
            let now = time::seconds(now);
            meta::set_condition(pod, "DisruptionTarget", "True", "DeletionByTaintManager", message, &now);
        })?;
        cluster.delete(POD, &found, DeleteOptions::default())?;
        self.running.remove(meta::uid(&found));
        Ok(None)
    }
}
