//! The spec that pods and their templates have.

use serde_json::Value;

use super::{
    address, affinity,
    container::{self, Surroundings},
    faults::{Faults, Path, Plain, go_list},
    metadata, resources, security, tolerations, volume,
};
use crate::{meta, name};

const NAMESERVERS: usize = 3;
const SEARCHES: usize = 32;
const SEARCH_LENGTH: usize = 2048;

/// Checks a spec. `pod` is the name of the pod; empty in a template.
pub(super) fn check(faults: &mut Faults, path: &Path<'_>, spec: &Value, pod: Option<&str>) {
    let text = |key| meta::text(spec, &[key]);
    let grace = meta::number(spec, &["terminationGracePeriodSeconds"]);
    if grace.is_none() {
        faults.required(&path.child("terminationGracePeriodSeconds"), "");
    }
    let volumes = volume::check(
        faults,
        &path.child("volumes"),
        meta::list(spec, &["volumes"]),
        pod.unwrap_or(""),
    );
    let around = Surroundings {
        volumes: &volumes,
        grace,
        restart: text("restartPolicy"),
        has_host_users: meta::at(spec, &["hostUsers"]) != Some(&Value::Bool(false)),
        is_pod: pod.is_some(),
    };
    container::all(faults, path, spec, &around);
    faults.word(
        &path.child("restartPolicy"),
        text("restartPolicy"),
        &["Always", "OnFailure", "Never"],
    );
    faults.word(
        &path.child("dnsPolicy"),
        text("dnsPolicy"),
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
    );
    metadata::labels(faults, &path.child("nodeSelector"), meta::at(spec, &["nodeSelector"]));
    security::of_pod(faults, &path.child("securityContext"), spec);
    if let Some(wishes) = meta::at(spec, &["affinity"]) {
        affinity::check(faults, &path.child("affinity"), wishes);
    }
    dns(faults, &path.child("dnsConfig"), spec);
    let gates = path.child("readinessGates");
    for (index, gate) in meta::list(spec, &["readinessGates"]).iter().enumerate() {
        let condition = meta::text(gate, &["conditionType"]);
        let gate = gates.index(index);
        faults.each(&gate.child("conditionType"), condition, name::qualified(condition));
    }
    scheduling_gates(faults, &path.child("schedulingGates"), spec);
    affinity::spread(
        faults,
        &path.child("topologySpreadConstraints"),
        meta::list(spec, &["topologySpreadConstraints"]),
    );
    if !around.has_host_users {
        for (key, shown) in [
            ("hostNetwork", "hostNetwork"),
            ("hostPID", "HostPID"),
            ("hostIPC", "HostIPC"),
        ] {
            if meta::flag(spec, &[key]) {
                faults.forbidden(&path.child(shown), "when `pod.Spec.HostUsers` is false");
            }
        }
    }
    for key in [
        "serviceAccountName",
        "nodeName",
        "priorityClassName",
        "runtimeClassName",
    ] {
        if !text(key).is_empty() {
            faults.each(&path.child(key), text(key), name::dns1123_subdomain(text(key)));
        }
    }
    if let Some(deadline) = meta::number(spec, &["activeDeadlineSeconds"]) {
        for sentence in name::in_range(deadline, 1, i64::from(i32::MAX)) {
            faults.invalid(&path.child("activeDeadlineSeconds"), &deadline, &sentence);
        }
    }
    for key in ["hostname", "subdomain"] {
        if !text(key).is_empty() {
            faults.each(&path.child(key), text(key), name::dns1123_label(text(key)));
        }
    }
    tolerations::check(faults, &path.child("tolerations"), meta::list(spec, &["tolerations"]));
    host_aliases(faults, &path.child("hostAliases"), spec);
    if !text("preemptionPolicy").is_empty() {
        faults.word(
            &path.child("preemptionPolicy"),
            text("preemptionPolicy"),
            &["PreemptLowerPriority", "Never"],
        );
    }
    resources::limits_of(faults, &path.child("overhead"), meta::map(spec, &["overhead"]));
    if let Some(os) = meta::at(spec, &["os"]) {
        let path = path.child("os");
        match meta::text(os, &["name"]) {
            "" => faults.required(&path.child("name"), "cannot be empty"),
            "linux" | "windows" => {}
            other => faults.unsupported(&path, other, &["linux", "windows"]),
        }
    }
}

fn scheduling_gates(faults: &mut Faults, path: &Path<'_>, spec: &Value) {
    let gates = meta::list(spec, &["schedulingGates"]);
    for (index, gate) in gates.iter().enumerate() {
        let own = meta::text(gate, &["name"]);
        let path = path.index(index);
        faults.each(&path, own, name::qualified(own));
        if gates[..index].iter().any(|one| meta::text(one, &["name"]) == own) {
            faults.duplicate(&path, own);
        }
    }
}

fn dns(faults: &mut Faults, path: &Path<'_>, spec: &Value) {
    let config = meta::at(spec, &["dnsConfig"]);
    let servers = config.map_or(&[][..], |config| meta::list(config, &["nameservers"]));
    let path_of_servers = path.child("nameservers");
    if meta::text(spec, &["dnsPolicy"]) == "None" && servers.is_empty() {
        return match config {
            None => faults.required(path, "must provide `dnsConfig` when `dnsPolicy` is None"),
            Some(_) => faults.required(
                &path_of_servers,
                "must provide at least one DNS nameserver when `dnsPolicy` is None",
            ),
        };
    }
    let Some(config) = config else { return };
    if servers.len() > NAMESERVERS {
        let detail = format!("must not have more than {NAMESERVERS} nameservers");
        faults.invalid(&path_of_servers, &go_list("[]string", servers), &detail);
    }
    for (index, server) in servers.iter().enumerate() {
        address::any(faults, &path_of_servers.index(index), server.as_str().unwrap_or(""));
    }
    let searches = meta::list(config, &["searches"]);
    let path_of_searches = path.child("searches");
    if searches.len() > SEARCHES {
        let detail = format!("must not have more than {SEARCHES} search paths");
        faults.invalid(&path_of_searches, &go_list("[]string", searches), &detail);
    }
    let texts: Vec<&str> = searches.iter().filter_map(Value::as_str).collect();
    if texts.join(" ").len() > SEARCH_LENGTH {
        let detail =
            format!("must not have more than {SEARCH_LENGTH} characters (including spaces) in the search list");
        faults.invalid(&path_of_searches, &go_list("[]string", searches), &detail);
    }
    for (index, search) in texts.iter().enumerate() {
        let search = search.strip_suffix('.').unwrap_or(search);
        faults.each(&path_of_searches.index(index), search, name::dns1123_subdomain(search));
    }
    let path = path.child("options");
    for (index, option) in meta::list(config, &["options"]).iter().enumerate() {
        if meta::text(option, &["name"]).is_empty() {
            faults.required(&path.index(index), "must not be empty");
        }
    }
}

fn host_aliases(faults: &mut Faults, path: &Path<'_>, spec: &Value) {
    for (index, alias) in meta::list(spec, &["hostAliases"]).iter().enumerate() {
        let path = path.index(index);
        address::any(faults, &path.child("ip"), meta::text(alias, &["ip"]));
        let path = path.child("hostnames");
        for (index, host) in meta::list(alias, &["hostnames"]).iter().enumerate() {
            let host = host.as_str().unwrap_or("");
            faults.each(&path.index(index), host, name::dns1123_subdomain(host));
        }
    }
}

/// Labels, annotations and spec of a template.
pub(super) fn template(faults: &mut Faults, path: &Path<'_>, template: &Value) {
    metadata::labels(
        faults,
        &path.child("labels"),
        meta::at(template, &["metadata", "labels"]),
    );
    let annotations = path.child("annotations");
    metadata::annotations(faults, &annotations, meta::at(template, &["metadata", "annotations"]));
    own_annotations(faults, &annotations, template);
    let path = path.child("spec");
    let spec = meta::at(template, &["spec"]).unwrap_or(&Value::Null);
    check(faults, &path, spec, None);
    if !meta::list(spec, &["ephemeralContainers"]).is_empty() {
        faults.forbidden(
            &path.child("ephemeralContainers"),
            "ephemeral containers not allowed in pod template",
        );
    }
}

/// Annotations that mean something to pods.
pub(super) fn own_annotations(faults: &mut Faults, path: &Path<'_>, pod: &Value) {
    let key = "kubernetes.io/config.mirror";
    if let Some(mirror) = meta::annotation(pod, key)
        && meta::text(pod, &["spec", "nodeName"]).is_empty()
    {
        faults.invalid(
            &path.key(key),
            mirror,
            "must set spec.nodeName if mirror pod annotation is set",
        );
    }
    let key = "controller.kubernetes.io/pod-deletion-cost";
    if let Some(cost) = meta::annotation(pod, key) {
        let is_padded = cost.starts_with('+') || (cost.starts_with('0') && cost != "0");
        if is_padded || cost.parse::<i32>().is_err() {
            faults.invalid(&path.key(key), &Plain(format!("{cost:?}")), "must be a 32bit integer");
        }
    }
}
