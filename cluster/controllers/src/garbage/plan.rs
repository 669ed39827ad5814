//! What garbage collection does with one object.

use apiserver::Propagation;
use objects::meta;
use serde_json::Value;

use crate::fault::{Act, Faults};

pub(super) const FOREGROUND: &str = "foregroundDeletion";
pub(super) const ORPHAN: &str = "orphan";

/// What became of an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// It is there.
    Solid,
    /// It goes once what belongs to it is gone.
    Waiting,
    /// It is gone.
    Gone,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Delete(Propagation),
    /// References to these are taken away.
    Disown(Vec<String>),
    /// Its owners need not wait for it.
    Unblock,
    /// What belongs to it belongs to nobody from now on.
    Orphan,
    /// A finalizer has done its work.
    Release(&'static str),
}

/// It goes, and something is to be done about what belongs to it first.
pub(super) fn holds(object: &Value) -> bool {
    meta::is_deleting(object) && meta::finalizers(object).any(|one| matches!(one, FOREGROUND | ORPHAN))
}

fn waits_for_dependents(object: &Value) -> bool {
    meta::is_deleting(object) && meta::finalizers(object).any(|one| one == FOREGROUND)
}

/// What became of the owner that was found.
pub(super) fn owner(found: Option<&Value>) -> Owner {
    match found {
        None => Owner::Gone,
        Some(one) if waits_for_dependents(one) => Owner::Waiting,
        Some(_) => Owner::Solid,
    }
}

/// Of an object that goes.
pub(super) fn deleting(object: &Value, dependents: &[&Value], faults: &Faults) -> Vec<Step> {
    let has = |finalizer| meta::finalizers(object).any(|one| one == finalizer);
    if has(ORPHAN) {
        return match faults.has(Act::OrphansDeleted) {
            true => vec![Step::Release(ORPHAN)],
            false => vec![Step::Orphan, Step::Release(ORPHAN)],
        };
    }
    let blocks = |one: &&&Value| {
        let to_it = |reference: &&Value| meta::text(reference, &["uid"]) == meta::uid(object);
        let mut references = meta::owners(one).iter().filter(to_it);
        references.any(|reference| meta::flag(reference, &["blockOwnerDeletion"]))
    };
    let done = faults.has(Act::ForegroundForgotten) || !dependents.iter().any(|one| blocks(&one));
    match has(FOREGROUND) && done {
        true => vec![Step::Release(FOREGROUND)],
        false => Vec::new(),
    }
}

/// Of an object that is there, with what became of each of its owners.
pub(super) fn alive(object: &Value, owners: &[(&Value, Owner)], dependents: &[&Value]) -> Vec<Step> {
    let any = |state| owners.iter().any(|(_, owner)| *owner == state);
    if owners.is_empty() {
        return Vec::new();
    }
    if any(Owner::Solid) {
        let lost = owners.iter().filter(|(_, owner)| *owner != Owner::Solid);
        let uids: Vec<String> = lost.map(|(one, _)| meta::text(one, &["uid"]).to_owned()).collect();
        return match uids.is_empty() {
            true => Vec::new(),
            false => vec![Step::Disown(uids)],
        };
    }
    if any(Owner::Waiting) && !dependents.is_empty() {
        // In a circle each would wait for the next.
        let circle = dependents.iter().any(|one| waits_for_dependents(one));
        let unblock = circle.then_some(Step::Unblock);
        return unblock
            .into_iter()
            .chain([Step::Delete(Propagation::Foreground)])
            .collect();
    }
    let has = |finalizer| meta::finalizers(object).any(|one| one == finalizer);
    vec![Step::Delete(match () {
        () if has(ORPHAN) => Propagation::Orphan,
        () if has(FOREGROUND) => Propagation::Foreground,
        () => Propagation::Background,
    })]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(finalizers: &[&str], deleting: bool) -> Value {
        let mut object = json!({"metadata": {"uid": "1", "finalizers": finalizers}});
        if deleting {
            meta::set(&mut object, &["metadata", "deletionTimestamp"], "2026-01-01T00:00:00Z");
        }
        object
    }

    fn dependent(block: bool) -> Value {
        json!({"metadata": {"uid": "2", "ownerReferences": [{"uid": "1", "blockOwnerDeletion": block}]}})
    }

    #[test]
    fn foreground_waits_for_those_that_block_and_only_for_those() {
        let owner = object(&[FOREGROUND], true);
        let faults = Faults::default();
        assert_eq!(deleting(&owner, &[&dependent(true)], &faults), []);
        assert_eq!(
            deleting(&owner, &[&dependent(false)], &faults),
            [Step::Release(FOREGROUND)]
        );
        assert_eq!(deleting(&owner, &[], &faults), [Step::Release(FOREGROUND)]);
    }

    #[test]
    fn orphans_lose_their_owner_before_it_goes() {
        let owner = object(&[ORPHAN], true);
        assert_eq!(
            deleting(&owner, &[&dependent(true)], &Faults::default()),
            [Step::Orphan, Step::Release(ORPHAN)]
        );
    }

    #[test]
    fn an_object_goes_with_its_last_owner() {
        let (one, two) = (json!({"uid": "a"}), json!({"uid": "b"}));
        let object = object(&[], false);
        let background = [Step::Delete(Propagation::Background)];
        assert_eq!(alive(&object, &[(&one, Owner::Gone)], &[]), background);
        assert_eq!(
            alive(&object, &[(&one, Owner::Gone), (&two, Owner::Solid)], &[]),
            [Step::Disown(vec!["a".into()])]
        );
        assert_eq!(
            alive(&object, &[(&one, Owner::Gone), (&two, Owner::Waiting)], &[]),
            background
        );
        assert_eq!(alive(&object, &[(&one, Owner::Solid)], &[]), []);
        assert_eq!(alive(&object, &[], &[]), []);
    }

    #[test]
    fn what_has_dependents_itself_goes_after_them_and_a_circle_is_broken() {
        let (item, owner) = (object(&[], false), json!({"uid": "a"}));
        let plain = dependent(true);
        let mut waiting = dependent(true);
        meta::set(&mut waiting, &["metadata", "deletionTimestamp"], "2026-01-01T00:00:00Z");
        meta::set(&mut waiting, &["metadata", "finalizers"], vec![json!(FOREGROUND)]);
        let waited_for = [(&owner, Owner::Waiting)];
        assert_eq!(
            alive(&item, &waited_for, &[&plain]),
            [Step::Delete(Propagation::Foreground)]
        );
        assert_eq!(
            alive(&item, &waited_for, &[&waiting]),
            [Step::Unblock, Step::Delete(Propagation::Foreground)]
        );
    }
}
