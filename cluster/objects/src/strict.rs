//! Field validation as the server does it: unknown fields, fields said twice, and values of the wrong type, each named by its path.
//!
//! Texts are those of Kubernetes' own decoder: clients and people search for them.
//! See <https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation>.

mod literal;
mod reader;

use std::fmt;

use serde_json::{Map, Value};

pub use reader::read;

use crate::{
    Cause, Kind, Reason, Status,
    quantity::Quantity,
    schema::{self, Field, Message, Shape, Type},
    status::Details,
};

/// Faults past this many are not told.
const MOST: usize = 100;

/// What becomes of an object with unknown fields or with fields said twice: the query parameter `fieldValidation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// It is taken; the fields are dropped in silence.
    Ignore,
    /// It is taken; each fault is a warning.
    #[default]
    Warn,
    /// It is refused.
    Strict,
}

impl Mode {
    /// The parameter's value, nothing if there is no such mode.
    pub fn named(value: &str) -> Option<Self> {
        match value {
            "Ignore" => Some(Self::Ignore),
            "Warn" | "" => Some(Self::Warn),
            "Strict" => Some(Self::Strict),
            _ => None,
        }
    }
}

/// A fault that need not keep an object from being taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldFault {
    /// No such field.
    Unknown(String),
    /// The field is there twice.
    Duplicate(String),
}

impl fmt::Display for FieldFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(path) => write!(f, "unknown field {path:?}"),
            Self::Duplicate(path) => write!(f, "duplicate field {path:?}"),
        }
    }
}

/// An object that was taken, and what is to be said about it.
#[derive(Debug)]
pub struct Decoded {
    /// The object without its unknown fields.
    pub object: Value,
    /// One `Warning` header each.
    pub warnings: Vec<String>,
}

/// A JSON body of a kind. `apiVersion` and `kind` may be missing in it.
pub fn decode(kind: &Kind, body: &[u8], mode: Mode) -> Result<Decoded, Status> {
    decode_as(schema::message(kind), body, mode)
}

/// A JSON body of a message, such as `DeleteOptions`.
pub fn decode_as(message: &Message, body: &[u8], mode: Mode) -> Result<Decoded, Status> {
    let (object, doubled) = read(body).map_err(|cause| match cause.is_eof() {
        true => syntax(message, "unexpected end of JSON input", body),
        false => syntax(message, &cause.to_string(), body),
    })?;
    settle(message, object, doubled, mode)
}

/// An object that somebody else has read, with the faults that only a reader sees.
pub fn settle(message: &Message, mut object: Value, doubled: Vec<FieldFault>, mode: Mode) -> Result<Decoded, Status> {
    let mut faults = check_as(message, &object)?;
    faults.extend(doubled);
    if mode == Mode::Strict && !faults.is_empty() {
        return Err(Status::new(
            Reason::BadRequest,
            unfit(message, &object, &strict(&faults)),
        ));
    }
    prune_as(message, &mut object);
    let warnings = match mode {
        Mode::Warn => faults.iter().map(ToString::to_string).collect(),
        Mode::Ignore | Mode::Strict => Vec::new(),
    };
    Ok(Decoded { object, warnings })
}

/// An object that a patch has made.
pub fn settle_patched(message: &Message, mut object: Value, mode: Mode) -> Result<Decoded, Status> {
    let faults = inspect(message, &object).map_err(|wrong| unfit_patch(&object, &wrong))?;
    if mode == Mode::Strict && !faults.is_empty() {
        return Err(unfit_patch(&object, &strict(&faults)));
    }
    prune_as(message, &mut object);
    let warnings = match mode {
        Mode::Warn => faults.iter().map(ToString::to_string).collect(),
        Mode::Ignore | Mode::Strict => Vec::new(),
    };
    Ok(Decoded { object, warnings })
}

/// Unknown fields of an object; refused is one whose values are of the wrong type.
pub fn check(kind: &Kind, object: &Value) -> Result<Vec<FieldFault>, Status> {
    check_as(schema::message(kind), object)
}

/// As [`check`], for any message.
pub fn check_as(message: &Message, object: &Value) -> Result<Vec<FieldFault>, Status> {
    inspect(message, object).map_err(|wrong| match object {
        Value::Object(_) => Status::new(Reason::BadRequest, unfit(message, object, &wrong)),
        _ => syntax(message, &wrong, object.to_string().as_bytes()),
    })
}

/// Unknown fields, or the first value of a wrong type.
fn inspect(message: &Message, object: &Value) -> Result<Vec<FieldFault>, String> {
    let Value::Object(fields) = object else {
        let (_, version) = message.group_version();
        let (value, name) = (go_kind(object), message.short());
        return Err(format!(
            "json: cannot unmarshal {value} into Go value of type {version}.{name}"
        ));
    };
    let mut walk = Walk::default();
    walk.message(message, fields);
    match walk.wrong {
        Some(wrong) => Err(wrong),
        None => Ok(walk.faults),
    }
}

/// Makes of an object what Kubernetes' own types would keep of it: no unknown field, no null, no zero that is left out, and
/// quantities in their canonical form.
///
/// The object is one that [`check`] takes; what is of the wrong type stays as it is.
pub fn prune(kind: &Kind, object: &mut Value) {
    prune_as(schema::message(kind), object);
}

/// As [`prune`], for any message.
pub fn prune_as(message: &Message, object: &mut Value) {
    let Value::Object(fields) = object else { return };
    fields.retain(|name, value| {
        let Some(field) = message.field(name) else { return false };
        prune_field(field, value);
        !(value.is_null() || field.omit && !field.pointer && is_zero(field, value))
    });
}

fn prune_field(field: &Field, value: &mut Value) {
    match (field.shape, value) {
        (Shape::One, value) => prune_item(field, value),
        (Shape::List, Value::Array(items)) => {
            for item in items {
                prune_item(field, item);
                if item.is_null() {
                    *item = zero(field.ty);
                }
            }
        }
        (Shape::Map, Value::Object(items)) => {
            for (_, item) in items.iter_mut() {
                prune_item(field, item);
                if item.is_null() {
                    *item = zero(field.ty);
                }
            }
        }
        _ => {}
    }
}

fn prune_item(field: &Field, item: &mut Value) {
    match field.ty {
        Type::Message(id) => prune_as(id.message(), item),
        Type::Quantity => {
            if let Some(quantity) = Quantity::of(item) {
                *item = quantity.to_string().into();
            }
        }
        _ => {}
    }
}

fn zero(ty: Type) -> Value {
    match ty {
        Type::String | Type::Bytes => "".into(),
        Type::Bool => false.into(),
        Type::Int32 | Type::Int64 | Type::IntOrString => 0.into(),
        Type::Quantity => "0".into(),
        Type::Time | Type::MicroTime => Value::Null,
        Type::FieldsV1 | Type::Message(_) => Map::new().into(),
    }
}

fn is_zero(field: &Field, value: &Value) -> bool {
    match (field.shape, value) {
        (Shape::List, Value::Array(items)) => items.is_empty(),
        (Shape::Map, Value::Object(items)) => items.is_empty(),
        (Shape::One, Value::Object(_)) => false,
        (Shape::One, value) => match field.ty {
            Type::String | Type::Bytes => value == "",
            Type::Bool => value == false,
            Type::Int32 | Type::Int64 => value == 0,
            _ => false,
        },
        _ => false,
    }
}

fn strict(faults: &[FieldFault]) -> String {
    let each: Vec<_> = faults.iter().take(MOST).map(ToString::to_string).collect();
    format!("strict decoding error: {}", each.join(", "))
}

/// That an object cannot be taken as what it is sent as.
fn unfit(message: &Message, object: &Value, why: &str) -> String {
    let kind = object["kind"]
        .as_str()
        .filter(|kind| !kind.is_empty())
        .unwrap_or(message.short());
    let version = match object["apiVersion"].as_str() {
        None | Some("") => message.group_version().1,
        Some(gv) => gv.rsplit_once('/').map_or(gv, |(_, version)| version),
    };
    format!(
        "{kind} in version {version:?} cannot be handled as a {}: {why}",
        message.short()
    )
}

/// That what a patch has made cannot be taken.
fn unfit_patch(object: &Value, why: &str) -> Status {
    let cause = Cause {
        reason: "FieldValueInvalid".into(),
        message: format!("Invalid value: {:?}: {why}", object.to_string()),
        field: "patch".into(),
    };
    let mut status = Status::new(Reason::Invalid, format!(" \"\" is invalid: patch: {}", cause.message));
    status.details = Some(Box::new(Details {
        causes: vec![cause],
        ..Details::default()
    }));
    status
}

/// That a body is no object at all; it is told by its first bytes.
fn syntax(message: &Message, why: &str, body: &[u8]) -> Status {
    let start: String = body.iter().take(30).map(|byte| format!("{byte:02x}")).collect();
    let more = if body.len() > 30 { " ..." } else { "" };
    let text = format!(
        "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: {why} ({start}{more})",
        message.short()
    );
    Status::new(Reason::BadRequest, text)
}

fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// One pass over an object.
#[derive(Default)]
struct Walk {
    /// As faults tell it: with indexes and keys.
    path: String,
    /// As Go's decoder tells it: fields alone.
    fields: Vec<&'static str>,
    faults: Vec<FieldFault>,
    /// The first value of a wrong type.
    wrong: Option<String>,
}

impl Walk {
    fn message(&mut self, message: &Message, object: &Map<String, Value>) {
        for (name, value) in object {
            let Some(field) = message.field(name) else {
                if self.faults.len() < MOST {
                    let path = self.below(name);
                    self.faults.push(FieldFault::Unknown(path));
                }
                continue;
            };
            let length = self.path.len();
            self.path = self.below(name);
            self.fields.push(field.name);
            self.field(message, field, value);
            self.fields.pop();
            self.path.truncate(length);
        }
    }

    fn below(&self, name: &str) -> String {
        match self.path.as_str() {
            "" => name.into(),
            path => format!("{path}.{name}"),
        }
    }

    fn field(&mut self, of: &Message, field: &Field, value: &Value) {
        match (field.shape, value) {
            (_, Value::Null) => {}
            (Shape::One, value) => self.item(of, field, value),
            (Shape::List, Value::Array(items)) => {
                for (at, item) in items.iter().enumerate() {
                    let length = self.path.len();
                    self.path.push_str(&format!("[{at}]"));
                    self.item(of, field, item);
                    self.path.truncate(length);
                }
            }
            (Shape::Map, Value::Object(items)) => {
                for (key, item) in items {
                    let length = self.path.len();
                    self.path = self.below(key);
                    self.item(of, field, item);
                    self.path.truncate(length);
                }
            }
            (_, value) => self.wrong(of, go_kind(value), &field.go()),
        }
    }

    fn item(&mut self, of: &Message, field: &Field, value: &Value) {
        let mismatch = |walk: &mut Self, ty: &str| walk.wrong(of, go_kind(value), ty);
        match (field.ty, value) {
            (_, Value::Null) | (Type::FieldsV1, _) => {}
            (Type::Message(id), Value::Object(inner)) => self.message(id.message(), inner),
            (Type::String, Value::String(_)) | (Type::Bool, Value::Bool(_)) => {}
            (Type::Int32, Value::Number(number)) => {
                if number.as_i64().and_then(|number| i32::try_from(number).ok()).is_none() {
                    self.wrong(of, &format!("number {number}"), &field.go_item());
                }
            }
            (Type::Int64, Value::Number(number)) => {
                if number.as_i64().is_none() {
                    self.wrong(of, &format!("number {number}"), &field.go_item());
                }
            }
            (Type::Bytes, Value::String(text)) => self.literal(literal::base64(text)),
            (Type::Time, Value::String(text)) => self.literal(literal::time(text, false)),
            (Type::MicroTime, Value::String(text)) => self.literal(literal::time(text, true)),
            (Type::Time | Type::MicroTime, _) => mismatch(self, "string"),
            (Type::Quantity, Value::String(text)) => self.quantity(text),
            (Type::Quantity, value) => self.quantity(&value.to_string()),
            (Type::IntOrString, Value::String(_)) => {}
            (Type::IntOrString, Value::Number(number)) => {
                if number.as_i64().and_then(|number| i32::try_from(number).ok()).is_none() {
                    self.wrong(of, &format!("number {number}"), "int32");
                }
            }
            (Type::IntOrString, _) => mismatch(self, "int32"),
            _ => mismatch(self, &field.go_item()),
        }
    }

    fn quantity(&mut self, text: &str) {
        self.literal(text.parse::<Quantity>().err().map(|fault| fault.to_string()));
    }

    fn literal(&mut self, fault: Option<String>) {
        if self.wrong.is_none() {
            self.wrong = fault;
        }
    }

    fn wrong(&mut self, of: &Message, value: &str, ty: &str) {
        if self.wrong.is_none() {
            let field = self.fields.join(".");
            self.wrong = Some(format!(
                "json: cannot unmarshal {value} into Go struct field {}.{field} of type {ty}",
                of.short()
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kind::find;

    fn deployment() -> &'static Kind {
        find("apps", "v1", "deployments").expect("served")
    }

    fn refused(object: Value) -> String {
        check(deployment(), &object).expect_err("of the wrong type").message
    }

    #[test]
    fn unknown_and_doubled_fields_are_named_by_their_paths() {
        let body = br#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"labels":{"a":"1","a":"2"}},
            "spec":{"foo":1,"template":{"spec":{"containers":[{"name":"a","imagee":"b"}]}},"replicas":1,"replicas":2}}"#;
        let told = decode(deployment(), body, Mode::Warn).expect("taken");
        assert_eq!(
            told.warnings,
            [
                r#"unknown field "spec.foo""#,
                r#"unknown field "spec.template.spec.containers[0].imagee""#,
                r#"duplicate field "metadata.labels.a""#,
                r#"duplicate field "spec.replicas""#,
            ]
        );
        assert_eq!(
            told.object["spec"],
            json!({"template": {"spec": {"containers": [{"name": "a"}]}}, "replicas": 2})
        );
        assert!(
            decode(deployment(), body, Mode::Ignore)
                .expect("taken")
                .warnings
                .is_empty()
        );
        let status = decode(deployment(), body, Mode::Strict).expect_err("strict");
        assert_eq!(status.reason, Reason::BadRequest);
        assert!(
            status.message.starts_with(
                r#"Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: unknown field "spec.foo", "#
            ),
            "{status}"
        );
    }

    #[test]
    fn a_wrong_type_is_told_as_kubernetes_tells_it() {
        let prefix = r#"Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal "#;
        let cases = [
            (
                json!({"spec": {"replicas": "3"}}),
                "string into Go struct field DeploymentSpec.spec.replicas of type int32",
            ),
            (
                json!({"spec": {"replicas": 1.5}}),
                "number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
            ),
            (
                json!({"spec": {"template": {"spec": {"containers": [{"env": [{"name": "A", "value": 1}]}]}}}}),
                "number into Go struct field EnvVar.spec.template.spec.containers.env.value of type string",
            ),
            (
                json!({"spec": {"template": {"spec": {"containers": {"name": "a"}}}}}),
                "object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container",
            ),
            (
                json!({"metadata": {"annotations": {"a": true}}}),
                "bool into Go struct field ObjectMeta.metadata.annotations of type string",
            ),
            (
                json!({"spec": {"template": {"spec": {"restartPolicy": 1}}}}),
                "number into Go struct field PodSpec.spec.template.spec.restartPolicy of type v1.RestartPolicy",
            ),
            (
                json!({"spec": []}),
                "array into Go struct field Deployment.spec of type v1.DeploymentSpec",
            ),
        ];
        for (object, told) in cases {
            assert_eq!(refused(object), format!("{prefix}{told}"));
        }
        assert!(
            refused(json!({"metadata": {"creationTimestamp": "now"}}))
                .ends_with(r#"parsing time "now" as "2006-01-02T15:04:05Z07:00": cannot parse "now" as "2006""#)
        );
        assert!(
            refused(json!({"spec": {"template": {"spec": {"overhead": {"cpu": "a lot"}}}}}))
                .contains("quantities must match")
        );
    }

    #[test]
    fn what_is_no_object_is_told_by_its_first_bytes() {
        let status = decode(deployment(), b"{\"a\":", Mode::Warn).expect_err("cut off");
        assert!(
            status
                .message
                .contains("(must be of type Deployment): couldn't get version/kind"),
            "{status}"
        );
        assert!(
            status.message.ends_with("unexpected end of JSON input (7b2261223a)"),
            "{status}"
        );
    }

    #[test]
    fn nulls_and_zeros_are_left_out_where_kubernetes_leaves_them_out() {
        let mut object = json!({"metadata": {"name": "a", "creationTimestamp": null, "labels": {}},
            "spec": {"replicas": 0, "paused": false, "minReadySeconds": 0, "selector": {}, "revisionHistoryLimit": null,
                "template": {"spec": {"containers": [{"name": "", "resources": {"limits": {"cpu": 2, "memory": "1024Mi"}}, "tty": false}]}}}});
        prune(deployment(), &mut object);
        assert_eq!(
            object,
            json!({"metadata": {"name": "a"}, "spec": {"replicas": 0, "selector": {},
                "template": {"spec": {"containers": [{"name": "", "resources": {"limits": {"cpu": "2", "memory": "1Gi"}}}]}}}})
        );
    }

    #[test]
    fn a_patch_that_adds_an_unknown_field_is_invalid_in_strict_mode() {
        let message = schema::message(deployment());
        let status = settle_patched(message, json!({"spec": {"x": 1}}), Mode::Strict).expect_err("strict");
        assert_eq!(status.reason, Reason::Invalid);
        assert!(
            status
                .message
                .ends_with(r#"strict decoding error: unknown field "spec.x""#),
            "{status}"
        );
        assert_eq!(status.details.expect("details").causes[0].field, "patch");
        let status = settle_patched(message, json!({"spec": {"replicas": "x"}}), Mode::Ignore).expect_err("wrong type");
        assert_eq!(status.reason, Reason::Invalid);
        assert!(
            status.message.ends_with("DeploymentSpec.spec.replicas of type int32"),
            "{status}"
        );
    }
}
