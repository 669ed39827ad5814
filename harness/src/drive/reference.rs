//! References that are known only when a step begins: `${app.pid}`, `${dir.NAME}`, `${host.blockDevice.major}`.

use serde_json::Value;

/// Puts values in place of `${NAME}` in every text below `value`. A text that is exactly one reference takes the value's
/// type. `$${` stands for `${`.
///
/// # Errors
/// The name that `look_up` does not know.
pub(super) fn resolve(value: &mut Value, look_up: &mut dyn FnMut(&str) -> Option<Value>) -> Result<(), String> {
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
        Value::Array(list) => list.iter_mut().try_for_each(|v| resolve(v, look_up)),
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
    fn an_unknown_name_is_told() {
        assert_eq!(resolve(&mut json!("${nope}"), &mut |_| None), Err("nope".into()));
    }
}
