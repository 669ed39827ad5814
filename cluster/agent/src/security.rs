//! Who a container runs as and what it may do: `securityContext` of the pod and of the container over it.

use std::collections::BTreeSet;

use image::CAPABILITIES;
use objects::meta;
use serde_json::{Value, json};
use sys::capability::NAMES;

/// What both contexts come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Security {
    pub(crate) user: u32,
    pub(crate) group: u32,
    pub(crate) groups: Vec<u32>,
    pub(crate) capabilities: Vec<String>,
    pub(crate) privileged: bool,
    pub(crate) no_new_privileges: bool,
    pub(crate) read_only_root: bool,
    pub(crate) unmasked: bool,
    pub(crate) seccomp: Seccomp,
}

/// `seccompProfile.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seccomp {
    Unconfined,
    RuntimeDefault,
}

/// The group of files that volumes give to the pod.
pub(crate) fn fs_group(pod: &Value) -> Option<u32> {
    id(pod, &["spec", "securityContext", "fsGroup"])
}

fn id(object: &Value, path: &[&str]) -> Option<u32> {
    meta::number(object, path).and_then(|number| u32::try_from(number).ok())
}

impl Security {
    /// Reads both contexts. `image_user` is what the image says; `bounding` what this process itself may hand on.
    ///
    /// # Errors
    /// What `runAsNonRoot` forbids, and profiles that are not there, as the kubelet words it.
    pub(crate) fn of(pod: &Value, container: &Value, bounding: &BTreeSet<String>) -> Result<Self, String> {
        let outer = meta::at(pod, &["spec", "securityContext"])
            .cloned()
            .unwrap_or(Value::Null);
        let inner = container.get("securityContext").cloned().unwrap_or(Value::Null);
        let either = |key: &str| {
            inner
                .get(key)
                .filter(|v| !v.is_null())
                .or_else(|| outer.get(key).filter(|v| !v.is_null()))
        };
        let number = |key: &str| {
            either(key)
                .and_then(Value::as_i64)
                .and_then(|number| u32::try_from(number).ok())
        };
        let user = number("runAsUser").unwrap_or(0);
        if either("runAsNonRoot").and_then(Value::as_bool) == Some(true) && user == 0 {
            let (name, pod_name) = (meta::text(container, &["name"]), meta::name(pod));
            let about = format!(
                "pod: \"{pod_name}_{}({})\", container: {name}",
                meta::namespace(pod),
                meta::uid(pod)
            );
            return Err(match number("runAsUser") {
                Some(_) => format!("container's runAsUser breaks non-root policy ({about})"),
                None => format!("container has runAsNonRoot and image will run as root ({about})"),
            });
        }
        let privileged = meta::flag(&inner, &["privileged"]);
        let mut groups: Vec<u32> = meta::list(&outer, &["supplementalGroups"])
            .iter()
            .filter_map(|group| u32::try_from(group.as_i64()?).ok())
            .collect();
        groups.extend(fs_group(pod));
        let seccomp = match either("seccompProfile").map_or("", |profile| meta::text(profile, &["type"])) {
            "" | "Unconfined" => Seccomp::Unconfined,
            "RuntimeDefault" if privileged => Seccomp::Unconfined,
            "RuntimeDefault" => Seccomp::RuntimeDefault,
            _ => {
                let profile = either("seccompProfile").map_or("", |profile| meta::text(profile, &["localhostProfile"]));
                return Err(format!("cannot load seccomp profile \"{profile}\": no such file"));
            }
        };
        Ok(Self {
            user,
            group: number("runAsGroup").unwrap_or(0),
            groups,
            capabilities: capabilities(&inner, privileged, bounding),
            privileged,
            no_new_privileges: inner.get("allowPrivilegeEscalation").and_then(Value::as_bool) == Some(false),
            read_only_root: meta::flag(&inner, &["readOnlyRootFilesystem"]),
            unmasked: privileged || meta::text(&inner, &["procMount"]) == "Unmasked",
            seccomp,
        })
    }

    /// `process.user`.
    pub(crate) fn user(&self) -> Value {
        json!({"uid": self.user, "gid": self.group, "additionalGids": self.groups})
    }

    /// `process.capabilities`. A process that is not root keeps none of them, as without ambient ones.
    pub(crate) fn sets(&self) -> Value {
        let all = &self.capabilities;
        json!({"bounding": all, "effective": all, "permitted": all})
    }
}

fn capabilities(context: &Value, privileged: bool, bounding: &BTreeSet<String>) -> Vec<String> {
    let full = |name: &str| {
        let upper = name.to_ascii_uppercase();
        if upper.starts_with("CAP_") {
            upper
        } else {
            format!("CAP_{upper}")
        }
    };
    let words = |key: &str| {
        let list = meta::list(context, &["capabilities", key]).iter();
        list.filter_map(Value::as_str).map(full).collect::<BTreeSet<_>>()
    };
    let (add, drop) = (words("add"), words("drop"));
    let everything = || NAMES.iter().map(|name| (*name).to_owned());
    let mut all: BTreeSet<String> = CAPABILITIES.iter().map(|name| (*name).to_owned()).collect();
    if drop.contains("CAP_ALL") {
        all.clear();
    }
    if privileged || add.contains("CAP_ALL") {
        all.extend(everything());
    }
    all.retain(|name| !drop.contains(name));
    all.extend(add.into_iter().filter(|name| name != "CAP_ALL"));
    // What this process does not have it cannot hand on, and a runtime would fail.
    all.into_iter().filter(|name| bounding.contains(name)).collect()
}

/// The names in a mask such as `CapBnd` of `/proc/self/status`.
pub(crate) fn named(mask: u64) -> BTreeSet<String> {
    let held = NAMES.iter().enumerate().filter(|(number, _)| mask >> number & 1 == 1);
    held.map(|(_, name)| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pod: Value, container: Value) -> Result<Security, String> {
        Security::of(
            &json!({"metadata": {"name": "p", "namespace": "d", "uid": "u"}, "spec": pod}),
            &container,
            &named(u64::MAX),
        )
    }

    #[test]
    fn the_container_goes_before_the_pod() {
        let pod =
            json!({"securityContext": {"runAsUser": 1000, "runAsGroup": 7, "fsGroup": 5, "supplementalGroups": [6]}});
        let both = read(pod, json!({"securityContext": {"runAsUser": 2000}})).unwrap();
        assert_eq!(both.user(), json!({"uid": 2000, "gid": 7, "additionalGids": [6, 5]}));
    }

    #[test]
    fn root_is_refused_where_it_must_not_be() {
        let pod = json!({"securityContext": {"runAsNonRoot": true}});
        let refused = read(pod.clone(), json!({"name": "c"})).unwrap_err();
        assert_eq!(
            refused,
            "container has runAsNonRoot and image will run as root (pod: \"p_d(u)\", container: c)"
        );
        assert!(read(pod, json!({"securityContext": {"runAsUser": 1}})).is_ok());
    }

    #[test]
    fn capabilities_are_dropped_before_others_are_added() {
        let of = |context: Value| {
            read(json!({}), json!({"securityContext": context}))
                .unwrap()
                .capabilities
        };
        assert_eq!(
            of(json!({"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}})),
            ["CAP_NET_ADMIN"]
        );
        assert_eq!(of(json!({})).len(), 14);
        assert_eq!(of(json!({"privileged": true})).len(), NAMES.len());
        assert!(!of(json!({"capabilities": {"add": ["ALL"], "drop": ["CHOWN"]}})).contains(&"CAP_CHOWN".to_owned()));
    }

    #[test]
    fn what_the_agent_does_not_have_it_does_not_hand_on() {
        let few = Security::of(
            &json!({}),
            &json!({"securityContext": {"privileged": true}}),
            &named(0b11),
        );
        assert_eq!(few.unwrap().capabilities, ["CAP_CHOWN", "CAP_DAC_OVERRIDE"]);
    }
}
