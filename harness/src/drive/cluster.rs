//! The cluster of a case: the bundled one, started in the case's guard, or one behind a kubeconfig. Either is reached
//! only through its kubeconfig, and each case has a namespace of its own in it.

mod act;
mod evidence;
mod manifest;
mod nodes;
mod serve;

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use kubernetes::{Client, Resource};
use serde_json::{Value, json};
use spec::{Family, Spanned, Subject, Test};

use super::{World, family};
use crate::guard::{Home, Job};
use crate::subject::Kube;
use crate::wait::{self, Waited};

use self::nodes::Names;
pub(super) use self::serve::Server;

/// The label of what a run made, with its token as value.
const LABEL: &str = "plimsoll.dev/run";

/// Paths to the network namespaces of nodes, beside what Kubernetes has.
pub(super) const NETWORKS: &str = "/plimsoll/v1/networks";

/// From look to look while the harness waits for something of its own.
const EVERY: Duration = Duration::from_millis(10);

/// Why there is no cluster for a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lack {
    /// It cannot be had here: the case is skipped.
    Unmet {
        /// What is needed.
        requirement: String,
        /// What was seen.
        seen: String,
    },
    /// It did not work.
    Broken(String),
}

/// An object that a step made.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    /// Its kind.
    pub(crate) resource: Resource,
    /// Its namespace; of no meaning if its kind has none.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// Its uid, once it was told.
    pub(crate) uid: String,
}

impl Made {
    /// Its path in the API.
    pub(crate) fn path(&self) -> String {
        self.resource.path_of(&self.namespace, &self.name)
    }
}

/// Whether a verdict depends on where a pod is.
fn judges_nodes(test: &Test) -> bool {
    let steps = test.setup.iter().chain(&test.steps).chain(&test.teardown);
    let mut checks = steps.flat_map(|step| &step.value.expect);
    checks.any(|check| {
        let on_node = |on: &Spanned<String>| on.value.starts_with("node/");
        matches!(check.value.subject, Subject::Placement(_)) || check.value.on.as_ref().is_some_and(on_node)
    })
}

/// A cluster, as one case has it.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) client: Client,
    /// The case's own.
    pub(crate) namespace: String,
    /// Names of nodes in the spec and in the cluster.
    pub(crate) names: Names,
    /// By workload.
    pub(crate) made: BTreeMap<String, Made>,
    /// What the bundled cluster can beyond Kubernetes; nothing of another.
    pub(crate) extension: Option<Value>,
    /// The bundled one's process.
    pub(super) server: Option<Server>,
    /// What this look has read already, by path.
    read: BTreeMap<String, Result<Rc<Vec<Value>>, String>>,
}

impl Cluster {
    /// Starts or reaches the cluster of a case, and makes its namespace. Of several that are started in one guard each has
    /// another number.
    pub(super) fn up(job: &Job, home: &Home, number: usize) -> Result<Self, Lack> {
        let deadline = job.case.spec.timeouts.step.map_or(Duration::from_secs(10), |t| t.0);
        let broken = |error: kubernetes::Error| Lack::Broken(crate::chain(&error));
        let declared = job.case.spec.cluster.as_ref();
        let (client, server) = match &job.subject.kube {
            Some(kube) => {
                let client = Client::open(&kube.kubeconfig, kube.context.as_deref(), deadline).map_err(broken)?;
                (client, None)
            }
            None => {
                let server = Server::start(job, home, number)?;
                let client = Client::open(&server.kubeconfig, None, deadline).map_err(broken)?;
                (client, Some(server))
            }
        };
        let names = match (&job.subject.kube, declared) {
            (Some(_), Some(declared)) if !declared.nodes.is_empty() => {
                let nodes = client.list("/api/v1/nodes").map_err(broken)?;
                Names::matched(&declared.nodes, &nodes, judges_nodes(&job.case.spec)).map_err(|seen| Lack::Unmet {
                    requirement: "the nodes of `cluster`".into(),
                    seen,
                })?
            }
            _ => Names::default(),
        };
        let extension = match client.find("/plimsoll/v1") {
            Ok(found) => found,
            // Whoever may not ask has none.
            Err(error) if error.refusal().is_some() => None,
            Err(error) => return Err(broken(error)),
        };
        let namespace = namespace(job);
        let mut cluster = Self {
            client,
            namespace,
            names,
            made: BTreeMap::new(),
            extension,
            server,
            read: BTreeMap::new(),
        };
        cluster.make_namespace(job, deadline)?;
        Ok(cluster)
    }

    fn make_namespace(&mut self, job: &Job, deadline: Duration) -> Result<(), Lack> {
        let body = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": self.namespace, "labels": {LABEL: job.token}},
        });
        let broken = |error: kubernetes::Error| Lack::Broken(crate::chain(&error));
        self.client.post("/api/v1/namespaces", &body).map_err(broken)?;
        // Pods are refused before it is there.
        let account = format!("/api/v1/namespaces/{}/serviceaccounts/default", self.namespace);
        let waited = wait::until(deadline, EVERY, || match self.client.find(&account) {
            Ok(Some(_)) => Ok(Ok(())),
            Ok(None) => Err("it is not there"),
            Err(error) => Ok(Err(broken(error))),
        });
        match waited {
            Waited::Done(done) => done,
            Waited::TimedOut { elapsed, last } => Err(Lack::Broken(format!(
                "the cluster made no service account `default` in namespace `{}` in {elapsed:?}: {last}",
                self.namespace
            ))),
        }
    }

    /// Whether it is the bundled one, which is the case's own.
    pub(crate) fn is_own(&self) -> bool {
        self.server.is_some()
    }

    /// Whether it tells where the networks of its nodes are, as the bundled one may.
    pub(super) fn tells_networks(&self) -> bool {
        self.is_own() && matches!(self.client.find(NETWORKS), Ok(Some(_)))
    }

    /// A new look begins: what was read before is not what is there now.
    pub(super) fn look_anew(&mut self) {
        self.read.clear();
    }

    /// The objects at a path, read once a look.
    pub(crate) fn list(&mut self, path: &str) -> Result<Rc<Vec<Value>>, String> {
        if let Some(known) = self.read.get(path) {
            return known.clone();
        }
        let read = self
            .client
            .list(path)
            .map(Rc::new)
            .map_err(|error| crate::chain(&error));
        self.read.insert(path.to_owned(), read.clone());
        read
    }

    /// The pods of a workload, by name: the one that it is, or those that it owns.
    pub(crate) fn pods(&mut self, workload: &str) -> Result<Vec<Value>, String> {
        let made = self
            .made
            .get(workload)
            .cloned()
            .ok_or_else(|| format!("`{workload}` was never made"))?;
        let pods = self.list(&format!("/api/v1/namespaces/{}/pods", made.namespace))?;
        let mut owned: Vec<Value> = if made.resource.kind == "Pod" {
            pods.iter()
                .filter(|pod| pod["metadata"]["name"] == made.name.as_str())
                .cloned()
                .collect()
        } else {
            let owners = self.owners(&made)?;
            pods.iter().filter(|pod| is_owned(pod, &owners)).cloned().collect()
        };
        owned.sort_by_key(|pod| text(pod, "/metadata/name"));
        Ok(owned)
    }

    /// Uids of an object and of what it owns and makes pods of.
    pub(crate) fn owners(&mut self, made: &Made) -> Result<Vec<String>, String> {
        let mut owners = vec![made.uid.clone()];
        let between = match made.resource.kind.as_str() {
            "Deployment" => format!("/apis/apps/v1/namespaces/{}/replicasets", made.namespace),
            "CronJob" => format!("/apis/batch/v1/namespaces/{}/jobs", made.namespace),
            _ => return Ok(owners),
        };
        for middle in self.list(&between)?.iter() {
            if is_owned(middle, &owners[..1]) {
                owners.push(text(middle, "/metadata/uid"));
            }
        }
        Ok(owners)
    }

    /// What a reference stands for: `${namespace}`, `${web.podIPs}`. `None` if nothing is known by that name.
    pub(super) fn reference(&mut self, first: &str, rest: &str) -> Option<Result<Value, String>> {
        if first == "namespace" && rest.is_empty() {
            return Some(Ok(json!(self.namespace)));
        }
        let uid = self.made.get(first)?.uid.clone();
        if rest == "uid" {
            return Some(Ok(json!(uid)));
        }
        if let Some(found) = self.service_reference(first, rest) {
            return Some(found);
        }
        self.look_anew();
        let pods = match self.pods(first) {
            Ok(pods) => pods,
            Err(why) => return Some(Err(why)),
        };
        let every = |pointer: &str| -> Vec<String> {
            let all = pods.iter().map(|pod| text(pod, pointer));
            all.filter(|text| !text.is_empty()).collect()
        };
        let (rest, wanted) = family::split(rest);
        // The first address of each pod, of the family that is asked for.
        let addresses = |list: &str, one: &str| -> Vec<String> {
            let all = pods
                .iter()
                .map(|pod| family::only(family::addresses(pod, list, one), wanted));
            all.filter_map(|all| all.into_iter().next()).collect()
        };
        let pod_addresses = || addresses("/status/podIPs", "/status/podIP");
        let first_of = |all: Vec<String>, what: &str| {
            let found = all.into_iter().next().map(|text| json!(text));
            found.ok_or_else(|| format!("`{first}` has no pod with {what}"))
        };
        let one = |pointer: &str, what: &str| first_of(every(pointer), what);
        Some(match rest {
            "podName" => one("/metadata/name", "a name"),
            "podNames" => Ok(json!(every("/metadata/name"))),
            "podIP" => first_of(pod_addresses(), "such an address"),
            "podIPs" => Ok(json!(pod_addresses())),
            "hostIP" => first_of(
                addresses("/status/hostIPs", "/status/hostIP"),
                "such an address of a node",
            ),
            "node" => one("/spec/nodeName", "a node").map(|real| {
                let real = real.as_str().unwrap_or_default();
                json!(self.names.of_spec(real))
            }),
            _ => return None,
        })
    }

    /// What a reference to a service stands for: `${svc.clusterIP}`, `${svc.nodePort}`, `${svc.port.NAME}`.
    fn service_reference(&mut self, name: &str, rest: &str) -> Option<Result<Value, String>> {
        let (what, port) = match rest.split_once('.') {
            Some((what, port)) => (what, Some(port)),
            None => (rest, None),
        };
        if !matches!(what, "clusterIP" | "nodePort" | "port") {
            return None;
        }
        let path = self.made.get(name)?.path();
        let service = match self.client.find(&path) {
            Ok(Some(service)) => service,
            Ok(None) => return Some(Err(format!("{path} is not there"))),
            Err(error) => return Some(Err(crate::chain(&error))),
        };
        Some(of_service(&service, what, port).ok_or_else(|| format!("`{name}` has no {rest}")))
    }

    /// Removes what the case made in a cluster that lives on. Answers what is still there.
    pub(super) fn clean(&mut self, within: Duration) -> Vec<String> {
        if self.is_own() {
            return Vec::new();
        }
        let mut left = Vec::new();
        let background = json!({"propagationPolicy": "Background"});
        for made in self
            .made
            .values()
            .filter(|made| !made.resource.namespaced || made.namespace != self.namespace)
        {
            if let Err(error) = self.client.delete(&made.path(), &background)
                && !error.is_not_found()
            {
                left.push(format!("{}: {}", made.path(), crate::chain(&error)));
            }
        }
        left.extend(remove_namespace(&self.client, &self.namespace, within));
        left
    }
}

/// A service's address, or one of its ports: the first, or that of a name.
fn of_service(service: &Value, what: &str, port: Option<&str>) -> Option<Value> {
    if what == "clusterIP" {
        let wanted = match port {
            Some(word) => Some(Family::named(word)?),
            None => None,
        };
        let all = family::only(
            family::addresses(service, "/spec/clusterIPs", "/spec/clusterIP"),
            wanted,
        );
        let first = all.into_iter().next()?;
        // A headless service has `None`.
        return first.parse::<std::net::IpAddr>().is_ok().then(|| json!(first));
    }
    let mut ports = service.pointer("/spec/ports")?.as_array()?.iter();
    let found = ports.find(|own| port.is_none_or(|name| own["name"] == name))?;
    found[what]
        .as_u64()
        .filter(|number| *number > 0)
        .map(|number| json!(number))
}

/// The name of a case's namespace.
fn namespace(job: &Job) -> String {
    let token = job.token.to_lowercase();
    format!("plimsoll-{token}")
}

fn remove_namespace(client: &Client, namespace: &str, within: Duration) -> Option<String> {
    let path = format!("/api/v1/namespaces/{namespace}");
    let told = |error: kubernetes::Error| Some(format!("namespace {namespace}: {}", crate::chain(&error)));
    match client.delete(&path, &json!({})) {
        Ok(_) => {}
        Err(error) if error.is_not_found() => return None,
        Err(error) => return told(error),
    }
    let waited = wait::until(within, Duration::from_millis(200), || match client.find(&path) {
        Ok(None) => Ok(None),
        Ok(Some(_)) => Err(()),
        Err(error) => Ok(told(error)),
    });
    match waited {
        Waited::Done(told) => told,
        Waited::TimedOut { elapsed, .. } => Some(format!("namespace {namespace} is still there after {elapsed:?}")),
    }
}

/// Removes the namespace of a case that did not come to its end. Answers what is still there.
pub(crate) fn remove(job: &Job) -> Vec<String> {
    let Some(kube) = &job.subject.kube else {
        return Vec::new();
    };
    match Client::open(&kube.kubeconfig, kube.context.as_deref(), Duration::from_secs(10)) {
        Ok(client) => remove_namespace(&client, &namespace(job), Duration::from_secs(10))
            .into_iter()
            .collect(),
        Err(error) => vec![format!("namespace {}: {}", namespace(job), crate::chain(&error))],
    }
}

/// Removes the namespaces of a run that was killed. Answers which, or what is still there.
///
/// # Errors
/// The cluster cannot be asked, in a sentence.
pub(crate) fn remove_of_run(kube: &Kube, token: &str) -> Result<Vec<String>, String> {
    let told = |error: kubernetes::Error| crate::chain(&error);
    let client = Client::open(&kube.kubeconfig, kube.context.as_deref(), Duration::from_secs(5)).map_err(told)?;
    let prefix = format!("plimsoll-{}-", token.to_lowercase());
    let all = client
        .list(&format!("/api/v1/namespaces?labelSelector={LABEL}"))
        .map_err(told)?;
    let names = all.iter().map(|one| text(one, "/metadata/name"));
    let mine = names.filter(|name| name.starts_with(&prefix));
    Ok(mine
        .map(|name| {
            remove_namespace(&client, &name, Duration::from_secs(10)).map_or_else(
                || format!("namespace {name}"),
                |left| format!("could not remove {left}"),
            )
        })
        .collect())
}

/// What a cluster says of its version.
///
/// # Errors
/// A sentence.
pub(crate) fn version(kube: &Kube) -> Result<String, String> {
    let client = Client::open(
        Path::new(&kube.kubeconfig),
        kube.context.as_deref(),
        Duration::from_secs(5),
    );
    let version = client.and_then(|client| client.get("/version"));
    let version = version.map_err(|error| crate::chain(&error))?;
    Ok(format!("Kubernetes {}", text(&version, "/gitVersion")))
}

/// Whether one of these uids is among the owners of an object.
pub(crate) fn is_owned(object: &Value, owners: &[String]) -> bool {
    let references = object["metadata"]["ownerReferences"].as_array();
    references
        .into_iter()
        .flatten()
        .filter_map(|owner| owner["uid"].as_str())
        .any(|uid| owners.iter().any(|owner| owner == uid))
}

/// The text at a JSON pointer; empty if there is none.
pub(crate) fn text(value: &Value, pointer: &str) -> String {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

impl World<'_> {
    /// The cluster; only a case of a cluster may ask.
    pub(crate) fn cluster(&mut self) -> Result<&mut Cluster, String> {
        self.cluster.as_mut().ok_or_else(|| "there is no cluster".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_referred_to_by_address_and_ports() {
        let service = json!({"spec": {"clusterIP": "10.96.0.7", "ports": [
            {"name": "http", "port": 80, "nodePort": 30080},
            {"name": "metrics", "port": 9090},
        ]}});
        assert_eq!(of_service(&service, "clusterIP", None), Some(json!("10.96.0.7")));
        assert_eq!(of_service(&service, "nodePort", None), Some(json!(30080)));
        assert_eq!(of_service(&service, "port", Some("metrics")), Some(json!(9090)));
        assert_eq!(of_service(&service, "nodePort", Some("metrics")), None);
        let both = json!({"spec": {"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7", "fd00:10:96::7"]}});
        assert_eq!(of_service(&both, "clusterIP", None), Some(json!("10.96.0.7")));
        assert_eq!(
            of_service(&both, "clusterIP", Some("IPv6")),
            Some(json!("fd00:10:96::7"))
        );
        assert_eq!(of_service(&service, "clusterIP", Some("IPv6")), None);
        let headless = json!({"spec": {"clusterIP": "None"}});
        assert_eq!(of_service(&headless, "clusterIP", None), None);
        assert_eq!(of_service(&headless, "port", None), None);
    }

    #[test]
    fn an_owner_is_known_by_its_uid() {
        let pod = json!({"metadata": {"ownerReferences": [{"uid": "a", "name": "web"}]}});
        assert!(is_owned(&pod, &["b".into(), "a".into()]));
        assert!(!is_owned(&pod, &["web".into()]));
        assert!(!is_owned(&json!({"metadata": {}}), &["a".into()]));
    }
}
