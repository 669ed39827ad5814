//! Keeps the names as the API has their objects.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use apiserver::{Api, Change, Informer, ListQuery, Object};
use objects::{Kind, kind, meta};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::fault::Act;
use crate::names::Names;
use crate::zone::{Entry, Source};
use crate::{pod, service};

/// By this label an EndpointSlice says whose it is.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Why names cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The API has no such kind.
    #[error("the API does not serve `{0}`")]
    NotServed(&'static str),
    /// The API ended before it had told everything.
    #[error("the API ended before all objects were seen")]
    Ended,
}

/// Names are followed as long as this is held.
#[derive(Debug)]
pub struct Following(#[expect(dead_code, reason = "its end is what it is held for")] JoinSet<()>);

impl Names {
    /// Has the names follow Services, EndpointSlices and pods. Returns when all that are there now are known. It needs a
    /// tokio runtime with time.
    ///
    /// # Errors
    /// [`FollowError`].
    pub async fn follow(&self, api: &Api) -> Result<Following, FollowError> {
        let mut follower = Follower {
            names: self.clone(),
            services: HashMap::new(),
            slices: HashMap::new(),
        };
        let mut informers = Informers {
            services: informer(api, "", "services")?,
            slices: informer(api, "discovery.k8s.io", "endpointslices")?,
            pods: informer(api, "", "pods")?,
        };
        let mut tasks = JoinSet::new();
        let (tell, known) = tokio::sync::oneshot::channel();
        tasks.spawn(async move {
            let mut unsynced = 3;
            let mut tell = Some(tell);
            loop {
                if informers.next(&mut follower).await {
                    unsynced -= 1;
                }
                if unsynced == 0
                    && let Some(tell) = tell.take()
                {
                    // Who waited may have gone, and this task goes with it.
                    let _gone = tell.send(()).is_err();
                }
            }
        });
        known.await.map_err(|_| FollowError::Ended)?;
        Ok(Following(tasks))
    }
}

fn informer(api: &Api, group: &str, plural: &'static str) -> Result<Informer, FollowError> {
    let kind: &'static Kind = kind::find(group, "v1", plural).ok_or(FollowError::NotServed(plural))?;
    Ok(Informer::start(api, kind, ListQuery::default()))
}

struct Informers {
    services: Informer,
    slices: Informer,
    pods: Informer,
}

impl Informers {
    /// Takes the next change in. Answers whether one kind is known completely with that.
    async fn next(&mut self, follower: &mut Follower) -> bool {
        tokio::select! {
            change = self.services.recv() => follower.service(change),
            change = self.slices.recv() => follower.slice(change),
            change = self.pods.recv() => follower.pod(change),
        }
    }
}

/// Namespace and name.
type Key = (String, String);

struct Follower {
    names: Names,
    services: HashMap<Key, Object>,
    /// Of each Service, whether it is there or not, by their own names.
    slices: HashMap<Key, BTreeMap<String, Object>>,
}

impl Follower {
    fn service(&mut self, change: Change) -> bool {
        let key = match change {
            Change::Synced => return true,
            Change::Put { new, .. } => {
                let key = key(&new);
                self.services.insert(key.clone(), new);
                key
            }
            Change::Gone(old) => {
                let key = key(&old);
                self.services.remove(&key);
                key
            }
        };
        self.tell(key);
        false
    }

    fn slice(&mut self, change: Change) -> bool {
        let (new, old) = match change {
            Change::Synced => return true,
            Change::Put { new, old } => (Some(new), old),
            Change::Gone(old) => (None, Some(old)),
        };
        // Its label may have changed, and with it whose it is.
        let was = old.as_ref().and_then(|old| of_service(old));
        let is = new.as_ref().and_then(|new| of_service(new));
        if let (Some(key), Some(old)) = (&was, &old)
            && let Some(all) = self.slices.get_mut(key)
        {
            all.remove(meta::name(old));
            if all.is_empty() {
                self.slices.remove(key);
            }
        }
        if let (Some(key), Some(new)) = (&is, new) {
            let all = self.slices.entry(key.clone()).or_default();
            all.insert(meta::name(&new).to_owned(), new);
        }
        if let Some(key) = was.filter(|was| is.as_ref() != Some(was)) {
            self.tell(key);
        }
        if let Some(key) = is {
            self.tell(key);
        }
        false
    }

    fn pod(&mut self, change: Change) -> bool {
        let (pod, entries) = match change {
            Change::Synced => return true,
            Change::Put { new, .. } => {
                let entries = pod::entries(&new);
                (new, entries)
            }
            Change::Gone(old) => (old, Vec::new()),
        };
        let (namespace, name) = key(&pod);
        self.replace(Source::Pod { namespace, name }, entries);
        false
    }

    /// Makes the records of a Service anew.
    fn tell(&mut self, key: Key) {
        let slices = self.slices.get(&key).into_iter().flat_map(BTreeMap::values);
        let entries = match self.services.get(&key) {
            Some(found) => service::entries(found, slices.map(Arc::as_ref), self.names.faults()),
            None => Vec::new(),
        };
        let (namespace, name) = key;
        self.replace(Source::Service { namespace, name }, entries);
    }

    fn replace(&self, source: Source, entries: Vec<Entry>) {
        if self.names.faults().has(Act::Stale) && self.names.zone().knows(&source) {
            return;
        }
        self.names.replace(source, entries);
    }
}

fn key(object: &Value) -> Key {
    (meta::namespace(object).to_owned(), meta::name(object).to_owned())
}

fn of_service(slice: &Value) -> Option<Key> {
    let service = meta::label(slice, SERVICE_NAME)?;
    Some((meta::namespace(slice).to_owned(), service.to_owned()))
}
