//! The four ways to change an object: merge, JSON, strategic merge, and server-side apply.

pub mod apply;
pub mod json;
pub mod managed;
pub mod merge;
pub mod strategic;
mod typed;

pub use apply::apply;
pub use json::json;
pub use managed::Manager;
pub use merge::merge;
pub use strategic::strategic;

use crate::{Reason, Status};

fn undecodable(why: &str) -> Status {
    Status::new(Reason::BadRequest, format!("error decoding patch: {why}"))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::kind::find;

    const NAMES: [&str; 14] = [
        "apiVersion",
        "metadata",
        "spec",
        "labels",
        "finalizers",
        "containers",
        "name",
        "ports",
        "containerPort",
        "$patch",
        "$retainKeys",
        "$setElementOrder/containers",
        "$deleteFromPrimitiveList/finalizers",
        "securityContext",
    ];

    /// Objects of a few names: most patches hit something.
    fn objects(directives: bool) -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            (0..3).prop_map(Value::from),
            prop_oneof!["a", "b", "delete", "replace"].prop_map(Value::from),
        ];
        let inner = leaf.prop_recursive(6, 40, 4, move |inner| {
            let name = prop::sample::select(NAMES.to_vec())
                .prop_filter("no directive", move |name| directives || !name.starts_with('$'));
            let fields = prop::collection::vec((name, inner.clone()), 0..5);
            let map = fields.prop_map(|fields| fields.into_iter().collect::<Value>());
            if directives {
                prop_oneof![map, prop::collection::vec(inner, 0..4).prop_map(Value::from)].boxed()
            } else {
                map.boxed()
            }
        });
        (inner.clone(), inner).prop_map(|(metadata, spec)| json!({"metadata": metadata, "spec": spec}))
    }

    fn operations() -> impl Strategy<Value = Value> {
        let path = prop::collection::vec(prop::sample::select(vec!["spec", "metadata", "0", "-", "name"]), 0..4)
            .prop_map(|steps| steps.iter().map(|step| format!("/{step}")).collect::<String>());
        let op = prop::sample::select(vec!["add", "remove", "replace", "move", "copy", "test"]);
        let one = (op, path.clone(), path, objects(true));
        let one = one.prop_map(|(op, path, from, value)| json!({"op": op, "path": path, "from": from, "value": value}));
        prop::collection::vec(one, 0..6).prop_map(Value::from)
    }

    proptest! {
        #[test]
        fn no_patch_makes_anything_panic(original in objects(true), patch in objects(true), operations in operations()) {
            let kind = find("", "v1", "pods").expect("served");
            let _ = strategic(kind, &original, &patch);
            let _ = json(&original, &operations);
            let manager = Manager { name: "x", subresource: "", now: SystemTime::UNIX_EPOCH };
            let mut new = patch.clone();
            managed::update(kind, Some(&original), &mut new, &manager);
            let _ = apply(kind, Some(&original), &patch, &manager, true);
        }

        #[test]
        fn without_lists_and_directives_a_strategic_merge_is_a_merge(original in objects(false), patch in objects(false)) {
            let kind = find("", "v1", "pods").expect("served");
            prop_assert_eq!(strategic(kind, &original, &patch).expect("merges"), merge(&original, &patch).expect("merges"));
        }

        #[test]
        fn what_is_applied_again_changes_nothing(
            labels in prop::collection::btree_map("[a-c]", "[x-z]", 0..3),
            names in prop::collection::btree_set("[a-d]", 1..4),
            before in prop::collection::btree_set("[a-d]", 1..4),
        ) {
            let kind = find("", "v1", "pods").expect("served");
            let of = |names: &std::collections::BTreeSet<String>| {
                let containers: Vec<_> = names.iter().rev().map(|name| json!({"name": name, "image": name})).collect();
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": labels}, "spec": {"containers": containers}})
            };
            let manager = Manager { name: "x", subresource: "", now: SystemTime::UNIX_EPOCH };
            let first = apply(kind, None, &of(&before), &manager, false).expect("new");
            let second = apply(kind, Some(&first), &of(&names), &manager, false).expect("its own");
            let listed = second["spec"]["containers"].as_array().map_or(0, Vec::len);
            prop_assert_eq!(listed, names.len());
            let later = Manager { now: SystemTime::UNIX_EPOCH + Duration::from_secs(9), ..manager };
            prop_assert_eq!(&apply(kind, Some(&second), &of(&names), &later, false).expect("its own"), &second);
        }
    }
}
