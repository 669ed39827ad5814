//! Namespaces that end: pods first, then everything else, then the namespace.
//!
//! See <https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/>.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use apiserver::{DeleteOptions, Part, Propagation};
use objects::kind::KINDS;
use objects::{Kind, Status, meta, time};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::fault::{Act, Faults};
use crate::kinds::{NAMESPACE, POD};
use crate::reconcile::Reconcile;
use crate::world::{Change, Object, World};

const FINALIZER: &str = "kubernetes";
/// Something may still be on its way into the namespace.
const AGAIN: Duration = Duration::from_secs(1);

pub(crate) struct Namespaces {
    pub(crate) faults: Faults,
}

impl Reconcile for Namespaces {
    type Key = String;

    const NAME: &'static str = "namespace-controller";

    fn kinds(&self) -> Vec<&'static Kind> {
        KINDS
            .iter()
            .filter(|kind| kind.stored && kind.kind != "Event")
            .collect()
    }

    fn keys(&mut self, world: &World, change: &Change) -> Vec<String> {
        if change.kind == NAMESPACE {
            let ending = change.new.iter().filter(|one| meta::is_deleting(one));
            return ending.map(|one| meta::name(one).to_owned()).collect();
        }
        // Only what goes can let a namespace end.
        let Some(gone) = change
            .old
            .as_ref()
            .filter(|_| change.new.is_none() && change.kind.namespaced)
        else {
            return Vec::new();
        };
        let namespace = meta::namespace(gone);
        let found = world.get(NAMESPACE, "", namespace);
        let ending = found.is_some_and(|one| meta::is_deleting(&one));
        ending.then(|| namespace.to_owned()).into_iter().collect()
    }

    fn reconcile(&mut self, cluster: &Cluster, key: &String, now: SystemTime) -> Result<Option<Duration>, Status> {
        let Some(namespace) = cluster
            .world
            .get(NAMESPACE, "", key)
            .filter(|one| meta::is_deleting(one))
        else {
            return Ok(None);
        };
        if self.faults.has(Act::NamespaceNeverEnds) {
            return Ok(None);
        }
        let mut left = empty(cluster, key, |kind| kind == POD)?;
        if left.is_empty() {
            left = empty(cluster, key, |kind| kind != POD)?;
        }
        let mut status = json!({"status": namespace["status"].clone()});
        say(&mut status, &left, now);
        cluster.set_status(NAMESPACE, &namespace, &status["status"])?;
        if !left.is_empty() {
            return Ok(Some(AGAIN));
        }
        cluster.edit(NAMESPACE, &namespace, Part::Finalize, |found| {
            let mut finalizers = meta::list(found, &["spec", "finalizers"]).to_vec();
            finalizers.retain(|one| one != FINALIZER);
            meta::set(found, &["spec", "finalizers"], finalizers);
        })?;
        Ok(None)
    }
}

/// Deletes what is there of these kinds; answers what is still there.
fn empty(
    cluster: &Cluster,
    namespace: &str,
    which: impl Fn(&'static Kind) -> bool,
) -> Result<Vec<(&'static Kind, Object)>, Status> {
    let mut left = Vec::new();
    for kind in KINDS
        .iter()
        .filter(|kind| kind.stored && kind.namespaced && which(kind))
    {
        for object in cluster.ask_all(kind, namespace)? {
            if !meta::is_deleting(&object) {
                let options = DeleteOptions {
                    propagation: Some(Propagation::Background),
                    ..DeleteOptions::default()
                };
                cluster.delete(kind, &object, options)?;
            }
            if let Some(still) = cluster.ask(kind, namespace, meta::name(&object))? {
                left.push((kind, still));
            }
        }
    }
    Ok(left)
}

/// What keeps the namespace from its end.
fn say(object: &mut Value, left: &[(&'static Kind, Object)], now: SystemTime) {
    let mut kinds = BTreeMap::new();
    let mut finalizers = BTreeMap::new();
    for (kind, one) in left {
        *kinds.entry(kind.resource()).or_insert(0) += 1;
        for finalizer in meta::finalizers(one) {
            *finalizers.entry(finalizer.to_owned()).or_insert(0) += 1;
        }
    }
    let each = |all: &BTreeMap<String, i32>, verb: &str| {
        let parts: Vec<String> = all
            .iter()
            .map(|(what, count)| format!("{what}{verb}{count} resource instances"))
            .collect();
        parts.join(", ")
    };
    let resources = format!("Some resources are remaining: {}", each(&kinds, " has "));
    let holders = format!(
        "Some content in the namespace has finalizers remaining: {}",
        each(&finalizers, " in ")
    );
    let remains = |some: bool| if some { "True" } else { "False" };
    let now = time::seconds(now);
    for (kind, status, reason, message) in [
        (
            "NamespaceDeletionDiscoveryFailure",
            "False",
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            "False",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        (
            "NamespaceDeletionContentFailure",
            "False",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        (
            "NamespaceContentRemaining",
            remains(!left.is_empty()),
            if left.is_empty() {
                "ContentRemoved"
            } else {
                "SomeResourcesRemain"
            },
            if left.is_empty() {
                "All content successfully removed"
            } else {
                resources.as_str()
            },
        ),
        (
            "NamespaceFinalizersRemaining",
            remains(!finalizers.is_empty()),
            if finalizers.is_empty() {
                "ContentHasNoFinalizers"
            } else {
                "SomeFinalizersRemain"
            },
            if finalizers.is_empty() {
                "All content-preserving finalizers finished"
            } else {
                holders.as_str()
            },
        ),
    ] {
        meta::set_condition(object, kind, status, reason, message, &now);
    }
}
