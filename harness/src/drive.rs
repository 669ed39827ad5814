//! The only stage that touches the world: runs one case, inside a guard, and tells what it saw.
//!
//! It judges nothing: after each look it asks the pure [`judge`] whether to look again, and writes down
//! every look, so that the verdicts can be computed again from the record.

mod act;
mod bandwidth;
mod benchmark;
pub(crate) mod cluster;
pub mod config;
pub mod container;
mod evidence;
mod family;
pub mod host_process;
mod packets;
mod rootfs;
mod sampling;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use oci_runtime_client::{Client, Outcome};
use record::{Event, Seen};
use spec::patience;
use spec::step::Window;
use spec::{Check, Spanned, Step};

use self::cluster::{Cluster, Lack};
use self::container::Container;
pub(crate) use self::evidence::PATHS_EVIDENCE;
use self::host_process::HostProcess;
use crate::guard::{HOME, Home, Job};
use crate::requires::{self, Probed};
use crate::{judge, observe, wait};

/// Where a saboteur writes what it changed, as seen in the guard.
pub const FAULT_LOG: &str = "/run/plimsoll/tmp/saboteur.log";

/// Name of the evidence that holds it.
pub const FAULT_EVIDENCE: &str = "fault";

/// Everything of a case that exists while it runs.
pub struct World<'w> {
    /// What was asked.
    pub job: &'w Job,
    /// The guard's surroundings.
    pub home: &'w Home,
    /// The subject.
    pub client: Client,
    /// By workload.
    pub containers: BTreeMap<String, Container>,
    /// By id.
    pub host_processes: BTreeMap<String, HostProcess>,
    /// The cluster, in a case of one.
    pub(crate) cluster: Option<Cluster>,
    /// By id: the samples drawn so far.
    pub samples: BTreeMap<String, Seen>,
    /// The command that the step's action ran.
    pub last: Option<Outcome>,
    /// What the packets of this look came to.
    packets: Option<Seen>,
    /// By what they were sent, `tcp` or `udp`.
    transport: &'static str,
    /// The node that a step is done for just now.
    each: Option<packets::Each>,
    /// How often a probe was asked.
    questions: u64,
    /// Time that passed in waits which the spec asks for, and in commands of the subject.
    pub waited: Duration,
    /// What could not be removed.
    leftovers: Vec<String>,
    emit: &'w mut dyn FnMut(Event),
    /// The evidence of a failure was taken: the first failure is the one that it is of.
    taken: bool,
}

impl std::fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("containers", &self.containers)
            .finish_non_exhaustive()
    }
}

/// Whether looks have shown the same for so long that more of them would not show anything else. Only where a case was
/// broken on purpose: there it is no result but one of thousands, and most of them wait for what will never come.
#[derive(Debug, Default)]
struct Unchanged {
    last: Option<(BTreeMap<String, Seen>, Instant)>,
}

/// As long as that: in healthy runs of the catalogue the longest time before a look changed was half of it.
const SETTLED: Duration = Duration::from_millis(400);

/// In a cluster probes are asked, deadlines are met and nodes are lost in seconds.
const SETTLED_CLUSTER: Duration = Duration::from_secs(5);

impl Unchanged {
    fn settled(&mut self, seen: &BTreeMap<String, Seen>, after: Duration) -> bool {
        let seen = lasting(seen);
        match &self.last {
            Some((last, since)) if *last == seen => since.elapsed() >= after,
            _ => {
                self.last = Some((seen, Instant::now()));
                false
            }
        }
    }
}

/// What was seen, without what is another each time: how long packets took, and from which port they came.
fn lasting(seen: &BTreeMap<String, Seen>) -> BTreeMap<String, Seen> {
    let mut seen = seen.clone();
    for one in seen.values_mut() {
        match one {
            Seen::Attempts { list, .. } => list.iter_mut().for_each(|attempt| {
                attempt.micros = 0;
                attempt.source = None;
            }),
            Seen::Answers { list, .. } => list.iter_mut().for_each(|answer| answer.micros = 0),
            _ => {}
        }
    }
    seen
}

/// Name of the evidence that holds what the probes of requirements saw that are met.
pub const MET_EVIDENCE: &str = "requirements";

/// A requirement that is not met, or that nobody can tell.
struct Missing {
    requirement: String,
    seen: String,
    fault: bool,
}

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stepped {
    /// Its checks hold.
    Held,
    /// A check does not hold.
    Failed,
    /// It could not be done.
    Broke,
}

/// Why a step could not do what it was to do.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stuck {
    /// The subject refused or hung.
    Subject(String),
    /// The harness or host could not.
    Host(String),
}

/// Runs the case. Answers how much of the time passed in waits that the spec asks for and in commands of the subject, and
/// what could not be removed from a cluster that others use, too.
pub fn run(job: &Job, home: &Home, emit: &mut dyn FnMut(Event)) -> (Duration, Vec<String>) {
    if job.case.measured.is_some() {
        return (benchmark::run(job, home, emit), Vec::new());
    }
    let mut world = World::new(job, home, &PathBuf::from(format!("{HOME}/state")), emit);
    world.case();
    (world.waited, world.leftovers)
}

/// Bound of each command of the subject.
fn step_deadline(job: &Job) -> Duration {
    job.case.spec.timeouts.step.unwrap_or(patience::COMMAND).0
}

impl<'w> World<'w> {
    /// Nothing exists yet; `state` is the subject's own directory.
    fn new(job: &'w Job, home: &'w Home, state: &Path, emit: &'w mut dyn FnMut(Event)) -> Self {
        let log = PathBuf::from(format!("{HOME}/tmp/subject.log"));
        Self {
            job,
            home,
            client: Client::new(&job.subject.argv, state, &log, step_deadline(job)),
            containers: BTreeMap::new(),
            host_processes: BTreeMap::new(),
            cluster: None,
            samples: BTreeMap::new(),
            last: None,
            packets: None,
            transport: "tcp",
            each: None,
            questions: 0,
            waited: Duration::ZERO,
            leftovers: Vec::new(),
            emit,
            taken: false,
        }
    }
}

impl World<'_> {
    fn id(&self) -> String {
        self.job.case.header.id.clone()
    }

    /// Milliseconds since the run began.
    pub(crate) fn now(&self) -> f64 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let now = Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0));
        now.saturating_sub(self.job.epoch).as_secs_f64() * 1e3
    }

    fn case(&mut self) {
        let spec = &self.job.case.spec;
        // What a cluster must be is seen when it is there; what the host must be, before.
        let (later, now): (Vec<_>, Vec<_>) = spec.requires.iter().cloned().partition(requires::is_of_cluster);
        if let Some(missing) = self.missing(&now) {
            return self.unmet(None, None, missing);
        }
        if self.job.case.header.target == "cluster" {
            match self.raise() {
                Ok(None) => {}
                Ok(Some(missing)) => return self.unmet(None, None, missing),
                Err(why) => return self.broken("setup", 0, Stuck::Host(why)),
            }
        }
        if let Some(missing) = self.missing(&later) {
            self.lower();
            return self.unmet(None, None, missing);
        }
        let proving = self.job.case.header.proving;
        let mut went = self.phase("setup", &spec.setup);
        if went == Stepped::Held || (went == Stepped::Failed && proving) {
            went = went.max(self.phase("steps", &spec.steps));
        }
        if went != Stepped::Held && !proving {
            self.phase("onFailure", &spec.on_failure);
        }
        self.phase("teardown", &spec.teardown);
        self.lower();
        self.disobedience();
    }

    /// Starts or reaches the case's cluster. Answers what is missing, if it cannot be had here.
    fn raise(&mut self) -> Result<Option<Missing>, String> {
        let start = Instant::now();
        let up = Cluster::up(self.job, self.home, 0);
        self.waited += start.elapsed();
        let t1 = self.now();
        let event = Event::Act {
            case: self.id(),
            what: "cluster up".into(),
            code: None,
            stdout: String::new(),
            stderr: String::new(),
            t0: t1 - start.elapsed().as_secs_f64() * 1e3,
            t1,
        };
        (self.emit)(event);
        let missing = |requirement: &str, seen: String| Missing {
            requirement: requirement.into(),
            seen,
            fault: false,
        };
        match up {
            Ok(cluster) => {
                let own = cluster.is_own();
                self.cluster = Some(cluster);
                let spec = &self.job.case.spec;
                let faulty = crate::plan::steps(spec)
                    .any(|step| step.action.as_ref().is_some_and(spec::Action::is_of_own_cluster));
                let from_nodes =
                    crate::plan::steps(spec).any(|step| step.action.as_ref().is_some_and(act::is_from_nodes));
                if from_nodes && !self.cluster.as_ref().is_some_and(Cluster::tells_networks) {
                    self.lower();
                    let seen = "the cluster serves no /plimsoll/v1/networks: nothing can be sent from its nodes or from outside";
                    return Ok(Some(missing("packets from nodes", seen.into())));
                }
                let broken = spec.cluster.as_ref().is_some_and(|cluster| !cluster.faults.is_empty())
                    || self.job.case.header.fault.is_some();
                if !own && (faulty || broken) {
                    self.lower();
                    let seen = "others use this cluster, too: its nodes are not the test's to change";
                    return Ok(Some(missing("cluster faults: true", seen.into())));
                }
                Ok(None)
            }
            Err(Lack::Unmet { requirement, seen }) => Ok(Some(missing(&requirement, seen))),
            Err(Lack::Broken(why)) => {
                self.log_of_cluster();
                Err(why)
            }
        }
    }

    /// What a cluster complained that did not come up.
    fn log_of_cluster(&mut self) {
        let text = observe::output::text(std::path::Path::new(&format!("{HOME}/tmp/cluster.log")));
        if !text.is_empty() {
            let event = Event::Evidence {
                case: self.id(),
                name: "cluster.log".into(),
                text,
            };
            (self.emit)(event);
        }
    }

    /// Removes what the case made in a cluster that lives on.
    fn lower(&mut self) {
        let within = self.job.case.spec.teardown().0;
        let start = Instant::now();
        if let Some(cluster) = self.cluster.as_mut() {
            self.leftovers.extend(cluster.clean(within));
        }
        self.waited += start.elapsed();
    }

    /// What the saboteur says that it changed.
    fn disobedience(&mut self) {
        if self.job.case.header.fault.is_none() {
            return;
        }
        let text = observe::output::text(std::path::Path::new(FAULT_LOG));
        let event = Event::Evidence {
            case: self.id(),
            name: FAULT_EVIDENCE.into(),
            text,
        };
        (self.emit)(event);
    }

    /// The first requirement that is not met. What is met is kept as evidence of why anything ran.
    fn missing(&mut self, requirements: &[spec::Requirement]) -> Option<Missing> {
        let mut met = String::new();
        for requirement in requirements {
            match requires::probe(requirement, self) {
                Probed::Met { requirement, seen } => {
                    met.push_str(&format!("{requirement}: {seen}\n"));
                }
                Probed::Unmet { requirement, seen } => {
                    return Some(Missing {
                        requirement,
                        seen,
                        fault: false,
                    });
                }
                Probed::CannotTell { requirement, why } => {
                    return Some(Missing {
                        requirement,
                        seen: why,
                        fault: true,
                    });
                }
            }
        }
        if !met.is_empty() {
            let event = Event::Evidence {
                case: self.id(),
                name: MET_EVIDENCE.into(),
                text: met,
            };
            (self.emit)(event);
        }
        None
    }

    fn unmet(&mut self, step: Option<(String, usize)>, check: Option<String>, missing: Missing) {
        let event = Event::Unmet {
            case: self.id(),
            step,
            check,
            requirement: missing.requirement,
            seen: missing.seen,
            fault: missing.fault,
        };
        (self.emit)(event);
    }

    /// Runs the steps of a phase up to the first that does not hold; teardown goes on after one, and so does a case
    /// that is run to see which checks fail.
    fn phase(&mut self, phase: &str, steps: &[Spanned<Step>]) -> Stepped {
        let mut worst = Stepped::Held;
        for (index, step) in steps.iter().enumerate() {
            let went = self.step(phase, index, step);
            worst = worst.max(went);
            if went != Stepped::Held && !self.job.case.header.proving {
                self.evidence();
            }
            let go_on = match went {
                Stepped::Held => true,
                Stepped::Failed => phase == "teardown" || self.job.case.header.proving,
                Stepped::Broke => phase == "teardown",
            };
            if !go_on {
                break;
            }
        }
        worst
    }

    fn step(&mut self, phase: &str, index: usize, step: &Step) -> Stepped {
        let t = self.now();
        let name = step.name.clone().unwrap_or_else(|| act::words(step.action.as_ref()));
        let event = Event::Step {
            case: self.id(),
            phase: phase.into(),
            index,
            name,
            t,
        };
        (self.emit)(event);
        if let Some(missing) = self.missing(&step.requires) {
            let went = if missing.fault { Stepped::Broke } else { Stepped::Held };
            self.unmet(Some((phase.to_owned(), index)), None, missing);
            return went;
        }
        self.last = None;
        self.packets = None;
        if let Some(action) = step.action.as_ref().filter(|action| !action.is_look()) {
            match self.act(action) {
                Ok(()) => {}
                // A refusal that a check of the step looks at is an observation.
                Err(Stuck::Subject(_)) if self.last.is_some() && judge::looks_at_action(step) => {}
                Err(stuck) => {
                    self.broken(phase, index, stuck);
                    return Stepped::Broke;
                }
            }
        }
        let expected = self.expected(phase, index, step);
        if let Some(sample) = &step.sample
            && let Err(stuck) = self.draw(sample, &expected)
        {
            self.broken(phase, index, stuck);
            return Stepped::Broke;
        }
        if expected.expect.is_empty() || self.window(phase, index, &expected) {
            Stepped::Held
        } else {
            Stepped::Failed
        }
    }

    /// The step with the checks whose requirements are met.
    fn expected(&mut self, phase: &str, index: usize, step: &Step) -> Step {
        let mut kept = Vec::new();
        for check in &step.expect {
            match self.missing(&check.requires) {
                None => kept.push(check.clone()),
                Some(missing) => {
                    let step = Some((phase.to_owned(), index));
                    self.unmet(step, Some(check.id.value.clone()), missing);
                }
            }
        }
        Step {
            name: None,
            action: step.action.clone().filter(spec::Action::is_look),
            sample: None,
            window: step.window,
            requires: Vec::new(),
            expect: kept,
        }
    }

    fn window(&mut self, phase: &str, index: usize, step: &Step) -> bool {
        let start = Instant::now();
        let mut n = 0;
        let mut unchanged = Unchanged::default();
        // In the record's milliseconds, by which the window is judged.
        let mut first_seen = None;
        let after = match self.job.case.header.target.as_str() {
            "cluster" => SETTLED_CLUSTER,
            _ => SETTLED,
        };
        loop {
            let due = start
                + match step.window {
                    Window::Once => Duration::ZERO,
                    Window::Eventually { every, .. } | Window::Consistently { every, .. } => {
                        every.0.saturating_mul(u32::try_from(n).unwrap_or(u32::MAX))
                    }
                };
            self.pause_until(due);
            let seen = self.look(step.action.as_ref(), &step.expect);
            let holds = judge::step_holds(step, &seen);
            let settled = self.job.case.header.broken_on_purpose() && unchanged.settled(&seen, after);
            let seen_at = self.now();
            let event = Event::Look {
                case: self.id(),
                phase: phase.into(),
                index,
                n,
                t: seen_at,
                seen,
            };
            (self.emit)(event);
            n += 1;
            let covered = seen_at - *first_seen.get_or_insert(seen_at);
            match step.window {
                Window::Once => return holds,
                Window::Eventually { within, .. } => {
                    if holds || settled || start.elapsed() >= within.0 {
                        return holds;
                    }
                }
                Window::Consistently { lasting, .. } => {
                    // On a busy machine one look may take as long as the window, and is not a look through it.
                    if !holds || (start.elapsed() >= lasting.0 && judge::fold::covers(covered, lasting)) {
                        return holds;
                    }
                }
            }
        }
    }

    /// Takes the exit codes of all children that have ended. As PID 1 the harness inherits what `exec` left in the
    /// containers, and no PID namespace ends before its last process was waited for (`pid_namespaces(7)`).
    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = rustix::process::wait(rustix::process::WaitOptions::NOHANG) {
            let ended = container::Ended {
                code: status.exit_status(),
                signal: status.terminating_signal(),
            };
            let pid = pid.as_raw_nonzero().get();
            let inits = self.containers.values_mut().filter_map(|c| c.init.as_mut());
            if let Some(init) = inits.into_iter().find(|init| init.pid == pid) {
                init.set_ended(ended);
            } else if let Some(process) = self.host_processes.values_mut().find(|p| p.pid == pid) {
                process.set_ended(ended);
            }
        }
    }

    fn look(&mut self, action: Option<&spec::Action>, checks: &[Spanned<Check>]) -> BTreeMap<String, Seen> {
        self.reap();
        self.cluster.iter_mut().for_each(Cluster::look_anew);
        if let Some(action) = action {
            self.send_packets(action);
        }
        checks
            .iter()
            .map(|check| (check.id.value.clone(), observe::look(check, self)))
            .collect()
    }

    /// A wait that the spec asks for.
    pub(crate) fn pause_until(&mut self, instant: Instant) {
        let start = Instant::now();
        wait::until_instant(instant);
        self.waited += start.elapsed();
    }

    fn broken(&mut self, phase: &str, index: usize, stuck: Stuck) {
        let (subject, message) = match stuck {
            Stuck::Subject(message) => (true, message),
            Stuck::Host(message) => (false, message),
        };
        let event = Event::Broken {
            case: self.id(),
            phase: phase.into(),
            index,
            subject,
            message,
        };
        (self.emit)(event);
    }
}
