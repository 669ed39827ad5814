//! What may change or refuse a write, between its defaults and its validation.

use objects::{Kind, Status};
use serde_json::Value;

use crate::{Object, Part, User, store::Store};

/// One plugin. It is called while nobody else writes, so that what it reads is true until the write is done; it must
/// not call the [`crate::Api`] itself.
pub trait Admission: Send + Sync {
    /// Changes the object, or refuses the attempt.
    ///
    /// # Errors
    /// The refusal, which the client gets as it is.
    fn admit(&self, attempt: &mut Attempt<'_>) -> Result<(), Status>;
}

/// What is attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// An object that was not there.
    Create,
    /// Also by a patch.
    Update,
    /// Also where it only begins to go.
    Delete,
}

/// A write that is about to be made.
pub struct Attempt<'a> {
    /// Of what.
    pub kind: &'static Kind,
    /// Which part of the object.
    pub part: Part,
    /// How.
    pub verb: Verb,
    /// Empty where there is none.
    pub namespace: &'a str,
    /// Of the object.
    pub name: &'a str,
    /// The object as it would be written; nothing when deleting.
    pub object: Option<&'a mut Value>,
    /// As it is now; nothing when creating.
    pub old: Option<&'a Value>,
    /// Who attempts it.
    pub user: &'a User,
    /// Whether nothing will be written.
    pub dry_run: bool,
    /// Everything else.
    pub store: &'a View<'a>,
}

/// A look at all objects while nobody writes.
pub struct View<'a>(pub(crate) &'a Store);

impl View<'_> {
    /// One object.
    pub fn get(&self, kind: &Kind, namespace: &str, name: &str) -> Option<Object> {
        self.0.get(kind, namespace, name).map(|stored| stored.value())
    }

    /// The objects of a kind, in one namespace or in all; each is parsed as it is asked for.
    pub fn list(&self, kind: &Kind, namespace: Option<&str>) -> impl Iterator<Item = Object> + use<> {
        self.0.all(kind, namespace).into_iter().map(|stored| stored.value())
    }
}
