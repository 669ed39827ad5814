//! New objects.

use std::sync::Arc;

use objects::{Cause, Kind, Reason, Status, kind, meta, name};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    Api, Attempt, Object, Part, Verb, View, WriteOptions,
    metadata::{address, bad, clear, now, random, set},
    owners::Writing,
    store::{Write, Writer},
    strategy,
};

/// How often a generated name is made anew when it is taken.
const NAMES_TRIED: usize = 8;

impl Api {
    /// As [`Api::create`].
    ///
    /// # Errors
    /// As [`Api::create`].
    pub fn create_with(
        &self,
        kind: &'static Kind,
        namespace: &str,
        mut object: Value,
        options: &WriteOptions,
    ) -> Result<Object, Status> {
        self.check_link()?;
        if !kind.stored {
            return self.bind_object(namespace, &object, options).map(Arc::new);
        }
        address(kind, namespace, &mut object)?;
        let base = meta::generate_name(&object).to_owned();
        if !meta::name(&object).is_empty() || base.is_empty() {
            let writer = self.shared.store.writer();
            return self.create_alone(&writer, kind, object, &options.owning());
        }
        let mut tries = 0;
        loop {
            tries += 1;
            let mut named = object.clone();
            set(&mut named, "name", name::generate(&base, random()));
            let writer = self.shared.store.writer();
            match self.create_alone(&writer, kind, named, &options.owning()) {
                Err(status) if status.reason == Reason::AlreadyExists && tries < NAMES_TRIED => {}
                done => return done,
            }
        }
    }

    pub(crate) fn create_alone(
        &self,
        writer: &Writer<'_>,
        kind: &'static Kind,
        mut object: Value,
        writing: &Writing<'_>,
    ) -> Result<Object, Status> {
        if !meta::resource_version(&object).is_empty() {
            return Err(bad("resourceVersion should not be set on objects to be created"));
        }
        let name = meta::name(&object).to_owned();
        let namespace = meta::namespace(&object).to_owned();
        if name.is_empty() {
            let cause = Cause {
                reason: "FieldValueRequired".into(),
                message: "Required value: name or generateName is required".into(),
                field: "metadata.name".into(),
            };
            return Err(Status::invalid(kind, "", vec![cause]));
        }
        self.check_namespace(kind, &namespace, &name)?;
        for field in [
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "selfLink",
            "resourceVersion",
        ] {
            clear(&mut object, field);
        }
        set(&mut object, "uid", Uuid::new_v4().to_string());
        set(&mut object, "creationTimestamp", now());
        objects::default::apply(kind, &mut object);
        self.admit(&mut Attempt {
            kind,
            part: Part::Main,
            verb: Verb::Create,
            namespace: &namespace,
            name: &name,
            object: Some(&mut object),
            old: None,
            user: &self.user,
            dry_run: writing.dry_run,
            store: &View(&self.shared.store),
        })?;
        // What is admitted may ask for more than what was sent: its class follows from that.
        strategy::before_create(kind, &mut object);
        let faults = objects::validate::create(kind, &object);
        if !faults.is_empty() {
            return Err(Status::invalid(kind, &name, faults));
        }
        writing.own(kind, None, &mut object, Part::Main);
        if self.shared.store.get(kind, &namespace, &name).is_some() {
            return Err(Status::already_exists(kind, &name));
        }
        if writing.dry_run {
            return Ok(Arc::new(object));
        }
        set(&mut object, "resourceVersion", writer.next().to_string());
        let object = Arc::new(object);
        writer.commit(kind, (namespace, name), &Write::Put(&object))?;
        Ok(object)
    }

    pub(crate) fn admit(&self, attempt: &mut Attempt<'_>) -> Result<(), Status> {
        self.shared.admission.iter().try_for_each(|one| one.admit(attempt))
    }

    fn check_namespace(&self, kind: &Kind, namespace: &str, name: &str) -> Result<(), Status> {
        let Some(namespaces) = kind::find("", "v1", "namespaces").filter(|_| kind.namespaced) else {
            return Ok(());
        };
        let Some(stored) = self.shared.store.get(namespaces, "", namespace) else {
            return Err(Status::not_found(namespaces, namespace));
        };
        if !meta::is_deleting(&stored.value()) {
            return Ok(());
        }
        let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
        let mut status = Status::forbidden(kind, name, &why);
        if let Some(details) = &mut status.details {
            details.causes.push(Cause {
                reason: "NamespaceTerminating".into(),
                message: format!("namespace {namespace} is being terminated"),
                field: "metadata.namespace".into(),
            });
        }
        Err(status)
    }
}
