//! Faults of an object as they are collected, each with the path of its field.

use std::fmt::{self, Write};

use serde_json::{Map, Value};

use crate::Cause;

/// Where a field is. Written out only if there is something to say about it.
#[derive(Clone, Copy)]
pub(super) struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Child(&'a str),
    Index(usize),
    Key(&'a str),
}

impl<'a> Path<'a> {
    pub(super) const fn of(name: &'a str) -> Self {
        Self {
            parent: None,
            step: Step::Child(name),
        }
    }

    pub(super) const fn child(&'a self, name: &'a str) -> Self {
        self.then(Step::Child(name))
    }

    pub(super) const fn index(&'a self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    /// An entry of a map: `data[key]`.
    pub(super) const fn key(&'a self, key: &'a str) -> Self {
        self.then(Step::Key(key))
    }

    const fn then(&'a self, step: Step<'a>) -> Self {
        Self {
            parent: Some(self),
            step,
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Child(name) if self.parent.is_some() => write!(f, ".{name}"),
            Step::Child(name) => f.write_str(name),
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Key(key) => write!(f, "[{key}]"),
        }
    }
}

/// How a value is shown in a complaint about it.
pub(super) trait Shown {
    fn show(&self) -> String;
}

impl Shown for str {
    fn show(&self) -> String {
        format!("{self:?}")
    }
}

impl Shown for i64 {
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Shown for Value {
    fn show(&self) -> String {
        match self {
            Self::String(text) => text.show(),
            other => other.to_string(),
        }
    }
}

/// Text that is shown as it is.
pub(super) struct Plain(pub(super) String);

impl Shown for Plain {
    fn show(&self) -> String {
        self.0.clone()
    }
}

/// A map of texts, as Go prints it.
pub(super) fn go_map(map: Option<&Map<String, Value>>) -> Plain {
    let Some(map) = map else {
        return Plain("map[string]string(nil)".into());
    };
    let mut each: Vec<String> = map
        .iter()
        .map(|(key, value)| format!("{key:?}:{:?}", value.as_str().unwrap_or("")))
        .collect();
    each.sort_unstable();
    Plain(format!("map[string]string{{{}}}", each.join(", ")))
}

/// A list of texts, as Go prints it.
pub(super) fn go_list(type_name: &str, list: &[Value]) -> Plain {
    let each: Vec<String> = list.iter().map(Shown::show).collect();
    Plain(format!("{type_name}{{{}}}", each.join(", ")))
}

/// A number or a share, as Go prints it.
pub(super) fn go_int_or_string(value: &Value) -> Plain {
    let text = value.as_str().unwrap_or("");
    Plain(format!(
        "intstr.IntOrString{{Type:{}, IntVal:{}, StrVal:{text:?}}}",
        u8::from(value.is_string()),
        value.as_i64().unwrap_or(0)
    ))
}

/// A label selector, as Go prints it.
pub(super) fn go_selector(selector: Option<&Value>) -> Plain {
    let Some(selector) = selector else {
        return Plain("null".into());
    };
    let labels = selector.get("matchLabels").and_then(Value::as_object);
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    let mut text = format!("v1.LabelSelector{{MatchLabels:{}, MatchExpressions:", go_map(labels).0);
    text.push_str("[]v1.LabelSelectorRequirement");
    match expressions {
        None => text.push_str("(nil)"),
        Some(all) => {
            let each: Vec<String> = all
                .iter()
                .map(|one| {
                    let values = one.get("values").and_then(Value::as_array);
                    let values = match values {
                        Some(values) => go_list("[]string", values).0,
                        None => "[]string(nil)".into(),
                    };
                    format!(
                        "v1.LabelSelectorRequirement{{Key:{}, Operator:{}, Values:{values}}}",
                        one["key"], one["operator"]
                    )
                })
                .collect();
            let _ = write!(text, "{{{}}}", each.join(", "));
        }
    }
    text.push('}');
    Plain(text)
}

/// What is wrong with an object.
#[derive(Default)]
pub(super) struct Faults {
    pub(super) causes: Vec<Cause>,
}

impl Faults {
    pub(super) fn len(&self) -> usize {
        self.causes.len()
    }

    pub(super) fn required(&mut self, path: &Path<'_>, detail: &str) {
        self.add("FieldValueRequired", path, "Required value".into(), detail);
    }

    pub(super) fn forbidden(&mut self, path: &Path<'_>, detail: &str) {
        self.add("FieldValueForbidden", path, "Forbidden".into(), detail);
    }

    pub(super) fn too_long(&mut self, path: &Path<'_>, most: usize) {
        let detail = format!("may not be more than {most} bytes");
        self.add("FieldValueTooLong", path, "Too long".into(), &detail);
    }

    pub(super) fn too_many(&mut self, path: &Path<'_>, count: usize, most: usize) {
        let detail = format!("must have at most {most} items");
        self.add("FieldValueTooMany", path, format!("Too many: {count}"), &detail);
    }

    pub(super) fn invalid(&mut self, path: &Path<'_>, value: &(impl Shown + ?Sized), detail: &str) {
        let body = format!("Invalid value: {}", value.show());
        self.add("FieldValueInvalid", path, body, detail);
    }

    pub(super) fn duplicate(&mut self, path: &Path<'_>, value: &(impl Shown + ?Sized)) {
        self.add(
            "FieldValueDuplicate",
            path,
            format!("Duplicate value: {}", value.show()),
            "",
        );
    }

    pub(super) fn duplicate_because(&mut self, path: &Path<'_>, value: &Value, detail: &str) {
        self.add(
            "FieldValueDuplicate",
            path,
            format!("Duplicate value: {}", value.show()),
            detail,
        );
    }

    pub(super) fn not_found(&mut self, path: &Path<'_>, value: &str) {
        self.add("FieldValueNotFound", path, format!("Not found: {value:?}"), "");
    }

    pub(super) fn unsupported(&mut self, path: &Path<'_>, value: &(impl Shown + ?Sized), supported: &[&str]) {
        let supported: Vec<String> = supported.iter().map(|one| format!("{one:?}")).collect();
        let detail = format!("supported values: {}", supported.join(", "));
        self.add(
            "FieldValueNotSupported",
            path,
            format!("Unsupported value: {}", value.show()),
            &detail,
        );
    }

    /// One of a few words. What is missing is required.
    pub(super) fn word(&mut self, path: &Path<'_>, value: &str, supported: &[&str]) {
        if value.is_empty() {
            self.required(path, "");
        } else if !supported.contains(&value) {
            self.unsupported(path, value, supported);
        }
    }

    /// What a check said, about one value.
    pub(super) fn each(&mut self, path: &Path<'_>, value: &str, sentences: Vec<String>) {
        for sentence in sentences {
            self.invalid(path, value, &sentence);
        }
    }

    /// A number that must not be negative.
    pub(super) fn not_negative(&mut self, path: &Path<'_>, number: Option<i64>) {
        if let Some(number) = number.filter(|number| *number < 0) {
            self.invalid(path, &number, "must be greater than or equal to 0");
        }
    }

    /// A field that must stay as it is.
    pub(super) fn immutable(&mut self, path: &Path<'_>, old: Option<&Value>, new: Option<&Value>) {
        if old != new {
            self.invalid(path, new.unwrap_or(&Value::Null), "field is immutable");
        }
    }

    fn add(&mut self, reason: &str, path: &Path<'_>, mut message: String, detail: &str) {
        if !detail.is_empty() {
            message.push_str(": ");
            message.push_str(detail);
        }
        self.causes.push(Cause {
            reason: reason.into(),
            message,
            field: path.to_string(),
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fault_names_its_field_and_value() {
        let mut faults = Faults::default();
        let spec = Path::of("spec");
        let containers = spec.child("containers");
        let first = containers.index(0);
        faults.unsupported(&first.child("restartPolicy"), "No", &["Always"]);
        faults.duplicate(&Path::of("data").key("a.b"), "a.b");
        faults.invalid(&first, &go_int_or_string(&json!("5%")), "x");
        assert_eq!(
            faults.causes[0],
            Cause {
                reason: "FieldValueNotSupported".into(),
                message: "Unsupported value: \"No\": supported values: \"Always\"".into(),
                field: "spec.containers[0].restartPolicy".into(),
            }
        );
        assert_eq!(faults.causes[1].field, "data[a.b]");
        assert_eq!(
            faults.causes[2].message,
            "Invalid value: intstr.IntOrString{Type:1, IntVal:0, StrVal:\"5%\"}: x"
        );
    }

    #[test]
    fn selectors_look_as_go_prints_them() {
        let selector = json!({"matchLabels": {"b": "2", "a": "1"}, "matchExpressions":
            [{"key": "k", "operator": "In", "values": ["v"]}]});
        assert_eq!(
            go_selector(Some(&selector)).0,
            "v1.LabelSelector{MatchLabels:map[string]string{\"a\":\"1\", \"b\":\"2\"}, MatchExpressions:[]v1.LabelSelectorRequirement{v1.LabelSelectorRequirement{Key:\"k\", Operator:\"In\", Values:[]string{\"v\"}}}}"
        );
    }
}
