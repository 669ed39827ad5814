//! What a node tells of itself: that it is there, what it has, and every ten seconds that it lives.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use apiserver::{Api, Part};
use objects::{Reason, Status, meta, time};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::config::{NodeConfig, architecture};
use crate::context::{Context, served};

/// How often a lease is renewed.
pub(crate) const BEAT: Duration = Duration::from_secs(10);
/// How long a lease lasts, in seconds.
const LEASE: i64 = 40;
const LEASES: &str = "kube-node-lease";
/// How soon what failed is tried again.
const AGAIN: Duration = Duration::from_millis(200);
/// How often the status is told though nothing changed.
const STATUS: Duration = Duration::from_secs(60);

/// Conditions of a node that is well.
const CONDITIONS: [(&str, &str, &str, &str); 4] = [
    (
        "MemoryPressure",
        "False",
        "KubeletHasSufficientMemory",
        "kubelet has sufficient memory available",
    ),
    (
        "DiskPressure",
        "False",
        "KubeletHasNoDiskPressure",
        "kubelet has no disk pressure",
    ),
    (
        "PIDPressure",
        "False",
        "KubeletHasSufficientPID",
        "kubelet has sufficient PID available",
    ),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
];

/// What a node is, beside what it is asked to be.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// Of each family, as the ranges of its pods are.
    pub(crate) addresses: Vec<String>,
    pub(crate) pod_cidrs: Vec<String>,
    pub(crate) runtime: String,
    pub(crate) images: Value,
}

/// Makes the Node object, or takes over the one that is there.
pub(crate) fn register(api: &Api, config: &NodeConfig, identity: &Identity) -> Result<(), Status> {
    let Some(kind) = served("nodes") else { return Ok(()) };
    match api.create(kind, "", config.object(&identity.pod_cidrs)) {
        Err(refused) if refused.reason == Reason::AlreadyExists => {
            let wanted = config.object(&identity.pod_cidrs);
            api.edit(kind, "", &config.name, Part::Main, |node| {
                for (key, value) in meta::labels(&wanted).into_iter().flatten() {
                    meta::set_label(node, key, value.as_str().unwrap_or_default());
                }
            })
            .map(drop)
        }
        other => other.map(drop),
    }
}

/// Tells what the node has and how it is. `beat` is the time of the conditions' heartbeat.
pub(crate) fn tell_status(api: &Api, config: &NodeConfig, identity: &Identity) -> Result<(), Status> {
    let Some(kind) = served("nodes") else { return Ok(()) };
    api.edit(kind, "", &config.name, Part::Status, |node| {
        let now = time::seconds(SystemTime::now());
        let amounts = json!(config.amounts());
        meta::set(node, &["status", "capacity"], amounts.clone());
        meta::set(node, &["status", "allocatable"], amounts);
        let own = identity.addresses.iter().map(|address| ("InternalIP", address));
        let own = own.chain([("Hostname", &config.name)]);
        let own = own.map(|(kind, address)| json!({"type": kind, "address": address}));
        meta::set(node, &["status", "addresses"], own.collect::<Vec<_>>());
        meta::set(
            node,
            &["status", "daemonEndpoints"],
            json!({"kubeletEndpoint": {"Port": 10250}}),
        );
        meta::set(node, &["status", "images"], identity.images.clone());
        meta::set(node, &["status", "nodeInfo"], info(config, identity));
        for (name, status, reason, message) in CONDITIONS {
            meta::set_condition(node, name, status, reason, message, &now);
        }
        if let Some(all) = node.pointer_mut("/status/conditions").and_then(Value::as_array_mut) {
            all.iter_mut().for_each(|one| one["lastHeartbeatTime"] = json!(now));
        }
    })
    .map(drop)
}

fn info(config: &NodeConfig, identity: &Identity) -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy().into_owned();
    let machine = read("/etc/os-release");
    let name = machine.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    json!({
        "machineID": read("/etc/machine-id"),
        "systemUUID": config.name,
        "bootID": read("/proc/sys/kernel/random/boot_id"),
        "kernelVersion": release,
        "osImage": name.map_or("Linux", |name| name.trim_matches('"')),
        "containerRuntimeVersion": identity.runtime,
        "kubeletVersion": concat!("v1.33.0-plimsoll.", env!("CARGO_PKG_VERSION")),
        "kubeProxyVersion": concat!("v1.33.0-plimsoll.", env!("CARGO_PKG_VERSION")),
        "operatingSystem": "linux",
        "architecture": architecture(),
    })
}

/// Renews the node's lease.
pub(crate) fn renew(api: &Api, name: &str) -> Result<(), Status> {
    let Some(kind) = served("leases") else { return Ok(()) };
    let now = time::micros(SystemTime::now());
    let renewed = api.edit(kind, LEASES, name, Part::Main, |lease| {
        meta::set(lease, &["spec", "renewTime"], now.clone());
        meta::set(lease, &["spec", "holderIdentity"], name);
    });
    match renewed {
        Err(refused) if refused.reason == Reason::NotFound => {
            let owner = served("nodes").and_then(|kind| api.get(kind, "", name).ok());
            let mut lease = json!({
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name, "namespace": LEASES},
                "spec": {"holderIdentity": name, "leaseDurationSeconds": LEASE, "renewTime": now},
            });
            if let Some(owner) = owner {
                lease["metadata"]["ownerReferences"] =
                    json!([{"apiVersion": "v1", "kind": "Node", "name": name, "uid": meta::uid(&owner)}]);
            }
            api.create(kind, LEASES, lease).map(drop)
        }
        other => other.map(drop),
    }
}

impl Context {
    /// What this node says of itself now.
    pub(crate) fn identity(&self) -> Identity {
        let images = self
            .images
            .listed()
            .into_iter()
            .map(|(name, size)| json!({"names": [name], "sizeBytes": size}));
        Identity {
            addresses: self
                .network
                .addresses(self.network.address())
                .iter()
                .map(ToString::to_string)
                .collect(),
            pod_cidrs: self.network.subnets().iter().map(ToString::to_string).collect(),
            runtime: self.runtime_version.clone(),
            images: images.collect(),
        }
    }
}

fn is_deleted(api: &Api, name: &str) -> bool {
    let found = served("nodes").map(|kind| api.get(kind, "", name));
    matches!(found, Some(Err(refused)) if refused.reason == Reason::NotFound)
}

/// Registers the node, and from then on tells that it lives.
pub(crate) async fn run(context: Arc<Context>, ready: watch::Sender<bool>) {
    let api = &context.api;
    while register(api, &context.config, &context.identity()).is_err() {
        tokio::time::sleep(AGAIN).await;
        context.go_on().await;
    }
    let mut told: Option<tokio::time::Instant> = None;
    let mut beats: u64 = 0;
    loop {
        context.go_on().await;
        let stale = told.is_none_or(|at| at.elapsed() >= STATUS);
        // A node that was thought lost says at once that it is not.
        let doubted = served("nodes")
            .and_then(|kind| api.get(kind, "", &context.config.name).ok())
            .is_none_or(|node| !meta::is_true(&node, "Ready"));
        let mut well = true;
        if stale || doubted {
            match tell_status(api, &context.config, &context.identity()) {
                Ok(()) => told = Some(tokio::time::Instant::now()),
                // A Node that was deleted comes back with the next agent, and not before.
                Err(_) => well = false,
            }
        }
        if beats == 0 || !context.faults.has("lease-stopped") {
            well &= renew(api, &context.config.name).is_ok();
        }
        if well {
            beats += 1;
            ready.send_replace(true);
        }
        let pause = if well || told.is_some() && is_deleted(api, &context.config.name) {
            BEAT
        } else {
            AGAIN
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            // Who was frozen says at once that it lives.
            () = context.frozen() => {}
        }
    }
}
