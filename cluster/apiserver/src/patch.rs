//! Changes that say only what changes.

use std::sync::Arc;

use objects::{
    Kind, Reason, Status, meta, patch, schema,
    strict::{self, Mode},
};
use serde_json::Value;

use crate::{
    Api, Object, Part, WriteOptions,
    metadata::{address, address_as, bad},
    scale,
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
}

/// What a patch made.
#[derive(Debug, Clone)]
pub struct Patched {
    /// The object, or its Scale.
    pub object: Object,
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
        let old = self.get(kind, namespace, name)?;
        let (message, base) = match part {
            Part::Scale => (scale::message()?, Arc::new(scale::of(kind, &old))),
            _ => (schema::message(kind), old.clone()),
        };
        let new = match patch {
            Patch::Merge(patch) => patch::merge::merge(&base, patch)?,
            Patch::Strategic(patch) => patch::strategic::strategic_as(message, &base, patch)?,
            Patch::Json(patch) => patch::json::json(&base, patch)?,
        };
        let decoded = strict::settle_patched(message, new, mode)?;
        let mut new = decoded.object;
        match part {
            Part::Scale => address_as("autoscaling/v1", "Scale", &mut new)?,
            _ => address(kind, namespace, &mut new)?,
        }
        if meta::name(&new) != name {
            return Err(bad(format!(
                "the name of the object ({}) does not match the name on the URL ({name})",
                meta::name(&new)
            )));
        }
        let object = if part == Part::Scale {
            let new = scale::applied(kind, &old, &new)?;
            let new = self.replace(&writer, kind, &old, new, part, options)?;
            Arc::new(scale::of(kind, &new))
        } else {
            self.replace(&writer, kind, &old, new, part, options)?
        };
        Ok(Patched {
            object,
            warnings: decoded.warnings,
        })
    }
}

pub(crate) fn unknown_type(accepted: &str) -> Status {
    Status::new(
        Reason::UnsupportedMediaType,
        format!("the body of the request was in an unknown format - accepted media types include: {accepted}"),
    )
}
