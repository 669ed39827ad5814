//! Security contexts of pods and containers.

use serde_json::Value;

use super::{
    faults::{Faults, Path},
    volume,
};
use crate::{meta, name};

const LARGEST_ID: i64 = 0xffff_ffff;
const PROFILES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];
const SYSCTL_FORM: &str = r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
const SYSCTL_LENGTH: usize = 253;

/// `securityContext` of a pod, with the fields beside it that share its namespaces.
pub(super) fn of_pod(faults: &mut Faults, path: &Path<'_>, spec: &Value) {
    if let Some(context) = meta::at(spec, &["securityContext"]) {
        ids(faults, path, context, &["fsGroup", "runAsUser", "runAsGroup"]);
        let groups = path.child("supplementalGroups");
        for (index, group) in meta::list(context, &["supplementalGroups"]).iter().enumerate() {
            id(faults, &groups.index(index), group.as_i64());
        }
        if meta::flag(spec, &["shareProcessNamespace"]) && meta::flag(spec, &["hostPID"]) {
            faults.invalid(
                &path.child("shareProcessNamespace"),
                &Value::Bool(true),
                "ShareProcessNamespace and HostPID cannot both be enabled",
            );
        }
        sysctls(faults, &path.child("sysctls"), context);
        for (key, words) in [
            ("fsGroupChangePolicy", ["Always", "OnRootMismatch"]),
            ("supplementalGroupsPolicy", ["Merge", "Strict"]),
        ] {
            let word = meta::text(context, &[key]);
            if !word.is_empty() {
                faults.word(&path.child(key), word, &words);
            }
        }
        profiles(faults, path, context);
    } else if meta::flag(spec, &["shareProcessNamespace"]) && meta::flag(spec, &["hostPID"]) {
        faults.invalid(
            &path.child("shareProcessNamespace"),
            &Value::Bool(true),
            "ShareProcessNamespace and HostPID cannot both be enabled",
        );
    }
}

/// `securityContext` of a container.
pub(super) fn of_container(faults: &mut Faults, path: &Path<'_>, context: &Value, has_host_users: bool) {
    ids(faults, path, context, &["runAsUser", "runAsGroup"]);
    let mount = meta::text(context, &["procMount"]);
    if !mount.is_empty() {
        let path = path.child("procMount");
        faults.word(&path, mount, &["Default", "Unmasked"]);
        if has_host_users && mount == "Unmasked" {
            faults.invalid(&path, mount, "`hostUsers` must be false to use `Unmasked`");
        }
    }
    if meta::at(context, &["allowPrivilegeEscalation"]) == Some(&Value::Bool(false)) {
        if meta::flag(context, &["privileged"]) {
            faults.invalid(
                path,
                context,
                "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
            );
        }
        let added = meta::list(context, &["capabilities", "add"]);
        if added.iter().any(|one| one == "CAP_SYS_ADMIN") {
            faults.invalid(
                path,
                context,
                "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
            );
        }
    }
    profiles(faults, path, context);
}

fn ids(faults: &mut Faults, path: &Path<'_>, context: &Value, keys: &[&str]) {
    for key in keys {
        id(faults, &path.child(key), meta::number(context, &[key]));
    }
}

fn id(faults: &mut Faults, path: &Path<'_>, id: Option<i64>) {
    let Some(id) = id else { return };
    for sentence in name::in_range(id, 0, LARGEST_ID) {
        faults.invalid(path, &id, &sentence);
    }
}

fn profiles(faults: &mut Faults, path: &Path<'_>, context: &Value) {
    for (key, system) in [("seccompProfile", "seccomp"), ("appArmorProfile", "AppArmor")] {
        let Some(profile) = meta::at(context, &[key]) else {
            continue;
        };
        let path = path.child(key);
        let (kind, file) = (
            meta::text(profile, &["type"]),
            meta::at(profile, &["localhostProfile"]).and_then(Value::as_str),
        );
        if kind.is_empty() {
            faults.required(&path.child("type"), &format!("type is required when {key} is set"));
        } else {
            faults.word(&path.child("type"), kind, &PROFILES);
        }
        let path = path.child("localhostProfile");
        match (kind, file) {
            ("Localhost", None | Some("")) => {
                faults.required(&path, &format!("must be set when {system} type is Localhost"));
            }
            ("Localhost", Some(file)) if system == "seccomp" => volume::descending(faults, &path, file),
            ("Localhost", Some(file)) if file.trim() != file => {
                faults.invalid(&path, file, "must not be padded with whitespace");
            }
            ("Localhost", _) | (_, None) => {}
            (_, Some(file)) => {
                faults.invalid(&path, file, &format!("can only be set when {system} type is Localhost"));
            }
        }
    }
}

fn sysctls(faults: &mut Faults, path: &Path<'_>, context: &Value) {
    let all = meta::list(context, &["sysctls"]);
    for (index, one) in all.iter().enumerate() {
        let path = path.index(index);
        let path = path.child("name");
        let name = meta::text(one, &["name"]);
        let is_known = all[..index].iter().any(|other| meta::text(other, &["name"]) == name);
        if name.is_empty() {
            faults.required(&path, "");
        } else if !is_sysctl(name) {
            let detail = format!("must have at most {SYSCTL_LENGTH} characters and match regex {SYSCTL_FORM}");
            faults.invalid(&path, name, &detail);
        } else if is_known {
            faults.duplicate(&path, name);
        }
    }
}

fn is_sysctl(name: &str) -> bool {
    let is_end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= SYSCTL_LENGTH
        && name.split(['.', '/']).all(|part| {
            part.starts_with(is_end)
                && part.ends_with(is_end)
                && part.chars().all(|c| is_end(c) || matches!(c, '-' | '_'))
        })
}
