//! A run: cases in guards, some side by side, one record.

mod guards;
mod images;
mod queue;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ChildStdin;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use record::bench::Baseline;
use record::{Ending, Event, Ledger, SkipBudget, SubjectInfo, Tally};
use spec::patience;
use spec::step::Metric;

use crate::gc::Owner;
use crate::guard::cgroup::Limits;
use crate::guard::{Job, Line};
use crate::plan::{Case, SpecFile};
use crate::subject::Subject;
use crate::{host, judge, wait};

use self::guards::Guard;
use self::queue::Queue;

/// What to run, and how.
#[derive(Debug)]
pub struct Options {
    /// The cases, in order.
    pub cases: Vec<Case>,
    /// The files that they come from.
    pub files: Vec<SpecFile>,
    /// The subjects, by the names that the cases use.
    pub subjects: Vec<Subject>,
    /// How many cases run side by side at most.
    pub jobs: usize,
    /// Bound of a case, in place of its own.
    pub timeout: Option<Duration>,
    /// Attempts at most after the first at a case that does not pass, in place of its own.
    pub retries: Option<u32>,
    /// Begin nothing more after the first failure.
    pub fail_fast: bool,
    /// How many checks may be skipped.
    pub skip_budget: SkipBudget,
    /// Keep the directories of cases that passed, too.
    pub keep: bool,
    /// Seed of the order in which cases of a benchmark take their samples.
    pub seed: u64,
    /// What cases of benchmarks are compared with, by their ids.
    pub baselines: BTreeMap<String, Baseline>,
    /// Where runs are kept (`.plimsoll`).
    pub state: PathBuf,
    /// This program, called again as the guard.
    pub own: PathBuf,
    /// The command line, for the record.
    pub argv: Vec<String>,
    /// Wall clock at the start, RFC 3339, for the record.
    pub started: String,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Its id.
    pub id: String,
    /// Exit code.
    pub exit: u8,
    /// Verdicts, and what they exceed.
    pub ending: Ending,
    /// Labels of limits of skips that counted no check.
    pub idle: Vec<(String, String)>,
    /// Its directory.
    pub dir: PathBuf,
    /// It was asked to end by a signal.
    pub interrupted: bool,
}

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its directory.
    #[error("failed to make a directory for the run below `{path}`", path = path.display())]
    Directory {
        /// Where.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// Its record.
    #[error("failed to write the record `{path}`", path = path.display())]
    Record {
        /// Where.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// An image.
    #[error("failed to bring image `{name}`")]
    Image {
        /// Name in the spec.
        name: String,
        /// Cause.
        source: image::Error,
    },
    /// Signals cannot be watched.
    #[error("failed to watch for signals")]
    Signals {
        /// Cause.
        source: std::io::Error,
    },
}

/// Runs the cases. `tell` gets every event as it is recorded.
///
/// Must be called before the process has other threads: it blocks the signals that ask it to end.
///
/// # Errors
/// [`Error`] if the run could not be set up or recorded. What goes wrong in a case is a verdict.
pub fn run(options: &Options, tell: &mut dyn FnMut(&Event)) -> Result<Summary, Error> {
    run_with(options, tell, &mut |_| Vec::new())
}

/// What is recorded when all cases are over, and may change the counts that the exit code comes of.
pub type Epilogue<'e> = dyn FnMut(&mut Tally) -> Vec<Event> + 'e;

/// As [`run`], with more to record at the end.
///
/// # Errors
/// [`Error`] if the run could not be set up or recorded.
pub fn run_with(
    options: &Options,
    tell: &mut dyn FnMut(&Event),
    epilogue: &mut Epilogue<'_>,
) -> Result<Summary, Error> {
    let signals = sys::signals::termination().map_err(|source| Error::Signals { source })?;
    let home = RunDirectory::make(&options.state, &options.subjects)?;
    let outcome = run_in(&home, &signals, options, tell, epilogue);
    if let Some(why) = home.close() {
        tell(&Event::Evidence {
            case: String::new(),
            name: "leftover".into(),
            text: why,
        });
    }
    outcome
}

fn run_in(
    home: &RunDirectory,
    signals: &OwnedFd,
    options: &Options,
    tell: &mut dyn FnMut(&Event),
    epilogue: &mut Epilogue<'_>,
) -> Result<Summary, Error> {
    let start = Instant::now();
    let images = images::bring(&options.cases, &home.dir)?;
    let epoch = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let epoch = Duration::new(epoch.tv_sec.unsigned_abs(), u32::try_from(epoch.tv_nsec).unwrap_or(0));
    let emulated = host::emulated();

    let mut recorder = Recorder {
        file: home.record()?,
        path: home.dir.join("run.jsonl"),
        tell,
    };
    let begun = Event::Run {
        version: record::VERSION,
        id: home.id.clone(),
        started: options.started.clone(),
        plimsoll: env!("CARGO_PKG_VERSION").into(),
        argv: options.argv.clone(),
        host: host::fingerprint(),
        subjects: options.subjects.iter().map(info).collect(),
        skip_budget: options.skip_budget.clone(),
    };
    recorder.write(&begun)?;
    for file in &options.files {
        recorder.write(&Event::Spec {
            file: file.path.clone(),
            sha256: file.sha256.clone(),
            text: file.text.clone(),
        })?;
    }

    let shared = Shared {
        options,
        home,
        images: &images,
        epoch,
        emulated,
        begun: &begun,
    };
    let queue = Queue::new(&options.cases, options.jobs);
    let stop = Stop::default();
    let mut ledger = Ledger::default();
    let mut failure = None;
    std::thread::scope(|scope| {
        let (sender, receiver) = channel::<Told>();
        for _ in 0..queue.most() {
            let (sender, queue, stop, shared) = (sender.clone(), &queue, &stop, &shared);
            scope.spawn(move || {
                let mut guard = None;
                while let Some(index) = queue.next(&|| stop.asked()) {
                    attempts(shared, stop, index, &sender, &mut guard);
                    queue.done(index);
                }
            });
        }
        drop(sender);
        let (done_read, done_write) = match rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC) {
            Ok(pipe) => pipe,
            Err(error) => {
                failure = Some(Error::Signals { source: error.into() });
                stop.ask();
                return;
            }
        };
        let stop_ref = &stop;
        scope.spawn(move || {
            // Ends when the run does, or turns the first signal into the end of every guard.
            if wait::readable(&[signals.as_fd(), done_read.as_fd()], None)[0] {
                stop_ref.ask();
            }
        });
        failure = collect(&receiver, options, &mut recorder, &mut ledger, &stop);
        if failure.is_some() {
            stop.ask();
            for _ in receiver {}
        }
        drop(done_write);
    });
    if let Some(error) = failure {
        return Err(error);
    }
    let mut tally = ledger.tally();
    let interrupted = stop.asked() && !(options.fail_fast && tally.fail + tally.error + tally.flaky > 0);
    for event in epilogue(&mut tally) {
        recorder.write(&event)?;
    }
    // Cut short, a run proves nothing about what it did not come to.
    let ending = Ending {
        tally,
        unproven: tally.unproven,
        ..ledger.ending(&options.skip_budget)
    };
    let exit = if interrupted { 3 } else { ending.exit_code() };
    recorder.write(&Event::RunEnd {
        exit,
        tally,
        took: start.elapsed().as_secs_f64() * 1e3,
    })?;
    Ok(Summary {
        id: home.id.clone(),
        exit,
        ending,
        idle: ledger.account(&options.skip_budget).idle().cloned().collect(),
        dir: home.dir.clone(),
        interrupted,
    })
}

fn info(subject: &Subject) -> SubjectInfo {
    if let Some(kube) = &subject.kube {
        return SubjectInfo {
            name: subject.name.clone(),
            argv: subject.argv.clone(),
            version: crate::drive::cluster::version(kube).unwrap_or_else(|error| error),
            build: String::new(),
        };
    }
    if subject.is_cluster() {
        return SubjectInfo {
            name: subject.name.clone(),
            argv: subject.argv.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            build: subject.build(),
        };
    }
    let nowhere = Path::new("/dev/null");
    let version = oci_runtime_client::Client::new(&subject.argv, nowhere, nowhere, Duration::from_secs(5)).version();
    SubjectInfo {
        name: subject.name.clone(),
        argv: subject.argv.clone(),
        version: version.unwrap_or_else(|error| crate::chain(&error)),
        build: subject.build(),
    }
}

/// What a worker tells.
enum Told {
    /// Of a case.
    Event(Event),
    /// An attempt at a case is over.
    Over(Attempt),
}

/// An attempt at a case.
struct Attempt {
    index: usize,
    /// Ids of the case and of those beside it, in this attempt.
    ids: Vec<String>,
    /// Its verdicts.
    verdicts: Vec<Event>,
    took: Duration,
    waited: Duration,
    leftovers: Vec<String>,
    work: PathBuf,
    /// No further attempt follows.
    last: bool,
}

impl Attempt {
    /// Whether a check that should pass did not.
    fn wants_another(&self) -> bool {
        self.verdicts.iter().any(|event| match event {
            Event::Verdict {
                verdict, known: None, ..
            } => verdict.rank() >= 2,
            _ => false,
        })
    }
}

fn collect(
    receiver: &Receiver<Told>,
    options: &Options,
    recorder: &mut Recorder<'_>,
    ledger: &mut Ledger,
    stop: &Stop,
) -> Option<Error> {
    for told in receiver {
        let written = match told {
            Told::Event(event) => {
                ledger.take(&event);
                recorder.write(&event)
            }
            Told::Over(attempt) => over(&attempt, options, recorder, ledger, stop),
        };
        if let Err(error) = written {
            return Some(error);
        }
    }
    None
}

/// Records what an attempt at a case came to.
fn over(
    attempt: &Attempt,
    options: &Options,
    recorder: &mut Recorder<'_>,
    ledger: &mut Ledger,
    stop: &Stop,
) -> Result<(), Error> {
    let headers: Vec<_> = options.cases[attempt.index].all().map(|case| &case.header).collect();
    let mut good = attempt.leftovers.is_empty();
    for event in &attempt.verdicts {
        if let Event::Verdict { verdict, case, .. } = event {
            let of = attempt.ids.iter().zip(&headers).find(|(id, _)| *id == case);
            good &= verdict.rank() <= 1 || of.is_some_and(|(_, header)| header.broken_on_purpose());
        }
        ledger.take(event);
        recorder.write(event)?;
    }
    if options.fail_fast && attempt.last && headers.iter().any(|header| ledger.failed(header.base())) {
        stop.ask();
    }
    let milliseconds = |d: Duration| d.as_secs_f64() * 1e3;
    let mut leftovers = attempt.leftovers.clone();
    for id in &attempt.ids {
        let end = Event::CaseEnd {
            case: id.clone(),
            took: milliseconds(attempt.took),
            overhead: milliseconds(attempt.took.saturating_sub(attempt.waited)),
            // What one guard left is told once.
            leftovers: std::mem::take(&mut leftovers),
        };
        ledger.take(&end);
        recorder.write(&end)?;
    }
    if good && !options.keep {
        // The next collection finds what this one could not remove.
        let _later = std::fs::remove_dir_all(&attempt.work);
    }
    Ok(())
}

struct Recorder<'r> {
    file: File,
    path: PathBuf,
    tell: &'r mut dyn FnMut(&Event),
}

impl Recorder<'_> {
    fn write(&mut self, event: &Event) -> Result<(), Error> {
        let mut line = serde_json::to_vec(event).unwrap_or_default();
        line.push(b'\n');
        self.file.write_all(&line).map_err(|source| Error::Record {
            path: self.path.clone(),
            source,
        })?;
        (self.tell)(event);
        Ok(())
    }
}

/// Ends every guard when asked to, by closing the pipes that they watch.
#[derive(Default)]
struct Stop {
    inner: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    yes: bool,
    /// The pipe of each guard that runs, by the index of its case.
    pipes: Vec<(u64, ChildStdin)>,
}

impl Stop {
    fn asked(&self) -> bool {
        self.inner.lock().is_ok_and(|inner| inner.yes)
    }

    fn ask(&self) {
        if let Ok(mut inner) = self.inner.lock() {
            inner.yes = true;
            inner.pipes.clear();
        }
    }

    /// Registers a guard's pipe; closes it at once if the run is over already.
    fn watch(&self, key: u64, pipe: ChildStdin) {
        if let Ok(mut inner) = self.inner.lock()
            && !inner.yes
        {
            inner.pipes.push((key, pipe));
        }
    }

    /// Gives a guard's pipe back, if it was not closed.
    fn forget(&self, key: u64) -> Option<ChildStdin> {
        let mut inner = self.inner.lock().ok()?;
        let at = inner.pipes.iter().position(|(k, _)| *k == key)?;
        Some(inner.pipes.swap_remove(at).1)
    }
}

struct Shared<'s> {
    options: &'s Options,
    home: &'s RunDirectory,
    images: &'s images::Images,
    epoch: Duration,
    emulated: bool,
    /// The first event of the run: where a benchmark is made is part of what it comes to.
    begun: &'s Event,
}

impl Shared<'_> {
    /// What is under test in a case; behind the saboteur, if it is to disobey.
    fn subject(&self, case: &Case) -> Result<Subject, String> {
        let named = self.options.subjects.iter().find(|s| s.name == case.header.subject);
        let subject = named
            .or(self.options.subjects.first())
            .ok_or("no subject was named")?
            .clone();
        Ok(match &case.header.fault {
            Some(fault) => subject.disobeying(fault, &self.options.own),
            None => subject,
        })
    }
}

/// Runs one case, again if it may be tried again and did not pass.
fn attempts(shared: &Shared<'_>, stop: &Stop, index: usize, sender: &Sender<Told>, kept: &mut Option<Guard>) {
    let case = &shared.options.cases[index];
    // A fault that was put in is to be seen; whoever looks again and again until it is not seen, proves nothing.
    let of_spec = || case.spec.retries.map_or(0, |retries| retries.count);
    let retries = match (&case.header.sabotage, &case.header.fault) {
        (None, None) if !case.header.proving => shared.options.retries.unwrap_or_else(of_spec),
        _ => 0,
    };
    let mut number = 1;
    loop {
        let mut attempt = work(shared, stop, index, number, sender, kept);
        attempt.last = number > retries || stop.asked() || !attempt.wants_another();
        let last = attempt.last;
        // A harness that is gone hears nothing.
        drop(sender.send(Told::Over(attempt)));
        if last {
            break;
        }
        number += 1;
    }
}

/// Runs one attempt at a case in a guard, in the one that is left from the case before if there is one.
fn work(
    shared: &Shared<'_>,
    stop: &Stop,
    index: usize,
    number: u32,
    sender: &Sender<Told>,
    kept: &mut Option<Guard>,
) -> Attempt {
    let start = Instant::now();
    let mut case = shared.options.cases[index].clone();
    let begun = now(shared.epoch);
    for header in std::iter::once(&mut case.header).chain(case.beside.iter_mut().map(|case| &mut case.header)) {
        *header = header.again(number);
        header.t = begun;
    }
    let name = format!("{index:04}-{}", slug(&case.header.id));
    let work = shared.home.dir.join("cases").join(&name);
    let ids: Vec<String> = case.all().map(|case| case.header.id.clone()).collect();
    let mut events: Vec<Event> = case
        .all()
        .map(|case| Event::Case(Box::new(case.header.clone())))
        .collect();
    let baselines = ids.iter().filter_map(|id| shared.options.baselines.get(id));
    events.extend(baselines.map(|baseline| Event::Baseline(Box::new(baseline.clone()))));
    // A harness that is gone hears nothing.
    let tell = |event: &Event| drop(sender.send(Told::Event(event.clone())));
    events.iter().for_each(tell);
    if case.measured.is_some() {
        events.push(shared.begun.clone());
    }
    let (mut waited, mut took, mut leftovers) = (Duration::ZERO, None, Vec::new());
    let mut fault = None;
    match guarded(shared, stop, index, case.clone(), &work, kept.take()) {
        Ok(mut guard) => {
            let mut closed = false;
            while let Some(line) = guard.line() {
                match line {
                    Line::Event(event) => {
                        tell(&event);
                        events.push(*event);
                    }
                    Line::Done {
                        took: t,
                        waited: w,
                        leftovers: left,
                    } => {
                        (took, waited) = (Some(t), w);
                        leftovers = left;
                    }
                    Line::Failed { message } => fault = Some(message),
                    Line::Closed {
                        reason,
                        leftovers: left,
                    } => {
                        fault = fault.or(reason);
                        leftovers.extend(left);
                        closed = true;
                        break;
                    }
                }
            }
            let pipe = stop.forget(index as u64);
            if !closed {
                drop(pipe);
                fault = fault.or(Some(guard.end()));
            } else if let Some(pipe) = pipe {
                guard.keep(pipe);
                *kept = Some(guard);
            }
        }
        Err(message) => fault = Some(message),
    }
    if let Some(message) = fault {
        let (phase, step) = events
            .iter()
            .rev()
            .find_map(|e| match e {
                Event::Step { phase, index, .. } => Some((phase.clone(), *index)),
                _ => None,
            })
            .unwrap_or_else(|| ("setup".into(), 0));
        for id in &ids {
            let broken = Event::Broken {
                case: id.clone(),
                phase: phase.clone(),
                index: step,
                subject: false,
                message: message.clone(),
            };
            tell(&broken);
            events.push(broken);
        }
    }
    let whole = start.elapsed();
    // What the guard itself costs counts as overhead, too.
    let waited = if took.is_some() { waited } else { whole };
    Attempt {
        index,
        verdicts: case.all().flat_map(|case| judge::verdicts(case, &events)).collect(),
        ids,
        took: whole,
        waited,
        leftovers,
        work,
        last: true,
    }
}

fn now(epoch: Duration) -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let now = Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0));
    now.saturating_sub(epoch).as_secs_f64() * 1e3
}

fn slug(id: &str) -> String {
    id.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '_'
            }
        })
        .take(80)
        .collect()
}

/// How much a guard is favoured over the rest of the machine. What a container uses of the CPU is no measure of its
/// limits while others take the CPU away; a case that samples it is short, and leaves the others some.
fn favour(case: &Case) -> u64 {
    const OF_SAMPLES: u64 = 16;
    let spec = &case.spec;
    let mut steps = spec.setup.iter().chain(&spec.steps).chain(&spec.teardown);
    let sampled = steps.any(|step| step.sample.as_ref().is_some_and(|s| s.metric == Metric::CpuUsage));
    if sampled { OF_SAMPLES } else { 1 }
}

fn guarded(
    shared: &Shared<'_>,
    stop: &Stop,
    index: usize,
    case: Case,
    work: &Path,
    kept: Option<Guard>,
) -> Result<Guard, String> {
    let subject = shared.subject(&case)?;
    let beside: Vec<Subject> = case
        .beside
        .iter()
        .map(|case| shared.subject(case))
        .collect::<Result<_, _>>()?;
    let inside = work.join("disk");
    std::fs::create_dir_all(&inside).map_err(|e| format!("failed to make `{}`: {e}", inside.display()))?;
    let timeouts = case.spec.timeouts;
    let test = shared
        .options
        .timeout
        .unwrap_or_else(|| timeouts.test.unwrap_or(patience::CASE).0);
    let teardown = case.spec.teardown().0;
    let job = Job {
        // A runtime that refuses a hybrid host gets to see the version 1 part of it.
        hide_unified: std::iter::once(&subject)
            .chain(&beside)
            .flat_map(|subject| &subject.argv)
            .any(|word| word.rsplit('/').next() == Some("crun")),
        token: format!(
            "{}-{}-{index}-{}",
            shared.home.token, shared.home.id, case.header.attempt
        ),
        nonce: format!("{}{index:04}{}", shared.home.token, case.header.attempt),
        work: std::path::absolute(&inside).map_err(|e| e.to_string())?,
        image: shared.images.probe.clone(),
        images: shared.images.named.clone(),
        deadline: match &case.measured {
            None => test + teardown,
            // Beyond the last sample, one that hangs and is cleared away.
            Some(measured) => {
                let gate = measured.gate.as_ref().map(|gate| gate.against.budget.most());
                gate.unwrap_or(measured.benchmark.sampling.max_duration.0) + test + teardown
            }
        },
        limits: Limits {
            memory: 4 << 30,
            pids: 2048,
            cpu_favour: favour(&case),
        },
        epoch: shared.epoch,
        emulated: shared.emulated,
        case,
        subject,
        beside,
        seed: shared.options.seed,
    };
    let start = || {
        Guard::start(
            &shared.options.own,
            shared.home.dir.join(format!("guard-{index}.stderr")),
        )
    };
    let mut guard = kept.map_or_else(start, Ok)?;
    let pipe = guard.hand(&job)?;
    stop.watch(index as u64, pipe);
    Ok(guard)
}

/// `.plimsoll/runs/ID`, locked while the run lasts.
#[derive(Debug)]
pub(crate) struct RunDirectory {
    id: String,
    token: String,
    dir: PathBuf,
    lock: OwnedFd,
}

impl RunDirectory {
    fn make(state: &Path, subjects: &[Subject]) -> Result<Self, Error> {
        let runs = state.join("runs");
        let failed = |source: std::io::Error| Error::Directory {
            path: runs.clone(),
            source,
        };
        std::fs::create_dir_all(&runs).map_err(failed)?;
        let mut number = std::fs::read_dir(&runs)
            .map_err(failed)?
            .flatten()
            .filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok())
            .max()
            .map_or(1, |n| n + 1);
        let dir = loop {
            let dir = runs.join(format!("{number:04}"));
            match std::fs::create_dir(&dir) {
                Ok(()) => break dir,
                // Another run was quicker.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(failed(error)),
            }
        };
        let dir = std::path::absolute(dir).map_err(failed)?;
        let token = token().map_err(failed)?;
        // Locked before it bears the name by which another run's collection finds it.
        let unborn = dir.join("lock.new");
        let lock = File::create(&unborn).map_err(failed)?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(|e| failed(e.into()))?;
        // What `gc` needs to find the run's objects if nobody else can.
        let owner = Owner {
            token: token.clone(),
            kube: subjects.iter().filter_map(|subject| subject.kube.clone()).collect(),
        };
        serde_json::to_writer(&lock, &owner).map_err(|error| failed(error.into()))?;
        std::fs::rename(&unborn, dir.join("lock")).map_err(failed)?;
        Ok(Self {
            id: format!("{number:04}"),
            token,
            dir,
            lock: lock.into(),
        })
    }

    fn record(&self) -> Result<File, Error> {
        let path = self.dir.join("run.jsonl");
        File::options()
            .create_new(true)
            .append(true)
            .open(&path)
            .map_err(|source| Error::Record { path, source })
    }

    /// Removes what only the running run needed.
    fn close(&self) -> Option<String> {
        let mut why = None;
        for name in ["images", "lock"] {
            let path = self.dir.join(name);
            let removed = if path.is_dir() {
                std::fs::remove_dir_all(&path)
            } else {
                std::fs::remove_file(&path)
            };
            if let Err(error) = removed
                && error.kind() != std::io::ErrorKind::NotFound
            {
                why = Some(format!("failed to remove `{}`: {error}", path.display()));
            }
        }
        // Only if every case passed is there nothing in it.
        let _kept = std::fs::remove_dir(self.dir.join("cases"));
        let _held = &self.lock;
        why
    }
}

/// A seed that is another one each time.
///
/// # Errors
/// What `getrandom(2)` says.
pub fn seed() -> std::io::Result<u64> {
    let mut bytes = [0; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(u64::from_ne_bytes(bytes))
}

/// Eight letters and digits that no other run on this host has.
///
/// # Errors
/// What `getrandom(2)` says.
pub fn token() -> std::io::Result<String> {
    let mut bytes = [0u8; 8];
    let n = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    Ok(bytes[..n]
        .iter()
        .map(|b| char::from(LETTERS[usize::from(b & 31)]))
        .collect())
}
