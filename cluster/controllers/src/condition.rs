//! Conditions that are more than on or off.

use objects::meta;
use serde_json::Value;

/// Puts a whole condition in the place of the one of its type, or at the end.
pub(crate) fn place(object: &mut Value, new: Value) {
    let mut all = meta::conditions(object).to_vec();
    match all.iter_mut().find(|one| one["type"] == new["type"]) {
        Some(old) => *old = new,
        None => all.push(new),
    }
    meta::set(object, &["status", "conditions"], all);
}

/// Takes a condition away.
pub(crate) fn remove(object: &mut Value, condition_type: &str) {
    if meta::condition(object, condition_type).is_some() {
        let all: Vec<Value> = meta::conditions(object)
            .iter()
            .filter(|one| one["type"] != condition_type)
            .cloned()
            .collect();
        meta::set(object, &["status", "conditions"], all);
    }
}
