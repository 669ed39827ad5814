//! Containers of a pod: those that run, those that come before, those that look in.

use serde_json::Value;

use super::{
    env,
    faults::{Faults, Path},
    probe, resources, security, volume,
};
use crate::{meta, name, requests};

pub(super) const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

/// What the containers of one pod have in common.
pub(super) struct Surroundings<'a> {
    /// Volumes by name.
    pub(super) volumes: &'a [(&'a str, &'a Value)],
    /// Seconds that the pod gets to end.
    pub(super) grace: Option<i64>,
    /// `restartPolicy` of the pod.
    pub(super) restart: &'a str,
    /// Whether users of the host are those of the pod.
    pub(super) has_host_users: bool,
    /// Whether this is a pod, and not a template of some.
    pub(super) is_pod: bool,
}

pub(super) fn all(faults: &mut Faults, path: &Path<'_>, spec: &Value, around: &Surroundings<'_>) {
    let regular = meta::list(spec, &["containers"]);
    let init = meta::list(spec, &["initContainers"]);
    let ephemeral = meta::list(spec, &["ephemeralContainers"]);
    let own = path.child("containers");
    if regular.is_empty() {
        faults.required(&own, "");
    }
    for (index, container) in regular.iter().enumerate() {
        let path = own.index(index);
        common(faults, &path, container, around);
        unique(faults, &path, container, &regular[..index], &[]);
        probe::of_container(faults, &path, container, around.grace);
        if meta::at(container, &["restartPolicy"]).is_some() {
            faults.forbidden(&path.child("restartPolicy"), "may not be set for non-init containers");
        }
    }
    host_ports(faults, &own, regular);
    let own = path.child("initContainers");
    for (index, container) in init.iter().enumerate() {
        let path = own.index(index);
        common(faults, &path, container, around);
        let policy = meta::text(container, &["restartPolicy"]);
        if !matches!(policy, "" | "Always") {
            faults.unsupported(&path.child("restartPolicy"), policy, &["Always"]);
        }
        unique(faults, &path, container, regular, &init[..index]);
        host_ports(faults, &own, std::slice::from_ref(container));
        if requests::is_sidecar(container) {
            probe::of_container(faults, &path, container, around.grace);
        } else {
            probe::forbidden(faults, &path, container);
        }
    }
    let own = path.child("ephemeralContainers");
    for (index, container) in ephemeral.iter().enumerate() {
        let path = own.index(index);
        common(faults, &path, container, around);
        unique(faults, &path, container, regular, init);
        unique(faults, &path, container, &ephemeral[..index], &[]);
        ephemeral_only(faults, &path, container, &[regular, init]);
    }
    if meta::flag(spec, &["hostNetwork"]) {
        let own = path.child("containers");
        for (index, container) in regular.iter().enumerate() {
            let path = own.index(index);
            same_ports(faults, &path.child("ports"), container, around.is_pod);
        }
    }
}

fn common(faults: &mut Faults, path: &Path<'_>, container: &Value, around: &Surroundings<'_>) {
    let text = |key| meta::text(container, &[key]);
    let own = text("name");
    if own.is_empty() {
        faults.required(&path.child("name"), "");
    } else {
        faults.each(&path.child("name"), own, name::dns1123_label(own));
    }
    let image = text("image");
    if image.is_empty() {
        faults.required(&path.child("image"), "");
    }
    if around.is_pod {
        padded_image(faults, path, image);
    }
    faults.word(
        &path.child("terminationMessagePolicy"),
        text("terminationMessagePolicy"),
        &["File", "FallbackToLogsOnError"],
    );
    ports(faults, &path.child("ports"), container);
    env::variables(faults, &path.child("env"), meta::list(container, &["env"]));
    env::from(faults, &path.child("envFrom"), meta::list(container, &["envFrom"]));
    volume::mounts(faults, path, container, around.volumes);
    faults.word(
        &path.child("imagePullPolicy"),
        text("imagePullPolicy"),
        &["Always", "IfNotPresent", "Never"],
    );
    if let Some(amounts) = meta::at(container, &["resources"]) {
        resources::requirements(faults, &path.child("resources"), amounts);
    }
    resize(faults, &path.child("resizePolicy"), container, around.restart);
    if let Some(context) = meta::at(container, &["securityContext"]) {
        security::of_container(faults, &path.child("securityContext"), context, around.has_host_users);
    }
}

/// Space around an image's name.
pub(super) fn padded_image(faults: &mut Faults, path: &Path<'_>, image: &str) {
    if image.trim() != image {
        faults.invalid(
            &path.child("image"),
            image,
            "must not have leading or trailing whitespace",
        );
    }
}

fn unique(faults: &mut Faults, path: &Path<'_>, container: &Value, before: &[Value], more: &[Value]) {
    let own = meta::text(container, &["name"]);
    let is_taken = before.iter().chain(more).any(|one| meta::text(one, &["name"]) == own);
    if is_taken {
        faults.duplicate(&path.child("name"), own);
    }
}

fn ports(faults: &mut Faults, path: &Path<'_>, container: &Value) {
    let all = meta::list(container, &["ports"]);
    for (index, port) in all.iter().enumerate() {
        let path = path.index(index);
        let own = meta::text(port, &["name"]);
        if !own.is_empty() {
            let sentences = name::port(own);
            let is_taken = all[..index].iter().any(|one| meta::text(one, &["name"]) == own);
            if sentences.is_empty() && is_taken {
                faults.duplicate(&path.child("name"), own);
            }
            faults.each(&path.child("name"), own, sentences);
        }
        for key in ["containerPort", "hostPort"] {
            match meta::number(port, &[key]).unwrap_or(0) {
                0 if key == "containerPort" => faults.required(&path.child(key), ""),
                0 => {}
                number => {
                    for sentence in name::port_number(number) {
                        faults.invalid(&path.child(key), &number, &sentence);
                    }
                }
            }
        }
        faults.word(&path.child("protocol"), meta::text(port, &["protocol"]), &PROTOCOLS);
    }
}

/// Two containers that run at once cannot have the same port of the host.
fn host_ports(faults: &mut Faults, path: &Path<'_>, containers: &[Value]) {
    let mut taken: Vec<String> = Vec::new();
    for (index, container) in containers.iter().enumerate() {
        let path = path.index(index);
        let path = path.child("ports");
        for (index, port) in meta::list(container, &["ports"]).iter().enumerate() {
            let number = meta::number(port, &["hostPort"]).unwrap_or(0);
            if number == 0 {
                continue;
            }
            let text = |key| meta::text(port, &[key]);
            let this = format!("{}/{}/{number}", text("protocol"), text("hostIP"));
            if taken.contains(&this) {
                let path = path.index(index);
                faults.duplicate(&path.child("hostPort"), &this[..]);
            } else {
                taken.push(this);
            }
        }
    }
}

fn same_ports(faults: &mut Faults, path: &Path<'_>, container: &Value, is_pod: bool) {
    for (index, port) in meta::list(container, &["ports"]).iter().enumerate() {
        let number = |key| meta::number(port, &[key]).unwrap_or(0);
        let host = number("hostPort");
        if (is_pod || host != 0) && host != number("containerPort") {
            let path = path.index(index);
            faults.invalid(
                &path.child("hostPort"),
                &host,
                "must match `containerPort` when `hostNetwork` is true",
            );
        }
    }
}

fn resize(faults: &mut Faults, path: &Path<'_>, container: &Value, restart: &str) {
    let all = meta::list(container, &["resizePolicy"]);
    for (index, one) in all.iter().enumerate() {
        let (resource, policy) = (meta::text(one, &["resourceName"]), meta::text(one, &["restartPolicy"]));
        let is_taken = all[..index]
            .iter()
            .any(|other| meta::text(other, &["resourceName"]) == resource);
        if is_taken {
            faults.duplicate(&path.index(index), resource);
        }
        faults.word(path, resource, &["cpu", "memory"]);
        faults.word(path, policy, &["NotRequired", "RestartContainer"]);
        if restart == "Never" && policy != "NotRequired" {
            let detail = "must be 'NotRequired' when `restartPolicy` is 'Never'";
            faults.invalid(path, policy, detail);
        }
    }
}

/// A container that only looks in has no part in what the pod does.
fn ephemeral_only(faults: &mut Faults, path: &Path<'_>, container: &Value, others: &[&[Value]]) {
    let detail = "cannot be set for an Ephemeral Container";
    let target = meta::text(container, &["targetContainerName"]);
    let is_known = |list: &&[Value]| list.iter().any(|one| meta::text(one, &["name"]) == target);
    if !target.is_empty() && !others.iter().any(is_known) {
        faults.not_found(&path.child("targetContainerName"), target);
    }
    for key in [
        "ports",
        "livenessProbe",
        "readinessProbe",
        "startupProbe",
        "lifecycle",
        "restartPolicy",
        "resizePolicy",
    ] {
        if meta::at(container, &[key]).is_some() {
            faults.forbidden(&path.child(key), detail);
        }
    }
    let has_amounts = ["limits", "requests"]
        .iter()
        .any(|side| meta::at(container, &["resources", side]).is_some());
    if has_amounts {
        faults.forbidden(&path.child("resources"), detail);
    }
    let mounts = path.child("volumeMounts");
    for (index, mount) in meta::list(container, &["volumeMounts"]).iter().enumerate() {
        let path = mounts.index(index);
        for key in ["subPath", "subPathExpr"] {
            if !meta::text(mount, &[key]).is_empty() {
                faults.forbidden(&path.child(key), detail);
            }
        }
    }
}
