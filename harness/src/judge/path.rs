//! Dotted paths into a JSON document.

use serde_json::Value;

/// The value behind `a.b.0`. A key may itself contain dots: the longest key that leads anywhere wins.
pub(crate) fn find<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) => {
            if let Some(found) = map.get(path) {
                return Some(found);
            }
            let mut end = path.len();
            while let Some(dot) = path[..end].rfind('.') {
                if let Some(found) = map.get(&path[..dot]).and_then(|inner| find(inner, &path[dot + 1..])) {
                    return Some(found);
                }
                end = dot;
            }
            None
        }
        Value::Array(list) => {
            let (index, rest) = path
                .split_once('.')
                .map_or((path, None), |(index, rest)| (index, Some(rest)));
            let element = list.get(index.parse::<usize>().ok()?)?;
            rest.map_or(Some(element), |rest| find(element, rest))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_may_contain_dots_and_lists_are_indexed() {
        let value = json!({"a": {"b": [1, {"c": 2}]}, "a.b": {"d": 3}, "x": null});
        assert_eq!(find(&value, "a.b.0"), Some(&json!(1)));
        assert_eq!(find(&value, "a.b.1.c"), Some(&json!(2)));
        assert_eq!(find(&value, "a.b.d"), Some(&json!(3)));
        assert_eq!(find(&value, "x"), Some(&json!(null)));
        for missing in ["a.c", "a.b.7", "a.b.x", "x.y", "", "a."] {
            assert_eq!(find(&value, missing), None, "{missing}");
        }
    }
}
