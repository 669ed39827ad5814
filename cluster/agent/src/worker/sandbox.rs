//! The sandbox: what the containers of a pod share, and the process that keeps it.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use objects::meta;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Event, SANDBOX_AGAIN, State, Worker, random_id};
use crate::context::Context;
use crate::engine::{self, Begin};
use crate::env::Sources;
use crate::namespace::{IPC, NET, Namespace, Shared, UTS};
use crate::network::{Bandwidth, HostPort, PodNetwork};
use crate::oci::{self, Pids, Request};
use crate::resolv::Resolver;
use crate::security::Security;
use crate::volume::Volumes;
use crate::volume::payload::Material;
use crate::{causes, etc, network, next, resource};

/// Where the sandbox is, and what there is of it.
#[derive(Debug)]
pub(super) enum Sandbox {
    None,
    Making,
    Ready(Arc<Made>),
    Dead(Arc<Made>),
    Removing,
}

/// What there is of a sandbox.
#[derive(Debug)]
pub(crate) struct Made {
    pub(super) shared: Shared,
    /// `None` on the node's own network.
    pub(super) network: Option<PodNetwork>,
    pub(super) address: Ipv4Addr,
    pub(super) volumes: Mutex<Volumes>,
    pub(super) pause: Mutex<Option<engine::Container>>,
    /// The PID namespace that all share.
    pub(super) pids: Option<String>,
}

/// What is written down of a sandbox, for an agent that comes later.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) address: Ipv4Addr,
    pub(super) host_network: bool,
    pub(super) shares_pids: bool,
    pub(super) pod: Value,
}

impl Sandbox {
    pub(super) fn state(&self) -> next::Sandbox {
        match self {
            Self::None => next::Sandbox::None,
            Self::Making => next::Sandbox::Making,
            Self::Ready(_) => next::Sandbox::Ready,
            Self::Dead(_) => next::Sandbox::Dead,
            Self::Removing => next::Sandbox::Removing,
        }
    }

    pub(super) fn made(&self) -> Option<&Arc<Made>> {
        match self {
            Self::Ready(made) | Self::Dead(made) => Some(made),
            _ => None,
        }
    }
}

impl Made {
    pub(super) fn pause(&self) -> Option<engine::Container> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Which namespaces a pod has of its own.
fn kinds(pod: &Value) -> u32 {
    let host = |key: &str| meta::flag(pod, &["spec", key]);
    let mut kinds = UTS;
    if !host("hostNetwork") {
        kinds |= NET;
    }
    if !host("hostIPC") {
        kinds |= IPC;
    }
    kinds
}

impl Worker {
    pub(super) fn make_sandbox(&mut self) {
        self.sandbox = Sandbox::Making;
        if self.started_at.is_none() {
            self.started_at = Some(std::time::SystemTime::now());
        }
        let (context, pod, directory) = (self.context.clone(), self.pod.clone(), self.directory.clone());
        let tell = self.tell.clone();
        let record = self.identity();
        tokio::spawn(async move {
            let _under_way = context.under_way.clone().read_owned().await;
            let made = make(&context, &pod, &directory).await;
            let (made, begin_pause) = match made {
                Ok(made) => {
                    write_down(&directory, &made.0, record);
                    made
                }
                Err(why) => {
                    let _gone = tell.send(Event::Sandbox(Err(why))).is_err();
                    return;
                }
            };
            if made.pids.is_none() && begin_pause {
                // Nothing waits for the process itself: the namespaces are there already.
                let shared = made.shared.clone();
                let pause = pause(&context, &pod, &directory, &shared);
                let told = tell.send(Event::Sandbox(Ok(Box::new(made)))).is_ok();
                let begun = pause.await.map(Box::new);
                let _gone = !told || tell.send(Event::Pause(begun)).is_err();
            } else {
                let _gone = tell.send(Event::Sandbox(Ok(Box::new(made)))).is_err();
            }
        });
    }

    pub(super) fn sandbox_made(&mut self, made: Result<Box<Made>, String>) {
        match made {
            Ok(made) => {
                let made = Arc::new(*made);
                if let Some(pause) = made.pause() {
                    self.watch_pause(&pause);
                }
                self.sandbox = Sandbox::Ready(made);
            }
            Err(why) => {
                let reason = if why.starts_with("MountVolume") {
                    "FailedMount"
                } else {
                    "FailedCreatePodSandBox"
                };
                self.context.tell(&self.pod, "Warning", reason, &why);
                self.sandbox = Sandbox::None;
                self.sandbox_not_before = self.now() + SANDBOX_AGAIN;
            }
        }
    }

    pub(super) fn pause_began(&mut self, begun: Result<Box<engine::Container>, String>) {
        match (begun, self.sandbox.made()) {
            (Ok(pause), Some(made)) => {
                made.pause
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .replace(*pause.clone());
                self.watch_pause(&pause);
            }
            (Ok(pause), None) => {
                let (context, pod) = (self.context.clone(), self.pod.clone());
                self.watchers.push(tokio::spawn(async move {
                    pause.process.kill();
                    let _ended = pause.process.wait().await;
                    let _left = context.engine.delete(&pause).await.is_err();
                    let (tree, group) = (context.tree.clone(), group(&context, &pod));
                    let taken = tokio::task::spawn_blocking(move || tree.remove(&group, Duration::from_secs(1)));
                    let _left = taken.await.is_err();
                }));
            }
            (Err(why), Some(_)) => {
                self.context.tell(&self.pod, "Warning", "FailedCreatePodSandBox", &why);
                self.pause_ended();
            }
            (Err(_), None) => {}
        }
    }

    pub(super) fn watch_pause(&mut self, pause: &engine::Container) {
        let (process, tell) = (pause.process.clone(), self.tell.clone());
        tokio::spawn(async move {
            let _ended = process.wait().await;
            let _gone = tell.send(Event::PauseEnded).is_err();
        });
    }

    pub(super) fn pause_ended(&mut self) {
        if let Sandbox::Ready(made) = &self.sandbox {
            let made = made.clone();
            if self.ending.is_none() {
                self.context.tell(
                    &self.pod,
                    "Normal",
                    "SandboxChanged",
                    "Pod sandbox changed, it will be killed and re-created.",
                );
            }
            self.sandbox = Sandbox::Dead(made);
            self.sandbox_not_before = self.now();
            // What ran in the old sandbox must begin in the new one at once.
            for one in &mut self.containers {
                if matches!(one.state, State::Waiting { .. }) {
                    one.not_before = Duration::ZERO;
                }
            }
        }
    }

    pub(super) fn remove_sandbox(&mut self) {
        let made = match std::mem::replace(&mut self.sandbox, Sandbox::Removing) {
            Sandbox::Ready(made) | Sandbox::Dead(made) => made,
            other => {
                self.sandbox = other;
                return;
            }
        };
        let (context, pod, tell, directory) = (
            self.context.clone(),
            self.pod.clone(),
            self.tell.clone(),
            self.directory.clone(),
        );
        let watchers = std::mem::take(&mut self.watchers);
        // Volumes live as long as the pod: a sandbox that is made again finds them.
        let last = self.ending.is_some() || self.view().is_over();
        tokio::spawn(async move {
            for watcher in watchers {
                let _late = tokio::time::timeout(Duration::from_secs(10), watcher).await.is_err();
            }
            remove(&context, &pod, &made, &directory, last).await;
            let _gone = tell.send(Event::SandboxGone).is_err();
        });
    }

    /// Brings volumes up to date, and lets what waits for something try again.
    pub(super) fn refresh(&mut self) {
        self.sandbox_not_before = Duration::ZERO;
        for one in &mut self.containers {
            if matches!(&one.state, State::Waiting { reason, .. } if reason == "CreateContainerConfigError") {
                one.not_before = Duration::ZERO;
            }
        }
        if self.context.faults.has("volume-not-updated") {
            return;
        }
        let Some(made) = self.sandbox.made().cloned() else {
            return;
        };
        let (context, pod) = (self.context.clone(), self.pod.clone());
        tokio::spawn(async move {
            let tokens = super::start::tokens(&context, &pod);
            let (host, address) = (
                context.addresses(context.network.address()),
                context.addresses(made.address),
            );
            let refreshed = {
                let material = Material {
                    pod: &pod,
                    facts: context.facts(&host, &address),
                    sources: &*context as &dyn Sources,
                    tokens: &tokens,
                };
                made.volumes
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .refresh(&material)
            };
            if let Err(error) = refreshed {
                context.tell(&pod, "Warning", "FailedMount", &error.to_string());
            }
        });
    }
}

fn write_down(directory: &Path, made: &Made, pod: Value) {
    let record = Record {
        address: made.address,
        host_network: made.network.is_none(),
        shares_pids: made.pids.is_some(),
        pod,
    };
    let text = serde_json::to_vec(&record).unwrap_or_default();
    // Without it an agent that comes later makes another.
    let _lost = std::fs::write(directory.join("sandbox.json"), text).is_err();
}

/// Makes everything but the process: namespaces and their network beside volumes, groups and files.
async fn make(context: &Arc<Context>, pod: &Value, directory: &Path) -> Result<(Made, bool), String> {
    let host_network = meta::flag(pod, &["spec", "hostNetwork"]);
    let network = if host_network {
        None
    } else {
        Some(context.network.reserve().map_err(|error| error.to_string())?)
    };
    let address = network.as_ref().map_or(context.network.address(), |own| own.address);
    let runtime = tokio::runtime::Handle::current();
    let kinds = kinds(pod);
    let namespaces = async {
        let inside = move || {
            let _entered = runtime.enter();
            (kinds & NET != 0).then(network::connect).transpose()
        };
        let name = etc::uts_name(pod, &context.config.name, &context.faults);
        let (mut shared, links) = Shared::create(kinds, name, inside)
            .await
            .map_err(|error| format!("failed to make namespaces: {error}"))?;
        match (&network, &shared.net, links) {
            (Some(own), Some(there), Some(links)) => {
                let attached = context.network.attach(own, there, &links).await;
                attached.map_err(|error| causes::chain(&error))?;
                let bandwidth = Bandwidth::of(pod, &context.faults)?;
                let limited = context.network.limit(own, &links, bandwidth).await;
                limited.map_err(|error| causes::chain(&error))?;
                let ports = HostPort::of(pod, &context.faults);
                let published = context.network.publish(own, ports).await;
                published.map_err(|error| causes::chain(&error))?;
            }
            _ => shared.net = Some(context.network.namespace().clone()),
        }
        Ok::<Shared, String>(shared)
    };
    let files = {
        let (context, pod, directory) = (context.clone(), pod.clone(), directory.to_path_buf());
        let work = tokio::task::spawn_blocking(move || prepare(&context, &pod, &directory, address));
        async move { work.await.map_err(|error| error.to_string())? }
    };
    let (shared, volumes) = tokio::join!(namespaces, files);
    let failed = |why: String| {
        let (context, network) = (context.clone(), network.clone());
        async move {
            if let Some(own) = network {
                release(&context, pod, &own).await;
            }
            Err(why)
        }
    };
    let (shared, volumes) = match (shared, volumes) {
        (Ok(shared), Ok(volumes)) => (shared, volumes),
        (Err(why), Ok(mut volumes)) => {
            volumes.remove();
            return failed(why).await;
        }
        (_, Err(why)) => return failed(why).await,
    };
    let mut made = Made {
        shared,
        network,
        address,
        volumes: Mutex::new(volumes),
        pause: Mutex::new(None),
        pids: None,
    };
    let shares = meta::flag(pod, &["spec", "shareProcessNamespace"]) && !context.faults.has("share-pid-ignored");
    if shares {
        match pause(context, pod, directory, &made.shared).await {
            Ok(pause) => {
                made.pids = Some(format!("/proc/{}/ns/pid", pause.process.pid));
                made.pause = Mutex::new(Some(pause));
            }
            Err(why) => {
                remove(context, pod, &made, directory, false).await;
                return Err(why);
            }
        }
    }
    Ok((made, !shares))
}

/// The group of a pod.
pub(super) fn group(context: &Context, pod: &Value) -> PathBuf {
    if context.faults.has("qos-flat") {
        return Path::new("kubepods").join(format!("pod{}", meta::uid(pod)));
    }
    resource::group(pod)
}

fn prepare(context: &Context, pod: &Value, directory: &Path, address: Ipv4Addr) -> Result<Volumes, String> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: std::io::Error| format!("failed to make {what}: {error}")
    };
    for name in ["etc", "volumes", "containers", "shm"] {
        std::fs::create_dir_all(directory.join(name)).map_err(failed("the pod's directory"))?;
    }
    let etc = directory.join("etc");
    let machine = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let resolver = Resolver::of(pod, &machine, &context.faults);
    for message in &resolver.omitted {
        context.tell(pod, "Warning", "DNSConfigForming", message);
    }
    let own = context.network.addresses(address);
    let files = [
        ("hosts", etc::hosts(pod, &own, &context.config.name, &context.faults)),
        (
            "hostname",
            format!("{}\n", etc::uts_name(pod, &context.config.name, &context.faults)),
        ),
        ("resolv.conf", resolver.to_string()),
    ];
    for (name, text) in files {
        std::fs::write(etc.join(name), text).map_err(failed(name))?;
    }
    let limits = resource::of_pod(pod);
    if context.tree.is_there() {
        context
            .tree
            .make(&group(context, pod), limits, false)
            .map_err(|error| causes::chain(&error))?;
    }
    let tokens = super::start::tokens(context, pod);
    let (host, address) = (context.addresses(context.network.address()), context.addresses(address));
    let material = Material {
        pod,
        facts: context.facts(&host, &address),
        sources: context,
        tokens: &tokens,
    };
    let mut volumes = Volumes::make(&directory.join("volumes"), &context.view(), &material, &context.faults)
        .map_err(|error| error.to_string())?;
    let shm = directory.join("shm");
    if !meta::flag(pod, &["spec", "hostIPC"]) {
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        if let Err(error) = mount("shm", &shm, "tmpfs", flags, Some(c"mode=1777,size=65536k")) {
            volumes.remove();
            return Err(failed("shared memory")(error.into()));
        }
    }
    Ok(volumes)
}

/// Begins the process that keeps the sandbox: the probe, asleep, which as PID 1 also takes orphans' exit codes.
async fn pause(context: &Context, pod: &Value, directory: &Path, shared: &Shared) -> Result<engine::Container, String> {
    let id = random_id();
    let image = context
        .images
        .get("plimsoll/probe")
        .await
        .map_err(|error| error.to_string())?;
    let bundle = directory.join("sandbox");
    let group = group(context, pod).join(&id);
    let security = Security::of(&Value::Null, &Value::Null, &context.bounding)?;
    let sysctls = meta::list(pod, &["spec", "securityContext", "sysctls"]).iter();
    let sysctls = sysctls.map(|one| {
        let text = |key: &str| meta::text(one, &[key]).to_owned();
        (text("name"), text("value"))
    });
    let (sleep, env) = (["sleep".to_owned()], [("PATH".to_owned(), "/bin".to_owned())]);
    let mut config = oci::config(Request {
        args: &sleep,
        env: &env,
        cwd: "/",
        tty: false,
        security: &Security {
            read_only_root: true,
            capabilities: Vec::new(),
            ..security
        },
        shared,
        pids: Pids::Own,
        cgroup: &context.tree.runtime_path(&group),
        resources: json!({"cpu": {"shares": 2}}),
        oom_score: context.oom_score(-998),
        mounts: Vec::new(),
        sysctls: sysctls.collect(),
    });
    // Nobody looks around in there: what takes time to mount is left out.
    if let Some(mounts) = config["mounts"].as_array_mut() {
        mounts.retain(|mount| mount["destination"] == "/proc" || mount["destination"] == "/dev");
    }
    config["root"]["path"] = json!(image.root);
    std::fs::create_dir_all(&bundle).map_err(|error| format!("failed to make the sandbox' bundle: {error}"))?;
    let begin = Begin {
        id: &id,
        directory: &bundle,
        config: &config,
        log: &bundle.join("log"),
        group: &group,
        stdin: false,
        tty: false,
    };
    context
        .engine
        .begin(begin)
        .await
        .map_err(|error| format!("failed to start sandbox: {}", causes::chain(&error)))
}

/// Takes the network of a sandbox away.
async fn release(context: &Context, pod: &Value, own: &PodNetwork) {
    if !context.faults.has("host-port-left-behind")
        && let Err(error) = context.network.unpublish(own).await
    {
        context.tell(pod, "Warning", "FailedKillPod", &causes::chain(&error));
    }
    context.network.remove(own).await;
}

/// Takes a sandbox away: its process, its network, its mounts, its group.
async fn remove(context: &Arc<Context>, pod: &Value, made: &Made, directory: &Path, last: bool) {
    if let Some(pause) = made.pause() {
        pause.process.kill();
        let _ended = pause.process.wait().await;
        let _left = context.engine.delete(&pause).await.is_err();
    }
    if let Some(own) = &made.network {
        release(context, pod, own).await;
    }
    let volumes = std::mem::take(&mut *made.volumes.lock().unwrap_or_else(PoisonError::into_inner));
    let (tree, group, directory) = (context.tree.clone(), group(context, pod), directory.to_path_buf());
    let taken = tokio::task::spawn_blocking(move || {
        let mut volumes = volumes;
        if last {
            volumes.remove();
        }
        let _not_there = unmount(directory.join("shm"), UnmountFlags::DETACH).is_err();
        let _not_there = std::fs::remove_file(directory.join("sandbox.json")).is_err();
        tree.remove(&group, Duration::from_secs(5))
    });
    if let Ok(left) = taken.await
        && !left.is_empty()
    {
        context.tell(
            pod,
            "Warning",
            "FailedKillPod",
            &format!("groups are left: {}", left.join(", ")),
        );
    }
}

/// The namespaces of a sandbox whose process goes on.
pub(super) fn namespaces_of(pid: i32, host_network: bool, host_ipc: bool, node: &Namespace) -> std::io::Result<Shared> {
    Ok(Shared {
        net: Some(if host_network {
            node.clone()
        } else {
            Namespace::of(pid, "net")?
        }),
        uts: Some(Namespace::of(pid, "uts")?),
        ipc: if host_ipc {
            None
        } else {
            Some(Namespace::of(pid, "ipc")?)
        },
    })
}
