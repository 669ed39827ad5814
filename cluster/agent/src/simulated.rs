//! Nodes that only say that they run pods: for scheduling at scale.
//!
//! All of them are one task: their leases are renewed in batches, and a pod that is bound to one of them is Running and
//! Ready after a while.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use apiserver::{Api, Change, DeleteOptions, Informer, ListQuery, Object, Part, Preconditions, User};
use objects::{Status, meta, qos, requests, time};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::address::{listed, simulated, simulated_6};
use crate::config::NodeConfig;
use crate::context::served;
use crate::heartbeat::{BEAT, Identity, register, renew, tell_status};
use crate::network::Families;

/// So many nodes are heard of at once, so that nobody waits for all of them.
const BATCH: usize = 500;

/// The nodes, as long as this lives.
#[derive(Debug)]
pub struct Simulated {
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Simulated {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// How simulated pods behave.
#[derive(Debug, Clone, Copy, Default)]
pub struct Behaviour {
    /// From bound to Ready.
    pub delay: Duration,
    /// Which addresses they and their nodes have.
    pub families: Families,
}

struct Fleet {
    api: Api,
    /// By name, with the number that addresses are made of.
    nodes: HashMap<String, u16>,
    /// Addresses given out on each node.
    given: HashMap<String, u32>,
    behaviour: Behaviour,
}

/// Registers nodes and begins to speak for them. Returns when all are Ready.
///
/// # Errors
/// What the API says to a node.
pub async fn start(configs: Vec<NodeConfig>, api: Api) -> Result<Simulated, Status> {
    start_with(configs, api, Behaviour::default()).await
}

/// As [`start`], with pods that take their time.
///
/// # Errors
/// What the API says to a node.
pub async fn start_with(configs: Vec<NodeConfig>, api: Api, behaviour: Behaviour) -> Result<Simulated, Status> {
    let api = api.acting_as(User::system("simulated-nodes"));
    let all: Vec<NodeConfig> = configs.iter().flat_map(NodeConfig::expand).collect();
    let mut nodes = HashMap::new();
    for (at, config) in all.into_iter().enumerate() {
        let number = u16::try_from(at % 16_384).unwrap_or(0);
        let (address, subnet) = simulated(number);
        let (second, second_subnet) = simulated_6(number);
        let with = |first: String, second: String| match behaviour.families {
            Families::Ipv4 => vec![first],
            Families::Dual => vec![first, second],
        };
        let config = NodeConfig {
            simulated: true,
            ..config
        };
        let identity = Identity {
            addresses: with(address.to_string(), second.to_string()),
            pod_cidrs: with(subnet.to_string(), second_subnet.to_string()),
            runtime: "simulated://1".into(),
            images: json!([]),
        };
        register(&api, &config, &identity)?;
        tell_status(&api, &config, &identity)?;
        renew(&api, &config.name)?;
        nodes.insert(config.name, number);
        if at % BATCH == BATCH - 1 {
            tokio::task::yield_now().await;
        }
    }
    let names: Vec<String> = nodes.keys().cloned().collect();
    let beating = tokio::spawn(beat(api.clone(), names));
    let fleet = Fleet {
        api,
        nodes,
        given: HashMap::new(),
        behaviour,
    };
    Ok(Simulated {
        tasks: vec![beating, tokio::spawn(fleet.run())],
    })
}

async fn beat(api: Api, names: Vec<String>) {
    let batches = names.chunks(BATCH).count().max(1);
    let pause = BEAT / u32::try_from(batches).unwrap_or(u32::MAX);
    loop {
        for batch in names.chunks(BATCH) {
            tokio::time::sleep(pause).await;
            for name in batch {
                // A node that somebody deleted stays deleted.
                let alive = served("nodes").is_some_and(|kind| api.get(kind, "", name).is_ok());
                let _late = alive && renew(&api, name).is_err();
            }
        }
        if names.is_empty() {
            return;
        }
    }
}

impl Fleet {
    async fn run(mut self) {
        let Some(kind) = served("pods") else { return };
        let mut pods = Informer::start(&self.api, kind, ListQuery::default());
        // When each is due, the first first.
        let mut due: BTreeMap<(Instant, String, String), String> = BTreeMap::new();
        loop {
            let next = due.keys().next().map(|(at, _, _)| *at);
            tokio::select! {
                change = pods.recv() => {
                    if let Change::Put { new, .. } = change
                        && self.nodes.contains_key(meta::text(&new, &["spec", "nodeName"]))
                        && let Some(after) = self.wait(&new)
                    {
                        if after.is_zero() {
                            self.act(&new);
                        } else {
                            let key = (meta::namespace(&new).to_owned(), meta::name(&new).to_owned());
                            due.insert((Instant::now() + after, key.0, key.1), meta::uid(&new).to_owned());
                        }
                    }
                }
                () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                    while let Some(entry) = due.first_entry() {
                        if entry.key().0 > Instant::now() {
                            break;
                        }
                        let ((_, namespace, name), uid) = entry.remove_entry();
                        if let Ok(pod) = self.api.get(kind, &namespace, &name)
                            && meta::uid(&pod) == uid
                        {
                            self.act(&pod);
                        }
                    }
                }
            }
        }
    }

    /// How long until something is to be done for a pod; `None` if nothing is.
    fn wait(&self, pod: &Value) -> Option<Duration> {
        if meta::is_deleting(pod) {
            return Some(Duration::ZERO);
        }
        let phase = meta::text(pod, &["status", "phase"]);
        ["", "Pending"].contains(&phase).then_some(self.behaviour.delay)
    }

    fn act(&mut self, pod: &Object) {
        let Some(kind) = served("pods") else { return };
        let (namespace, name) = (meta::namespace(pod), meta::name(pod));
        if meta::is_deleting(pod) {
            let options = DeleteOptions {
                grace: Some(0),
                preconditions: Preconditions {
                    uid: Some(meta::uid(pod).to_owned()),
                    resource_version: None,
                },
                ..DeleteOptions::default()
            };
            let _gone = self.api.delete(kind, namespace, name, &options).is_err();
            return;
        }
        if self.wait(pod).is_none() {
            return;
        }
        let node = meta::text(pod, &["spec", "nodeName"]);
        let Some(number) = self.nodes.get(node).copied() else {
            return;
        };
        let given = self.given.entry(node.to_owned()).or_default();
        *given += 1;
        let place = 1 + u16::try_from(*given % 253).unwrap_or(0);
        let (hosts, pods) = addresses(number, place, self.behaviour.families);
        let uid = meta::uid(pod).to_owned();
        let _gone = self
            .api
            .edit(kind, namespace, name, Part::Status, |pod| {
                if meta::uid(pod) == uid {
                    run(pod, &hosts, &pods);
                }
            })
            .is_err();
    }
}

/// Addresses of a node, and of the pod at that place on it.
fn addresses(node: u16, place: u16, families: Families) -> (Vec<IpAddr>, Vec<IpAddr>) {
    let ((host, range), (second, second_range)) = (simulated(node), simulated_6(node));
    let at = |range: IpAddr| match range {
        IpAddr::V4(base) => IpAddr::from(Ipv4Addr::from(u32::from(base) + u32::from(place))),
        IpAddr::V6(base) => IpAddr::from(Ipv6Addr::from(u128::from(base) + u128::from(place))),
    };
    let (mut hosts, mut pods) = (vec![host.into()], vec![at(range.base)]);
    if families.is_dual() {
        hosts.push(second.into());
        pods.push(at(second_range.base));
    }
    (hosts, pods)
}

/// What the status of a pod says that runs.
fn run(pod: &mut Value, hosts: &[IpAddr], addresses: &[IpAddr]) {
    let now = time::seconds(SystemTime::now());
    let class = qos::of(pod).to_string();
    let of = |key: &str, pod: &Value| {
        let list = meta::list(pod, &["spec", key]).iter();
        let shown = list.map(|one| {
            let done = key == "initContainers" && !requests::is_sidecar(one);
            let state = if done {
                json!({"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}})
            } else {
                json!({"running": {"startedAt": now}})
            };
            json!({
                "name": one["name"], "image": one["image"], "imageID": "", "ready": true, "restartCount": 0,
                "started": !done, "state": state, "lastState": {}, "containerID": format!("simulated://{}", meta::uid(pod)),
            })
        });
        shown.collect::<Vec<Value>>()
    };
    let (inits, apps) = (of("initContainers", pod), of("containers", pod));
    if !inits.is_empty() {
        meta::set(pod, &["status", "initContainerStatuses"], inits);
    }
    meta::set(pod, &["status", "containerStatuses"], apps);
    for (key, value) in [
        ("phase", json!("Running")),
        ("qosClass", json!(class)),
        ("hostIP", json!(hosts.first())),
        ("hostIPs", listed(hosts)),
        ("podIP", json!(addresses.first())),
        ("podIPs", listed(addresses)),
        ("startTime", json!(now)),
    ] {
        meta::set(pod, &["status", key], value);
    }
    for kind in [
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
        "PodScheduled",
    ] {
        meta::set_condition(pod, kind, "True", "", "", &now);
    }
}
