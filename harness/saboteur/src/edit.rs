//! Edits of JSON documents that faults are made of.

use serde_json::{Map, Value};

/// Removes what the pointer names; objects that it leaves empty go, too, as a runtime that does not know them would see.
pub(crate) fn remove(document: &mut Value, pointer: &str) {
    let Some((parent, key)) = pointer.rsplit_once('/') else {
        return;
    };
    if let Some(map) = document.pointer_mut(parent).and_then(Value::as_object_mut) {
        map.shift_remove(key);
    }
}

/// Puts a value where the pointer names one; nothing if the parent is not there.
pub(crate) fn set(document: &mut Value, pointer: &str, value: Value) {
    let Some((parent, key)) = pointer.rsplit_once('/') else {
        return;
    };
    if let Some(map) = document.pointer_mut(parent).and_then(Value::as_object_mut) {
        map.insert(key.to_owned(), value);
    }
}

/// Puts a value where there is one already.
pub(crate) fn replace(document: &mut Value, pointer: &str, value: Value) {
    if let Some(place) = document.pointer_mut(pointer) {
        *place = value;
    }
}

/// The list that the pointer names.
pub(crate) fn list<'a>(document: &'a mut Value, pointer: &str) -> Option<&'a mut Vec<Value>> {
    document.pointer_mut(pointer).and_then(Value::as_array_mut)
}

/// The object that the pointer names.
pub(crate) fn map<'a>(document: &'a mut Value, pointer: &str) -> Option<&'a mut Map<String, Value>> {
    document.pointer_mut(pointer).and_then(Value::as_object_mut)
}

/// The elements of a list that are objects.
pub(crate) fn objects<'a>(document: &'a mut Value, pointer: &str) -> impl Iterator<Item = &'a mut Value> {
    list(document, pointer)
        .into_iter()
        .flatten()
        .filter(|value| value.is_object())
}

/// Drops the last element of a list.
pub(crate) fn pop(document: &mut Value, pointer: &str) {
    if let Some(list) = list(document, pointer) {
        list.pop();
    }
}

/// Drops the first element of a list.
pub(crate) fn pop_first(document: &mut Value, pointer: &str) {
    if let Some(list) = list(document, pointer)
        && !list.is_empty()
    {
        list.remove(0);
    }
}

/// Keeps the first element of a list only.
pub(crate) fn first_only(document: &mut Value, pointer: &str) {
    if let Some(list) = list(document, pointer) {
        list.truncate(1);
    }
}

/// Turns a list round.
pub(crate) fn reverse(document: &mut Value, pointer: &str) {
    if let Some(list) = list(document, pointer) {
        list.reverse();
    }
}

/// Changes a number by so many percent, and by one at least. Zero and -1, which stand for `unlimited`, stay.
pub(crate) fn scale(document: &mut Value, pointer: &str, percent: i32) {
    if let Some(number) = document.pointer_mut(pointer) {
        scale_number(number, percent);
    }
    // Memory and swap together cannot be less than memory alone; where they were the same, there was to be no swap.
    if pointer == "/linux/resources/memory/limit"
        && let Some(memory) = map(document, "/linux/resources/memory")
        && let (Some(limit), Some(swap)) = (number(memory, "limit"), number(memory, "swap"))
        && swap > 0
        && limit > 0
    {
        let before = i128::from(limit) * 100 / i128::from(100 + percent);
        let without_swap = (before - i128::from(swap)).abs() <= 1;
        if without_swap || swap < limit {
            memory.insert("swap".into(), limit.into());
        }
    }
}

/// As [`scale`], of a number itself.
pub(crate) fn scale_number(value: &mut Value, percent: i32) {
    let Some(number) = value.as_i64().filter(|n| *n > 0) else {
        return;
    };
    let by = i128::from(number) * i128::from(percent) / 100;
    let by = if by == 0 { i128::from(percent.signum()) } else { by };
    if let Ok(scaled) = i64::try_from(i128::from(number) + by) {
        *value = scaled.into();
    }
}

fn number(map: &Map<String, Value>, key: &str) -> Option<i64> {
    map.get(key)?.as_i64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_changes_by_one_at_least_and_unlimited_stays() {
        let mut document = json!({"a": 10, "b": 1, "c": -1, "d": 0});
        for key in ["/a", "/b", "/c", "/d"] {
            scale(&mut document, key, 20);
        }
        assert_eq!(document, json!({"a": 12, "b": 2, "c": -1, "d": 0}));
        scale(&mut document, "/a", -20);
        assert_eq!(document["a"], 10);
    }

    #[test]
    fn memory_and_swap_together_stay_possible() {
        let memory =
            |limit: i64, swap: i64| json!({"linux": {"resources": {"memory": {"limit": limit, "swap": swap}}}});
        let mut none = memory(1000, 1000);
        scale(&mut none, "/linux/resources/memory/limit", 20);
        assert_eq!(none, memory(1200, 1200));
        let mut less = memory(1000, 1000);
        scale(&mut less, "/linux/resources/memory/limit", -20);
        assert_eq!(less, memory(800, 800));
        let mut some = memory(1000, 1100);
        scale(&mut some, "/linux/resources/memory/limit", 100);
        assert_eq!(some, memory(2000, 2000));
        let mut much = memory(1000, 3000);
        scale(&mut much, "/linux/resources/memory/limit", 100);
        assert_eq!(much, memory(2000, 3000));
    }

    #[test]
    fn what_is_not_there_stays_away() {
        let mut document = json!({"a": {}});
        remove(&mut document, "/b/c");
        replace(&mut document, "/a/x", json!(1));
        pop(&mut document, "/a");
        assert_eq!(document, json!({"a": {}}));
        set(&mut document, "/a/x", json!(1));
        assert_eq!(document, json!({"a": {"x": 1}}));
    }
}
