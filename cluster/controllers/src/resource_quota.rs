//! ResourceQuota: says how much of each limit is used. That no more is used is the business of admission.
//!
//! See <https://kubernetes.io/docs/concepts/policy/resource-quotas/>.

use std::time::{Duration, SystemTime};

use objects::kind::KINDS;
use objects::{Kind, Status, meta};
use serde_json::json;

use crate::cluster::Cluster;
use crate::fault::{Act, Faults};
use crate::key::{self, Key};
use crate::kinds::{POD, RESOURCE_QUOTA};
use crate::reconcile::Reconcile;
use crate::usage;
use crate::world::{Change, Object, World};

pub(crate) struct ResourceQuotas {
    pub(crate) faults: Faults,
}

impl Reconcile for ResourceQuotas {
    type Key = Key;

    const NAME: &'static str = "resourcequota-controller";

    fn kinds(&self) -> Vec<&'static Kind> {
        counted().collect()
    }

    fn keys(&mut self, world: &World, change: &Change) -> Vec<Key> {
        let Some(object) = change.object() else {
            return Vec::new();
        };
        let mut keys = Vec::new();
        if change.kind == RESOURCE_QUOTA {
            keys.push(key::of(object));
        }
        // A quota that is there uses nothing less because another one's status changed.
        if change.new.is_some() && change.old.is_some() && change.kind != POD && change.kind.kind != "Service" {
            return keys;
        }
        let quotas = world.list(RESOURCE_QUOTA, Some(meta::namespace(object)));
        let now = SystemTime::now();
        let used = |one: &Option<Object>| one.as_ref().map(|one| usage::of(change.kind, one, now));
        if !quotas.is_empty() && used(&change.old) != used(&change.new) {
            keys.extend(quotas.iter().map(|quota| key::of(quota)));
        }
        keys
    }

    fn reconcile(&mut self, cluster: &Cluster, key: &Key, now: SystemTime) -> Result<Option<Duration>, Status> {
        let Some(quota) = cluster.world.get(RESOURCE_QUOTA, &key.0, &key.1) else {
            return Ok(None);
        };
        if self.faults.has(Act::QuotaStatusStale) && meta::at(&quota, &["status", "used"]).is_some() {
            return Ok(None);
        }
        let hard = usage::hard(&quota);
        let kinds = counted().filter(|kind| usage::concerns(&hard, kind));
        let objects: Vec<(&'static Kind, Object)> = kinds
            .flat_map(|kind| {
                cluster
                    .world
                    .list(kind, Some(&key.0))
                    .into_iter()
                    .map(move |one| (kind, one))
            })
            .collect();
        let each = objects.iter().map(|(kind, one)| (*kind, one.as_ref()));
        let used = usage::total(&quota, each, now);
        let hard = meta::at(&quota, &["spec", "hard"])
            .cloned()
            .unwrap_or_else(|| json!({}));
        let status = json!({"hard": hard, "used": usage::written(&used)});
        cluster.set_status(RESOURCE_QUOTA, &quota, &status)?;
        Ok(overdue(&objects, now))
    }
}

fn counted() -> impl Iterator<Item = &'static Kind> {
    KINDS
        .iter()
        .filter(|kind| kind.stored && kind.namespaced && kind.kind != "Event")
}

/// When the next pod no longer counts although it is still there.
fn overdue(objects: &[(&'static Kind, Object)], now: SystemTime) -> Option<Duration> {
    let pods = objects.iter().filter(|(kind, _)| *kind == POD);
    let left = pods.filter_map(|(_, one)| usage::counts_until(one)?.duration_since(now).ok());
    left.min().map(|left| left + Duration::from_millis(1))
}
