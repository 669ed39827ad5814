//! The worker of one pod: sees what happens, asks [`next`] what is to be done, has it done, and tells the API.

mod adopt;
mod ending;
mod exit;
mod phase;
mod probing;
mod sandbox;
mod start;
mod status;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use apiserver::{DeleteOptions, Object, Part, Preconditions};
use objects::{Reason, meta, requests};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;

use crate::agent::unmount_below;
use crate::backoff::Backoff;
use crate::context::{Context, served};
use crate::engine;
use crate::next::{self, Action, Restart, Role, Run};
use crate::probe::Which;
use exit::Exit;
use sandbox::{Made, Sandbox};
use start::Failure;

/// How soon what the API did not take is told again.
const AGAIN: Duration = Duration::from_millis(250);
/// How soon a sandbox that could not be made is tried again.
const SANDBOX_AGAIN: Duration = Duration::from_secs(1);
/// How soon a container that lacks something is tried again, if nothing changes meanwhile.
const CONFIG_AGAIN: Duration = Duration::from_secs(10);

/// What a worker hears.
#[derive(Debug)]
pub(crate) enum Event {
    /// The pod is another now.
    Pod(Object),
    /// The pod is gone from the API.
    Gone,
    /// A config map or a secret changed.
    Sources,
    /// The sandbox was made, or not.
    Sandbox(Result<Box<Made>, String>),
    /// The sandbox' own process runs, or not.
    Pause(Result<Box<engine::Container>, String>),
    /// The sandbox' own process ended.
    PauseEnded,
    /// The sandbox is gone.
    SandboxGone,
    /// An attempt to begin a container.
    Started(usize, u32, Result<Box<engine::Container>, Failure>),
    /// The start hook is done, or what it complained.
    Hooked(usize, u32, Result<(), String>),
    /// A probe changed its mind.
    Probed(usize, u32, Which, bool),
    /// A container ended.
    Exited(usize, u32, Exit),
}

/// What is known of a container.
#[derive(Debug)]
struct Tracked {
    name: String,
    role: Role,
    state: State,
    /// How it ended before the present state.
    last: Option<Exit>,
    /// How often it was begun.
    attempt: u32,
    backoff: Backoff,
    pull_backoff: Backoff,
    not_before: Duration,
    was_started: bool,
    image_id: String,
}

#[derive(Debug)]
enum State {
    Waiting { reason: String, message: String },
    Starting,
    Running(Box<Running>),
    Exited(Exit),
}

#[derive(Debug)]
struct Running {
    container: engine::Container,
    hooked: bool,
    startup: bool,
    ready: bool,
    /// Seconds that whoever wants it gone gives it.
    unhealthy: Option<Option<i64>>,
    stopping: bool,
    probes: Vec<(Which, AbortHandle)>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.probes.iter().for_each(|(_, probe)| probe.abort());
    }
}

impl Running {
    fn started(&self) -> bool {
        self.hooked && self.startup
    }
}

/// Why a pod is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Deleted,
    Deadline,
}

#[derive(Debug, Clone, Copy)]
struct Ending {
    why: Why,
    begun: Instant,
    grace: Duration,
}

/// An agent that dies takes along who waits for its containers.
impl Drop for Worker {
    fn drop(&mut self) {
        self.watchers.iter().for_each(JoinHandle::abort);
    }
}

pub(crate) struct Worker {
    context: Arc<Context>,
    pod: Object,
    directory: PathBuf,
    tell: mpsc::UnboundedSender<Event>,
    events: mpsc::UnboundedReceiver<Event>,
    clock: Instant,
    sandbox: Sandbox,
    sandbox_not_before: Duration,
    containers: Vec<Tracked>,
    ending: Option<Ending>,
    gone: bool,
    /// The pod is over, and what it used is taken away.
    settled: bool,
    /// It was over before this agent came: there is nothing to tell.
    over: bool,
    reported: Option<Value>,
    watchers: Vec<JoinHandle<()>>,
    started_at: Option<SystemTime>,
}

/// 32 random digits, for the name of a container.
pub(crate) fn random_id() -> String {
    let mut bytes = [0u8; 32];
    // Before the machine has gathered any randomness no pod runs.
    let _short = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).is_err();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn containers(pod: &Value) -> impl Iterator<Item = (&Value, Role)> {
    let inits = meta::list(pod, &["spec", "initContainers"]).iter().map(|one| {
        let role = if requests::is_sidecar(one) {
            Role::Sidecar
        } else {
            Role::Init
        };
        (one, role)
    });
    let apps = meta::list(pod, &["spec", "containers"])
        .iter()
        .map(|one| (one, Role::App));
    inits.chain(apps)
}

impl Worker {
    /// Begins to work for a pod. Answers where it hears, and its task.
    pub(crate) fn begin(context: Arc<Context>, pod: Object) -> (mpsc::UnboundedSender<Event>, JoinHandle<()>) {
        let (tell, events) = mpsc::unbounded_channel();
        let has_inits = !meta::list(&pod, &["spec", "initContainers"]).is_empty();
        let reason = if has_inits {
            "PodInitializing"
        } else {
            "ContainerCreating"
        };
        let tracked = containers(&pod).map(|(container, role)| Tracked {
            name: meta::text(container, &["name"]).to_owned(),
            role,
            state: State::Waiting {
                reason: reason.into(),
                message: String::new(),
            },
            last: None,
            attempt: 0,
            backoff: Backoff::default(),
            pull_backoff: Backoff::default(),
            not_before: Duration::ZERO,
            was_started: false,
            image_id: String::new(),
        });
        let worker = Self {
            containers: tracked.collect(),
            directory: context.pod_directory(meta::uid(&pod)),
            context,
            pod,
            tell: tell.clone(),
            events,
            clock: Instant::now(),
            sandbox: Sandbox::None,
            sandbox_not_before: Duration::ZERO,
            ending: None,
            gone: false,
            settled: false,
            over: false,
            reported: None,
            watchers: Vec::new(),
            started_at: None,
        };
        let task = tokio::spawn(worker.run());
        (tell, task)
    }

    async fn run(mut self) {
        self.adopt().await;
        self.consider_ending();
        loop {
            self.context.go_on().await;
            let wake = self.act();
            let told = self.report();
            if self.settled && (self.gone || self.is_deleted()) && self.finish().await {
                return;
            }
            let again = (!told || self.settled && (self.gone || self.is_deleted())).then(|| self.now() + AGAIN);
            let wake = [wake, again, self.deadline()].into_iter().flatten().min();
            let wake = wake.map_or(self.clock + Duration::from_secs(86_400), |at| self.clock + at);
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(event) => {
                        self.hear(event);
                        while let Ok(event) = self.events.try_recv() {
                            self.hear(event);
                        }
                    }
                    None => return,
                },
                () = tokio::time::sleep_until(wake) => self.consider_ending(),
            }
        }
    }

    fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    fn is_deleted(&self) -> bool {
        meta::is_deleting(&self.pod)
    }

    fn spec(&self, at: usize) -> Option<&Value> {
        containers(&self.pod).nth(at).map(|(container, _)| container)
    }

    /// What is known, for the function that decides.
    fn view(&self) -> next::Pod {
        let faults = &self.context.faults;
        let never = faults.has("restart-never");
        let restart = match meta::text(&self.pod, &["spec", "restartPolicy"]) {
            _ if never => Restart::Never,
            "OnFailure" => Restart::OnFailure,
            "Never" => Restart::Never,
            _ => Restart::Always,
        };
        let look = |one: &Tracked| next::Container {
            role: if faults.has("sidecar-ends-first") && self.ending.is_some() && one.role == Role::Sidecar {
                Role::App
            } else {
                one.role
            },
            run: match &one.state {
                State::Waiting { .. } => Run::Waiting,
                State::Starting => Run::Starting,
                State::Running(running) if running.stopping => Run::Stopping,
                State::Running(running) => Run::Running {
                    started: running.started(),
                    unhealthy: running.unhealthy.is_some(),
                },
                State::Exited(exit) => Run::Exited(exit.code),
            },
            not_before: one.not_before,
            was_started: one.was_started,
        };
        next::Pod {
            restart,
            sandbox: self.sandbox.state(),
            not_before: self.sandbox_not_before,
            containers: self.containers.iter().map(look).collect(),
            ending: self.ending.is_some(),
            reversed: faults.has("init-order-reversed"),
        }
    }

    /// Has done what is to be done now. Answers when there is more to do though nothing happens.
    fn act(&mut self) -> Option<Duration> {
        if self.settled {
            return None;
        }
        let mut wake = None;
        for action in self.view().next(self.now()) {
            match action {
                Action::MakeSandbox => self.make_sandbox(),
                Action::RemoveSandbox => self.remove_sandbox(),
                Action::Start(at) => self.start(at),
                Action::Stop(at) => self.stop(at),
                Action::Wake(at) => wake = Some(wake.map_or(at, |other: Duration| other.min(at))),
                Action::Done => self.settled = true,
            }
        }
        wake
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Pod(pod) => self.pod = pod,
            Event::Gone => self.gone = true,
            Event::Sources => self.refresh(),
            Event::Sandbox(made) => self.sandbox_made(made),
            Event::Pause(begun) => self.pause_began(begun),
            Event::PauseEnded => self.pause_ended(),
            Event::SandboxGone => self.sandbox = Sandbox::None,
            Event::Started(at, attempt, result) => self.began(at, attempt, result),
            Event::Hooked(at, attempt, result) => self.hooked(at, attempt, result),
            Event::Probed(at, attempt, which, answer) => self.probed(at, attempt, which, answer),
            Event::Exited(at, attempt, exit) => self.exited(at, attempt, exit),
        }
        self.consider_ending();
    }

    /// When `activeDeadlineSeconds` is over.
    fn deadline(&self) -> Option<Duration> {
        if self.ending.is_some() || self.settled {
            return None;
        }
        let seconds = u64::try_from(meta::number(&self.pod, &["spec", "activeDeadlineSeconds"])?).ok()?;
        let begun = self.started_at?;
        let left = (begun + Duration::from_secs(seconds)).duration_since(SystemTime::now());
        Some(self.now() + left.unwrap_or_default())
    }

    fn consider_ending(&mut self) {
        let grace_of = |seconds: i64| Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        let usual = || meta::number(&self.pod, &["spec", "terminationGracePeriodSeconds"]).unwrap_or(30);
        let wanted = if self.gone {
            Some((Why::Deleted, grace_of(1)))
        } else if self.is_deleted() {
            let seconds = meta::deletion_grace(&self.pod).unwrap_or_else(usual);
            Some((Why::Deleted, grace_of(seconds.max(1))))
        } else if self.deadline().is_some_and(|at| at <= self.now()) {
            Some((Why::Deadline, grace_of(usual())))
        } else {
            None
        };
        let Some((why, grace)) = wanted else { return };
        match &mut self.ending {
            None => {
                self.ending = Some(Ending {
                    why,
                    begun: Instant::now(),
                    grace,
                });
            }
            // Less time than was given first: those that are being stopped are told again.
            Some(ending) if grace < ending.grace => {
                ending.grace = grace;
                self.hurry();
            }
            Some(_) => {}
        }
    }

    /// Tells the API what is seen, if it is new. False if it could not be told.
    fn report(&mut self) -> bool {
        if self.gone || self.over {
            return true;
        }
        let status = self.status();
        if self.reported.as_ref() == Some(&status) {
            return true;
        }
        let Some(kind) = served("pods") else { return true };
        let (namespace, name, uid) = (
            meta::namespace(&self.pod).to_owned(),
            meta::name(&self.pod).to_owned(),
            meta::uid(&self.pod).to_owned(),
        );
        let written = self.context.api.edit(kind, &namespace, &name, Part::Status, |pod| {
            if meta::uid(pod) == uid {
                status::apply(pod, &status);
            }
        });
        match written {
            Ok(pod) => {
                if meta::uid(&pod) == uid {
                    self.pod = pod;
                }
                self.reported = Some(status);
                true
            }
            Err(refused) if refused.reason == Reason::NotFound => {
                self.gone = true;
                self.consider_ending();
                false
            }
            Err(_) => false,
        }
    }

    /// Takes the pod from the API and its files from the disk. False if the API did not let it go.
    async fn finish(&mut self) -> bool {
        for watcher in self.watchers.drain(..) {
            let _late = tokio::time::timeout(Duration::from_secs(10), watcher).await.is_err();
        }
        if !self.gone {
            let Some(kind) = served("pods") else { return true };
            let options = DeleteOptions {
                grace: Some(0),
                preconditions: Preconditions {
                    uid: Some(meta::uid(&self.pod).to_owned()),
                    resource_version: None,
                },
                ..DeleteOptions::default()
            };
            let (namespace, name) = (meta::namespace(&self.pod), meta::name(&self.pod));
            match self.context.api.delete(kind, namespace, name, &options) {
                Ok(_) => {}
                Err(refused) if [Reason::NotFound, Reason::Conflict].contains(&refused.reason) => {}
                Err(_) => return false,
            }
        }
        let uid = meta::uid(&self.pod).to_owned();
        self.context.hide(&uid);
        let (directory, logs) = (self.directory.clone(), self.context.log_directory(&self.pod));
        let removed = tokio::task::spawn_blocking(move || {
            for path in [directory, logs] {
                if std::fs::remove_dir_all(&path).is_err() {
                    unmount_below(&path);
                    let _left = std::fs::remove_dir_all(&path).is_err();
                }
            }
        });
        let _done = removed.await.is_err();
        true
    }

    fn identity(&self) -> Value {
        json!({"namespace": meta::namespace(&self.pod), "name": meta::name(&self.pod), "uid": meta::uid(&self.pod)})
    }
}
