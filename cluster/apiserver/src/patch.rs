//! Changes that say only what changes.

use std::{sync::Arc, time::SystemTime};

use objects::{
    Kind, Reason, Status, meta,
    patch::{self, managed::Manager},
    schema,
    strict::{self, Mode},
};
use serde_json::Value;

use crate::{
    Api, Object, Part, WriteOptions,
    metadata::{address, address_as, bad, set},
    owners::Writing,
    scale,
    store::Writer,
};

/// A change.
#[derive(Debug, Clone, PartialEq)]
pub enum Patch {
    /// RFC 7386.
    Merge(Value),
    /// As a merge, but lists are merged by their keys.
    Strategic(Value),
    /// RFC 6902.
    Json(Value),
    /// Server-side apply: what somebody wants of the object, who owns it from then on.
    Apply {
        /// The fields that are wanted.
        object: Value,
        /// Whose they are.
        manager: String,
        /// Whether fields that are somebody else's are taken.
        force: bool,
    },
}

/// What a patch made.
#[derive(Debug, Clone)]
pub struct Patched {
    /// The object, or its Scale.
    pub object: Object,
    /// Whether it was not there before.
    pub created: bool,
    /// Faults that kept nothing from being written.
    pub warnings: Vec<String>,
}

impl Api {
    /// Changes an object as a patch says.
    ///
    /// # Errors
    /// `NotFound`, `BadRequest` for a patch that cannot be read, `Conflict` for one that sets another resource version,
    /// and as [`Api::update`].
    pub fn patch(
        &self,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
        patch: &Patch,
        part: Part,
    ) -> Result<Object, Status> {
        let options = WriteOptions::default();
        self.patch_with(kind, namespace, name, patch, part, Mode::Ignore, &options)
            .map(|patched| patched.object)
    }

    /// As [`Api::patch`]; the mode says what becomes of fields that are not known.
    ///
    /// # Errors
    /// As [`Api::patch`].
    #[expect(clippy::too_many_arguments, reason = "each of them is a part of one request")]
    pub fn patch_with(
        &self,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
        patch: &Patch,
        part: Part,
        mode: Mode,
        options: &WriteOptions,
    ) -> Result<Patched, Status> {
        self.check_link()?;
        let writer = self.shared.store.writer();
        if let Patch::Apply { object, manager, force } = patch {
            let wanted = Wanted {
                object: object.clone(),
                manager,
                force: *force,
            };
            return self.apply(&writer, kind, (namespace, name), wanted, part, options);
        }
        let old = self.get(kind, namespace, name)?;
        let (message, base) = match part {
            Part::Scale => (scale::message()?, Arc::new(scale::of(kind, &old))),
            _ => (schema::message(kind), old.clone()),
        };
        let new = match patch {
            Patch::Merge(patch) => patch::merge::merge(&base, patch)?,
            Patch::Strategic(patch) => patch::strategic::strategic_as(message, &base, patch)?,
            Patch::Json(patch) => patch::json::json(&base, patch)?,
            Patch::Apply { .. } => unreachable!("applied above"),
        };
        let decoded = strict::settle_patched(message, new, mode)?;
        let mut new = decoded.object;
        match part {
            Part::Scale => address_as("autoscaling/v1", "Scale", &mut new)?,
            _ => address(kind, namespace, &mut new)?,
        }
        check_name(&new, name)?;
        let object = if part == Part::Scale {
            let new = scale::applied(kind, &old, &new)?;
            let new = self.replace(&writer, kind, &old, new, part, &options.owning())?;
            Arc::new(scale::of(kind, &new))
        } else {
            self.replace(&writer, kind, &old, new, part, &options.owning())?
        };
        Ok(Patched {
            object,
            created: false,
            warnings: decoded.warnings,
        })
    }

    fn apply(
        &self,
        writer: &Writer<'_>,
        kind: &'static Kind,
        (namespace, name): (&str, &str),
        mut wanted: Wanted<'_>,
        part: Part,
        options: &WriteOptions,
    ) -> Result<Patched, Status> {
        if part == Part::Scale {
            return Err(unknown_type(
                "application/json-patch+json, application/merge-patch+json",
            ));
        }
        address(kind, namespace, &mut wanted.object)?;
        if meta::name(&wanted.object).is_empty() {
            set(&mut wanted.object, "name", name);
        }
        check_name(&wanted.object, name)?;
        let live = self
            .shared
            .store
            .get(kind, namespace, name)
            .map(|stored| stored.value());
        let manager = Manager {
            name: wanted.manager,
            subresource: part.subresource(),
            now: SystemTime::now(),
        };
        let new = patch::apply::apply(kind, live.as_deref(), &wanted.object, &manager, wanted.force)?;
        let writing = Writing::applied(options.dry_run);
        let (object, created) = match live {
            Some(old) => (self.replace(writer, kind, &old, new, part, &writing)?, false),
            None if part == Part::Main => (self.create_alone(writer, kind, new, &writing)?, true),
            None => return Err(Status::not_found(kind, name)),
        };
        Ok(Patched {
            object,
            created,
            warnings: Vec::new(),
        })
    }
}

/// What is applied.
struct Wanted<'a> {
    object: Value,
    manager: &'a str,
    force: bool,
}

fn check_name(object: &Value, name: &str) -> Result<(), Status> {
    let said = meta::name(object);
    if said != name {
        return Err(bad(format!(
            "the name of the object ({said}) does not match the name on the URL ({name})"
        )));
    }
    Ok(())
}

pub(crate) fn unknown_type(accepted: &str) -> Status {
    Status::new(
        Reason::UnsupportedMediaType,
        format!("the body of the request was in an unknown format - accepted media types include: {accepted}"),
    )
}
