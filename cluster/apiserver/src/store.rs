//! What the API remembers: the objects, and the last events of each kind, under one global revision.
//!
//! There is no buffer per watcher. Each watcher has a place in the events of its kind; one that is so slow that its
//! place is forgotten is told `Expired`, as etcd's compaction does it. So a client that does not read costs nothing.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use objects::{
    Kind, Status,
    kind::{self, KINDS},
};
use serde_json::Value;
use tokio::sync::watch;

use crate::{EventWindow, keep::Keep, stored::Stored, token::Secret};

/// Namespace (empty where there is none) and name.
pub(crate) type Path = (String, String);

/// How many parsed objects are held for watchers that are a little behind.
const RECENT: usize = 256;

/// One change.
#[derive(Debug)]
pub(crate) struct Past {
    pub(crate) revision: u64,
    pub(crate) path: Path,
    pub(crate) before: Option<Arc<Stored>>,
    /// The object after the change; where it is gone, its last state.
    pub(crate) now: Arc<Stored>,
    pub(crate) gone: bool,
}

/// The objects of one kind.
#[derive(Debug)]
pub(crate) struct Shelf {
    pub(crate) objects: BTreeMap<Path, Arc<Stored>>,
    pub(crate) events: VecDeque<Arc<Past>>,
    /// Revision of the youngest event that is not remembered any more.
    pub(crate) forgotten: u64,
    bytes: usize,
    changed: watch::Sender<u64>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) revision: u64,
    shelves: BTreeMap<(&'static str, &'static str), Shelf>,
}

/// A change that is to be made.
pub(crate) enum Write<'a> {
    Put(&'a Arc<Value>),
    Remove(&'a Arc<Value>),
}

#[derive(Debug)]
pub(crate) struct Store {
    state: RwLock<State>,
    writer: Mutex<()>,
    recent: Mutex<VecDeque<Arc<Value>>>,
    window: EventWindow,
    keep: Option<Keep>,
}

impl State {
    pub(crate) fn shelf(&self, kind: &Kind) -> Option<&Shelf> {
        self.shelves.get(&(kind.group, kind.plural))
    }
}

impl Shelf {
    /// Where the events after `revision` begin.
    pub(crate) fn after(&self, revision: u64) -> usize {
        self.events.partition_point(|past| past.revision <= revision)
    }

    /// Returns when something changed.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

impl Store {
    pub(crate) fn new(window: EventWindow) -> Self {
        let shelf = || Shelf {
            objects: BTreeMap::new(),
            events: VecDeque::new(),
            forgotten: 0,
            bytes: 0,
            changed: watch::Sender::new(0),
        };
        let stored = KINDS.iter().filter(|kind| kind.stored);
        Self {
            state: RwLock::new(State {
                revision: 1,
                shelves: stored.map(|kind| ((kind.group, kind.plural), shelf())).collect(),
            }),
            writer: Mutex::new(()),
            recent: Mutex::new(VecDeque::new()),
            window,
            keep: None,
        }
    }

    /// Keeps every write in a file from now on, and takes what is in it.
    ///
    /// # Errors
    /// `InternalError` where the file is of no use.
    pub(crate) fn keep_in(&mut self, file: &std::path::Path) -> Result<Secret, Status> {
        let (keep, kept) = Keep::open(file)?;
        let mut state = self.write();
        state.revision = state.revision.max(kept.revision);
        let revision = state.revision;
        for object in kept.objects {
            if let Some(kind) = kind::find(&object.group, "v1", &object.plural)
                && let Some(shelf) = state.shelves.get_mut(&(kind.group, kind.plural))
            {
                shelf.objects.insert(object.path, Arc::new(object.stored));
            }
        }
        for shelf in state.shelves.values_mut() {
            shelf.forgotten = revision;
        }
        drop(state);
        self.keep = Some(keep);
        Ok(kept.secret)
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who holds it is the only one who writes. Readers go on meanwhile.
    pub(crate) fn writer(&self) -> Writer<'_> {
        Writer {
            store: self,
            _alone: self.writer.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    pub(crate) fn get(&self, kind: &Kind, namespace: &str, name: &str) -> Option<Arc<Stored>> {
        let path = (namespace.to_owned(), name.to_owned());
        self.read().shelf(kind)?.objects.get(&path).cloned()
    }

    /// Every object of a kind, in the order of their names.
    pub(crate) fn all(&self, kind: &Kind, namespace: Option<&str>) -> Vec<Arc<Stored>> {
        let state = self.read();
        let Some(shelf) = state.shelf(kind) else {
            return Vec::new();
        };
        match namespace {
            None => shelf.objects.values().cloned().collect(),
            Some(namespace) => {
                let from = (namespace.to_owned(), String::new());
                let inside = shelf.objects.range(from..).take_while(|(path, _)| path.0 == namespace);
                inside.map(|(_, stored)| stored.clone()).collect()
            }
        }
    }

    /// Forgets the events of every kind: who watches from an older revision is told `Expired`.
    pub(crate) fn forget(&self) {
        let mut state = self.write();
        let revision = state.revision;
        for shelf in state.shelves.values_mut() {
            shelf.events.clear();
            shelf.bytes = 0;
            shelf.forgotten = revision;
        }
    }
}

/// The right to write.
pub(crate) struct Writer<'a> {
    store: &'a Store,
    _alone: MutexGuard<'a, ()>,
}

impl Writer<'_> {
    /// The revision that the next write gets.
    pub(crate) fn next(&self) -> u64 {
        self.store.read().revision + 1
    }

    /// Makes a change whose object says [`Writer::next`] as its resource version.
    pub(crate) fn commit(&self, kind: &Kind, path: Path, write: &Write<'_>) -> Result<(), Status> {
        let (Write::Put(value) | Write::Remove(value)) = write;
        let gone = matches!(write, Write::Remove(_));
        let now = Arc::new(Stored::new(self.next(), value));
        if let Some(keep) = &self.store.keep {
            keep.write(kind, &path, &now, gone)?;
        }
        self.remember((*value).clone());
        let mut state = self.store.write();
        state.revision = now.revision;
        if let Some(shelf) = state.shelves.get_mut(&(kind.group, kind.plural)) {
            let before = match write {
                Write::Put(_) => shelf.objects.insert(path.clone(), now.clone()),
                Write::Remove(_) => shelf.objects.remove(&path),
            };
            let revision = now.revision;
            let past = Past {
                revision,
                path,
                before,
                now: now.clone(),
                gone,
            };
            shelf.bytes += now.text.len();
            shelf.events.push_back(Arc::new(past));
            self.store.window.shorten(shelf);
            shelf.changed.send_replace(revision);
        }
        Ok(())
    }

    fn remember(&self, value: Arc<Value>) {
        let mut recent = self.store.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() == RECENT {
            recent.pop_front();
        }
        recent.push_back(value);
    }
}

impl EventWindow {
    fn shorten(&self, shelf: &mut Shelf) {
        while shelf.events.len() > self.events.max(1) || (shelf.bytes > self.bytes && shelf.events.len() > 1) {
            if let Some(past) = shelf.events.pop_front() {
                shelf.bytes -= past.now.text.len();
                shelf.forgotten = past.revision;
            }
        }
    }
}
