//! What Kubernetes has not: requests below `/plimsoll/v1/`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use agent::path::{self, Tried};
use apiserver::{Api, Extension, ExtensionRequest, ExtensionResponse, ListQuery, Snapshot};
use futures_util::future::BoxFuture;
use objects::{Kind, Reason, Status, kind, meta};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::naming::Naming;
use crate::nodes::{Act, Nodes};
use crate::scheduling::Scheduling;
use crate::{Config, memory};

/// A cluster that serves, as far as the extension asks it.
pub(crate) struct Inside {
    pub(crate) name: String,
    pub(crate) config: Config,
    pub(crate) begun: Instant,
    pub(crate) api: Api,
    pub(crate) nodes: Nodes,
    /// None where no node runs pods.
    pub(crate) naming: Option<Naming>,
    pub(crate) scheduling: Scheduling,
    /// As it was when everything was ready.
    pub(crate) first: OnceLock<Snapshot>,
    pub(crate) snapshots: Mutex<BTreeMap<String, Snapshot>>,
}

/// The requests. They are refused until there is a cluster to ask.
#[derive(Clone, Default)]
pub(crate) struct Requests(Arc<OnceLock<Arc<Inside>>>);

/// The body of `snapshot` and `restore`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

impl Requests {
    /// From now on they are about this cluster.
    pub(crate) fn open(&self, inside: Arc<Inside>) {
        // There is one only.
        let _twice = self.0.set(inside);
    }
}

impl Extension for Requests {
    fn handle(&self, request: ExtensionRequest) -> BoxFuture<'_, ExtensionResponse> {
        let inside = self.0.get().cloned();
        Box::pin(async move {
            let answered = match inside {
                Some(inside) => inside.answer(&request).await,
                None => Err(Status::new(Reason::ServiceUnavailable, "the cluster is not ready yet")),
            };
            let (code, body) = match answered {
                Ok(body) => (200, body),
                Err(status) => (status.reason.code(), status.object()),
            };
            ExtensionResponse {
                code,
                content_type: "application/json".into(),
                body: body.to_string().into(),
            }
        })
    }
}

impl Inside {
    async fn answer(&self, request: &ExtensionRequest) -> Result<Value, Status> {
        let path: Vec<&str> = request.path.trim_matches('/').split('/').skip(2).collect();
        match (request.method.as_str(), path.as_slice()) {
            ("GET", []) => self.status(),
            ("GET", ["networks"]) => Ok(self.nodes.networks()),
            ("GET", ["explain", namespace, pod]) => self.explain(namespace, pod).await,
            ("POST", ["nodes", node, act]) => self.act(node, act, &request.body).await,
            ("POST", ["pods", namespace, pod, "mute"]) => self.mute(namespace, pod, true).await,
            ("POST", ["pods", namespace, pod, "unmute"]) => self.mute(namespace, pod, false).await,
            ("POST", ["path"]) => self.path(&request.body).await,
            ("POST", ["reset"]) => self.reset().await,
            ("POST", ["snapshot"]) => {
                let snapshot = self.api.snapshot();
                let count = snapshot.len();
                let name = named(&request.body)?;
                let message = format!("snapshot `{name}` has {count} objects");
                let mut snapshots = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
                snapshots.insert(name, snapshot);
                Ok(json!({"message": message, "objects": count}))
            }
            ("POST", ["restore"]) => {
                let name = named(&request.body)?;
                let snapshots = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
                let snapshot = snapshots.get(&name).cloned();
                drop(snapshots);
                let snapshot =
                    snapshot.ok_or_else(|| Status::new(Reason::NotFound, format!("there is no snapshot `{name}`")))?;
                self.rewind(&snapshot, &format!("as they were in snapshot `{name}`"))
            }
            (
                _,
                []
                | ["reset" | "snapshot" | "restore" | "networks" | "path"]
                | ["explain", _, _]
                | ["nodes", _, _]
                | ["pods", _, _, "mute" | "unmute"],
            ) => Err(Status::new(
                Reason::MethodNotAllowed,
                format!("{} is not served here", request.method),
            )),
            _ => Err(Status::new(
                Reason::NotFound,
                "the server could not find the requested resource",
            )),
        }
    }

    fn all(&self, group: &str, plural: &str) -> Result<Vec<Arc<Value>>, Status> {
        Ok(self
            .api
            .list(served(group, plural)?, None, &ListQuery::default())?
            .items)
    }

    fn status(&self) -> Result<Value, Status> {
        let mut pods: BTreeMap<String, usize> = BTreeMap::new();
        for pod in self.all("", "pods")? {
            let phase = pod
                .pointer("/status/phase")
                .and_then(Value::as_str)
                .unwrap_or("Unknown");
            *pods.entry(phase.to_owned()).or_default() += 1;
        }
        let nodes = self.all("", "nodes")?;
        let nodes: Vec<Value> = nodes
            .iter()
            .map(|node| {
                let name = meta::name(node);
                let mut entry = json!({"name": name, "ready": if is_ready(node) { "ready" } else { "not ready" }});
                if self.nodes.simulates(name) {
                    entry["simulated"] = true.into();
                }
                if let Some(fault) = self.nodes.fault(name) {
                    entry["fault"] = fault.into();
                }
                entry
            })
            .collect();
        let mut capabilities = vec!["explain", "nodes", "reset", "snapshot", "restore"];
        capabilities.extend(self.naming.as_ref().map(|_| "dns"));
        Ok(json!({
            "name": self.name,
            "version": env!("CARGO_PKG_VERSION"),
            "capabilities": capabilities,
            "seed": self.config.seed,
            "faults": self.config.faults,
            "uptimeSeconds": self.begun.elapsed().as_secs(),
            "revision": self.api.revision(),
            "memory": memory::resident(),
            "dns": self.naming.as_ref().map(Naming::status),
            "pods": pods,
            "nodes": nodes,
        }))
    }

    async fn explain(&self, namespace: &str, pod: &str) -> Result<Value, Status> {
        let explained = self.scheduling.explain(namespace, pod).await;
        let explained = explained.ok_or_else(|| match served("", "pods") {
            Ok(pods) => Status::not_found(pods, pod),
            Err(status) => status,
        })?;
        serde_json::to_value(explained).map_err(|error| Status::new(Reason::InternalError, error.to_string()))
    }

    async fn act(&self, node: &str, act: &str, body: &[u8]) -> Result<Value, Status> {
        let act = Act::read(act, body)?;
        let message = self.nodes.act(node, act, self.naming.as_ref()).await?;
        Ok(json!({"message": message}))
    }

    async fn mute(&self, namespace: &str, name: &str, muted: bool) -> Result<Value, Status> {
        let pod = self.api.get(served("", "pods")?, namespace, name)?;
        let text = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let address = text("/status/podIP").parse().map_err(|_| {
            let why = format!("pod `{name}` has no address");
            Status::new(Reason::BadRequest, why)
        })?;
        let message = self.nodes.mute(text("/spec/nodeName"), address, muted).await?;
        Ok(json!({"message": message}))
    }

    async fn path(&self, body: &[u8]) -> Result<Value, Status> {
        let tried: Tried =
            serde_json::from_slice(body).map_err(|error| Status::new(Reason::BadRequest, error.to_string()))?;
        let objects = path::Objects {
            pods: self.all("", "pods")?,
            services: self.all("", "services")?,
            slices: self.all("discovery.k8s.io", "endpointslices")?,
        };
        let hops = path::follow(self.nodes.real(), &objects, &tried).await;
        Ok(json!({"hops": hops}))
    }

    async fn reset(&self) -> Result<Value, Status> {
        self.nodes.mend(self.naming.as_ref()).await?;
        let first = self.first.get();
        let first = first.ok_or_else(|| Status::new(Reason::ServiceUnavailable, "the cluster is not ready yet"))?;
        self.rewind(first, "as they were when the cluster was ready")
    }

    fn rewind(&self, snapshot: &Snapshot, how: &str) -> Result<Value, Status> {
        let begun = Instant::now();
        let written = self.api.rewind(snapshot)?;
        let took = begun.elapsed().as_secs_f64() * 1e3;
        Ok(json!({
            "message": format!("{} objects are {how}; {written} writes in {took:.1} ms", snapshot.len()),
            "written": written,
        }))
    }
}

fn named(body: &[u8]) -> Result<String, Status> {
    let wrong = |why: String| Status::new(Reason::BadRequest, why);
    let named: Named =
        serde_json::from_slice(body).map_err(|error| wrong(format!("expected {{\"name\": …}}: {error}")))?;
    if named.name.is_empty() {
        return Err(wrong("a snapshot needs a name".into()));
    }
    Ok(named.name)
}

/// A kind that is always served.
pub(crate) fn served(group: &str, plural: &str) -> Result<&'static Kind, Status> {
    kind::find(group, "v1", plural)
        .ok_or_else(|| Status::new(Reason::InternalError, format!("`{plural}` is not served")))
}

/// Whether a node says that it is ready.
pub(crate) fn is_ready(node: &Value) -> bool {
    let conditions = node.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| {
        condition.get("type").and_then(Value::as_str) == Some("Ready")
            && condition.get("status").and_then(Value::as_str) == Some("True")
    })
}
