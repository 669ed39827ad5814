//! One start of a container, from `create` to the last trace of it.
//!
//! The harness reads the clock before and after each command of the runtime, when the container's output can be read, and
//! when its pidfd tells its end. One point is read by the probe in the container: that of its first instruction. It is
//! believed only if it lies between the harness' own points around it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use oci_runtime_client::{Client, Exec, Outcome, Streams, Watched};
use record::bench::{Isolation, Sample};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use serde_json::{Value, json};
use spec::benchmark::{Command, Delay, Occupied, Point};
use spec::quantity::Bound;
use spec::requirement::NamespaceKind;

use super::nanoseconds;
use super::plant::Delays;
use crate::drive::container::groups;
use crate::drive::{Stuck, World, act, step_deadline};
use crate::guard::HOME;
use crate::guard::cgroup::Mounted;
use crate::observe::netns_end::NetnsEnd;
use crate::observe::resident;
use crate::plan::benchmark::gate::Gate;
use crate::{observe, wait};

/// How often it is looked whether all is gone.
const EVERY: Duration = Duration::from_micros(200);

/// The kernel takes a network namespace apart behind everybody's back; a start that does not watch it leaves it this time.
const SETTLE: Duration = Duration::from_millis(30);

/// A container that is started again and again.
pub(super) struct Start {
    id: String,
    bundle: PathBuf,
    delay: Option<Delay>,
    /// What a gate plants into the next sample.
    planted: Delays,
    watched: Watching,
    /// It is to live until something was done with it, and is killed then.
    lives: bool,
    /// Namespaces that its configuration asks for.
    asked: Vec<NamespaceKind>,
    /// Those of the harness, to compare with.
    host: BTreeMap<NamespaceKind, String>,
    /// The directories of its control groups, once they are known.
    groups: Option<Vec<PathBuf>>,
}

/// How closely a start is watched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Watching {
    /// Each point is noted, and none has in it what the harness does between them.
    #[default]
    Points,
    /// The same, and each has.
    All,
    /// Only the clock is read, when it begins and when the first byte is there: what it takes if nobody watches it.
    Bare,
}

impl Watching {
    /// Of a case that is part of a gate, or of none.
    pub(super) fn of(gate: Option<&Gate>) -> Self {
        match gate {
            Some(gate) if gate.against.bare && gate.reference.is_none() => Self::Bare,
            Some(gate) if gate.against.bare => Self::All,
            _ => Self::Points,
        }
    }
}

/// What a start needs of its surroundings. It is the same for all that begin beside each other.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    client: &'a Client,
    nonce: &'a str,
    cgroups: &'a [Mounted],
    deadline: Duration,
}

impl<'a> Around<'a> {
    pub(super) fn of(world: &'a World<'_>) -> Self {
        Self {
            client: &world.client,
            nonce: &world.job.nonce,
            cgroups: &world.home.cgroups,
            deadline: step_deadline(world.job),
        }
    }
}

/// What a start came to so far.
#[derive(Default)]
struct Taken {
    /// The clock at `create`, twice.
    began: Option<(u64, Instant)>,
    /// For how long the harness had something else to do, which no point has in it.
    busy: Duration,
    sample: Sample,
}

impl Taken {
    fn at(&mut self, point: Point, instant: Instant) {
        if let Some((_, began)) = self.began {
            let after = instant.saturating_duration_since(began).saturating_sub(self.busy);
            self.put(point, after.as_secs_f64() * 1e3);
        }
    }

    fn put(&mut self, point: Point, milliseconds: f64) {
        self.sample.points.insert(point.name().into(), milliseconds);
    }

    fn of(&self, point: Point) -> Option<f64> {
        self.sample.points.get(point.name()).copied()
    }
}

impl Start {
    /// Makes the bundle and starts it once, to see that it works and where its control groups are. What is broken on purpose
    /// need not work.
    pub(super) fn prepare(world: &mut World<'_>, name: &str, delay: Option<Delay>) -> Result<Self, Stuck> {
        let id = format!("plimsoll-{name}");
        let (bundle, _) = world.bundle(name, &id)?;
        let path = bundle.join("config.json");
        let host = |what: &str, why: &dyn std::fmt::Display| {
            Stuck::Host(format!("failed to {what} `{}`: {why}", path.display()))
        };
        let text = std::fs::read(&path).map_err(|e| host("read", &e))?;
        let mut config: Value = serde_json::from_slice(&text).map_err(|e| host("parse", &e))?;
        let lives = world
            .job
            .case
            .measured
            .as_ref()
            .is_some_and(|measured| measured.benchmark.lives());
        // The report of the probe must not come before what is measured, unless the probe does not come to its end.
        let report = if lives { "all" } else { "last" };
        let measured = world.job.case.measured.as_ref();
        let watched = Watching::of(measured.and_then(|measured| measured.gate.as_ref()));
        if let Some(env) = config.pointer_mut("/process/env").and_then(Value::as_array_mut) {
            env.push(json!(format!("PLIMSOLL_REPORT={report}")));
            let is_asked = |variable: &Value| variable.as_str().is_some_and(|text| text.starts_with("PLIMSOLL_"));
            env.retain(|variable| watched != Watching::Bare || !is_asked(variable));
        }
        std::fs::write(&path, config.to_string()).map_err(|e| host("write", &e))?;
        let listed = config.pointer("/linux/namespaces").and_then(Value::as_array);
        let private = listed.into_iter().flatten().filter(|ns| ns["path"].is_null());
        let kinds: Vec<&str> = private.filter_map(|ns| ns["type"].as_str()).collect();
        let asked: Vec<NamespaceKind> = NamespaceKind::ALL
            .into_iter()
            .filter(|kind| kinds.contains(&kind.oci_name()))
            .collect();
        let own = |kind: &NamespaceKind| {
            let link = std::fs::read_link(format!("/proc/self/ns/{}", kind.proc_name())).ok()?;
            Some((*kind, link.to_string_lossy().into_owned()))
        };
        let mut start = Self {
            id,
            bundle,
            delay: None,
            planted: Delays::default(),
            watched,
            lives,
            host: asked.iter().filter_map(own).collect(),
            asked,
            groups: None,
        };
        let trial = start.take(world);
        let is_faulty = world.job.case.header.sabotage.is_some();
        if let Some(failure) = trial.failure.filter(|_| !is_faulty) {
            return Err(Stuck::Subject(failure));
        }
        start.delay = delay;
        Ok(start)
    }

    /// Plants these waits into the next sample.
    pub(super) fn slow_down(&mut self, planted: Delays) {
        self.planted = planted;
    }

    /// Starts it once, and clears away what is left if that fails.
    pub(super) fn take(&mut self, world: &mut World<'_>) -> Sample {
        let sample = self.take_at(Around::of(world), None);
        if sample.failure.is_some() {
            reap();
        }
        sample
    }

    /// The same, when it should begin at some time. Its time runs from then. What others left is not taken.
    pub(super) fn take_at(&mut self, around: Around<'_>, intended: Option<Instant>) -> Sample {
        let mut taken = Taken::default();
        let outcome = match self.watched {
            Watching::Bare => self.unwatched(around, &mut taken),
            Watching::Points | Watching::All => self.through(around, intended, &mut taken),
        };
        if let Err(failure) = outcome {
            taken.sample.failure = Some(failure);
            // What is gone already cannot be cleared away; the next `create` tells if anything is in its way.
            let _gone = around.client.delete(&self.id, true);
        }
        taken.sample
    }

    fn through(&mut self, around: Around<'_>, intended: Option<Instant>, taken: &mut Taken) -> Result<(), String> {
        let Around { client, deadline, .. } = around;
        let Ends {
            reader,
            streams,
            complaints,
            pid_file,
        } = Ends::of(&self.id)?;
        let before = self.lives.then(resident::processes);
        if let Some(intended) = intended {
            wait::until_instant(intended);
        }
        let began = intended.unwrap_or_else(Instant::now);
        taken.began = Some((nanoseconds(began), began));
        taken.put(Point::Create, 0.0);
        wait::awake(self.planted.create);
        let outcome = client.create(&self.id, &self.bundle, &pid_file, &[], streams);
        accepted(outcome, || {
            format!("{}{}", observe::output::text(&complaints), act::logged(client.log()))
        })?;
        self.wait_at(Command::Create, began);
        let created = Instant::now();
        taken.at(Point::Created, created);
        let (pid, init) = named(&pid_file)?;
        if self.groups.is_none() {
            let groups = groups(pid.as_raw_nonzero().get(), around.cgroups).into_iter();
            // What is no group of its own does not go away with it.
            let own = groups
                .map(|group| group.directory)
                .filter(|path| path.ends_with(&self.id));
            self.groups = Some(own.collect());
        }
        let has_network = self.asked.contains(&NamespaceKind::Network);
        let network = has_network
            .then(|| NetnsEnd::of(pid.as_raw_nonzero().get()))
            .transpose()?;
        let busy = created.elapsed();
        taken.sample.busy = Some(busy.as_secs_f64() * 1e3);
        if self.watched != Watching::All {
            taken.busy += busy;
        }

        taken.at(Point::Start, Instant::now());
        wait::awake(self.planted.start);
        self.wait_at(Command::Start, began);
        let mut watched = [reader.as_fd(), init.as_fd()].map(|fd| Watched { fd, readable: None });
        let outcome = client.start_watching(&self.id, &mut watched);
        let said = || observe::output::text(&complaints);
        accepted(outcome, said)?;
        let [output, end] = watched.map(|watched| watched.readable);
        let output = output.or_else(|| readable(&reader, deadline));
        taken.at(Point::FirstByte, output.ok_or("the container wrote nothing")?);
        if let Some(before) = before {
            if end.is_some() {
                return Err(
                    "the container's process ended before anything was done with it: let it `sleep forever`".into(),
                );
            }
            self.live(around, &before, taken)?;
        }
        let end = end.or_else(|| readable(&init, deadline));
        let exit = end.ok_or("the container's process does not end")?;
        taken.at(Point::Exit, exit);
        let code = ended(&init);
        let told = text_of(&reader, deadline);
        self.attest(&told, around, taken)?;
        if code != Some(0) && !self.lives {
            return Err(format!(
                "the container's process ended with {code:?}: {}",
                said().trim()
            ));
        }

        wait::awake(self.planted.delete);
        accepted(client.delete(&self.id, false), String::new)?;
        let groups = self.groups.as_deref().unwrap_or_default();
        let left = || match groups.iter().find(|group| group.exists()) {
            Some(group) => Err(format!("the control group `{}`", group.display())),
            None if network.as_ref().is_some_and(|network| !network.is_gone()) => Err("the network namespace".into()),
            None => Ok(()),
        };
        if let wait::Waited::TimedOut { last, .. } = wait::until(deadline, EVERY, left) {
            return Err(format!("{last} is still there after `delete`"));
        }
        self.wait_at(Command::Delete, exit);
        taken.at(Point::Deleted, Instant::now());
        Ok(())
    }

    /// Starts it by the same two commands, and looks at nothing but when its first byte can be read.
    fn unwatched(&mut self, around: Around<'_>, taken: &mut Taken) -> Result<(), String> {
        let Around { client, deadline, .. } = around;
        let Ends {
            reader,
            streams,
            complaints,
            pid_file,
        } = Ends::of(&self.id)?;
        let said = || observe::output::text(&complaints);
        let began = Instant::now();
        taken.began = Some((nanoseconds(began), began));
        taken.put(Point::Create, 0.0);
        wait::awake(self.planted.create);
        accepted(client.create(&self.id, &self.bundle, &pid_file, &[], streams), said)?;
        taken.at(Point::Start, Instant::now());
        wait::awake(self.planted.start);
        let mut watched = [Watched {
            fd: reader.as_fd(),
            readable: None,
        }];
        accepted(client.start_watching(&self.id, &mut watched), said)?;
        let [output] = watched.map(|watched| watched.readable);
        let output = output.or_else(|| readable(&reader, deadline));
        taken.at(Point::FirstByte, output.ok_or("the container wrote nothing")?);

        let (_, init) = named(&pid_file)?;
        readable(&init, deadline).ok_or("the container's process does not end")?;
        let code = ended(&init);
        accepted(client.delete(&self.id, false), String::new)?;
        wait::until_instant(Instant::now() + SETTLE);
        match code {
            Some(0) => Ok(()),
            _ => Err(format!(
                "the container's process ended with {code:?}: {}",
                said().trim()
            )),
        }
    }

    /// Does with the running container what it runs for, and kills it.
    fn live(&self, around: Around<'_>, before: &BTreeSet<i32>, taken: &mut Taken) -> Result<(), String> {
        let client = around.client;
        let busy = Instant::now();
        let resident = resident::since(before);
        taken.sample.sizes.insert(Occupied::Resident.name().into(), resident);
        taken.busy += busy.elapsed();
        let called = Instant::now();
        taken.at(Point::Exec, called);
        wait::awake(self.planted.exec);
        let exec = Exec {
            // Some runtimes give a process of `exec` the container's environment, some what is told and no more.
            args: &["/bin/hello".to_owned()],
            env: vec![
                format!("PLIMSOLL_NONCE={}", around.nonce),
                "PLIMSOLL_REPORT=last".into(),
            ],
            ..Exec::default()
        };
        let outcome = client.exec(&self.id, &exec);
        self.wait_at(Command::Exec, called);
        let ended = Instant::now();
        taken.at(Point::Execed, ended);
        let told = outcome
            .as_ref()
            .map(|outcome| outcome.stdout.clone())
            .unwrap_or_default();
        accepted(outcome, String::new)?;
        if !told.contains(around.nonce) {
            return Err(format!(
                "the process of `exec` attests nothing; it wrote `{}`",
                told.trim()
            ));
        }
        accepted(client.kill(&self.id, "KILL", false), String::new)?;
        self.wait_at(Command::Kill, ended);
        Ok(())
    }

    /// Makes the subject slower, if that is what this case is for. A share is one of the time since `since`.
    fn wait_at(&self, command: Command, since: Instant) {
        let Some(delay) = self.delay.filter(|delay| delay.at == command) else {
            return;
        };
        let time = match delay.time {
            Bound::Time(time) => time.0,
            Bound::Percent(share) => since.elapsed().mul_f64(share.share()),
            Bound::Number(_) => Duration::ZERO,
        };
        wait::until_instant(Instant::now() + time);
    }

    /// Reads the probe's last line: when it began, and which namespaces it is in.
    fn attest(&self, told: &str, around: Around<'_>, taken: &mut Taken) -> Result<(), String> {
        let lines = told
            .lines()
            .rev()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut own = lines.filter(|line| line["nonce"] == json!(around.nonce));
        let report = own.find_map(|line| line.get("report").cloned());
        let report =
            report.ok_or_else(|| format!("the probe attests nothing; the container wrote `{}`", told.trim()))?;
        let is_own = |kind: &&NamespaceKind| {
            let link = report["ns"][kind.proc_name()].as_str();
            link.is_some() && link != self.host.get(*kind).map(String::as_str)
        };
        let (own, shared): (Vec<&NamespaceKind>, Vec<&NamespaceKind>) = self.asked.iter().partition(is_own);
        let names = |kinds: Vec<&NamespaceKind>| kinds.into_iter().map(|kind| kind.oci_name().to_owned()).collect();
        taken.sample.isolation = Some(Isolation {
            own: names(own),
            shared: names(shared),
        });
        let first = report["t_ns"].as_u64().zip(taken.began);
        let busy = taken.busy.as_secs_f64() * 1e3;
        let first = first.map(|(first, (began, _))| (first as f64 - began as f64) / 1e6 - busy);
        let around = taken.of(Point::Start).zip(taken.of(Point::FirstByte));
        match first.zip(around) {
            Some((first, (start, byte))) if (start..=byte).contains(&first) => {
                taken.put(Point::ProcessStarted, first);
                Ok(())
            }
            other => Err(format!("the probe's clock does not fit the harness': {other:?}")),
        }
    }
}

/// What a container writes to, and where the runtime writes about it.
struct Ends {
    /// The other end of its standard output.
    reader: OwnedFd,
    streams: Streams,
    complaints: PathBuf,
    pid_file: PathBuf,
}

impl Ends {
    fn of(id: &str) -> Result<Self, String> {
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
            .map_err(|e| format!("failed to make a pipe: {e}"))?;
        let complaints = PathBuf::from(format!("{HOME}/tmp/{id}.stderr"));
        let stderr =
            File::create(&complaints).map_err(|e| format!("failed to make `{}`: {e}", complaints.display()))?;
        let pid_file = PathBuf::from(format!("{HOME}/tmp/{id}.pid"));
        let _stale = std::fs::remove_file(&pid_file);
        let streams = Streams {
            stdin: Some(File::open("/dev/null").map_err(|e| format!("failed to open `/dev/null`: {e}"))?),
            stdout: Some(File::from(writer)),
            stderr: Some(stderr),
        };
        Ok(Self {
            reader,
            streams,
            complaints,
            pid_file,
        })
    }
}

/// The container's process, as the runtime named it.
fn named(pid_file: &Path) -> Result<(Pid, OwnedFd), String> {
    let text = std::fs::read_to_string(pid_file).unwrap_or_default();
    let number = text.trim().parse::<i32>().ok().filter(|pid| *pid > 1);
    let pid = number.and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| format!("`create` succeeded but its pid file holds `{text}`"))?;
    let init = pidfd_open(pid, PidfdFlags::empty())
        .map_err(|e| format!("the runtime named {text} as the container's process, and there is none: {e}"))?;
    Ok((pid, init))
}

/// A command that was run and succeeded; `said` is what else was complained.
pub(super) fn accepted(
    outcome: Result<Outcome, oci_runtime_client::Error>,
    said: impl Fn() -> String,
) -> Result<(), String> {
    let outcome = outcome.map_err(|error| crate::chain(&error))?;
    if outcome.hung {
        return Err(format!(
            "`{}` was still running after {:?} and was killed",
            outcome.argv, outcome.took
        ));
    }
    if outcome.code == Some(0) {
        return Ok(());
    }
    let complaint = format!("{}{}", outcome.stderr, said());
    let last = complaint.trim().lines().last().unwrap_or_default();
    Err(format!(
        "`{}` was refused with status {}: {last}",
        outcome.argv,
        outcome.shell_code()
    ))
}

/// Waits until there is something to read, or the other end is closed.
fn readable(fd: &OwnedFd, within: Duration) -> Option<Instant> {
    let is_ready = wait::readable(&[fd.as_fd()], Some(within))[0];
    is_ready.then(Instant::now)
}

/// The exit code of a process that has ended. A child of the runtime is one of the harness by now, which is PID 1 here.
fn ended(init: &OwnedFd) -> Option<i32> {
    let status = waitid(
        WaitId::PidFd(init.as_fd()),
        WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
    );
    status.ok().flatten()?.exit_status()
}

/// What was written until the other end was closed.
fn text_of(reader: &OwnedFd, within: Duration) -> String {
    const MOST: usize = 64 << 10;
    let mut all = Vec::new();
    let mut part = [0; 4096];
    while all.len() < MOST && readable(reader, within).is_some() {
        match rustix::io::read(reader, &mut part) {
            Ok(count) if count > 0 => all.extend_from_slice(&part[..count]),
            Err(rustix::io::Errno::INTR) => {}
            Ok(_) | Err(_) => break,
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// Takes the exit codes of what has ended and was left to PID 1.
pub(super) fn reap() {
    while let Ok(Some(_)) = rustix::process::wait(rustix::process::WaitOptions::NOHANG) {}
}
