//! Actions: what a step does before it looks.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use oci_runtime_client::{Exec, Outcome, Streams};
use record::Event;
use rustix::process::{Signal, pidfd_send_signal};
use serde_json::{Value, json};
use spec::requirement::NamespaceKind;
use spec::step::{Oci, OciVerb, Stop};
use spec::workload::{Bundle, RootfsKind};
use spec::{Action, Workload, patience};

use super::container::{Container, Init};
use super::host_process::HostProcess;
use super::{Stuck, World, config, family, rootfs};
use crate::guard::HOME;
use crate::{observe, reference, signal, wait};

const KEPT: usize = 16 << 10;

/// An action in words, for a step without a name.
pub(super) fn words(action: Option<&Action>) -> String {
    match action {
        None => "look".into(),
        Some(Action::Start(names)) => {
            format!(
                "start {}",
                names.iter().map(|n| n.value.as_str()).collect::<Vec<_>>().join(", ")
            )
        }
        Some(Action::Stop(stop)) => format!("stop {}", stop.on.value),
        Some(Action::Exec(exec)) => format!("exec in {}: {}", exec.on.value, exec.args.join(" ")),
        Some(Action::Signal(signal)) => format!("{} to {}", signal.signal, signal.on.value),
        Some(Action::Oci(oci)) => format!("{} {}", json!(oci.op).as_str().unwrap_or_default(), oci.on.value),
        Some(Action::HostProcess(process)) => format!("host process {}: {}", process.id.value, process.args.join(" ")),
        Some(Action::Script(_)) => "script".into(),
        Some(Action::Delete(delete)) => format!("delete {}", delete.on.value),
        Some(Action::Apply(apply)) => format!("apply {}", apply.on.value),
        Some(Action::Patch(patch)) => format!("patch {}", patch.on.value),
        Some(Action::Scale(scale)) => format!("scale {} to {}", scale.on.value, scale.replicas),
        Some(Action::Evict(evict)) => format!("evict {}", evict.on.value),
        Some(Action::Cordon(node)) => format!("cordon {}", node.value),
        Some(Action::Uncordon(node)) => format!("uncordon {}", node.value),
        Some(Action::Drain(drain)) => format!("drain {}", drain.node.value),
        Some(Action::Node(event)) => {
            let (word, node) = event.parts();
            format!("{word} node {}", node.value)
        }
        Some(Action::Mute(name)) => format!("mute {}", name.value),
        Some(Action::Unmute(name)) => format!("unmute {}", name.value),
        Some(Action::Http(http)) => format!("{} from {}", http.url, http.from.value),
        Some(Action::Dial(dial)) => format!("dial {} from {}", dial.address, dial.from.value),
        Some(Action::Resolve(resolve)) => format!("resolve {} from {}", resolve.name, resolve.from.value),
        Some(Action::Send(send)) => format!("send to {} from {}", send.address, send.from.value),
        Some(Action::Reach(reach)) => {
            let names = |list: &[spec::Spanned<String>]| {
                let names: Vec<&str> = list.iter().map(|name| name.value.as_str()).collect();
                names.join(", ")
            };
            format!("reach {} from {}", names(&reach.to), names(&reach.from))
        }
    }
}

/// Whether an action sends packets from where only the bundled cluster lets in: its nodes, and the wire between them.
pub(super) fn is_from_nodes(action: &Action) -> bool {
    let is_of_node = |from: &spec::Spanned<String>| from.value == "outside" || from.value.starts_with("node/");
    match action {
        Action::Http(http) => is_of_node(&http.from),
        Action::Dial(dial) => is_of_node(&dial.from),
        Action::Resolve(resolve) => is_of_node(&resolve.from),
        Action::Send(send) => is_of_node(&send.from),
        Action::Reach(reach) => reach.from.iter().any(is_of_node),
        _ => false,
    }
}

impl World<'_> {
    pub(super) fn act(&mut self, action: &Action) -> Result<(), Stuck> {
        let action = self.resolved(action)?;
        if self.cluster.is_some() {
            return self.act_on_cluster(&action);
        }
        match &action {
            Action::Start(names) => names.iter().try_for_each(|name| {
                self.create(&name.value, None, &[])?;
                self.start(&name.value, None)
            }),
            Action::Stop(stop) => self.stop(stop),
            Action::Exec(exec) => {
                let id = self.container_id(&exec.on.value);
                let mut env: Vec<String> = exec.env.iter().map(|(k, v)| format!("{k}={v}")).collect();
                env.push(format!("PLIMSOLL_NONCE={}", self.job.nonce));
                let pid_file = PathBuf::from(format!("{HOME}/tmp/exec.pid"));
                let outcome = self.client.exec(
                    &id,
                    &Exec {
                        args: &exec.args,
                        env,
                        cwd: exec.cwd.as_deref(),
                        user: exec.user.as_deref(),
                        detach: exec.detach.then_some(pid_file.as_path()),
                    },
                );
                self.did(outcome)
            }
            Action::Signal(wanted) => self.signal(&wanted.on.value, &wanted.signal),
            Action::Oci(oci) => self.oci(oci),
            Action::HostProcess(process) => {
                let tmp = PathBuf::from(format!("{HOME}/tmp"));
                let started = HostProcess::start(
                    &process.id.value,
                    &process.args,
                    &PathBuf::from(format!("{HOME}/image")),
                    &tmp,
                    &self.job.nonce,
                )
                .map_err(Stuck::Host)?;
                // The verb that ends at once has done so when the next step begins, however busy the machine is.
                if process.args.first().is_some_and(|verb| verb == "exit") {
                    wait::readable(&[started.pidfd()], Some(super::step_deadline(self.job)));
                }
                self.host_processes.insert(process.id.value.clone(), started);
                Ok(())
            }
            Action::Script(script) => {
                let argv = ["/bin/sh".into(), "-c".into(), script.run.clone().into()];
                let deadline = self.job.case.spec.timeouts.step.unwrap_or(patience::COMMAND).0;
                let outcome = oci_runtime_client::run(&argv, Streams::captured(), deadline);
                self.did(outcome)
            }
            Action::Delete(_)
            | Action::Apply(_)
            | Action::Patch(_)
            | Action::Scale(_)
            | Action::Evict(_)
            | Action::Cordon(_)
            | Action::Uncordon(_)
            | Action::Drain(_)
            | Action::Node(_)
            | Action::Mute(_)
            | Action::Unmute(_) => Err(Stuck::Host(format!(
                "`{}` is nothing that a runtime can do",
                action.key()
            ))),
            Action::Http(_) | Action::Dial(_) | Action::Resolve(_) | Action::Send(_) | Action::Reach(_) => {
                Err(Stuck::Host(format!("`{}` is done for each look", action.key())))
            }
        }
    }

    /// The action with its references resolved.
    pub(super) fn resolved(&mut self, action: &Action) -> Result<Action, Stuck> {
        let step = spec::Step {
            name: None,
            action: Some(action.clone()),
            sample: None,
            window: spec::Window::Once,
            requires: Vec::new(),
            expect: Vec::new(),
        };
        let mut value = serde_json::to_value(&step).map_err(|e| Stuck::Host(e.to_string()))?;
        self.resolve(&mut value)?;
        let step: spec::Step =
            serde_json::from_value(value).map_err(|e| Stuck::Host(format!("a reference does not fit: {e}")))?;
        step.action.ok_or_else(|| Stuck::Host("an action was lost".into()))
    }

    pub(super) fn resolve(&mut self, value: &mut Value) -> Result<(), Stuck> {
        let mut failure = None;
        let done = reference::resolve(value, &mut |name| match self.look_up(name) {
            Ok(value) => Some(value),
            Err(why) => {
                failure = Some(why);
                None
            }
        });
        done.map_err(|name| Stuck::Host(failure.unwrap_or_else(|| format!("nothing is known as `${{{name}}}`"))))
    }

    /// A path of a check with its references resolved, such as `${dir.data}/file`.
    pub(crate) fn path(&mut self, path: &str) -> Result<PathBuf, String> {
        let mut value = json!(path);
        match self.resolve(&mut value) {
            Ok(()) => Ok(PathBuf::from(value.as_str().unwrap_or_default())),
            Err(Stuck::Host(why) | Stuck::Subject(why)) => Err(why),
        }
    }

    pub(super) fn look_up(&mut self, name: &str) -> Result<Value, String> {
        let unknown = || format!("nothing is known as `${{{name}}}`");
        let (first, rest) = name.split_once('.').unwrap_or((name, ""));
        if let Some(each) = self.each.as_ref().filter(|_| first == "node") {
            return match rest {
                "name" => Ok(json!(each.name)),
                _ => match family::split(rest) {
                    ("ip", wanted) => {
                        let address = family::only(each.addresses.clone(), wanted).into_iter().next();
                        address.map(|address| json!(address)).ok_or_else(|| {
                            format!(
                                "node `{}` has no such address: it has {}",
                                each.name,
                                each.addresses.join(", ")
                            )
                        })
                    }
                    _ => Err(unknown()),
                },
            };
        }
        if let Some(cluster) = &mut self.cluster
            && first != "run"
        {
            return cluster.reference(first, rest).ok_or_else(unknown)?;
        }
        match first {
            // Fresh directories of the case: in memory, and on disk.
            "dir" => Ok(json!(fresh(&PathBuf::from(format!("{HOME}/dirs")), rest)?)),
            "disk" => Ok(json!(fresh(&self.home.work, rest)?)),
            "run" if rest == "nonce" => Ok(json!(self.job.nonce)),
            "image" if rest == "probe" => Ok(json!(format!("{HOME}/image/bin/probe"))),
            "host" => {
                let device = crate::requires::block_device(&self.home.work)
                    .ok_or("the run's directory is on no block device that can be throttled")?;
                match rest {
                    "blockDevice.major" => Ok(json!(device.0)),
                    "blockDevice.minor" => Ok(json!(device.1)),
                    _ => Err(unknown()),
                }
            }
            workload => {
                if let Some(process) = self.host_processes.get(workload) {
                    return if rest == "pid" {
                        Ok(json!(process.pid))
                    } else {
                        Err(unknown())
                    };
                }
                let container = self.containers.get(workload).ok_or_else(unknown)?;
                match rest {
                    "pid" => container
                        .init
                        .as_ref()
                        .map(|i| json!(i.pid))
                        .ok_or_else(|| format!("`{workload}` has no process")),
                    "id" => Ok(json!(container.id)),
                    "bundle" => Ok(json!(container.bundle)),
                    _ => Err(unknown()),
                }
            }
        }
    }

    fn container_id(&self, name: &str) -> String {
        self.containers
            .get(name)
            .map_or_else(|| format!("plimsoll-{name}"), |c| c.id.clone())
    }

    /// Writes an outcome down; a refusal or a hang gets stuck.
    pub(super) fn did(&mut self, outcome: Result<Outcome, oci_runtime_client::Error>) -> Result<(), Stuck> {
        let outcome = outcome.map_err(|e| Stuck::Host(crate::chain(&e)))?;
        self.waited += outcome.took;
        let t1 = self.now();
        let cut = |text: &str| text.chars().take(KEPT).collect::<String>();
        let event = Event::Act {
            case: self.id(),
            what: outcome.argv.clone(),
            code: Some(outcome.shell_code()),
            stdout: cut(&outcome.stdout),
            stderr: cut(&outcome.stderr),
            t0: t1 - outcome.took.as_secs_f64() * 1e3,
            t1,
        };
        (self.emit)(event);
        let failure = if outcome.hung {
            Some(format!(
                "`{}` was still running after {:?} and was killed",
                outcome.argv, outcome.took
            ))
        } else if outcome.code != Some(0) {
            let said = outcome.stderr.trim().lines().last().unwrap_or_default();
            Some(format!(
                "`{}` was refused with status {}: {said}",
                outcome.argv,
                outcome.shell_code()
            ))
        } else {
            None
        };
        self.last = Some(outcome);
        failure.map_or(Ok(()), |why| Err(Stuck::Subject(why)))
    }

    fn create(&mut self, name: &str, id: Option<&str>, more: &[String]) -> Result<(), Stuck> {
        let id = id.map_or_else(|| format!("plimsoll-{name}"), str::to_owned);
        let (bundle, cgroups_path) = self.bundle(name, &id)?;
        let tmp = PathBuf::from(format!("{HOME}/tmp"));
        let mut container = Container {
            stdout: tmp.join(format!("{name}.stdout")),
            stderr: tmp.join(format!("{name}.stderr")),
            bundle,
            init: None,
            cgroups_path,
            id,
        };
        let streams = container.streams().map_err(Stuck::Host)?;
        let pid_file = tmp.join(format!("{}.pid", container.id));
        let _stale = std::fs::remove_file(&pid_file);
        let outcome = self
            .client
            .create(&container.id, &container.bundle, &pid_file, more, streams);
        let outcome = outcome.map(|mut outcome| {
            if outcome.code != Some(0) {
                outcome.stderr = format!(
                    "{}{}",
                    observe::output::text(&container.stderr),
                    logged(self.client.log())
                );
            }
            outcome
        });
        let created = self.did(outcome);
        let known = self.containers.get(name).is_some_and(|c| c.init.is_some());
        if created.is_ok() {
            let text = std::fs::read_to_string(&pid_file).unwrap_or_default();
            let pid = text
                .trim()
                .parse()
                .map_err(|_| Stuck::Subject(format!("`create` succeeded but its pid file holds `{text}`")))?;
            container.init = Some(Init::hold(pid, &self.home.cgroups).map_err(Stuck::Subject)?);
        }
        // A second, refused `create` does not make the first container unknown.
        if created.is_ok() || !known {
            self.containers.insert(name.to_owned(), container);
        }
        created
    }

    fn start(&mut self, name: &str, id: Option<&str>) -> Result<(), Stuck> {
        let id = id.map_or_else(|| self.container_id(name), str::to_owned);
        let outcome = self.client.start(&id);
        self.did(outcome)
    }

    fn stop(&mut self, stop: &Stop) -> Result<(), Stuck> {
        let name = &stop.on.value;
        let id = self.container_id(name);
        let first = self
            .client
            .kill(&id, stop.signal.as_deref().unwrap_or("SIGTERM"), false);
        self.did(first)?;
        if self.ended_within(name, stop.grace.map_or(Duration::from_secs(10), |g| g.0)) {
            return Ok(());
        }
        let second = self.client.kill(&id, "SIGKILL", false);
        self.did(second)?;
        if self.ended_within(name, Duration::from_secs(5)) {
            Ok(())
        } else {
            Err(Stuck::Subject(format!("`{name}` lives on after SIGKILL")))
        }
    }

    fn ended_within(&mut self, name: &str, time: Duration) -> bool {
        // What `exec` left inside must be waited for meanwhile, or the container never ends.
        const TURN: Duration = Duration::from_millis(20);
        let start = Instant::now();
        let ended = loop {
            self.reap();
            let left = time.saturating_sub(start.elapsed());
            let Some(init) = self.containers.get_mut(name).and_then(|c| c.init.as_mut()) else {
                break true;
            };
            if !init.alive() || wait::readable(&[init.pidfd()], Some(left.min(TURN)))[0] {
                break true;
            }
            if left.is_zero() {
                break false;
            }
        };
        self.waited += start.elapsed();
        ended
    }

    fn signal(&mut self, on: &str, wanted: &str) -> Result<(), Stuck> {
        if let Some(process) = self.host_processes.get(on) {
            let number = signal::number(wanted).ok_or_else(|| Stuck::Host(format!("there is no signal `{wanted}`")))?;
            let signal =
                Signal::from_named_raw(number).ok_or_else(|| Stuck::Host(format!("there is no signal `{wanted}`")))?;
            return pidfd_send_signal(process.pidfd(), signal)
                .map_err(|e| Stuck::Host(format!("failed to signal `{on}`: {e}")));
        }
        let outcome = self.client.kill(&self.container_id(on), wanted, false);
        self.did(outcome)
    }

    fn oci(&mut self, oci: &Oci) -> Result<(), Stuck> {
        let name = &oci.on.value;
        let id = oci.id.clone().unwrap_or_else(|| self.container_id(name));
        let more: Vec<&str> = oci.args.iter().map(String::as_str).collect();
        let outcome = match oci.op {
            OciVerb::Create => return self.create(name, oci.id.as_deref(), &oci.args),
            OciVerb::Start => return self.start(name, oci.id.as_deref()),
            OciVerb::State => self.client.state(&id).map(|(outcome, _)| outcome),
            OciVerb::Kill => self
                .client
                .kill(&id, oci.signal.as_deref().unwrap_or("SIGTERM"), oci.all),
            OciVerb::Delete => self.client.delete(&id, oci.force),
            OciVerb::Pause => self.client.verb("pause", &more, &id),
            OciVerb::Resume => self.client.verb("resume", &more, &id),
            OciVerb::Update if oci.resources.is_some() => {
                let path = PathBuf::from(format!("{HOME}/tmp/resources.json"));
                let text = oci.resources.clone().unwrap_or_default().to_string();
                let file = std::fs::write(&path, text).and_then(|()| std::fs::File::open(&path));
                self.client.update(
                    &id,
                    file.map_err(|e| Stuck::Host(format!("failed to write `{}`: {e}", path.display())))?,
                )
            }
            OciVerb::Update => self.client.verb("update", &more, &id),
            OciVerb::List => self
                .client
                .bare("list", if more.is_empty() { &["--format", "json"] } else { &more }),
            OciVerb::Ps => self
                .client
                .verb("ps", if more.is_empty() { &["--format", "json"] } else { &more }, &id),
            OciVerb::Events => self.client.verb("events", &["--stats"], &id),
            OciVerb::Features => self.client.bare("features", &more),
        };
        self.did(outcome)
    }

    /// Makes the bundle of a workload, once. Answers its directory and the name of its group.
    pub(super) fn bundle(&mut self, name: &str, id: &str) -> Result<(PathBuf, Option<String>), Stuck> {
        let directory = PathBuf::from(format!("{HOME}/containers/{name}"));
        let group = self.home.no_cgroups.is_none().then(|| format!("/{id}"));
        if directory.join("config.json").exists() {
            return Ok((directory, group));
        }
        let workload = self
            .job
            .case
            .spec
            .workloads
            .get(name)
            .ok_or_else(|| Stuck::Host(format!("there is no workload `{name}`")))?;
        let environment = vec![format!("PLIMSOLL_NONCE={}", self.job.nonce)];
        let mut config = match &workload.value {
            Workload::Object(_) => {
                return Err(Stuck::Host(format!(
                    "`{name}` is a Kubernetes object: no runtime runs it"
                )));
            }
            Workload::Container(container) => {
                let around = config::Surroundings {
                    environment,
                    cgroups_path: group.clone(),
                    swap_accounted: self.swap_accounted(),
                    ordinary: self.ordinary(),
                };
                let pids: Vec<(String, i32)> = self
                    .containers
                    .iter()
                    .filter_map(|(n, c)| Some((n.clone(), c.init.as_ref()?.pid)))
                    .collect();
                let join = |name: &str, kind: NamespaceKind| {
                    let (_, pid) = pids.iter().find(|(n, _)| n == name)?;
                    Some(format!("/proc/{pid}/ns/{}", kind.proc_name()))
                };
                let mut config = config::write(container, &around, &join).map_err(Stuck::Subject)?;
                let image = self
                    .job
                    .images
                    .get(&container.image)
                    .ok_or_else(|| Stuck::Host(format!("image `{}` was not brought", container.image)))?;
                config::patch(&mut config, &container.patch).map_err(Stuck::Host)?;
                let owner = first_id(&config, "uidMappings").zip(first_id(&config, "gidMappings"));
                rootfs::make(
                    &directory,
                    image,
                    container.rootfs.unwrap_or(RootfsKind::Overlay),
                    owner,
                )
                .map_err(Stuck::Host)?;
                config
            }
            Workload::Bundle(bundle) => self.given_bundle(bundle, &directory, environment, group.as_deref())?,
        };
        // Where a spec asks for a limit, it requires it, and the case is skipped before it comes here.
        if self.ordinary() {
            config::unprivileged(&mut config, self.home.no_cgroups.is_none());
        }
        self.resolve(&mut config)?;
        let path = directory.join("config.json");
        let text = serde_json::to_vec_pretty(&config).map_err(|e| Stuck::Host(e.to_string()))?;
        std::fs::write(&path, text).map_err(|e| Stuck::Host(format!("failed to write `{}`: {e}", path.display())))?;
        Ok((directory, group))
    }

    fn given_bundle(
        &mut self,
        bundle: &Bundle,
        directory: &Path,
        environment: Vec<String>,
        group: Option<&str>,
    ) -> Result<Value, Stuck> {
        let host = |what: String| move |e: &dyn std::fmt::Display| Stuck::Host(format!("failed to {what}: {e}"));
        let (mut config, image) = if bundle.path == "bundles/probe" {
            (image::config(), PathBuf::from(format!("{HOME}/image")))
        } else {
            let from = self.job.case.base.join(&bundle.path);
            let path = from.join("config.json");
            let text = std::fs::read_to_string(&path).map_err(|e| host(format!("read `{}`", path.display()))(&e))?;
            let config: Value =
                serde_json::from_str(&text).map_err(|e| host(format!("parse `{}`", path.display()))(&e))?;
            let root = config
                .pointer("/root/path")
                .and_then(Value::as_str)
                .unwrap_or("rootfs")
                .to_owned();
            (config, from.join(root))
        };
        config["root"]["path"] = json!("rootfs");
        if let Some(group) = group {
            config["linux"]["cgroupsPath"] = json!(group);
        }
        if let Some(env) = config.pointer_mut("/process/env").and_then(Value::as_array_mut) {
            env.extend(environment.into_iter().map(Value::String));
        } else if config.get("process").is_some() {
            config["process"]["env"] = json!(environment);
        }
        config::patch(&mut config, &bundle.patch).map_err(Stuck::Host)?;
        rootfs::make(directory, &image, RootfsKind::Overlay, None).map_err(Stuck::Host)?;
        Ok(config)
    }

    fn swap_accounted(&self) -> bool {
        self.home
            .cgroups
            .iter()
            .filter(|m| m.controllers.iter().any(|c| c == "memory"))
            .any(|m| {
                if m.version == 1 {
                    m.mount.join("memory.memsw.limit_in_bytes").exists()
                } else {
                    m.mount.join("plimsoll-guard/memory.swap.max").exists()
                }
            })
    }

    pub(crate) fn ordinary(&self) -> bool {
        !self.home.by_root
    }
}

fn first_id(config: &Value, key: &str) -> Option<u32> {
    let mappings = config.pointer(&format!("/linux/{key}"))?.as_array()?;
    let root = mappings.iter().find(|m| m["containerID"] == 0)?;
    root["hostID"].as_u64().and_then(|id| u32::try_from(id).ok())
}

fn fresh(below: &Path, name: &str) -> Result<PathBuf, String> {
    if name.is_empty() || name.contains(['/', '.']) {
        return Err(format!("`{name}` is no name for a directory"));
    }
    let path = below.join(name);
    std::fs::create_dir_all(&path)
        .and_then(|()| std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o777)))
        .map_err(|e| format!("failed to make `{}`: {e}", path.display()))?;
    Ok(path)
}

/// The messages of a runtime's log in JSON lines.
pub(super) fn logged(path: &Path) -> String {
    let text = observe::output::text(path);
    let messages = text.lines().filter_map(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        Some(line.get("msg")?.as_str()?.to_owned())
    });
    messages.collect::<Vec<_>>().join("\n")
}
