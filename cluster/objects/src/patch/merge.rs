//! JSON merge patch: `application/merge-patch+json`.
//!
//! See <https://www.rfc-editor.org/rfc/rfc7386>.

use serde_json::Value;

use super::undecodable;
use crate::Status;

/// The object with the patch merged into it: null removes, a list replaces.
///
/// # Errors
/// The patch is no object.
pub fn merge(original: &Value, patch: &Value) -> Result<Value, Status> {
    if !patch.is_object() {
        return Err(undecodable("a merge patch of an object is an object"));
    }
    let mut object = original.clone();
    json_patch::merge(&mut object, patch);
    Ok(object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn null_removes_and_a_list_replaces() {
        let original = json!({"a": {"b": 1, "c": [1, 2]}, "d": 3});
        let patch = json!({"a": {"b": null, "c": [3]}, "e": {"f": null, "g": 1}});
        let merged = merge(&original, &patch).expect("an object");
        assert_eq!(merged, json!({"a": {"c": [3]}, "d": 3, "e": {"g": 1}}));
        assert!(merge(&original, &json!([1])).is_err());
    }
}
