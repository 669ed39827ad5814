//! Where the objects of a kind are found, by what the cluster itself says.

use kube::core::GroupVersionKind;
use kube::discovery::{self, Scope};

use crate::{Client, Error, reach, refused};

/// A kind that a cluster serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Group and version.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Its name in paths.
    pub plural: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

impl Resource {
    /// The path of its objects, in a namespace if they live in one.
    pub fn path(&self, namespace: &str) -> String {
        let root = if self.api_version.contains('/') {
            "/apis"
        } else {
            "/api"
        };
        let within = if self.namespaced {
            format!("/namespaces/{namespace}")
        } else {
            String::new()
        };
        format!("{root}/{}{within}/{}", self.api_version, self.plural)
    }

    /// The path of one of its objects.
    pub fn path_of(&self, namespace: &str, name: &str) -> String {
        format!("{}/{name}", self.path(namespace))
    }
}

impl Client {
    /// A kind, asked for once.
    ///
    /// # Errors
    /// [`Error::Unserved`] if the cluster does not serve it, and others of [`Error`].
    pub fn resource(&self, api_version: &str, kind: &str) -> Result<Resource, Error> {
        let key = (api_version.to_owned(), kind.to_owned());
        if let Some(known) = self.resources.borrow().get(&key) {
            return Ok(known.clone());
        }
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let wanted = GroupVersionKind::gvk(group, version, kind);
        let act = format!("ask where {kind} of `{api_version}` is served");
        let deadline = self.deadline;
        let answer = discovery::pinned_kind(&self.client, &wanted);
        let timed = async { tokio::time::timeout(deadline, answer).await };
        let unserved = || Error::Unserved {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
        };
        let found = match self.runtime.block_on(timed) {
            Err(_) => return Err(Error::Slow { act, deadline }),
            Ok(Ok((found, capabilities))) => Resource {
                api_version: api_version.to_owned(),
                kind: kind.to_owned(),
                plural: found.plural,
                namespaced: capabilities.scope == Scope::Namespaced,
            },
            Ok(Err(kube::Error::Discovery(_))) => return Err(unserved()),
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => return Err(unserved()),
            Ok(Err(error @ kube::Error::Api(_))) => return Err(refused(act, error)),
            Ok(Err(error)) => return Err(reach(&act, error)),
        };
        self.resources.borrow_mut().insert(key, found.clone());
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_api() {
        let resource = |api_version: &str, plural: &str, namespaced| Resource {
            api_version: api_version.into(),
            kind: String::new(),
            plural: plural.into(),
            namespaced,
        };
        assert_eq!(
            resource("apps/v1", "deployments", true).path_of("a", "web"),
            "/apis/apps/v1/namespaces/a/deployments/web"
        );
        assert_eq!(resource("v1", "nodes", false).path("a"), "/api/v1/nodes");
    }
}
