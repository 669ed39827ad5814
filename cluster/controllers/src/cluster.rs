//! The cluster as a controller has it: what is known of it, and a way to change it.

use std::sync::Arc;

use apiserver::{Api, DeleteOptions, ListQuery, Part, Preconditions};
use objects::{Kind, Reason, Status, meta};
use serde_json::Value;

use crate::kinds::NAMESPACE;
use crate::world::{Object, World};

/// What is written here is known at once, to all controllers.
pub(crate) struct Cluster {
    pub(crate) world: Arc<World>,
    api: Api,
    component: &'static str,
}

impl Cluster {
    pub(crate) fn new(api: Api, world: Arc<World>, component: &'static str) -> Self {
        Self { world, api, component }
    }

    /// Past the cache: as the store has it.
    ///
    /// # Errors
    /// What the API refuses, but for `NotFound`.
    pub(crate) fn ask(&self, kind: &'static Kind, namespace: &str, name: &str) -> Result<Option<Object>, Status> {
        match self.api.get(kind, namespace, name) {
            Ok(object) => Ok(Some(object)),
            Err(status) if status.reason == Reason::NotFound => Ok(None),
            Err(status) => Err(status),
        }
    }

    /// Past the cache: all that there is in a namespace.
    ///
    /// # Errors
    /// What the API refuses.
    pub(crate) fn ask_all(&self, kind: &'static Kind, namespace: &str) -> Result<Vec<Object>, Status> {
        let all = self.api.list(kind, Some(namespace), &ListQuery::default())?;
        Ok(all.items)
    }

    pub(crate) fn create(&self, kind: &'static Kind, namespace: &str, object: Value) -> Result<Object, Status> {
        let made = self.api.create(kind, namespace, object)?;
        self.world.put(kind, &made);
        Ok(made)
    }

    /// Changes an object that is known, if it is still that one; nothing if it is gone.
    pub(crate) fn edit(
        &self,
        kind: &'static Kind,
        object: &Value,
        part: Part,
        mut change: impl FnMut(&mut Value),
    ) -> Result<(), Status> {
        let uid = meta::uid(object);
        let edited = self
            .api
            .edit(kind, meta::namespace(object), meta::name(object), part, |found| {
                if meta::uid(found) == uid {
                    change(found);
                }
            });
        match edited {
            Ok(now) if meta::uid(&now) == uid && is_released(kind, &now) => self.world.remove(kind, uid),
            Ok(now) if meta::uid(&now) == uid => self.world.put(kind, &now),
            Ok(_) => {}
            Err(status) if status.reason == Reason::NotFound => {}
            Err(status) => return Err(status),
        }
        Ok(())
    }

    /// Replaces the status.
    pub(crate) fn set_status(&self, kind: &'static Kind, object: &Value, status: &Value) -> Result<(), Status> {
        if object.get("status") == Some(status) {
            return Ok(());
        }
        self.edit(kind, object, Part::Status, |found| {
            meta::set(found, &["status"], status.clone());
        })
    }

    /// Replaces the status, unless somebody else wrote the object meanwhile.
    ///
    /// # Errors
    /// What the API refuses; `Conflict` if somebody was faster.
    pub(crate) fn replace_status(&self, kind: &'static Kind, object: &Value, status: &Value) -> Result<(), Status> {
        if object.get("status") == Some(status) {
            return Ok(());
        }
        let mut new = object.clone();
        meta::set(&mut new, &["status"], status.clone());
        let written = self.api.update(kind, meta::namespace(object), new, Part::Status)?;
        self.world.put(kind, &written);
        Ok(())
    }

    /// Deletes an object that is known, if it is still that one.
    pub(crate) fn delete(&self, kind: &'static Kind, object: &Value, options: DeleteOptions) -> Result<(), Status> {
        let uid = meta::uid(object);
        let options = DeleteOptions {
            preconditions: Preconditions {
                uid: Some(uid.to_owned()),
                ..options.preconditions
            },
            ..options
        };
        match self
            .api
            .delete(kind, meta::namespace(object), meta::name(object), &options)
        {
            Ok(Some(left)) => self.world.put(kind, &left),
            Ok(None) => self.world.remove(kind, uid),
            // Another one of that name, or none: it is gone.
            Err(status) if matches!(status.reason, Reason::NotFound | Reason::Conflict) => {}
            Err(status) => return Err(status),
        }
        Ok(())
    }

    /// Tells people about it.
    pub(crate) fn tell(&self, about: &Value, reason: &str, message: &str) {
        self.api.record(about, "Normal", reason, message, self.component);
    }

    pub(crate) fn warn(&self, about: &Value, reason: &str, message: &str) {
        self.api.record(about, "Warning", reason, message, self.component);
    }
}

/// Whether an object went with the last thing that held it.
fn is_released(kind: &Kind, object: &Value) -> bool {
    meta::is_deleting(object)
        && meta::deletion_grace(object).unwrap_or_default() == 0
        && meta::finalizers(object).next().is_none()
        && (kind != NAMESPACE || meta::list(object, &["spec", "finalizers"]).is_empty())
}
