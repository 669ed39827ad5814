//! Looks at a cluster: always through its API, and never deciding anything.

use std::collections::BTreeMap;

use record::Seen;
use record::packets::EndpointSeen;
use record::pods::{ConditionSeen, ContainerSeen, EndingSeen, EventSeen, FilteredSeen, PodSeen};
use serde_json::Value;
use spec::check::{LogsCheck, PlacementCheck};
use spec::{Check, Subject};

use crate::drive::World;
use crate::drive::cluster::{Cluster, Made, text};
use crate::judge::path;

/// Most bytes that are read of a log.
const LOG: u32 = 64 << 10;

/// One look for one check of a cluster.
pub(super) fn look(check: &Check, world: &mut World<'_>) -> Seen {
    let Some(on) = check.on.as_ref().map(|on| on.value.clone()) else {
        return Seen::Unmeasured {
            why: format!("`{}` of what?", check.subject.key()),
        };
    };
    let seen = world.cluster().and_then(|cluster| match on.strip_prefix("node/") {
        Some(node) => of_node(check, node, cluster),
        None => match cluster.made.get(&on).cloned() {
            Some(made) => of_workload(check, &on, &made, cluster),
            None => Ok(Seen::Absent {
                what: format!("`{on}` was never made"),
            }),
        },
    });
    let mut seen = seen.unwrap_or_else(|why| Seen::Unmeasured { why });
    if let Seen::Endpoints { references, .. } = &mut seen {
        match world.references_of(check) {
            Ok(found) => *references = found,
            Err(what) => return Seen::Absent { what },
        }
    }
    seen
}

fn of_node(check: &Check, node: &str, cluster: &mut Cluster) -> Result<Seen, String> {
    let real = cluster.names.real(node).to_owned();
    match &check.subject {
        Subject::Object(paths) => object(&format!("/api/v1/nodes/{real}"), paths.keys(), cluster),
        Subject::Exists(_) => object(&format!("/api/v1/nodes/{real}"), [].iter(), cluster),
        Subject::Events(_) => {
            let source = "/api/v1/events";
            let all = cluster.list(source)?;
            let about = |event: &&Value| {
                event["involvedObject"]["kind"] == "Node" && event["involvedObject"]["name"] == real.as_str()
            };
            Ok(Seen::Events {
                list: all.iter().filter(about).map(event).collect(),
                source: source.into(),
            })
        }
        other => Err(format!("a node has no `{}`", other.key())),
    }
}

fn of_workload(check: &Check, name: &str, made: &Made, cluster: &mut Cluster) -> Result<Seen, String> {
    let pods_path = format!("/api/v1/namespaces/{}/pods", made.namespace);
    match &check.subject {
        Subject::Placement(want) => placement(want, name, &pods_path, cluster),
        Subject::Pod(_) | Subject::Ready(_) => Ok(Seen::Pods {
            pods: pods(name, cluster)?,
            source: pods_path,
        }),
        Subject::Object(paths) => object(&made.path(), paths.keys(), cluster),
        Subject::Exists(_) => object(&made.path(), [].iter(), cluster),
        Subject::Events(_) => events(name, made, cluster),
        Subject::Replicas(_) => replicas(made, cluster),
        Subject::Logs(want) => logs(want, name, made, cluster),
        Subject::Endpoints(_) => endpoints(made, cluster),
        other => Err(format!("`{}` cannot be looked at in a cluster", other.key())),
    }
}

fn pods(name: &str, cluster: &mut Cluster) -> Result<Vec<PodSeen>, String> {
    let pods = cluster.pods(name)?;
    Ok(pods.iter().map(|pod| seen(pod, cluster)).collect())
}

fn placement(want: &PlacementCheck, name: &str, source: &str, cluster: &mut Cluster) -> Result<Seen, String> {
    let pods = pods(name, cluster)?;
    let mut nodes = BTreeMap::new();
    for node in cluster.list("/api/v1/nodes")?.iter() {
        let labels = node.pointer("/metadata/labels").and_then(Value::as_object);
        let labels = labels
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()));
        let real = text(node, "/metadata/name");
        nodes.insert(cluster.names.of_spec(&real).to_owned(), labels.collect());
    }
    let mut others = BTreeMap::new();
    for other in [&want.same_node_as, &want.apart_from].into_iter().flatten() {
        let list = self::pods(&other.value, cluster)?;
        let on: Vec<String> = list
            .into_iter()
            .filter(|pod| !pod.deleting)
            .filter_map(|pod| pod.node)
            .collect();
        others.insert(other.value.clone(), on);
    }
    let filtered = match pods.iter().find(|pod| !pod.deleting) {
        Some(pod) if !want.rejected_by.is_empty() => Some(explained(pod, name, cluster)?),
        _ => None,
    };
    let preempted = match &want.preempted {
        Some(_) => Some(victims(&pods, name, cluster)?),
        None => None,
    };
    Ok(Seen::Placement {
        pods,
        nodes,
        others,
        filtered,
        preempted,
        source: source.into(),
    })
}

/// What the scheduler says of each node.
fn explained(pod: &PodSeen, name: &str, cluster: &Cluster) -> Result<BTreeMap<String, FilteredSeen>, String> {
    let namespace = cluster
        .made
        .get(name)
        .map_or(cluster.namespace.as_str(), |made| &made.namespace);
    let said = cluster
        .client
        .get(&format!("/plimsoll/v1/explain/{namespace}/{}", pod.name))
        .map_err(|error| crate::chain(&error))?;
    let nodes = said["nodes"].as_array().into_iter().flatten();
    Ok(nodes
        .map(|node| {
            let reasons = node.pointer("/rejected/reasons").and_then(Value::as_array);
            let reasons: Vec<&str> = reasons.into_iter().flatten().filter_map(Value::as_str).collect();
            let seen = FilteredSeen {
                plugin: optional(node, "/rejected/plugin"),
                reason: (!reasons.is_empty()).then(|| reasons.join(", ")),
            };
            (cluster.names.of_spec(&text(node, "/node")).to_owned(), seen)
        })
        .collect())
}

/// Workloads of which pods were told to go for these pods, by the events about them.
fn victims(pods: &[PodSeen], name: &str, cluster: &mut Cluster) -> Result<Vec<String>, String> {
    let namespace = cluster
        .made
        .get(name)
        .map_or(cluster.namespace.clone(), |made| made.namespace.clone());
    let events = cluster.list(&format!("/api/v1/namespaces/{namespace}/events"))?;
    let by_these = |message: &str| {
        pods.iter()
            .any(|pod| message.contains(&pod.uid) || message.contains(&format!("{namespace}/{}", pod.name)))
            || message.contains("by a pod on node")
    };
    let mut gone: Vec<String> = events
        .iter()
        .filter(|event| event["reason"] == "Preempted" && by_these(&text(event, "/message")))
        .map(|event| {
            let pod = text(event, "/involvedObject/name");
            // The longest name that fits: `web` and `web-2` may both be there.
            let of_this = |made: &Made| made.name == pod || pod.starts_with(&format!("{}-", made.name));
            let fitting = cluster.made.iter().filter(|(_, made)| of_this(made));
            let workload = fitting.max_by_key(|(_, made)| made.name.len());
            workload.map_or(pod.clone(), |(workload, _)| workload.clone())
        })
        .collect();
    gone.sort();
    gone.dedup();
    Ok(gone)
}

fn object<'p>(path: &str, wanted: impl Iterator<Item = &'p String>, cluster: &Cluster) -> Result<Seen, String> {
    let found = cluster.client.find(path).map_err(|error| crate::chain(&error))?;
    let values = wanted
        .filter_map(|wanted| {
            let object = found.as_ref()?;
            let value = if wanted.starts_with('/') {
                object.pointer(wanted)
            } else {
                path::find(object, wanted)
            };
            Some((wanted.clone(), value?.clone()))
        })
        .collect();
    Ok(Seen::Object {
        exists: found.is_some(),
        values,
        source: path.into(),
    })
}

fn events(name: &str, made: &Made, cluster: &mut Cluster) -> Result<Seen, String> {
    // Those of things without a namespace are told in this one.
    let namespace = if made.resource.namespaced {
        made.namespace.as_str()
    } else {
        "default"
    };
    let source = format!("/api/v1/namespaces/{namespace}/events");
    let mut uids = cluster.owners(made)?;
    if made.resource.namespaced {
        uids.extend(cluster.pods(name)?.iter().map(|pod| text(pod, "/metadata/uid")));
    }
    let all = cluster.list(&source)?;
    let is_about = |event: &&Value| {
        let about = &event["involvedObject"];
        let uid = about["uid"].as_str().unwrap_or_default();
        let named = about["name"].as_str().unwrap_or_default();
        // Pods that are gone have no uid that anybody could tell any more.
        let of_old = made.resource.kind != "Pod"
            && about["kind"] == "Pod"
            && named.starts_with(&format!("{}-", made.name))
            && !cluster
                .made
                .values()
                .any(|other| other.resource.kind == "Pod" && other.name == named);
        let itself = about["kind"] == made.resource.kind.as_str() && named == made.name;
        (!uid.is_empty() && uids.iter().any(|known| known == uid)) || of_old || itself
    };
    Ok(Seen::Events {
        list: all.iter().filter(is_about).map(event).collect(),
        source,
    })
}

fn event(event: &Value) -> EventSeen {
    let count = [&event["count"], &event["series"]["count"]]
        .into_iter()
        .find_map(Value::as_i64)
        .filter(|count| *count > 0);
    EventSeen {
        about: format!(
            "{}/{}",
            text(event, "/involvedObject/kind"),
            text(event, "/involvedObject/name")
        ),
        reason: text(event, "/reason"),
        kind: text(event, "/type"),
        message: text(event, "/message"),
        count: count.unwrap_or(1),
    }
}

fn replicas(made: &Made, cluster: &Cluster) -> Result<Seen, String> {
    let path = made.path();
    let found = cluster.client.find(&path).map_err(|error| crate::chain(&error))?;
    let Some(object) = found else {
        return Ok(Seen::Absent {
            what: format!("{path} is not there"),
        });
    };
    let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64);
    let daemons = made.resource.kind == "DaemonSet";
    let of = |usual: &str, of_daemons: &str| {
        let key = if daemons { of_daemons } else { usual };
        number(&format!("/status/{key}")).unwrap_or(0)
    };
    Ok(Seen::Replicas {
        desired: number("/spec/replicas").unwrap_or_else(|| of("replicas", "desiredNumberScheduled")),
        current: of("replicas", "currentNumberScheduled"),
        ready: of("readyReplicas", "numberReady"),
        updated: of("updatedReplicas", "updatedNumberScheduled"),
        available: of("availableReplicas", "numberAvailable"),
        observed: number("/status/observedGeneration") >= number("/metadata/generation"),
        source: path,
    })
}

/// The endpoints in all slices of a service, as whoever sends packets to them must read them.
fn endpoints(made: &Made, cluster: &mut Cluster) -> Result<Seen, String> {
    let source = format!(
        "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3D{}",
        made.namespace, made.name
    );
    let slices = cluster.list(&source)?;
    let mut list = Vec::new();
    for slice in slices.iter() {
        let ports: Vec<String> = slice["ports"].as_array().into_iter().flatten().map(port).collect();
        for one in slice["endpoints"].as_array().into_iter().flatten() {
            let node = optional(one, "/nodeName").map(|real| cluster.names.of_spec(&real).to_owned());
            let condition = |pointer: &str| one.pointer(pointer).and_then(Value::as_bool);
            for address in one["addresses"].as_array().into_iter().flatten() {
                list.push(EndpointSeen {
                    address: address.as_str().unwrap_or_default().to_owned(),
                    ready: condition("/conditions/ready").unwrap_or(true),
                    terminating: condition("/conditions/terminating").unwrap_or(false),
                    node: node.clone(),
                    ports: ports.clone(),
                });
            }
        }
    }
    list.sort_by(|a, b| a.address.cmp(&b.address));
    Ok(Seen::Endpoints {
        list,
        references: BTreeMap::new(),
        source,
    })
}

/// A port of a slice in words.
fn port(port: &Value) -> String {
    let name = optional(port, "/name").filter(|name| !name.is_empty());
    let name = name.map(|name| format!("{name}:")).unwrap_or_default();
    let protocol = optional(port, "/protocol").unwrap_or_else(|| "TCP".into());
    format!("{name}{}/{protocol}", port["port"])
}

fn logs(want: &LogsCheck, name: &str, made: &Made, cluster: &mut Cluster) -> Result<Seen, String> {
    let mut texts = BTreeMap::new();
    for pod in cluster.pods(name)? {
        let pod_name = text(&pod, "/metadata/name");
        let container = want.container.as_deref();
        match cluster
            .client
            .logs(&made.namespace, &pod_name, container, want.previous, LOG)
        {
            Ok(log) => {
                texts.insert(pod_name, log);
            }
            // A container that has not begun has no log.
            Err(error) if error.refusal().is_some() => {}
            Err(error) => return Err(crate::chain(&error)),
        }
    }
    Ok(Seen::Logs {
        texts,
        source: format!("/api/v1/namespaces/{}/pods/…/log", made.namespace),
    })
}

fn optional(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

fn seen(pod: &Value, cluster: &Cluster) -> PodSeen {
    let node = |pointer: &str| {
        let real = optional(pod, pointer).filter(|name| !name.is_empty())?;
        Some(cluster.names.of_spec(&real).to_owned())
    };
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    let conditions = conditions.into_iter().flatten().map(|condition| {
        let seen = ConditionSeen {
            status: text(condition, "/status"),
            reason: optional(condition, "/reason"),
            message: optional(condition, "/message"),
        };
        (text(condition, "/type"), seen)
    });
    let statuses = ["/status/initContainerStatuses", "/status/containerStatuses"]
        .into_iter()
        .filter_map(|pointer| pod.pointer(pointer)?.as_array())
        .flatten();
    PodSeen {
        name: text(pod, "/metadata/name"),
        uid: text(pod, "/metadata/uid"),
        node: node("/spec/nodeName"),
        nominated: node("/status/nominatedNodeName"),
        phase: text(pod, "/status/phase"),
        reason: optional(pod, "/status/reason"),
        message: optional(pod, "/status/message"),
        qos_class: optional(pod, "/status/qosClass"),
        pod_ip: optional(pod, "/status/podIP"),
        deleting: pod.pointer("/metadata/deletionTimestamp").is_some(),
        conditions: conditions.collect(),
        containers: statuses
            .map(|status| (text(status, "/name"), container(status)))
            .collect(),
    }
}

fn container(status: &Value) -> ContainerSeen {
    let state = status["state"].as_object().and_then(|state| state.iter().next());
    let (word, inner) = state.map_or((None, &Value::Null), |(word, inner)| (Some(word.clone()), inner));
    let last = status.pointer("/lastState/terminated").map(|ended| EndingSeen {
        reason: optional(ended, "/reason"),
        message: optional(ended, "/message"),
        exit_code: ended["exitCode"].as_i64(),
    });
    ContainerSeen {
        state: word,
        reason: optional(inner, "/reason"),
        message: optional(inner, "/message"),
        exit_code: inner["exitCode"].as_i64(),
        restart_count: status["restartCount"].as_i64().unwrap_or(0),
        ready: status["ready"].as_bool().unwrap_or(false),
        started: status["started"].as_bool(),
        last,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_container_status_becomes_one_state() {
        let seen = container(&json!({
            "name": "c", "restartCount": 2, "ready": false,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
        }));
        assert_eq!(seen.state.as_deref(), Some("waiting"));
        assert_eq!(seen.last.unwrap().exit_code, Some(137));
        assert_eq!(container(&json!({"name": "c", "state": {}})).state, None);
    }

    #[test]
    fn an_event_of_a_series_counts_as_often_as_it_happened() {
        assert_eq!(event(&json!({"count": 3})).count, 3);
        assert_eq!(event(&json!({"series": {"count": 4}})).count, 4);
        assert_eq!(event(&json!({"count": 0})).count, 1);
    }
}
