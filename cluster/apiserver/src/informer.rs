//! A copy of all objects of a kind that keeps itself up to date.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use objects::{Kind, Reason, Status, meta};
use tokio::time::Instant;

use crate::{Api, EventKind, ListQuery, Object, Watch, WatchEvent, WatchQuery};

/// Namespace (empty where there is none) and name.
pub type Key = (String, String);

/// How long a link that is cut is left alone, at first and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// The copy. Clones are the same copy.
#[derive(Debug, Clone, Default)]
pub struct Cache(Arc<RwLock<BTreeMap<Key, Object>>>);

impl Cache {
    /// One object.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Object> {
        self.objects().get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// The objects of one namespace, or all.
    pub fn list(&self, namespace: Option<&str>) -> Vec<Object> {
        let objects = self.objects();
        match namespace {
            None => objects.values().cloned().collect(),
            Some(namespace) => {
                let from = (namespace.to_owned(), String::new());
                let inside = objects.range(from..).take_while(|(key, _)| key.0 == namespace);
                inside.map(|(_, object)| object.clone()).collect()
            }
        }
    }

    /// All objects, which do not change while this is held.
    pub fn objects(&self) -> RwLockReadGuard<'_, BTreeMap<Key, Object>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, key: Key, object: Object) -> Option<Object> {
        self.write(|objects| objects.insert(key, object))
    }

    fn remove(&self, key: &Key) -> Option<Object> {
        self.write(|objects| objects.remove(key))
    }

    fn write<T>(&self, change: impl FnOnce(&mut BTreeMap<Key, Object>) -> T) -> T {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What changed in the copy.
#[derive(Debug, Clone)]
pub enum Change {
    /// Everything that was there at first was told. Comes once.
    Synced,
    /// An object is new, or is another one now.
    Put {
        /// As it is.
        new: Object,
        /// As it was, if it was there.
        old: Option<Object>,
    },
    /// An object is gone; this is the last that was seen of it.
    Gone(Object),
}

/// Lists, watches, and does so again whenever the watch ends.
pub struct Informer {
    api: Api,
    kind: &'static Kind,
    query: ListQuery,
    cache: Cache,
    watch: Option<Watch>,
    revision: Option<u64>,
    pending: VecDeque<Change>,
    synced: bool,
    retry: Option<(Instant, Duration)>,
}

impl Informer {
    /// Of the objects that the query selects, in all namespaces. Nothing happens until [`Informer::recv`] is called.
    pub fn start(api: &Api, kind: &'static Kind, query: ListQuery) -> Self {
        Self {
            api: api.clone(),
            kind,
            query,
            cache: Cache::default(),
            watch: None,
            revision: None,
            pending: VecDeque::new(),
            synced: false,
            retry: None,
        }
    }

    /// The copy, which is changed by [`Informer::recv`] before it tells of the change.
    pub fn cache(&self) -> Cache {
        self.cache.clone()
    }

    /// The next change. Dropping the future loses none.
    pub async fn recv(&mut self) -> Change {
        loop {
            if let Some(change) = self.pending.pop_front() {
                return change;
            }
            if let Some(watch) = &mut self.watch {
                match watch.next().await {
                    Some(event) => self.apply(event),
                    None => self.end(),
                }
                continue;
            }
            if let Some((at, _)) = self.retry {
                tokio::time::sleep_until(at).await;
            }
            match self.connect() {
                Ok(()) => self.retry = None,
                Err(status) => self.later(&status),
            }
        }
    }

    fn end(&mut self) {
        if let Some(watch) = self.watch.take() {
            let expired = watch.ended().is_some_and(|status| status.reason == Reason::Expired);
            self.revision = (!expired).then(|| watch.revision());
        }
    }

    fn later(&mut self, status: &Status) {
        if status.reason == Reason::Expired {
            self.revision = None;
            return;
        }
        let wait = self.retry.map_or(RETRY.0, |(_, wait)| (wait * 2).min(RETRY.1));
        self.retry = Some((Instant::now() + wait, wait));
    }

    fn connect(&mut self) -> Result<(), Status> {
        let revision = match self.revision {
            Some(revision) => revision,
            None => self.relist()?,
        };
        let list = ListQuery {
            resource_version: revision.to_string(),
            ..self.query.clone()
        };
        let query = WatchQuery {
            list,
            ..WatchQuery::default()
        };
        self.watch = Some(self.api.watch(self.kind, None, &query)?);
        Ok(())
    }

    fn relist(&mut self) -> Result<u64, Status> {
        let list = self.api.list(self.kind, None, &self.query)?;
        let new: BTreeMap<Key, Object> = list.items.into_iter().map(|object| (key(&object), object)).collect();
        let gone: Vec<Key> = self
            .cache
            .objects()
            .keys()
            .filter(|key| !new.contains_key(*key))
            .cloned()
            .collect();
        for key in gone {
            self.pending.extend(self.cache.remove(&key).map(Change::Gone));
        }
        for (key, object) in new {
            self.put(key, object);
        }
        if !self.synced {
            self.synced = true;
            self.pending.push_back(Change::Synced);
        }
        self.revision = Some(list.resource_version);
        Ok(list.resource_version)
    }

    fn apply(&mut self, event: WatchEvent) {
        let key = key(&event.object);
        match event.kind {
            EventKind::Added | EventKind::Modified => self.put(key, event.object),
            EventKind::Deleted => {
                if self.cache.remove(&key).is_some() {
                    self.pending.push_back(Change::Gone(event.object));
                }
            }
            EventKind::Bookmark => {}
        }
    }

    fn put(&mut self, key: Key, new: Object) {
        let old = self.cache.put(key, new.clone());
        let same = |old: &Object| meta::resource_version(old) == meta::resource_version(&new);
        if !old.as_ref().is_some_and(same) {
            self.pending.push_back(Change::Put { new, old });
        }
    }
}

fn key(object: &Object) -> Key {
    (meta::namespace(object).to_owned(), meta::name(object).to_owned())
}
