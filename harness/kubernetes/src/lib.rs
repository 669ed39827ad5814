//! How the harness reaches any Kubernetes cluster: through a kubeconfig, with objects as JSON.
//!
//! It is the only crate that knows kube and k8s-openapi. Inside runs a small tokio runtime on the caller's own thread;
//! outside everything is synchronous and bounded in time, as the drive is. Paths are those of the API, so that what a
//! record says was asked can be asked again with `kubectl get --raw`.

mod exec;
mod resource;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{Method, Request};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use serde_json::Value;

pub use exec::Said;
pub use resource::Resource;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kubeconfig cannot be read, or names no such context.
    #[error("failed to read the kubeconfig `{path}`", path = path.display())]
    Kubeconfig {
        /// Where.
        path: PathBuf,
        /// Cause.
        source: Box<KubeconfigError>,
    },
    /// No client can be made of it.
    #[error("failed to make a client of the kubeconfig `{path}`", path = path.display())]
    Client {
        /// Where.
        path: PathBuf,
        /// Cause.
        source: Box<kube::Error>,
    },
    /// The runtime inside.
    #[error("failed to start the client's runtime")]
    Runtime {
        /// Cause.
        source: std::io::Error,
    },
    /// The API server refused.
    #[error("failed to {act}: {refusal}")]
    Refused {
        /// What was asked, as method and path.
        act: String,
        /// Its answer.
        refusal: Refusal,
    },
    /// The API server was not reached, or made no sense.
    #[error("failed to {act}")]
    Reach {
        /// What was asked, as method and path.
        act: String,
        /// Cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It took too long.
    #[error("failed to {act}: no answer within {deadline:?}")]
    Slow {
        /// What was asked, as method and path.
        act: String,
        /// The time allowed.
        deadline: Duration,
    },
    /// The cluster serves no such kind.
    #[error("the cluster serves no {kind} of `{api_version}`")]
    Unserved {
        /// Group and version.
        api_version: String,
        /// Kind.
        kind: String,
    },
}

/// What an API server answers when it refuses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub code: u16,
    /// `NotFound`, `Invalid`, `TooManyRequests` …
    pub reason: String,
    /// A sentence.
    pub message: String,
}

impl fmt::Display for Refusal {
    /// As kubectl says it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error from server ({}): {}", self.reason, self.message)
    }
}

impl Error {
    /// The answer of the API server, if it gave one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal),
            _ => None,
        }
    }

    /// Whether what was asked for is not there.
    pub fn is_not_found(&self) -> bool {
        self.refusal().is_some_and(|refusal| refusal.code == 404)
    }
}

/// The body of a change.
#[derive(Debug, Clone, Copy)]
pub enum Patch<'p> {
    /// RFC 7386.
    Merge(&'p Value),
    /// Kubernetes' own.
    Strategic(&'p Value),
    /// RFC 6902.
    Json(&'p Value),
    /// Server-side apply.
    Apply {
        /// The fields that the manager wants.
        object: &'p Value,
        /// Who wants them.
        manager: &'p str,
        /// Whatever others want.
        force: bool,
    },
}

/// A cluster.
pub struct Client {
    runtime: tokio::runtime::Runtime,
    client: kube::Client,
    deadline: Duration,
    resources: RefCell<BTreeMap<(String, String), Resource>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Reads a kubeconfig and makes a client of its current context, or of the named one. Nothing is asked yet. Every
    /// request may take as long as `deadline`.
    ///
    /// # Errors
    /// [`Error::Kubeconfig`], [`Error::Client`], [`Error::Runtime`].
    pub fn open(kubeconfig: &Path, context: Option<&str>, deadline: Duration) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| Error::Runtime { source })?;
        let unreadable = |source| Error::Kubeconfig {
            path: kubeconfig.to_owned(),
            source: Box::new(source),
        };
        let read = Kubeconfig::read_from(kubeconfig).map_err(unreadable)?;
        let options = KubeConfigOptions {
            context: context.map(str::to_owned),
            ..KubeConfigOptions::default()
        };
        let client = runtime.block_on(async {
            let config = kube::Config::from_custom_kubeconfig(read, &options)
                .await
                .map_err(unreadable)?;
            kube::Client::try_from(config).map_err(|source| Error::Client {
                path: kubeconfig.to_owned(),
                source: Box::new(source),
            })
        })?;
        Ok(Self {
            runtime,
            client,
            deadline,
            resources: RefCell::default(),
        })
    }

    /// Asks for a path of the API, and answers JSON.
    ///
    /// # Errors
    /// [`Error`].
    pub fn get(&self, path: &str) -> Result<Value, Error> {
        self.call(Method::GET, path, None)
    }

    /// As [`Client::get`]; nothing if there is no such thing.
    ///
    /// # Errors
    /// [`Error`].
    pub fn find(&self, path: &str) -> Result<Option<Value>, Error> {
        match self.get(path) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The items of a list.
    ///
    /// # Errors
    /// [`Error`].
    pub fn list(&self, path: &str) -> Result<Vec<Value>, Error> {
        let mut list = self.get(path)?;
        Ok(match list.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        })
    }

    /// Sends an object to a path: creates it, binds, evicts, or posts to an extension.
    ///
    /// # Errors
    /// [`Error`].
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        self.call(Method::POST, path, Some(("application/json", body)))
    }

    /// Deletes what is at a path, with these options.
    ///
    /// # Errors
    /// [`Error`].
    pub fn delete(&self, path: &str, options: &Value) -> Result<Value, Error> {
        self.call(Method::DELETE, path, Some(("application/json", options)))
    }

    /// Changes what is at a path.
    ///
    /// # Errors
    /// [`Error`].
    pub fn patch(&self, path: &str, patch: &Patch<'_>) -> Result<Value, Error> {
        match patch {
            Patch::Merge(body) => self.call(Method::PATCH, path, Some(("application/merge-patch+json", body))),
            Patch::Strategic(body) => {
                let kind = "application/strategic-merge-patch+json";
                self.call(Method::PATCH, path, Some((kind, body)))
            }
            Patch::Json(body) => self.call(Method::PATCH, path, Some(("application/json-patch+json", body))),
            Patch::Apply { object, manager, force } => {
                let path = format!("{path}?fieldManager={}&force={force}", encoded(manager));
                self.call(Method::PATCH, &path, Some(("application/apply-patch+yaml", object)))
            }
        }
    }

    /// The log of a container of a pod: of its run before, with `previous`; the last `most` bytes.
    ///
    /// # Errors
    /// [`Error`].
    pub fn logs(
        &self,
        namespace: &str,
        pod: &str,
        container: Option<&str>,
        previous: bool,
        most: u32,
    ) -> Result<String, Error> {
        let mut path = format!("/api/v1/namespaces/{namespace}/pods/{pod}/log?previous={previous}&limitBytes={most}");
        if let Some(container) = container {
            path.push_str(&format!("&container={}", encoded(container)));
        }
        let act = format!("GET {path}");
        let request = request(&Method::GET, &path, None).map_err(|source| reach(&act, source))?;
        self.wait(act, self.client.request_text(request))
    }

    fn call(&self, method: Method, path: &str, body: Option<(&str, &Value)>) -> Result<Value, Error> {
        let act = format!("{method} {path}");
        let request = request(&method, path, body).map_err(|source| reach(&act, source))?;
        self.wait(act, self.client.request::<Value>(request))
    }

    /// Waits for an answer, no longer than allowed.
    fn wait<T>(&self, act: String, answer: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Error> {
        let deadline = self.deadline;
        let timed = async { tokio::time::timeout(deadline, answer).await };
        match self.runtime.block_on(timed) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(refused(act, error)),
            Err(_) => Err(Error::Slow { act, deadline }),
        }
    }
}

fn refused(act: String, error: kube::Error) -> Error {
    match error {
        kube::Error::Api(status) => Error::Refused {
            act,
            refusal: Refusal {
                code: status.code,
                reason: status.reason,
                message: status.message,
            },
        },
        other => reach(&act, other),
    }
}

fn reach(act: &str, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Reach {
        act: act.to_owned(),
        source: Box::new(source),
    }
}

fn request(method: &Method, path: &str, body: Option<(&str, &Value)>) -> Result<Request<Vec<u8>>, http::Error> {
    let builder = Request::builder().method(method).uri(path);
    match body {
        None => builder.body(Vec::new()),
        Some((kind, body)) => builder
            .header(http::header::CONTENT_TYPE, kind)
            .body(body.to_string().into_bytes()),
    }
}

/// Text as it stands in a query.
pub fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_holds_any_text() {
        assert_eq!(encoded("a=b,c d/é"), "a%3Db%2Cc%20d%2F%C3%A9");
    }

    #[test]
    fn a_refusal_reads_as_kubectl_writes_it() {
        let refusal = Refusal {
            code: 404,
            reason: "NotFound".into(),
            message: "pods \"x\" not found".into(),
        };
        assert_eq!(
            refusal.to_string(),
            "Error from server (NotFound): pods \"x\" not found"
        );
    }

    #[test]
    fn a_kubeconfig_that_is_not_there_is_named() {
        let error = Client::open(Path::new("/nowhere/kubeconfig"), None, Duration::from_secs(1)).unwrap_err();
        assert_eq!(error.to_string(), "failed to read the kubeconfig `/nowhere/kubeconfig`");
    }
}
