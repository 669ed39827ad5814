//! ServiceAccount: every pod runs as one, and has its token at a well-known place.
//!
//! See <https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/>.

use std::sync::Arc;

use apiserver::{Admission, Attempt};
use objects::{Status, meta, name};
use serde_json::{Value, json};

use super::{forbidden, new_pod};
use crate::fault::{Act, Faults};
use crate::kinds::SERVICE_ACCOUNT;
use crate::random::Random;
use crate::service_account::{AUTHORITY, DEFAULT};

const PLACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const VOLUME: &str = "kube-api-access-";
/// An hour, and a little more so that nobody takes it for what was asked for.
const SECONDS: i64 = 3607;

pub(super) struct ServiceAccount {
    pub(super) random: Arc<Random>,
    pub(super) faults: Faults,
}

impl Admission for ServiceAccount {
    fn admit(&self, attempt: &mut Attempt<'_>) -> Result<(), Status> {
        let (store, namespace) = (attempt.store, attempt.namespace);
        let Some(pod) = new_pod(attempt).filter(|pod| meta::annotation(pod, "kubernetes.io/config.mirror").is_none())
        else {
            return Ok(());
        };
        let name = match meta::text(pod, &["spec", "serviceAccountName"]) {
            "" => DEFAULT.to_owned(),
            name => name.to_owned(),
        };
        let account = store.get(SERVICE_ACCOUNT, namespace, &name);
        // That of a namespace that was just made is on its way.
        if account.is_none() && name != DEFAULT {
            let why =
                format!("error looking up service account {namespace}/{name}: serviceaccount \"{name}\" not found");
            return Err(forbidden(attempt, &why));
        }
        meta::set(pod, &["spec", "serviceAccountName"], name.as_str());
        meta::set(pod, &["spec", "serviceAccount"], name.as_str());
        if is_mounted(pod, account.as_deref()) && !self.faults.has(Act::TokenNotMounted) {
            mount(pod, self.random.next());
        }
        let secrets = account
            .as_deref()
            .map_or(&[][..], |one| meta::list(one, &["imagePullSecrets"]));
        if !secrets.is_empty() && meta::list(pod, &["spec", "imagePullSecrets"]).is_empty() {
            meta::set(pod, &["spec", "imagePullSecrets"], secrets);
        }
        Ok(())
    }
}

/// The pod's word counts more than the account's.
fn is_mounted(pod: &Value, account: Option<&Value>) -> bool {
    let said = |object: &Value, path: &[&str]| meta::at(object, path).and_then(Value::as_bool);
    said(pod, &["spec", "automountServiceAccountToken"])
        .or_else(|| said(account?, &["automountServiceAccountToken"]))
        .unwrap_or(true)
}

fn mount(pod: &mut Value, random: u64) {
    let volumes = meta::list(pod, &["spec", "volumes"]);
    let there = volumes
        .iter()
        .map(|volume| meta::text(volume, &["name"]))
        .find(|name| name.starts_with(VOLUME))
        .map(str::to_owned);
    let name = there.clone().unwrap_or_else(|| name::generate(VOLUME, random));
    let mut is_used = false;
    for list in ["initContainers", "containers"] {
        let mut containers = meta::list(pod, &["spec", list]).to_vec();
        for container in &mut containers {
            let mut mounts = meta::list(container, &["volumeMounts"]).to_vec();
            if mounts.iter().any(|mount| mount["mountPath"] == PLACE) {
                continue;
            }
            mounts.push(json!({"name": name, "readOnly": true, "mountPath": PLACE}));
            meta::set(container, &["volumeMounts"], mounts);
            is_used = true;
        }
        if !containers.is_empty() {
            meta::set(pod, &["spec", list], containers);
        }
    }
    if !is_used || there.is_some() {
        return;
    }
    let mut volumes = meta::list(pod, &["spec", "volumes"]).to_vec();
    volumes.push(json!({"name": name, "projected": {"defaultMode": 0o644, "sources": [
        {"serviceAccountToken": {"expirationSeconds": SECONDS, "path": "token"}},
        {"configMap": {"name": AUTHORITY, "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [
            {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}},
        ]}},
    ]}}));
    meta::set(pod, &["spec", "volumes"], volumes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pod_decides_then_the_account_and_else_it_is_mounted() {
        let pod = |word: Option<bool>| json!({"spec": {"automountServiceAccountToken": word}});
        let account = |word: Option<bool>| json!({"automountServiceAccountToken": word});
        for (of_pod, of_account, mounted) in [
            (None, None, true),
            (None, Some(true), true),
            (None, Some(false), false),
            (Some(true), None, true),
            (Some(true), Some(true), true),
            (Some(true), Some(false), true),
            (Some(false), None, false),
            (Some(false), Some(true), false),
            (Some(false), Some(false), false),
        ] {
            let found = is_mounted(&pod(of_pod), Some(&account(of_account)));
            assert_eq!(found, mounted, "{of_pod:?} {of_account:?}");
        }
    }

    #[test]
    fn every_container_gets_the_mount_unless_it_has_one_there() {
        let mut pod = json!({"spec": {
            "initContainers": [{"name": "a"}],
            "containers": [{"name": "b"}, {"name": "c", "volumeMounts": [{"name": "own", "mountPath": PLACE}]}],
        }});
        mount(&mut pod, 1);
        let volume = meta::text(&pod["spec"]["volumes"][0], &["name"]).to_owned();
        assert_eq!(volume.len(), VOLUME.len() + 5);
        assert_eq!(
            pod["spec"]["initContainers"][0]["volumeMounts"][0]["name"],
            volume.as_str()
        );
        assert_eq!(pod["spec"]["containers"][0]["volumeMounts"][0]["mountPath"], PLACE);
        assert_eq!(pod["spec"]["containers"][1]["volumeMounts"][0]["name"], "own");
    }
}
