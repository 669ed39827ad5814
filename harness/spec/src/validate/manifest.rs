//! Manifests: a header that a cluster can serve, and what belongs to which target.

use serde_json::Value;

use super::{Checker, Place};
use crate::{Manifest, Target, Workload, fault::Fault, manifest::KINDS};

impl Checker<'_> {
    pub(super) fn is_for(&self, target: Target) -> bool {
        self.test.targets.iter().any(|wanted| wanted.value == target)
    }

    pub(super) fn is_for_cluster(&self) -> bool {
        self.is_for(Target::Cluster)
    }

    /// The manifest of a workload, if it is one.
    pub(super) fn manifest_of(&self, workload: &str) -> Option<&Manifest> {
        match &self.test.workloads.get(workload)?.value {
            Workload::Object(manifest) => Some(manifest),
            Workload::Container(_) | Workload::Bundle(_) => None,
        }
    }

    /// A workload of a kind that a target cannot run.
    pub(super) fn of_target(&mut self, workload: &Workload, place: &Place<'_>) {
        let wrong = match workload {
            Workload::Object(_) if self.is_for(Target::Runtime) || self.is_for(Target::Host) => {
                ("object", "a runtime runs no Kubernetes objects")
            }
            Workload::Bundle(_) if self.is_for_cluster() => ("bundle", "a cluster runs no OCI bundles"),
            _ => return,
        };
        let fault = Fault::new(place.label(wrong.0), wrong.1);
        self.fault(fault.hint(match wrong.0 {
            "object" => "expected `targets: [cluster]`, or `container`",
            _ => "expected `object` or `container`, or `targets: [runtime]`",
        }));
    }

    /// What a container in short form asks for and a pod of it would not get.
    pub(super) fn container_in_cluster(&mut self, container: &Place<'_>) {
        const KEYS: [&str; 6] = ["image", "args", "env", "cwd", "hostname", "resources"];
        let places = [
            (*container, KEYS.as_slice()),
            (container.key("resources").key("limits"), ["cpu", "memory"].as_slice()),
        ];
        for (place, known) in places {
            for key in place.keys().into_iter().filter(|key| !known.contains(&key.as_str())) {
                let fault = Fault::new(
                    place.label(&key),
                    format!("`{key}` of a container is nothing that a cluster is asked for"),
                );
                self.fault(fault.hint("write the pod as an `object`"));
            }
        }
    }

    /// What an API server would refuse by its header alone.
    pub(super) fn manifest(&mut self, manifest: &Manifest, place: &Place<'_>) {
        for key in ["apiVersion", "kind"] {
            let written = manifest.get(key).and_then(Value::as_str);
            if written.is_none_or(str::is_empty) {
                let at = if place.key(key).is_written() {
                    place.key(key).extent
                } else {
                    place.extent
                };
                let fault = Fault::new(at, format!("a manifest needs `{key}`"));
                self.fault(fault.hint(match key {
                    "kind" => "expected a kind such as `Pod`",
                    _ => "expected a group and version such as `v1` or `apps/v1`",
                }));
                return;
            }
        }
        self.kind(manifest, place);
        let name = manifest.name();
        let generated = manifest.get("metadata").and_then(|m| m.get("generateName"));
        match name {
            None if generated.is_some_and(Value::is_string) => {
                let fault = Fault::new(
                    place.key("metadata").label("generateName"),
                    "a workload needs a name of its own",
                );
                self.fault(fault.hint("write `metadata.name`: the test's namespace is its own"));
            }
            None => {
                let at = place.key("metadata");
                let fault = Fault::new(at.extent, "a manifest needs `metadata.name`");
                self.fault(fault.hint("expected the name of the object"));
            }
            Some(name) if !name.contains("${") && !is_subdomain(name) => {
                let at = place.key("metadata").key("name").extent;
                let fault = Fault::new(at, format!("`{name}` cannot name an object"));
                self.fault(fault.hint("expected at most 253 of a-z, 0-9, `-` and `.`, a letter or digit at both ends"));
            }
            Some(_) => {}
        }
    }

    fn kind(&mut self, manifest: &Manifest, place: &Place<'_>) {
        let (version, kind) = (manifest.api_version(), manifest.kind());
        if version.contains("${") || kind.contains("${") || manifest.known().is_some() {
            return;
        }
        if !is_group_version(version) {
            let fault = Fault::new(
                place.key("apiVersion").extent,
                format!("`{version}` is not a group and version"),
            );
            let known = KINDS.iter().find(|known| known.kind == kind);
            self.fault(match known {
                Some(known) => fault.hint(format!("a {kind} is of `{}`", known.api_version)),
                None => fault.hint("expected a group and version such as `v1` or `apps/v1`"),
            });
            return;
        }
        if let Some(known) = KINDS.iter().find(|known| known.kind == kind)
            && is_built_in(version)
        {
            let fault = Fault::new(
                place.key("apiVersion").extent,
                format!("there is no {kind} in `{version}`"),
            );
            let fault = fault.hint(format!("a {kind} is of `{}`", known.api_version));
            self.fault(fault);
            return;
        }
        let capital = kind.starts_with(|c: char| c.is_ascii_uppercase());
        if !capital || !kind.bytes().all(|b| b.is_ascii_alphanumeric()) || is_built_in(version) {
            let at = place.key("kind").extent;
            let of_version = KINDS.iter().filter(|known| known.api_version == version);
            let names: Vec<&str> = of_version.map(|known| known.kind).collect();
            let fault = Fault::new(at, format!("unknown kind `{kind}` of `{version}`"));
            let fault = match names.as_slice() {
                [] => fault.hint("expected a kind such as `Pod`"),
                names => fault.hint(format!("expected one of {}", names.join(", "))),
            };
            self.fault(fault.suggest(kind, KINDS.iter().map(|known| known.kind)));
        }
    }
}

/// Whether Kubernetes itself serves this group and version, so that it has no kinds of others.
fn is_built_in(version: &str) -> bool {
    KINDS.iter().any(|known| known.api_version == version)
}

/// `v1` or `group.example/v1beta1`.
fn is_group_version(text: &str) -> bool {
    let (group, version) = text.split_once('/').unwrap_or(("core", text));
    let digits = version.strip_prefix('v').unwrap_or_default();
    is_subdomain(group)
        && digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

pub(super) fn is_subdomain(name: &str) -> bool {
    let edge = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=253).contains(&name.len())
        && name.split('.').all(|label| {
            label.bytes().all(|b| edge(b) || b == b'-')
                && label.bytes().next().is_some_and(edge)
                && label.bytes().last().is_some_and(edge)
        })
}
