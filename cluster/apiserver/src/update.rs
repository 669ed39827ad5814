//! Objects in place of those that are there.

use std::sync::Arc;

use objects::{Cause, Kind, Status, meta};
use serde_json::Value;

use crate::{
    Api, Attempt, Object, Part, Verb, View, WriteOptions,
    metadata::{address, bad, set},
    owners::Writing,
    scale,
    store::{Write, Writer},
    strategy,
};

const MODIFIED: &str = "the object has been modified; please apply your changes to the latest version and try again";

impl Api {
    /// As [`Api::update`].
    ///
    /// # Errors
    /// As [`Api::update`].
    pub fn update_with(
        &self,
        kind: &'static Kind,
        namespace: &str,
        mut object: Value,
        part: Part,
        options: &WriteOptions,
    ) -> Result<Object, Status> {
        self.check_link()?;
        let writer = self.shared.store.writer();
        if part == Part::Scale {
            let name = meta::name(&object).to_owned();
            let old = self.get(kind, namespace, &name)?;
            let new = scale::applied(kind, &old, &object)?;
            let new = self.replace(&writer, kind, &old, new, part, &options.owning())?;
            return Ok(Arc::new(scale::of(kind, &new)));
        }
        address(kind, namespace, &mut object)?;
        let name = meta::name(&object).to_owned();
        if name.is_empty() {
            return Err(bad("name must be provided"));
        }
        let Some(stored) = self.shared.store.get(kind, namespace, &name) else {
            if part == Part::Main && strategy::is_made_by_update(kind) && meta::resource_version(&object).is_empty() {
                return self.create_alone(&writer, kind, object, &options.owning());
            }
            return Err(Status::not_found(kind, &name));
        };
        if meta::resource_version(&object).is_empty() && strategy::needs_version(kind) {
            let cause = Cause {
                reason: "FieldValueInvalid".into(),
                message: "Invalid value: 0: must be specified for an update".into(),
                field: "metadata.resourceVersion".into(),
            };
            return Err(Status::invalid(kind, &name, vec![cause]));
        }
        self.replace(&writer, kind, &stored.value(), object, part, &options.owning())
    }

    /// Writes `new`, which says which object it is, in place of `old`.
    pub(crate) fn replace(
        &self,
        writer: &Writer<'_>,
        kind: &'static Kind,
        old: &Object,
        mut new: Value,
        part: Part,
        writing: &Writing<'_>,
    ) -> Result<Object, Status> {
        let name = meta::name(old);
        let namespace = meta::namespace(old);
        let wanted = meta::resource_version(&new);
        if !wanted.is_empty() && wanted != "0" && wanted != meta::resource_version(old) {
            return Err(Status::conflict(kind, name, MODIFIED));
        }
        let uid = meta::uid(&new);
        if !uid.is_empty() && uid != meta::uid(old) {
            let why = format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                meta::uid(old)
            );
            return Err(Status::conflict(kind, name, &why));
        }
        objects::default::apply(kind, &mut new);
        strategy::before_update(kind, part, old, &mut new);
        self.admit(&mut Attempt {
            kind,
            part,
            verb: Verb::Update,
            namespace,
            name,
            object: Some(&mut new),
            old: Some(old),
            user: &self.user,
            dry_run: writing.dry_run,
            store: &View(&self.shared.store),
        })?;
        set(&mut new, "resourceVersion", meta::resource_version(old));
        let faults = match part {
            Part::Status => objects::validate::status(kind, old, &new),
            Part::Main | Part::Scale | Part::Finalize => objects::validate::update(kind, old, &new),
        };
        if !faults.is_empty() {
            return Err(Status::invalid(kind, name, faults));
        }
        writing.own(kind, Some(old), &mut new, part);
        self.put(writer, kind, old, new, writing.dry_run)
    }

    /// Writes an object that is checked; where nothing holds it any more, it goes.
    pub(crate) fn put(
        &self,
        writer: &Writer<'_>,
        kind: &'static Kind,
        old: &Object,
        mut new: Value,
        dry_run: bool,
    ) -> Result<Object, Status> {
        let ends = is_released(kind, old, &new);
        if new == **old && !ends {
            return Ok(old.clone());
        }
        if dry_run {
            return Ok(Arc::new(new));
        }
        set(&mut new, "resourceVersion", writer.next().to_string());
        let path = (meta::namespace(old).to_owned(), meta::name(old).to_owned());
        let new = Arc::new(new);
        let write = if ends { Write::Remove(&new) } else { Write::Put(&new) };
        writer.commit(kind, path, &write)?;
        Ok(new)
    }
}

/// Whether an object that was only held by its finalizers can go.
fn is_released(kind: &Kind, old: &Value, new: &Value) -> bool {
    let finalized = kind.kind != "Namespace" || meta::list(new, &["spec", "finalizers"]).is_empty();
    meta::is_deleting(new)
        && meta::deletion_grace(old).unwrap_or(0) == 0
        && meta::finalizers(new).next().is_none()
        && finalized
}
