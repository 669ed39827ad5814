//! A bundled cluster that samples are taken in: one for each subject and size, shared by all cases of it, so that what takes
//! turns sees the same cluster.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use kubernetes::{Client, Resource};
use serde_json::{Value, json};

use crate::drive::cluster::{Cluster, Lack, NETWORKS, text};
use crate::guard::{Home, Job};
use crate::traffic::Place;
use crate::wait::{self, Waited};

/// From look to look at what the API server says. It is asked and not watched, so that what is told late is late here, too.
pub(super) const EVERY: Duration = Duration::from_millis(1);

/// Until a cluster has done what it was asked for.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Variable of the environment by which a pod's process is found, whatever the cluster says.
const MARK: &str = "PLIMSOLL_PLACE";

/// One of the cluster's pods, where sockets can be made.
#[derive(Debug, Clone)]
pub(super) struct Pod {
    /// Its network namespace.
    pub(super) place: Place,
    /// Its address, as the cluster tells it.
    pub(super) address: Ipv4Addr,
    /// Its process, as the guard numbers it.
    pub(super) pid: i32,
}

/// A cluster, and what samples have made in it.
pub(super) struct Site {
    cluster: Cluster,
    /// What its pods have in their environment, before their names.
    word: String,
    /// Names and networks of its nodes, in the order of their names.
    nodes: Vec<(String, Place)>,
    outside: Place,
    pods: BTreeMap<String, Pod>,
    /// What was made beside pods, by its name.
    made: BTreeMap<String, Value>,
}

/// A cluster that several have.
pub(super) type Shared = Rc<RefCell<Site>>;

/// The clusters of a guard, by subject and by how many other Services are in them.
#[derive(Default)]
pub(super) struct Sites {
    up: BTreeMap<(String, u32), Result<Shared, Lack>>,
}

impl Sites {
    /// The cluster of a job's subject, which is started if nobody has asked for it before.
    ///
    /// # Errors
    /// [`Lack`], the same each time.
    pub(super) fn of(&mut self, job: &Job, home: &Home, others: u32) -> Result<Shared, Lack> {
        let number = self.up.len();
        let start = || Site::up(job, home, number).map(|site| Rc::new(RefCell::new(site)));
        let key = (job.subject.name.clone(), others);
        self.up.entry(key).or_insert_with(start).clone()
    }
}

impl Site {
    fn up(job: &Job, home: &Home, number: usize) -> Result<Self, Lack> {
        let broken = |act: &str, why: &dyn std::fmt::Display| Lack::Broken(format!("failed to {act}: {why}"));
        let cluster = Cluster::up(job, home, number)?;
        let told = cluster
            .client
            .find(NETWORKS)
            .map_err(|error| Lack::Broken(crate::chain(&error)))?;
        let told = told.ok_or_else(|| Lack::Unmet {
            requirement: "nodes on this host".into(),
            seen: format!("the cluster serves no {NETWORKS}"),
        })?;
        let place = |path: &Value| {
            let path = path.as_str().unwrap_or_default();
            Place::open(Path::new(path)).map_err(|error| broken(&format!("open the network at `{path}`"), &error))
        };
        let nodes = told["nodes"].as_object().into_iter().flatten();
        let mut nodes: Vec<(String, Place)> = nodes
            .map(|(name, path)| Ok((name.clone(), place(path)?)))
            .collect::<Result<_, Lack>>()?;
        nodes.sort_by(|one, other| one.0.cmp(&other.0));
        if nodes.len() < 2 {
            return Err(Lack::Broken(format!(
                "the cluster has {} nodes, and two are needed",
                nodes.len()
            )));
        }
        Ok(Self {
            outside: place(&told["outside"])?,
            word: format!("{}-{number}", job.nonce),
            cluster,
            nodes,
            pods: BTreeMap::new(),
            made: BTreeMap::new(),
        })
    }

    pub(super) fn client(&self) -> &Client {
        &self.cluster.client
    }

    /// The namespace that is its own.
    pub(super) fn namespace(&self) -> &str {
        &self.cluster.namespace
    }

    /// The network of a node.
    pub(super) fn node(&self, number: usize) -> &Place {
        &self.nodes[number].1
    }

    /// The first address of a node.
    pub(super) fn address_of_node(&self, number: usize) -> Result<Ipv4Addr, String> {
        let path = format!("/api/v1/nodes/{}", self.nodes[number].0);
        let node = self.client().get(&path).map_err(|error| crate::chain(&error))?;
        let addresses = node.pointer("/status/addresses").and_then(Value::as_array);
        let mut addresses = addresses.into_iter().flatten().map(|address| text(address, "/address"));
        let found = addresses.find_map(|address| address.parse().ok());
        found.ok_or_else(|| format!("node {} has no address", self.nodes[number].0))
    }

    /// Outside of all nodes.
    pub(super) fn outside(&self) -> &Place {
        &self.outside
    }

    /// The pod of this name on a node; it is made if it is not there yet. Its label `app` is its name.
    ///
    /// # Errors
    /// What the cluster did not do, in a sentence.
    pub(super) fn pod(&mut self, name: &str, node: usize) -> Result<Pod, String> {
        if let Some(known) = self.pods.get(name) {
            return Ok(known.clone());
        }
        let mark = format!("{}-{name}", self.word);
        let mut pod = manifest(name, &json!({"app": name}));
        pod["spec"]["nodeName"] = json!(self.nodes[node].0);
        pod["spec"]["containers"][0]["env"] = json!([{"name": MARK, "value": mark}]);
        let path = format!("/api/v1/namespaces/{}/pods", self.namespace());
        self.client().post(&path, &pod).map_err(|error| crate::chain(&error))?;
        let path = format!("{path}/{name}");
        let waited = wait::until(PATIENCE, EVERY, || {
            let pod = self.client().get(&path).map_err(|error| crate::chain(&error))?;
            is(&pod, "Ready")
                .then_some(pod)
                .ok_or_else(|| "it is not ready".to_owned())
        });
        let pod = match waited {
            Waited::Done(pod) => pod,
            Waited::TimedOut { elapsed, last } => return Err(format!("pod {name} after {elapsed:?}: {last}")),
        };
        let address = text(&pod, "/status/podIP");
        let address = address
            .parse()
            .map_err(|_| format!("pod {name} has the address `{address}`"))?;
        let pid =
            process(&format!("{MARK}={mark}")).ok_or_else(|| format!("pod {name} is ready and has no process"))?;
        let net = PathBuf::from(format!("/proc/{pid}/ns/net"));
        let place = Place::open(&net).map_err(|error| format!("failed to open `{}`: {error}", net.display()))?;
        let made = Pod { place, address, pid };
        self.pods.insert(name.to_owned(), made.clone());
        Ok(made)
    }

    /// An object of this kind and name in the namespace; it is made if it is not there yet.
    ///
    /// # Errors
    /// Why it was refused.
    pub(super) fn object(&mut self, object: &Value) -> Result<Value, String> {
        let told = |error: kubernetes::Error| crate::chain(&error);
        let resource = self.resource(object).map_err(told)?;
        let path = resource.path_of(self.namespace(), &text(object, "/metadata/name"));
        if let Some(known) = self.made.get(&path) {
            return Ok(known.clone());
        }
        let made = self
            .client()
            .post(&resource.path(self.namespace()), object)
            .map_err(told)?;
        self.made.insert(path, made.clone());
        Ok(made)
    }

    fn resource(&self, object: &Value) -> Result<Resource, kubernetes::Error> {
        self.client()
            .resource(&text(object, "/apiVersion"), &text(object, "/kind"))
    }
}

/// A pod of the probe that does nothing, and ends at once when it is deleted.
pub(super) fn manifest(name: &str, labels: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels},
        "spec": {
            "containers": [{"name": "c", "image": "plimsoll/probe", "command": ["sleep", "forever"]}],
            "terminationGracePeriodSeconds": 0,
        },
    })
}

/// Whether a condition of a pod holds.
pub(super) fn is(pod: &Value, condition: &str) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|one| one["type"] == condition && one["status"] == "True")
}

/// The process whose environment has this word (`proc_pid_environ(5)`).
fn process(word: &str) -> Option<i32> {
    let entries = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.find(|pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|one| one == word.as_bytes())
    })
}
