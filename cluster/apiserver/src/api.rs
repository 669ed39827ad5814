//! The client in the same process, which is also what the HTTPS server calls.

use std::{fmt, path::PathBuf, sync::Arc};

use objects::{
    Kind, Reason, Status, kind, meta,
    selector::{Fields, Labels},
};
use serde_json::{Value, json};

use crate::{
    Admission, DeleteOptions, Link, StreamRegistry, User, Watch, WatchQuery,
    event::Events,
    page::{NoPage, Page, page},
    store::{Path, Store},
    stored::Stored,
    token::Secret,
};

/// An object as JSON. Clones share it.
pub type Object = Arc<Value>;

/// How much of the past is remembered of each kind, so that watches can begin there. The smaller of both counts.
#[derive(Debug, Clone, Copy)]
pub struct EventWindow {
    /// How many events.
    pub events: usize,
    /// How many bytes of JSON text.
    pub bytes: usize,
}

impl Default for EventWindow {
    fn default() -> Self {
        Self {
            events: 8192,
            bytes: 24 << 20,
        }
    }
}

/// What an API is made of.
#[derive(Default)]
pub struct Settings {
    /// In the order in which they are asked.
    pub admission: Vec<Arc<dyn Admission>>,
    /// Of each kind.
    pub event_window: EventWindow,
    /// A file in which every write is kept before it is acknowledged, and whose objects are there at the start.
    pub keep: Option<PathBuf>,
}

/// Which part of an object is read or written; the rest stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All but the status.
    Main,
    /// The status.
    Status,
    /// A namespace's `spec.finalizers`.
    Finalize,
    /// An `autoscaling/v1` Scale, which stands for the replicas of the object.
    Scale,
}

/// What a resource version in a list query means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VersionMatch {
    /// Anything that is at least as new.
    #[default]
    NotOlderThan,
    /// As it was then.
    Exact,
}

/// Which objects.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Whose labels match.
    pub labels: Labels,
    /// Whose fields match.
    pub fields: Fields,
    /// At most so many; the rest can be had with [`List::resume`].
    pub limit: Option<usize>,
    /// What an earlier list returned as [`List::resume`].
    pub resume: Option<String>,
    /// As a client sends it: empty, `0`, or a number.
    pub resource_version: String,
    /// How the resource version is meant.
    pub version_match: VersionMatch,
}

/// Objects of one kind.
#[derive(Debug, Clone)]
pub struct List {
    /// In the order of namespace and name.
    pub items: Vec<Object>,
    /// Of the whole store when the list was made; a watch can begin here.
    pub resource_version: u64,
    /// What to ask with for the next piece (`continue`), when there is one.
    pub resume: Option<String>,
    /// How many are left, when that is known.
    pub remaining: Option<u64>,
}

/// How a write is meant.
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    /// Everything is checked, nothing is written.
    pub dry_run: bool,
    /// Who owns the fields that change (`metadata.managedFields`); without, their owners stay as they are.
    pub manager: Option<String>,
}

pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) admission: Vec<Arc<dyn Admission>>,
    pub(crate) streams: StreamRegistry,
    pub(crate) events: Events,
    pub(crate) secret: Secret,
}

/// The API, as one user. Clones are cheap and see the same objects.
#[derive(Clone)]
pub struct Api {
    pub(crate) shared: Arc<Shared>,
    pub(crate) user: Arc<User>,
    pub(crate) link: Option<Link>,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("user", &self.user).finish_non_exhaustive()
    }
}

/// The namespaces that are always there.
pub(crate) const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

impl Api {
    /// An API with nothing in it but the namespaces that every cluster has, acting as the cluster itself.
    ///
    /// # Errors
    /// What an admission plugin says against one of the namespaces, or `InternalError` where nothing can be kept.
    pub fn new(settings: Settings) -> Result<Self, Status> {
        let mut store = Store::new(settings.event_window);
        let secret = match &settings.keep {
            Some(file) => store.keep_in(file)?,
            None => Secret::new()?,
        };
        let api = Self {
            shared: Arc::new(Shared {
                store,
                admission: settings.admission,
                streams: StreamRegistry::default(),
                events: Events::default(),
                secret,
            }),
            user: Arc::new(User::system("apiserver")),
            link: None,
        };
        for name in NAMESPACES {
            if let Some(kind) = kind::find("", "v1", "namespaces").filter(|kind| api.get(kind, "", name).is_err()) {
                api.create(kind, "", json!({"metadata": {"name": name}}))?;
            }
        }
        Ok(api)
    }

    /// The same objects, asked for by somebody else.
    pub fn acting_as(&self, user: User) -> Self {
        Self {
            user: Arc::new(user),
            ..self.clone()
        }
    }

    /// The same objects, behind a way that can be cut.
    pub fn behind(&self, link: Link) -> Self {
        Self {
            link: Some(link),
            ..self.clone()
        }
    }

    /// Who acts.
    pub fn user(&self) -> &User {
        &self.user
    }

    /// Where node agents say that they serve logs and commands.
    pub fn streams(&self) -> &StreamRegistry {
        &self.shared.streams
    }

    /// The revision of the last write.
    pub fn revision(&self) -> u64 {
        self.shared.store.read().revision
    }

    /// Forgets every event, as a compaction does: watches and lists of older revisions are answered `Expired`.
    pub fn compact(&self) {
        self.shared.store.forget();
    }

    pub(crate) fn check_link(&self) -> Result<(), Status> {
        self.link.as_ref().map_or(Ok(()), Link::check)
    }

    /// One object.
    ///
    /// # Errors
    /// `NotFound`, or `ServiceUnavailable` behind a cut link.
    pub fn get(&self, kind: &'static Kind, namespace: &str, name: &str) -> Result<Object, Status> {
        Ok(self.get_stored(kind, namespace, name)?.value())
    }

    pub(crate) fn get_stored(&self, kind: &Kind, namespace: &str, name: &str) -> Result<Arc<Stored>, Status> {
        self.check_link()?;
        let found = self.shared.store.get(kind, namespace, name);
        found.ok_or_else(|| Status::not_found(kind, name))
    }

    /// Objects of a kind in one namespace, or in all.
    ///
    /// # Errors
    /// `Expired` for a revision that is forgotten, `BadRequest` for a query that makes no sense.
    pub fn list(&self, kind: &'static Kind, namespace: Option<&str>, query: &ListQuery) -> Result<List, Status> {
        let page = self.list_stored(kind, namespace, query).map_err(|none| none.status)?;
        Ok(List {
            items: page.items.iter().map(|stored| stored.value()).collect(),
            resource_version: page.revision,
            resume: page.next,
            remaining: page.remaining,
        })
    }

    pub(crate) fn list_stored(&self, kind: &Kind, namespace: Option<&str>, query: &ListQuery) -> Result<Page, NoPage> {
        self.check_link()?;
        page(&self.shared.store.read(), kind, namespace, query)
    }

    /// Changes of a kind in one namespace, or in all.
    ///
    /// # Errors
    /// `Expired` when the revision to begin at is forgotten.
    pub fn watch(&self, kind: &'static Kind, namespace: Option<&str>, query: &WatchQuery) -> Result<Watch, Status> {
        self.check_link()?;
        Watch::start(self.shared.clone(), self.link.clone(), kind, namespace, query)
    }

    /// A new object.
    ///
    /// # Errors
    /// `AlreadyExists`, `Invalid`, `NotFound` or `Forbidden` for its namespace, or what admission says.
    pub fn create(&self, kind: &'static Kind, namespace: &str, object: Value) -> Result<Object, Status> {
        self.create_with(kind, namespace, object, &WriteOptions::default())
    }

    /// An object in place of the one that is there. A resource version in it must be that of the one that is there.
    ///
    /// # Errors
    /// `NotFound`, `Conflict`, `Invalid`, or what admission says.
    pub fn update(&self, kind: &'static Kind, namespace: &str, object: Value, part: Part) -> Result<Object, Status> {
        self.update_with(kind, namespace, object, part, &WriteOptions::default())
    }

    /// Reads, changes and writes, again whenever somebody else was faster. What is not changed is not written.
    ///
    /// # Errors
    /// As [`Api::update`], but for `Conflict` unless the change itself sets a resource version.
    pub fn edit(
        &self,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
        part: Part,
        mut change: impl FnMut(&mut Value),
    ) -> Result<Object, Status> {
        loop {
            let old = self.get(kind, namespace, name)?;
            let mut new = Value::clone(&old);
            change(&mut new);
            if new == *old {
                return Ok(old);
            }
            match self.update(kind, namespace, new, part) {
                Err(status) if status.reason == Reason::Conflict && self.is_stale(kind, &old) => {}
                done => return done,
            }
        }
    }

    fn is_stale(&self, kind: &Kind, old: &Value) -> bool {
        let now = self.shared.store.get(kind, meta::namespace(old), meta::name(old));
        now.is_none_or(|now| Some(now.revision) != meta::revision(old))
    }

    /// Deletes an object, or begins to: a pod that runs is given its grace, and finalizers are waited for.
    /// What is returned is the object where it is still there.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` for a precondition that does not hold, or what admission says.
    pub fn delete(
        &self,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<Option<Object>, Status> {
        self.delete_with(kind, namespace, name, options)
            .map(|deleted| deleted.left)
    }
}

impl ListQuery {
    pub(crate) fn selects(&self) -> bool {
        !(self.labels.is_everything() && self.fields.is_everything())
    }

    pub(crate) fn takes(&self, path: &Path, stored: &Stored) -> bool {
        if !self.selects() {
            return true;
        }
        // A name is known without parsing.
        if self.fields.required("metadata.name").is_some_and(|name| name != path.1) {
            return false;
        }
        let value = stored.value();
        self.labels.matches_object(&value) && self.fields.matches(&value)
    }
}
