//! What the API answers when it refuses: `meta/v1.Status`, on whose `reason` clients branch.

use std::fmt;

use serde_json::{Value, json};

use crate::Kind;

/// A refusal.
///
/// See <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/>.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// What clients branch on.
    pub reason: Reason,
    /// What people read.
    pub message: String,
    /// What it is about, and what is wrong with it.
    pub details: Option<Box<Details>>,
}

/// What a refusal is about.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Details {
    /// Name of the object.
    pub name: String,
    /// API group; empty for the core group.
    pub group: String,
    /// The kind, or the plural where no object is meant.
    pub kind: String,
    /// Each fault.
    pub causes: Vec<Cause>,
    /// Seconds after which asking again makes sense.
    pub retry_after: Option<u32>,
}

/// One fault of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// `FieldValueInvalid`, `FieldValueRequired`, `DisruptionBudget` …
    pub reason: String,
    /// What is wrong.
    pub message: String,
    /// Path of the field, such as `spec.containers[0].name`.
    pub field: String,
}

/// Reasons of `meta/v1.StatusReason`, each with its HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// 400
    BadRequest,
    /// 401
    Unauthorized,
    /// 403
    Forbidden,
    /// 404
    NotFound,
    /// 405
    MethodNotAllowed,
    /// 406
    NotAcceptable,
    /// 409: it is there already.
    AlreadyExists,
    /// 409: somebody else was first.
    Conflict,
    /// 410: the resource version is older than what is remembered.
    Expired,
    /// 413
    RequestEntityTooLarge,
    /// 415
    UnsupportedMediaType,
    /// 422
    Invalid,
    /// 429
    TooManyRequests,
    /// 500
    InternalError,
    /// 503
    ServiceUnavailable,
    /// 504
    Timeout,
}

impl Reason {
    /// HTTP status code.
    pub fn code(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::NotAcceptable => 406,
            Self::AlreadyExists | Self::Conflict => 409,
            Self::Expired => 410,
            Self::RequestEntityTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Invalid => 422,
            Self::TooManyRequests => 429,
            Self::InternalError => 500,
            Self::ServiceUnavailable => 503,
            Self::Timeout => 504,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Status {
    /// A refusal that is about no object.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            details: None,
        }
    }

    /// No such object.
    pub fn not_found(kind: &Kind, name: &str) -> Self {
        Self::new(Reason::NotFound, format!("{} \"{name}\" not found", kind.resource())).about(kind, name)
    }

    /// The name is taken.
    pub fn already_exists(kind: &Kind, name: &str) -> Self {
        Self::new(
            Reason::AlreadyExists,
            format!("{} \"{name}\" already exists", kind.resource()),
        )
        .about(kind, name)
    }

    /// Somebody else wrote first.
    pub fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.resource());
        Self::new(Reason::Conflict, message).about(kind, name)
    }

    /// Not allowed, whoever asks with whatever object.
    pub fn forbidden(kind: &Kind, name: &str, why: &str) -> Self {
        Self::new(
            Reason::Forbidden,
            format!("{} \"{name}\" is forbidden: {why}", kind.resource()),
        )
        .about(kind, name)
    }

    /// The object has faults, all of which are told.
    pub fn invalid(kind: &Kind, name: &str, causes: Vec<Cause>) -> Self {
        let each: Vec<String> = causes
            .iter()
            .map(|one| format!("{}: {}", one.field, one.message))
            .collect();
        let all = match each.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let mut status = Self::new(
            Reason::Invalid,
            format!("{} \"{name}\" is invalid: {all}", kind.qualified()),
        );
        status.details = Some(Box::new(Details {
            name: name.into(),
            group: kind.group.into(),
            kind: kind.kind.into(),
            causes,
            retry_after: None,
        }));
        status
    }

    fn about(mut self, kind: &Kind, name: &str) -> Self {
        self.details = Some(Box::new(Details {
            name: name.into(),
            group: kind.group.into(),
            kind: kind.plural.into(),
            ..Details::default()
        }));
        self
    }

    /// The object of kind `Status` that goes over the wire.
    pub fn object(&self) -> Value {
        let mut object = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason.to_string(), "code": self.reason.code(),
        });
        let Some(about) = &self.details else { return object };
        let mut details = serde_json::Map::new();
        let texts = [("name", &about.name), ("group", &about.group), ("kind", &about.kind)];
        for (key, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            details.insert(key.into(), text.as_str().into());
        }
        if !about.causes.is_empty() {
            let causes = about
                .causes
                .iter()
                .map(|one| json!({"reason": one.reason, "message": one.message, "field": one.field}));
            details.insert("causes".into(), causes.collect());
        }
        if let Some(seconds) = about.retry_after {
            details.insert("retryAfterSeconds".into(), seconds.into());
        }
        object["details"] = details.into();
        object
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::find;

    #[test]
    fn an_invalid_object_is_told_as_kubernetes_tells_it() {
        let kind = find("apps", "v1", "deployments").expect("served");
        let cause = Cause {
            reason: "FieldValueRequired".into(),
            message: "Required value".into(),
            field: "spec.selector".into(),
        };
        let status = Status::invalid(kind, "web", vec![cause]);
        assert_eq!(
            status.message,
            "Deployment.apps \"web\" is invalid: spec.selector: Required value"
        );
        let object = status.object();
        assert_eq!(object["code"], 422);
        assert_eq!(object["details"]["causes"][0]["field"], "spec.selector");
    }

    #[test]
    fn what_is_missing_is_named_by_its_plural() {
        let kind = find("", "v1", "pods").expect("served");
        assert_eq!(Status::not_found(kind, "a").message, "pods \"a\" not found");
    }
}
