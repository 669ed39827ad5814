//! Changes of one kind, from a revision on.

use std::{collections::VecDeque, sync::Arc};

use objects::{Kind, Reason, Status, meta};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    Link, Object,
    api::{ListQuery, Shared},
    page,
    store::{Past, Path},
    stored::Stored,
};

/// How many events are fetched at once.
const BATCH: usize = 64;

/// What to watch.
#[derive(Debug, Clone, Default)]
pub struct WatchQuery {
    /// Selectors, and the revision after which to begin; without one, each object that is there comes first as added.
    pub list: ListQuery,
    /// Whether to send a bookmark once the objects that are there were sent (`sendInitialEvents`).
    pub initial_events: bool,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// It is new, or new to the selector.
    Added,
    /// It changed.
    Modified,
    /// It is gone, or out of the selector; this is its last state.
    Deleted,
    /// Nothing happened up to this revision.
    Bookmark,
}

/// One change.
#[derive(Debug, Clone)]
pub struct WatchEvent {
    /// What happened.
    pub kind: EventKind,
    /// The object after it.
    pub object: Object,
    /// Of the change.
    pub resource_version: u64,
}

/// The same, not parsed.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) kind: EventKind,
    pub(crate) stored: Arc<Stored>,
    pub(crate) revision: u64,
}

/// A stream of changes. It holds no more than a few events itself; who reads too slowly is cut off with `Expired`.
pub struct Watch {
    shared: Arc<Shared>,
    link: Option<Link>,
    kind: &'static Kind,
    namespace: Option<String>,
    query: ListQuery,
    changes: watch::Receiver<u64>,
    /// Everything up to this revision was sent, or is in `ready`.
    revision: u64,
    initial: VecDeque<Arc<Stored>>,
    marker: Option<u64>,
    ready: VecDeque<Arc<Past>>,
    ended: Option<Status>,
}

impl Watch {
    pub(crate) fn start(
        shared: Arc<Shared>,
        link: Option<Link>,
        kind: &'static Kind,
        namespace: Option<&str>,
        query: &WatchQuery,
    ) -> Result<Self, Status> {
        let list = &query.list;
        let since = page::version(&list.resource_version)?;
        let state = shared.store.read();
        let Some(shelf) = state.shelf(kind) else {
            return Err(Status::new(Reason::MethodNotAllowed, "the kind cannot be watched"));
        };
        if let Some(since) = since.filter(|since| *since > state.revision) {
            return Err(page::too_large(since, state.revision));
        }
        let from_now = query.initial_events || since.is_none();
        let mut initial = VecDeque::new();
        let revision = match since {
            Some(since) if !from_now => since,
            _ => {
                let everything = ListQuery {
                    limit: None,
                    resume: None,
                    resource_version: String::new(),
                    ..list.clone()
                };
                let all = page::page(&state, kind, namespace, &everything).map_err(|none| none.status)?;
                initial.extend(all.items);
                state.revision
            }
        };
        if revision < shelf.forgotten {
            return Err(page::expired(revision, shelf.forgotten));
        }
        let changes = shelf.changes();
        drop(state);
        Ok(Self {
            link,
            kind,
            namespace: namespace.map(str::to_owned),
            query: list.clone(),
            changes,
            revision,
            initial,
            marker: query.initial_events.then_some(revision),
            ready: VecDeque::new(),
            ended: None,
            shared,
        })
    }

    /// The next change; nothing when the watch has ended, for which [`Watch::ended`] may give a reason.
    ///
    /// Dropping the future loses no change.
    pub async fn next(&mut self) -> Option<WatchEvent> {
        let seen = self.next_stored().await?;
        Some(WatchEvent {
            kind: seen.kind,
            object: seen.stored.value(),
            resource_version: seen.revision,
        })
    }

    /// Why it ended: `Expired` when the reader was too slow, `ServiceUnavailable` when its link was cut.
    pub fn ended(&self) -> Option<&Status> {
        self.ended.as_ref()
    }

    /// The revision up to which everything was told, as a bookmark says it.
    pub fn revision(&self) -> u64 {
        match self.ready.front() {
            Some(past) => past.revision - 1,
            None => self.revision,
        }
    }

    /// Whether everything that was there at first was told.
    pub(crate) fn is_settled(&self) -> bool {
        self.initial.is_empty() && self.marker.is_none()
    }

    pub(crate) async fn next_stored(&mut self) -> Option<Seen> {
        loop {
            if let Some(Err(cut)) = self.link.as_ref().map(Link::check) {
                self.ended = Some(cut);
            }
            if self.ended.is_some() {
                return None;
            }
            if let Some(stored) = self.initial.pop_front() {
                let revision = stored.revision;
                return Some(Seen {
                    kind: EventKind::Added,
                    stored,
                    revision,
                });
            }
            if let Some(revision) = self.marker.take() {
                return Some(self.bookmark(revision, true));
            }
            while let Some(past) = self.ready.pop_front() {
                if let Some(seen) = self.look(&past) {
                    return Some(seen);
                }
            }
            self.changes.borrow_and_update();
            match self.fetch() {
                Err(expired) => self.ended = Some(expired),
                Ok(()) if self.ready.is_empty() => self.wait().await,
                Ok(()) => {}
            }
        }
    }

    /// A bookmark; `initial` marks the end of what was there when a streaming list began.
    pub(crate) fn bookmark(&self, revision: u64, initial: bool) -> Seen {
        let mut object = json!({
            "kind": self.kind.kind, "apiVersion": self.kind.api_version(),
            "metadata": {"resourceVersion": revision.to_string(), "creationTimestamp": null},
        });
        if initial {
            object["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        Seen {
            kind: EventKind::Bookmark,
            stored: Arc::new(Stored::kept(revision, &object)),
            revision,
        }
    }

    async fn wait(&mut self) {
        match &self.link {
            None => {
                let _closed = self.changes.changed().await;
            }
            Some(link) => tokio::select! {
                _changed = self.changes.changed() => {}
                () = link.ended() => {}
            },
        }
    }

    fn fetch(&mut self) -> Result<(), Status> {
        let state = self.shared.store.read();
        let Some(shelf) = state.shelf(self.kind) else {
            return Ok(());
        };
        if self.revision < shelf.forgotten {
            return Err(page::expired(self.revision, shelf.forgotten));
        }
        let inside = |path: &Path| self.namespace.as_ref().is_none_or(|one| *one == path.0);
        let mut revision = state.revision;
        for past in shelf.events.range(shelf.after(self.revision)..) {
            if self.ready.len() == BATCH {
                revision = self.ready.back().map_or(revision, |last| last.revision);
                break;
            }
            if inside(&past.path) {
                self.ready.push_back(past.clone());
            }
        }
        self.revision = revision;
        Ok(())
    }

    fn look(&self, past: &Past) -> Option<Seen> {
        let takes = |stored: &Arc<Stored>| self.query.takes(&past.path, stored);
        let was = past.before.as_ref().is_some_and(takes);
        let is = !past.gone && takes(&past.now);
        let (kind, stored) = match (was, is) {
            (false, false) => return None,
            (false, true) => (EventKind::Added, past.now.clone()),
            (true, true) => (EventKind::Modified, past.now.clone()),
            (true, false) if past.gone => (EventKind::Deleted, past.now.clone()),
            (true, false) => (
                EventKind::Deleted,
                past.before.as_ref().map(|before| left(before, past.revision))?,
            ),
        };
        Some(Seen {
            kind,
            stored,
            revision: past.revision,
        })
    }
}

/// An object that left the selector: as it was last seen, at the revision of its leaving.
fn left(before: &Stored, revision: u64) -> Arc<Stored> {
    let mut object = Value::clone(&before.value());
    meta::set(&mut object, &["metadata", "resourceVersion"], revision.to_string());
    Arc::new(Stored::kept(revision, &object))
}
