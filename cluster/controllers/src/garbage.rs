//! Garbage collection: what belongs to something that is gone goes, too, before it, or not at all.
//!
//! See <https://kubernetes.io/docs/concepts/architecture/garbage-collection/>.

mod plan;

use std::time::{Duration, SystemTime};

use apiserver::{DeleteOptions, Part};
use objects::kind::{self, KINDS};
use objects::{Kind, Status, meta};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::fault::{Act, Faults};
use crate::owner;
use crate::reconcile::Reconcile;
use crate::world::{Change, Object, World};
use plan::{Owner, Step};

pub(crate) struct GarbageCollector {
    pub(crate) faults: Faults,
}

impl Reconcile for GarbageCollector {
    /// Plural of the kind, and uid.
    type Key = (&'static str, String);

    const NAME: &'static str = "garbage-collector-controller";

    fn kinds(&self) -> Vec<&'static Kind> {
        KINDS
            .iter()
            .filter(|kind| kind.stored && kind.kind != "Event")
            .collect()
    }

    fn keys(&mut self, world: &World, change: &Change) -> Vec<Self::Key> {
        let Some(object) = change.object() else {
            return Vec::new();
        };
        let mut keys = Vec::new();
        let holds = plan::holds(object);
        // What belongs to whom it did before needs no look: a change of an owner brings its own.
        let moved = change
            .old
            .as_ref()
            .is_none_or(|old| meta::owners(old) != meta::owners(object));
        if change.new.is_some() && (holds || (moved && !meta::owners(object).is_empty())) {
            keys.push((change.kind.plural, meta::uid(object).to_owned()));
        }
        if change.new.is_none() || holds {
            let dependents = world.dependents(meta::uid(object));
            keys.extend(
                dependents
                    .iter()
                    .map(|(kind, one)| (kind.plural, meta::uid(one).to_owned())),
            );
        }
        // An owner may wait for this one.
        for one in change.both().flat_map(|one| meta::owners(one)) {
            let waiting = of_reference(one).and_then(|kind| {
                let owner = world.by_uid(kind, meta::text(one, &["uid"]))?;
                plan::holds(&owner).then(|| (kind.plural, meta::uid(&owner).to_owned()))
            });
            keys.extend(waiting);
        }
        keys
    }

    fn reconcile(&mut self, cluster: &Cluster, key: &Self::Key, _: SystemTime) -> Result<Option<Duration>, Status> {
        let Some(kind) = KINDS.iter().find(|kind| kind.plural == key.0) else {
            return Ok(None);
        };
        let Some(object) = cluster.world.by_uid(kind, &key.1) else {
            return Ok(None);
        };
        if self.faults.has(Act::GarbageStays) && !plan::holds(&object) {
            return Ok(None);
        }
        let dependents = cluster.world.dependents(&key.1);
        let views: Vec<&Value> = dependents.iter().map(|(_, one)| one.as_ref()).collect();
        let step = match meta::is_deleting(&object) {
            true => plan::deleting(&object, &views, &self.faults),
            false => plan::alive(&object, &owners(cluster, kind, &object)?, &views),
        };
        for step in step {
            self.act(cluster, kind, &object, &dependents, step)?;
        }
        Ok(None)
    }
}

fn of_reference(reference: &Value) -> Option<&'static Kind> {
    let version = meta::text(reference, &["apiVersion"]);
    kind::named(version, meta::text(reference, &["kind"]))
}

/// What became of each owner. That one is gone is asked of the API, which knows at once.
fn owners<'a>(cluster: &Cluster, kind: &'static Kind, object: &'a Value) -> Result<Vec<(&'a Value, Owner)>, Status> {
    let each = meta::owners(object).iter().map(|reference| {
        let Some(owner_kind) = of_reference(reference) else {
            // What is not served cannot be looked up, and what belongs to it stays.
            return Ok((reference, Owner::Solid));
        };
        if owner_kind.namespaced && !kind.namespaced {
            return Ok((reference, Owner::Solid));
        }
        let namespace = match owner_kind.namespaced {
            true => meta::namespace(object),
            false => "",
        };
        let found = cluster.ask(owner_kind, namespace, meta::text(reference, &["name"]))?;
        let found = found.filter(|one| meta::uid(one) == meta::text(reference, &["uid"]));
        Ok((reference, plan::owner(found.as_deref())))
    });
    each.collect()
}

impl GarbageCollector {
    fn act(
        &self,
        cluster: &Cluster,
        kind: &'static Kind,
        object: &Object,
        dependents: &[(&'static Kind, Object)],
        step: Step,
    ) -> Result<(), Status> {
        match step {
            Step::Delete(propagation) => {
                let options = DeleteOptions {
                    propagation: Some(propagation),
                    ..DeleteOptions::default()
                };
                cluster.delete(kind, object, options)
            }
            Step::Disown(uids) => cluster.edit(kind, object, Part::Main, |found| {
                for uid in &uids {
                    owner::disown(found, uid);
                }
            }),
            Step::Unblock => cluster.edit(kind, object, Part::Main, |found| {
                let mut owners = meta::owners(found).to_vec();
                for one in &mut owners {
                    meta::set(one, &["blockOwnerDeletion"], false);
                }
                meta::set(found, &["metadata", "ownerReferences"], owners);
            }),
            Step::Orphan => {
                for (kind, one) in dependents {
                    cluster.edit(kind, one, Part::Main, |found| owner::disown(found, meta::uid(object)))?;
                }
                Ok(())
            }
            Step::Release(finalizer) => cluster.edit(kind, object, Part::Main, |found| {
                let mut finalizers = meta::list(found, &["metadata", "finalizers"]).to_vec();
                finalizers.retain(|one| one != finalizer);
                meta::set(found, &["metadata", "finalizers"], finalizers);
            }),
        }
    }
}
