//! Nodes that fall silent: their conditions become unknown, and taints keep pods away and drive them off.
//!
//! See <https://kubernetes.io/docs/concepts/architecture/nodes/#node-controller>.

mod plan;

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant, SystemTime};

use apiserver::Part;
use objects::{Kind, Status, meta, time};

use crate::cluster::Cluster;
use crate::fault::{Act, Faults};
use crate::kinds::{LEASE, NODE, POD};
use crate::pod;
use crate::reconcile::Reconcile;
use crate::world::{Change, World};

const LEASES: &str = "kube-node-lease";

pub(crate) struct NodeLifecycle {
    /// A node may be silent for so long.
    pub(crate) grace: Duration,
    pub(crate) faults: Faults,
    /// When something was last heard of each node, by our own clock: nodes may have others.
    heard: HashMap<String, Instant>,
    ready: HashSet<String>,
}

impl NodeLifecycle {
    pub(crate) fn new(grace: Duration, faults: Faults) -> Self {
        Self {
            grace,
            faults,
            heard: HashMap::new(),
            ready: HashSet::new(),
        }
    }

    /// Whether this leaves no node ready, or gives the first one back.
    fn note(&mut self, change: &Change, name: &str) -> bool {
        let before = self.ready.is_empty();
        match change.new.as_ref().is_some_and(|node| meta::is_true(node, "Ready")) {
            true => self.ready.insert(name.to_owned()),
            false => self.ready.remove(name),
        };
        before != self.ready.is_empty()
    }
}

impl Reconcile for NodeLifecycle {
    type Key = String;

    const NAME: &'static str = "node-controller";

    fn kinds(&self) -> Vec<&'static Kind> {
        vec![NODE, LEASE]
    }

    fn keys(&mut self, world: &World, change: &Change) -> Vec<String> {
        let Some(object) = change.object() else {
            return Vec::new();
        };
        let name = meta::name(object).to_owned();
        if change.kind == LEASE {
            // A life sign needs no look: the next one is due when the grace is over.
            if meta::namespace(object) == LEASES && change.new.is_some() {
                self.heard.insert(name, Instant::now());
            }
            return Vec::new();
        }
        if change.new.is_none() {
            self.heard.remove(&name);
        }
        if plan::speaks(change.old.as_deref(), change.new.as_deref()) {
            self.heard.insert(name.clone(), Instant::now());
        }
        // When all are lost it is more likely that the cluster cannot see them than that they are all gone.
        if self.note(change, &name) {
            return world
                .list(NODE, None)
                .iter()
                .map(|node| meta::name(node).to_owned())
                .collect();
        }
        vec![name]
    }

    fn reconcile(&mut self, cluster: &Cluster, key: &String, now: SystemTime) -> Result<Option<Duration>, Status> {
        let Some(node) = cluster.world.get(NODE, "", key) else {
            return Ok(None);
        };
        let silent = self.heard.entry(key.clone()).or_insert_with(Instant::now).elapsed();
        let lost = silent >= self.grace && !self.faults.has(Act::NodeLossUnseen);
        let conditions = plan::conditions(&node, lost, now);
        if let Some(conditions) = &conditions {
            cluster.edit(NODE, &node, Part::Status, |found| {
                meta::set(found, &["status", "conditions"], conditions.clone());
            })?;
            if meta::is_true(&node, "Ready") {
                cluster.tell(
                    &node,
                    "NodeNotReady",
                    &format!("Node {key} status is now: NodeNotReady"),
                );
            }
        }
        let Some(node) = cluster.world.get(NODE, "", key) else {
            return Ok(None);
        };
        let taints = plan::taints(&node, self.ready.is_empty(), now);
        if let Some(taints) = taints {
            cluster.edit(NODE, &node, Part::Main, |found| {
                meta::set(found, &["spec", "taints"], taints.clone());
            })?;
        }
        if !meta::is_true(&node, "Ready") && meta::condition(&node, "Ready").is_some() {
            unready(cluster, key, now)?;
        }
        // While it is lost, only a sign of life matters, and that changes the node.
        Ok((!lost).then(|| self.grace.saturating_sub(silent) + Duration::from_millis(1)))
    }
}

/// Nobody can say of the pods of a silent node that they are ready.
fn unready(cluster: &Cluster, node: &str, now: SystemTime) -> Result<(), Status> {
    for found in cluster.world.on_node(node) {
        if pod::is_ready(&found) && !pod::has_ended(&found) {
            cluster.edit(POD, &found, Part::Status, |pod| {
                meta::set_condition(pod, "Ready", "False", "NodeNotReady", "", &time::seconds(now));
            })?;
            cluster.warn(&found, "NodeNotReady", "Node is not ready");
        }
    }
    Ok(())
}
