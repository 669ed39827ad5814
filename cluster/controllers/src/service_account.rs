//! What every namespace has: a ServiceAccount `default`, and the certificate authority of the API.

use std::time::{Duration, SystemTime};

use objects::{Kind, Reason, Status, meta};
use serde_json::{Value, json};

use apiserver::Part;

use crate::cluster::Cluster;
use crate::kinds::{CONFIG_MAP, NAMESPACE, SERVICE_ACCOUNT};
use crate::reconcile::Reconcile;
use crate::world::{Change, World};

/// The account of pods that name none.
pub(crate) const DEFAULT: &str = "default";
/// The ConfigMap with the certificate authority.
pub(crate) const AUTHORITY: &str = "kube-root-ca.crt";
const ABOUT: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal \
     endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across \
     distributions of Kubernetes clusters.";

pub(crate) struct ServiceAccounts {
    /// In PEM.
    pub(crate) authority: String,
}

impl Reconcile for ServiceAccounts {
    type Key = String;

    const NAME: &'static str = "service-account-controller";

    fn kinds(&self) -> Vec<&'static Kind> {
        vec![NAMESPACE, SERVICE_ACCOUNT, CONFIG_MAP]
    }

    fn keys(&mut self, _: &World, change: &Change) -> Vec<String> {
        let Some(object) = change.object() else {
            return Vec::new();
        };
        let name = meta::name(object);
        let namespace = match change.kind {
            kind if kind == NAMESPACE => Some(name),
            kind if kind == SERVICE_ACCOUNT => (name == DEFAULT).then(|| meta::namespace(object)),
            _ => (name == AUTHORITY).then(|| meta::namespace(object)),
        };
        namespace.map(str::to_owned).into_iter().collect()
    }

    fn reconcile(&mut self, cluster: &Cluster, key: &String, _: SystemTime) -> Result<Option<Duration>, Status> {
        let alive = |one: &crate::world::Object| !meta::is_deleting(one);
        if !cluster.world.get(NAMESPACE, "", key).is_some_and(|one| alive(&one)) {
            return Ok(None);
        }
        if cluster.world.get(SERVICE_ACCOUNT, key, DEFAULT).is_none() {
            let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": DEFAULT}});
            make(cluster, SERVICE_ACCOUNT, key, account)?;
        }
        let data = json!({"ca.crt": self.authority});
        match cluster.ask(CONFIG_MAP, key, AUTHORITY)? {
            None => {
                let map = json!({
                    "apiVersion": "v1", "kind": "ConfigMap", "data": data,
                    "metadata": {"name": AUTHORITY, "annotations": {"kubernetes.io/description": ABOUT}},
                });
                make(cluster, CONFIG_MAP, key, map)?;
            }
            Some(map) if map.get("data") != Some(&data) => {
                cluster.edit(CONFIG_MAP, &map, Part::Main, |map| {
                    meta::set(map, &["data"], data.clone())
                })?;
            }
            Some(_) => {}
        }
        Ok(None)
    }
}

/// What somebody else made meanwhile is as good.
fn make(cluster: &Cluster, kind: &'static Kind, namespace: &str, object: Value) -> Result<(), Status> {
    match cluster.create(kind, namespace, object) {
        Err(status)
            if matches!(
                status.reason,
                Reason::AlreadyExists | Reason::NotFound | Reason::Forbidden
            ) =>
        {
            Ok(())
        }
        done => done.map(|_| ()),
    }
}
