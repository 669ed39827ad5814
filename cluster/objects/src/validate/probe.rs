//! Probes and lifecycle hooks: one thing that is done to a container.

use serde_json::Value;

use super::faults::{Faults, Path};
use crate::{meta, name};

const PROBES: [&str; 3] = ["livenessProbe", "readinessProbe", "startupProbe"];

/// Probes and hooks of a container that keeps running.
pub(super) fn of_container(faults: &mut Faults, path: &Path<'_>, container: &Value, grace: Option<i64>) {
    if let Some(lifecycle) = meta::at(container, &["lifecycle"]) {
        let path = path.child("lifecycle");
        for hook in ["postStart", "preStop"] {
            if let Some(action) = meta::at(lifecycle, &[hook]) {
                handler(
                    faults,
                    &path.child(hook),
                    action,
                    &["exec", "httpGet", "tcpSocket", "sleep"],
                    grace,
                );
            }
        }
    }
    for kind in PROBES {
        if let Some(probe) = meta::at(container, &[kind]) {
            check(faults, &path.child(kind), kind, probe);
        }
    }
}

/// Probes and hooks of an init container that ends, which has none.
pub(super) fn forbidden(faults: &mut Faults, path: &Path<'_>, container: &Value) {
    for key in ["lifecycle"].into_iter().chain(PROBES) {
        if meta::at(container, &[key]).is_some() {
            let detail = "may not be set for init containers without restartPolicy=Always";
            faults.forbidden(&path.child(key), detail);
        }
    }
}

fn check(faults: &mut Faults, path: &Path<'_>, kind: &str, probe: &Value) {
    handler(faults, path, probe, &["exec", "httpGet", "tcpSocket", "grpc"], None);
    for key in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        faults.not_negative(&path.child(key), meta::number(probe, &[key]));
    }
    let key = "terminationGracePeriodSeconds";
    if let Some(grace) = meta::number(probe, &[key]) {
        let path = path.child(key);
        if grace <= 0 {
            faults.invalid(&path, &grace, "must be greater than 0");
        }
        if kind == "readinessProbe" {
            faults.invalid(&path, &grace, "must not be set for readinessProbes");
        }
    }
    let successes = meta::number(probe, &["successThreshold"]).unwrap_or(0);
    if kind != "readinessProbe" && successes != 1 {
        faults.invalid(&path.child("successThreshold"), &successes, "must be 1");
    }
}

fn handler(faults: &mut Faults, path: &Path<'_>, action: &Value, kinds: &[&str], grace: Option<i64>) {
    let mut is_found = false;
    for kind in kinds {
        let Some(details) = meta::at(action, &[kind]) else {
            continue;
        };
        let path = path.child(kind);
        if is_found {
            faults.forbidden(&path, "may not specify more than 1 handler type");
            continue;
        }
        is_found = true;
        match *kind {
            "exec" => {
                if meta::list(details, &["command"]).is_empty() {
                    faults.required(&path.child("command"), "");
                }
            }
            "httpGet" => http(faults, &path, details),
            "sleep" => {
                let seconds = meta::number(details, &["seconds"]).unwrap_or(0);
                if let Some(grace) = grace.filter(|grace| seconds < 0 || seconds > *grace) {
                    let detail = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
                    faults.invalid(&path, &seconds, &detail);
                }
            }
            _ => port(faults, &path.child("port"), meta::at(details, &["port"])),
        }
    }
    if !is_found {
        faults.required(path, "must specify a handler type");
    }
}

fn http(faults: &mut Faults, path: &Path<'_>, http: &Value) {
    if meta::text(http, &["path"]).is_empty() {
        faults.required(&path.child("path"), "");
    }
    port(faults, &path.child("port"), meta::at(http, &["port"]));
    let scheme = meta::text(http, &["scheme"]);
    if !matches!(scheme, "HTTP" | "HTTPS") {
        faults.unsupported(&path.child("scheme"), scheme, &["HTTP", "HTTPS"]);
    }
    for header in meta::list(http, &["httpHeaders"]) {
        let header = meta::text(header, &["name"]);
        faults.each(&path.child("httpHeaders"), header, name::http_header(header));
    }
}

/// A port by number or name.
pub(super) fn port(faults: &mut Faults, path: &Path<'_>, port: Option<&Value>) {
    match port {
        Some(Value::String(name)) => faults.each(path, name, name::port(name)),
        number => {
            let number = number.and_then(Value::as_i64).unwrap_or(0);
            for sentence in name::port_number(number) {
                faults.invalid(path, &number, &sentence);
            }
        }
    }
}
