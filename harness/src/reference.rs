//! References that are known only when a step begins: `${app.pid}`, `${dir.NAME}`, `${host.blockDevice.major}`.
//!
//! What a check compares with is written down with what was seen, so that it is judged again without the world.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use spec::Check;

/// The names of all references below `value`.
pub(crate) fn names(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut copy = value.clone();
    // What is not closed is told when it is resolved.
    let _open = resolve(&mut copy, &mut |name| {
        found.insert(name.to_owned());
        Some(Value::Null)
    });
    found
}

/// What a check expects, as JSON.
pub(crate) fn expectation(check: &Check) -> Value {
    serde_json::to_value(check)
        .ok()
        .and_then(|mut check_json| Some(check_json.get_mut(check.subject.key())?.take()))
        .unwrap_or_default()
}

/// The check with values in place of the references in what it expects.
///
/// # Errors
/// A sentence, if one is not known or does not fit.
pub(crate) fn placed(check: &Check, known: &BTreeMap<String, Value>) -> Result<Check, String> {
    let mut expected = expectation(check);
    resolve(&mut expected, &mut |name| known.get(name).cloned())
        .map_err(|name| format!("nothing is known as `${{{name}}}`"))?;
    let mut value = serde_json::to_value(check).map_err(|error| error.to_string())?;
    value[check.subject.key()] = expected;
    serde_json::from_value(value).map_err(|error| format!("a reference does not fit: {error}"))
}

fn is_one(text: &str) -> bool {
    let inner = text.strip_prefix("${").and_then(|text| text.strip_suffix('}'));
    inner.is_some_and(|inner| !inner.contains("${"))
}

/// Puts values in place of `${NAME}` in every text below `value`. A text that is exactly one reference takes the value's
/// type; if it is an element of a list and stands for a list, that list's elements take its place. `$${` stands for `${`.
///
/// # Errors
/// The name that `look_up` does not know.
pub(crate) fn resolve(value: &mut Value, look_up: &mut dyn FnMut(&str) -> Option<Value>) -> Result<(), String> {
    match value {
        Value::String(text) if text.contains("${") => {
            if let Some(whole) = text
                .strip_prefix("${")
                .and_then(|t| t.strip_suffix('}'))
                .filter(|t| !t.contains("${"))
            {
                *value = look_up(whole).ok_or_else(|| whole.to_owned())?;
            } else {
                *text = within(text, look_up)?;
            }
            Ok(())
        }
        Value::Array(list) => {
            let mut all = Vec::with_capacity(list.len());
            for mut element in std::mem::take(list) {
                let is_reference = element.as_str().is_some_and(is_one);
                resolve(&mut element, look_up)?;
                match element {
                    Value::Array(several) if is_reference => all.extend(several),
                    one => all.push(one),
                }
            }
            *list = all;
            Ok(())
        }
        Value::Object(map) => map.values_mut().try_for_each(|v| resolve(v, look_up)),
        _ => Ok(()),
    }
}

fn within(text: &str, look_up: &mut dyn FnMut(&str) -> Option<Value>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            out.push_str(&rest[..at - 1]);
            out.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let end = rest[at..].find('}').ok_or_else(|| rest[at..].to_owned())? + at;
        let name = &rest[at + 2..end];
        match look_up(name).ok_or_else(|| name.to_owned())? {
            Value::String(text) => out.push_str(&text),
            other => out.push_str(&other.to_string()),
        }
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_that_is_one_reference_takes_its_type() {
        let mut value = json!({"a": "${n}", "b": "x${n}y", "c": ["$${n}"]});
        resolve(&mut value, &mut |name| (name == "n").then(|| json!(7))).unwrap();
        assert_eq!(value, json!({"a": 7, "b": "x7y", "c": ["${n}"]}));
    }

    #[test]
    fn a_list_takes_the_place_of_the_element_that_stands_for_it() {
        let mut value = json!({"exactly": ["${ips}", "c", "x${n}"]});
        let known = |name: &str| match name {
            "ips" => Some(json!(["a", "b"])),
            "n" => Some(json!(7)),
            _ => None,
        };
        assert_eq!(names(&value), ["ips".to_owned(), "n".to_owned()].into());
        resolve(&mut value, &mut |name| known(name)).unwrap();
        assert_eq!(value, json!({"exactly": ["a", "b", "c", "x7"]}));
    }

    #[test]
    fn a_check_is_judged_with_what_its_references_stood_for() {
        let at = |value: Value| json!({"at": {"line": 1, "column": 1}, "value": value});
        let check: Check = serde_json::from_value(json!({
            "id": at(json!("ips")),
            "because": "${ips} are its own",
            "dns": {"addresses": {"exactly": ["${ips}"]}},
        }))
        .unwrap();
        let placed = placed(&check, &[("ips".to_owned(), json!(["a", "b"]))].into()).unwrap();
        assert_eq!(expectation(&placed), json!({"addresses": {"exactly": ["a", "b"]}}));
        assert_eq!(placed.because, check.because);
        assert!(super::placed(&check, &BTreeMap::new()).unwrap_err().contains("ips"));
    }

    #[test]
    fn an_unknown_name_is_told() {
        assert_eq!(resolve(&mut json!("${nope}"), &mut |_| None), Err("nope".into()));
    }
}
