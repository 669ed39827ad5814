//! How objects are named in queues.

use objects::{Kind, meta};
use serde_json::Value;

use crate::owner::{self, Claim};
use crate::world::{Change, World};

/// Namespace (empty where there is none) and name.
pub(crate) type Key = (String, String);

pub(crate) fn of(object: &Value) -> Key {
    (meta::namespace(object).to_owned(), meta::name(object).to_owned())
}

/// The objects of a kind that manage what changed, did so before, or could manage it from now on.
pub(crate) fn of_managers(world: &World, change: &Change, manager: &'static Kind) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut unmanaged = false;
    for object in change.both() {
        match meta::controller(object) {
            Some(owner) if meta::text(owner, &["kind"]) == manager.kind => {
                let owner = meta::text(owner, &["name"]).to_owned();
                keys.push((meta::namespace(object).to_owned(), owner));
            }
            Some(_) => {}
            None => unmanaged = true,
        }
    }
    if let Some(object) = change.new.as_ref().filter(|_| unmanaged) {
        let all = world.list(manager, Some(meta::namespace(object)));
        let adopting = |one: &&crate::world::Object| owner::claim(one, &owner::selector(one), object) == Claim::Adopt;
        keys.extend(all.iter().filter(adopting).map(|one| of(one)));
    }
    keys.dedup();
    keys
}
