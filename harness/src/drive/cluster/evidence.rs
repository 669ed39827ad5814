//! What is kept of a failed case of a cluster: objects, pods, events, logs, and the scheduler's own words.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Cluster, text};
use crate::observe;

/// Most bytes that are kept of one log.
const LOG: u32 = 16 << 10;

/// Pods of which logs are kept at most.
const LOGS: usize = 16;

impl Cluster {
    /// The standard set, as names and texts.
    pub(in crate::drive) fn evidence(&mut self) -> Vec<(String, String)> {
        self.look_anew();
        let mut kept = Vec::new();
        let mut keep = |name: String, text: String| {
            if !text.is_empty() {
                kept.push((name, text));
            }
        };
        for (workload, made) in &self.made {
            let text = match self.client.find(&made.path()) {
                Ok(Some(object)) => pretty(&object),
                Ok(None) => format!("{} is not there", made.path()),
                Err(error) => crate::chain(&error),
            };
            keep(format!("{workload}.object"), text);
        }
        let namespace = self.namespace.clone();
        let pods = self
            .client
            .list(&format!("/api/v1/namespaces/{namespace}/pods"))
            .unwrap_or_default();
        for pod in pods.iter().take(LOGS) {
            let name = text(pod, "/metadata/name");
            if !self
                .made
                .values()
                .any(|made| made.resource.kind == "Pod" && made.name == name)
            {
                keep(format!("pod.{name}"), pretty(pod));
            }
            if text(pod, "/spec/nodeName").is_empty() {
                if let Ok(Some(why)) = self.client.find(&format!("/plimsoll/v1/explain/{namespace}/{name}")) {
                    keep(format!("explain.{name}"), pretty(&why));
                }
                continue;
            }
            let containers = ["/spec/initContainers", "/spec/containers"]
                .into_iter()
                .filter_map(|pointer| pod.pointer(pointer)?.as_array())
                .flatten();
            for container in containers.map(|container| text(container, "/name")) {
                if let Ok(log) = self.client.logs(&namespace, &name, Some(&container), false, LOG) {
                    keep(format!("log.{name}.{container}"), log);
                }
            }
        }
        let events = self.client.list(&format!("/api/v1/namespaces/{namespace}/events"));
        keep("events".into(), events.map(|events| table(&events)).unwrap_or_default());
        let nodes = self.client.list("/api/v1/nodes").unwrap_or_default();
        keep("nodes".into(), nodes.iter().map(node).collect());
        let log = self.server.as_ref().map(|server| server.log.clone());
        keep("cluster.log".into(), observe::output::text(&log.unwrap_or_default()));
        kept
    }
}

/// An object without the notes of who wrote what.
fn pretty(object: &Value) -> String {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    serde_json::to_string_pretty(&object).unwrap_or_default()
}

/// Events, a line each.
fn table(events: &[Value]) -> String {
    events.iter().fold(String::new(), |mut out, event| {
        let about = format!(
            "{}/{}",
            text(event, "/involvedObject/kind"),
            text(event, "/involvedObject/name")
        );
        let (kind, reason, message) = (text(event, "/type"), text(event, "/reason"), text(event, "/message"));
        let _ = writeln!(out, "{kind} {reason} {about}: {message}");
        out
    })
}

/// A node with its taints and conditions, on one line.
fn node(node: &Value) -> String {
    let list = |pointer: &str| {
        node.pointer(pointer)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let taints: Vec<String> = list("/spec/taints")
        .iter()
        .map(|taint| {
            format!(
                "{}={}:{}",
                text(taint, "/key"),
                text(taint, "/value"),
                text(taint, "/effect")
            )
        })
        .collect();
    let conditions: Vec<String> = list("/status/conditions")
        .iter()
        .map(|condition| format!("{}={}", text(condition, "/type"), text(condition, "/status")))
        .collect();
    let labels = node
        .pointer("/metadata/labels")
        .map(Value::to_string)
        .unwrap_or_default();
    let allocatable = node
        .pointer("/status/allocatable")
        .map(Value::to_string)
        .unwrap_or_default();
    format!(
        "{}: taints [{}], {}, allocatable {allocatable}, labels {labels}\n",
        text(node, "/metadata/name"),
        taints.join(", "),
        conditions.join(", ")
    )
}
