//! Who owns which field of an object: `metadata.managedFields`.

use std::time::SystemTime;

use objects::{
    Kind,
    patch::managed::{self, Manager},
};
use serde_json::Value;

use crate::{Part, WriteOptions, metadata::keep};

/// How an object is written.
pub(crate) struct Writing<'a> {
    pub(crate) dry_run: bool,
    owners: Owners<'a>,
}

/// What becomes of the owners.
enum Owners<'a> {
    /// Those of what is there stay.
    Stay,
    /// What changes is this manager's.
    Change(&'a str),
    /// The object says them already.
    Said,
}

impl WriteOptions {
    pub(crate) fn owning(&self) -> Writing<'_> {
        Writing {
            dry_run: self.dry_run,
            owners: self.manager.as_deref().map_or(Owners::Stay, Owners::Change),
        }
    }
}

impl Writing<'_> {
    /// Of an object that server-side apply has made.
    pub(crate) fn applied(dry_run: bool) -> Self {
        Self {
            dry_run,
            owners: Owners::Said,
        }
    }

    pub(crate) fn own(&self, kind: &Kind, old: Option<&Value>, new: &mut Value, part: Part) {
        match (&self.owners, old) {
            (Owners::Stay, Some(old)) => keep(new, old, "managedFields"),
            (Owners::Stay, None) => managed::forget(new),
            (Owners::Change(name), old) => {
                let manager = Manager {
                    name,
                    subresource: part.subresource(),
                    now: SystemTime::now(),
                };
                managed::update(kind, old, new, &manager);
            }
            (Owners::Said, _) => {}
        }
    }
}

impl Part {
    /// As paths and `managedFields` name it.
    pub(crate) fn subresource(self) -> &'static str {
        match self {
            Self::Main => "",
            Self::Status => "status",
            Self::Finalize => "finalize",
            Self::Scale => "scale",
        }
    }
}
