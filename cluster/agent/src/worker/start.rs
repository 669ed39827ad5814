//! Beginning a container: image, environment, mounts, configuration, runtime, start hook.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use objects::meta;
use serde_json::{Value, json};

use super::sandbox::{Made, group};
use super::{CONFIG_AGAIN, Event, Running, State, Worker, random_id};
use crate::context::{Context, served};
use crate::engine::{self, Begin};
use crate::image_store::{Prepared, PullError};
use crate::oci::{self, Pids, Request};
use crate::probe::{self, Handler, Which};
use crate::security::Security;
use crate::volume::payload::{self, Asked};
use crate::{env, etc, resource};

/// Why a container did not begin.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There is no image; the reason is `ErrImagePull` and its like.
    Image { reason: &'static str, message: String },
    /// What it needs is not there, or is not allowed.
    Config(String),
    /// The runtime did not take it.
    Run(String),
}

/// The tokens that the volumes of a pod ask for, of its service account. Each is kept for most of its life.
pub(super) fn tokens(context: &Context, pod: &Value) -> BTreeMap<Asked, String> {
    let account = meta::text(pod, &["spec", "serviceAccountName"]);
    let account = if account.is_empty() { "default" } else { account };
    let uid = meta::uid(pod);
    let volumes = meta::list(pod, &["spec", "volumes"]).iter();
    let asked: Vec<Asked> = volumes.flat_map(payload::tokens).collect();
    let fetch = |asked: Asked| {
        if let Some(token) = context.token(uid, &asked) {
            return Some((asked, token));
        }
        let audiences: Vec<&str> = Some(asked.audience.as_str())
            .filter(|name| !name.is_empty())
            .into_iter()
            .collect();
        let request = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {
                "audiences": audiences, "expirationSeconds": asked.seconds,
                "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": meta::name(pod), "uid": uid},
            },
        });
        let answer = context.api.token(meta::namespace(pod), account, request).ok()?;
        let token = meta::text(&answer, &["status", "token"]).to_owned();
        context.keep_token(uid, &asked, &token);
        Some((asked, token))
    };
    asked.into_iter().filter_map(fetch).collect()
}

impl Worker {
    pub(super) fn start(&mut self, at: usize) {
        let Some(made) = self.sandbox.made().cloned() else {
            return;
        };
        let Some(spec) = self.spec(at).cloned() else { return };
        let one = &mut self.containers[at];
        if let State::Exited(exit) = &one.state {
            one.last = Some(exit.clone());
        }
        one.state = State::Starting;
        one.attempt += 1;
        let attempt = one.attempt;
        let (context, pod, tell) = (self.context.clone(), self.pod.clone(), self.tell.clone());
        let directory = self
            .directory
            .join("containers")
            .join(&one.name)
            .join(attempt.to_string());
        tokio::spawn(async move {
            context.go_on().await;
            let under_way = context.under_way.clone().read_owned().await;
            let begun = begin(&context, &pod, &spec, &made, &directory, attempt).await;
            let (container, image) = match begun {
                Ok(begun) => begun,
                Err(failure) => {
                    discard(&directory).await;
                    if let Failure::Run(message) = &failure {
                        super::exit::Exit::not_begun(message.clone()).write_down(&directory);
                    }
                    let _gone = tell.send(Event::Started(at, attempt, Err(failure))).is_err();
                    return;
                }
            };
            let hook = spec.pointer("/lifecycle/postStart").cloned();
            let hook = hook.filter(|_| !context.faults.has("post-start-skipped"));
            let told = Event::Started(at, attempt, Ok(Box::new(container.clone())));
            let _gone = tell.send(told).is_err();
            drop(under_way);
            let name = meta::text(&spec, &["name"]);
            context.tell(&pod, "Normal", "Started", &format!("Started container {name}"));
            let hooked = match hook {
                None => Ok(()),
                Some(hook) => {
                    let handler = Handler::of(&hook, &spec);
                    let grace = meta::number(&pod, &["spec", "terminationGracePeriodSeconds"]).unwrap_or(30);
                    let longest = Duration::from_secs(u64::try_from(grace).unwrap_or(30).max(60));
                    probe::hook(&handler, longest, &context, &container, made.address).await
                }
            };
            drop(image);
            let _gone = tell.send(Event::Hooked(at, attempt, hooked)).is_err();
        });
    }

    pub(super) fn began(&mut self, at: usize, attempt: u32, result: Result<Box<engine::Container>, Failure>) {
        let now = self.now();
        let uid = meta::uid(&self.pod).to_owned();
        let spec = self.spec(at).cloned().unwrap_or(Value::Null);
        let log = self.log_of(at, attempt);
        let previous = self.containers[at]
            .last
            .is_some()
            .then(|| self.log_of(at, attempt.saturating_sub(1)));
        let one = &mut self.containers[at];
        if one.attempt != attempt {
            return;
        }
        let (pod, name) = (&self.pod, one.name.clone());
        match result {
            Ok(container) => {
                let has_startup =
                    spec.get(Which::Startup.key()).is_some() && !self.context.faults.has("startup-ignored");
                let has_readiness =
                    spec.get(Which::Readiness.key()).is_some() && !self.context.faults.has("readiness-always-true");
                let stdin_once = meta::flag(&spec, &["stdinOnce"]);
                self.context.show(&uid, &name, |seen| {
                    seen.running = Some(*container.clone());
                    seen.log = Some(log);
                    seen.previous = previous;
                    seen.stdin_once = stdin_once;
                });
                one.pull_backoff = Default::default();
                let image = meta::text(&spec, &["image"]).to_owned();
                one.image_id = self.context.images.id_of(&image);
                one.state = State::Running(Box::new(Running {
                    container: *container,
                    hooked: false,
                    startup: !has_startup,
                    ready: !has_readiness,
                    unhealthy: None,
                    stopping: false,
                    probes: Vec::new(),
                }));
                self.watch(at, attempt);
            }
            Err(Failure::Image { reason, message }) => {
                one.attempt -= 1;
                self.context
                    .tell(pod, "Warning", "Failed", &format!("Failed to pull image: {message}"));
                self.context.tell(pod, "Warning", "Failed", &format!("Error: {reason}"));
                // The first wait is not skipped: an image does not appear at once.
                let mut begin = one.pull_backoff.after(now);
                if begin == now {
                    begin = one.pull_backoff.after(now);
                }
                one.not_before = begin;
                one.state = State::Waiting {
                    reason: reason.into(),
                    message,
                };
            }
            Err(Failure::Config(message)) => {
                one.attempt -= 1;
                self.context
                    .tell(pod, "Warning", "Failed", &format!("Error: {message}"));
                one.not_before = now + CONFIG_AGAIN;
                one.state = State::Waiting {
                    reason: "CreateContainerConfigError".into(),
                    message,
                };
            }
            Err(Failure::Run(message)) => {
                self.context
                    .tell(pod, "Warning", "Failed", &format!("Error: {message}"));
                let exit = super::exit::Exit::not_begun(message);
                self.exited(at, attempt, exit);
            }
        }
        let waiting = match &self.containers[at].state {
            State::Waiting { reason, .. } => reason.clone(),
            _ => String::new(),
        };
        self.context.show(&uid, &name, |seen| seen.waiting = waiting);
    }

    pub(super) fn hooked(&mut self, at: usize, attempt: u32, result: Result<(), String>) {
        let one = &mut self.containers[at];
        let State::Running(running) = &mut one.state else {
            return;
        };
        if one.attempt != attempt {
            return;
        }
        match result {
            Ok(()) => {
                running.hooked = true;
                one.was_started |= running.started();
                self.begin_probes(at);
            }
            Err(why) => {
                running.unhealthy = Some(None);
                let name = one.name.clone();
                self.context.tell(
                    &self.pod,
                    "Warning",
                    "FailedPostStartHook",
                    &format!("PostStartHook failed: {why}"),
                );
                let text = format!("FailedPostStartHook: stopping container {name}");
                self.context.tell(&self.pod, "Normal", "Killing", &text);
            }
        }
    }

    pub(super) fn log_of(&self, at: usize, attempt: u32) -> PathBuf {
        let file = format!("{}.log", attempt.saturating_sub(1));
        self.context
            .log_directory(&self.pod)
            .join(&self.containers[at].name)
            .join(file)
    }
}

/// Takes what was made for a container that did not begin, or has ended.
pub(super) async fn discard(directory: &Path) {
    let directory = directory.to_path_buf();
    let taken = tokio::task::spawn_blocking(move || {
        let _not_there = rustix::mount::unmount(directory.join("rootfs"), rustix::mount::UnmountFlags::DETACH).is_err();
        for name in ["rootfs", "upper", "work"] {
            let _left = std::fs::remove_dir_all(directory.join(name)).is_err();
        }
    });
    let _done = taken.await.is_err();
}

async fn image(context: &Context, pod: &Value, spec: &Value) -> Result<Arc<Prepared>, Failure> {
    let name = meta::text(spec, &["image"]);
    let present = context.images.is_present(name);
    if !present && meta::text(spec, &["imagePullPolicy"]) == "Never" {
        return Err(Failure::Image {
            reason: "ErrImageNeverPull",
            message: format!("Container image \"{name}\" is not present with pull policy of Never"),
        });
    }
    if !present {
        context.tell(pod, "Normal", "Pulling", &format!("Pulling image \"{name}\""));
    }
    match context.images.get(name).await {
        Ok(image) => {
            let text = if present {
                format!("Container image \"{name}\" already present on machine")
            } else {
                format!("Successfully pulled image \"{name}\"")
            };
            context.tell(pod, "Normal", "Pulled", &text);
            Ok(image)
        }
        Err(error) => Err(Failure::Image {
            reason: match error {
                PullError::Unknown(_) => "ErrImagePull",
                PullError::Name(_) => "InvalidImageName",
            },
            message: error.to_string(),
        }),
    }
}

/// What everybody gets in the environment: the services of the namespace, and the API's.
fn given(context: &Context, pod: &Value) -> Vec<(String, String)> {
    let mut all = vec![(
        "HOSTNAME".to_owned(),
        etc::uts_name(pod, &context.config.name, &context.faults),
    )];
    let Some(kind) = served("services") else { return all };
    let links = meta::at(pod, &["spec", "enableServiceLinks"]).and_then(Value::as_bool) != Some(false);
    let mut services = Vec::new();
    services.extend(context.api.get(kind, "default", "kubernetes"));
    if links && let Ok(list) = context.api.list(kind, Some(meta::namespace(pod)), &Default::default()) {
        let own = list.items.into_iter().filter(|one| meta::name(one) != "kubernetes");
        services.extend(own);
    }
    for service in services {
        let address = meta::text(&service, &["spec", "clusterIP"]);
        let ports = meta::list(&service, &["spec", "ports"]);
        let (false, Some(first)) = (address.is_empty() || address == "None", ports.first()) else {
            continue;
        };
        let prefix = meta::name(&service).to_ascii_uppercase().replace(['-', '.'], "_");
        let number = |port: &Value| meta::number(port, &["port"]).unwrap_or(0);
        all.push((format!("{prefix}_SERVICE_HOST"), address.to_owned()));
        all.push((format!("{prefix}_SERVICE_PORT"), number(first).to_string()));
        for port in ports.iter().filter(|port| !meta::text(port, &["name"]).is_empty()) {
            let name = meta::text(port, &["name"]).to_ascii_uppercase().replace('-', "_");
            all.push((format!("{prefix}_SERVICE_PORT_{name}"), number(port).to_string()));
        }
    }
    all
}

async fn begin(
    context: &Context,
    pod: &Value,
    spec: &Value,
    made: &Made,
    directory: &Path,
    attempt: u32,
) -> Result<(engine::Container, Arc<Prepared>), Failure> {
    let faults = &context.faults;
    let image = image(context, pod, spec).await?;
    let mut security = Security::of(pod, spec, &context.bounding).map_err(Failure::Config)?;
    if faults.has("run-as-root") {
        (security.user, security.group) = (0, 0);
    }
    if faults.has("capabilities-kept") {
        let defaults = image::CAPABILITIES.iter().map(|name| (*name).to_owned());
        security
            .capabilities
            .extend(defaults.filter(|name| context.bounding.contains(name)));
        security.capabilities.sort();
        security.capabilities.dedup();
    }
    security.no_new_privileges &= !faults.has("privilege-escalation-allowed");
    security.read_only_root &= !faults.has("root-writable");

    let (host, address) = (
        context.addresses(context.network.address()),
        context.addresses(made.address),
    );
    let facts = context.facts(&host, &address);
    let mut bare = spec.clone();
    if faults.has("env-dropped") {
        meta::remove(&mut bare, &["env"]);
        meta::remove(&mut bare, &["envFrom"]);
    }
    if faults.has("args-dropped") {
        meta::remove(&mut bare, &["args"]);
    }
    let variables = env::variables(pod, &bare, &image.env, &given(context, pod), &facts, context)
        .map_err(|missing| Failure::Config(missing.0))?;
    let args = env::command(&bare, &[], &image.cmd, &variables);
    let (mut mounts, held) = made
        .volumes
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .mounts(spec, &variables)
        .map_err(Failure::Config)?;
    let around = |what: &str| {
        let what = what.to_owned();
        move |error: std::io::Error| Failure::Run(format!("failed to {what}: {error}"))
    };

    let pod_directory = context.pod_directory(meta::uid(pod));
    let files = [
        ("etc/hosts", "/etc/hosts"),
        ("etc/hostname", "/etc/hostname"),
        ("etc/resolv.conf", "/etc/resolv.conf"),
    ];
    let taken = |mounts: &[Value], path: &str| mounts.iter().any(|mount| mount["destination"] == path);
    for (file, path) in files {
        if !taken(&mounts, path) {
            mounts.push(oci::own(&pod_directory.join(file), path));
        }
    }
    if !taken(&mounts, "/dev/shm") && !meta::flag(pod, &["spec", "hostIPC"]) {
        mounts.push(oci::own(&pod_directory.join("shm"), "/dev/shm"));
    }
    let message = meta::text(spec, &["terminationMessagePath"]);
    if !message.is_empty() && !taken(&mounts, message) {
        mounts.push(oci::own(&directory.join("termination-log"), message));
    }

    let id = random_id();
    let group = group(context, pod).join(&id);
    let mut resources = resource::of_container(spec, !faults.has("memory-limit-dropped"));
    if context.tree.limits_swap() {
        resource::without_swap(&mut resources);
    }
    if faults.has("cpu-limit-dropped") {
        meta::remove(&mut resources, &["cpu", "quota"]);
    }
    let capacity = context.config.amount("memory").unwrap_or(i64::MAX);
    let cwd = meta::text(spec, &["workingDir"]);
    let tty = meta::flag(spec, &["tty"]);
    let own_namespaces;
    let shared = if faults.has("sandbox-not-shared") {
        own_namespaces = super::adopt::unshared(pod).await.map_err(around("make namespaces"))?;
        &own_namespaces
    } else {
        &made.shared
    };
    let config = oci::config(Request {
        args: &args,
        env: &variables,
        cwd: if cwd.is_empty() { "/" } else { cwd },
        tty,
        security: &security,
        shared,
        pids: match &made.pids {
            _ if meta::flag(pod, &["spec", "hostPID"]) => Pids::Host,
            Some(path) => Pids::Of(path.clone()),
            None => Pids::Own,
        },
        cgroup: &context.tree.runtime_path(&group),
        resources,
        oom_score: context.oom_score(resource::oom_score(pod, spec, capacity)),
        mounts,
        sysctls: Vec::new(),
    });

    let name = meta::text(spec, &["name"]).to_owned();
    let log = context
        .log_directory(pod)
        .join(&name)
        .join(format!("{}.log", attempt - 1));
    let (bundle, lower, log_file) = (directory.to_path_buf(), image.root.clone(), log.clone());
    let made_root = tokio::task::spawn_blocking(move || root(&bundle, &lower, &log_file)).await;
    made_root.map_err(|error| Failure::Run(error.to_string()))??;
    context.tell(pod, "Normal", "Created", &format!("Created container: {name}"));
    let begin = Begin {
        id: &id,
        directory,
        config: &config,
        log: &log,
        group: &group,
        stdin: meta::flag(spec, &["stdin"]),
        tty,
    };
    let begun = context.engine.begin(begin).await;
    drop(held);
    match begun {
        Ok(container) => Ok((container, image)),
        Err(error) => Err(Failure::Run(format!("failed to create containerd task: {error}"))),
    }
}

/// The bundle's directory: an overlay over the image, and the file for last words.
fn root(bundle: &Path, lower: &Path, log: &Path) -> Result<(), Failure> {
    let around = |what: &'static str| move |error: std::io::Error| Failure::Run(format!("failed to {what}: {error}"));
    for name in ["rootfs", "upper", "work"] {
        let path = bundle.join(name);
        std::fs::create_dir_all(&path).map_err(around("make the bundle"))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).map_err(around("open the bundle"))?;
    }
    if let Some(parent) = log.parent() {
        std::fs::create_dir_all(parent).map_err(around("make the log's directory"))?;
    }
    let words = bundle.join("termination-log");
    std::fs::write(&words, "").map_err(around("make the file for last words"))?;
    std::fs::set_permissions(&words, std::fs::Permissions::from_mode(0o666))
        .map_err(around("open the file for last words"))?;
    image::rootfs::overlay(
        lower,
        &bundle.join("upper"),
        &bundle.join("work"),
        &bundle.join("rootfs"),
    )
    .map_err(|error| {
        let cause = std::error::Error::source(&error)
            .map(ToString::to_string)
            .unwrap_or_default();
        Failure::Run(format!("{error}: {cause}"))
    })
}
