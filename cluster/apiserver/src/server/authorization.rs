//! Who may do what. One policy today; the trait is where others, such as RBAC, come in.

use objects::{Reason, Status};

use super::path::{Place, Target};
use crate::User;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a> {
    /// Who asks.
    pub user: &'a User,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: &'a str,
    /// API group; empty for the core group.
    pub group: &'a str,
    /// The plural; empty for a path that is no object's.
    pub resource: &'a str,
    /// Empty for the object itself.
    pub subresource: &'a str,
    /// Empty at the cluster scope.
    pub namespace: &'a str,
    /// Empty where no object is meant.
    pub name: &'a str,
    /// As it was sent.
    pub path: &'a str,
}

/// Decides.
pub trait Authorizer: Send + Sync {
    /// Whether it is allowed.
    fn allows(&self, attributes: &Attributes<'_>) -> bool;
}

/// Everybody who is known may do everything, but for a group whose members only read.
#[derive(Debug, Clone)]
pub struct AllowAuthenticated {
    /// The group of those who only read.
    pub readers: String,
}

impl Default for AllowAuthenticated {
    fn default() -> Self {
        Self {
            readers: "plimsoll:readers".into(),
        }
    }
}

impl Authorizer for AllowAuthenticated {
    fn allows(&self, attributes: &Attributes<'_>) -> bool {
        let reads = matches!(attributes.verb, "get" | "list" | "watch");
        // A command in a container is no reading, though clients begin it with GET.
        let runs = matches!(attributes.subresource, "exec" | "attach");
        (reads && !runs) || !attributes.user.groups.contains(&self.readers)
    }
}

/// The verb of a request.
pub(crate) fn verb(method: &str, place: Option<&Place>, watch: bool) -> &'static str {
    let named = place.is_none_or(|place| place.name.is_some());
    match method {
        "GET" | "HEAD" if watch => "watch",
        "GET" | "HEAD" if named => "get",
        "GET" | "HEAD" => "list",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" if named => "delete",
        "DELETE" => "deletecollection",
        _ => "other",
    }
}

/// # Errors
/// `Forbidden`, worded as Kubernetes does.
pub(crate) fn check(
    authorizer: &dyn Authorizer,
    user: &User,
    verb: &str,
    target: &Target,
    path: &str,
) -> Result<(), Status> {
    let place = match target {
        Target::Resource(place) => Some(place),
        _ => None,
    };
    let attributes = Attributes {
        user,
        verb,
        group: place.map_or("", |place| place.kind.group),
        resource: place.map_or("", |place| place.kind.plural),
        subresource: place.and_then(|place| place.sub).map_or("", |sub| sub.name),
        namespace: place.map_or("", Place::namespace),
        name: place.and_then(|place| place.name.as_deref()).unwrap_or_default(),
        path,
    };
    if authorizer.allows(&attributes) {
        return Ok(());
    }
    let Some(place) = place else {
        let message = format!("forbidden: User \"{}\" cannot {verb} path \"{path}\"", user.name);
        return Err(Status::new(Reason::Forbidden, message));
    };
    let resource = match attributes.subresource {
        "" => attributes.resource.to_owned(),
        sub => format!("{}/{sub}", attributes.resource),
    };
    let scope = match attributes.namespace {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace \"{namespace}\""),
    };
    let why = format!(
        "User \"{}\" cannot {verb} resource \"{resource}\" in API group \"{}\" {scope}",
        user.name, attributes.group
    );
    let mut status = Status::forbidden(place.kind, attributes.name, &why);
    if attributes.name.is_empty() {
        status.message = format!("{} is forbidden: {why}", place.kind.resource());
    }
    Err(status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::path::parse;

    #[test]
    fn readers_read_and_run_nothing() {
        let reader = User {
            name: "bob".into(),
            groups: vec!["plimsoll:readers".into()],
            uid: String::new(),
        };
        let policy = AllowAuthenticated::default();
        let ask = |verb: &str, path: &str| check(&policy, &reader, verb, &parse(path).expect("a path"), path);
        ask("list", "/api/v1/pods").expect("reads");
        ask("get", "/api/v1/namespaces/x/pods/a/log").expect("reads");
        ask("get", "/api/v1/namespaces/x/pods/a/exec").expect_err("runs");
        ask("create", "/plimsoll/v1/reset").expect_err("resets");
        let refused = ask("create", "/apis/apps/v1/namespaces/x/deployments").expect_err("writes");
        assert_eq!(
            refused.message,
            "deployments.apps is forbidden: User \"bob\" cannot create resource \"deployments\" in API group \"apps\" \
             in the namespace \"x\""
        );
    }
}
