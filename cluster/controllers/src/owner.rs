//! Who manages an object: adoption of orphans that match, release of what no longer matches.

use objects::selector::Labels;
use objects::{Kind, meta};
use serde_json::Value;

/// What an owner has to do with an object that it might manage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It manages the object already.
    Owned,
    /// Nobody manages the object, and it matches.
    Adopt,
    /// It managed the object, which no longer matches.
    Release,
    /// Nothing.
    Foreign,
}

/// What an owner has to do with an object.
pub(crate) fn claim(owner: &Value, selector: &Labels, object: &Value) -> Claim {
    let matches = || selector.matches_object(object);
    match meta::controller(object) {
        Some(found) if meta::text(found, &["uid"]) == meta::uid(owner) => match matches() {
            true => Claim::Owned,
            // What is going anyway needs no release.
            false if meta::is_deleting(owner) || meta::is_deleting(object) => Claim::Foreign,
            false => Claim::Release,
        },
        Some(_) => Claim::Foreign,
        None if meta::is_deleting(owner) || meta::is_deleting(object) => Claim::Foreign,
        None if matches() => Claim::Adopt,
        None => Claim::Foreign,
    }
}

/// Makes `owner` the object's manager.
pub(crate) fn adopt(kind: &Kind, owner: &Value, object: &mut Value) {
    let mut owners = meta::owners(object).to_vec();
    owners.push(meta::controller_reference(kind, owner));
    meta::set(object, &["metadata", "ownerReferences"], owners);
}

/// Takes every reference to an owner away.
pub(crate) fn disown(object: &mut Value, owner_uid: &str) {
    let left: Vec<Value> = meta::owners(object)
        .iter()
        .filter(|one| meta::text(one, &["uid"]) != owner_uid)
        .cloned()
        .collect();
    if left.is_empty() {
        meta::remove(object, &["metadata", "ownerReferences"]);
    } else {
        meta::set(object, &["metadata", "ownerReferences"], left);
    }
}

/// What an owner's `spec.selector` selects; nothing if it cannot be read.
pub(crate) fn selector(owner: &Value) -> Labels {
    Labels::of(meta::at(owner, &["spec", "selector"])).unwrap_or_else(|_| Labels::nothing())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn orphans_that_match_are_adopted_and_what_no_longer_matches_is_released() {
        let owner = json!({"metadata": {"uid": "1"}, "spec": {"selector": {"matchLabels": {"app": "a"}}}});
        let selector = selector(&owner);
        let claim = |app: &str, controller: Option<&str>| {
            let owners: Vec<Value> = controller
                .iter()
                .map(|uid| json!({"uid": uid, "controller": true}))
                .collect();
            let object = json!({"metadata": {"labels": {"app": app}, "ownerReferences": owners}});
            claim(&owner, &selector, &object)
        };
        assert_eq!(claim("a", Some("1")), Claim::Owned);
        assert_eq!(claim("a", None), Claim::Adopt);
        assert_eq!(claim("b", Some("1")), Claim::Release);
        assert_eq!(claim("a", Some("2")), Claim::Foreign);
        assert_eq!(claim("b", None), Claim::Foreign);
    }
}
