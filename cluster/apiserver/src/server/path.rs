//! Paths: one grammar for every kind.
//!
//! `/api/v1` or `/apis/GROUP/VERSION`, then `[/namespaces/NAMESPACE]/RESOURCE[/NAME[/SUBRESOURCE]]`.

use objects::{
    Kind, Reason, Status,
    kind::{self, Subresource},
};
use percent_encoding::percent_decode_str;

/// What a request is about.
#[derive(Debug, PartialEq)]
pub(crate) enum Target {
    /// `/`
    Root,
    /// `/livez`, `/readyz`, `/healthz`, and whatever is below them.
    Health,
    Version,
    Metrics,
    OpenApiV2,
    /// The index, or the document of a group and version.
    OpenApiV3(Option<(String, String)>),
    /// `/api`
    Core,
    /// `/apis`
    Groups,
    Group(String),
    GroupVersion(String, String),
    Resource(Place),
    /// `/plimsoll/v1` and below.
    Extension,
}

/// Objects, an object, or something below one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    pub(crate) kind: &'static Kind,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) sub: Option<&'static Subresource>,
}

impl Place {
    pub(crate) fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }
}

pub(crate) fn absent() -> Status {
    let mut status = Status::new(Reason::NotFound, "the server could not find the requested resource");
    status.details = Some(Box::default());
    status
}

/// # Errors
/// `NotFound` for what is not served, `BadRequest` for a path that is none.
pub(crate) fn parse(path: &str) -> Result<Target, Status> {
    let path = path.strip_prefix('/').ok_or_else(absent)?;
    if path.is_empty() {
        return Ok(Target::Root);
    }
    let path = path.strip_suffix('/').unwrap_or(path);
    let segments: Vec<String> = path.split('/').map(segment).collect::<Result<_, _>>()?;
    let texts: Vec<&str> = segments.iter().map(String::as_str).collect();
    Ok(match texts.as_slice() {
        ["livez" | "readyz" | "healthz", ..] => Target::Health,
        ["version"] => Target::Version,
        ["metrics"] => Target::Metrics,
        ["openapi", "v2"] => Target::OpenApiV2,
        ["openapi", "v3"] => Target::OpenApiV3(None),
        ["openapi", "v3", "api", version] => Target::OpenApiV3(Some((String::new(), (*version).into()))),
        ["openapi", "v3", "apis", group, version] => Target::OpenApiV3(Some(((*group).into(), (*version).into()))),
        ["plimsoll", "v1", ..] => Target::Extension,
        ["api"] => Target::Core,
        ["apis"] => Target::Groups,
        ["api", version] => served("", version).map(|()| Target::GroupVersion(String::new(), (*version).into()))?,
        ["apis", group] if !group.is_empty() && kind::KINDS.iter().any(|one| one.group == *group) => {
            Target::Group((*group).into())
        }
        ["apis", group, version] if !group.is_empty() => {
            served(group, version).map(|()| Target::GroupVersion((*group).into(), (*version).into()))?
        }
        ["api", version, rest @ ..] => Target::Resource(place("", version, rest)?),
        ["apis", group, version, rest @ ..] if !group.is_empty() => Target::Resource(place(group, version, rest)?),
        _ => return Err(absent()),
    })
}

fn served(group: &str, version: &str) -> Result<(), Status> {
    let one = kind::KINDS
        .iter()
        .find(|one| one.group == group && one.version == version);
    one.map(|_| ()).ok_or_else(absent)
}

/// One segment, decoded once. What would climb or hide a slash is no segment.
fn segment(text: &str) -> Result<String, Status> {
    let refuse = || Status::new(Reason::BadRequest, format!("invalid path segment {text:?}"));
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| refuse())?;
    let hides = decoded.contains(['/', '\\', '\0']) || decoded.chars().any(char::is_control);
    if decoded.is_empty() || decoded == "." || decoded == ".." || hides {
        return Err(refuse());
    }
    Ok(decoded.into_owned())
}

fn place(group: &str, version: &str, rest: &[&str]) -> Result<Place, Status> {
    let find = |plural: &str| kind::find(group, version, plural).ok_or_else(absent);
    let (namespace, rest) = match rest {
        // A namespace's own sub-resources have no resource's name.
        ["namespaces", _] | ["namespaces", _, "status" | "finalize"] if group.is_empty() => (None, rest),
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some((*namespace).to_owned()), rest),
        rest => (None, rest),
    };
    let (kind, name, sub) = match rest {
        [plural] => (find(plural)?, None, None),
        [plural, name] => (find(plural)?, Some(*name), None),
        [plural, name, sub] => {
            let kind = find(plural)?;
            let sub = kind
                .subresources
                .iter()
                .find(|one| one.name == *sub)
                .ok_or_else(absent)?;
            (kind, Some(*name), Some(sub))
        }
        _ => return Err(absent()),
    };
    let misplaced = if kind.namespaced {
        namespace.is_none() && name.is_some()
    } else {
        namespace.is_some()
    };
    if misplaced {
        return Err(absent());
    }
    Ok(Place {
        kind,
        namespace,
        name: name.map(str::to_owned),
        sub,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(path: &str) -> (String, Option<String>, Option<String>, Option<&'static str>) {
        match parse(path).expect(path) {
            Target::Resource(place) => (
                place.kind.resource(),
                place.namespace,
                place.name,
                place.sub.map(|sub| sub.name),
            ),
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn one_grammar_finds_every_kind() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(resource("/api/v1/pods"), ("pods".into(), None, None, None));
        assert_eq!(resource("/api/v1/nodes/a"), ("nodes".into(), None, some("a"), None));
        assert_eq!(
            resource("/api/v1/namespaces/x/finalize"),
            ("namespaces".into(), None, some("x"), Some("finalize"))
        );
        assert_eq!(
            resource("/apis/apps/v1/namespaces/x/deployments/web/scale"),
            ("deployments.apps".into(), some("x"), some("web"), Some("scale"))
        );
        assert_eq!(
            resource("/api/v1/namespaces/x/pods/a%3ab"),
            ("pods".into(), some("x"), some("a:b"), None)
        );
        assert_eq!(parse("/version/"), Ok(Target::Version));
        assert_eq!(parse("/readyz/ping"), Ok(Target::Health));
    }

    #[test]
    fn what_is_not_served_is_absent() {
        for path in [
            "/nothing",
            "/api/v2",
            "/apis/batch/v1",
            "/apis/batch",
            "/api/v1/jobs",
            "/api/v1/pods/a",
            "/api/v1/namespaces/x/nodes",
            "/api/v1/namespaces/x/pods/a/portforward",
            "/api/v1/namespaces/x/pods/a/log/b",
            "/apis/apps/v1/namespaces/x",
        ] {
            assert_eq!(parse(path).expect_err(path).reason.code() / 100, 4, "{path}");
        }
    }

    #[test]
    fn path_tricks_are_refused() {
        for path in [
            "/api/v1/namespaces/../pods",
            "/api/v1/namespaces/%2e%2e/pods",
            "/api/v1/namespaces/x/pods/..%2f..%2fsecrets",
            "/api/v1/namespaces/x/pods/a%00",
            "/api//v1",
            "//api/v1",
            "/api/v1/namespaces/x/pods/%ff",
        ] {
            assert_eq!(parse(path).expect_err(path).reason, Reason::BadRequest, "{path}");
        }
    }
}
