//! Strategic merge patch: `application/strategic-merge-patch+json`.
//!
//! Lists are merged by the keys of the table; directives within the patch say what a merge cannot.
//! See <https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/> and
//! <https://github.com/kubernetes/community/blob/main/contributors/devel/sig-api-machinery/strategic-merge-patch.md>.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::undecodable;
use crate::{
    Kind, Reason, Status,
    schema::{self, Field, Message, Shape, Strategy},
};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";

/// The object with the patch merged into it.
///
/// # Errors
/// The patch is no object, a directive is not of its form, or an item of a list lacks the key by which the list is merged.
pub fn strategic(kind: &Kind, original: &Value, patch: &Value) -> Result<Value, Status> {
    strategic_as(schema::message(kind), original, patch)
}

/// As [`strategic`], for any message.
pub fn strategic_as(message: &'static Message, original: &Value, patch: &Value) -> Result<Value, Status> {
    let Value::Object(patch) = patch else {
        return Err(undecodable("a strategic merge patch is an object"));
    };
    let original = original.as_object().cloned().unwrap_or_default();
    merge_object(original, patch.clone(), Scope::Message(message)).map(Value::Object)
}

/// What is known of the fields of an object.
#[derive(Clone, Copy)]
enum Scope {
    Message(&'static Message),
    /// Keys are free; each value is one of this field.
    Map(&'static Field),
    /// Nothing is known.
    Free,
}

impl Scope {
    fn field(self, name: &str) -> Option<&'static Field> {
        match self {
            Self::Message(message) => message.field(name),
            Self::Map(_) | Self::Free => None,
        }
    }

    /// Of an object that is the value of this name.
    fn below(self, name: &str) -> Self {
        match self {
            Self::Message(message) => match message.field(name) {
                Some(field) if field.shape == Shape::Map => Self::Map(field),
                Some(field) => Self::item(field),
                None => Self::Free,
            },
            Self::Map(field) => Self::item(field),
            Self::Free => Self::Free,
        }
    }

    fn item(field: &'static Field) -> Self {
        field.message().map_or(Self::Free, Self::Message)
    }
}

type Object = Map<String, Value>;

fn merge_object(mut original: Object, mut patch: Object, scope: Scope) -> Result<Object, Status> {
    match patch.remove(DIRECTIVE) {
        None => {}
        Some(directive) if directive == "merge" => {}
        Some(directive) if directive == "replace" => return Ok(plain_object(patch)),
        Some(directive) if directive == "delete" => return Ok(Object::new()),
        Some(directive) => return Err(unknown_directive(&directive, &patch)),
    }
    retain_keys(&mut original, &mut patch)?;
    let (mut deletions, mut fields) = (Vec::new(), Vec::new());
    let mut orders = Vec::new();
    for (name, value) in patch {
        if let Some(list) = name.strip_prefix(ORDER) {
            orders.push((list.to_owned(), value));
        } else if let Some(list) = name.strip_prefix(DELETE_FROM) {
            deletions.push((list.to_owned(), value));
        } else {
            fields.push((name, value));
        }
    }
    for (name, order) in orders {
        let at = fields.iter().position(|(field, _)| *field == name);
        let patch = at.map(|at| fields.swap_remove(at).1);
        set_order(&mut original, &name, &order, patch, scope)?;
    }
    for (name, gone) in deletions {
        let Value::Array(gone) = gone else {
            return Err(malformed("invalid patch format of primitive list"));
        };
        let gone = places(&gone, None);
        if let Some(Value::Array(items)) = original.get_mut(&name) {
            items.retain(|item| !gone.contains_key(&identity(item, None)));
        }
    }
    for (name, value) in fields {
        merge_field(&mut original, name, value, scope)?;
    }
    Ok(original)
}

fn merge_field(original: &mut Object, name: String, patch: Value, scope: Scope) -> Result<(), Status> {
    if patch.is_null() {
        original.shift_remove(&name);
        return Ok(());
    }
    // Taken, not removed, so that the field keeps its place.
    let old = original.get_mut(&name).map(Value::take);
    let merged = match (old, patch) {
        (Some(Value::Object(old)), Value::Object(new)) => {
            Some(Value::Object(merge_object(old, new, scope.below(&name))?))
        }
        (Some(Value::Array(old)), Value::Array(new)) => {
            let list = match scope.field(&name) {
                Some(field) => merge_list(old, new, field)?,
                None => plain_list(new),
            };
            Some(Value::Array(list))
        }
        (_, new) => plain(new),
    };
    match merged {
        Some(merged) => original.insert(name, merged),
        None => original.shift_remove(&name),
    };
    Ok(())
}

fn merge_list(old: Vec<Value>, new: Vec<Value>, field: &'static Field) -> Result<Vec<Value>, Status> {
    let Strategy::Merge(key) = field.strategy else {
        return Ok(plain_list(new));
    };
    let places = places(&old, key);
    let Some(key) = key else {
        let mut all = old;
        let mut seen = places.clone();
        for item in &new {
            seen.entry(identity(item, None)).or_insert_with(|| {
                all.push(item.clone());
                usize::MAX
            });
        }
        return Ok(in_order(all, &new, &places, None));
    };
    let (mut kept, mut gone) = (Vec::new(), HashSet::new());
    let mut replace = false;
    for one in new {
        let Value::Object(fields) = &one else {
            return Err(unprocessable(format!(
                "expected a map, but received a {}",
                kind_of(&one)
            )));
        };
        match fields.get(DIRECTIVE) {
            None => {
                key_of(&one, key)?;
                kept.push(one);
            }
            Some(directive) if directive == "delete" => {
                key_of(&one, key)?;
                gone.insert(identity(&one, Some(key)));
            }
            Some(directive) if directive == "replace" => replace = true,
            Some(directive) if directive == "merge" => {
                return Err(unprocessable("merging lists cannot yet be specified in the patch"));
            }
            Some(directive) => return Err(unknown_directive(directive, fields)),
        }
    }
    if replace {
        return Ok(plain_list(kept));
    }
    let mut items = old;
    items.retain(|item| !gone.contains(&identity(item, Some(key))));
    let mut at = self::places(&items, Some(key));
    let mut order = Vec::new();
    for one in kept {
        let name = identity(&one, Some(key));
        order.push(Value::Object(Object::from_iter([(key.to_owned(), one[key].clone())])));
        let Value::Object(new) = one else { continue };
        match at.get(&name).map(|at| &mut items[*at]) {
            Some(Value::Object(item)) => *item = merge_object(std::mem::take(item), new, Scope::item(field))?,
            _ => {
                at.insert(name, items.len());
                items.push(Value::Object(plain_object(new)));
            }
        }
    }
    Ok(in_order(items, &order, &places, Some(key)))
}

/// `$setElementOrder`: items that it names stand in its order; others keep their place among those that were there.
fn set_order(
    original: &mut Object,
    name: &str,
    order: &Value,
    patch: Option<Value>,
    scope: Scope,
) -> Result<(), Status> {
    let Value::Array(order) = order else {
        return Err(malformed("invalid patch format of setElementOrder list"));
    };
    let Some(field) = scope.field(name) else {
        return Err(unprocessable(format!(
            "unable to find api field for the json field {name:?}"
        )));
    };
    let key = match field.strategy {
        Strategy::Merge(key) => key,
        Strategy::Replace => None,
    };
    let patch = match patch {
        Some(Value::Array(items)) => Some(items),
        Some(other) => {
            return Err(unprocessable(format!(
                "expected a slice, but received a {}",
                kind_of(&other)
            )));
        }
        None => None,
    };
    if let Some(patch) = &patch {
        in_same_order(patch, order, key)?;
    }
    let old = match original.get(name) {
        Some(Value::Array(items)) => Some(items.clone()),
        _ => None,
    };
    let places = places(old.as_deref().unwrap_or_default(), key);
    let merged = match (old, patch) {
        (None, None) => return Ok(()),
        (Some(old), None) => old,
        (None, Some(patch)) => plain_list(patch),
        (Some(old), Some(patch)) => merge_list(old, patch, field)?,
    };
    let sorted = in_order(merged, order, &places, key);
    original.insert(name.into(), Value::Array(sorted));
    Ok(())
}

/// That a list of the patch has the order that the patch asks for.
fn in_same_order(patch: &[Value], order: &[Value], key: Option<&str>) -> Result<(), Status> {
    if order.is_empty() {
        return Ok(());
    }
    let mut rest = order.iter();
    for item in patch.iter().filter(|item| item.get(DIRECTIVE).is_none()) {
        let wanted = match key {
            Some(key) => key_of(item, key)?,
            None => item,
        };
        let found = rest.any(|one| match key {
            Some(key) => one.get(key) == Some(wanted),
            None => one == wanted,
        });
        if !found {
            let (patch, order) = (go(&Value::from(patch)), go(&Value::from(order)));
            let text = format!("The order in patch list:\n{patch}\n doesn't match $setElementOrder list:\n{order}\n");
            return Err(unprocessable(text));
        }
    }
    Ok(())
}

/// Items that `order` names in its order, and between them the others, each before the first that stood behind it.
fn in_order(items: Vec<Value>, order: &[Value], old: &Places, key: Option<&str>) -> Vec<Value> {
    let order = places(order, key);
    let (mut named, mut others) = (Vec::new(), Vec::new());
    for item in items {
        let identity = identity(&item, key);
        let before = old.get(&identity).copied();
        match order.get(&identity) {
            Some(place) => named.push((*place, before, item)),
            None => others.push((before, item)),
        }
    }
    named.sort_by_key(|(place, ..)| *place);
    others.sort_by_key(|(before, _)| before.unwrap_or(usize::MAX));
    let mut sorted = Vec::with_capacity(named.len() + others.len());
    let mut others = others.into_iter().peekable();
    for (_, here, item) in named {
        let stood_before = |other: &(Option<usize>, Value)| other.0.zip(here).is_some_and(|(other, here)| other < here);
        while let Some((_, other)) = others.next_if(stood_before) {
            sorted.push(other);
        }
        sorted.push(item);
    }
    sorted.extend(others.map(|(_, item)| item));
    sorted
}

/// Where in a list an item stands that is known by its key, or by itself.
type Places = HashMap<String, usize>;

fn places(list: &[Value], key: Option<&str>) -> Places {
    // In reverse, so that the first of two equal ones counts.
    list.iter()
        .enumerate()
        .rev()
        .map(|(at, item)| (identity(item, key), at))
        .collect()
}

fn identity(item: &Value, key: Option<&str>) -> String {
    match key {
        Some(key) => item[key].to_string(),
        None => item.to_string(),
    }
}

/// `$retainKeys`: whatever the list does not name goes.
fn retain_keys(original: &mut Object, patch: &mut Object) -> Result<(), Status> {
    let Some(keys) = patch.remove(RETAIN_KEYS) else {
        return Ok(());
    };
    let Value::Array(keys) = keys else {
        return Err(malformed("invalid patch format of retainKeys"));
    };
    let keys: HashSet<_> = keys.iter().filter_map(Value::as_str).collect();
    let retained = |name: &str| keys.contains(name);
    let strange = patch.iter().any(|(name, value)| {
        !value.is_null() && !name.starts_with(DELETE_FROM) && !name.starts_with(ORDER) && !retained(name)
    });
    if strange {
        return Err(malformed("invalid patch format of retainKeys"));
    }
    original.retain(|name, _| retained(name));
    Ok(())
}

/// What is new in an object: no null, no directive; nothing if it is itself one.
fn plain(value: Value) -> Option<Value> {
    match value {
        Value::Object(fields) if fields.contains_key(DIRECTIVE) => None,
        Value::Object(fields) => Some(Value::Object(plain_object(fields))),
        Value::Array(items) => Some(Value::Array(plain_list(items))),
        other => Some(other),
    }
}

fn plain_object(fields: Object) -> Object {
    let known = fields
        .into_iter()
        .filter(|(name, value)| !value.is_null() && !is_directive(name));
    known.filter_map(|(name, value)| Some((name, plain(value)?))).collect()
}

fn plain_list(items: Vec<Value>) -> Vec<Value> {
    items.into_iter().filter_map(plain).collect()
}

fn is_directive(name: &str) -> bool {
    name == RETAIN_KEYS || name.starts_with(DELETE_FROM) || name.starts_with(ORDER)
}

fn key_of<'a>(item: &'a Value, key: &str) -> Result<&'a Value, Status> {
    let lacks = || unprocessable(format!("map: {} does not contain declared merge key: {key}", go(item)));
    item.get(key).ok_or_else(lacks)
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Object(_) => "map",
        Value::Array(_) => "slice",
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        Value::Number(_) => "float64",
        Value::Null => "nil",
    }
}

/// A value as Go prints it.
fn go(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(go).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let mut each: Vec<_> = fields
                .iter()
                .map(|(name, value)| format!("{name}:{}", go(value)))
                .collect();
            each.sort();
            format!("map[{}]", each.join(" "))
        }
        other => other.to_string(),
    }
}

fn unknown_directive(directive: &Value, patch: &Object) -> Status {
    let patch = go(&Value::Object(patch.clone()));
    unprocessable(format!("unknown patch type: {} in map: {patch}", go(directive)))
}

fn malformed(why: &str) -> Status {
    Status::new(Reason::BadRequest, why)
}

fn unprocessable(why: impl Into<String>) -> Status {
    Status::new(Reason::Invalid, why)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kind::find;

    fn pod(original: Value, patch: Value) -> Value {
        strategic(find("", "v1", "pods").expect("served"), &original, &patch).expect("merges")
    }

    #[test]
    fn lists_are_merged_by_their_keys_and_maps_by_theirs() {
        let original = json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"containers": [
            {"name": "one", "image": "x", "env": [{"name": "A", "value": "1"}], "args": ["p"]}, {"name": "two", "image": "y"}],
            "tolerations": [{"key": "a"}]}});
        let patch = json!({"metadata": {"labels": {"b": null, "c": "3"}}, "spec": {"containers": [
            {"name": "two", "image": "z"}, {"name": "one", "env": [{"name": "B", "value": "2"}], "args": ["q"]}],
            "tolerations": [{"key": "b"}]}});
        assert_eq!(
            pod(original, patch),
            json!({"metadata": {"labels": {"a": "1", "c": "3"}}, "spec": {"containers": [{"name": "two", "image": "z"},
                {"name": "one", "image": "x", "env": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}], "args": ["q"]}],
                "tolerations": [{"key": "b"}]}})
        );
    }

    #[test]
    fn directives_delete_and_replace() {
        let original = json!({"metadata": {"finalizers": ["a", "b", "c"]}, "spec": {"containers": [{"name": "one"}, {"name": "two"}],
            "volumes": [{"name": "v", "emptyDir": {}}], "securityContext": {"runAsUser": 1}, "nodeSelector": {"a": "b"}}});
        let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["b"], "finalizers": ["d"]},
            "spec": {"containers": [{"name": "one", "$patch": "delete"}], "securityContext": {"$patch": "replace", "runAsGroup": 2},
                "volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/x"}}],
                "nodeSelector": {"$patch": "delete"}}});
        assert_eq!(
            pod(original, patch),
            json!({"metadata": {"finalizers": ["d", "a", "c"]}, "spec": {"containers": [{"name": "two"}],
                "volumes": [{"name": "v", "hostPath": {"path": "/x"}}], "securityContext": {"runAsGroup": 2}, "nodeSelector": {}}})
        );
        let replaced = pod(
            json!({"spec": {"containers": [{"name": "one"}]}}),
            json!({"spec": {"containers": [{"$patch": "replace"}, {"name": "two"}]}}),
        );
        assert_eq!(replaced, json!({"spec": {"containers": [{"name": "two"}]}}));
    }

    #[test]
    fn the_order_of_elements_is_what_the_patch_says() {
        let original = json!({"spec": {"containers": [{"name": "injected"}, {"name": "a"}, {"name": "b"}]}});
        let patch = json!({"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}, {"name": "c"}],
            "containers": [{"name": "a", "image": "x"}, {"name": "c"}]}});
        assert_eq!(
            pod(original.clone(), patch),
            json!({"spec": {"containers": [{"name": "injected"}, {"name": "b"}, {"name": "a", "image": "x"}, {"name": "c"}]}})
        );
        let patch = json!({"spec": {"$setElementOrder/containers": [{"name": "b"}], "containers": [{"name": "a"}]}});
        let status =
            strategic(find("", "v1", "pods").expect("served"), &original, &patch).expect_err("contradicts itself");
        assert!(
            status
                .message
                .starts_with("The order in patch list:\n[map[name:a]]\n doesn't match"),
            "{status}"
        );
    }

    #[test]
    fn what_is_new_bears_no_directive_and_no_null() {
        let patch = json!({"metadata": {"annotations": {"a": null, "b": "1"}, "$setElementOrder/finalizers": ["x"]},
            "spec": {"containers": [{"name": "a", "image": null}, {"name": "b", "$patch": "delete"}], "$setElementOrder/containers": [{"name": "a"}]}});
        assert_eq!(
            pod(json!({}), patch),
            json!({"metadata": {"annotations": {"b": "1"}}, "spec": {"containers": [{"name": "a"}]}})
        );
    }

    #[test]
    fn faults_are_told_as_kubernetes_tells_them() {
        let kind = find("", "v1", "pods").expect("served");
        let original = json!({"spec": {"containers": [{"name": "a"}]}});
        let told = |patch| strategic(kind, &original, &patch).expect_err("refused").message;
        assert_eq!(
            told(json!({"spec": {"containers": [{"image": "x"}]}})),
            "map: map[image:x] does not contain declared merge key: name"
        );
        assert_eq!(
            told(json!({"spec": {"$retainKeys": "x"}})),
            "invalid patch format of retainKeys"
        );
        assert_eq!(
            told(json!({"spec": {"$patch": "x"}})),
            "unknown patch type: x in map: map[]"
        );
    }
}
