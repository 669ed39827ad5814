//! Field selectors: `status.phase=Running,spec.nodeName!=`.
//!
//! See <https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/>.

use std::{borrow::Cow, fmt};

use serde_json::Value;

use super::SelectorError;
use crate::{Kind, meta};

const NAME: &str = "metadata.name";
const NAMESPACE: &str = "metadata.namespace";

/// Fields by which kinds can be selected, beside name and namespace.
const FIELDS: &[(&str, &str, &[&str])] = &[
    (
        "",
        "Pod",
        &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
    ),
    ("", "Node", &["spec.unschedulable"]),
    ("", "Namespace", &["status.phase"]),
    ("", "Secret", &["type"]),
    ("", "Service", &["spec.clusterIP", "spec.type"]),
    (
        "",
        "Event",
        &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
    ),
];

/// All of its comparisons must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields {
    comparisons: Vec<Comparison>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Comparison {
    field: String,
    is_equal: bool,
    value: String,
}

impl Fields {
    /// Matches every object.
    pub fn everything() -> Self {
        Self::default()
    }

    /// Text as clients send it, for objects of a kind. Empty text matches everything.
    pub fn parse(kind: &Kind, text: &str) -> Result<Self, SelectorError> {
        let mut fields = Self::default();
        for term in terms(text).into_iter().filter(|term| !term.is_empty()) {
            let (field, is_equal, value) = split(term)
                .ok_or_else(|| SelectorError(format!("invalid selector: '{text}'; can't understand '{term}'")))?;
            let value = unescape(value)?;
            fields.comparisons.push(Comparison {
                field: supported(kind, field)?.into(),
                is_equal,
                value,
            });
        }
        Ok(fields)
    }

    /// Whether an object is meant.
    pub fn matches(&self, object: &Value) -> bool {
        self.comparisons
            .iter()
            .all(|one| (value(object, &one.field) == one.value) == one.is_equal)
    }

    /// What a field must be, if that is said: to look in an index instead of everywhere.
    pub fn required(&self, field: &str) -> Option<&str> {
        let one = self.comparisons.iter().find(|one| one.field == field && one.is_equal)?;
        Some(&one.value)
    }

    /// Whether every object is meant.
    pub fn is_everything(&self) -> bool {
        self.comparisons.is_empty()
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, one) in self.comparisons.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let sign = if one.is_equal { "=" } else { "!=" };
            write!(f, "{comma}{}{sign}", one.field)?;
            for c in one.value.chars() {
                if matches!(c, '\\' | ',' | '=') {
                    f.write_str("\\")?;
                }
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

/// The field's name, if objects of this kind can be selected by it.
fn supported<'a>(kind: &Kind, field: &'a str) -> Result<&'a str, SelectorError> {
    let own = FIELDS
        .iter()
        .find(|(group, name, _)| *group == kind.group && *name == kind.kind);
    let Some((.., fields)) = own else {
        if field == NAME || field == NAMESPACE {
            return Ok(field);
        }
        return Err(SelectorError(format!(
            "\"{field}\" is not a known field selector: only \"{NAME}\", \"{NAMESPACE}\""
        )));
    };
    match field {
        "spec.host" if kind.kind == "Pod" => Ok("spec.nodeName"),
        NAME => Ok(field),
        NAMESPACE if kind.namespaced => Ok(field),
        _ if fields.contains(&field) => Ok(field),
        _ => Err(SelectorError(format!("field label not supported: {field}"))),
    }
}

fn value<'a>(object: &'a Value, field: &str) -> Cow<'a, str> {
    match field {
        "source" => {
            let component = meta::text(object, &["source", "component"]);
            return match component {
                "" => meta::text(object, &["reportingComponent"]).into(),
                component => component.into(),
            };
        }
        "status.podIPs" => {
            let each = meta::list(object, &["status", "podIPs"]).iter();
            let each: Vec<_> = each.map(|one| meta::text(one, &["ip"])).collect();
            return each.join(",").into();
        }
        "spec.unschedulable" | "spec.hostNetwork" => {
            let (_, name) = field.split_at("spec.".len());
            return if meta::flag(object, &["spec", name]) {
                "true"
            } else {
                "false"
            }
            .into();
        }
        _ => {}
    }
    let found = field.split('.').try_fold(object, |value, key| value.get(key));
    found.and_then(Value::as_str).unwrap_or("").into()
}

/// Parts between commas that are not escaped.
fn terms(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut from, mut is_escaped) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            ',' => {
                terms.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[from..]);
    terms
}

fn split(term: &str) -> Option<(&str, bool, &str)> {
    let at = term.find('=')?;
    let (field, value) = (&term[..at], &term[at + 1..]);
    Some(match field.strip_suffix('!') {
        Some(field) => (field, false, value),
        None => (field, true, value.strip_prefix('=').unwrap_or(value)),
    })
}

fn unescape(value: &str) -> Result<String, SelectorError> {
    let mut plain = String::with_capacity(value.len());
    let mut rest = value.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some(c @ ('\\' | ',' | '=')) => plain.push(c),
                Some(c) => {
                    return Err(SelectorError(format!(
                        "invalid field selector: invalid escape sequence: \\{c}"
                    )));
                }
                None => {
                    return Err(SelectorError(
                        "invalid field selector: invalid escape sequence: \\".into(),
                    ));
                }
            },
            ',' | '=' => {
                return Err(SelectorError(format!(
                    "invalid field selector: unescaped character in value: {c}"
                )));
            }
            c => plain.push(c),
        }
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kind;

    fn fields(plural: &str, text: &str) -> Result<Fields, SelectorError> {
        let group = if plural == "deployments" { "apps" } else { "" };
        Fields::parse(kind::find(group, "v1", plural).expect("served"), text)
    }

    #[test]
    fn comparisons_are_all_needed() {
        let pod = json!({"metadata": {"name": "a"}, "spec": {"nodeName": "n1"}, "status": {"phase": "Running"}});
        for (text, is_meant) in [
            ("", true),
            ("spec.nodeName=n1", true),
            ("spec.nodeName==n1,status.phase!=Running", false),
            ("status.phase!=Failed,status.phase!=Succeeded", true),
            ("status.podIP=", true),
            ("spec.hostNetwork=false", true),
            ("spec.host=n1", true),
        ] {
            assert_eq!(fields("pods", text).expect(text).matches(&pod), is_meant, "{text}");
        }
        let chosen = fields("pods", "spec.nodeName=n1").expect("good");
        assert_eq!(chosen.required("spec.nodeName"), Some("n1"));
        assert_eq!(chosen.to_string(), "spec.nodeName=n1");
    }

    #[test]
    fn a_field_that_is_not_supported_is_refused_as_kubernetes_does() {
        let refusal = |plural, text| fields(plural, text).expect_err(text).to_string();
        assert_eq!(refusal("pods", "spec.foo=1"), "field label not supported: spec.foo");
        assert_eq!(
            refusal("deployments", "status.phase=1"),
            "\"status.phase\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        );
        assert_eq!(
            refusal("pods", "metadata.name"),
            "invalid selector: 'metadata.name'; can't understand 'metadata.name'"
        );
        assert!(fields("nodes", "metadata.namespace=a").is_err());
    }
}
