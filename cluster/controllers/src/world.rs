//! What controllers know: one cache of all objects for all of them, fed by one watch a kind.
//!
//! What a controller wrote is in the cache before its next look, so that nothing is made twice.

mod feed;
mod trim;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use objects::kind::KINDS;
use objects::{Kind, meta};
use serde_json::Value;
use tokio::sync::{mpsc, watch};

pub(crate) use feed::start;

/// How many of those that are gone are remembered.
const REMEMBERED: usize = 4096;

/// An object, shared.
pub(crate) type Object = Arc<Value>;

/// What happened to an object.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) kind: &'static Kind,
    /// As it was; nothing if it is new.
    pub(crate) old: Option<Object>,
    /// As it is; nothing if it is gone.
    pub(crate) new: Option<Object>,
}

impl Change {
    /// The object, as it is or was.
    pub(crate) fn object(&self) -> Option<&Object> {
        self.new.as_ref().or(self.old.as_ref())
    }

    /// The object after and before.
    pub(crate) fn both(&self) -> impl Iterator<Item = &Object> {
        self.new.iter().chain(&self.old)
    }
}

/// All objects, as far as controllers need them: what is of no concern to any is left out.
pub(crate) struct World {
    state: RwLock<State>,
    ready: watch::Sender<BTreeSet<&'static str>>,
}

#[derive(Default)]
struct State {
    shelves: BTreeMap<&'static str, Shelf>,
    subscribers: Vec<(Vec<&'static Kind>, mpsc::UnboundedSender<Change>)>,
}

/// The objects of one kind; indices hold uids.
#[derive(Default)]
struct Shelf {
    objects: HashMap<String, Object>,
    paths: BTreeMap<(String, String), String>,
    owned: HashMap<String, BTreeSet<String>>,
    unmanaged: BTreeMap<String, BTreeSet<String>>,
    on_node: HashMap<String, BTreeSet<String>>,
    /// Those that went last, and the revision of their end: the answer to a write may come after the news of it. Only a
    /// cluster that is taken back to an earlier state has an object of that uid again, at a later revision.
    gone: HashMap<String, u64>,
    gone_in_order: VecDeque<String>,
}

impl World {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: RwLock::default(),
            ready: watch::Sender::new(BTreeSet::new()),
        })
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every change of these kinds, what is there already first.
    pub(crate) fn subscribe(&self, kinds: &[&'static Kind]) -> mpsc::UnboundedReceiver<Change> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut state = self.write();
        for kind in kinds {
            for object in state
                .shelves
                .get(kind.plural)
                .into_iter()
                .flat_map(|shelf| shelf.objects.values())
            {
                let change = Change {
                    kind,
                    old: None,
                    new: Some(object.clone()),
                };
                // The receiver is at hand, so that this cannot fail.
                let _sent = sender.send(change);
            }
        }
        state.subscribers.push((kinds.to_vec(), sender));
        receiver
    }

    /// Returns when everything of these kinds that was there at the start is known.
    pub(crate) async fn until_ready(&self, kinds: &[&'static Kind]) {
        let mut ready = self.ready.subscribe();
        let all = |ready: &BTreeSet<_>| kinds.iter().all(|kind| ready.contains(kind.plural));
        let _closed = ready.wait_for(all).await;
    }

    fn is_ready(&self, kind: &'static Kind) {
        self.ready.send_if_modified(|ready| ready.insert(kind.plural));
    }

    /// An object as it is now, unless a newer state of it is known.
    pub(crate) fn put(&self, kind: &'static Kind, object: &Value) {
        let uid = meta::uid(object);
        let mut state = self.write();
        let shelf = state.shelves.entry(kind.plural).or_default();
        let revision = meta::revision(object).unwrap_or_default();
        match shelf.gone.get(uid) {
            Some(end) if *end >= revision => return,
            Some(_) => {
                shelf.gone.remove(uid);
            }
            None => {}
        }
        let old = shelf.objects.get(uid).cloned();
        if old
            .as_ref()
            .is_some_and(|old| meta::revision(old) >= meta::revision(object))
        {
            return;
        }
        let new = Arc::new(trim::trim(kind, object));
        if let Some(old) = &old {
            shelf.forget(uid, old);
        }
        shelf.remember(uid, &new);
        state.tell(Change {
            kind,
            old,
            new: Some(new),
        });
    }

    /// An object that somebody just deleted; the watch has yet to say when.
    pub(crate) fn remove(&self, kind: &'static Kind, uid: &str) {
        self.end(kind, uid, u64::MAX);
    }

    /// An object that is gone since a revision.
    fn end(&self, kind: &'static Kind, uid: &str, revision: u64) {
        let mut state = self.write();
        let shelf = state.shelves.entry(kind.plural).or_default();
        shelf.bury(uid, revision);
        if let Some(old) = shelf.objects.get(uid).cloned() {
            shelf.forget(uid, &old);
            state.tell(Change {
                kind,
                old: Some(old),
                new: None,
            });
        }
    }

    fn uids(&self, kind: &'static Kind) -> Vec<String> {
        let state = self.read();
        let shelf = state.shelves.get(kind.plural);
        shelf
            .into_iter()
            .flat_map(|shelf| shelf.objects.keys().cloned())
            .collect()
    }

    pub(crate) fn get(&self, kind: &'static Kind, namespace: &str, name: &str) -> Option<Object> {
        let state = self.read();
        let shelf = state.shelves.get(kind.plural)?;
        let uid = shelf.paths.get(&(namespace.to_owned(), name.to_owned()))?;
        shelf.objects.get(uid).cloned()
    }

    pub(crate) fn by_uid(&self, kind: &'static Kind, uid: &str) -> Option<Object> {
        self.read().shelves.get(kind.plural)?.objects.get(uid).cloned()
    }

    /// The objects of a namespace, or of all, in the order of their names.
    pub(crate) fn list(&self, kind: &'static Kind, namespace: Option<&str>) -> Vec<Object> {
        let state = self.read();
        let Some(shelf) = state.shelves.get(kind.plural) else {
            return Vec::new();
        };
        let first = (namespace.unwrap_or_default().to_owned(), String::new());
        let inside = |((space, _), _): &(&(String, String), &String)| namespace.is_none_or(|one| one == space);
        let paths = shelf.paths.range(first..).take_while(inside);
        paths.filter_map(|(_, uid)| shelf.objects.get(uid).cloned()).collect()
    }

    /// What names this owner, as its manager or not.
    pub(crate) fn owned(&self, kind: &'static Kind, owner_uid: &str) -> Vec<Object> {
        self.indexed(kind, |shelf| shelf.owned.get(owner_uid))
    }

    /// What names this owner, of any kind.
    pub(crate) fn dependents(&self, owner_uid: &str) -> Vec<(&'static Kind, Object)> {
        let state = self.read();
        let mut found = Vec::new();
        for kind in KINDS {
            let Some(shelf) = state.shelves.get(kind.plural) else {
                continue;
            };
            let uids = shelf.owned.get(owner_uid).into_iter().flatten();
            found.extend(uids.filter_map(|uid| Some((kind, shelf.objects.get(uid)?.clone()))));
        }
        found
    }

    /// What nobody manages, in a namespace.
    pub(crate) fn unmanaged(&self, kind: &'static Kind, namespace: &str) -> Vec<Object> {
        self.indexed(kind, |shelf| shelf.unmanaged.get(namespace))
    }

    /// The pods of a node.
    pub(crate) fn on_node(&self, node: &str) -> Vec<Object> {
        self.indexed(crate::kinds::POD, |shelf| shelf.on_node.get(node))
    }

    fn indexed<'a>(
        &self,
        kind: &'static Kind,
        index: impl FnOnce(&Shelf) -> Option<&BTreeSet<String>> + 'a,
    ) -> Vec<Object> {
        let state = self.read();
        let Some(shelf) = state.shelves.get(kind.plural) else {
            return Vec::new();
        };
        let uids = index(shelf).into_iter().flatten();
        uids.filter_map(|uid| shelf.objects.get(uid).cloned()).collect()
    }
}

impl State {
    fn tell(&mut self, change: Change) {
        self.subscribers
            .retain(|(kinds, sender)| !kinds.contains(&change.kind) || sender.send(change.clone()).is_ok());
    }
}

fn path(object: &Value) -> (String, String) {
    (meta::namespace(object).to_owned(), meta::name(object).to_owned())
}

fn owners(object: &Value) -> impl Iterator<Item = String> {
    meta::owners(object)
        .iter()
        .map(|one| meta::text(one, &["uid"]).to_owned())
}

impl Shelf {
    fn remember(&mut self, uid: &str, object: &Object) {
        self.objects.insert(uid.to_owned(), object.clone());
        self.paths.insert(path(object), uid.to_owned());
        for owner in owners(object) {
            self.owned.entry(owner).or_default().insert(uid.to_owned());
        }
        if meta::controller(object).is_none() {
            let space = meta::namespace(object).to_owned();
            self.unmanaged.entry(space).or_default().insert(uid.to_owned());
        }
        let node = crate::pod::node(object);
        if !node.is_empty() {
            self.on_node.entry(node.to_owned()).or_default().insert(uid.to_owned());
        }
    }

    fn bury(&mut self, uid: &str, revision: u64) {
        match self.gone.get_mut(uid) {
            Some(end) => *end = revision.min(*end),
            None => {
                self.gone.insert(uid.to_owned(), revision);
                self.gone_in_order.push_back(uid.to_owned());
            }
        }
        if self.gone_in_order.len() > REMEMBERED
            && let Some(oldest) = self.gone_in_order.pop_front()
        {
            self.gone.remove(&oldest);
        }
    }

    fn forget(&mut self, uid: &str, object: &Object) {
        self.objects.remove(uid);
        let path = path(object);
        // The name may have been given to another object by now.
        if self.paths.get(&path).is_some_and(|now| now == uid) {
            self.paths.remove(&path);
        }
        for owner in owners(object) {
            drop_from_hash(&mut self.owned, &owner, uid);
        }
        drop_from_hash(&mut self.on_node, crate::pod::node(object), uid);
        if let Some(all) = self.unmanaged.get_mut(&path.0) {
            all.remove(uid);
            if all.is_empty() {
                self.unmanaged.remove(&path.0);
            }
        }
    }
}

fn drop_from_hash(index: &mut HashMap<String, BTreeSet<String>>, key: &str, uid: &str) {
    if let Some(all) = index.get_mut(key) {
        all.remove(uid);
        if all.is_empty() {
            index.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::POD;

    fn pod(name: &str, uid: &str, revision: u64, owner: Option<&str>) -> Value {
        let owners: Vec<Value> = owner
            .iter()
            .map(|uid| json!({"uid": uid, "controller": true}))
            .collect();
        json!({
            "metadata": {
                "namespace": "a", "name": name, "uid": uid, "resourceVersion": revision.to_string(),
                "ownerReferences": owners,
            },
            "spec": {"nodeName": "n"},
        })
    }

    #[test]
    fn what_was_written_is_not_undone_by_what_the_watch_says_later() {
        let world = World::new();
        let mut changes = world.subscribe(&[POD]);
        world.put(POD, &pod("x", "1", 7, None));
        world.put(POD, &pod("x", "1", 6, None));
        world.remove(POD, "1");
        world.put(POD, &pod("x", "1", 8, None));
        assert_eq!(world.list(POD, None).len(), 0);
        world.put(POD, &pod("x", "2", 9, None));
        world.end(POD, "1", 8);
        let found = world.get(POD, "a", "x").expect("the second of that name");
        assert_eq!(meta::uid(&found), "2");
        let told: Vec<(bool, bool)> = std::iter::from_fn(|| changes.try_recv().ok())
            .map(|change| (change.old.is_some(), change.new.is_some()))
            .collect();
        assert_eq!(told, [(false, true), (true, false), (false, true)]);
        world.put(POD, &pod("z", "1", 10, None));
        assert!(world.get(POD, "a", "z").is_some(), "it was put back later");
    }

    #[test]
    fn objects_are_found_by_owner_node_and_for_want_of_an_owner() {
        let world = World::new();
        world.put(POD, &pod("x", "1", 1, Some("rs")));
        world.put(POD, &pod("y", "2", 2, None));
        let uids = |found: Vec<Object>| found.iter().map(|one| meta::uid(one).to_owned()).collect::<Vec<_>>();
        assert_eq!(uids(world.owned(POD, "rs")), ["1"]);
        assert_eq!(uids(world.unmanaged(POD, "a")), ["2"]);
        assert_eq!(uids(world.on_node("n")), ["1", "2"]);
        world.put(POD, &pod("x", "1", 3, None));
        assert_eq!(world.owned(POD, "rs").len(), 0);
        assert_eq!(world.unmanaged(POD, "a").len(), 2);
    }
}
