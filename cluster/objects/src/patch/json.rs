//! JSON patch: `application/json-patch+json`.
//!
//! See <https://www.rfc-editor.org/rfc/rfc6902>.

use json_patch::{Patch, PatchOperation, jsonptr::Pointer};
use serde_json::Value;

use super::undecodable;
use crate::{Reason, Status};

/// Operations of one patch, as in Kubernetes.
const MOST_OPERATIONS: usize = 10_000;
/// Bytes by which all copies of a patch together may make an object larger, as in Kubernetes.
const MOST_COPIED: usize = 3 << 20;
/// Levels of an object: what is deeper could not be read again.
const DEEPEST: usize = 120;
/// Values that all moves of a patch together may carry.
const MOST_MOVED: usize = 1 << 22;

/// The object after all operations, of which any may fail.
///
/// # Errors
/// The patch is none, is too long, would make the object too large or too deep, or does not fit the object.
pub fn json(original: &Value, patch: &Value) -> Result<Value, Status> {
    if let Some(operations) = patch.as_array().filter(|all| all.len() > MOST_OPERATIONS) {
        let text = format!(
            "The allowed maximum operations in a JSON patch is {MOST_OPERATIONS}, got {}",
            operations.len()
        );
        return Err(Status::new(Reason::RequestEntityTooLarge, text));
    }
    let Patch(operations) = serde_json::from_value(patch.clone()).map_err(|cause| undecodable(&cause.to_string()))?;
    let mut object = original.clone();
    let (mut copied, mut moved) = (0, 0);
    for operation in &operations {
        let arrives = match operation {
            PatchOperation::Add(add) => deepness(&add.value),
            PatchOperation::Replace(replace) => deepness(&replace.value),
            PatchOperation::Copy(copy) => {
                let (values, size, levels) = measure(at(&object, &copy.from));
                (copied, moved) = (copied + size, moved + values);
                levels
            }
            PatchOperation::Move(from) => {
                let (values, _, levels) = measure(at(&object, &from.from));
                moved += values;
                levels
            }
            PatchOperation::Remove(_) | PatchOperation::Test(_) => 0,
        };
        if copied > MOST_COPIED || moved > MOST_MOVED {
            let text = format!(
                "Unable to complete the copy, the accumulated size increase of copy is {copied}, exceeding the limit {MOST_COPIED}"
            );
            return Err(unprocessable(&text));
        }
        if operation.path().count() + arrives > DEEPEST {
            return Err(unprocessable("the object would be too deep"));
        }
        json_patch::patch_unsafe(&mut object, std::slice::from_ref(operation))
            .map_err(|cause| unprocessable(&format!("{operation}: {}", cause.kind)))?;
    }
    Ok(object)
}

fn unprocessable(why: &str) -> Status {
    let text = format!("the server rejected our request due to an error in our request: {why}");
    Status::new(Reason::Invalid, text)
}

fn at<'a>(object: &'a Value, path: &Pointer) -> &'a Value {
    path.resolve(object).unwrap_or(&Value::Null)
}

fn deepness(value: &Value) -> usize {
    measure(value).2
}

/// Values within a value, about how many bytes they take, and their levels.
fn measure(value: &Value) -> (usize, usize, usize) {
    let inner = |all: &mut dyn Iterator<Item = (usize, &Value)>| {
        all.fold((1, 2, 1), |(values, size, levels), (name, one)| {
            let (more, larger, deeper) = measure(one);
            (values + more, size + name + larger + 1, levels.max(deeper + 1))
        })
    };
    match value {
        Value::Array(items) => inner(&mut items.iter().map(|item| (0, item))),
        Value::Object(fields) => inner(&mut fields.iter().map(|(name, field)| (name.len() + 3, field))),
        Value::String(text) => (1, text.len() + 2, 1),
        _ => (1, 8, 1),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn operations_follow_each_other() {
        let original = json!({"spec": {"replicas": 1, "list": [1, 3]}});
        let patch = json!([
            {"op": "test", "path": "/spec/replicas", "value": 1},
            {"op": "replace", "path": "/spec/replicas", "value": 2},
            {"op": "add", "path": "/spec/list/1", "value": 2},
            {"op": "add", "path": "/spec/list/-", "value": 4},
            {"op": "copy", "from": "/spec/replicas", "path": "/a~1b"},
            {"op": "move", "from": "/spec/list", "path": "/list"},
        ]);
        let patched = json(&original, &patch).expect("fits");
        assert_eq!(
            patched,
            json!({"spec": {"replicas": 2}, "a/b": 2, "list": [1, 2, 3, 4]})
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let original = json!({"a": 1});
        for (patch, reason) in [
            (json!([{"op": "test", "path": "/a", "value": 2}]), Reason::Invalid),
            (json!([{"op": "remove", "path": "/b"}]), Reason::Invalid),
            (json!([{"op": "grow", "path": "/a"}]), Reason::BadRequest),
            (json!({"a": 2}), Reason::BadRequest),
            (
                json!(vec![json!({"op": "remove", "path": "/a"}); MOST_OPERATIONS + 1]),
                Reason::RequestEntityTooLarge,
            ),
        ] {
            assert_eq!(json(&original, &patch).expect_err("refused").reason, reason);
        }
    }

    #[test]
    fn a_small_patch_makes_no_large_and_no_deep_object() {
        let doubling = json!({"op": "copy", "from": "/a", "path": "/a/-"});
        let patch = json!(vec![doubling; 60]);
        assert_eq!(
            json(&json!({"a": ["x"]}), &patch).expect_err("too large").reason,
            Reason::Invalid
        );
        let wrapping = json!([{"op": "add", "path": "/b", "value": {}}, {"op": "move", "from": "/a", "path": "/b/a"}, {"op": "move", "from": "/b", "path": "/a"}]);
        let patch: Vec<Value> = wrapping
            .as_array()
            .expect("a list")
            .iter()
            .cycle()
            .take(3 * 3_000)
            .cloned()
            .collect();
        assert_eq!(
            json(&json!({"a": 1}), &json!(patch)).expect_err("too deep").reason,
            Reason::Invalid
        );
    }
}
