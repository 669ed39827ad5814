//! Actions on a cluster. What an API server refuses is an outcome with status 1 and kubectl's words on standard error.

use std::time::{Duration, Instant};

use kubernetes::{Error, Patch};
use oci_runtime_client::Outcome;
use serde_json::{Value, json};
use spec::step::{Delete, Drain, Exec, NodeEvent, Propagation, Stop};
use spec::{Action, Workload};

use super::nodes::Names;
use super::{Cluster, EVERY, Made, manifest, text};
use crate::drive::{Stuck, World};
use crate::wait::{self, Waited};

/// Time to wait for what was deleted to be gone, beyond its grace.
const GONE: Duration = Duration::from_secs(10);

/// Time for pods to end by themselves unless told.
const GRACE: Duration = Duration::from_secs(30);

/// Time for a drain unless told.
const DRAIN: Duration = Duration::from_secs(10);

/// From one attempt at an eviction to the next.
const EVICT_EVERY: Duration = Duration::from_millis(100);

impl World<'_> {
    /// Does what a step asks for, in the cluster.
    pub(in crate::drive) fn act_on_cluster(&mut self, action: &Action) -> Result<(), Stuck> {
        match action {
            Action::Start(names) => names.iter().try_for_each(|name| self.create_object(&name.value)),
            Action::Stop(stop) => self.stop_object(stop),
            Action::Exec(exec) => self.exec_in_pod(exec),
            Action::Delete(delete) => self.delete_object(delete),
            Action::Apply(apply) => {
                let name = &apply.on.value;
                let object = match &apply.object {
                    Some(object) => self.placed(Value::Object(object.0.clone()))?,
                    None => self.manifest(name)?,
                };
                let manager = apply.manager.as_deref().unwrap_or("plimsoll");
                let patch = Patch::Apply {
                    object: &object,
                    manager,
                    force: apply.force,
                };
                let made = self
                    .cluster()
                    .and_then(|cluster| cluster.place(&object))
                    .map_err(Stuck::Host)?;
                let told = format!("apply {}/{} as {manager}", made.resource.kind, made.name);
                let path = made.path();
                self.ask(told, |cluster| cluster.client.patch(&path, &patch))
                    .and_then(|object| self.remember(name, made, &object))
            }
            Action::Patch(patch) => {
                let mut path = self.path_on(&patch.on.value)?;
                if let Some(part) = &patch.subresource {
                    path = format!("{path}/{part}");
                }
                let json = patch.json.as_ref().map(|operations| json!(operations));
                let change = match (&patch.merge, &patch.strategic, &json) {
                    (Some(merge), _, _) => Patch::Merge(merge),
                    (_, Some(strategic), _) => Patch::Strategic(strategic),
                    (_, _, Some(json)) => Patch::Json(json),
                    (None, None, None) => return Err(Stuck::Host("a patch that changes nothing".into())),
                };
                self.ask(format!("patch {}", patch.on.value), |cluster| {
                    cluster.client.patch(&path, &change)
                })
                .map(drop)
            }
            Action::Scale(scale) => {
                let path = format!("{}/scale", self.path_on(&scale.on.value)?);
                let change = json!({"spec": {"replicas": scale.replicas}});
                self.ask(format!("scale {} to {}", scale.on.value, scale.replicas), |cluster| {
                    cluster.client.patch(&path, &Patch::Merge(&change))
                })
                .map(drop)
            }
            Action::Evict(evict) => {
                let pods = self.pods_of(&evict.on.value)?;
                let grace = evict.grace.map(|grace| grace.0);
                pods.iter().try_for_each(|pod| {
                    let (namespace, name) = (text(pod, "/metadata/namespace"), text(pod, "/metadata/name"));
                    self.ask(format!("evict pod {name}"), |cluster| {
                        cluster.evict(&namespace, &name, grace)
                    })
                    .map(drop)
                })
            }
            Action::Cordon(node) => self.cordon(&node.value, true),
            Action::Uncordon(node) => self.cordon(&node.value, false),
            Action::Drain(drain) => self.drain(drain),
            Action::Node(event) => {
                let (word, node) = event.parts();
                let (path, how) = {
                    let cluster = self.cluster().map_err(Stuck::Host)?;
                    let path = format!("/plimsoll/v1/nodes/{}/{word}", cluster.names.real(&node.value));
                    (path, how(event, &cluster.names))
                };
                self.ask(format!("{word} node {}", node.value), |cluster| {
                    cluster.client.post(&path, &how)
                })
                .map(drop)
            }
            Action::Mute(name) | Action::Unmute(name) => {
                let word = action.key();
                let pods = self.pods_of(&name.value)?;
                let pod = pods.first();
                let pod = pod.ok_or_else(|| Stuck::Subject(format!("`{}` has no pod to {word}", name.value)))?;
                let (namespace, pod) = (text(pod, "/metadata/namespace"), text(pod, "/metadata/name"));
                let path = format!("/plimsoll/v1/pods/{namespace}/{pod}/{word}");
                self.ask(format!("{word} pod {pod}"), |cluster| {
                    cluster.client.post(&path, &json!({}))
                })
                .map(drop)
            }
            Action::Signal(_) | Action::Oci(_) | Action::HostProcess(_) | Action::Script(_) => Err(Stuck::Host(
                format!("`{}` is nothing that a cluster can do", action.key()),
            )),
            Action::Http(_) | Action::Dial(_) | Action::Resolve(_) | Action::Send(_) | Action::Reach(_) => {
                Err(Stuck::Host(format!("`{}` is done for each look", action.key())))
            }
        }
    }

    /// Asks the API server for something. A refusal is an outcome; no answer at all is the harness's or host's fault.
    fn ask<T>(&mut self, what: String, act: impl FnOnce(&Cluster) -> Result<T, Error>) -> Result<T, Stuck> {
        let start = Instant::now();
        let cluster = self.cluster().map_err(Stuck::Host)?;
        let answer = act(cluster);
        cluster.look_anew();
        let outcome = |code, stderr| Outcome {
            argv: what,
            code: Some(code),
            signal: None,
            hung: false,
            stdout: String::new(),
            stderr,
            took: start.elapsed(),
        };
        match answer {
            Ok(value) => self.did(Ok(outcome(0, String::new()))).map(|()| value),
            Err(error) => match error.refusal() {
                Some(refusal) => {
                    let told = refusal.to_string();
                    self.did(Ok(outcome(1, told.clone())))?;
                    Err(Stuck::Subject(told))
                }
                None => Err(Stuck::Host(crate::chain(&error))),
            },
        }
    }

    /// A manifest with its references resolved, its images placed and its nodes by the names that they have.
    fn placed(&mut self, mut object: Value) -> Result<Value, Stuck> {
        self.resolve(&mut object)?;
        manifest::place_images(&mut object, &self.job.case.base);
        if let Some(cluster) = &self.cluster {
            manifest::place_nodes(&mut object, &cluster.names);
        }
        Ok(object)
    }

    /// The manifest of a workload.
    fn manifest(&mut self, name: &str) -> Result<Value, Stuck> {
        let workload = self.job.case.spec.workloads.get(name);
        let workload = workload.ok_or_else(|| Stuck::Host(format!("there is no workload `{name}`")))?;
        let object = match &workload.value {
            Workload::Object(object) => Value::Object(object.0.clone()),
            Workload::Container(container) => manifest::of_container(name, container),
            Workload::Bundle(_) => return Err(Stuck::Host(format!("`{name}` is an OCI bundle: no cluster runs it"))),
        };
        self.placed(object)
    }

    fn create_object(&mut self, name: &str) -> Result<(), Stuck> {
        let object = self.manifest(name)?;
        let made = self
            .cluster()
            .and_then(|cluster| cluster.place(&object))
            .map_err(Stuck::Host)?;
        let told = format!("create {}/{}", made.resource.kind, made.name);
        let path = made.resource.path(&made.namespace);
        let made_so = self.ask(told, |cluster| cluster.client.post(&path, &object));
        let object = match made_so {
            Ok(object) => object,
            Err(stuck) => {
                // What was refused can be looked for, and is not there.
                let cluster = self.cluster().map_err(Stuck::Host)?;
                cluster.made.entry(name.to_owned()).or_insert(made);
                return Err(stuck);
            }
        };
        self.remember(name, made, &object)
    }

    fn remember(&mut self, name: &str, made: Made, object: &Value) -> Result<(), Stuck> {
        let uid = text(object, "/metadata/uid");
        let cluster = self.cluster().map_err(Stuck::Host)?;
        cluster.made.insert(name.to_owned(), Made { uid, ..made });
        Ok(())
    }

    fn made(&mut self, name: &str) -> Result<Made, Stuck> {
        let cluster = self.cluster().map_err(Stuck::Host)?;
        let made = cluster.made.get(name).cloned();
        made.ok_or_else(|| Stuck::Host(format!("`{name}` was never made")))
    }

    /// The path of a workload's object or of `node/NAME`.
    fn path_on(&mut self, on: &str) -> Result<String, Stuck> {
        match on.strip_prefix("node/") {
            Some(node) => {
                let cluster = self.cluster().map_err(Stuck::Host)?;
                Ok(format!("/api/v1/nodes/{}", cluster.names.real(node)))
            }
            None => Ok(self.made(on)?.path()),
        }
    }

    fn pods_of(&mut self, name: &str) -> Result<Vec<Value>, Stuck> {
        let cluster = self.cluster().map_err(Stuck::Host)?;
        cluster.look_anew();
        cluster.pods(name).map_err(Stuck::Host)
    }

    fn delete_object(&mut self, delete: &Delete) -> Result<(), Stuck> {
        let made = self.made(&delete.on.value)?;
        let mut options = json!({"propagationPolicy": match delete.propagation {
            Some(Propagation::Foreground) => "Foreground",
            Some(Propagation::Orphan) => "Orphan",
            Some(Propagation::Background) | None => "Background",
        }});
        if let Some(grace) = delete.grace {
            options["gracePeriodSeconds"] = json!(grace.0.as_secs());
        }
        let path = made.path();
        self.ask(format!("delete {}/{}", made.resource.kind, made.name), |cluster| {
            cluster.client.delete(&path, &options)
        })?;
        if delete.wait {
            let grace = delete.grace.map_or(GRACE, |grace| grace.0);
            self.await_gone(&delete.on.value, grace + GONE)?;
        }
        Ok(())
    }

    fn stop_object(&mut self, stop: &Stop) -> Result<(), Stuck> {
        self.delete_object(&Delete {
            on: stop.on.clone(),
            grace: stop.grace,
            propagation: None,
            wait: true,
        })
    }

    /// Waits until an object and its pods are gone.
    fn await_gone(&mut self, name: &str, within: Duration) -> Result<(), Stuck> {
        let made = self.made(name)?;
        let start = Instant::now();
        let waited = wait::until(within, EVERY, || {
            let left = self.cluster().and_then(|cluster| {
                cluster.look_anew();
                let object = cluster
                    .client
                    .find(&made.path())
                    .map_err(|error| crate::chain(&error))?;
                let same = object.is_some_and(|object| text(&object, "/metadata/uid") == made.uid);
                let pods = if made.resource.kind == "Pod" {
                    Vec::new()
                } else {
                    cluster.pods(name)?
                };
                Ok((same, pods.len()))
            });
            match left {
                Ok((false, 0)) => Ok(Ok(())),
                Ok((true, _)) => Err("it is still there".to_owned()),
                Ok((false, pods)) => Err(format!("{pods} of its pods are still there")),
                Err(why) => Ok(Err(Stuck::Host(why))),
            }
        });
        self.waited += start.elapsed();
        match waited {
            Waited::Done(done) => done,
            Waited::TimedOut { elapsed, last } => Err(Stuck::Subject(format!(
                "`{name}` was deleted, and after {elapsed:?} {last}"
            ))),
        }
    }

    fn exec_in_pod(&mut self, exec: &Exec) -> Result<(), Stuck> {
        let name = &exec.on.value;
        let pods = self.pods_of(name)?;
        let living = |pod: &&Value| pod.pointer("/metadata/deletionTimestamp").is_none();
        let pod = pods.iter().find(living).or(pods.first());
        let pod =
            pod.ok_or_else(|| Stuck::Subject(format!("`{name}` has no pod to run `{}` in", exec.args.join(" "))))?;
        let (namespace, pod) = (text(pod, "/metadata/namespace"), text(pod, "/metadata/name"));
        let start = Instant::now();
        let cluster = self.cluster().map_err(Stuck::Host)?;
        let said = cluster
            .client
            .exec(&namespace, &pod, exec.container.as_deref(), &exec.args);
        let argv = format!("exec {} in pod {pod}", exec.args.join(" "));
        let outcome = |code, stdout, stderr| Outcome {
            argv,
            code: Some(code),
            signal: None,
            hung: false,
            stdout,
            stderr,
            took: start.elapsed(),
        };
        match said {
            Ok(said) => {
                let stderr = if said.code.is_some() { said.stderr } else { said.message };
                self.did(Ok(outcome(said.code.unwrap_or(126), said.stdout, stderr)))
            }
            Err(error) => match error.refusal() {
                Some(refusal) => self.did(Ok(outcome(1, String::new(), refusal.to_string()))),
                None => Err(Stuck::Host(crate::chain(&error))),
            },
        }
    }

    fn cordon(&mut self, node: &str, cordoned: bool) -> Result<(), Stuck> {
        let path = self.path_on(&format!("node/{node}"))?;
        let change = json!({"spec": {"unschedulable": cordoned.then_some(true)}});
        let word = if cordoned { "cordon" } else { "uncordon" };
        self.ask(format!("{word} {node}"), |cluster| {
            cluster.client.patch(&path, &Patch::Strategic(&change))
        })
        .map(drop)
    }

    /// Cordons a node and evicts its pods; while a disruption budget refuses, tries again.
    fn drain(&mut self, drain: &Drain) -> Result<(), Stuck> {
        let node = &drain.node.value;
        self.cordon(node, true)?;
        let within = drain.within.map_or(DRAIN, |within| within.0);
        let grace = drain.grace.map(|grace| grace.0);
        let start = Instant::now();
        let waited = wait::until(within, EVICT_EVERY, || {
            match self.cluster().and_then(|cluster| cluster.evict_all(node, grace)) {
                Ok(None) => Ok(Ok(())),
                Ok(Some(left)) => Err(left),
                Err(why) => Ok(Err(Stuck::Host(why))),
            }
        });
        let outcome = |code, stderr| Outcome {
            argv: format!("drain {node}"),
            code: Some(code),
            signal: None,
            hung: false,
            stdout: String::new(),
            stderr,
            took: start.elapsed(),
        };
        match waited {
            Waited::Done(Err(stuck)) => Err(stuck),
            Waited::Done(Ok(())) => self.did(Ok(outcome(0, String::new()))),
            Waited::TimedOut { last, .. } => self.did(Ok(outcome(1, last))),
        }
    }
}

/// What an event of a node needs to be told beside its word, with nodes by the names that they have there.
fn how(event: &NodeEvent, names: &Names) -> Value {
    match event {
        NodeEvent::Separate(separate) => json!({"from": names.real(&separate.from.value)}),
        NodeEvent::Lose(lose) => {
            let with = lose.with.as_ref().map(|with| names.real(&with.value));
            json!({"percent": lose.percent, "with": with})
        }
        NodeEvent::Throttle(throttle) => json!({"bytes": throttle.rate.0}),
        NodeEvent::Delay(delay) => json!({"milliseconds": delay.by.0.as_millis() as u64}),
        _ => json!({}),
    }
}

impl Cluster {
    /// Where an object belongs.
    fn place(&self, object: &Value) -> Result<Made, String> {
        let (api_version, kind) = (text(object, "/apiVersion"), text(object, "/kind"));
        let resource = self
            .client
            .resource(&api_version, &kind)
            .map_err(|error| crate::chain(&error))?;
        let namespace = text(object, "/metadata/namespace");
        Ok(Made {
            namespace: if namespace.is_empty() {
                self.namespace.clone()
            } else {
                namespace
            },
            name: text(object, "/metadata/name"),
            uid: String::new(),
            resource,
        })
    }

    fn evict(&self, namespace: &str, pod: &str, grace: Option<Duration>) -> Result<Value, Error> {
        let mut eviction = json!({
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": namespace},
        });
        if let Some(grace) = grace {
            eviction["deleteOptions"] = json!({"gracePeriodSeconds": grace.as_secs()});
        }
        self.client.post(
            &format!("/api/v1/namespaces/{namespace}/pods/{pod}/eviction"),
            &eviction,
        )
    }

    /// Evicts every pod of a node, but for those that belong to nodes. Answers what is left, if something is.
    fn evict_all(&mut self, node: &str, grace: Option<Duration>) -> Result<Option<String>, String> {
        let real = self.names.real(node).to_owned();
        let all = self
            .client
            .list(&format!("/api/v1/pods?fieldSelector=spec.nodeName%3D{real}"))
            .map_err(|error| crate::chain(&error))?;
        let of_node = |pod: &Value| {
            let owners = pod["metadata"]["ownerReferences"].as_array();
            owners
                .into_iter()
                .flatten()
                .any(|owner| matches!(owner["kind"].as_str(), Some("DaemonSet" | "Node")))
        };
        let ended = |pod: &Value| matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
        let mut left = Vec::new();
        for pod in all.iter().filter(|pod| !of_node(pod) && !ended(pod)) {
            let (namespace, name) = (text(pod, "/metadata/namespace"), text(pod, "/metadata/name"));
            if pod.pointer("/metadata/deletionTimestamp").is_some() {
                left.push(format!("pod {name} is still ending"));
                continue;
            }
            match self.evict(&namespace, &name, grace) {
                Ok(_) => left.push(format!("pod {name} was asked to leave")),
                Err(error) if error.is_not_found() => {}
                Err(error) => match error.refusal() {
                    Some(refusal) => left.push(format!("pod {name}: {refusal}")),
                    None => return Err(crate::chain(&error)),
                },
            }
        }
        Ok((!left.is_empty()).then(|| left.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_a_node_is_told_with_what_it_needs() {
        let told = |event: Value| how(&serde_json::from_value(event).unwrap(), &Names::default());
        let at = |value: &str| json!({"at": {"line": 1, "column": 1}, "value": value});
        let lose = json!({"lose": {"node": at("a"), "percent": 20, "with": at("b")}});
        assert_eq!(told(lose), json!({"percent": 20, "with": "b"}));
        let separate = json!({"separate": {"node": at("a"), "from": at("b")}});
        assert_eq!(told(separate), json!({"from": "b"}));
        let throttle = json!({"throttle": {"node": at("a"), "rate": "64Ki"}});
        assert_eq!(told(throttle), json!({"bytes": 65536}));
        let delay = json!({"delay": {"node": at("a"), "by": "1.5s"}});
        assert_eq!(told(delay), json!({"milliseconds": 1500}));
        assert_eq!(told(json!({"flush": at("a")})), json!({}));
    }
}
