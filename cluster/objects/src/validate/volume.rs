//! Volumes of a pod, and where containers mount them.

use serde_json::Value;

use super::{
    env,
    faults::{Faults, Path},
};
use crate::{meta, name, quantity::Quantity};

const MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";
const ONE_SOURCE: &str = "may not specify more than 1 volume type";
const FIELDS: [&str; 5] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
];
const HOST_PATHS: [&str; 8] = [
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
];

/// Checks all volumes; answers with those that are good, by name.
pub(super) fn check<'a>(
    faults: &mut Faults,
    path: &Path<'_>,
    volumes: &'a [Value],
    pod: &str,
) -> Vec<(&'a str, &'a Value)> {
    let mut good: Vec<(&str, &Value)> = Vec::new();
    for (index, volume) in volumes.iter().enumerate() {
        let path = path.index(index);
        let before = faults.len();
        let own = meta::text(volume, &["name"]);
        sources(faults, &path, volume, pod);
        let path_of_name = path.child("name");
        if own.is_empty() {
            faults.required(&path_of_name, "");
        } else {
            faults.each(&path_of_name, own, name::dns1123_label(own));
        }
        if good.iter().any(|(name, _)| *name == own) {
            faults.duplicate(&path_of_name, own);
        }
        if faults.len() == before {
            good.push((own, volume));
        }
    }
    good
}

fn sources(faults: &mut Faults, path: &Path<'_>, volume: &Value, pod: &str) {
    let mut is_found = false;
    for (kind, source) in volume.as_object().into_iter().flatten() {
        if kind == "name" || source.is_null() {
            continue;
        }
        let path_of_source = path.child(kind);
        if is_found {
            faults.forbidden(&path_of_source, ONE_SOURCE);
            continue;
        }
        is_found = true;
        source_of(faults, &path_of_source, kind, source);
        if kind == "ephemeral" && !pod.is_empty() {
            let own = meta::text(volume, &["name"]);
            let claim = format!("{pod}-{own}");
            for sentence in name::dns1123_subdomain(&claim) {
                let detail = format!("PVC name {claim:?}: {sentence}");
                faults.invalid(&path.child("name"), own, &detail);
            }
        }
    }
    if !is_found {
        faults.required(path, "must specify a volume type");
    }
}

fn source_of(faults: &mut Faults, path: &Path<'_>, kind: &str, source: &Value) {
    let required = |faults: &mut Faults, key| {
        if meta::text(source, &[key]).is_empty() {
            faults.required(&path.child(key), "");
        }
    };
    match kind {
        "emptyDir" => {
            let limit = meta::at(source, &["sizeLimit"]).and_then(Quantity::of);
            if limit.is_some_and(Quantity::is_negative) {
                faults.forbidden(
                    &path.child("sizeLimit"),
                    "SizeLimit field must be a valid resource quantity",
                );
            }
        }
        "hostPath" => {
            let target = meta::text(source, &["path"]);
            if target.is_empty() {
                return faults.required(&path.child("path"), "");
            }
            no_backsteps(faults, &path.child("path"), target);
            let word = meta::text(source, &["type"]);
            if !HOST_PATHS.contains(&word) {
                faults.unsupported(&path.child("type"), word, &HOST_PATHS);
            }
        }
        "secret" | "configMap" => {
            required(faults, if kind == "secret" { "secretName" } else { "name" });
            mode(faults, &path.child("defaultMode"), source, "defaultMode");
            let path = path.child("items");
            for (index, item) in meta::list(source, &["items"]).iter().enumerate() {
                key_to_path(faults, &path.index(index), item);
            }
        }
        "downwardAPI" => {
            mode(faults, &path.child("defaultMode"), source, "defaultMode");
            for item in meta::list(source, &["items"]) {
                downward(faults, path, item);
            }
        }
        "projected" => {
            mode(faults, &path.child("defaultMode"), source, "defaultMode");
            projected(faults, path, source);
        }
        "persistentVolumeClaim" => required(faults, "claimName"),
        "nfs" => {
            required(faults, "server");
            required(faults, "path");
            let target = meta::text(source, &["path"]);
            if !target.starts_with('/') {
                faults.invalid(&path.child("path"), target, "must be an absolute path");
            }
        }
        "csi" => required(faults, "driver"),
        "image" => {
            required(faults, "reference");
            let policy = meta::text(source, &["pullPolicy"]);
            if !policy.is_empty() {
                faults.word(&path.child("pullPolicy"), policy, &["Always", "IfNotPresent", "Never"]);
            }
        }
        _ => {}
    }
}

fn projected(faults: &mut Faults, path: &Path<'_>, source: &Value) {
    let sources = path.child("sources");
    let mut taken: Vec<&str> = Vec::new();
    for (index, one) in meta::list(source, &["sources"]).iter().enumerate() {
        let each = sources.index(index);
        let mut count = 0;
        for kind in ["secret", "configMap"] {
            let Some(from) = meta::at(one, &[kind]) else { continue };
            count += 1;
            let each = each.child(kind);
            let own = meta::text(from, &["name"]);
            if own.is_empty() {
                faults.required(&each.child("name"), "");
            }
            let items = each.child("items");
            for (index, item) in meta::list(from, &["items"]).iter().enumerate() {
                key_to_path(faults, &items.index(index), item);
                take(faults, path, &mut taken, meta::text(item, &["path"]), own);
            }
        }
        if let Some(from) = meta::at(one, &["downwardAPI"]) {
            count += 1;
            let each = each.child("downwardAPI");
            for item in meta::list(from, &["items"]) {
                downward(faults, &each, item);
                let target = meta::text(item, &["path"]);
                take(faults, path, &mut taken, target, target);
            }
        }
        if let Some(token) = meta::at(one, &["serviceAccountToken"]) {
            count += 1;
            let each = each.child("serviceAccountToken");
            let seconds = meta::number(token, &["expirationSeconds"]).unwrap_or(0);
            let path_of_seconds = each.child("expirationSeconds");
            if seconds < 600 {
                faults.invalid(
                    &path_of_seconds,
                    &seconds,
                    "may not specify a duration less than 10 minutes",
                );
            }
            if seconds > 1 << 32 {
                faults.invalid(
                    &path_of_seconds,
                    &seconds,
                    "may not specify a duration larger than 2^32 seconds",
                );
            }
            let target = meta::text(token, &["path"]);
            if target.is_empty() {
                faults.required(&path.child("path"), "");
            } else {
                not_reserved(faults, &path.child("path"), target);
            }
        }
        if count > 1 {
            faults.forbidden(&each, ONE_SOURCE);
        }
    }
}

fn take<'a>(faults: &mut Faults, path: &Path<'_>, taken: &mut Vec<&'a str>, target: &'a str, shown: &str) {
    if taken.contains(&target) {
        faults.invalid(path, shown, "conflicting duplicate paths");
    } else if !target.is_empty() {
        taken.push(target);
    }
}

fn downward(faults: &mut Faults, path: &Path<'_>, item: &Value) {
    let target = meta::text(item, &["path"]);
    if target.is_empty() {
        faults.required(&path.child("path"), "");
    }
    not_reserved(faults, &path.child("path"), target);
    match (meta::at(item, &["fieldRef"]), meta::at(item, &["resourceFieldRef"])) {
        (Some(field), other) => {
            env::pod_field(faults, &path.child("fieldRef"), field, &FIELDS);
            if other.is_some() {
                let detail = "fieldRef and resourceFieldRef can not be specified simultaneously";
                faults.invalid(path, "resource", detail);
            }
        }
        (None, Some(resource)) => env::resource_field(faults, &path.child("resourceFieldRef"), resource, true),
        (None, None) => faults.required(path, "one of fieldRef and resourceFieldRef is required"),
    }
    mode(faults, &path.child("mode"), item, "mode");
}

fn key_to_path(faults: &mut Faults, path: &Path<'_>, item: &Value) {
    for key in ["key", "path"] {
        if meta::text(item, &[key]).is_empty() {
            faults.required(&path.child(key), "");
        }
    }
    not_reserved(faults, &path.child("path"), meta::text(item, &["path"]));
    mode(faults, &path.child("mode"), item, "mode");
}

fn mode(faults: &mut Faults, path: &Path<'_>, source: &Value, key: &str) {
    if let Some(mode) = meta::number(source, &[key]).filter(|mode| !(0..=0o777).contains(mode)) {
        faults.invalid(path, &mode, MODE);
    }
}

/// A path that stays below the place it begins at.
pub(super) fn descending(faults: &mut Faults, path: &Path<'_>, target: &str) {
    if target.starts_with('/') {
        faults.invalid(path, target, "must be a relative path");
    }
    no_backsteps(faults, path, target);
}

fn no_backsteps(faults: &mut Faults, path: &Path<'_>, target: &str) {
    if target.split('/').any(|part| part == "..") {
        faults.invalid(path, target, "must not contain '..'");
    }
}

/// A descending path that does not look like the directories of the atomic writer.
fn not_reserved(faults: &mut Faults, path: &Path<'_>, target: &str) {
    descending(faults, path, target);
    if target.starts_with("..") && target != ".." && !target.starts_with("../") {
        faults.invalid(path, target, "must not start with '..'");
    }
}

/// `volumeMounts` and `volumeDevices` of a container.
pub(super) fn mounts(faults: &mut Faults, path: &Path<'_>, container: &Value, volumes: &[(&str, &Value)]) {
    let all = meta::list(container, &["volumeMounts"]);
    let devices = meta::list(container, &["volumeDevices"]);
    let path_of_all = path.child("volumeMounts");
    for (index, mount) in all.iter().enumerate() {
        let path = path_of_all.index(index);
        let text = |key| meta::text(mount, &[key]);
        let (volume, target) = (text("name"), text("mountPath"));
        if volume.is_empty() {
            faults.required(&path.child("name"), "");
        }
        if !volumes.iter().any(|(name, _)| *name == volume) {
            faults.not_found(&path.child("name"), volume);
        }
        if target.is_empty() {
            faults.required(&path.child("mountPath"), "");
        }
        let is_taken = |other: &Value| meta::text(other, &["mountPath"]) == target;
        if all[..index].iter().any(is_taken) {
            faults.invalid(&path.child("mountPath"), target, "must be unique");
        }
        if devices.iter().any(|one| meta::text(one, &["name"]) == volume) {
            faults.invalid(&path.child("name"), volume, "must not already exist in volumeDevices");
        }
        if devices.iter().any(|one| meta::text(one, &["devicePath"]) == target) {
            let detail = "must not already exist as a path in volumeDevices";
            faults.invalid(&path.child("mountPath"), target, detail);
        }
        // These name the list and not the mount, as in Kubernetes.
        for key in ["subPath", "subPathExpr"] {
            if !text(key).is_empty() {
                descending(faults, &path_of_all.child(key), text(key));
            }
        }
        if !text("subPath").is_empty() && !text("subPathExpr").is_empty() {
            let detail = "subPathExpr and subPath are mutually exclusive";
            faults.invalid(&path.child("subPathExpr"), text("subPathExpr"), detail);
        }
        propagation(faults, &path_of_all, mount, container);
    }
    let path_of_all = path.child("volumeDevices");
    for (index, device) in devices.iter().enumerate() {
        let path = path_of_all.index(index);
        let (volume, target) = (meta::text(device, &["name"]), meta::text(device, &["devicePath"]));
        match volumes.iter().find(|(name, _)| *name == volume) {
            None => faults.not_found(&path.child("name"), volume),
            Some((_, source))
                if ["persistentVolumeClaim", "ephemeral"]
                    .iter()
                    .any(|kind| source.get(kind).is_some()) => {}
            Some(_) => faults.invalid(
                &path.child("name"),
                volume,
                "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
            ),
        }
        if target.is_empty() {
            faults.required(&path.child("devicePath"), "");
        } else if target.split('/').any(|part| part == "..") {
            faults.invalid(&path.child("devicePath"), target, "can not contain backsteps ('..')");
        }
    }
}

fn propagation(faults: &mut Faults, path: &Path<'_>, mount: &Value, container: &Value) {
    let text = |key| meta::text(mount, &[key]);
    let mode = text("mountPropagation");
    if !mode.is_empty() {
        let path = path.child("mountPropagation");
        faults.word(&path, mode, &["Bidirectional", "HostToContainer", "None"]);
        if mode == "Bidirectional" && !meta::flag(container, &["securityContext", "privileged"]) {
            let detail = "Bidirectional mount propagation is available only to privileged containers";
            faults.forbidden(&path, detail);
        }
    }
    let path = path.child("recursiveReadOnly");
    match text("recursiveReadOnly") {
        "" | "Disabled" => {}
        "Enabled" | "IfPossible" => {
            if !meta::flag(mount, &["readOnly"]) {
                faults.forbidden(&path, "may only be specified when readOnly is true");
            }
            if !matches!(mode, "" | "None") {
                let detail = "may only be specified when mountPropagation is None or not specified";
                faults.forbidden(&path, detail);
            }
        }
        other => faults.unsupported(&path, other, &["Disabled", "Enabled", "IfPossible"]),
    }
}
