//! Objects that go: at once, after their grace, or when nothing holds them any more.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use objects::{Kind, Reason, Status, meta, time};
use serde_json::Value;

use crate::{
    Api, Attempt, Object, Part, Verb, View,
    metadata::{finalizers, set, set_finalizers},
    store::{Write, Writer},
};

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";
/// Seconds of grace; more than a lifetime is not told from for ever.
const LONGEST: i64 = u32::MAX as i64;
/// Namespaces that cannot be deleted.
const IMMORTAL: [&str; 3] = ["default", "kube-public", "kube-system"];

/// What becomes of the objects that belong to the one that goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// They go later.
    Background,
    /// They go first.
    Foreground,
    /// They stay.
    Orphan,
}

/// What must hold, or nothing is deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// Its uid.
    pub uid: Option<String>,
    /// Its resource version.
    pub resource_version: Option<String>,
}

/// How to delete.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Seconds that a pod is given; without, what the pod says. Zero is at once.
    pub grace: Option<i64>,
    /// What must hold.
    pub preconditions: Preconditions,
    /// Without, finalizers stay as they are.
    pub propagation: Option<Propagation>,
    /// Everything is checked, nothing is deleted.
    pub dry_run: bool,
}

/// What is left of what was deleted.
#[derive(Debug, Clone)]
pub struct Deleted {
    /// The object, where it is still there.
    pub left: Option<Object>,
    /// As it was last.
    pub last: Object,
}

impl Api {
    /// As [`Api::delete`], and what the object was.
    ///
    /// # Errors
    /// As [`Api::delete`].
    pub fn delete_with(
        &self,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<Deleted, Status> {
        self.check_link()?;
        let writer = self.shared.store.writer();
        let old = self.get(kind, namespace, name)?;
        options.preconditions.check(kind, &old)?;
        if kind.kind == "Namespace" && IMMORTAL.contains(&name) {
            return Err(Status::forbidden(kind, name, "this namespace may not be deleted"));
        }
        self.admit(&mut Attempt {
            kind,
            part: Part::Main,
            verb: Verb::Delete,
            namespace,
            name,
            object: None,
            old: Some(&old),
            user: &self.user,
            dry_run: options.dry_run,
            store: &View(&self.shared.store),
        })?;
        self.delete_alone(&writer, kind, &old, options)
    }

    pub(crate) fn delete_alone(
        &self,
        writer: &Writer<'_>,
        kind: &'static Kind,
        old: &Object,
        options: &DeleteOptions,
    ) -> Result<Deleted, Status> {
        let mut new = Value::clone(old);
        propagate(&mut new, options.propagation);
        let grace = grace(kind, old, options.grace);
        let held = meta::finalizers(&new).next().is_some()
            || (kind.kind == "Namespace" && !meta::list(&new, &["spec", "finalizers"]).is_empty());
        let stays = held || grace > 0;
        if stays {
            begin(kind, old, &mut new, grace);
        }
        let path = (meta::namespace(old).to_owned(), meta::name(old).to_owned());
        if options.dry_run || (stays && new == **old) {
            let last = Arc::new(new);
            return Ok(Deleted {
                left: stays.then(|| last.clone()),
                last,
            });
        }
        set(&mut new, "resourceVersion", writer.next().to_string());
        let last = Arc::new(new);
        let write = if stays { Write::Put(&last) } else { Write::Remove(&last) };
        writer.commit(kind, path, &write)?;
        Ok(Deleted {
            left: stays.then(|| last.clone()),
            last,
        })
    }
}

impl Preconditions {
    fn check(&self, kind: &Kind, object: &Value) -> Result<(), Status> {
        let name = meta::name(object);
        let is = meta::uid(object);
        if let Some(uid) = self.uid.as_deref().filter(|uid| *uid != is) {
            let why = format!(
                "the UID in the precondition ({uid}) does not match the UID in record ({is}). The object might have \
                 been deleted and then recreated"
            );
            return Err(Status::conflict(kind, name, &why));
        }
        let is = meta::resource_version(object);
        if let Some(version) = self.resource_version.as_deref().filter(|version| *version != is) {
            let why = format!(
                "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record \
                 ({is}). The object might have been modified"
            );
            return Err(Status::conflict(kind, name, &why));
        }
        Ok(())
    }
}

impl DeleteOptions {
    /// At once, whatever the pod says.
    pub fn now() -> Self {
        Self {
            grace: Some(0),
            ..Self::default()
        }
    }

    /// Reads what clients send as the body of a DELETE; what is missing has its default.
    ///
    /// # Errors
    /// `BadRequest` for a value that cannot be meant, `Invalid` for one that is not known.
    pub fn read(options: &Value) -> Result<Self, Status> {
        let invalid = |why: String| {
            Status::new(
                Reason::Invalid,
                format!("DeleteOptions.meta.k8s.io \"\" is invalid: {why}"),
            )
        };
        let propagation = match meta::text(options, &["propagationPolicy"]) {
            "" => match options.get("orphanDependents").and_then(Value::as_bool) {
                Some(true) => Some(Propagation::Orphan),
                Some(false) => Some(Propagation::Background),
                None => None,
            },
            "Background" => Some(Propagation::Background),
            "Foreground" => Some(Propagation::Foreground),
            "Orphan" => Some(Propagation::Orphan),
            other => {
                return Err(invalid(format!(
                    "propagationPolicy: Unsupported value: \"{other}\": supported values: \"Foreground\", \
                     \"Background\", \"Orphan\", \"nil\""
                )));
            }
        };
        let dry_run = meta::list(options, &["dryRun"]);
        if let Some(other) = dry_run.iter().find(|one| *one != "All") {
            return Err(invalid(format!(
                "dryRun: Unsupported value: {other}: supported values: \"All\""
            )));
        }
        let wanted = |field: &str| meta::at(options, &["preconditions", field]).and_then(Value::as_str);
        Ok(Self {
            grace: meta::number(options, &["gracePeriodSeconds"]),
            preconditions: Preconditions {
                uid: wanted("uid").map(str::to_owned),
                resource_version: wanted("resourceVersion").map(str::to_owned),
            },
            propagation,
            dry_run: !dry_run.is_empty(),
        })
    }
}

fn propagate(object: &mut Value, propagation: Option<Propagation>) {
    let Some(propagation) = propagation else { return };
    let mut all = finalizers(object);
    all.retain(|one| one != FOREGROUND && one != ORPHAN);
    match propagation {
        Propagation::Background => {}
        Propagation::Foreground => all.push(FOREGROUND.into()),
        Propagation::Orphan => all.push(ORPHAN.into()),
    }
    set_finalizers(object, all);
}

/// Seconds until the object goes. Only pods that a node has are given any.
fn grace(kind: &Kind, object: &Value, wanted: Option<i64>) -> i64 {
    if kind.kind != "Pod" {
        return 0;
    }
    let assigned = !meta::text(object, &["spec", "nodeName"]).is_empty();
    let ended = matches!(meta::text(object, &["status", "phase"]), "Failed" | "Succeeded");
    if !assigned || ended {
        return 0;
    }
    let own = meta::number(object, &["spec", "terminationGracePeriodSeconds"]).unwrap_or(30);
    let grace = match wanted.unwrap_or(own) {
        negative if negative < 0 => 1,
        grace => grace.min(LONGEST),
    };
    // A grace that runs is only ever made shorter.
    match meta::deletion_grace(object).filter(|_| meta::is_deleting(object)) {
        Some(running) if wanted.is_none() => running,
        Some(running) => running.min(grace),
        None => grace,
    }
}

fn begin(kind: &Kind, old: &Value, new: &mut Value, grace: i64) {
    let running = meta::is_deleting(old);
    if !running || meta::deletion_grace(old) != Some(grace) {
        let started = match (
            meta::deletion_timestamp(old).and_then(time::parse),
            meta::deletion_grace(old),
        ) {
            (Some(ends), Some(seconds)) => ends - duration(seconds),
            _ => SystemTime::now(),
        };
        set(new, "deletionTimestamp", time::seconds(started + duration(grace)));
        set(new, "deletionGracePeriodSeconds", grace);
        if !running && meta::generation(old) > 0 {
            set(new, "generation", meta::generation(old) + 1);
        }
    }
    if kind.kind == "Namespace" {
        meta::set(new, &["status", "phase"], "Terminating");
    }
}

fn duration(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}
